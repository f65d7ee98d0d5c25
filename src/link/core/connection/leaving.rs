//! Closing: which side ends a session, how the other side learns of it, and how long that may take.

use std::time::Instant;

use bytes::Bytes;
use quinn_proto::ConnectionError;

use super::{CLOSE_PATIENCE, Connection, LINGER, Stage};
use crate::error::Error;
use crate::link::core::datagrams::standing;
use crate::link::core::ending::{self, bounded};
use crate::link::core::session::{CloseInfo, ClosedBy, Last, Signals};
use crate::link::h3::error::{H3_INTERNAL_ERROR, H3_NO_ERROR, H3_REQUEST_CANCELLED, varint};
use crate::link::h3::{self, DatagramVerdict, Event, Role, close_bytes, drain_bytes};

impl Connection {
    /// The peer acknowledged our last bytes on the CONNECT stream, or does not want them.
    pub(super) fn last_bytes_acknowledged(&mut self, now: Instant) {
        match self.stage {
            Stage::Closing => self.linger(now),
            Stage::Refusing => self.close(now, H3_NO_ERROR, b""),
            _ => {}
        }
    }

    pub(super) fn open_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Draining => self.session.set_draining(),
            Event::Closed { code, reason } => {
                self.session.end(CloseInfo { by: ClosedBy::Peer, code, reason, transport_error: 0 });
                if let Some(id) = self.connect {
                    let _ = self.quic.send_stream(id).finish();
                }
                self.linger(now);
            }
            Event::Aborted { code, reason } => {
                self.session.end(CloseInfo {
                    by: ClosedBy::Transport,
                    code: 0,
                    reason: bounded(&reason),
                    transport_error: code,
                });
                if let Some(id) = self.connect {
                    let _ = self.quic.send_stream(id).reset(varint(code));
                }
                self.linger(now);
            }
            _ => {}
        }
    }

    pub(super) fn linger(&mut self, now: Instant) {
        self.stage = Stage::Lingering;
        self.deadline = Some(now + LINGER);
    }

    /// Closes the connection because the peer broke the protocol. QUIC reports this at once, and
    /// the session ends when its last events were handled.
    pub(super) fn break_off(&mut self, now: Instant, error: h3::ConnectionError) {
        if self.broken.is_none() {
            tracing::debug!(code = error.code, reason = %error.reason, "closing: the peer broke the protocol");
            self.quic.close(now, varint(error.code), Bytes::copy_from_slice(error.reason.as_bytes()));
            self.broken = Some(Box::new(error));
        }
    }

    /// Closes the connection after a panic, which is a defect of ours.
    pub(in crate::link::core) fn panicked(&mut self, now: Instant) {
        let reason = "a defect of the library, which panicked";
        self.break_off(now, h3::ConnectionError::new(H3_INTERNAL_ERROR, reason));
    }

    pub(super) fn end_broken(&mut self) {
        let Some(broken) = &self.broken else { return };
        if self.stage != Stage::Closed {
            let (code, reason) = (broken.code, broken.reason.to_string());
            if self.stage == Stage::Open {
                self.session.end(ending::broken(code, &reason));
            }
            self.give_up_handshake(None, Error::Protocol(reason));
            self.leave();
        }
    }

    /// Ends the session because QUIC lost the connection.
    pub(super) fn lost(&mut self, reason: &ConnectionError) {
        if self.stage == Stage::Open {
            self.session.end(ending::close_info(reason));
        }
        self.give_up_handshake(Some(reason), ending::lost(reason));
        self.leave();
    }

    /// Closes the connection.
    pub(in crate::link::core) fn close(&mut self, now: Instant, code: u64, reason: &[u8]) {
        if self.stage != Stage::Closed {
            self.quic.close(now, varint(code), Bytes::copy_from_slice(reason));
            self.leave();
        }
    }

    /// Stops sending and receiving. Datagrams that arrived before are still delivered.
    pub(super) fn leave(&mut self) {
        self.stage = Stage::Closed;
        self.deadline = None;
        self.handshake = None;
        self.half_open = None;
        if let Some(rare) = self.rare.take()
            && !rare.early.is_empty()
        {
            self.rare().early = rare.early;
        }
    }

    /// Whether it holds a place among the half-open connections, and must go when others need it.
    pub(in crate::link::core) fn is_half_open(&self) -> bool {
        self.half_open.is_some()
    }

    /// Notes that others need its place.
    pub(in crate::link::core) fn evict(&mut self) {
        self.give_up_handshake(None, Error::LimitReached("others need its place".into()));
    }

    /// Closes a connection that is no longer needed and has no session.
    pub(in crate::link::core) fn abandon(&mut self, now: Instant, code: u64) {
        if self.stage < Stage::Open {
            self.give_up_handshake(None, Error::Closed);
            // The client itself gives it up, so it will not ask.
            self.lost = None;
            self.close(now, code, b"");
        }
    }

    /// Sends the peer what the user wants it to know: that the session should end soon, or that it
    /// has ended.
    pub(super) fn send_signals(&mut self, now: Instant) {
        if self.stage != Stage::Open {
            return;
        }
        let Signals { drain, leave, close } = self.session.take_signals();
        if drain {
            self.ask_to_end();
        }
        self.leaving |= leave;
        if let Some((code, reason)) = close {
            self.send_close(now, code, &reason);
        }
    }

    /// Asks the peer to end the session soon. A server's GOAWAY says the same to clients that do not
    /// know the capsule (draft-ietf-webtrans-http3, "Interaction with the HTTP/3 GOAWAY Frame").
    fn ask_to_end(&mut self) {
        if self.h3.role() == Role::Server
            && let Some(control) = self.control
        {
            let bytes = self.h3.goaway();
            self.write(control, bytes, false);
        }
        if let Some(id) = self.connect {
            self.write(id, drain_bytes(), false);
        }
    }

    /// Closes a session that is leaving, if every datagram has left. QUIC's own FIFO counts, too: the
    /// CLOSE capsule would overtake what is in it. Returns whether it did.
    pub(in crate::link::core) fn leave_when_sent(&mut self) -> bool {
        let is_due = self.leaving
            && self.stage == Stage::Open
            && self.rare.as_ref().is_none_or(|rare| rare.blocked.is_none())
            && (self.sink.is_none() || !self.feeding.is_more_left())
            && standing(&mut self.quic) == 0;
        if is_due {
            self.leaving = false;
            self.session.sent();
        }
        is_due
    }

    /// Sends the peer the code and reason with which the session was closed.
    fn send_close(&mut self, now: Instant, code: u32, reason: &str) {
        let Some(id) = self.connect else { return };
        self.stage = Stage::Closing;
        self.deadline = Some(now + CLOSE_PATIENCE);
        if let Some(rare) = &mut self.rare {
            rare.give_up = None;
        }
        // A stream that the peer has stopped carries nothing more and reports nothing either.
        match self.quic.send_stream(id).stopped() {
            Ok(None) => self.write(id, close_bytes(code, reason), true),
            _ => self.linger(now),
        }
    }

    pub(super) fn deadlines(&mut self, now: Instant) {
        if let Some(rare) = &mut self.rare
            && let Some((_, code)) = rare.give_up.take_if(|(at, _)| *at <= now)
        {
            self.forget_rare();
            if let Some(id) = self.connect {
                self.h3.bidi_reset(id.into(), code);
                self.session_events(now);
            }
        }
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        match self.stage {
            Stage::Closing => self.linger(now),
            Stage::Lingering => self.close(now, H3_NO_ERROR, b""),
            Stage::Refusing => self.close(now, H3_REQUEST_CANCELLED, b"the answer was not taken in time"),
            Stage::Connecting | Stage::Asking => {
                let remote = self.quic.remote_address();
                tracing::debug!(%remote, "a handshake took too long");
                self.give_up_handshake(Some(&ConnectionError::TimedOut), Error::TimedOut);
                self.close(now, H3_REQUEST_CANCELLED, b"no session in time");
            }
            Stage::Open => {
                self.deadline = None;
                let unaccepted = self.rare.as_mut().and_then(|rare| rare.unaccepted.take());
                self.forget_rare();
                if let Some(server) = unaccepted {
                    server.not_accepted(&self.session);
                }
            }
            Stage::Closed => self.deadline = None,
        }
    }

    /// Releases the sink after a last delivery, if the sink is closed or the connection is over.
    pub(in crate::link::core) fn release_sink(&mut self, now: Instant, batch: &mut Vec<Bytes>) {
        let over = self.stage == Stage::Closed;
        if self.sink.as_ref().is_some_and(|sink| over || sink.is_closed()) {
            self.deliver(now, batch);
            self.feeding.count_drops(&mut self.quic, &self.state, over);
            if let Some(sink) = self.sink.take() {
                sink.ended();
            }
        }
        if over {
            // After the last packet, because shutdown waits for it.
            self.live = None;
            self.place = None;
        }
    }

    /// Ends a connection that is gone. From now on, its session answers questions about it. Returns
    /// what a client should hear that has yet to ask.
    pub(in crate::link::core) fn gone(
        mut self,
        now: Instant,
        batch: &mut Vec<Bytes>,
        reason: &str,
    ) -> Option<Box<Error>> {
        self.give_up_handshake(None, Error::Protocol(reason.to_owned()));
        if self.stage == Stage::Open {
            self.session.end(ending::broken(0, reason));
        }
        self.stage = Stage::Closed;
        self.adopt();
        self.release_sink(now, batch);
        self.keep_first();
        let quarter = self.quarter;
        let strip = |datagram| match quarter?.strip(datagram) {
            DatagramVerdict::Ours(payload) => Some(payload),
            _ => None,
        };
        let unread = self.take_early().into_iter().filter_map(strip).collect();
        // A client tries several addresses. Only the connection that got the session speaks for it.
        if self.quarter.is_some() {
            self.session.set_last(Last {
                stats: self.stats(),
                remote: self.remote_address(),
                local_ip: self.local_ip(),
                unread,
            });
        }
        self.lost
    }
}
