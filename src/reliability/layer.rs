//! The driver of a [`Machine`] over a transport: one job of its lane, and the callers that wait.
//!
//! Only the job transmits, and only while the transport has space, so that frames never evict one
//! another. A route (`datagram::receive::routes::Route`) takes arriving frames before the
//! transport's own queue does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use once_cell::sync::OnceCell;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::negotiation::{Mode, Past};
use super::outstanding::Message;
use super::sender::Transmit;
use super::{Machine, Options, Received, Report, Stats, Verdict};
use crate::datagram::channel::Channel;
use crate::datagram::message::Metadata;
use crate::datagram::options::SendOptions;
use crate::datagram::receive::routes::{Offered, Route, RouteOrder};
use crate::datagram::transport::Transport;
use crate::error::{Error, Result};
use crate::link::{After, Job, JobHandle};
use crate::runtime::clock;
use crate::runtime::readiness::{Pollable, Ready, Token, Watcher, Watchers};
use crate::runtime::wait::{Deadline, wait_for};
use crate::runtime::waiters::{Lead, Waiters};

/// The most outcomes that wait to be fetched or are still to come; messages that ask for more are
/// refused.
const MAX_REPORTS: usize = 65_536;

/// Frames taken from the machine under one lock.
const TURN: usize = 64;

/// The options of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerOptions {
    /// A message is not given up before `ack_timeout × (max_retries + 1)`. Default 2 s.
    pub ack_timeout: Duration,
    /// A message is not given up before so many retransmissions by timer. Default 5.
    pub max_retries: u32,
    /// The most messages without an outcome. Default 1024.
    pub window_messages: usize,
    /// The most payload bytes of those. Default 1 MiB.
    pub window_bytes: usize,
    /// The most messages received and not yet read. Default 4096.
    pub inbound_messages: usize,
    /// The most payload bytes of those. Default 1 MiB.
    pub inbound_bytes: usize,
    /// Whether to use more than the reference's protocol, and how to treat plain frames. Default
    /// [`Mode::Auto`].
    pub negotiation: Mode,
    /// The first sequence on a session that had no layer before. Default 0.
    pub first_sequence: u32,
}

impl Default for LayerOptions {
    fn default() -> Self {
        let Options {
            ack_timeout,
            max_retries,
            window_messages,
            window_bytes,
            inbound_messages,
            inbound_bytes,
            negotiation,
            first_sequence,
            ..
        } = Options::default();
        Self {
            ack_timeout,
            max_retries,
            window_messages,
            window_bytes,
            inbound_messages,
            inbound_bytes,
            negotiation,
            first_sequence,
        }
    }
}

impl LayerOptions {
    fn check(&self) -> Result<()> {
        const LONGEST: Duration = Duration::from_secs(24 * 3600);
        let positive = [self.window_messages, self.window_bytes, self.inbound_messages, self.inbound_bytes];
        if self.ack_timeout.is_zero() || self.ack_timeout > LONGEST {
            return Err(Error::InvalidArgument("ack_timeout must be more than 0 and at most a day".into()));
        }
        if positive.contains(&0) {
            return Err(Error::InvalidArgument("a window or queue must hold something".into()));
        }
        Ok(())
    }
}

/// Acknowledged datagrams over a transport.
pub struct Layer {
    transport: Arc<Transport>,
    state: Mutex<State>,
    readable: Waiters,
    /// There is space in the window, or every message has its outcome.
    progressed: Condvar,
    reported: Condvar,
    watchers: Watchers,
    /// Wakes the job.
    handle: OnceCell<Arc<JobHandle>>,
    history: Arc<Mutex<History>>,
}

struct State {
    machine: Machine,
    /// A message that was taken from the machine for a buffer that was too small.
    front: Option<Received>,
    reports: VecDeque<Report>,
    /// Reports that were asked for and not fetched yet, also those still to come.
    reports_promised: usize,
    /// It accepts no more messages.
    closing: bool,
    /// Every message has its outcome and no more sequences will be used: another layer may follow.
    settled: bool,
    /// The job has ended; only reads can still change something.
    closed: bool,
}

/// State that outlives the layers of one transport. Its lock is taken before that of a layer's
/// state, never after.
#[derive(Default)]
struct History {
    opened: u32,
    next_sequence: Option<u32>,
    past: Past,
    open: Weak<Layer>,
}

impl Layer {
    /// Opens a layer. One transport carries one layer at a time, because plain frames do not show
    /// which layer they belong to.
    ///
    /// [`Error::InvalidState`] if one is open, [`Error::Closed`] on a closed transport.
    pub fn open(transport: Arc<Transport>, options: &LayerOptions) -> Result<Arc<Self>> {
        options.check()?;
        if transport.is_closed() {
            return Err(Error::Closed);
        }
        // Before any lock: the session asks its lane, and the lane's turn takes locks of the layer.
        let rtt = transport.session().stats().map(|stats| stats.rtt);
        let shared = history_of(&transport);
        let mut history = shared.lock();
        if history.open.upgrade().is_some_and(|layer| !layer.state.lock().settled) {
            return Err(Error::InvalidState("a reliability layer is open on this transport".into()));
        }
        let now = clock::now();
        let mut machine = Machine::new(
            now,
            Options {
                ack_timeout: options.ack_timeout,
                max_retries: options.max_retries,
                window_messages: options.window_messages,
                window_bytes: options.window_bytes,
                inbound_messages: options.inbound_messages,
                inbound_bytes: options.inbound_bytes,
                negotiation: options.negotiation,
                epoch: random(),
                generation: history.opened,
                past: history.past.clone(),
                first_sequence: history.next_sequence.unwrap_or(options.first_sequence),
            },
        );
        if let Ok(rtt) = rtt {
            machine.seed_rtt(rtt);
        }
        let layer = Arc::new(Self {
            state: Mutex::new(State {
                machine,
                front: None,
                reports: VecDeque::new(),
                reports_promised: 0,
                closing: false,
                settled: false,
                closed: false,
            }),
            readable: Waiters::new(transport.lane_to_lead()),
            progressed: Condvar::new(),
            reported: Condvar::new(),
            watchers: Watchers::default(),
            handle: OnceCell::new(),
            history: Arc::clone(&shared),
            transport,
        });
        history.opened = history.opened.saturating_add(1);
        history.open = Arc::downgrade(&layer);
        drop(history);
        let job = Arc::new(Duty(Mutex::new(Some(Task::new(&layer)))));
        let _ = layer.handle.set(layer.transport.session().add_job(job)?);
        // For changes before the handle was set.
        layer.wake();
        Ok(layer)
    }

    /// Wakes the job: there is something to send, or to check.
    fn wake(&self) {
        if let Some(handle) = self.handle.get() {
            handle.wake();
        }
    }

    /// The transport below it.
    pub fn transport(&self) -> &Arc<Transport> {
        &self.transport
    }

    /// Whether it accepts no more messages. What has arrived can still be received.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closing
    }

    /// The largest message that can be sent now, in bytes.
    pub fn max_message_size(&self) -> Result<usize> {
        Machine::max_payload(self.transport.max_datagram_size()?).ok_or(Error::Unsupported)
    }

    /// Accepts a message. It waits until `deadline` for space in the window, but not longer than
    /// the TTL of the message. With a report id the outcome can be fetched
    /// ([`Layer::next_outcome`]); every outcome is counted.
    ///
    /// The highest priority is transmitted first. A message whose TTL has passed is not transmitted
    /// again: [`super::MessageOutcome::Expired`].
    pub fn send(&self, payload: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()> {
        let now = clock::now();
        let max_size = self.transport.max_datagram_size()?;
        let expires_at = options.ttl.filter(|ttl| !ttl.is_zero()).and_then(|ttl| now.checked_add(ttl));
        let payload = Bytes::copy_from_slice(payload);
        let id = options.report_id.unwrap_or(UNREPORTED);
        let message =
            || Message { priority: options.priority, expires_at, ..Message::new(now, id, payload.clone()) };
        let mut state = self.state.lock();
        let result = wait_for(&mut state, &self.progressed, deadline.at_most(expires_at), |state| {
            if state.closing {
                return Some(Err(Error::Closed));
            }
            if options.report_id.is_some() && state.reports_promised >= MAX_REPORTS {
                return Some(Err(Error::LimitReached("outcomes nobody has fetched".into())));
            }
            match state.machine.submit(message(), max_size) {
                Err(Error::WouldBlock) => None,
                result => Some(result),
            }
        });
        if result.is_ok() {
            state.reports_promised += usize::from(options.report_id.is_some());
            drop(state);
            self.wake();
        }
        result
    }

    /// Waits until `deadline` for the next message and copies it into `buffer`.
    ///
    /// [`Error::BufferTooSmall`] keeps the message for the next call.
    pub fn receive(&self, buffer: &mut [u8], deadline: Deadline) -> Result<Metadata> {
        self.receive_with(deadline, |message| {
            let needed = message.payload.len();
            let target = buffer.get_mut(..needed).ok_or(Error::BufferTooSmall { needed })?;
            target.copy_from_slice(&message.payload);
            Ok(())
        })
    }

    /// Waits until `deadline` for the next outcome that was asked for.
    pub fn next_outcome(&self, deadline: Deadline) -> Result<Report> {
        let mut one = None;
        self.outcomes(1, deadline, |report| one = Some(report))?;
        one.ok_or(Error::WouldBlock)
    }

    /// Waits until `deadline` for an outcome, then passes up to `most` outcomes to `each`; returns
    /// how many.
    pub fn outcomes(&self, most: usize, deadline: Deadline, mut each: impl FnMut(Report)) -> Result<usize> {
        let mut state = self.state.lock();
        let count =
            wait_for(&mut state, &self.reported, deadline, |state| match state.reports.len().min(most) {
                // Nothing more can come: every message has its outcome, and no new one is accepted.
                0 if state.closed || (state.closing && state.machine.is_idle()) => Some(Err(Error::Closed)),
                0 => None,
                count => Some(Ok(count)),
            })?;
        state.reports_promised -= count;
        state.reports.drain(..count).for_each(&mut each);
        Ok(count)
    }

    /// Accepts no more messages, waits until `deadline` for the outcomes of those in progress, and
    /// ends. Messages that are then without an outcome get [`super::MessageOutcome::Closed`].
    ///
    /// [`Error::TimedOut`] or [`Error::WouldBlock`] if there were any; the layer is closed
    /// nevertheless.
    pub fn close(&self, deadline: Deadline) -> Result<()> {
        self.state.lock().closing = true;
        // With no lock held: a notified poller looks at this layer while it holds its own lock.
        self.tell();
        let mut state = self.state.lock();
        let drained = wait_for(&mut state, &self.progressed, deadline, |state| {
            (state.closed || state.machine.is_idle()).then_some(Ok(()))
        });
        state.machine.flush_acks(clock::now());
        drop(state);
        self.settle();
        self.wake();
        self.tell();
        drained
    }

    /// Gives every message its outcome, and stores for the next layer where the sequences ended.
    fn settle(&self) {
        let mut history = self.history.lock();
        let mut state = self.state.lock();
        if state.settled {
            return;
        }
        state.closing = true;
        state.machine.close(clock::now());
        self.collect(&mut state);
        state.settled = true;
        history.next_sequence = Some(state.machine.next_sequence());
        history.past = state.machine.past();
    }

    /// Counters and momentary values.
    pub fn stats(&self) -> Stats {
        self.state.lock().machine.stats()
    }

    fn receive_with(
        &self,
        deadline: Deadline,
        mut read: impl FnMut(&Received) -> Result<()>,
    ) -> Result<Metadata> {
        let started = clock::now();
        let metadata = self.readable.wait_for(&self.state, deadline, |state| {
            let now = clock::now();
            let Some(message) = state.front.take().or_else(|| state.machine.recv(now)) else {
                return state.closing.then_some(Err(Error::Closed));
            };
            let age = now.saturating_duration_since(message.arrived);
            let result = read(&message).map(|()| Metadata {
                timestamp_us: clock::unix_us_before(age),
                size: message.payload.len(),
                sequence: u64::from(message.sequence),
                age,
                waited: now.saturating_duration_since(started),
            });
            if result.is_err() {
                state.front = Some(message);
            }
            Some(result)
        });
        if let Ok(Metadata { waited, .. }) = &metadata {
            self.transport.record_waited(*waited);
            // The space that opened may make an acknowledgement due.
            self.wake();
        }
        metadata
    }

    /// Moves outcomes that were asked for to the reports.
    fn collect(&self, state: &mut MutexGuard<'_, State>) {
        while let Some(report) = state.machine.next_outcome() {
            if report.id != UNREPORTED {
                state.reports.push_back(report);
            }
        }
    }

    fn tell(&self) {
        self.readable.notify_all();
        self.progressed.notify_all();
        self.reported.notify_all();
        self.watchers.notify();
    }
}

/// The machine's number for messages without a report id.
const UNREPORTED: u64 = 0;

impl Route for Layer {
    fn offer(&self, now: Instant, payload: &Bytes) -> Offered {
        // A copy: a message that waits for its reader must not keep the receive buffer that it came
        // in.
        let frame = Bytes::copy_from_slice(payload);
        let (verdict, refused) = {
            let machine = &mut self.state.lock().machine;
            let before = machine.refused_full();
            (machine.on_frame(now, &frame), machine.refused_full() != before)
        };
        match verdict {
            Verdict::Consumed => {
                self.wake();
                if refused { Offered::Dropped } else { Offered::Taken }
            }
            Verdict::Stale => {
                // The peer must learn which opening this is.
                self.wake();
                Offered::Taken
            }
            Verdict::NotAFrame => Offered::Left,
        }
    }
}

impl Channel for Layer {
    fn send(&self, payload: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()> {
        Self::send(self, payload, options, deadline)
    }

    fn receive(&self, buffer: &mut Vec<u8>, deadline: Deadline) -> Result<Metadata> {
        self.receive_with(deadline, |message| {
            buffer.clear();
            buffer.extend_from_slice(&message.payload);
            Ok(())
        })
    }

    fn record_waited(&self, waited: Duration) {
        self.transport.record_waited(waited);
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }

    fn max_datagram_size(&self) -> Result<usize> {
        self.max_message_size()
    }

    fn close(&self) {
        let _ = Self::close(self, Deadline::Now);
    }
}

impl Pollable for Layer {
    fn ready(&self) -> Ready {
        // Writable means that a message of any size fits, as in a transport.
        let most = Machine::max_payload(self.transport.outgoing.recent_max_payload()).unwrap_or(1);
        let state = self.state.lock();
        let stats = state.machine.stats();
        Ready::READABLE.when(state.front.is_some() || stats.inbound > 0)
            | Ready::WRITABLE.when(!state.closing && state.machine.can_submit(most))
            | Ready::OUTCOME.when(!state.reports.is_empty())
            | Ready::SETTLED.when(state.machine.is_idle())
            | Ready::CLOSED.when(state.closing)
    }

    fn possible(&self) -> Ready {
        Ready::READABLE | Ready::WRITABLE | Ready::OUTCOME | Ready::SETTLED | Ready::CLOSED
    }

    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn lane_to_lead(&self) -> Option<Arc<dyn Lead>> {
        self.transport.lane_to_lead()
    }
}

/// The layer's work on its lane, until it ends.
struct Duty(Mutex<Option<Task>>);

impl Job for Duty {
    fn run(&self, now: Instant) -> After {
        let mut task = self.0.lock();
        let after = task.as_mut().map_or(After::Ended, |task| task.run(now));
        if after == After::Ended {
            *task = None;
        }
        after
    }

    fn stopped(&self) {
        *self.0.lock() = None;
    }
}

/// The data of that work. Dropping it, for whatever reason, ends the layer.
struct Task {
    layer: Arc<Layer>,
    route: u64,
    watch: Token,
    frames: Vec<Transmit>,
}

impl Task {
    fn new(layer: &Arc<Layer>) -> Self {
        let route =
            layer.transport.incoming.add_route(RouteOrder::Reliability, Arc::clone(layer) as Arc<dyn Route>);
        let watch = layer.transport.watchers().add(Arc::new(TransportWatch(Arc::downgrade(layer))));
        Self { layer: Arc::clone(layer), route, watch, frames: Vec::new() }
    }

    fn run(&mut self, now: Instant) -> After {
        let layer = Arc::clone(&self.layer);
        if layer.transport.is_closed() {
            // Datagrams that arrived before the end are already delivered: the transport notifies
            // of them first.
            return After::Ended;
        }
        let max_size = layer.transport.max_datagram_size().unwrap_or(0);
        let (wake_at, ended) = self.turn(now, max_size);
        for Transmit { frame, priority, expires_at } in self.frames.drain(..) {
            // Zero would mean no TTL.
            let left = |at: Instant| at.saturating_duration_since(clock::now()).max(Duration::from_nanos(1));
            let ttl = expires_at.map(left);
            // There was space, and only this task fills it with frames. If a program's own
            // datagrams took the space since, the frame is lost like any other, and repaired like
            // any other.
            let options = SendOptions { priority, ttl, report_id: None };
            let _ = layer.transport.outgoing.send_later(&frame, &options, Deadline::Now);
        }
        if ended { After::Ended } else { After::Wait(wake_at) }
    }

    /// One turn: puts the frames that may go now into `frames`. Returns when to look again, and
    /// whether the layer has ended.
    fn turn(&mut self, now: Instant, max_size: usize) -> (Option<Instant>, bool) {
        let layer = &self.layer;
        let mut room = layer.transport.outgoing.free_places(0).min(TURN);
        let outbound = layer.transport.stats().outbound;
        let mut state = layer.state.lock();
        state.machine.observe_path(now, outbound.sent.datagrams, outbound.queued.datagrams > 0);
        state.machine.on_timeout(now);
        while room > 0
            && let Some(frame) = state.machine.poll_transmit(now, max_size)
        {
            self.frames.push(frame);
            room -= 1;
        }
        layer.collect(&mut state);
        // Its owner closed it, and there is nothing left to send.
        let ended = state.closing && state.machine.is_idle() && (room > 0 || self.frames.is_empty());
        // The transport notifies of space. Until then, a TTL still runs out.
        let wake_at =
            if room > 0 { state.machine.next_timeout() } else { state.machine.next_timeout_without_space() };
        drop(state);
        layer.tell();
        (wake_at, ended)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let layer = &self.layer;
        layer.transport.incoming.remove_route(self.route);
        layer.transport.watchers().remove(self.watch);
        layer.settle();
        layer.state.lock().closed = true;
        layer.tell();
    }
}

struct TransportWatch(Weak<Layer>);

impl Watcher for TransportWatch {
    fn changed(&self) {
        if let Some(layer) = self.0.upgrade() {
            layer.wake();
        }
    }
}

/// What is known of earlier layers of a transport, as long as the transport lives.
fn history_of(transport: &Arc<Transport>) -> Arc<Mutex<History>> {
    type Histories = BTreeMap<usize, (Weak<Transport>, Arc<Mutex<History>>)>;
    static HISTORIES: Mutex<Option<Histories>> = Mutex::new(None);
    let mut histories = HISTORIES.lock();
    let histories = histories.get_or_insert_default();
    // Only now and then, so that it costs little however many there are.
    if histories.len().is_power_of_two() {
        histories.retain(|_, (transport, _)| transport.strong_count() > 0);
    }
    // No other transport has this address as long as the entry exists, whose `Weak` keeps the memory.
    let key = Arc::as_ptr(transport) as usize;
    let entry = histories.entry(key);
    let entry = entry.or_insert_with(|| (Arc::downgrade(transport), Arc::default()));
    Arc::clone(&entry.1)
}

/// A number that another opening will not have.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(clock::now())
}
