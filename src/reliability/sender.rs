//! The sending half: from a message accepted to its one outcome.
//!
//! A message is *new* until its first transmission, then *in flight* until it is resolved or counts as lost:
//!
//! - **early**, when a frame transmitted later was acknowledged and the round trip of that frame plus the
//!   reordering window have passed since its own transmission (RFC 8985 §6.2); or
//! - **by timer**, when its retransmission timeout has passed, which doubles with each such retransmission of the
//!   same message up to [`MAX_BACKOFF`].
//!
//! It is given up when its timer runs out, `ack_timeout × (max_retries + 1)` have passed since its first
//! transmission, and it was retransmitted `max_retries` times by timer. As long as the peer says that its inbound
//! queue is full, that clock starts again: a reader that does not read is not a peer that is gone.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::ack::{Echo, RangeAck};
use super::frame::{self, DATA_OVERHEAD_BYTES, MAX_TRANSMISSION, Tag};
use super::outcome::{Outcome, Report};
use super::outstanding::{Message, Outstanding, State};
use super::receiver::MAX_ACK_DELAY;
use super::reorder::ReorderingWindow;
use super::rtt::{MAX_RTO, RttEstimator};
use super::stats::SenderStats;
use super::throttle::Throttle;
use crate::error::{Error, Result};

/// The most sequences between the oldest unresolved and the newest message to a peer that negotiated; far less
/// than its [`super::seen::WINDOW`].
pub const MAX_SPAN: usize = 8192;
/// The same to any other peer: half of the 1,024 arrivals that the reference remembers.
pub const MAX_PLAIN_SPAN: usize = 512;
/// The longest pause between two retransmissions by timer, unless the round trip itself is longer: what it takes
/// to notice that a black hole has ended.
pub const MAX_BACKOFF: Duration = Duration::from_millis(500);
/// Early retransmissions of one message; after these only the timer, which backs off, sends it again. Otherwise a
/// peer that acknowledges everything but one message would be sent it once in every round trip for ever.
const MAX_EARLY: u32 = 8;
/// The pause between probes while the peer refuses messages.
pub const PROBE_PAUSE: Duration = Duration::from_millis(200);
/// A peer that has said nothing for this long is no longer taken to be full, only to be silent.
const FULL_EXPIRES: Duration = Duration::from_secs(2);
/// Retransmitted messages remembered after their acknowledgement, to recognize reports of copies.
const SETTLED: usize = 256;

/// What a sender needs to know.
#[derive(Debug, Clone, Copy)]
pub struct SenderConfig {
    /// With `max_retries`, how long a message is never given up.
    pub ack_timeout: Duration,
    /// Retransmissions by timer before a message may be given up.
    pub max_retries: u32,
    /// The most messages without an outcome.
    pub window_messages: usize,
    /// The most payload bytes of those; a single message may be larger.
    pub window_bytes: usize,
    /// The first sequence.
    pub first_sequence: u32,
}

/// A retransmitted message that has been acknowledged.
#[derive(Debug)]
struct Settled {
    sequence: u32,
    first_sent: Instant,
    by_timer: bool,
    spurious: bool,
}

/// The frame transmitted last of those known to have arrived, and its round trip (RFC 8985's RACK state).
#[derive(Debug, Clone, Copy)]
struct Newest {
    number: u64,
    rtt: Duration,
}

/// The sending half.
#[derive(Debug)]
pub struct Sender {
    config: SenderConfig,
    rtt: RttEstimator,
    reordering: ReorderingWindow,
    throttle: Throttle,
    outstanding: Outstanding,
    lost_early: VecDeque<u64>,
    lost_by_timer: VecDeque<u64>,
    new_is_next: bool,
    /// `(sequence, number)` in order of transmission; an entry counts if it is its message's last transmission.
    log: VecDeque<(u64, u64)>,
    timers: BTreeSet<(Instant, u64)>,
    transmitted: u64,
    newest: Option<Newest>,
    reordering_deadline: Option<Instant>,
    peer_full: bool,
    peer_full_at: Option<Instant>,
    probed: Option<Instant>,
    progressed: Option<Instant>,
    settled: VecDeque<Settled>,
    outcomes: VecDeque<Report>,
    closed: bool,
    stats: SenderStats,
}

impl Sender {
    /// Nothing submitted yet.
    pub fn new(now: Instant, config: SenderConfig) -> Self {
        Self {
            config,
            rtt: RttEstimator::default(),
            reordering: ReorderingWindow::default(),
            throttle: Throttle::new(now),
            outstanding: Outstanding::new(config.first_sequence),
            lost_early: VecDeque::new(),
            lost_by_timer: VecDeque::new(),
            new_is_next: false,
            log: VecDeque::new(),
            timers: BTreeSet::new(),
            transmitted: 0,
            newest: None,
            reordering_deadline: None,
            peer_full: false,
            peer_full_at: None,
            probed: None,
            progressed: None,
            settled: VecDeque::new(),
            outcomes: VecDeque::new(),
            closed: false,
            stats: SenderStats::default(),
        }
    }

    /// Whether a message of `bytes` would be accepted, to a peer that negotiated or not.
    pub fn can_submit(&self, bytes: usize, negotiated: bool) -> bool {
        let span = if negotiated { MAX_SPAN } else { MAX_PLAIN_SPAN };
        let all = &self.outstanding;
        !self.closed
            && all.len() < self.config.window_messages.max(1)
            && all.span() < span
            && (all.is_empty() || all.bytes().saturating_add(bytes) <= self.config.window_bytes)
    }

    /// Accepts a message, which will have exactly one outcome. [`Error::WouldBlock`] when the window is full.
    pub fn submit(&mut self, now: Instant, payload: Bytes, id: u64, negotiated: bool) -> Result<()> {
        if self.closed {
            return Err(Error::Closed);
        }
        if !self.can_submit(payload.len(), negotiated) {
            return Err(Error::WouldBlock);
        }
        self.stats.submitted += 1;
        self.outstanding.push(Message::new(now, id, payload));
        Ok(())
    }

    /// The next DATA frame to transmit, if one may go now. A message that does not fit `max_size` is resolved
    /// as too large.
    pub fn poll(&mut self, now: Instant, max_size: usize, tag: Option<Tag>) -> Option<Bytes> {
        self.throttle.refill(now, self.outstanding.len(), self.config.ack_timeout);
        loop {
            let sequence = self.next_to_send(now)?;
            let Some(message) = self.outstanding.get(sequence) else { continue };
            if message.payload.len().saturating_add(DATA_OVERHEAD_BYTES) > max_size {
                self.resolve(now, sequence, Outcome::TooLarge);
                continue;
            }
            return Some(self.transmit(now, sequence, tag));
        }
    }

    /// Lets time pass: timers run out, messages count as lost.
    pub fn advance(&mut self, now: Instant) {
        self.throttle.refill(now, self.outstanding.len(), self.config.ack_timeout);
        let expired = |at: Instant| now.saturating_duration_since(at) >= FULL_EXPIRES;
        if self.peer_full && self.peer_full_at.is_some_and(expired) {
            self.peer_full = false;
        }
        let progressed = self.progressed;
        while let Some(&(due, sequence)) = self.timers.first() {
            if due > now {
                break;
            }
            self.timers.pop_first();
            if self.is_to_be_given_up(now, sequence) {
                self.resolve(now, sequence, Outcome::GaveUp);
            } else if let Some(message) = self.outstanding.get_mut(sequence) {
                message.state = State::LostByTimer;
                let silence = message.by_timer >= 1
                    && progressed.is_none_or(|progressed| progressed < message.last_sent);
                self.lost_by_timer.push_back(sequence);
                if silence {
                    self.throttle.activate();
                }
            }
        }
        self.detect_loss(now);
    }

    /// When [`Sender::advance`] or [`Sender::poll`] will have something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|&(due, _)| due);
        let new = self.outstanding.has_new() && !(self.peer_full && self.has_probe());
        let waits_for_token = (!self.lost_by_timer.is_empty() && !self.peer_full)
            || (self.throttle.is_active() && (new || !self.lost_early.is_empty()));
        let token = waits_for_token
            .then(|| self.throttle.next_token(self.outstanding.len(), self.config.ack_timeout));
        let probe = if self.peer_full && !self.lost_by_timer.is_empty() {
            self.probed.map(|at| at + PROBE_PAUSE).or(self.peer_full_at)
        } else {
            None
        };
        [timer, token, probe, self.reordering_deadline].into_iter().flatten().min()
    }

    /// A plain ACK: it settles a message that was transmitted plain. Whether it was awaited.
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

    /// A range ACK of the peer's present layer.
    pub fn on_range_ack(&mut self, now: Instant, ack: &RangeAck) {
        let newest = self.newest;
        if let Some(echo) = ack.echo {
            self.on_echo(now, echo);
        }
        let mut acknowledged = 0;
        for &(start, end) in &ack.ranges {
            let Some((first, last)) = self.outstanding.clamp(start, end) else { continue };
            for sequence in first..=last {
                if self.outstanding.get(sequence).is_some_and(|message| message.transmissions > 0) {
                    self.acknowledge(now, sequence, newest, false, ack.echo);
                    acknowledged += 1;
                }
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

    /// Takes the round-trip time that QUIC measured, until there are samples of our own.
    pub fn seed_rtt(&mut self, rtt: Duration) {
        self.rtt.seed(rtt);
    }

    /// The peer's layer was opened anew, or stopped negotiating.
    pub fn on_peer_restart(&mut self) {
        self.peer_full = false;
        self.peer_full_at = None;
    }

    /// The next outcome.
    pub fn next_outcome(&mut self) -> Option<Report> {
        self.outcomes.pop_front()
    }

    /// Resolves everything as closed; nothing is accepted or transmitted afterwards.
    pub fn close(&mut self, now: Instant) {
        self.closed = true;
        for sequence in self.outstanding.sequences() {
            self.resolve(now, sequence, Outcome::Closed);
        }
        self.lost_early.clear();
        self.lost_by_timer.clear();
        self.timers.clear();
        self.log.clear();
        self.reordering_deadline = None;
    }

    /// Whether every message has its outcome.
    pub fn is_idle(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// The sequence that the next message accepted will have.
    pub fn next_sequence(&self) -> u32 {
        self.outstanding.end() as u32
    }

    /// The estimator, to read.
    pub fn rtt(&self) -> &RttEstimator {
        &self.rtt
    }

    /// Counters.
    pub fn stats(&self) -> SenderStats {
        self.stats
    }

    /// Messages without outcome and their payload bytes.
    pub fn unresolved(&self) -> (usize, usize) {
        (self.outstanding.len(), self.outstanding.bytes())
    }

    /// Whether the peer's last acknowledgement said that its inbound queue is full.
    pub fn peer_full(&self) -> bool {
        self.peer_full
    }

    /// The present reordering window.
    pub fn reordering_window(&self) -> Duration {
        let srtt = self.rtt.srtt().unwrap_or_default();
        self.reordering.get(self.rtt.min_rtt().unwrap_or(srtt), srtt)
    }

    /// The retransmission timeout before backoff. It leaves room for the lateness that reordering has shown.
    pub fn rto(&self) -> Duration {
        let reordered = self.rtt.min_rtt().unwrap_or_default() + self.reordering_window() + MAX_ACK_DELAY;
        self.rtt.rto(MAX_ACK_DELAY).max(reordered).min(MAX_RTO)
    }

    // ---- transmission ----

    fn next_to_send(&mut self, now: Instant) -> Option<u64> {
        if self.may_send_freely()
            && let Some(sequence) = self.next_lost_early()
        {
            return Some(sequence);
        }
        // Where tokens are scarce, those that were never sent get every other one: their clock starts with it.
        if self.throttle.is_active() && self.throttle.has_token() && self.new_is_next {
            self.new_is_next = false;
            if let Some(sequence) = self.next_new() {
                return Some(sequence);
            }
        }
        if let Some(sequence) = self.next_lost_by_timer(now) {
            self.new_is_next = true;
            return Some(sequence);
        }
        self.next_new()
    }

    fn may_send_freely(&self) -> bool {
        !self.throttle.is_active() || self.throttle.has_token()
    }

    fn next_lost_early(&mut self) -> Option<u64> {
        while let Some(sequence) = self.lost_early.pop_front() {
            if self.outstanding.is_in(sequence, State::LostEarly) {
                return Some(sequence);
            }
        }
        None
    }

    fn next_lost_by_timer(&mut self, now: Instant) -> Option<u64> {
        let probe = self.probed.is_none_or(|at| now.saturating_duration_since(at) >= PROBE_PAUSE);
        while if self.peer_full { probe } else { self.throttle.has_token() } {
            let sequence = self.lost_by_timer.pop_front()?;
            if !self.outstanding.is_in(sequence, State::LostByTimer) {
                continue;
            }
            if self.is_to_be_given_up(now, sequence) {
                self.resolve(now, sequence, Outcome::GaveUp);
                continue;
            }
            self.probed = Some(now);
            return Some(sequence);
        }
        None
    }

    /// While the peer refuses messages, those refused are the probe, on their timers.
    fn next_new(&mut self) -> Option<u64> {
        let may = self.may_send_freely() && !(self.peer_full && self.has_probe());
        may.then(|| self.outstanding.next_new()).flatten()
    }

    fn has_probe(&self) -> bool {
        !self.timers.is_empty() || !self.lost_by_timer.is_empty()
    }

    fn transmit(&mut self, now: Instant, sequence: u64, tag: Option<Tag>) -> Bytes {
        let rto = self.rto();
        let longest = MAX_BACKOFF.min(self.config.ack_timeout).max(rto);
        self.transmitted += 1;
        let number = self.transmitted;
        let mut takes_token = self.throttle.is_active();
        let Some(message) = self.outstanding.get_mut(sequence) else { return Bytes::new() };
        match message.state {
            State::New => message.first_sent = now,
            State::LostEarly | State::InFlight => {
                message.early += 1;
                self.stats.early_retransmits += 1;
            }
            State::LostByTimer => {
                message.by_timer += 1;
                self.stats.timer_retransmits += 1;
                takes_token = true;
            }
        }
        let transmission = message.transmissions.min(u32::from(MAX_TRANSMISSION)) as u8;
        message.transmissions = message.transmissions.saturating_add(1);
        message.state = State::InFlight;
        message.last_sent = now;
        message.last_number = number;
        message.due = now + rto.saturating_mul(1 << message.by_timer.min(16)).min(longest);
        message.sent_plain |= tag.is_none();
        self.timers.insert((message.due, sequence));
        let frame = match tag {
            Some(tag) => frame::bound_data(tag, transmission, sequence as u32, &message.payload),
            None => frame::data(sequence as u32, &message.payload),
        };
        if takes_token {
            self.throttle.take();
        }
        self.stats.transmissions += 1;
        self.stats.bytes_transmitted += frame.len() as u64;
        self.log.push_back((sequence, number));
        if self.log.len() > 2 * self.outstanding.span() + 64 {
            let mut log = std::mem::take(&mut self.log);
            log.retain(|&(sequence, number)| self.is_last_transmission(sequence, number));
            self.log = log;
        }
        frame
    }

    // ---- acknowledgement ----

    fn unexpected(&mut self) -> bool {
        self.stats.unexpected_acks += 1;
        false
    }

    /// The frame that arrived last at the peer: an unambiguous round trip.
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
        // A peer that claims a longer delay than the whole took is not believed.
        let whole = now.saturating_duration_since(sent);
        let rtt = whole.checked_sub(echo.delay).unwrap_or(whole);
        self.rtt.sample(now, rtt);
        if last {
            self.raise_newest(number, whole);
        }
    }

    /// `newest_before` is as it was before the frame that brought this; a plain ACK is a round trip of its own.
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
            // The original arrived, or what came back came back sooner than any round trip.
            let original = echoed.is_some_and(|echo| echo.transmission == 0);
            let too_soon = since_last < min_rtt / 16 * 15;
            if original || too_soon {
                spurious = true;
                self.stats.spurious_retransmits += 1;
                // If the timer sent it, its acknowledgement may have been lost rather than late.
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
        self.resolve(now, sequence, Outcome::Acknowledged);
    }

    /// The peer got a copy. If it is of the first transmission, no later one was needed; if of another, the
    /// network may have doubled it.
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
            self.throttle.on_progress(acknowledged, self.outstanding.len());
        }
        self.detect_loss(now);
    }

    // ---- loss ----

    fn detect_loss(&mut self, now: Instant) {
        self.reordering_deadline = None;
        let Some(newest) = self.newest else { return };
        if self.peer_full {
            // What is not acknowledged was refused, not lost.
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
            let Some(message) = self.outstanding.get_mut(sequence) else { break };
            let deadline = message.last_sent + wait;
            if deadline > now {
                self.reordering_deadline = Some(deadline);
                break;
            }
            if message.state == State::InFlight && message.early < MAX_EARLY {
                message.state = State::LostEarly;
                let due = message.due;
                self.timers.remove(&(due, sequence));
                self.lost_early.push_back(sequence);
            }
            self.log.pop_front();
        }
    }

    /// The peer has room again: what it refused need not wait for its timer.
    fn lose_everything_refused(&mut self, now: Instant) {
        let rtt = self.rtt.srtt().unwrap_or_default();
        let in_flight: Vec<(Instant, u64)> = self.timers.iter().copied().collect();
        for (due, sequence) in in_flight {
            if let Some(message) = self.outstanding.get_mut(sequence)
                && message.last_sent + rtt <= now
            {
                message.state = State::LostEarly;
                self.timers.remove(&(due, sequence));
                self.lost_early.push_back(sequence);
            }
        }
    }

    fn is_to_be_given_up(&self, now: Instant, sequence: u64) -> bool {
        let Some(message) = self.outstanding.get(sequence) else { return false };
        let since = self.peer_full_at.map_or(message.first_sent, |full| full.max(message.first_sent));
        let patience = self.config.ack_timeout.saturating_mul(self.config.max_retries.saturating_add(1));
        message.by_timer >= self.config.max_retries && now.saturating_duration_since(since) >= patience
    }

    // ---- outcome ----

    fn resolve(&mut self, now: Instant, sequence: u64, outcome: Outcome) {
        let Some(message) = self.outstanding.take(sequence) else { return };
        if message.state == State::InFlight {
            self.timers.remove(&(message.due, sequence));
        }
        let counter = match outcome {
            Outcome::Acknowledged => &mut self.stats.acknowledged,
            Outcome::GaveUp => &mut self.stats.gave_up,
            Outcome::TooLarge => &mut self.stats.too_large,
            Outcome::Closed => &mut self.stats.closed,
        };
        *counter += 1;
        self.outcomes.push_back(Report {
            id: message.id,
            outcome,
            transmissions: message.transmissions,
            elapsed: now.saturating_duration_since(message.accepted),
        });
    }

    fn is_last_transmission(&self, sequence: u64, number: u64) -> bool {
        self.outstanding
            .get(sequence)
            .is_some_and(|message| message.last_number == number && message.state == State::InFlight)
    }
}
