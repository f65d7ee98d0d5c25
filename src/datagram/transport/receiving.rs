//! The receiving side as callers use it, and what the lane brings it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Transport, unix_us};
use crate::datagram::channel::{Offered, Route, RouteOrder};
use crate::datagram::inbound::{Inbound, PopError, Slot};
use crate::datagram::json;
use crate::datagram::message::Metadata;
use crate::error::{Error, Result};
use crate::runtime::clock;
use crate::runtime::wait::Deadline;

impl Transport {
    /// Receives the next datagram into `buffer`, waiting for one until `deadline`.
    ///
    /// [`Error::BufferTooSmall`] leaves the datagram where it is.
    pub fn receive(&self, buffer: &mut [u8], deadline: Deadline) -> Result<Metadata> {
        let (metadata, waited) = self.receive_with(deadline, |queue, now| queue.pop_into(now, buffer))?;
        Ok(Metadata { waited, ..metadata })
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
        .map(|(taken, _)| taken)
    }

    /// Receives the next datagram as JSON text without insignificant white space, at most `most` bytes long.
    ///
    /// [`Error::Serialization`]: it is not acceptable JSON; it is taken out, as it would block all others.
    /// [`Error::BufferTooSmall`]: it is longer than `most` and stays where it is.
    pub fn receive_json(&self, most: usize, deadline: Deadline) -> Result<String> {
        let (text, _) = self.receive_with(deadline, |queue, now| {
            let mut payload = vec![0; queue.front_len(now).ok_or(PopError::Empty)?];
            queue.front_into(&mut payload);
            let text = json::compact(&payload);
            match &text {
                Ok(text) if text.len() > most => Err(PopError::TooSmall { needed: text.len() }),
                _ => queue.pop_into(now, &mut payload).map(|_| text),
            }
        })?;
        text
    }

    /// Drops everything that waits for being received; returns how many that were.
    pub fn clear_receive_buffer(&self) -> usize {
        self.receiving.lock().queue.clear(clock::now())
    }

    /// The sequence number the next datagram to arrive will get: how many arrived so far.
    pub fn receive_sequence(&self) -> u64 {
        self.receiving.lock().queue.next_sequence()
    }

    /// Takes from the queue, waiting until `deadline` for something to take; says how long it waited.
    pub(super) fn receive_with<R>(
        &self,
        deadline: Deadline,
        mut take: impl FnMut(&mut Inbound, Instant) -> Result<R, PopError>,
    ) -> Result<(R, Duration)> {
        let mut waiting_since = None;
        self.readable.wait_for(&self.receiving, deadline, |receiving| {
            let now = clock::now();
            let since = *waiting_since.get_or_insert(now);
            match take(&mut receiving.queue, now) {
                Ok(taken) => {
                    let waited = now.saturating_duration_since(since);
                    receiving.time.record(waited);
                    Some(Ok((taken, waited)))
                }
                Err(PopError::TooSmall { needed }) => {
                    // It stays, and another that waits may have the room.
                    self.readable.notify_one();
                    Some(Err(Error::BufferTooSmall { needed }))
                }
                Err(PopError::Empty) if receiving.closed => Some(Err(Error::Closed)),
                Err(PopError::Empty) => None,
            }
        })
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

    /// Whether more than half of what may wait for being received does.
    pub(super) fn reader_is_behind(&self) -> bool {
        let receiving = self.receiving.lock();
        let (queued, limits) = (receiving.queue.queued(), receiving.queue.config().limits);
        queued.datagrams > limits.datagrams as u64 / 2 || queued.bytes > limits.bytes as u64 / 2
    }

    /// What the lane took from QUIC.
    pub(super) fn arrived(&self, now: Instant, batch: &[Bytes]) {
        let routes = self.routes.read().clone();
        let mut offered = Vec::new();
        if !routes.is_empty() {
            offered = batch.iter().map(|one| routes.offer(now, one)).collect();
        }
        let mut receiving = self.receiving.lock();
        receiving.last_arrival = Some(now);
        for (one, offered) in batch.iter().zip(&offered) {
            match offered {
                Offered::Left => {}
                Offered::Taken => receiving.count_routed(one.len()),
                Offered::Dropped => receiving.queue.count_dropped_elsewhere(one.len()),
            }
        }
        if receiving.closed {
            return;
        }
        let was_empty = receiving.queue.queued().datagrams == 0;
        let is_left = |index: usize| offered.get(index).is_none_or(|offered| *offered == Offered::Left);
        let ours = batch.iter().enumerate().filter(|(index, _)| is_left(*index)).map(|(_, one)| &one[..]);
        let kept = receiving.queue.push_batch(now, unix_us(), ours);
        drop(receiving);
        self.peer_spoke();
        match kept {
            0 => {}
            1 => self.readable.notify_one(),
            _ => self.readable.notify_all(),
        }
        if was_empty && kept > 0 {
            self.watchers.notify();
        }
    }
}
