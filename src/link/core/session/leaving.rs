//! The end of a session, as its user asks for it and hears of it.

use std::borrow::Cow;

use super::{LinkSession, Phase, Shared};
use crate::error::{Error, Result};
use crate::runtime::wait::{Deadline, wait_for};

/// The longest close reason, in bytes of UTF-8 (draft-ietf-webtrans-http3 section 6).
pub const MAX_CLOSE_REASON_BYTES: usize = 1024;

/// Which side ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// This side.
    Local,
    /// The peer, with its own code and reason.
    Peer,
    /// The connection below: lost, timed out, or broken by a protocol error on either side.
    Transport,
}

/// The close information of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseInfo {
    /// Which side ended it.
    pub by: ClosedBy,
    /// Application code; 0 where there is none.
    pub code: u32,
    /// Application reason, or what happened to the connection; at most [`MAX_CLOSE_REASON_BYTES`].
    pub reason: String,
    /// QUIC or HTTP/3 error code when `by` is [`ClosedBy::Transport`], else 0.
    pub transport_error: u64,
}

impl CloseInfo {
    fn local((code, reason): (u32, String)) -> Self {
        Self { by: ClosedBy::Local, code, reason, transport_error: 0 }
    }
}

/// What the lane has to do for a user who wants to end the session.
#[derive(Default)]
pub(in crate::link) struct Signals {
    /// Ask the peer to end it soon.
    pub(in crate::link) drain: bool,
    /// Call [`LinkSession::sent`] when every datagram has left.
    pub(in crate::link) leave: bool,
    /// Tell the peer that it has ended, with this code and reason.
    pub(in crate::link) close: Option<(u32, String)>,
}

/// How far the end of a session has come.
#[derive(Default)]
pub(super) struct End {
    info: Option<CloseInfo>,
    signals: Signals,
    /// Whether the user has asked the peer to end the session soon.
    has_drained: bool,
    /// The code and reason with which to close the session when every datagram has left.
    leaving: Option<Box<(u32, String)>>,
    /// Whether every datagram had left when the session was closed with them.
    has_sent: bool,
}

impl End {
    /// Asks the peer to end the session soon. Returns whether the lane has to be woken for it.
    fn drain(&mut self) -> Result<bool> {
        if self.info.is_some() {
            return Err(Error::Closed);
        }
        let is_new = !std::mem::replace(&mut self.has_drained, true);
        self.signals.drain |= is_new;
        Ok(is_new)
    }
}

impl Shared {
    /// Records the first close information; `false` when there was some already.
    fn end(&mut self, info: CloseInfo) -> bool {
        if self.end.info.is_some() {
            return false;
        }
        if info.by == ClosedBy::Local {
            self.end.signals.close = Some((info.code, info.reason.clone()));
        }
        self.end.info = Some(info);
        self.end.leaving = None;
        self.phase = Phase::Closed;
        true
    }
}

/// Refuses a close reason that is too long for the peer.
pub(in crate::link) fn check_reason(reason: &str) -> Result<()> {
    if reason.len() > MAX_CLOSE_REASON_BYTES {
        return Err(Error::InvalidArgument(Cow::Borrowed("a close reason has at most 1024 bytes")));
    }
    Ok(())
}

impl LinkSession {
    /// Asks the peer to end the session soon. The session goes on in both directions. Calling it
    /// again does nothing.
    pub fn drain(&self) -> Result<()> {
        let path = self.datagram_path()?;
        if self.shared.lock().end.drain()? {
            path.wake();
        }
        Ok(())
    }

    /// Drains the session, and closes it with `code` and `reason` as soon as every datagram that
    /// waits has left. `end` sees to it that no more of them come.
    ///
    /// Fails with [`Error::InvalidState`] if this has begun already.
    pub fn close_when_sent(&self, code: u32, reason: &str, end: impl FnOnce()) -> Result<()> {
        check_reason(reason)?;
        let path = self.datagram_path()?;
        end();
        {
            let end = &mut self.shared.lock().end;
            end.drain()?;
            if end.leaving.is_some() {
                return Err(Error::InvalidState(Cow::Borrowed("the session is being closed already")));
            }
            end.leaving = Some(Box::new((code, reason.to_owned())));
            end.signals.leave = true;
        }
        path.wake();
        Ok(())
    }

    /// Waits until [`Self::close_when_sent`] has closed the session. At the `deadline` the session
    /// is closed in any case.
    ///
    /// `Ok` says that everything has left. Fails with [`Error::Closed`] if the session was closed
    /// before, for another reason.
    pub fn wait_sent(&self, deadline: Deadline) -> Result<()> {
        let outcome = |shared: &mut Shared| {
            let how = if shared.end.has_sent { Ok(()) } else { Err(Error::Closed) };
            shared.end.info.is_some().then_some(how)
        };
        let late = match wait_for(&mut self.shared.lock(), &self.changed, deadline, outcome) {
            Err(late @ (Error::TimedOut | Error::WouldBlock)) => late,
            result => return result,
        };
        if self.end_leaving(false) {
            return Err(late);
        }
        // It has ended since.
        outcome(&mut self.shared.lock()).unwrap_or(Err(late))
    }

    /// Every datagram has left of a session that [`Self::close_when_sent`] was called for.
    pub(in crate::link) fn sent(&self) {
        self.end_leaving(true);
    }

    fn end_leaving(&self, has_sent: bool) -> bool {
        let mut shared = self.shared.lock();
        let Some(close) = shared.end.leaving.take() else { return false };
        shared.end.has_sent = has_sent;
        shared.end(CloseInfo::local(*close));
        drop(shared);
        self.tell_end();
        true
    }

    /// Ends the session. It is closed for its users from now on, and `code` and `reason` are on
    /// their way to the peer.
    ///
    /// A reason longer than [`MAX_CLOSE_REASON_BYTES`] is refused. Closing again does nothing.
    pub fn close(&self, code: u32, reason: &str) -> Result<()> {
        check_reason(reason)?;
        self.end(CloseInfo::local((code, reason.to_owned())));
        Ok(())
    }

    /// The close information, once the session is over.
    pub fn close_info(&self) -> Option<CloseInfo> {
        self.shared.lock().end.info.clone()
    }

    /// Waits until the session is over. Code and reason leave for the peer in the background;
    /// `runtime::shutdown` waits for them.
    pub fn wait_closed(&self, deadline: Deadline) -> Result<CloseInfo> {
        wait_for(&mut self.shared.lock(), &self.changed, deadline, |shared| shared.end.info.clone().map(Ok))
    }

    /// Records the first close information; `false` when there was some already.
    pub(in crate::link) fn end(&self, info: CloseInfo) -> bool {
        let is_new = self.shared.lock().end(info);
        if is_new {
            self.tell_end();
        }
        is_new
    }

    fn tell_end(&self) {
        self.tell();
        if let Ok(path) = self.datagram_path() {
            path.wake();
        }
    }

    /// Takes what the lane has to do, once.
    pub(in crate::link) fn take_signals(&self) -> Signals {
        std::mem::take(&mut self.shared.lock().end.signals)
    }
}
