//! The queue of a structured transport that shares its session's datagrams with other readers.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::datagram::message::Metadata;
use crate::error::{Error, Result};

/// Datagrams that wait to be read and decoded on a caller's thread.
pub struct Inbox {
    state: Mutex<State>,
    capacity: usize,
}

#[derive(Default)]
struct State {
    /// Copies, because a datagram that arrives shares its memory with its packet.
    waiting: VecDeque<(Instant, Metadata, Box<[u8]>)>,
    next_sequence: u64,
    dropped_full: u64,
    ended: bool,
}

impl Inbox {
    /// A queue for at most `capacity` datagrams, at least one.
    pub fn new(capacity: usize) -> Self {
        Self { state: Mutex::default(), capacity: capacity.max(1) }
    }

    /// Takes a datagram. If the queue is full or has ended, the datagram is dropped, as in the
    /// reference. Returns how many wait now, or nothing if it was dropped.
    pub fn put(&self, now: Instant, payload: &[u8]) -> Option<usize> {
        let mut state = self.state.lock();
        let sequence = state.next_sequence;
        state.next_sequence += 1;
        if state.waiting.len() >= self.capacity || state.ended {
            state.dropped_full += 1;
            return None;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp_us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let metadata = Metadata { timestamp_us, size: payload.len(), sequence, ..Metadata::default() };
        state.waiting.push_back((now, metadata, payload.into()));
        Some(state.waiting.len())
    }

    /// Takes the next datagram, which replaces the content of `buffer`. [`Error::WouldBlock`] if
    /// there is none, [`Error::Closed`] if none will come.
    pub fn take(&self, buffer: &mut Vec<u8>) -> Result<Metadata> {
        let mut state = self.state.lock();
        let Some((arrived, metadata, payload)) = state.waiting.pop_front() else {
            return Err(if state.ended { Error::Closed } else { Error::WouldBlock });
        };
        buffer.clear();
        buffer.extend_from_slice(&payload);
        Ok(Metadata { age: arrived.elapsed(), ..metadata })
    }

    /// Takes no more datagrams; those that wait can still be received.
    pub fn end(&self) {
        self.state.lock().ended = true;
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many were dropped because there was no space.
    pub fn dropped_full(&self) -> u64 {
        self.state.lock().dropped_full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_inbox_drops_the_newcomer_and_counts_it() {
        let inbox = Inbox::new(2);
        let now = Instant::now();
        assert_eq!((inbox.put(now, b"a"), inbox.put(now, b"b")), (Some(1), Some(2)));
        assert_eq!(inbox.put(now, b"c"), None);
        assert_eq!((inbox.len(), inbox.dropped_full()), (2, 1));
        let mut buffer = b"old".to_vec();
        assert_eq!(inbox.take(&mut buffer).unwrap().sequence, 0);
        assert_eq!(buffer, b"a");
        inbox.take(&mut buffer).unwrap();
        inbox.put(now, b"d");
        assert_eq!(inbox.take(&mut buffer).unwrap().sequence, 3, "a gap is a drop");
        assert_eq!(inbox.take(&mut buffer), Err(Error::WouldBlock));
    }

    #[test]
    fn after_the_end_what_waits_is_received_and_then_it_is_closed() {
        let inbox = Inbox::new(2);
        inbox.put(Instant::now(), b"last");
        inbox.end();
        inbox.put(Instant::now(), b"too late");
        let mut buffer = Vec::new();
        assert!(inbox.take(&mut buffer).is_ok());
        assert_eq!(inbox.take(&mut buffer), Err(Error::Closed));
    }
}
