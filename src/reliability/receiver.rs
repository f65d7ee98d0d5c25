//! The receiving half: it takes each message once, and acknowledges the messages that it took and
//! nothing else.
//!
//! A message is acknowledged when it lies in the inbound queue. When the queue is full, a message
//! is neither remembered nor acknowledged, so the sender tries again: a slow reader causes
//! backpressure, not loss. A copy of a message is acknowledged again, within limits, because the
//! first acknowledgement may have been lost. Messages leave in the order of their arrival.
//!
//! Each plain DATA gets a plain ACK. Bound DATA gets range ACKs: within [`MAX_ACK_DELAY`], at once
//! if something is out of order, and never two within [`MIN_ACK_GAP`].
//!
//! The reference numbers from 0 again when its layer is opened again, and does not say so. The
//! hashes of the first [`FINGERPRINTS`] payloads show it: the same number with another payload is
//! another message. (If a first message equals the old one, it is taken for a copy. Where that
//! matters, close the session, not the layer.)

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::ack::{Echo, MAX_DUPLICATES, RangeAck};
use super::frame;
use super::limits::{MAX_ACK_DELAY, MAX_SPAN};
use super::negotiation::Form;
use super::seen::{Seen, SeenWindow};
use super::stats::ReceiverStats;

/// The least time between two range ACKs, whatever arrives.
pub const MIN_ACK_GAP: Duration = Duration::from_millis(1);
/// After this many messages a range ACK waits no longer.
const ACK_EVERY: u32 = 32;
/// Ranges that a range ACK repeats from earlier ones, in case those were lost.
const REPEATED_RANGES: usize = 128;
/// The most plain ACKs that wait for transmission, and acknowledgements below the repeated ranges.
const MAX_PENDING: usize = 4096;
/// The most plain acknowledgements of copies: per second, and at once.
const COPIES_PER_SECOND: u64 = 2000;
const COPIES_BURST: u64 = 256;
/// The least space for an acknowledgement: a range ACK with echo and one range.
const MIN_ACK_SPACE: usize = 40;
/// Sequences whose payloads are remembered by a hash.
pub const FINGERPRINTS: usize = 64;

/// A message as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message.
    pub payload: Bytes,
    /// Its sequence.
    pub sequence: u32,
    /// When it arrived.
    pub arrived: Instant,
}

/// The receiving half.
#[derive(Debug)]
pub struct Receiver {
    max_messages: usize,
    max_bytes: usize,
    seen: SeenWindow,
    queue: VecDeque<Received>,
    queued_bytes: usize,
    /// Messages were refused and there has been no space since.
    full: bool,
    plain_acks: VecDeque<u32>,
    copies: CopyLimit,
    range: PendingRangeAck,
    fingerprints: Fingerprints,
    stats: ReceiverStats,
}

/// What the next range ACK will say besides the ranges of the window.
#[derive(Debug, Default)]
struct PendingRangeAck {
    due: Option<Instant>,
    count: u32,
    last_sent: Option<Instant>,
    echo: Option<(u32, u8, Instant)>,
    duplicates: Vec<(u32, u8)>,
    /// Sequences that arrived since the last one; those that the ranges do not reach are listed.
    fresh: Vec<u32>,
}

impl Receiver {
    /// An empty queue of at most so many messages and bytes; a single message may be larger.
    pub fn new(now: Instant, max_messages: usize, max_bytes: usize) -> Self {
        Self {
            max_messages: max_messages.max(1),
            max_bytes,
            seen: SeenWindow::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            full: false,
            plain_acks: VecDeque::new(),
            copies: CopyLimit { tokens: COPIES_BURST, refilled: now },
            range: PendingRangeAck::default(),
            fingerprints: Fingerprints::default(),
            stats: ReceiverStats::default(),
        }
    }

    /// Takes a plain DATA frame, of the peer's present opening as far as is known.
    pub(crate) fn on_plain_data(&mut self, now: Instant, sequence: u32, payload: Bytes) {
        let mut seen = self.seen.check(sequence);
        let hash = Fingerprints::hash(sequence, &payload);
        if seen != Seen::New && self.fingerprints.show_a_restart(sequence, hash, seen) {
            self.stats.peer_restarts += 1;
            self.forget_peer();
            self.fingerprints.turn();
            seen = Seen::New;
        }
        match seen {
            Seen::New => {
                if self.accept(now, sequence, payload) {
                    self.fingerprints.remember(sequence, hash);
                    self.queue_plain_ack(sequence);
                }
            }
            Seen::Duplicate => {
                self.stats.duplicates += 1;
                if self.copies.allow(now) {
                    self.queue_plain_ack(sequence);
                } else {
                    self.stats.acks_withheld += 1;
                }
            }
            Seen::TooOld => self.stats.too_old += 1,
        }
    }

    /// Whether a message with this sequence has not arrived.
    pub(crate) fn is_missing(&self, sequence: u32) -> bool {
        self.seen.check(sequence) == Seen::New
    }

    /// Takes a DATA frame bound to the peer's present opening.
    pub(crate) fn on_bound_data(&mut self, now: Instant, sequence: u32, transmission: u8, payload: Bytes) {
        let seen = self.seen.check(sequence);
        let in_order = seen == Seen::New && self.seen.is_next(sequence);
        match seen {
            Seen::New => {
                if !self.accept(now, sequence, payload) {
                    // An answer at once, so that the sender does not take this for loss.
                    self.hasten_range_ack(now);
                    return;
                }
            }
            Seen::Duplicate => {
                self.stats.duplicates += 1;
                if self.range.duplicates.len() < MAX_DUPLICATES {
                    self.range.duplicates.push((sequence, transmission));
                }
            }
            Seen::TooOld => {
                // The sender's window has passed it, so it is resolved there.
                self.stats.too_old += 1;
                return;
            }
        }
        self.range.echo = Some((sequence, transmission, now));
        if self.range.fresh.len() < MAX_PENDING {
            self.range.fresh.push(sequence);
        } else {
            self.stats.acks_withheld += 1;
        }
        self.range.count += 1;
        if in_order && self.range.count < ACK_EVERY {
            self.range.due.get_or_insert(now + MAX_ACK_DELAY);
        } else {
            self.hasten_range_ack(now);
        }
    }

    /// The next message for the reader.
    pub fn recv(&mut self, now: Instant) -> Option<Received> {
        let received = self.queue.pop_front()?;
        self.queued_bytes -= received.payload.len();
        self.stats.delivered += 1;
        let room =
            self.queue.len() <= self.max_messages * 3 / 4 && self.queued_bytes <= self.max_bytes / 4 * 3;
        if self.full && room {
            self.full = false;
            self.hasten_range_ack(now);
        }
        Some(received)
    }

    /// The next acknowledgement to transmit, if one is due: plain ACKs or range ACKs, as `form`
    /// says.
    pub fn poll(&mut self, now: Instant, max_size: usize, form: Form) -> Option<Bytes> {
        if max_size < MIN_ACK_SPACE {
            // Nothing can be sent on such a path; the peer sends its messages again if that
            // changes.
            self.plain_acks.clear();
            self.range.due = None;
            return None;
        }
        let tag = match form {
            Form::Held => return None,
            Form::Plain => {
                self.range.due = None;
                let sequence = self.plain_acks.pop_front()?;
                self.stats.plain_acks_sent += 1;
                return Some(frame::ack(sequence));
            }
            Form::Bound(tag) => tag,
        };
        if !self.plain_acks.is_empty() {
            // A peer that has negotiated meanwhile gets no plain ones.
            self.range.fresh.extend(self.plain_acks.drain(..));
            self.hasten_range_ack(now);
        }
        if self.next_deadline(form)? > now {
            return None;
        }
        self.range.due = None;
        let ack = self.range_ack(now);
        self.range.count = 0;
        self.range.last_sent = Some(now);
        self.stats.range_acks_sent += 1;
        Some(frame::bound_ack(tag, &ack, max_size.min(1000)))
    }

    /// When the next range ACK is due.
    pub(crate) fn next_deadline(&self, form: Form) -> Option<Instant> {
        let due = self.range.due.filter(|_| matches!(form, Form::Bound(_)))?;
        Some(self.range.last_sent.map_or(due, |last| due.max(last + MIN_ACK_GAP)))
    }

    /// Whether plain DATA waits for its acknowledgement.
    pub(crate) fn has_plain_acks(&self) -> bool {
        !self.plain_acks.is_empty()
    }

    /// Makes pending acknowledgements due now: for use before closing.
    pub fn flush(&mut self, now: Instant) {
        if self.range.due.is_some() {
            self.range.due = Some(now);
            self.range.last_sent = None;
        }
    }

    /// The peer's layer was opened again: its sequences start again. Messages in the queue stay
    /// there.
    pub(crate) fn on_peer_restart(&mut self) {
        self.stats.peer_restarts += 1;
        self.forget_peer();
        self.fingerprints = Fingerprints::default();
    }

    /// Counters.
    pub fn stats(&self) -> ReceiverStats {
        self.stats
    }

    /// Messages for the reader, and their payload bytes.
    pub fn inbound(&self) -> (usize, usize) {
        (self.queue.len(), self.queued_bytes)
    }

    fn forget_peer(&mut self) {
        self.seen.clear();
        self.plain_acks.clear();
        self.range = PendingRangeAck::default();
    }

    fn accept(&mut self, now: Instant, sequence: u32, payload: Bytes) -> bool {
        let bytes = self.queued_bytes.saturating_add(payload.len());
        let room = self.queue.len() < self.max_messages && (self.queue.is_empty() || bytes <= self.max_bytes);
        if !room {
            self.stats.refused_full += 1;
            self.full = true;
            return false;
        }
        self.seen.insert(sequence);
        self.queued_bytes = bytes;
        self.queue.push_back(Received { payload, sequence, arrived: now });
        self.stats.accepted += 1;
        true
    }

    fn queue_plain_ack(&mut self, sequence: u32) {
        if self.plain_acks.len() < MAX_PENDING {
            self.plain_acks.push_back(sequence);
        } else {
            self.stats.acks_withheld += 1;
        }
    }

    fn hasten_range_ack(&mut self, now: Instant) {
        self.range.due = Some(self.range.due.map_or(now, |due| due.min(now)));
    }

    fn range_ack(&mut self, now: Instant) -> RangeAck {
        let (mut ranges, lowest) = self.seen.ranges(MAX_SPAN as u32, REPEATED_RANGES);
        let mut below: Vec<u32> = std::mem::take(&mut self.range.fresh);
        // Distance downwards from the lowest sequence that the ranges describe.
        let distance = |sequence: u32| lowest.wrapping_sub(sequence);
        below.retain(|&sequence| (1..1 << 31).contains(&distance(sequence)));
        below.sort_unstable_by_key(|&sequence| distance(sequence));
        below.dedup();
        for sequence in below {
            match ranges.last_mut() {
                Some((start, _)) if start.wrapping_sub(sequence) == 1 => *start = sequence,
                _ => ranges.push((sequence, sequence)),
            }
        }
        let echo = self.range.echo.take().map(|(sequence, transmission, arrived)| Echo {
            sequence,
            transmission,
            delay: now.saturating_duration_since(arrived),
        });
        RangeAck { full: self.full, echo, duplicates: std::mem::take(&mut self.range.duplicates), ranges }
    }
}

/// Limits how often copies are acknowledged.
#[derive(Debug)]
struct CopyLimit {
    tokens: u64,
    refilled: Instant,
}

impl CopyLimit {
    fn allow(&mut self, now: Instant) -> bool {
        let elapsed_us = now.saturating_duration_since(self.refilled).as_micros();
        let gained = elapsed_us * u128::from(COPIES_PER_SECOND) / 1_000_000;
        if gained > 0 {
            self.refilled = now;
            self.tokens = u128::from(self.tokens).saturating_add(gained).min(u128::from(COPIES_BURST)) as u64;
        }
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        allowed
    }
}

/// The hashes of the first payloads of this opening of the peer's layer and of the one before.
#[derive(Debug)]
struct Fingerprints {
    present: [Option<u64>; FINGERPRINTS],
    past: [Option<u64>; FINGERPRINTS],
}

impl Fingerprints {
    fn hash(sequence: u32, payload: &Bytes) -> u64 {
        if sequence as usize >= FINGERPRINTS {
            return 0;
        }
        let mut hasher = DefaultHasher::new();
        payload.hash(&mut hasher);
        hasher.finish()
    }

    fn remember(&mut self, sequence: u32, hash: u64) {
        if let Some(entry) = self.present.get_mut(sequence as usize) {
            *entry = Some(hash);
        }
    }

    /// Whether a sequence that is not new belongs to another message than the one that had it.
    fn show_a_restart(&self, sequence: u32, hash: u64, seen: Seen) -> bool {
        let Some(present) = self.present.get(sequence as usize) else { return false };
        match present {
            Some(present) => *present != hash && self.past[sequence as usize] != Some(hash),
            None => seen == Seen::TooOld,
        }
    }

    fn turn(&mut self) {
        self.past = std::mem::replace(&mut self.present, [None; FINGERPRINTS]);
    }
}

impl Default for Fingerprints {
    fn default() -> Self {
        Self { present: [None; FINGERPRINTS], past: [None; FINGERPRINTS] }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Frame, Tag};
    use super::*;

    const TAG: Tag = Tag(5);

    fn receiver(messages: usize, bytes: usize) -> (Receiver, Instant) {
        let now = Instant::now();
        (Receiver::new(now, messages, bytes), now)
    }

    fn plain_acks(receiver: &mut Receiver, now: Instant) -> Vec<u32> {
        let mut acks = Vec::new();
        while let Some(frame) = receiver.poll(now, 1200, Form::Plain) {
            let Ok(Frame::Ack { sequence }) = Frame::parse(&frame) else { panic!("{frame:?}") };
            acks.push(sequence);
        }
        acks
    }

    fn range_ack(receiver: &mut Receiver, now: Instant) -> Option<RangeAck> {
        let frame = receiver.poll(now, 1200, Form::Bound(TAG))?;
        let Ok(Frame::BoundAck { tag: TAG, flags, body }) = Frame::parse(&frame) else { panic!("{frame:?}") };
        RangeAck::decode(flags, &body)
    }

    fn payloads(receiver: &mut Receiver, now: Instant) -> Vec<Bytes> {
        std::iter::from_fn(|| receiver.recv(now)).map(|received| received.payload).collect()
    }

    #[test]
    fn a_copy_is_acknowledged_again_and_not_delivered_again() {
        let (mut receiver, now) = receiver(10, 1000);
        for _ in 0..3 {
            receiver.on_plain_data(now, 7, Bytes::from_static(b"m"));
        }
        assert_eq!(plain_acks(&mut receiver, now), [7, 7, 7]);
        assert_eq!(payloads(&mut receiver, now), ["m"]);
        assert_eq!(receiver.stats().duplicates, 2);
    }

    #[test]
    fn what_finds_no_place_is_not_acknowledged_and_may_come_again() {
        for (messages, bytes) in [(2, 1000), (10, 2)] {
            let (mut receiver, now) = receiver(messages, bytes);
            for sequence in 0..3 {
                receiver.on_plain_data(now, sequence, Bytes::from_static(b"m"));
            }
            assert_eq!(plain_acks(&mut receiver, now), [0, 1]);
            assert!(receiver.recv(now).is_some());
            receiver.on_plain_data(now, 2, Bytes::from_static(b"m"));
            assert_eq!(plain_acks(&mut receiver, now), [2]);
            assert_eq!((payloads(&mut receiver, now).len(), receiver.stats().refused_full), (2, 1));
        }
    }

    #[test]
    fn a_message_larger_than_the_queue_is_taken_when_the_queue_is_empty() {
        let (mut receiver, now) = receiver(10, 5);
        receiver.on_plain_data(now, 0, Bytes::from_static(b"longer than five"));
        receiver.on_plain_data(now, 1, Bytes::from_static(b"x"));
        assert_eq!(plain_acks(&mut receiver, now), [0]);
    }

    #[test]
    fn a_full_queue_is_said_in_the_range_ack_and_so_is_its_end() {
        let (mut receiver, now) = receiver(4, 1000);
        for sequence in 0..5 {
            receiver.on_bound_data(now, sequence, 0, Bytes::from_static(b"m"));
        }
        let ack = range_ack(&mut receiver, now).unwrap();
        assert_eq!((ack.full, ack.ranges), (true, vec![(0, 3)]));
        let later = now + MIN_ACK_GAP;
        receiver.recv(later);
        let ack = range_ack(&mut receiver, later).unwrap();
        assert_eq!((ack.full, ack.echo, ack.ranges), (false, None, vec![(0, 3)]));
    }

    #[test]
    fn messages_in_order_share_an_ack_and_a_gap_is_told_at_once() {
        let (mut receiver, now) = receiver(100, 1000);
        for sequence in 0..3 {
            receiver.on_bound_data(now, sequence, 0, Bytes::new());
        }
        assert_eq!(range_ack(&mut receiver, now), None);
        assert_eq!(receiver.next_deadline(Form::Bound(TAG)), Some(now + MAX_ACK_DELAY));
        let later = now + Duration::from_millis(3);
        receiver.on_bound_data(later, 4, 0, Bytes::new());
        let ack = range_ack(&mut receiver, later).unwrap();
        assert_eq!(ack.ranges, [(4, 4), (0, 2)]);
        assert_eq!(ack.echo, Some(Echo { sequence: 4, transmission: 0, delay: Duration::ZERO }));
        assert_eq!(range_ack(&mut receiver, later), None);
    }

    #[test]
    fn a_copy_is_reported_with_its_transmission() {
        let (mut receiver, now) = receiver(100, 1000);
        receiver.on_bound_data(now, 3, 1, Bytes::new());
        receiver.on_bound_data(now, 3, 0, Bytes::new());
        assert_eq!(range_ack(&mut receiver, now).unwrap().duplicates, [(3, 0)]);
    }

    #[test]
    fn a_flood_of_copies_gets_a_bounded_number_of_answers() {
        let (mut plain, start) = receiver(10, 1000);
        let (mut bound, _) = receiver(10, 1000);
        let (mut plain_answers, mut range_answers) = (0, 0);
        for microsecond in (0..1_000_000).step_by(10) {
            let now = start + Duration::from_micros(microsecond);
            plain.on_plain_data(now, 0, Bytes::from_static(b"m"));
            bound.on_bound_data(now, 0, 0, Bytes::from_static(b"m"));
            plain_answers += plain_acks(&mut plain, now).len() as u64;
            range_answers += u64::from(range_ack(&mut bound, now).is_some());
        }
        assert!(plain_answers <= COPIES_PER_SECOND + COPIES_BURST + 1, "{plain_answers}");
        assert!(range_answers <= 1001, "{range_answers}");
        assert!(range_answers >= 900, "{range_answers}");
    }

    #[test]
    fn a_flood_of_random_sequences_leaves_bounded_memory_and_acknowledges_only_what_was_taken() {
        let (mut receiver, now) = receiver(100, 10_000);
        let mut sequence = 1u32;
        for i in 0..50_000 {
            sequence = sequence.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if i % 2 == 0 {
                receiver.on_plain_data(now, sequence, Bytes::from_static(b"m"));
            } else {
                receiver.on_bound_data(now, sequence, 0, Bytes::from_static(b"m"));
            }
        }
        assert_eq!(receiver.inbound().0, 100);
        assert!(receiver.plain_acks.len() <= 100 && receiver.range.fresh.len() <= 100);
        assert_eq!(receiver.stats().accepted, 100);
    }

    #[test]
    fn acknowledgements_that_the_repeated_ranges_do_not_reach_are_listed() {
        let (mut receiver, now) = receiver(10_000, 10_000);
        for sequence in (1000..3000).step_by(2) {
            receiver.on_bound_data(now, sequence, 0, Bytes::new());
        }
        range_ack(&mut receiver, now).unwrap();
        let later = now + MIN_ACK_GAP;
        for sequence in [1001, 5, 1101, 6, 1001] {
            receiver.on_bound_data(later, sequence, 1, Bytes::new());
        }
        let ranges = range_ack(&mut receiver, later).unwrap().ranges;
        for sequence in [1001, 1101, 5, 6] {
            assert!(ranges.iter().any(|&(start, end)| (start..=end).contains(&sequence)), "{sequence}");
        }
        assert!(ranges.windows(2).all(|pair| pair[0].0 > pair[1].1 + 1));
    }

    #[test]
    fn a_reference_that_opens_its_layer_again_loses_no_message_to_the_old_numbers() {
        let (mut receiver, now) = receiver(10_000, 1_000_000);
        let message = |run: u32, n: u32| Bytes::from(format!("{run}/{n}"));
        for n in 0..1500 {
            receiver.on_plain_data(now, n, message(1, n));
        }
        plain_acks(&mut receiver, now);
        // The first of the new messages is late, and a copy of an old one still arrives.
        for (run, n) in [(2, 1), (2, 2), (2, 0), (2, 3), (1, 0), (2, 1)] {
            receiver.on_plain_data(now, n, message(run, n));
        }
        assert_eq!(payloads(&mut receiver, now)[1500..], ["2/1", "2/2", "2/0", "2/3"]);
        assert_eq!(receiver.stats().peer_restarts, 1);
    }

    #[test]
    fn frames_from_further_back_than_is_remembered_are_neither_delivered_nor_acknowledged() {
        let (mut receiver, now) = receiver(10, 1000);
        receiver.on_plain_data(now, 1_000_000, Bytes::from_static(b"m"));
        receiver.on_plain_data(now, 1_000_000 - super::super::seen::WINDOW, Bytes::from_static(b"old"));
        assert_eq!(plain_acks(&mut receiver, now), [1_000_000]);
        assert_eq!(receiver.stats().too_old, 1);
    }
}
