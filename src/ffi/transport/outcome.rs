//! Outcomes
//!
//! Datagrams that were sent with a `report_id` have an outcome, which says whether they were handed
//! to QUIC or why not.

use crate::datagram::send::{Outcome, OutcomeKind};
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{deadline, elements_mut, give};
use crate::ffi::handles::wtgram_transport;
use crate::ffi::status::wtgram_status;

/// What became of a datagram that was sent.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_outcome_kind {
    /// Handed to QUIC. Datagrams are not acknowledged, so nobody knows whether it arrives.
    WTGRAM_OUTCOME_SENT = 1,
    /// Dropped because its TTL or the outgoing max age passed.
    WTGRAM_OUTCOME_EXPIRED = 2,
    /// Dropped to make space for a newer one.
    WTGRAM_OUTCOME_EVICTED = 3,
    /// Rejected because the queue was full.
    WTGRAM_OUTCOME_REJECTED = 4,
    /// Dropped because it is larger than the path carries.
    WTGRAM_OUTCOME_TOO_LARGE = 5,
    /// Refused by QUIC.
    WTGRAM_OUTCOME_FAILED = 6,
    /// Dropped by `wtgram_transport_clear_send_buffer`.
    WTGRAM_OUTCOME_CLEARED = 7,
    /// Dropped because the transport closed.
    WTGRAM_OUTCOME_CLOSED = 8,
}

/// The outcome of a datagram.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_outcome {
    /// The `report_id` it was sent with.
    pub report_id: u64,
    /// A `wtgram_outcome_kind`.
    pub kind: u32,
    /// Reserved; 0.
    pub reserved: u32,
}

impl From<Outcome> for wtgram_outcome {
    fn from(outcome: Outcome) -> Self {
        use wtgram_outcome_kind::*;
        let kind = match outcome.kind {
            OutcomeKind::Handed => WTGRAM_OUTCOME_SENT,
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

/// Waits for the next outcome of a datagram that was sent with a `report_id`. Outcomes are returned
/// once, in the order in which they happened.
///
/// Fetch them: at most `outcome_capacity` are kept, and when as many are pending or not fetched,
/// sending with a `report_id` fails with `WTGRAM_ERROR_LIMIT_REACHED`. Several threads may wait.
///
/// @param transport The transport.
/// @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
/// @param outcome Gets the outcome.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
/// - `WTGRAM_ERROR_CLOSED`: the transport is closed and every outcome has been fetched.
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

/// Waits for an outcome, then takes all that are there and fit.
///
/// @param transport The transport.
/// @param timeout_us Longest wait for the first outcome in microseconds, `WTGRAM_FOREVER`, or 0 to
///   not wait.
/// @param outcomes Array for the outcomes.
/// @param capacity Number of elements in `outcomes`, at least 1; one call takes at most 1024.
/// @param count Gets the number of outcomes.
///
/// @return As `wtgram_transport_next_outcome`.
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
