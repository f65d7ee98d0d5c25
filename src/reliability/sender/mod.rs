//! The sending half: it takes messages and gives each exactly one outcome.
//!
//! A message waits for its first transmission ([`Waiting`]). Then it is *in flight* until it is
//! resolved or counts as lost:
//!
//! - **early**, when a frame transmitted later was acknowledged, and the round trip of that frame
//!   plus the reordering window have passed since its own transmission (RFC 8985 §6.2); or
//! - **by timer**, when its retransmission timeout has passed. The timeout doubles with each such
//!   retransmission of the same message, up to [`MAX_BACKOFF`].
//!
//! A message is given up when its timer runs out, `ack_timeout × (max_retries + 1)` have passed
//! since its first transmission, and its timer has retransmitted it `max_retries` times. As long as
//! the peer says that its inbound queue is full, this time starts again: a reader that does not
//! read is not a peer that is gone. It stands still while the path takes nothing ([`PathClock`]).
//! While the peer must answer a HELLO first, nothing is transmitted ([`Form::Held`]); a message
//! that waits that long for the answer is given up as well.
//!
//! The highest priority goes first. A message whose TTL has passed is not transmitted (again): one
//! that waits or is lost expires at once, one in flight when it would count as lost.

mod acknowledgement;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::frame::{self, DATA_OVERHEAD_BYTES, MAX_TRANSMISSION};
use super::limits::{MAX_ACK_DELAY, MAX_PLAIN_SPAN, MAX_SPAN};
use super::negotiation::Form;
use super::outcome::{MessageOutcome, Report};
use super::outstanding::{Message, Outstanding, State};
use super::path_clock::PathClock;
use super::reorder::ReorderingWindow;
use super::rtt::{MAX_RTO, RttEstimator};
use super::stats::SenderStats;
use super::throttle::Throttle;
use super::waiting::Waiting;
use crate::datagram::message::Priority;
use crate::error::{Error, Result};

/// The longest pause between two retransmissions by timer, unless the round trip is longer: the
/// time to notice that a black hole has ended.
pub const MAX_BACKOFF: Duration = Duration::from_millis(500);
/// The pause between probes while the peer refuses messages.
pub const PROBE_PAUSE: Duration = Duration::from_millis(200);
/// A peer that has said nothing for this long no longer counts as full, only as silent.
const FULL_EXPIRES: Duration = Duration::from_secs(2);
/// Retransmitted messages that are remembered after their acknowledgement, to recognize reports of
/// copies.
const SETTLED: usize = 256;

/// The settings of a sender.
#[derive(Debug, Clone, Copy)]
pub struct SenderConfig {
    /// With `max_retries`, the time before which a message is not given up.
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

/// Of the frames known to have arrived, the one transmitted last, and its round trip (RFC 8985's
/// RACK state).
#[derive(Debug, Clone, Copy)]
struct Newest {
    number: u64,
    rtt: Duration,
}

/// A frame to hand to the transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// The frame.
    pub frame: Bytes,
    /// Its priority.
    pub priority: Priority,
    /// From this time on it is not worth sending.
    pub expires_at: Option<Instant>,
}

/// Sequences by the priority of their messages.
#[derive(Debug, Default)]
struct Queues([VecDeque<u64>; Priority::COUNT]);

impl Queues {
    fn push(&mut self, priority: Priority, sequence: u64) {
        self.0[priority.index()].push_back(sequence);
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }

    fn clear(&mut self) {
        self.0.iter_mut().for_each(VecDeque::clear);
    }
}

/// The sending half.
#[derive(Debug)]
pub struct Sender {
    config: SenderConfig,
    rtt: RttEstimator,
    reordering: ReorderingWindow,
    throttle: Throttle,
    path: PathClock,
    waiting: Waiting,
    outstanding: Outstanding,
    lost_early: Queues,
    lost_by_timer: Queues,
    /// Lost messages with a TTL, in the order in which it ends.
    lost_expiries: BTreeSet<(Instant, u64)>,
    new_is_next: bool,
    /// The time since which nothing may go because the peer has not answered, and how long the path
    /// had been blocked then.
    held: Option<(Instant, Duration)>,
    /// `(sequence, number)` in order of transmission; an entry counts if it is the last
    /// transmission of its message.
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
    /// A sender without messages.
    pub fn new(now: Instant, config: SenderConfig) -> Self {
        Self {
            config,
            rtt: RttEstimator::default(),
            reordering: ReorderingWindow::default(),
            throttle: Throttle::new(now),
            path: PathClock::default(),
            waiting: Waiting::default(),
            outstanding: Outstanding::new(config.first_sequence),
            lost_early: Queues::default(),
            lost_by_timer: Queues::default(),
            lost_expiries: BTreeSet::new(),
            new_is_next: false,
            held: None,
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

    /// Whether a message of `bytes` would be accepted.
    pub fn can_submit(&self, bytes: usize) -> bool {
        let (messages, held) = self.unresolved();
        !self.closed
            && messages < self.config.window_messages.max(1)
            && (messages == 0 || held.saturating_add(bytes) <= self.config.window_bytes)
    }

    /// Accepts a message, which will have exactly one outcome. [`Error::WouldBlock`] if the window
    /// is full.
    pub fn submit(&mut self, message: Message) -> Result<()> {
        if self.closed {
            return Err(Error::Closed);
        }
        if !self.can_submit(message.payload.len()) {
            return Err(Error::WouldBlock);
        }
        self.stats.submitted += 1;
        self.waiting.push(message);
        Ok(())
    }

    /// The next DATA frame to transmit, if one may go now. A message that does not fit `max_size`
    /// is resolved as too large.
    pub fn poll(&mut self, now: Instant, max_size: usize, form: Form) -> Option<Transmit> {
        if form == Form::Held {
            return None;
        }
        self.throttle.refill(now, self.unresolved().0, self.config.ack_timeout);
        self.expire(now);
        loop {
            let sequence = self.next_to_send(now, form)?;
            let Some(message) = self.outstanding.get(sequence) else { continue };
            if message.payload.len().saturating_add(DATA_OVERHEAD_BYTES) > max_size {
                self.resolve(now, sequence, MessageOutcome::TooLarge);
                continue;
            }
            return Some(self.transmit(now, sequence, form));
        }
    }

    /// Lets time pass: timers run out, messages count as lost.
    pub fn advance(&mut self, now: Instant, form: Form) {
        self.throttle.refill(now, self.unresolved().0, self.config.ack_timeout);
        self.expire(now);
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
                self.resolve(now, sequence, MessageOutcome::GaveUp);
                continue;
            }
            let Some(message) = self.outstanding.get(sequence) else { continue };
            let silence =
                message.by_timer >= 1 && progressed.is_none_or(|progressed| progressed < message.last_sent);
            self.lose(now, sequence, State::LostByTimer);
            if silence {
                self.throttle.activate();
            }
        }
        self.detect_loss(now);
        self.give_up_held(now, form);
    }

    /// The next time at which [`Sender::advance`] or [`Sender::poll`] has something to do.
    pub(crate) fn next_deadline(&self, form: Form) -> Option<Instant> {
        let timer = self.timers.first().map(|&(due, _)| due);
        let expiry = self.lost_expiries.first().map(|&(at, _)| at);
        let unhurried = [timer, expiry, self.waiting.next_expiry(), self.reordering_deadline];
        let unhurried = unhurried.into_iter().flatten().min();
        if form == Form::Held {
            return unhurried;
        }
        let new = self.has_new(form) && !(self.peer_full && self.has_probe());
        let waits_for_token = (!self.lost_by_timer.is_empty() && !self.peer_full)
            || (self.throttle.is_active() && (new || !self.lost_early.is_empty()));
        let token =
            waits_for_token.then(|| self.throttle.next_token(self.unresolved().0, self.config.ack_timeout));
        let probe = if self.peer_full && !self.lost_by_timer.is_empty() {
            self.probed.map(|at| at + PROBE_PAUSE).or(self.peer_full_at)
        } else {
            None
        };
        [unhurried, token, probe].into_iter().flatten().min()
    }

    /// `left` frames have left for the network in total; `waiting` says whether others wait for it.
    pub(crate) fn observe_path(&mut self, now: Instant, left: u64, waiting: bool) {
        self.path.observe(now, left, waiting);
    }

    /// Takes the round-trip time that QUIC measured, until there are own samples.
    pub(crate) fn seed_rtt(&mut self, rtt: Duration) {
        self.rtt.seed(rtt);
    }

    /// The peer's layer was opened again.
    pub(crate) fn on_peer_restart(&mut self) {
        self.peer_full = false;
        self.peer_full_at = None;
    }

    /// The next outcome.
    pub fn next_outcome(&mut self) -> Option<Report> {
        self.outcomes.pop_front()
    }

    /// Resolves all messages as closed; afterwards nothing is accepted or transmitted.
    pub fn close(&mut self, now: Instant) {
        self.closed = true;
        while let Some(message) = self.waiting.pop() {
            self.settle(now, &message, MessageOutcome::Closed);
        }
        while let Some(sequence) = self.outstanding.first() {
            self.resolve(now, sequence, MessageOutcome::Closed);
        }
        self.lost_early.clear();
        self.lost_by_timer.clear();
        self.lost_expiries.clear();
        self.timers.clear();
        self.log.clear();
        self.reordering_deadline = None;
    }

    /// Whether every message has its outcome.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.outstanding.is_empty()
    }

    /// The sequence of the next message that is transmitted for the first time.
    pub(crate) fn next_sequence(&self) -> u32 {
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

    /// Messages without an outcome and their payload bytes.
    pub fn unresolved(&self) -> (usize, usize) {
        (self.waiting.len() + self.outstanding.len(), self.waiting.bytes() + self.outstanding.bytes())
    }

    /// Whether the peer's last acknowledgement said that its inbound queue is full.
    pub(crate) fn peer_full(&self) -> bool {
        self.peer_full
    }

    /// The present reordering window.
    pub(crate) fn reordering_window(&self) -> Duration {
        let srtt = self.rtt.srtt().unwrap_or_default();
        self.reordering.get(self.rtt.min_rtt().unwrap_or(srtt), srtt)
    }

    /// The retransmission timeout before backoff. It includes the lateness that reordering has
    /// shown.
    pub(crate) fn rto(&self) -> Duration {
        let reordered = self.rtt.min_rtt().unwrap_or_default() + self.reordering_window() + MAX_ACK_DELAY;
        self.rtt.rto(MAX_ACK_DELAY).max(reordered).min(MAX_RTO)
    }

    // ---- transmission ----

    fn next_to_send(&mut self, now: Instant, form: Form) -> Option<u64> {
        (0..Priority::COUNT).rev().find_map(|priority| self.next_of(priority, now, form))
    }

    fn next_of(&mut self, priority: usize, now: Instant, form: Form) -> Option<u64> {
        if self.may_send_freely()
            && let Some(sequence) = self.next_lost_early(priority)
        {
            return Some(sequence);
        }
        // While tokens are scarce, messages that were never sent get every other one, because their
        // clock starts with it.
        if self.throttle.is_active()
            && self.throttle.has_token()
            && self.new_is_next
            && let Some(sequence) = self.next_new(priority, form)
        {
            self.new_is_next = false;
            return Some(sequence);
        }
        if let Some(sequence) = self.next_lost_by_timer(priority, now) {
            self.new_is_next = true;
            return Some(sequence);
        }
        self.next_new(priority, form)
    }

    fn may_send_freely(&self) -> bool {
        !self.throttle.is_active() || self.throttle.has_token()
    }

    fn next_lost_early(&mut self, priority: usize) -> Option<u64> {
        while let Some(sequence) = self.lost_early.0[priority].pop_front() {
            if self.outstanding.is_in(sequence, State::LostEarly) {
                return Some(sequence);
            }
        }
        None
    }

    fn next_lost_by_timer(&mut self, priority: usize, now: Instant) -> Option<u64> {
        let probe = self.probed.is_none_or(|at| now.saturating_duration_since(at) >= PROBE_PAUSE);
        while if self.peer_full { probe } else { self.throttle.has_token() } {
            let sequence = self.lost_by_timer.0[priority].pop_front()?;
            if !self.outstanding.is_in(sequence, State::LostByTimer) {
                continue;
            }
            if self.is_to_be_given_up(now, sequence) {
                self.resolve(now, sequence, MessageOutcome::GaveUp);
                continue;
            }
            self.probed = Some(now);
            return Some(sequence);
        }
        None
    }

    /// The next new message. While the peer refuses messages, the refused ones are the probe, on
    /// their timers.
    fn next_new(&mut self, priority: usize, form: Form) -> Option<u64> {
        let is_next = self.waiting.next_priority().is_some_and(|next| usize::from(next) == priority);
        let may =
            is_next && self.has_new(form) && self.may_send_freely() && !(self.peer_full && self.has_probe());
        may.then(|| self.waiting.pop()).flatten().map(|message| self.outstanding.push(message))
    }

    /// Whether the span allows the first transmission of another message.
    fn has_new(&self, form: Form) -> bool {
        let span = if form == Form::Plain { MAX_PLAIN_SPAN } else { MAX_SPAN };
        !self.waiting.is_empty() && self.outstanding.span() < span
    }

    fn has_probe(&self) -> bool {
        !self.timers.is_empty() || !self.lost_by_timer.is_empty()
    }

    fn transmit(&mut self, now: Instant, sequence: u64, form: Form) -> Transmit {
        let rto = self.rto();
        let longest = MAX_BACKOFF.min(self.config.ack_timeout).max(rto);
        self.transmitted += 1;
        let number = self.transmitted;
        let mut takes_token = self.throttle.is_active();
        let Some(message) = self.outstanding.get_mut(sequence) else {
            return Transmit { frame: Bytes::new(), priority: Priority::LOWEST, expires_at: None };
        };
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
        message.sent_plain |= form == Form::Plain;
        self.timers.insert((message.due, sequence));
        let (priority, expires_at) = (message.priority, message.expires_at);
        if let Some(at) = expires_at {
            self.lost_expiries.remove(&(at, sequence));
        }
        let frame = match form {
            Form::Bound(tag) => frame::bound_data(tag, transmission, sequence as u32, &message.payload),
            Form::Plain | Form::Held => frame::data(sequence as u32, &message.payload),
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
        Transmit { frame, priority, expires_at }
    }

    /// Counts a message in flight as lost: it is to be transmitted again, unless it has expired.
    fn lose(&mut self, now: Instant, sequence: u64, state: State) {
        let Some(message) = self.outstanding.get_mut(sequence) else { return };
        if message.is_expired(now) {
            self.resolve(now, sequence, MessageOutcome::Expired);
            return;
        }
        self.timers.remove(&(message.due, sequence));
        message.state = state;
        if let Some(at) = message.expires_at {
            self.lost_expiries.insert((at, sequence));
        }
        let queue = if state == State::LostEarly { &mut self.lost_early } else { &mut self.lost_by_timer };
        queue.push(message.priority, sequence);
    }

    /// Resolves messages that wait, or are lost, and have expired.
    fn expire(&mut self, now: Instant) {
        while let Some(message) = self.waiting.pop_expired(now) {
            self.settle(now, &message, MessageOutcome::Expired);
        }
        while let Some(&(at, sequence)) = self.lost_expiries.first()
            && at <= now
        {
            self.resolve(now, sequence, MessageOutcome::Expired);
        }
    }

    // ---- outcome ----

    fn is_to_be_given_up(&self, now: Instant, sequence: u64) -> bool {
        let Some(message) = self.outstanding.get(sequence) else { return false };
        let since = self.peer_full_at.map_or(message.first_sent, |full| full.max(message.first_sent));
        let blocked = self.path.blocked(now).saturating_sub(message.blocked_before);
        message.by_timer >= self.config.max_retries
            && !self.path.is_blocked(now)
            && now.saturating_duration_since(since).saturating_sub(blocked) >= self.patience()
    }

    fn patience(&self) -> Duration {
        self.config.ack_timeout.saturating_mul(self.config.max_retries.saturating_add(1))
    }

    /// Gives up messages that have waited too long for the peer's answer.
    fn give_up_held(&mut self, now: Instant, form: Form) {
        if form != Form::Held || self.is_idle() {
            self.held = None;
            return;
        }
        let blocked = self.path.blocked(now);
        let (since, blocked_before) = *self.held.get_or_insert((now, blocked));
        let patience = self.patience().saturating_add(blocked.saturating_sub(blocked_before));
        if self.path.is_blocked(now) || now.saturating_duration_since(since) < patience {
            return;
        }
        while let Some(sequence) = self.outstanding.first() {
            self.resolve(now, sequence, MessageOutcome::GaveUp);
        }
        while let Some(message) =
            now.checked_sub(patience).and_then(|then| self.waiting.pop_accepted_by(then))
        {
            self.settle(now, &message, MessageOutcome::GaveUp);
        }
    }

    fn resolve(&mut self, now: Instant, sequence: u64, outcome: MessageOutcome) {
        let Some(message) = self.outstanding.take(sequence) else { return };
        if message.state == State::InFlight {
            self.timers.remove(&(message.due, sequence));
        }
        if let Some(at) = message.expires_at {
            self.lost_expiries.remove(&(at, sequence));
        }
        self.settle(now, &message, outcome);
    }

    fn settle(&mut self, now: Instant, message: &Message, outcome: MessageOutcome) {
        let counter = match outcome {
            MessageOutcome::Acknowledged => &mut self.stats.acknowledged,
            MessageOutcome::GaveUp => &mut self.stats.gave_up,
            MessageOutcome::TooLarge => &mut self.stats.too_large,
            MessageOutcome::Closed => &mut self.stats.closed,
            MessageOutcome::Expired => &mut self.stats.expired,
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
