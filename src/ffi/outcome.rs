//! `wtgram_transport_next_outcome*`.

use super::handle::Handle;
use super::pointer::{deadline, elements_mut, give};
use super::status::wtgram_status;
use super::transport::wtgram_transport;
use crate::datagram::send::{Outcome, OutcomeKind};

/// What became of a datagram.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_outcome_kind {
    /// Handed to QUIC. Whether it arrives nobody knows: datagrams are not acknowledged.
    WTGRAM_OUTCOME_HANDED = 1,
    /// Its TTL or the outgoing max age passed first.
    WTGRAM_OUTCOME_EXPIRED = 2,
    /// It made room for a newer one.
    WTGRAM_OUTCOME_EVICTED = 3,
    /// There was no room for it.
    WTGRAM_OUTCOME_REJECTED = 4,
    /// It is larger than the path carries.
    WTGRAM_OUTCOME_TOO_LARGE = 5,
    /// QUIC refused it.
    WTGRAM_OUTCOME_FAILED = 6,
    /// The program cleared the send buffer.
    WTGRAM_OUTCOME_CLEARED = 7,
    /// The transport closed first.
    WTGRAM_OUTCOME_CLOSED = 8,
}

/// The news of one datagram.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_outcome {
    /// The number it was sent with.
    pub report_id: u64,
    /// A `wtgram_outcome_kind`.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
}

impl From<Outcome> for wtgram_outcome {
    fn from(outcome: Outcome) -> Self {
        use wtgram_outcome_kind::*;
        let kind = match outcome.kind {
            OutcomeKind::Handed => WTGRAM_OUTCOME_HANDED,
            OutcomeKind::Expired => WTGRAM_OUTCOME_EXPIRED,
            OutcomeKind::Evicted => WTGRAM_OUTCOME_EVICTED,
            OutcomeKind::Rejected => WTGRAM_OUTCOME_REJECTED,
            OutcomeKind::TooLarge => WTGRAM_OUTCOME_TOO_LARGE,
            OutcomeKind::Failed => WTGRAM_OUTCOME_FAILED,
            OutcomeKind::Cleared => WTGRAM_OUTCOME_CLEARED,
            OutcomeKind::Closed => WTGRAM_OUTCOME_CLOSED,
        };
        Self { report_id: outcome.report_id, kind: kind as u32, reserved: 0 }
    }
}

/// Most outcomes that one crossing takes.
const MAX_BATCH: usize = 1024;

/// Waits for the outcome of a datagram that was sent with a `report_id`. Outcomes come in the order in which they
/// happened; each is given once. Unfetched ones are kept, up to `outcome_capacity` of the transport's options; when all
/// places are taken, sending with a `report_id` is `LIMIT_REACHED`.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0. `outcome`: the news.
///
/// Statuses: `WTGRAM_OK`; `TIMED_OUT`; `WOULD_BLOCK`; `CLOSED`: the transport is closed and every outcome was given;
/// `INVALID_HANDLE`; `INVALID_ARGUMENT`; `FORKED`. Any number of threads may wait. (`WTGRAM_OUTCOME` in a poller.)
///
/// # Safety
/// `outcome` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_next_outcome(
    transport: wtgram_transport,
    timeout_us: i64,
    outcome: *mut wtgram_outcome,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(outcome, || {
            let transport = transport.get()?;
            let mut taken = Vec::with_capacity(1);
            transport.transport.outgoing.next_outcomes(1, &mut taken, deadline(timeout_us)?)?;
            Ok(taken[0].into())
        })
    }
}

/// `wtgram_transport_next_outcome` for many: waits for the first, then takes all that are there and fit.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0. `outcomes`, `capacity`: where they go, at least 1, at most 1024 at
/// once. `count`: how many.
///
/// Statuses: as for `wtgram_transport_next_outcome`; `INVALID_ARGUMENT` also when `capacity` is 0.
///
/// # Safety
/// `outcomes` points to `capacity` writable elements; `count` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_next_outcomes(
    transport: wtgram_transport,
    timeout_us: i64,
    outcomes: *mut wtgram_outcome,
    capacity: usize,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(count, || {
            let transport = transport.get()?;
            let outcomes = elements_mut(outcomes, capacity)?;
            let mut taken = Vec::new();
            let most = outcomes.len().min(MAX_BATCH);
            let count =
                transport.transport.outgoing.next_outcomes(most, &mut taken, deadline(timeout_us)?)?;
            for (to, from) in outcomes.iter_mut().zip(taken) {
                *to = from.into();
            }
            Ok(count)
        })
    }
}
