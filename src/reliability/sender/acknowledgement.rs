//! Acknowledgements at the sender: which messages arrived, how long they took, and which must have
//! been lost.

use std::time::{Duration, Instant};

use super::{Newest, SETTLED, Sender, Settled};
use crate::reliability::ack::{Echo, RangeAck};
use crate::reliability::frame::MAX_TRANSMISSION;
use crate::reliability::outcome::MessageOutcome;
use crate::reliability::outstanding::State;

/// The most early retransmissions of one message. After these only the timer, which backs off,
/// sends it again. Otherwise a peer that acknowledges everything except one message would get it
/// once in every round trip for ever.
pub(super) const MAX_EARLY: u32 = 8;

impl Sender {
    /// Whether a message with this sequence was transmitted plain and has no outcome.
    pub(crate) fn awaits_plain_ack(&self, sequence: u32) -> bool {
        let sequence = self.outstanding.unwrap(sequence);
        sequence.and_then(|sequence| self.outstanding.get(sequence)).is_some_and(|message| message.sent_plain)
    }

    /// Takes a plain ACK, which settles a message that was transmitted plain. Returns whether it
    /// was awaited.
    pub fn on_plain_ack(&mut self, now: Instant, sequence: u32) -> bool {
        let Some(sequence) = self.outstanding.unwrap(sequence) else { return self.unexpected() };
        if self.outstanding.get(sequence).is_none_or(|message| !message.sent_plain) {
            return self.unexpected();
        }
        let newest = self.newest;
        self.acknowledge(now, sequence, newest, true, None);
        self.after_acks(now, 1);
        true
    }

    /// Takes a range ACK of the peer's present layer.
    pub fn on_range_ack(&mut self, now: Instant, ack: &RangeAck) {
        let newest = self.newest;
        if let Some(echo) = ack.echo {
            self.on_echo(now, echo);
        }
        let mut acknowledged = 0;
        for &(start, end) in &ack.ranges {
            let Some(range) = self.outstanding.clamp(start, end) else { continue };
            let (mut from, last) = range.into_inner();
            while let Some(sequence) = self.outstanding.next_in(from..=last) {
                self.acknowledge(now, sequence, newest, false, ack.echo);
                acknowledged += 1;
                from = sequence + 1;
            }
        }
        for &(sequence, transmission) in &ack.duplicates {
            self.on_duplicate_report(now, sequence, transmission);
        }
        let was_full = std::mem::replace(&mut self.peer_full, ack.full);
        if ack.full {
            self.peer_full_at = Some(now);
        }
        if was_full && !ack.full {
            self.throttle.restart();
            self.lose_everything_refused(now);
        }
        self.after_acks(now, acknowledged);
    }

    fn unexpected(&mut self) -> bool {
        self.stats.unexpected_acks += 1;
        false
    }

    /// Takes the echo of the frame that arrived last at the peer: an unambiguous round trip.
    fn on_echo(&mut self, now: Instant, echo: Echo) {
        let Some(sequence) = self.outstanding.unwrap(echo.sequence) else { return };
        let Some(message) = self.outstanding.get(sequence) else { return };
        let first = echo.transmission == 0 && message.transmissions > 0;
        let last =
            message.transmissions == u32::from(echo.transmission) + 1 && echo.transmission < MAX_TRANSMISSION;
        if !first && !last {
            return;
        }
        let sent = if first { message.first_sent } else { message.last_sent };
        let number = message.last_number;
        // A delay that is longer than the whole round trip is not believed.
        let whole = now.saturating_duration_since(sent);
        let rtt = whole.checked_sub(echo.delay).unwrap_or(whole);
        self.rtt.sample(now, rtt);
        if last {
            self.raise_newest(number, whole);
        }
    }

    /// Resolves a message. `newest_before` is the value before the frame that acknowledged it; a
    /// plain ACK is a round trip of its own.
    fn acknowledge(
        &mut self,
        now: Instant,
        sequence: u64,
        newest_before: Option<Newest>,
        plain: bool,
        echo: Option<Echo>,
    ) {
        let Some(message) = self.outstanding.get(sequence) else { return };
        let whole = now.saturating_duration_since(message.first_sent);
        let since_last = now.saturating_duration_since(message.last_sent);
        let (number, transmissions, early) = (message.last_number, message.transmissions, message.early);
        let (first_sent, last_sent, sent_plain) = (message.first_sent, message.last_sent, message.sent_plain);
        let min_rtt = self.rtt.min_rtt().unwrap_or_default();
        let echoed = echo.filter(|echo| echo.sequence == sequence as u32);
        let mut spurious = false;
        if transmissions == 1 {
            if plain {
                self.rtt.sample(now, whole);
            }
            // A message whose plain ACK was lost, and that a range ACK settles, was not overtaken.
            let overtaken = newest_before.is_some_and(|newest| newest.number > number);
            if overtaken && plain == sent_plain {
                self.reordering.observe(whole.saturating_sub(min_rtt));
            }
            self.raise_newest(number, whole);
        } else {
            // The original arrived, or the acknowledgement came sooner than any round trip.
            let original = echoed.is_some_and(|echo| echo.transmission == 0);
            let too_soon = since_last < min_rtt / 16 * 15;
            if original || too_soon {
                spurious = true;
                self.stats.spurious_retransmits += 1;
                // If the timer retransmitted it, its acknowledgement may have been lost and not
                // late.
                let by_loss = early == transmissions - 1 && plain == sent_plain;
                if by_loss && (original || transmissions == 2) {
                    self.reordering.observe(whole.saturating_sub(min_rtt));
                }
            }
            if !original && !too_soon {
                self.raise_newest(number, now.saturating_duration_since(last_sent));
            }
            if self.settled.len() == SETTLED {
                self.settled.pop_front();
            }
            let by_timer = early != transmissions - 1;
            self.settled.push_back(Settled { sequence: sequence as u32, first_sent, by_timer, spurious });
        }
        self.reordering.settle();
        self.resolve(now, sequence, MessageOutcome::Acknowledged);
    }

    /// The peer got a copy. If it is the first transmission, no later one was needed; if it is
    /// another, the network may have doubled it.
    fn on_duplicate_report(&mut self, now: Instant, sequence: u32, transmission: u8) {
        if transmission != 0 {
            return;
        }
        let min_rtt = self.rtt.min_rtt().unwrap_or_default();
        let Some(settled) = self.settled.iter_mut().rev().find(|settled| settled.sequence == sequence) else {
            return;
        };
        if !std::mem::replace(&mut settled.spurious, true) {
            let whole = now.saturating_duration_since(settled.first_sent);
            self.stats.spurious_retransmits += 1;
            if !settled.by_timer {
                self.reordering.observe(whole.saturating_sub(min_rtt));
            }
        }
    }

    fn raise_newest(&mut self, number: u64, rtt: Duration) {
        if self.newest.is_none_or(|newest| newest.number < number) {
            self.newest = Some(Newest { number, rtt });
        }
    }

    fn after_acks(&mut self, now: Instant, acknowledged: usize) {
        if acknowledged > 0 {
            self.progressed = Some(now);
            self.throttle.on_progress(acknowledged, self.unresolved().0);
        }
        self.detect_loss(now);
    }

    pub(super) fn detect_loss(&mut self, now: Instant) {
        self.reordering_deadline = None;
        let Some(newest) = self.newest else { return };
        if self.peer_full {
            // Messages without an acknowledgement were refused, not lost.
            return;
        }
        let wait = newest.rtt + self.reordering_window();
        while let Some(&(sequence, number)) = self.log.front() {
            if number >= newest.number {
                break;
            }
            if !self.is_last_transmission(sequence, number) {
                self.log.pop_front();
                continue;
            }
            let Some(message) = self.outstanding.get(sequence) else { break };
            let deadline = message.last_sent + wait;
            if deadline > now {
                self.reordering_deadline = Some(deadline);
                break;
            }
            if message.state == State::InFlight && message.early < MAX_EARLY {
                self.lose(now, sequence, State::LostEarly);
            }
            self.log.pop_front();
        }
    }

    /// The peer has space again: messages that it refused need not wait for their timers.
    fn lose_everything_refused(&mut self, now: Instant) {
        let rtt = self.rtt.srtt().unwrap_or_default();
        // In order of transmission, up to those that the peer cannot have answered yet.
        while let Some(&(sequence, number)) = self.log.front() {
            if self.is_last_transmission(sequence, number) {
                if self.outstanding.get(sequence).is_none_or(|message| message.last_sent + rtt > now) {
                    break;
                }
                self.lose(now, sequence, State::LostEarly);
            }
            self.log.pop_front();
        }
    }
}
