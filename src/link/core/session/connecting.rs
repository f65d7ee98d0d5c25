//! The attempt to establish a client's session: waiting for it, and why it failed.

use std::borrow::Cow;

use super::{CloseInfo, ClosedBy, LinkSession, MAX_CLOSE_REASON_BYTES, Phase, Shared};
use crate::error::{Error, Result};
use crate::runtime::wait::Deadline;
use crate::text::beginning;

impl LinkSession {
    /// Waits until the attempt to establish the session has ended, and returns its result. A session
    /// that was established and is over has been established.
    ///
    /// Meanwhile this thread leads the lane if it can.
    pub fn wait_connected(&self, deadline: Deadline) -> Result<()> {
        self.connecting.wait_for(&self.shared, deadline, |shared| shared.attempt())
    }

    /// Why the attempt failed; [`Error::WouldBlock`] while it lasts, and [`Error::InvalidState`] if
    /// it did not fail.
    pub fn connect_failure(&self) -> Result<Error> {
        match self.shared.lock().attempt() {
            None => Err(Error::WouldBlock),
            Some(Ok(())) => Err(Error::InvalidState(Cow::Borrowed("the session was established"))),
            Some(Err(failure)) => Ok(failure),
        }
    }

    /// Ends the session because the attempt to establish it failed. Returns `false` if the session
    /// was established, or is over: then nothing changes.
    pub(in crate::link) fn fail(&self, error: Error) -> bool {
        {
            let mut shared = self.shared.lock();
            if shared.phase != Phase::Connecting || shared.failure.is_some() {
                return false;
            }
            shared.failure = Some(Box::new(error.clone()));
        }
        let reason = beginning(&error.to_string(), MAX_CLOSE_REASON_BYTES).to_owned();
        self.end(CloseInfo { by: ClosedBy::Transport, code: 0, reason, transport_error: 0 });
        true
    }
}

impl Shared {
    /// The result of the attempt to establish the session; `None` while it lasts.
    fn attempt(&self) -> Option<Result<()>> {
        match self.phase {
            Phase::Connecting => None,
            _ if self.was_connected => Some(Ok(())),
            _ => Some(Err(self.failure.as_deref().cloned().unwrap_or(Error::Closed))),
        }
    }
}
