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
//! queue is full, that clock starts again: a reader that does not read is not a peer that is gone. And it stands
//! still while the path takes nothing ([`PathClock`]).

mod acknowledgement;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::frame::{self, DATA_OVERHEAD_BYTES, MAX_TRANSMISSION, Tag};
use super::outcome::{Outcome, Report};
use super::outstanding::{Message, Outstanding, State};
use super::path_clock::PathClock;
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
    path: PathClock,
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
            path: PathClock::default(),
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

    /// `left` frames have left for the network in all, and others are `waiting` for it or not.
    pub fn observe_path(&mut self, now: Instant, left: u64, waiting: bool) {
        self.path.observe(now, left, waiting);
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
            State::New => {
                message.first_sent = now;
                message.blocked_before = self.path.blocked(now);
            }
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

    // ---- outcome ----

    fn is_to_be_given_up(&self, now: Instant, sequence: u64) -> bool {
        let Some(message) = self.outstanding.get(sequence) else { return false };
        let since = self.peer_full_at.map_or(message.first_sent, |full| full.max(message.first_sent));
        let patience = self.config.ack_timeout.saturating_mul(self.config.max_retries.saturating_add(1));
        let blocked = self.path.blocked(now).saturating_sub(message.blocked_before);
        message.by_timer >= self.config.max_retries
            && !self.path.is_blocked(now)
            && now.saturating_duration_since(since).saturating_sub(blocked) >= patience
    }

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
