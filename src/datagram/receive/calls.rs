//! Receive calls of the program.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::ReceiveHalf;
use super::queue::{PopError, ReceiveQueue, Slot};
use crate::datagram::json;
use crate::datagram::message::Metadata;
use crate::error::{Error, Result};
use crate::runtime::clock;
use crate::runtime::wait::Deadline;

impl ReceiveHalf {
    /// Receives the next datagram into `buffer`, waiting for one until `deadline`.
    ///
    /// On [`Error::BufferTooSmall`] the datagram stays in the queue.
    pub fn receive(&self, buffer: &mut [u8], deadline: Deadline) -> Result<Metadata> {
        let (metadata, waited) = self.receive_with(deadline, |queue, now| queue.pop_into(now, buffer))?;
        Ok(Metadata { waited, ..metadata })
    }

    /// Like [`Self::receive`], for callers that only need the length: if a datagram waits, the
    /// clock is not read.
    pub(crate) fn receive_bare(&self, buffer: &mut [u8], deadline: Deadline) -> Result<usize> {
        if let Ok(size) = self.state.lock().queue.pop_unexpiring(buffer) {
            return Ok(size);
        }
        self.receive(buffer, deadline).map(|metadata| metadata.size)
    }

    /// Waits for a datagram until `deadline`, then takes all that fit, one after the other, into
    /// `arena`.
    pub fn receive_batch(&self, arena: &mut [u8], slots: &mut [Slot], deadline: Deadline) -> Result<usize> {
        self.receive_each(arena, slots.len(), deadline, |index, slot| slots[index] = slot)
    }

    /// Takes up to `most` datagrams. Calls `put` with the place of each, in order from 0; `put`
    /// must be quick.
    pub(crate) fn receive_each(
        &self,
        arena: &mut [u8],
        most: usize,
        deadline: Deadline,
        mut put: impl FnMut(usize, Slot),
    ) -> Result<usize> {
        if most == 0 {
            return Err(Error::InvalidArgument(Cow::Borrowed(
                "a batch needs room for at least one datagram",
            )));
        }
        self.receive_with(deadline, |queue, now| match queue.pop_batch(now, arena, most, &mut put) {
            Ok(0) => Err(PopError::Empty),
            other => other,
        })
        .map(|(taken, _)| taken)
    }

    /// Receives the next datagram, waiting for one until `deadline`, and replaces the contents of
    /// `buffer` with it.
    pub(in crate::datagram) fn receive_to(
        &self,
        buffer: &mut Vec<u8>,
        deadline: Deadline,
    ) -> Result<Metadata> {
        let (metadata, waited) = self.receive_with(deadline, |queue, now| {
            buffer.resize(queue.front_len(now).ok_or(PopError::Empty)?, 0);
            queue.pop_into(now, buffer)
        })?;
        Ok(Metadata { waited, ..metadata })
    }

    /// Receives the next datagram as JSON text without insignificant white space, at most `most`
    /// bytes long.
    ///
    /// [`Error::Serialization`]: the text is not acceptable JSON. The datagram is removed, because
    /// it would block all others.
    /// [`Error::BufferTooSmall`]: the text is longer than `most`. The datagram stays in the queue.
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

    /// Drops all datagrams that wait, and returns their number.
    pub fn clear(&self) -> usize {
        self.state.lock().queue.clear(clock::now())
    }

    /// The sequence number of the next datagram to arrive, which is the number of those that have
    /// arrived.
    pub fn sequence(&self) -> u64 {
        self.state.lock().queue.next_sequence()
    }

    /// Waits until `deadline` for `take` to take something from the queue. Returns how long it
    /// waited, too.
    fn receive_with<R>(
        &self,
        deadline: Deadline,
        mut take: impl FnMut(&mut ReceiveQueue, Instant) -> Result<R, PopError>,
    ) -> Result<(R, Duration)> {
        let mut waiting_since = None;
        self.readable.wait_for(&self.state, deadline, |state| {
            let now = clock::now();
            let since = *waiting_since.get_or_insert(now);
            match take(&mut state.queue, now) {
                Ok(taken) => {
                    let waited = now.saturating_duration_since(since);
                    state.time.record(waited);
                    Some(Ok((taken, waited)))
                }
                Err(PopError::TooSmall { needed }) => {
                    // The datagram stays, and another waiting thread may have space for it.
                    self.readable.notify_one();
                    Some(Err(Error::BufferTooSmall { needed }))
                }
                Err(PopError::Empty) if state.ended => Some(Err(Error::Closed)),
                Err(PopError::Empty) => None,
            }
        })
    }
}
