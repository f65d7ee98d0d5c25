//! The sending side as callers use it: send, and hear what became of it.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use super::sending_side::{Call, For, Sending, SendingGuard};
use super::{SendOptions, Transport};
use crate::datagram::json;
use crate::datagram::message::{Limits, Outgoing};
use crate::datagram::outbound::{FullPolicy, Outcome, OutcomesFull, PushError};
use crate::error::{Error, Result};
use crate::runtime::clock;
use crate::runtime::wait::Deadline;

/// Of datagrams that are sent in quick succession and do not wait, one in so many is timed, for all of them: reading the clock takes a
/// tenth of what a send does.
const TIMED_ONE_IN: u64 = 8;

/// Datagrams of a batch that are framed before the lock is taken for them.
const FRAMED_AT_ONCE: usize = 64;

impl Sending {
    /// Passes on what was checked before the lock was taken; a closed queue refuses everything, and what is too large is
    /// counted.
    pub(super) fn admit<T>(&mut self, checked: Result<T>, size: usize, options: &SendOptions) -> Result<T> {
        if self.queue.is_closed() {
            return Err(Error::Closed);
        }
        if let Err(Error::TooLarge { .. }) = checked {
            self.queue.count_too_large(size, options.report_id).map_err(outcomes_full)?;
        }
        checked
    }
}

impl Transport {
    /// Sends one datagram.
    ///
    /// It is queued; with [`FullPolicy::Wait`] the call waits for room
    /// until `deadline`. A datagram with a report id has exactly one outcome when this returns `Ok`,
    /// [`Error::TooLarge`], [`Error::QueueFull`] or [`Error::TimedOut`], and none on any other error: it was not taken.
    ///
    /// A lone one leaves on this thread if it can. Not with a lock held that a turn takes; see [`Self::send_later`].
    pub fn send(&self, payload: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()> {
        self.send_calling(Call::Send, payload, options, deadline)
    }

    /// The same, and the lane sends it.
    pub(super) fn send_later(&self, payload: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()> {
        self.send_calling(Call::Wake, payload, options, deadline)
    }

    fn send_calling(
        &self,
        call: Call,
        payload: &[u8],
        options: &SendOptions,
        deadline: Deadline,
    ) -> Result<()> {
        let started = clock::now();
        let item = self.outgoing(payload, options, started);
        let mut sending = self.sending();
        let is_lone = sending.is_lone(started);
        if is_lone {
            sending.call_lane(call);
        }
        let result = self.take_in(&mut sending, item, payload.len(), options, deadline);
        if is_lone || sending.has_waited() {
            sending.time.record(started.elapsed());
        } else if sending.queue.counters().handed_in.datagrams.is_multiple_of(TIMED_ONE_IN) {
            let spent = started.elapsed();
            sending.time.record_part(spent * TIMED_ONE_IN as u32, spent);
        }
        if is_lone {
            drop(sending);
            self.sending.note_sent(clock::now());
        }
        result
    }

    /// Sends many datagrams, as many as [`FRAMED_AT_ONCE`] under one lock and with one wake-up; `on_result` hears of each,
    /// in order.
    ///
    /// One that fails does not keep the others from going. `deadline` is for the whole batch.
    pub fn send_batch<'a>(
        &self,
        payloads: impl IntoIterator<Item = Result<&'a [u8]>>,
        options: &SendOptions,
        deadline: Deadline,
        mut on_result: impl FnMut(Result<()>),
    ) {
        let started = clock::now();
        let mut counted = started;
        let mut payloads = payloads.into_iter();
        let mut framer = self.path.framer();
        // Copied and framed before the lock is taken: the lane needs it meanwhile.
        let mut framed = Vec::with_capacity(payloads.size_hint().0.min(FRAMED_AT_ONCE));
        loop {
            framed.extend(payloads.by_ref().take(FRAMED_AT_ONCE).map(|payload| {
                let payload = payload?;
                let item = self
                    .check_size(payload.len())
                    .map(|()| self.item(framer.frame(payload), options, started));
                Ok((item, payload.len()))
            }));
            if framed.is_empty() {
                return;
            }
            let mut sending = self.sending();
            for one in framed.drain(..) {
                on_result(
                    one.and_then(|(item, size)| self.take_in(&mut sending, item, size, options, deadline)),
                );
            }
            let now = clock::now();
            sending.time.record_part(now - counted, now - started);
            counted = now;
        }
    }

    /// Sends JSON text, checked strictly and without its insignificant white space.
    pub fn send_json(&self, text: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()> {
        self.send(json::compact(text)?.as_bytes(), options, deadline)
    }

    /// Waits until `deadline` for outcomes of datagrams that were sent with a report id, and moves up to `most` of them
    /// to the end of `target`; returns how many.
    ///
    /// [`Error::Closed`] when the transport is closed and every outcome was fetched.
    pub fn next_outcomes(&self, most: usize, target: &mut Vec<Outcome>, deadline: Deadline) -> Result<usize> {
        if most == 0 {
            return Err(Error::InvalidArgument(Cow::Borrowed("there is no room for outcomes")));
        }
        let mut sending = self.sending();
        sending.wait_for(For::Outcomes, deadline, |sending| {
            sending.queue.expire(clock::now());
            match sending.queue.take_outcomes(most, target) {
                0 if sending.queue.is_closed() && sending.queue.outcomes_due() == 0 => {
                    Some(Err(Error::Closed))
                }
                0 => None,
                taken => Some(Ok(taken)),
            }
        })
    }

    /// Waits until `deadline` until a datagram of `size` bytes would find a place without anybody leaving for it.
    pub fn wait_writable(&self, size: usize, deadline: Deadline) -> Result<()> {
        let mut sending = self.sending();
        sending.wait_for(For::Room, deadline, |sending| {
            sending.queue.expire(clock::now());
            match (sending.queue.is_closed(), sending.queue.has_room(size)) {
                (true, _) => Some(Err(Error::Closed)),
                (false, true) => Some(Ok(())),
                (false, false) => None,
            }
        })
    }

    /// How many datagrams can be queued now without evicting, rejecting or waiting, as far as their number goes.
    pub fn send_room(&self) -> usize {
        self.free_places(0)
    }

    /// How many datagrams of `size` bytes would find a place without anybody leaving for them.
    pub fn free_places(&self, size: usize) -> usize {
        let (closed, Limits { datagrams, bytes }, waiting) = self.sending.look(|sending| {
            let queue = &sending.queue;
            (queue.is_closed(), queue.config().limits, queue.sizes().total_waiting())
        });
        if closed {
            return 0;
        }
        let free =
            |limit: usize, used: u64| limit.saturating_sub(usize::try_from(used).unwrap_or(usize::MAX));
        let by_bytes = free(bytes, waiting.bytes).checked_div(size).unwrap_or(usize::MAX);
        free(datagrams, waiting.datagrams).min(by_bytes)
    }

    /// Drops everything that waits for being sent; returns how many that were.
    pub fn clear_send_buffer(&self) -> usize {
        self.sending().queue.clear(clock::now())
    }

    /// The sequence number the next datagram handed in will get: how many were handed in so far.
    pub fn send_sequence(&self) -> u64 {
        self.sending.look(|sending| sending.queue.counters().handed_in.datagrams)
    }

    fn outgoing(&self, payload: &[u8], options: &SendOptions, now: Instant) -> Result<Outgoing> {
        self.check_size(payload.len())?;
        Ok(self.item(self.path.frame(payload), options, now))
    }

    fn item(&self, framed: Bytes, options: &SendOptions, now: Instant) -> Outgoing {
        let prefix_len = self.path.prefix_len() as u8;
        Outgoing::new(framed, prefix_len, options.priority, now, options.ttl, options.report_id)
    }

    pub(super) fn check_size(&self, size: usize) -> Result<()> {
        // An empty one is looked at in any case: 0 also stands for a peer that takes none at all.
        if size > 0 && size <= self.max_payload.load(Ordering::Relaxed) {
            return Ok(());
        }
        // Without the lock of the sending side: a batch may hold it.
        let limit = self.path.max_payload()?;
        if size <= limit { Ok(()) } else { Err(Error::TooLarge { size, limit }) }
    }

    fn take_in(
        &self,
        sending: &mut SendingGuard<'_>,
        item: Result<Outgoing>,
        size: usize,
        options: &SendOptions,
        deadline: Deadline,
    ) -> Result<()> {
        let item = sending.admit(item, size, options)?;
        self.enqueue(sending, item, deadline)
    }

    fn enqueue(&self, sending: &mut SendingGuard<'_>, mut item: Outgoing, deadline: Deadline) -> Result<()> {
        // The clock was read when the datagram came; it is read again only after a wait.
        let mut now = item.enqueued_at;
        loop {
            item = match sending.queue.push(now, item) {
                Ok(_) => return Ok(()),
                Err(PushError::Full(back)) => back,
                Err(error) => return Err(refused(&error)),
            };
            let size = item.size();
            // No longer than the datagram is worth: it then expires in the next round.
            let until = deadline.at_most(item.expires_at);
            let waited = sending.wait_for(For::Room, until, |sending| {
                let config = sending.queue.config();
                let hopeless = config.policy != FullPolicy::Wait || size > config.limits.bytes;
                (sending.queue.has_room(size) || hopeless || sending.queue.is_closed()).then_some(Ok(()))
            });
            if waited == Err(Error::TimedOut) && until == deadline {
                sending.queue.count_rejected(size, item.report_id).map_err(outcomes_full)?;
                return waited;
            }
            if waited == Err(Error::WouldBlock) {
                return waited;
            }
            now = clock::now();
        }
    }
}

pub(super) fn outcomes_full(_: OutcomesFull) -> Error {
    Error::LimitReached(Cow::Borrowed("outcomes that nobody has fetched"))
}

/// Why the queue did not take a datagram.
pub(super) fn refused(error: &PushError) -> Error {
    match error {
        PushError::Full(_) | PushError::Rejected => Error::QueueFull,
        PushError::Expired => Error::TimedOut,
        PushError::OutcomesFull(_) => outcomes_full(OutcomesFull),
        PushError::Closed(_) => Error::Closed,
    }
}
