//! The messages that were accepted and not transmitted yet: by priority, and within a priority in
//! the order of acceptance.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::outstanding::Message;
use crate::datagram::message::Priority;

/// A place in the order; the lowest is next.
type Place = (Reverse<u8>, u64);

/// The waiting messages.
#[derive(Debug, Default)]
pub struct Waiting {
    messages: BTreeMap<Place, Message>,
    expiries: BTreeSet<(Instant, Place)>,
    accepted: u64,
    bytes: usize,
}

impl Waiting {
    /// Adds a message after the others of its priority.
    pub fn push(&mut self, message: Message) {
        let place = (Reverse(message.priority.get()), self.accepted);
        self.accepted += 1;
        self.bytes += message.payload.len();
        if let Some(at) = message.expires_at {
            self.expiries.insert((at, place));
        }
        self.messages.insert(place, message);
    }

    /// The priority of the next message.
    pub(crate) fn next_priority(&self) -> Option<u8> {
        self.messages.first_key_value().map(|((Reverse(priority), _), _)| *priority)
    }

    /// Takes the next message.
    pub fn pop(&mut self) -> Option<Message> {
        let place = *self.messages.first_key_value()?.0;
        self.take(place)
    }

    /// Takes a message that has expired by now.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<Message> {
        let (_, place) = *self.expiries.first().filter(|(at, _)| *at <= now)?;
        self.take(place)
    }

    /// Takes a message that was accepted at `then` or before.
    pub(crate) fn pop_accepted_by(&mut self, then: Instant) -> Option<Message> {
        let oldest =
            |priority| self.messages.range((Reverse(priority), 0)..=(Reverse(priority), u64::MAX)).next();
        let (place, _) =
            (0..=Priority::HIGHEST.get()).filter_map(oldest).find(|(_, message)| message.accepted <= then)?;
        self.take(*place)
    }

    /// When the first of them expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(at, _)| *at)
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

    fn take(&mut self, place: Place) -> Option<Message> {
        let message = self.messages.remove(&place)?;
        self.bytes -= message.payload.len();
        if let Some(at) = message.expires_at {
            self.expiries.remove(&(at, place));
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;

    fn message(id: u64, priority: i64, accepted: Instant, ttl: Option<Duration>) -> Message {
        let message = Message::new(accepted, id, Bytes::from_static(b"four"));
        Message {
            priority: Priority::clamped(priority),
            expires_at: ttl.map(|ttl| accepted + ttl),
            ..message
        }
    }

    #[test]
    fn the_higher_priority_goes_first_and_the_earlier_of_two_equals() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        for (id, priority) in [(1, 0), (2, 2), (3, 1), (4, 2), (5, 0)] {
            waiting.push(message(id, priority, now, None));
        }
        assert_eq!((waiting.len(), waiting.bytes(), waiting.next_priority()), (5, 20, Some(2)));
        let order: Vec<u64> = std::iter::from_fn(|| waiting.pop()).map(|message| message.id).collect();
        assert_eq!(order, [2, 4, 3, 1, 5]);
        assert!(waiting.is_empty() && waiting.bytes() == 0);
    }

    #[test]
    fn what_expired_or_waited_too_long_is_found_wherever_it_waits() {
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        let ms = Duration::from_millis;
        waiting.push(message(1, 0, start, Some(ms(30))));
        waiting.push(message(2, 2, start + ms(5), None));
        waiting.push(message(3, 0, start + ms(10), Some(ms(10))));
        assert_eq!(waiting.next_expiry(), Some(start + ms(20)));
        assert!(waiting.pop_expired(start + ms(19)).is_none());
        assert_eq!(waiting.pop_expired(start + ms(20)).unwrap().id, 3);
        assert_eq!(waiting.pop_accepted_by(start + ms(4)).unwrap().id, 1);
        assert!(waiting.pop_accepted_by(start + ms(4)).is_none() && waiting.next_expiry().is_none());
        assert_eq!(waiting.pop_accepted_by(start + ms(5)).unwrap().id, 2);
    }
}
