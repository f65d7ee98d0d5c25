//! The datagram transport of a session: our queues, and the two pumps between them and QUIC.
//!
//! Callers' threads push to and pop from the queues; the pumps run on the session's lane. Each side has its own lock,
//! held for one batch at a time; nobody waits for QUIC's lock but the lane. (Handing over on the caller's thread was
//! the alternative; `docs/architecture.md` has the comparison.)

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
use tokio::sync::Notify;

mod framed;
pub use framed::Framed;

use super::census;
use super::channel::{Channel, Route, RouteOrder, Routes};
use super::inbound::{DropPolicy, Inbound, InboundConfig, PopError, Slot};
use super::message::{Limits, Metadata, Outgoing, Priority};
use super::outbound::{FullPolicy, HandOver, Outbound, OutboundConfig, PushError};
use super::stats::{ArrivalsAndLosses, Stats, Tally, TimeSpent};
use super::watermark::Marks;
use crate::error::{Error, Result};
use crate::link::datagram_path::HAND_OVER_BATCH;
use crate::link::{DatagramPath, HandOverError, Session};
use crate::runtime::readiness::{Pollable, Ready, Watcher, Watchers};
use crate::runtime::wait::{Deadline, wait_for};

/// Datagrams moved in one turn of a pump: enough to share locks and wake-ups, few enough that a turn stays short.
const BATCH: usize = HAND_OVER_BATCH;

/// Token of the transport's own watcher on its session.
const SESSION_WATCH: u64 = 0;

/// How a transport behaves; each can be changed while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportOptions {
    /// What may wait for sending. Default 100 datagrams and 4 MiB.
    pub outgoing_limits: Limits,
    /// Age at which a datagram is dropped instead of sent.
    pub outgoing_max_age: Option<Duration>,
    /// What happens when the outgoing queue is full.
    pub outgoing_policy: FullPolicy,
    /// What may wait for being received. Default 4096 datagrams and 1 MiB.
    pub incoming_limits: Limits,
    /// Age at which a datagram is dropped instead of delivered.
    pub incoming_max_age: Option<Duration>,
    /// Which datagram goes when the incoming queue is full.
    pub incoming_policy: DropPolicy,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            outgoing_limits: Limits { datagrams: 100, bytes: 4 * 1024 * 1024 },
            outgoing_max_age: None,
            outgoing_policy: FullPolicy::default(),
            incoming_limits: Limits { datagrams: 4096, bytes: 1024 * 1024 },
            incoming_max_age: None,
            incoming_policy: DropPolicy::default(),
        }
    }
}

/// How one datagram is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendOptions {
    /// Urgency.
    pub priority: Priority,
    /// From this age on it is not worth sending.
    pub ttl: Option<Duration>,
    /// Report what becomes of it under this number.
    pub report_id: Option<u64>,
}

/// The datagrams of one session.
pub struct Transport {
    session: Arc<Session>,
    path: DatagramPath,
    created_at_us: u64,
    /// Largest payload when the send pump last looked; [`Self::check_size`] asks again before it refuses.
    max_payload: AtomicUsize,
    size_changed: AtomicBool,
    sending: Mutex<Sending>,
    writable: Condvar,
    /// Wakes the send pump.
    work: Notify,
    receiving: Mutex<Receiving>,
    readable: Condvar,
    /// Tells the receive pump that the session is over: take what is there, then end.
    ending: Notify,
    watchers: Watchers,
    routes: RwLock<Routes>,
    next_route: AtomicU64,
    census: census::Ticket,
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.census.leave(&self.stats());
    }
}

struct Sending {
    queue: Outbound,
    time: TimeSpent,
    /// The pump waits for work, so whoever brings some wakes it.
    pump_idle: bool,
}

struct Receiving {
    queue: Inbound,
    time: TimeSpent,
    routed: Tally,
    closed: bool,
}

impl Transport {
    /// The transport of an established session; its pumps start.
    pub fn open(session: Arc<Session>, options: &TransportOptions) -> Result<Arc<Self>> {
        let path = session.datagram_path()?;
        let high_water = options.outgoing_limits.datagrams;
        let transport = Arc::new(Self {
            max_payload: AtomicUsize::new(path.max_payload().unwrap_or(0)),
            size_changed: AtomicBool::new(false),
            session,
            path,
            created_at_us: unix_us(),
            sending: Mutex::new(Sending {
                queue: Outbound::new(OutboundConfig {
                    limits: options.outgoing_limits,
                    max_age: options.outgoing_max_age,
                    policy: options.outgoing_policy,
                    marks: Marks::of_datagrams(high_water),
                    ..OutboundConfig::default()
                }),
                time: TimeSpent::default(),
                pump_idle: false,
            }),
            writable: Condvar::new(),
            work: Notify::new(),
            receiving: Mutex::new(Receiving {
                queue: Inbound::new(InboundConfig {
                    limits: options.incoming_limits,
                    max_age: options.incoming_max_age,
                    policy: options.incoming_policy,
                }),
                time: TimeSpent::default(),
                routed: Tally::default(),
                closed: false,
            }),
            readable: Condvar::new(),
            ending: Notify::new(),
            watchers: Watchers::default(),
            routes: RwLock::new(Routes::default()),
            next_route: AtomicU64::new(0),
            census: census::Ticket::new(),
        });
        transport.census.join(&transport);
        let watch = SessionWatch(Arc::downgrade(&transport));
        transport.session.watchers().add(SESSION_WATCH, Arc::new(watch));
        let lane = transport.session.lane();
        lane.spawn(SendPump(Arc::clone(&transport)).run());
        lane.spawn(ReceivePump(Arc::clone(&transport)).run());
        // The session may have ended before the watch was there.
        transport.follow_session();
        Ok(transport)
    }

    /// The session it belongs to.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The largest payload that can be sent now, in bytes; it follows the path's MTU.
    ///
    /// [`Error::Unsupported`] when the peer takes no datagrams.
    pub fn max_datagram_size(&self) -> Result<usize> {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        self.path.max_payload()
    }

    /// Whether it, or its session, is closed. What has arrived can still be received.
    pub fn is_closed(&self) -> bool {
        self.sending.lock().queue.is_closed()
    }

    /// Whether the receiving side is open or still holds datagrams.
    pub fn is_readable(&self) -> bool {
        let receiving = self.receiving.lock();
        !receiving.closed || receiving.queue.queued().datagrams > 0
    }

    /// Whether the sending side is open.
    pub fn is_writable(&self) -> bool {
        !self.is_closed()
    }

    /// Sends one datagram.
    ///
    /// It is queued; with [`FullPolicy::Wait`] the call waits for room until `deadline`.
    pub fn send(&self, payload: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()> {
        let item = self.outgoing(payload, options, Instant::now())?;
        let started = item.enqueued_at;
        let mut sending = self.sending.lock();
        let result = self.enqueue(&mut sending, item, deadline);
        sending.time.record(started.elapsed());
        self.wake_pump(sending);
        result
    }

    /// Sends many datagrams under one lock and with one wake-up; `on_result` hears of each, in order.
    ///
    /// One that fails does not keep the others from going. `deadline` is for the whole batch.
    pub fn send_batch<'a>(
        &self,
        payloads: impl IntoIterator<Item = Result<&'a [u8]>>,
        options: &SendOptions,
        deadline: Deadline,
        mut on_result: impl FnMut(Result<()>),
    ) {
        let started = Instant::now();
        let mut sending: Option<MutexGuard<'_, Sending>> = None;
        for payload in payloads {
            let item = payload.and_then(|payload| match self.outgoing_unlocked(payload, options, started) {
                Err(error @ Error::TooLarge { .. }) => {
                    // Counting needs the lock, which this loop may hold.
                    let guard = sending.get_or_insert_with(|| self.sending.lock());
                    count_too_large(guard, payload.len(), options, error)
                }
                other => other,
            });
            on_result(item.and_then(|item| {
                let guard = sending.get_or_insert_with(|| self.sending.lock());
                self.enqueue(guard, item, deadline)
            }));
        }
        if let Some(mut sending) = sending {
            sending.time.record(started.elapsed());
            self.wake_pump(sending);
        }
    }

    /// Receives the next datagram into `buffer`, waiting for one until `deadline`.
    ///
    /// [`Error::BufferTooSmall`] leaves the datagram where it is.
    pub fn receive(&self, buffer: &mut [u8], deadline: Deadline) -> Result<Metadata> {
        self.receive_with(deadline, |queue, now| queue.pop_into(now, buffer))
    }

    /// Waits for a datagram until `deadline`, then takes all that are there and fit, back to back into `arena`.
    pub fn receive_batch(&self, arena: &mut [u8], slots: &mut [Slot], deadline: Deadline) -> Result<usize> {
        if slots.is_empty() {
            return Err(Error::InvalidArgument(Cow::Borrowed(
                "a batch needs room for at least one datagram",
            )));
        }
        self.receive_with(deadline, |queue, now| match queue.pop_batch_into(now, arena, slots) {
            Ok(0) => Err(PopError::Empty),
            other => other,
        })
    }

    /// A snapshot of everything counted; both sides are looked at together.
    pub fn stats(&self) -> Stats {
        let now = Instant::now();
        let below = self.path.counts();
        let mut sending = self.sending.lock();
        let mut receiving = self.receiving.lock();
        sending.queue.expire(now);
        receiving.queue.expire(now);
        Stats {
            session_id: self.session.established().map_or(0, |established| established.id),
            created_at_us: self.created_at_us,
            outbound: sending.queue.counters(),
            inbound: receiving.queue.counters(),
            outside: ArrivalsAndLosses {
                routed: receiving.routed,
                foreign: Tally { datagrams: below.foreign, bytes: 0 },
                dropped_in_quic: below.receive_dropped_by_quic,
                dropped_after_sent: below.send_dropped_by_quic,
                ..ArrivalsAndLosses::default()
            },
            send_time: sending.time,
            receive_time: receiving.time,
            sizes: sending.queue.sent_sizes().merged(receiving.queue.delivered_sizes()),
        }
    }

    /// The sequence number the next datagram handed in will get: how many were handed in so far.
    pub fn send_sequence(&self) -> u64 {
        self.sending.lock().queue.counters().handed_in.datagrams
    }

    /// The sequence number the next datagram to arrive will get: how many arrived so far.
    pub fn receive_sequence(&self) -> u64 {
        self.receiving.lock().queue.next_sequence()
    }

    /// Closes the datagram path; the session lives on. What has arrived can still be received.
    pub fn close(&self) {
        self.end_sending();
        self.ending.notify_one();
    }

    fn outgoing(&self, payload: &[u8], options: &SendOptions, now: Instant) -> Result<Outgoing> {
        match self.outgoing_unlocked(payload, options, now) {
            Err(error @ Error::TooLarge { .. }) => {
                count_too_large(&mut self.sending.lock(), payload.len(), options, error)
            }
            other => other,
        }
    }

    fn outgoing_unlocked(&self, payload: &[u8], options: &SendOptions, now: Instant) -> Result<Outgoing> {
        self.check_size(payload.len())?;
        let prefix_len = self.path.prefix_len() as u8;
        let framed = self.path.frame(payload);
        Ok(Outgoing::new(framed, prefix_len, options.priority, now, options.ttl, options.report_id))
    }

    fn check_size(&self, size: usize) -> Result<()> {
        if size <= self.max_payload.load(Ordering::Relaxed) {
            return Ok(());
        }
        let limit = self.max_datagram_size()?;
        if size <= limit { Ok(()) } else { Err(Error::TooLarge { size, limit }) }
    }

    fn enqueue(
        &self,
        sending: &mut MutexGuard<'_, Sending>,
        item: Outgoing,
        deadline: Deadline,
    ) -> Result<()> {
        let mut item = Some(item);
        let attempt = |sending: &mut Sending, item: Outgoing| match sending.queue.push(Instant::now(), item) {
            Ok(_) => Ok(Ok(())),
            Err(PushError::Full(back)) => Err(back),
            Err(PushError::Rejected) => Ok(Err(Error::QueueFull)),
            Err(PushError::Expired) => Ok(Err(Error::TimedOut)),
            Err(PushError::OutcomesFull(_)) => {
                Ok(Err(Error::LimitReached(Cow::Borrowed("outcomes nobody has fetched"))))
            }
            Err(PushError::Closed(_)) => Ok(Err(Error::Closed)),
        };
        // The pump must know of what is queued before this thread sleeps for room.
        loop {
            let Some(current) = item.take() else { return Ok(()) };
            match attempt(sending, current) {
                Ok(result) => return result,
                Err(back) => item = Some(back),
            }
            if deadline != Deadline::Now && sending.pump_idle {
                sending.pump_idle = false;
                self.work.notify_one();
            }
            wait_for(sending, &self.writable, deadline, |sending| {
                let room = item.as_ref().is_some_and(|item| sending.queue.has_room(item.size()));
                (room || sending.queue.is_closed()).then_some(Ok(()))
            })?;
        }
    }

    fn wake_pump(&self, mut sending: MutexGuard<'_, Sending>) {
        if sending.pump_idle && !sending.queue.is_empty() {
            sending.pump_idle = false;
            drop(sending);
            self.work.notify_one();
        }
    }

    fn receive_with<R>(
        &self,
        deadline: Deadline,
        mut take: impl FnMut(&mut Inbound, Instant) -> Result<R, PopError>,
    ) -> Result<R> {
        let mut receiving = self.receiving.lock();
        let mut waiting_since = None;
        wait_for(&mut receiving, &self.readable, deadline, |receiving| {
            let now = Instant::now();
            let since = *waiting_since.get_or_insert(now);
            match take(&mut receiving.queue, now) {
                Ok(taken) => {
                    receiving.time.record(now.saturating_duration_since(since));
                    Some(Ok(taken))
                }
                Err(PopError::TooSmall { needed }) => Some(Err(Error::BufferTooSmall { needed })),
                Err(PopError::Empty) if receiving.closed => Some(Err(Error::Closed)),
                Err(PopError::Empty) => None,
            }
        })
    }

    /// The level of the outgoing queue, in datagrams, from which it counts as full of waiting work.
    pub fn outgoing_high_water_datagrams(&self) -> usize {
        self.sending.lock().queue.config().marks.high_datagrams
    }

    /// Whether nothing will arrive any more: the receive pump has ended.
    pub fn arrivals_ended(&self) -> bool {
        self.receiving.lock().closed
    }

    /// Lets `route` read datagrams before the transport's own queue; returns what [`Self::remove_route`] takes.
    pub fn add_route(&self, order: RouteOrder, route: Arc<dyn Route>) -> u64 {
        let token = self.next_route.fetch_add(1, Ordering::Relaxed);
        let mut routes = self.routes.write();
        *routes = routes.with(order, token, route);
        token
    }

    /// Takes a route out again.
    pub fn remove_route(&self, token: u64) {
        let mut routes = self.routes.write();
        *routes = routes.without(token);
    }

    /// What the receive pump took.
    fn arrived(&self, batch: &[Bytes]) {
        if batch.is_empty() {
            return;
        }
        let now = Instant::now();
        let routes = self.routes.read().clone();
        let mut taken = Vec::new();
        if !routes.is_empty() {
            taken = batch.iter().map(|one| routes.offer(now, one)).collect();
        }
        let is_taken = |index: usize| taken.get(index).copied().unwrap_or(false);
        let mut receiving = self.receiving.lock();
        for (_, one) in batch.iter().enumerate().filter(|(index, _)| is_taken(*index)) {
            receiving.routed.add(one.len());
            receiving.queue.claim_sequence();
        }
        if receiving.closed {
            return;
        }
        let was_empty = receiving.queue.queued().datagrams == 0;
        let ours = batch.iter().enumerate().filter(|(index, _)| !is_taken(*index)).map(|(_, one)| &one[..]);
        let kept = receiving.queue.push_batch(now, unix_us(), ours);
        drop(receiving);
        match kept {
            0 => {}
            1 => drop(self.readable.notify_one()),
            _ => drop(self.readable.notify_all()),
        }
        if was_empty && kept > 0 {
            self.watchers.notify();
        }
    }

    fn follow_session(&self) {
        if self.session.is_closed() {
            self.close();
        }
    }

    fn end_sending(&self) {
        self.sending.lock().queue.close();
        self.writable.notify_all();
        self.work.notify_one();
        self.watchers.notify();
    }

    fn end_receiving(&self) {
        self.receiving.lock().closed = true;
        self.readable.notify_all();
        self.watchers.notify();
    }
}

impl Channel for Transport {
    fn send(&self, payload: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()> {
        Self::send(self, payload, options, deadline)
    }

    fn receive(&self, buffer: &mut Vec<u8>, deadline: Deadline) -> Result<Metadata> {
        self.receive_with(deadline, |queue, now| {
            buffer.resize(queue.front_len(now).ok_or(PopError::Empty)?, 0);
            queue.pop_into(now, buffer)
        })
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }

    fn max_datagram_size(&self) -> Result<usize> {
        Self::max_datagram_size(self)
    }

    fn close(&self) {
        Self::close(self);
    }
}

impl Pollable for Transport {
    fn ready(&self) -> Ready {
        Ready::SIZE_CHANGED.when(self.size_changed.swap(false, Ordering::Relaxed)) | self.standing()
    }

    fn standing(&self) -> Ready {
        let now = Instant::now();
        let mut ready = Ready::NONE;
        {
            let sending = self.sending.lock();
            let closed = sending.queue.is_closed();
            ready |= Ready::CLOSED.when(closed);
            ready |= Ready::WRITABLE.when(!closed && sending.queue.has_room(1));
            ready |= Ready::LOW_WATER.when(!closed && !sending.queue.is_above_high_water());
            ready |= Ready::OUTCOME.when(sending.queue.outcomes_len() > 0);
        }
        let mut receiving = self.receiving.lock();
        ready | Ready::READABLE.when(receiving.queue.front_len(now).is_some())
    }

    fn possible(&self) -> Ready {
        Ready::READABLE
            | Ready::WRITABLE
            | Ready::CLOSED
            | Ready::LOW_WATER
            | Ready::SIZE_CHANGED
            | Ready::OUTCOME
    }

    fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}

struct SessionWatch(Weak<Transport>);

impl Watcher for SessionWatch {
    fn changed(&self) {
        if let Some(transport) = self.0.upgrade() {
            transport.follow_session();
        }
    }
}

/// Moves datagrams from the queue to QUIC. Dropping it, for whatever reason, ends the sending side.
struct SendPump(Arc<Transport>);

impl SendPump {
    async fn run(self) {
        let transport = &*self.0;
        let mut batch = Vec::new();
        let mut settled = Vec::new();
        loop {
            let room = transport.path.room();
            let waiting = {
                let mut sending = transport.sending.lock();
                if sending.queue.is_closed() {
                    return;
                }
                sending.queue.pop_batch(Instant::now(), room, BATCH, &mut batch);
                let waiting = !sending.queue.is_empty();
                sending.pump_idle = batch.is_empty() && !waiting;
                waiting
            };
            if batch.is_empty() {
                // Memory of a burst is not kept through idleness.
                if !waiting {
                    (batch, settled) = (Vec::new(), Vec::new());
                }
                tokio::select! {
                    () = transport.work.notified() => {}
                    () = transport.path.packets_sent(), if waiting => {}
                    () = transport.path.mtu_changed() => transport.refresh_size(),
                }
                continue;
            }
            settled.extend(batch.drain(..).map(|mut item| {
                let outcome = transport.path.hand_over(std::mem::take(&mut item.payload));
                let outcome = match outcome {
                    Ok(()) => HandOver::Sent,
                    Err(HandOverError::TooLarge) => HandOver::TooLarge,
                    Err(HandOverError::Unsupported) => HandOver::Failed,
                    Err(HandOverError::Closed) => HandOver::Closed,
                };
                (item, outcome)
            }));
            transport.sending.lock().queue.settle(settled.drain(..));
            transport.writable.notify_all();
            transport.watchers.notify();
            // QUIC's driver shares this thread: it gets its turn before more is brought.
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for SendPump {
    fn drop(&mut self) {
        self.0.end_sending();
    }
}

impl Transport {
    fn refresh_size(&self) {
        let now = self.path.max_payload().unwrap_or(0);
        if self.max_payload.swap(now, Ordering::Relaxed) != now {
            self.size_changed.store(true, Ordering::Relaxed);
            self.watchers.notify();
        }
    }
}

/// Moves datagrams from QUIC to the queue. Dropping it, for whatever reason, ends the receiving side.
struct ReceivePump(Arc<Transport>);

impl ReceivePump {
    async fn run(self) {
        let transport = &*self.0;
        loop {
            tokio::select! {
                result = transport.path.receive(BATCH, |batch| transport.arrived(batch)) => {
                    if result.is_err() {
                        return;
                    }
                }
                () = transport.ending.notified() => {
                    // What arrived before the end is still worth reading.
                    transport.path.receive_ready(usize::MAX, |batch| transport.arrived(batch));
                    return;
                }
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for ReceivePump {
    fn drop(&mut self) {
        self.0.end_receiving();
    }
}

fn count_too_large(
    sending: &mut Sending,
    size: usize,
    options: &SendOptions,
    error: Error,
) -> Result<Outgoing> {
    match sending.queue.count_too_large(size, options.report_id) {
        Ok(()) => Err(error),
        Err(_) => Err(Error::LimitReached(Cow::Borrowed("outcomes nobody has fetched"))),
    }
}

fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
