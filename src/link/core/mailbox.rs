//! Requests of other threads to a lane.

use parking_lot::Mutex;

use super::{ConnectionKey, EndpointKey};

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

/// Commands, and whether their reader sleeps.
#[derive(Debug, Default)]
pub struct Mailbox(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    commands: Vec<Command>,
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

    /// Notes that work was left elsewhere. Returns whether the reader has to be woken for it.
    #[must_use]
    pub(crate) fn take_sleeper(&self) -> bool {
        std::mem::take(&mut self.0.lock().asleep)
    }

    /// Exchanges all commands for `empty`, whose memory is used again.
    pub fn take(&self, empty: &mut Vec<Command>) {
        empty.clear();
        std::mem::swap(&mut self.0.lock().commands, empty);
    }

    /// Whether the reader may sleep. If so, the next [`Self::post`] returns that it must be woken.
    pub(crate) fn may_sleep(&self) -> bool {
        let mut inner = self.0.lock();
        inner.asleep = inner.commands.is_empty();
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
}
