//! Send calls of the program, and its calls for outcomes.

use std::borrow::Cow;

use super::SendHalf;
use super::outcomes::{Outcome, OutcomesFull};
use super::queue::{FullPolicy, PushError, Pushed};
use super::state::{Call, For, Guard};
use crate::datagram::json;
use crate::datagram::message::{Content, Limits, Outgoing, expiry};
use crate::datagram::options::SendOptions;
use crate::error::{Error, Result};
use crate::runtime::clock;
use crate::runtime::wait::Deadline;

/// Of the datagrams that are sent in quick succession without waiting, one in this many is timed
/// and counts for all: a look at the clock takes a tenth of the time of a send.
const TIMED_ONE_IN: u64 = 8;

/// Datagrams of a batch that are queued before the lane may get the lock.
const QUEUED_AT_ONCE: usize = 64;

impl SendHalf {
    /// Sends one datagram.
    ///
    /// Queues the datagram. With [`FullPolicy::Wait`] the call waits for space until `deadline`. A
    /// datagram with a report id has exactly one outcome if this returns `Ok`, [`Error::TooLarge`],
    /// [`Error::QueueFull`] or [`Error::TimedOut`], and none on other errors: the queue has not
    /// taken it.
    ///
    /// A lone datagram leaves on this thread if possible. Do not call it while you hold a lock that
    /// a turn takes; see [`Self::send_later`].
    pub fn send(&self, payload: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()> {
        self.send_calling(Call::Send, payload, options, deadline)
    }

    /// Like [`Self::send`], but the lane always sends the datagram.
    pub(crate) fn send_later(&self, payload: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()> {
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
        let checked = self.check_size(payload.len());
        let content = Content::Copied { prefix: self.path.prefix(), payload };
        let datagram = outgoing(content, options, started);
        let mut state = self.lock();
        let is_lone = state.is_lone(started);
        if is_lone {
            state.call_lane(call);
        }
        let result = push(&mut state, checked, &datagram, deadline).map(|_| ());
        if is_lone || state.has_waited() {
            state.time.record(started.elapsed());
        } else if state.queue.counters().handed_in.datagrams.is_multiple_of(TIMED_ONE_IN) {
            let spent = started.elapsed();
            state.time.record_part(spent * TIMED_ONE_IN as u32, spent);
        }
        if is_lone {
            drop(state);
            self.note_sent(clock::now());
        }
        result
    }

    /// Sends many datagrams, up to [`QUEUED_AT_ONCE`] under one lock and with one wake-up. Calls
    /// `on_result` with the result of each, in order.
    ///
    /// A failure does not stop the others. `deadline` is for the whole batch.
    pub fn send_batch<'a>(
        &self,
        payloads: impl IntoIterator<Item = Result<&'a [u8]>>,
        options: &SendOptions,
        deadline: Deadline,
        mut on_result: impl FnMut(Result<()>),
    ) {
        let started = clock::now();
        let mut counted = started;
        let mut payloads = payloads.into_iter().peekable();
        while payloads.peek().is_some() {
            let mut state = self.lock();
            for payload in payloads.by_ref().take(QUEUED_AT_ONCE) {
                on_result(payload.and_then(|payload| {
                    let content = Content::Copied { prefix: self.path.prefix(), payload };
                    let datagram = outgoing(content, options, started);
                    push(&mut state, self.check_size(payload.len()), &datagram, deadline).map(|_| ())
                }));
            }
            let now = clock::now();
            state.time.record_part(now - counted, now - started);
            counted = now;
        }
    }

    /// Sends JSON text after a strict check, without its insignificant white space.
    pub fn send_json(&self, text: &[u8], options: &SendOptions, deadline: Deadline) -> Result<()> {
        self.send(json::compact(text)?.as_bytes(), options, deadline)
    }

    /// Sends bytes that transports share, without a copy and without a wait: with the policy to
    /// wait, a full queue counts as a rejection.
    ///
    /// If nothing waits and the lane is free, the bytes go to QUIC on the calling thread. Not to be
    /// called in a turn.
    pub(super) fn send_shared(&self, content: Content<'_>, options: &SendOptions) -> Result<Pushed> {
        let started = clock::now();
        let datagram = outgoing(content, options, started);
        let checked = self.check_size(datagram.size());
        let mut state = self.lock();
        let result = push_or_reject(&mut state, checked, &datagram);
        state.time.record(started.elapsed());
        state.call_lane(Call::Feed);
        result
    }

    /// Waits until `deadline` for outcomes of datagrams with report ids. Moves up to `most` of them
    /// to the end of `target` and returns their number.
    ///
    /// Fails with [`Error::Closed`] if the transport is closed and every outcome was fetched.
    pub fn next_outcomes(&self, most: usize, target: &mut Vec<Outcome>, deadline: Deadline) -> Result<usize> {
        if most == 0 {
            return Err(Error::InvalidArgument(Cow::Borrowed("there is no room for outcomes")));
        }
        self.lock().wait_for(For::Outcomes, deadline, |state| {
            state.queue.expire(clock::now());
            match state.queue.take_outcomes(most, target) {
                0 if state.queue.is_closed() && state.queue.outcomes_due() == 0 => Some(Err(Error::Closed)),
                0 => None,
                taken => Some(Ok(taken)),
            }
        })
    }

    /// Waits until `deadline` for space for a datagram of `size` bytes without an eviction.
    pub fn wait_writable(&self, size: usize, deadline: Deadline) -> Result<()> {
        self.lock().wait_for(For::Room, deadline, |state| {
            state.queue.expire(clock::now());
            match (state.queue.is_open(), state.queue.has_room(size)) {
                (false, _) => Some(Err(Error::Closed)),
                (true, true) => Some(Ok(())),
                (true, false) => None,
            }
        })
    }

    /// How many datagrams of `size` bytes fit without an eviction. With 0, only the number of
    /// datagrams counts.
    pub fn free_places(&self, size: usize) -> usize {
        let (open, Limits { datagrams, bytes }, waiting) = self.look(|state| {
            let queue = &state.queue;
            (queue.is_open(), queue.config().limits, queue.counters().queued)
        });
        if !open {
            return 0;
        }
        let free =
            |limit: usize, used: u64| limit.saturating_sub(usize::try_from(used).unwrap_or(usize::MAX));
        let by_bytes = free(bytes, waiting.bytes).checked_div(size).unwrap_or(usize::MAX);
        free(datagrams, waiting.datagrams).min(by_bytes)
    }

    /// Drops all datagrams that wait, and returns their number.
    pub fn clear(&self) -> usize {
        self.lock().queue.clear(clock::now())
    }

    /// The sequence number of the next datagram to be submitted, which is the number of those that
    /// were submitted.
    pub fn sequence(&self) -> u64 {
        self.look(|state| state.queue.counters().handed_in.datagrams)
    }
}

fn outgoing<'a>(content: Content<'a>, options: &SendOptions, now: std::time::Instant) -> Outgoing<'a> {
    let &SendOptions { priority, ttl, report_id } = options;
    Outgoing { content, priority, enqueued_at: now, expires_at: expiry(now, ttl), report_id }
}

/// Queues a datagram, waiting for space if the policy says so. Its size was `checked` before the
/// lock was taken.
fn push(
    state: &mut Guard<'_>,
    checked: Result<()>,
    datagram: &Outgoing<'_>,
    deadline: Deadline,
) -> Result<Pushed> {
    let size = datagram.size();
    // The clock was read when the datagram was submitted; it is read again only after a wait.
    let mut now = datagram.enqueued_at;
    if checked.is_err() {
        return refuse(state, checked, datagram);
    }
    loop {
        match state.queue.push(now, datagram) {
            Ok(pushed) => return Ok(pushed),
            Err(PushError::Full) => {}
            Err(error) => return Err(refusal(error)),
        }
        // Waits no longer than the TTL. Then the datagram expires in the next round.
        let until = deadline.at_most(datagram.expires_at);
        let waited = state.wait_for(For::Room, until, |state| {
            let config = state.queue.config();
            let hopeless = config.policy != FullPolicy::Wait || size > config.limits.bytes;
            (state.queue.has_room(size) || hopeless || !state.queue.is_open()).then_some(Ok(()))
        });
        match waited {
            Err(Error::TimedOut) if until == deadline => {
                state.queue.count_rejected(size, datagram.report_id).map_err(outcomes_full)?;
                return Err(Error::TimedOut);
            }
            Err(Error::WouldBlock) => return Err(Error::WouldBlock),
            _ => now = clock::now(),
        }
    }
}

/// Queues a datagram without waiting.
fn push_or_reject(state: &mut Guard<'_>, checked: Result<()>, datagram: &Outgoing<'_>) -> Result<Pushed> {
    if checked.is_err() {
        return refuse(state, checked, datagram);
    }
    state.queue.push(datagram.enqueued_at, datagram).map_err(|error| {
        if error == PushError::Full {
            let _ = state.queue.count_rejected(datagram.size(), datagram.report_id);
        }
        refusal(error)
    })
}

/// A closed queue refuses everything. A datagram that is too large is counted.
fn refuse(state: &mut Guard<'_>, checked: Result<()>, datagram: &Outgoing<'_>) -> Result<Pushed> {
    if !state.queue.is_open() {
        return Err(Error::Closed);
    }
    if let Err(Error::TooLarge { .. }) = checked {
        let counted = state.queue.count_too_large(datagram.size(), datagram.report_id);
        counted.map_err(outcomes_full)?;
    }
    checked.map(|()| Pushed::default())
}

fn outcomes_full(_: OutcomesFull) -> Error {
    Error::LimitReached(Cow::Borrowed("outcomes that nobody has fetched"))
}

/// Why the queue did not take a datagram.
fn refusal(error: PushError) -> Error {
    match error {
        PushError::Full | PushError::Rejected => Error::QueueFull,
        PushError::Expired => Error::TimedOut,
        PushError::OutcomesFull => outcomes_full(OutcomesFull),
        PushError::Closed => Error::Closed,
    }
}
