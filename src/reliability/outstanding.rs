//! The messages from the oldest without an outcome to the newest, by sequence.
//!
//! Sequences are `u64` here and are cut to their low 32 bits on the wire, so the wrap is no event.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// Where a message is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not transmitted yet.
    New,
    /// Transmitted, and its timer runs.
    InFlight,
    /// To be transmitted again because later ones were acknowledged.
    LostEarly,
    /// To be transmitted again because its timer ran out.
    LostByTimer,
}

/// A message without an outcome.
#[derive(Debug)]
pub struct Message {
    /// The caller's number for it.
    pub id: u64,
    /// What it says.
    pub payload: Bytes,
    /// When it was accepted.
    pub accepted: Instant,
    /// When it was transmitted first; before that, when it was accepted.
    pub first_sent: Instant,
    /// How long the path had been blocked when it was transmitted first.
    pub blocked_before: Duration,
    /// When it was transmitted last.
    pub last_sent: Instant,
    /// The count of all transmissions when it was transmitted last.
    pub last_number: u64,
    /// How often it was transmitted.
    pub transmissions: u32,
    /// How often because of later acknowledgements.
    pub early: u32,
    /// How often because of its timer.
    pub by_timer: u32,
    /// Where it is in its life.
    pub state: State,
    /// When its timer runs out, while it is in flight.
    pub due: Instant,
    /// Whether any transmission was a plain DATA frame.
    pub sent_plain: bool,
}

impl Message {
    /// A message just accepted.
    pub fn new(now: Instant, id: u64, payload: Bytes) -> Self {
        Self {
            id,
            payload,
            accepted: now,
            first_sent: now,
            blocked_before: Duration::ZERO,
            last_sent: now,
            last_number: 0,
            transmissions: 0,
            early: 0,
            by_timer: 0,
            state: State::New,
            due: now,
            sent_plain: false,
        }
    }
}

/// The messages, and which of them is the next to be transmitted for the first time.
#[derive(Debug)]
pub struct Outstanding {
    /// The sequence of `slots[0]`.
    base: u64,
    /// `None` has its outcome; the first is never `None`.
    slots: VecDeque<Option<Message>>,
    next_new: u64,
    unresolved: usize,
    bytes: usize,
}

impl Outstanding {
    /// None yet; the first will have this sequence.
    pub fn new(first_sequence: u32) -> Self {
        // One turn above zero, so that nothing underflows.
        let base = (1 << 32) + u64::from(first_sequence);
        Self { base, slots: VecDeque::new(), next_new: base, unresolved: 0, bytes: 0 }
    }

    /// Adds a message after the others.
    pub fn push(&mut self, message: Message) {
        self.unresolved += 1;
        self.bytes += message.payload.len();
        self.slots.push_back(Some(message));
    }

    /// Takes a message out, if it is there.
    pub fn take(&mut self, sequence: u64) -> Option<Message> {
        let index = usize::try_from(sequence.checked_sub(self.base)?).ok()?;
        let message = self.slots.get_mut(index)?.take()?;
        self.unresolved -= 1;
        self.bytes -= message.payload.len();
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.base += 1;
        }
        self.next_new = self.next_new.max(self.base);
        Some(message)
    }

    /// A message.
    pub fn get(&self, sequence: u64) -> Option<&Message> {
        self.slots.get(usize::try_from(sequence.checked_sub(self.base)?).ok()?)?.as_ref()
    }

    /// A message, to change.
    pub fn get_mut(&mut self, sequence: u64) -> Option<&mut Message> {
        self.slots.get_mut(usize::try_from(sequence.checked_sub(self.base)?).ok()?)?.as_mut()
    }

    /// Whether the message is there and in `state`.
    pub fn is_in(&self, sequence: u64, state: State) -> bool {
        self.get(sequence).is_some_and(|message| message.state == state)
    }

    /// Whether there are messages that were not transmitted yet.
    pub fn has_new(&self) -> bool {
        self.next_new < self.end()
    }

    /// The next message to be transmitted for the first time; it counts as transmitted from here on.
    pub fn next_new(&mut self) -> Option<u64> {
        while self.has_new() {
            self.next_new += 1;
            if self.is_in(self.next_new - 1, State::New) {
                return Some(self.next_new - 1);
            }
        }
        None
    }

    /// All sequences, with and without outcome.
    pub fn sequences(&self) -> std::ops::Range<u64> {
        self.base..self.end()
    }

    /// The sequence after the newest.
    pub fn end(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    /// From the oldest message without an outcome to the newest, in sequences.
    pub fn span(&self) -> usize {
        self.slots.len()
    }

    /// Messages without an outcome.
    pub fn len(&self) -> usize {
        self.unresolved
    }

    /// Whether every message has its outcome.
    pub fn is_empty(&self) -> bool {
        self.unresolved == 0
    }

    /// Payload bytes of the messages without an outcome.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The full sequence of one on the wire, if it was transmitted and is not older than all here.
    pub fn unwrap(&self, sequence: u32) -> Option<u64> {
        let offset = u64::from(sequence.wrapping_sub(self.base as u32));
        (offset < self.next_new - self.base).then(|| self.base + offset)
    }

    /// The part of a range on the wire that was transmitted and is not older than all here.
    pub fn clamp(&self, start: u32, end: u32) -> Option<(u64, u64)> {
        // Relative to the oldest; what lies below it is far above, so a range that ends there is clamped away and
        // one that crosses it has its start above its end.
        let start = u64::from(start.wrapping_sub(self.base as u32));
        let end = u64::from(end.wrapping_sub(self.base as u32));
        let last = (self.next_new - self.base).checked_sub(1)?;
        let first = if start <= end { start } else { 0 };
        (first <= last).then(|| (self.base + first, self.base + end.min(last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten messages around the wrap, of which the first eight have been transmitted and the first two resolved.
    fn outstanding() -> (Outstanding, u64) {
        let first = u32::MAX - 4;
        let mut outstanding = Outstanding::new(first);
        for id in 0..10 {
            outstanding.push(Message::new(Instant::now(), id, Bytes::from_static(b"four")));
        }
        for _ in 0..8 {
            outstanding.next_new();
        }
        let base = outstanding.sequences().start;
        assert!(outstanding.take(base + 1).is_some() && outstanding.take(base).is_some());
        (outstanding, base)
    }

    #[test]
    fn only_what_was_transmitted_and_is_unresolved_can_be_acknowledged() {
        let (outstanding, base) = outstanding();
        let wire = |offset: u64| (base + offset) as u32;
        for offset in 0..12 {
            let expected = (2..8).contains(&offset).then_some(base + offset);
            assert_eq!(outstanding.unwrap(wire(offset)), expected);
        }
        assert_eq!(outstanding.unwrap(wire(2).wrapping_add(1 << 31)), None);
        let all = Some((base + 2, base + 7));
        assert_eq!(outstanding.clamp(wire(2), wire(7)), all);
        assert_eq!(outstanding.clamp(wire(0).wrapping_sub(900), wire(0).wrapping_add(900)), all);
        assert_eq!(outstanding.clamp(wire(4), wire(5)), Some((base + 4, base + 5)));
        assert_eq!(outstanding.clamp(wire(0), wire(3)), Some((base + 2, base + 3)));
        assert_eq!(outstanding.clamp(wire(0).wrapping_sub(900), wire(1)), None);
        assert_eq!(outstanding.clamp(wire(8), wire(9)), None);
        assert_eq!(outstanding.clamp(wire(8), wire(8).wrapping_add(1 << 31)), None);
    }

    #[test]
    fn it_counts_what_has_no_outcome() {
        let (mut outstanding, base) = outstanding();
        assert_eq!((outstanding.len(), outstanding.bytes(), outstanding.span()), (8, 32, 8));
        assert!(outstanding.take(base + 1).is_none());
        assert!(outstanding.take(base + 9).is_some());
        assert_eq!((outstanding.len(), outstanding.bytes(), outstanding.span()), (7, 28, 8));
        for sequence in outstanding.sequences() {
            outstanding.take(sequence);
        }
        assert!(outstanding.is_empty() && !outstanding.has_new());
        assert_eq!((outstanding.span(), outstanding.end()), (0, base + 10));
        assert_eq!(outstanding.clamp(0, u32::MAX), None);
    }
}
