//! Outcomes of messages
//!
//! What became of each message that was sent with a `report_id`.

use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{deadline, elements_mut, give, invalid, micros};
use crate::ffi::handles::wtgram_reliability;
use crate::ffi::status::wtgram_status;
use crate::reliability::{MessageOutcome, Report};

/// What became of a message.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_reliability_outcome_kind {
    /// The peer's layer acknowledged it.
    WTGRAM_RELIABILITY_ACKNOWLEDGED = 0,
    /// Nobody acknowledged it in time. If `transmissions` is not 0, it may still have been
    /// delivered.
    WTGRAM_RELIABILITY_GAVE_UP = 1,
    /// It no longer fitted the path when it was to be transmitted.
    WTGRAM_RELIABILITY_TOO_LARGE = 2,
    /// The layer closed first. If `transmissions` is not 0, it may have been delivered.
    WTGRAM_RELIABILITY_CLOSED = 3,
    /// Its TTL passed first. If `transmissions` is not 0, it may have been delivered.
    WTGRAM_RELIABILITY_EXPIRED = 4,
}

/// The outcome of a message.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_reliability_outcome {
    /// The `report_id` it was sent with.
    pub report_id: u64,
    /// Time from acceptance to the outcome, in microseconds.
    pub elapsed_us: i64,
    /// A `wtgram_reliability_outcome_kind`.
    pub kind: u32,
    /// How often it was transmitted.
    pub transmissions: u32,
    /// Reserved; 0.
    pub reserved: [u64; 2],
}

impl From<Report> for wtgram_reliability_outcome {
    fn from(report: Report) -> Self {
        Self {
            report_id: report.id,
            elapsed_us: micros(report.elapsed),
            kind: match report.outcome {
                MessageOutcome::Acknowledged => {
                    wtgram_reliability_outcome_kind::WTGRAM_RELIABILITY_ACKNOWLEDGED
                }
                MessageOutcome::GaveUp => wtgram_reliability_outcome_kind::WTGRAM_RELIABILITY_GAVE_UP,
                MessageOutcome::TooLarge => wtgram_reliability_outcome_kind::WTGRAM_RELIABILITY_TOO_LARGE,
                MessageOutcome::Closed => wtgram_reliability_outcome_kind::WTGRAM_RELIABILITY_CLOSED,
                MessageOutcome::Expired => wtgram_reliability_outcome_kind::WTGRAM_RELIABILITY_EXPIRED,
            } as u32,
            transmissions: report.transmissions,
            reserved: [0; 2],
        }
    }
}

/// Waits for the next outcome of a message that was sent with a `report_id`. At most 65,536
/// outcomes are kept; then sending with a `report_id` fails.
///
/// @param reliability The layer.
/// @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
/// @param outcome Gets the outcome.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
/// - `WTGRAM_ERROR_CLOSED`: the layer is closed and every outcome has been fetched.
///
/// # Safety
/// `outcome` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_next_outcome(
    reliability: wtgram_reliability,
    timeout_us: i64,
    outcome: *mut wtgram_reliability_outcome,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(outcome, || Ok(reliability.get()?.next_outcome(deadline(timeout_us)?)?.into())) }
}

/// Waits for an outcome, then takes all that are there and fit.
///
/// @param reliability The layer.
/// @param timeout_us Longest wait for the first outcome in microseconds, `WTGRAM_FOREVER`, or 0 to
///   not wait.
/// @param outcomes Array for the outcomes.
/// @param capacity Number of elements in `outcomes`, at least 1.
/// @param count Gets the number of outcomes.
///
/// @return As `wtgram_reliability_next_outcome`.
///
/// # Safety
/// `outcomes` points to `capacity` writable elements; `count` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_reliability_next_outcomes(
    reliability: wtgram_reliability,
    timeout_us: i64,
    outcomes: *mut wtgram_reliability_outcome,
    capacity: usize,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(count, || {
            let mut outcomes = elements_mut(outcomes, capacity)?.iter_mut();
            if capacity == 0 {
                return Err(invalid("there is no room for outcomes"));
            }
            Ok(reliability.get()?.outcomes(capacity, deadline(timeout_us)?, |report| {
                if let Some(outcome) = outcomes.next() {
                    *outcome = report.into();
                }
            })?)
        })
    }
}
