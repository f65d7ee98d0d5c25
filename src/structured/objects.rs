//! Structured transports: they send and receive typed objects over a channel, or beside other
//! readers of a session.
//!
//! On the wire: the type id as two bytes in network order, then the object as the serializer writes
//! it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;

use super::inbox::Inbox;
use super::registry::Registry;
use super::serializer::Serializer;
use crate::datagram::channel::Channel;
use crate::datagram::message::Metadata;
use crate::datagram::options::SendOptions;
use crate::datagram::receive::routes::{Offered, Route, RouteOrder};
use crate::datagram::transport::Transport;
use crate::error::{Error, Result};
use crate::runtime::readiness::{Pollable, Ready, Subscription, Watcher, Watchers};
use crate::runtime::wait::Deadline;
use crate::runtime::waiters::{Lead, Waiters};

/// The default size of a structured transport's own queue, in datagrams: the reference's
/// `queue_size`.
pub const DEFAULT_QUEUE: usize = 100;

/// Bytes of the type id.
const HEADER_BYTES: usize = 2;

/// A structured transport.
pub struct Structured {
    channel: Arc<dyn Channel>,
    source: Source,
    shared: Arc<Shared>,
    serializer: Box<dyn Serializer>,
    statistics: Mutex<Statistics>,
    /// Decoded objects that did not fit their receiver's buffer; they are received next.
    returned: Mutex<VecDeque<(Received, Vec<u8>)>>,
    _subscription: Subscription,
}

/// The source of datagrams.
enum Source {
    /// The channel, all of them.
    Channel,
    /// An own queue, filled by the route with this token.
    Inbox { transport: Arc<Transport>, route: u64 },
}

/// State that the route and the watch share with the structured transport.
struct Shared {
    registry: Registry,
    inbox: Option<Inbox>,
    watchers: Watchers,
    /// Counts notifications, so that a receiver that found nothing notices later ones.
    news: Mutex<u64>,
    told: Waiters,
    closed: AtomicBool,
}

/// What a receiver gets.
enum Next {
    /// An object that did not fit another receiver's buffer.
    Returned(Received, Vec<u8>),
    /// A datagram.
    Arrived(Metadata),
}

/// An object that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// Its type.
    pub type_id: u16,
    /// Bytes of the object.
    pub size: usize,
    /// The metadata of its datagram; `size` there is that of the datagram.
    pub metadata: Metadata,
}

/// One place of a batch that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// First byte of the object in the arena.
    pub offset: usize,
    /// The object, or why there is none.
    pub result: Result<Received>,
}

/// Counts of objects and datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Objects given to the channel.
    pub sent: u64,
    /// Not sent: the type id is not registered.
    pub send_unknown_type: u64,
    /// Not sent: the serializer refused the object.
    pub send_not_serialized: u64,
    /// Not sent: more bytes than its type or the path allows.
    pub send_too_large: u64,
    /// Not sent: the channel refused it.
    pub send_failed: u64,
    /// Objects given to the program.
    pub received: u64,
    /// Received datagrams with a type id that is not registered.
    pub receive_unknown_type: u64,
    /// Received datagrams without a type id.
    pub receive_truncated: u64,
    /// Received datagrams that the serializer refused.
    pub receive_not_deserialized: u64,
    /// Received datagrams with more bytes than their type allows.
    pub receive_too_large: u64,
    /// Datagrams dropped because the transport's own queue was full.
    pub dropped_full: u64,
    /// Datagrams in that queue now.
    pub queued: u64,
}

thread_local! {
    /// The buffer of a thread for a datagram or an object in progress. It is taken out while in
    /// use, because a serializer of the program may itself send and receive.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Threads do not keep larger buffers.
const SCRATCH_BYTES: usize = 64 * 1024;

fn with_scratch<R>(body: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut scratch = SCRATCH.take();
    let result = body(&mut scratch);
    if scratch.capacity() <= SCRATCH_BYTES {
        scratch.clear();
        SCRATCH.set(scratch);
    }
    result
}

impl Structured {
    /// A structured transport over a channel. It reads all datagrams of the channel, and closing it
    /// closes the channel.
    pub fn over_channel(
        channel: Arc<dyn Channel>,
        registry: Registry,
        serializer: Box<dyn Serializer>,
    ) -> Result<Arc<Self>> {
        if channel.is_closed() {
            return Err(Error::Closed);
        }
        let shared = Arc::new(Shared::new(registry, None, channel.lane_to_lead()));
        let watch = Arc::new(Watch { shared: Arc::clone(&shared), transport: None });
        Ok(Self::new(channel, Source::Channel, shared, serializer, watch))
    }

    /// A structured transport beside other readers of a session. It takes the datagrams with
    /// registered type ids into a queue of `queue` datagrams and leaves the others. Closing it only
    /// ends that.
    pub fn over_session(
        transport: &Arc<Transport>,
        registry: Registry,
        serializer: Box<dyn Serializer>,
        queue: usize,
    ) -> Result<Arc<Self>> {
        if transport.is_closed() {
            return Err(Error::Closed);
        }
        let shared = Arc::new(Shared::new(registry, Some(Inbox::new(queue)), transport.lane_to_lead()));
        let route = transport.incoming.add_route(RouteOrder::Structured, Arc::clone(&shared) as _);
        let watch =
            Arc::new(Watch { shared: Arc::clone(&shared), transport: Some(Arc::downgrade(transport)) });
        let source = Source::Inbox { transport: Arc::clone(transport), route };
        let structured =
            Self::new(Arc::clone(transport) as _, source, shared, serializer, Arc::clone(&watch) as _);
        // The session may have ended before the watch was added.
        watch.changed();
        Ok(structured)
    }

    fn new(
        channel: Arc<dyn Channel>,
        source: Source,
        shared: Arc<Shared>,
        serializer: Box<dyn Serializer>,
        watch: Arc<dyn Watcher>,
    ) -> Arc<Self> {
        let subscription = Subscription::new(Arc::clone(&channel) as _, watch);
        Arc::new(Self {
            channel,
            source,
            shared,
            serializer,
            statistics: Mutex::default(),
            returned: Mutex::default(),
            _subscription: subscription,
        })
    }

    /// Sends an object. Waits for space until `deadline` if the channel waits at all.
    pub fn send(&self, type_id: u32, object: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()> {
        let result = self.try_to_send(type_id, object, options, deadline);
        let mut statistics = self.statistics.lock();
        *match &result {
            Ok(()) => &mut statistics.sent,
            Err(Error::UnknownType(_)) => &mut statistics.send_unknown_type,
            Err(Error::Serialization(_)) => &mut statistics.send_not_serialized,
            Err(Error::TooLarge { .. }) => &mut statistics.send_too_large,
            Err(_) => &mut statistics.send_failed,
        } += 1;
        result
    }

    fn try_to_send(
        &self,
        type_id: u32,
        object: &[u8],
        options: &SendOptions,
        deadline: Deadline,
    ) -> Result<()> {
        let (type_id, limit) = self.shared.registry.limit(type_id)?;
        if self.is_closed() {
            return Err(Error::Closed);
        }
        with_scratch(|wire| {
            wire.extend_from_slice(&type_id.to_be_bytes());
            self.serializer.serialize(type_id, object, wire)?;
            let size = wire.len().saturating_sub(HEADER_BYTES);
            if size > limit {
                return Err(Error::TooLarge { size, limit });
            }
            self.channel.send(wire, options, deadline)
        })
    }

    /// Waits until `deadline` for the next object and writes it to the beginning of `buffer`.
    ///
    /// [`Error::BufferTooSmall`] keeps the object for the next call. A datagram that is not a
    /// registered object is counted and returned as its error; the next call continues with the
    /// next datagram.
    pub fn receive(&self, buffer: &mut [u8], deadline: Deadline) -> Result<Received> {
        let called = Instant::now();
        let mut datagram = Vec::new();
        let metadata = match self.wait_for_next(&mut datagram, deadline)? {
            Next::Returned(received, object) => return self.deliver(received, object, buffer),
            Next::Arrived(metadata) => Metadata { waited: called.elapsed(), ..metadata },
        };
        self.channel.record_waited(metadata.waited);
        with_scratch(|object| {
            let received = self.decoded(&datagram, metadata, object)?;
            // The common case copies the object; only an object that must be kept takes the memory
            // with it.
            let object = if object.len() > buffer.len() {
                std::mem::take(object)
            } else {
                return self.copy(received, object, buffer);
            };
            self.deliver(received, object, buffer)
        })
    }

    /// Waits until `deadline` for an object, then takes all objects that are there and fit, back to
    /// back into `arena`.
    ///
    /// Each datagram that is not a registered object takes a slot, with its error.
    /// [`Error::BufferTooSmall`] is returned only if the first object does not fit.
    pub fn receive_batch(
        &self,
        arena: &mut [u8],
        slots: &mut Vec<Slot>,
        most: usize,
        deadline: Deadline,
    ) -> Result<()> {
        if most == 0 {
            return Err(Error::InvalidArgument("a batch needs room for at least one object".into()));
        }
        slots.clear();
        let mut used = 0;
        while slots.len() < most {
            let patience = if slots.is_empty() { deadline } else { Deadline::Now };
            let result = self.receive(&mut arena[used..], patience);
            use Error::{BufferTooSmall, Closed, TimedOut, WouldBlock};
            if let Err(WouldBlock | TimedOut | Closed | BufferTooSmall { .. }) = &result {
                return if slots.is_empty() { result.map(drop) } else { Ok(()) };
            }
            let size = result.as_ref().map_or(0, |received| received.size);
            slots.push(Slot { offset: used, result });
            used += size;
        }
        Ok(())
    }

    fn deliver(&self, received: Received, object: Vec<u8>, buffer: &mut [u8]) -> Result<Received> {
        if object.len() <= buffer.len() {
            return self.copy(received, &object, buffer);
        }
        let needed = object.len();
        self.returned.lock().push_front((received, object));
        // Other threads may have looked while this thread held the object, and perhaps nothing else
        // will arrive.
        self.shared.tell();
        Err(Error::BufferTooSmall { needed })
    }

    fn copy(&self, received: Received, object: &[u8], buffer: &mut [u8]) -> Result<Received> {
        buffer[..object.len()].copy_from_slice(object);
        self.statistics.lock().received += 1;
        Ok(received)
    }

    /// Waits until `deadline` for an object that was put back, or for a datagram, which it writes
    /// to `datagram`.
    ///
    /// It waits here and not in the channel, because the channel does not know objects that are put
    /// back.
    fn wait_for_next(&self, datagram: &mut Vec<u8>, deadline: Deadline) -> Result<Next> {
        loop {
            let known = *self.shared.news.lock();
            if let Some((received, object)) = self.returned.lock().pop_front() {
                return Ok(Next::Returned(received, object));
            }
            let arrived = match &self.shared.inbox {
                Some(inbox) => inbox.take(datagram),
                None => self.channel.receive(datagram, Deadline::Now),
            };
            if arrived != Err(Error::WouldBlock) || deadline == Deadline::Now {
                return arrived.map(Next::Arrived);
            }
            let has_come = |news: &mut u64| (*news != known).then_some(Ok(()));
            self.shared.told.wait_for(&self.shared.news, deadline, has_come)?;
        }
    }

    /// Decodes a datagram into `object`; counts failures.
    fn decoded(&self, datagram: &[u8], metadata: Metadata, object: &mut Vec<u8>) -> Result<Received> {
        let result = self.decode(datagram, object);
        let mut statistics = self.statistics.lock();
        match &result {
            Ok(_) => {}
            Err(Error::Truncated(_)) => statistics.receive_truncated += 1,
            Err(Error::UnknownType(_)) => statistics.receive_unknown_type += 1,
            Err(Error::TooLarge { .. }) => statistics.receive_too_large += 1,
            Err(_) => statistics.receive_not_deserialized += 1,
        }
        Ok(Received { type_id: result?, size: object.len(), metadata })
    }

    fn decode(&self, datagram: &[u8], object: &mut Vec<u8>) -> Result<u16> {
        let (header, wire) =
            datagram.split_first_chunk::<HEADER_BYTES>().ok_or(Error::Truncated(datagram.len()))?;
        let (type_id, limit) = self.shared.registry.limit(u16::from_be_bytes(*header).into())?;
        if wire.len() > limit {
            return Err(Error::TooLarge { size: wire.len(), limit });
        }
        self.serializer.deserialize(type_id, wire, object)?;
        Ok(type_id)
    }

    /// Whether it is closed for sending. Datagrams that have arrived can still be received.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Relaxed) || self.channel.is_closed()
    }

    /// A snapshot of all counts.
    pub fn statistics(&self) -> Statistics {
        let statistics = *self.statistics.lock();
        match &self.shared.inbox {
            None => statistics,
            Some(inbox) => {
                Statistics { dropped_full: inbox.dropped_full(), queued: inbox.len() as u64, ..statistics }
            }
        }
    }

    /// Ends it, and also the channel, unless it is one of several readers of a session. Waiting
    /// threads are notified; datagrams that have arrived can still be received.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        match &self.source {
            Source::Channel => self.channel.close(),
            Source::Inbox { .. } => self.detach(),
        }
        self.shared.tell();
    }

    fn detach(&self) {
        if let Source::Inbox { transport, route } = &self.source {
            transport.incoming.remove_route(*route);
        }
        if let Some(inbox) = &self.shared.inbox {
            inbox.end();
        }
    }
}

impl Drop for Structured {
    fn drop(&mut self) {
        self.detach();
    }
}

impl Pollable for Structured {
    fn ready(&self) -> Ready {
        let below = self.channel.ready();
        let arrived = match &self.shared.inbox {
            Some(inbox) => !inbox.is_empty(),
            None => !(below & Ready::READABLE).is_empty(),
        };
        let closed = self.is_closed();
        let writable = if closed { Ready::NONE } else { below & Ready::WRITABLE };
        let readable = Ready::READABLE.when(arrived || !self.returned.lock().is_empty());
        readable | writable | Ready::CLOSED.when(closed)
    }

    fn possible(&self) -> Ready {
        Ready::READABLE | Ready::WRITABLE | Ready::CLOSED
    }

    fn watchers(&self) -> &Watchers {
        &self.shared.watchers
    }

    fn lane_to_lead(&self) -> Option<Arc<dyn Lead>> {
        self.channel.lane_to_lead()
    }
}

impl Shared {
    fn new(registry: Registry, inbox: Option<Inbox>, lane: Option<Arc<dyn Lead>>) -> Self {
        Self {
            registry,
            inbox,
            watchers: Watchers::default(),
            news: Mutex::default(),
            told: Waiters::new(lane),
            closed: AtomicBool::new(false),
        }
    }

    /// Makes receivers and pollers look again.
    fn tell(&self) {
        *self.news.lock() += 1;
        self.told.notify_all();
        self.watchers.notify();
    }
}

impl Route for Shared {
    fn offer(&self, now: Instant, payload: &Bytes) -> Offered {
        let Some(inbox) = &self.inbox else { return Offered::Left };
        let ours = payload
            .first_chunk::<HEADER_BYTES>()
            .is_some_and(|header| self.registry.knows(u16::from_be_bytes(*header)));
        if !ours {
            return Offered::Left;
        }
        match inbox.put(now, payload) {
            None => return Offered::Dropped,
            Some(1) => self.tell(),
            Some(_) => {}
        }
        Offered::Taken
    }
}

/// Passes on changes of the channel.
struct Watch {
    shared: Arc<Shared>,
    /// Only if there is an inbox that must end with it.
    transport: Option<Weak<Transport>>,
}

impl Watcher for Watch {
    fn changed(&self) {
        if let (Some(inbox), Some(transport)) = (&self.shared.inbox, &self.transport)
            && transport.upgrade().is_none_or(|transport| transport.incoming.has_ended())
        {
            inbox.end();
        }
        self.shared.tell();
    }
}
