//! The steps of a turn: requests, new connections, timers, connections, jobs, and when the next
//! turn is due.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use quinn_proto::EndpointEvent;

use super::connection::Stage;
use super::jobs::After;
use super::mailbox::{Command, Mailbox};
use super::{ConnectionKey, Core, Owner, Sent, Wire};
use crate::runtime::lane::Next;

/// The most trains that one connection may write in a turn before others get theirs.
pub(super) const TRAINS_A_TURN: usize = 2;

/// The most reasons that are kept for clients that have yet to ask. A client asks as soon as its
/// program's thread gets to it.
const MOST_UNASKED: usize = 64;

impl Core {
    /// Does the work that there is at `now`. Returns when to come again.
    pub fn turn(&mut self, now: Instant, mailbox: &Mailbox, wire: &mut dyn Wire) -> Next {
        self.admit(now, wire);
        let next = self.turn_without_newcomers(now, mailbox, wire);
        if self.has_newcomers() && next != Next::AfterOthers { Next::Now } else { next }
    }

    /// Like [`Self::turn`], but new connections keep waiting: sessions come first, and making a
    /// connection takes more of the stack than a program's thread may have.
    pub(crate) fn turn_without_newcomers(
        &mut self,
        now: Instant,
        mailbox: &Mailbox,
        wire: &mut dyn Wire,
    ) -> Next {
        self.run_commands(now, mailbox, wire);
        self.due(now);
        // Connections that are listed in the meantime, with more to write, come in the next turn.
        for _ in 0..self.listed.len() {
            let Some(key) = self.listed.pop_front() else { break };
            self.drive(now, key, wire);
        }
        self.run_jobs(now);
        self.next(mailbox)
    }

    /// Sends what a session has to send, without the rest of a turn. Returns whether work is left
    /// for a turn, and when the next one is due.
    pub(crate) fn send_now(
        &mut self,
        now: Instant,
        key: ConnectionKey,
        wire: &mut dyn Wire,
    ) -> (bool, Option<Instant>) {
        if let Some(connection) = self.get(key) {
            connection.is_woken = true;
            self.drive(now, key, wire);
        }
        (!self.listed.is_empty() || !self.woken.is_empty(), self.timers.next())
    }

    fn next(&mut self, mailbox: &Mailbox) -> Next {
        let busy = !self.listed.is_empty() || !self.woken.is_empty();
        let behind = std::mem::take(&mut self.reader_is_behind);
        if behind {
            Next::AfterOthers
        } else if busy || !mailbox.may_sleep() {
            Next::Now
        } else {
            self.timers.next().map_or(Next::Never, Next::At)
        }
    }

    fn run_commands(&mut self, now: Instant, mailbox: &Mailbox, wire: &mut dyn Wire) {
        let mut commands = std::mem::take(&mut self.commands);
        for (endpoint, arrival) in mailbox.take(&mut commands) {
            self.receive_own(now, endpoint, arrival, wire);
        }
        for command in commands.drain(..) {
            match command {
                Command::Session(key) => {
                    if let Some(connection) = self.get(key) {
                        connection.command_read();
                        connection.is_woken = true;
                        self.list(key);
                    }
                }
                Command::Job(key) => self.woken.push(key),
                Command::Close(key, code) => {
                    if let Some(connection) = self.get(key) {
                        connection.abandon(now, code);
                        self.list(key);
                    }
                }
                Command::Decline(key) => {
                    if let Some(connection) = self.get(key) {
                        connection.decline(now);
                        self.list(key);
                    }
                }
                Command::StopListening(key) => self.stop_listening(now, key, wire),
                Command::Retire(key) => self.retire(key, wire),
            }
        }
        self.commands = commands;
    }

    /// Lists the connections and wakes the jobs whose time has come.
    fn due(&mut self, now: Instant) {
        while let Some((owner, due)) = self.timers.pop(now) {
            match owner {
                Owner::Connection(key) => {
                    if let Some(connection) = self.get(key)
                        && connection.armed == Some(due)
                    {
                        connection.armed = None;
                        self.list(key);
                    }
                }
                Owner::Job(key) => {
                    if let Some(entry) = self.jobs.get_mut(key)
                        && entry.armed == Some(due)
                    {
                        entry.armed = None;
                        self.woken.push(key);
                    }
                }
            }
        }
    }

    /// Drives one connection. A panic ends this connection and nothing else.
    fn drive(&mut self, now: Instant, key: ConnectionKey, wire: &mut dyn Wire) {
        if catch_unwind(AssertUnwindSafe(|| self.drive_one(now, key, wire))).is_err() {
            self.give_up(now, key);
            // If the connection panics again, it is removed without notice to the peer.
            if catch_unwind(AssertUnwindSafe(|| self.drive_one(now, key, wire))).is_err() {
                self.remove_now(now, key, wire);
            }
        }
    }

    fn drive_one(&mut self, now: Instant, key: ConnectionKey, wire: &mut dyn Wire) {
        let Some(connection) = self.connections.get_mut(key.index as usize).filter(|found| found.key == key)
        else {
            return;
        };
        connection.is_listed = false;
        self.has_served |= connection.stage == Stage::Open;
        let woken = std::mem::take(&mut connection.is_woken);
        let endpoint = &mut self.endpoints[connection.endpoint];
        connection.advance(now);
        self.reader_is_behind |= connection.deliver(now, &mut self.batch);
        let home = endpoint.key;
        let segments = wire.max_segments(home);
        let mut more = true;
        // Nothing leaves until the socket takes the train that it refused.
        let trains = if connection.is_blocked { 0 } else { TRAINS_A_TURN };
        more &= trains > 0;
        for _ in 0..trains {
            let Some(transmit) = connection.transmit(now, segments, woken, &mut self.packets) else {
                more = connection.take_ask_again();
                break;
            };
            if wire.send(home, &transmit, &self.packets[..transmit.size]) == Sent::Blocked {
                let bytes = self.packets[..transmit.size].to_vec();
                connection.hold(transmit, bytes);
                connection.is_blocked = true;
                endpoint.blocked.push(key);
                more = false;
                break;
            }
        }
        more |= connection.leave_when_sent();
        connection.release_sink(now, &mut self.batch);
        let mut is_drained = false;
        while let Some(event) = connection.quic.poll_endpoint_events() {
            is_drained |= event.is_drained();
            if let Some(answer) = endpoint.quic.handle_event(connection.handle, event) {
                connection.quic.handle_event(answer);
                more = true;
            }
        }
        if is_drained {
            self.remove(now, key, "the connection was lost", wire);
            return;
        }
        if let Some(due) = connection.due() {
            self.timers.arm(Owner::Connection(key), due, &mut connection.armed);
        }
        if more {
            self.list(key);
        }
    }

    fn run_jobs(&mut self, now: Instant) {
        for key in std::mem::take(&mut self.woken) {
            let Some(entry) = self.jobs.get(key) else { continue };
            let after = catch_unwind(AssertUnwindSafe(|| entry.run(now)));
            let panicked = after.is_err().then_some(entry.owner);
            match after.unwrap_or(After::Ended) {
                After::Wait(None) => {}
                After::Wait(Some(due)) => {
                    if let Some(entry) = self.jobs.get_mut(key) {
                        self.timers.arm(Owner::Job(key), due, &mut entry.armed);
                    }
                }
                After::Ended => {
                    let entry = self.jobs.remove(key);
                    entry.job.stopped();
                }
            }
            if let Some(owner) = panicked {
                self.give_up(now, owner);
            }
        }
    }

    /// Ends a connection because of a defect of ours.
    pub(super) fn give_up(&mut self, now: Instant, key: ConnectionKey) {
        if let Some(connection) = self.get(key) {
            connection.panicked(now);
            self.list(key);
        }
    }

    /// Removes a connection that QUIC has forgotten.
    pub(super) fn remove(&mut self, now: Instant, key: ConnectionKey, reason: &str, wire: &mut dyn Wire) {
        let connection = self.connections.remove(key.index as usize);
        let endpoint = &mut self.endpoints[connection.endpoint];
        endpoint.handles[connection.handle.0] = None;
        let (home, retiring) = (endpoint.key, endpoint.retiring);
        if let Some(reason) = connection.gone(now, &mut self.batch, reason) {
            if self.lost_unasked.len() == MOST_UNASKED {
                self.lost_unasked.pop_front();
            }
            self.lost_unasked.push_back((key, *reason));
        }
        if retiring {
            self.retire(home, wire);
        }
    }

    /// Ends a connection at once, whatever state it is in.
    pub(super) fn remove_now(&mut self, now: Instant, key: ConnectionKey, wire: &mut dyn Wire) {
        let Some(connection) = self.get(key) else { return };
        let (endpoint, handle) = (connection.endpoint, connection.handle);
        let _ = self.endpoints[endpoint].quic.handle_event(handle, EndpointEvent::drained());
        self.remove(now, key, "the session's lane gave it up", wire);
    }

    /// Ends everything. No turn follows, so nothing may wait for one.
    pub fn stop(&mut self, now: Instant) {
        for (_, connection) in std::mem::take(&mut self.connections) {
            connection.gone(now, &mut self.batch, "the session's lane ended");
        }
        for (_, entry) in std::mem::take(&mut self.jobs) {
            entry.job.stopped();
        }
        for (_, endpoint) in std::mem::take(&mut self.endpoints) {
            if let Some(acceptor) = endpoint.acceptor {
                acceptor.failed();
            }
        }
        *self = Self::default();
    }
}
