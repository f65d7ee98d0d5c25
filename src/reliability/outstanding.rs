//! The messages that were transmitted and have no outcome yet, by sequence.
//!
//! A message gets its sequence at its first transmission, so that sequences leave in order whatever
//! the priorities are. They are `u64` here, and the wire carries their low 32 bits, so a wrap needs
//! no special care.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::datagram::message::Priority;

/// The state of a message.
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
    /// Its content.
    pub payload: Bytes,
    /// Its priority.
    pub priority: Priority,
    /// From this time on it is not worth transmitting.
    pub expires_at: Option<Instant>,
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
    /// How often later acknowledgements caused a transmission.
    pub early: u32,
    /// How often its timer caused a transmission.
    pub by_timer: u32,
    /// Its state.
    pub state: State,
    /// When its timer runs out, while it is in flight.
    pub due: Instant,
    /// Whether any transmission was a plain DATA frame.
    pub sent_plain: bool,
}

impl Message {
    /// A message that was just accepted, with the lowest priority and without a TTL.
    pub fn new(now: Instant, id: u64, payload: Bytes) -> Self {
        Self {
            id,
            payload,
            priority: Priority::LOWEST,
            expires_at: None,
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

    /// Whether it is not worth transmitting any longer.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// The messages.
#[derive(Debug)]
pub struct Outstanding {
    messages: BTreeMap<u64, Message>,
    /// The sequence of the next message.
    end: u64,
    bytes: usize,
    /// How often a message was looked up: the cost of acknowledgements.
    #[cfg(test)]
    looked_at: std::cell::Cell<u64>,
}

impl Outstanding {
    /// No messages yet; the first one will have this sequence.
    pub fn new(first_sequence: u32) -> Self {
        // Starts at 2³² or above, so that nothing underflows.
        Self {
            messages: BTreeMap::new(),
            end: (1 << 32) + u64::from(first_sequence),
            bytes: 0,
            #[cfg(test)]
            looked_at: std::cell::Cell::default(),
        }
    }

    /// Adds a message after the others; returns its sequence.
    pub fn push(&mut self, message: Message) -> u64 {
        let sequence = self.end;
        self.end += 1;
        self.bytes += message.payload.len();
        self.messages.insert(sequence, message);
        sequence
    }

    /// Takes a message out, if it is there.
    pub fn take(&mut self, sequence: u64) -> Option<Message> {
        let message = self.messages.remove(&sequence)?;
        self.bytes -= message.payload.len();
        Some(message)
    }

    /// A message.
    pub fn get(&self, sequence: u64) -> Option<&Message> {
        #[cfg(test)]
        self.looked_at.set(self.looked_at.get() + 1);
        self.messages.get(&sequence)
    }

    /// A message, to change.
    pub fn get_mut(&mut self, sequence: u64) -> Option<&mut Message> {
        self.messages.get_mut(&sequence)
    }

    /// Whether the message is there and in `state`.
    pub(crate) fn is_in(&self, sequence: u64, state: State) -> bool {
        self.get(sequence).is_some_and(|message| message.state == state)
    }

    /// The sequence of the oldest message in `range`. To call it again from behind each result
    /// costs as much as it finds, however wide the range is.
    pub(crate) fn next_in(&self, range: RangeInclusive<u64>) -> Option<u64> {
        #[cfg(test)]
        self.looked_at.set(self.looked_at.get() + 1);
        if range.is_empty() {
            return None;
        }
        self.messages.range(range).next().map(|(sequence, _)| *sequence)
    }

    #[cfg(test)]
    pub(super) fn looked_at(&self) -> u64 {
        self.looked_at.get()
    }

    /// The oldest message's sequence.
    pub fn first(&self) -> Option<u64> {
        self.messages.first_key_value().map(|(sequence, _)| *sequence)
    }

    /// The sequence of the next message.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The number of sequences from the oldest message to the newest.
    pub(crate) fn span(&self) -> usize {
        (self.end - self.base()) as usize
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Their payload bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The full sequence of one on the wire, if it was used and is not older than all messages
    /// here.
    pub fn unwrap(&self, sequence: u32) -> Option<u64> {
        let offset = u64::from(sequence.wrapping_sub(self.base() as u32));
        (offset < self.end - self.base()).then(|| self.base() + offset)
    }

    /// The part of a range on the wire that was used and is not older than all messages here.
    pub fn clamp(&self, start: u32, end: u32) -> Option<RangeInclusive<u64>> {
        // Relative to the oldest. Sequences below it become very large. So a range that ends there
        // is clamped away, and a range that crosses it has its start above its end.
        let base = self.base();
        let start = u64::from(start.wrapping_sub(base as u32));
        let end = u64::from(end.wrapping_sub(base as u32));
        let last = (self.end - base).checked_sub(1)?;
        let first = if start <= end { start } else { 0 };
        (first <= last).then(|| base + first..=base + end.min(last))
    }

    fn base(&self) -> u64 {
        self.first().unwrap_or(self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight messages around the wrap; the first two are resolved.
    fn outstanding() -> (Outstanding, u64) {
        let mut outstanding = Outstanding::new(u32::MAX - 4);
        let base = outstanding.end();
        for id in 0..8 {
            let message = Message::new(Instant::now(), id, Bytes::from_static(b"four"));
            assert_eq!(outstanding.push(message), base + id);
        }
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
        let all = Some(base + 2..=base + 7);
        assert_eq!(outstanding.clamp(wire(2), wire(7)), all);
        assert_eq!(outstanding.clamp(wire(0).wrapping_sub(900), wire(0).wrapping_add(900)), all);
        assert_eq!(outstanding.clamp(wire(4), wire(5)), Some(base + 4..=base + 5));
        assert_eq!(outstanding.clamp(wire(0), wire(3)), Some(base + 2..=base + 3));
        assert_eq!(outstanding.clamp(wire(0).wrapping_sub(900), wire(1)), None);
        assert_eq!(outstanding.clamp(wire(8), wire(9)), None);
        assert_eq!(outstanding.clamp(wire(8), wire(8).wrapping_add(1 << 31)), None);
    }

    #[test]
    fn it_counts_what_has_no_outcome_and_finds_it_in_a_range() {
        let (mut outstanding, base) = outstanding();
        assert_eq!((outstanding.len(), outstanding.bytes(), outstanding.span()), (6, 24, 6));
        assert!(outstanding.take(base + 1).is_none());
        assert!(outstanding.take(base + 4).is_some());
        assert_eq!((outstanding.len(), outstanding.bytes(), outstanding.span()), (5, 20, 6));
        assert_eq!(outstanding.next_in(base + 4..=base + 7), Some(base + 5));
        assert_eq!(outstanding.next_in(base + 4..=base + 4), None);
        assert_eq!(outstanding.next_in(base + 8..=base + 7), None);
        while let Some(sequence) = outstanding.first() {
            outstanding.take(sequence);
        }
        assert!(outstanding.is_empty());
        assert_eq!((outstanding.span(), outstanding.end()), (0, base + 8));
        assert_eq!(outstanding.clamp(0, u32::MAX), None);
    }
}
