//! Requests of other threads to a lane, and packets that other lanes pass on.

use parking_lot::Mutex;

use super::{Arrival, ConnectionKey, EndpointKey};

/// The most bytes of packets that wait here: as many as a socket's buffer holds. More are lost, as
/// they would be there.
const MOST_PASSED_BYTES: usize = 4 * 1024 * 1024;

/// What a packet counts at least. It also costs memory that is not its own bytes.
const LEAST_PASSED_BYTES: usize = 1024;

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Look at what this session has to send, its close information included.
    Session(ConnectionKey),
    /// A job has work.
    Job(usize),
    /// Close this connection, which is not wanted, with this HTTP/3 code.
    Close(ConnectionKey, u64),
    /// The program has dropped this connection's request unanswered.
    Decline(ConnectionKey),
    /// Stop admitting connections and end those without a session. The socket closes with the last
    /// of the others.
    StopListening(EndpointKey),
    /// No more connections begin here: the client opens none, the server refuses them. The socket
    /// closes with the last of them.
    Retire(EndpointKey),
}

/// Packets that arrived at another lane, for the socket of one of this lane's endpoints.
pub type Passed = (EndpointKey, Arrival);

/// Commands and packets, and whether their reader sleeps.
#[derive(Debug, Default)]
pub struct Mailbox(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    commands: Vec<Command>,
    passed: Vec<Passed>,
    passed_bytes: usize,
    asleep: bool,
}

impl Mailbox {
    /// Leaves `command` in the mailbox. Returns whether its reader has to be woken.
    #[must_use]
    pub(crate) fn post(&self, command: Command) -> bool {
        let mut inner = self.0.lock();
        inner.commands.push(command);
        std::mem::take(&mut inner.asleep)
    }

    /// Leaves packets in the mailbox. Returns whether its reader has to be woken.
    #[must_use]
    pub(super) fn pass(&self, endpoint: EndpointKey, arrival: Arrival) -> bool {
        let bytes = arrival.packets.len().max(LEAST_PASSED_BYTES);
        let mut inner = self.0.lock();
        if inner.passed_bytes + bytes > MOST_PASSED_BYTES {
            return false;
        }
        inner.passed_bytes += bytes;
        inner.passed.push((endpoint, arrival));
        std::mem::take(&mut inner.asleep)
    }

    /// Notes that work was left elsewhere. Returns whether the reader has to be woken for it.
    #[must_use]
    pub(crate) fn take_sleeper(&self) -> bool {
        std::mem::take(&mut self.0.lock().asleep)
    }

    /// Exchanges all commands for `empty`, whose memory is used again. Returns the packets.
    pub fn take(&self, empty: &mut Vec<Command>) -> Vec<Passed> {
        empty.clear();
        let mut inner = self.0.lock();
        std::mem::swap(&mut inner.commands, empty);
        inner.passed_bytes = 0;
        std::mem::take(&mut inner.passed)
    }

    /// Whether the reader may sleep. If so, the next [`Self::post`] returns that it must be woken.
    pub(crate) fn may_sleep(&self) -> bool {
        let mut inner = self.0.lock();
        inner.asleep = inner.commands.is_empty() && inner.passed.is_empty();
        inner.asleep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_letter_to_a_reader_that_sleeps_wakes_it() {
        let mailbox = Mailbox::default();
        assert!(!mailbox.post(Command::Job(1)), "it is awake");
        assert!(!mailbox.may_sleep(), "there is a command");
        let mut commands = vec![Command::Job(7)];
        mailbox.take(&mut commands);
        assert_eq!(commands, [Command::Job(1)]);
        assert!(mailbox.may_sleep());
        assert!(mailbox.post(Command::Job(2)) && !mailbox.post(Command::Job(3)));
        mailbox.take(&mut commands);
        assert_eq!(commands, [Command::Job(2), Command::Job(3)]);
    }

    #[test]
    fn packets_wake_the_reader_like_commands_and_are_lost_when_there_are_too_many() {
        let mailbox = Mailbox::default();
        let pass = |bytes: usize| {
            let packets = bytes::BytesMut::zeroed(bytes);
            let from = ([127, 0, 0, 1], 1).into();
            mailbox
                .pass(EndpointKey::of(1), Arrival { from, local_ip: None, ecn: None, packets, stride: bytes })
        };
        assert!(mailbox.may_sleep());
        assert!(pass(1));
        assert!(!pass(1200) && !mailbox.may_sleep());
        let lengths = |passed: Vec<Passed>| -> Vec<_> {
            passed.iter().map(|(_, arrival)| arrival.packets.len()).collect()
        };
        assert_eq!(lengths(mailbox.take(&mut Vec::new())), [1, 1200]);
        for _ in 0..3 * MOST_PASSED_BYTES / LEAST_PASSED_BYTES {
            let _ = pass(1);
        }
        assert_eq!(mailbox.take(&mut Vec::new()).len(), MOST_PASSED_BYTES / LEAST_PASSED_BYTES);
        let _ = pass(1);
        assert_eq!(mailbox.take(&mut Vec::new()).len(), 1, "there is room again");
    }
}
