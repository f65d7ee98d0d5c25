//! Poller
//!
//! Waits for many objects at once, with one thread or with one file descriptor in your event loop.
//! Call order: `wtgram_poller_new`, `wtgram_poller_add` for each object, then `wtgram_poller_wait`
//! again and again, and `wtgram_poller_free`.

use std::ffi::c_int;
use std::sync::Arc;

use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::guard::{free, guard};
use crate::ffi::boundary::handle::{Handle, names, types};
use crate::ffi::boundary::pointer::{deadline, elements_mut, give, invalid};
use crate::ffi::handles::{
    wtgram_monitor, wtgram_poller, wtgram_reliability, wtgram_request, wtgram_server, wtgram_session,
    wtgram_structured, wtgram_transport,
};
use crate::ffi::status::wtgram_status;
use crate::poller::{Event, Interest, Poller};
use crate::runtime::readiness::{Pollable, Ready};

names!(wtgram_poller => Poller, POLLER);

/// What a poller reports, as bits.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_readiness {
    /// A server has a session to accept, or a request to answer.
    WTGRAM_READY_ACCEPT = 1,
    /// There is something to receive.
    WTGRAM_READY_READABLE = 2,
    /// The outgoing queue has space for one more datagram of any size, without evicting, rejecting
    /// or waiting.
    WTGRAM_READY_WRITABLE = 4,
    /// The object is closed. Always reported, whether you asked for it or not. You can still
    /// receive what has arrived, and it is still reported.
    WTGRAM_READY_CLOSED = 8,
    /// A session is established.
    WTGRAM_READY_CONNECTED = 16,
    /// The outgoing queue is not high (see `wtgram_water_marks`).
    WTGRAM_READY_LOW_WATER = 32,
    /// The largest possible datagram changed. Every poller reports each change once, also one from
    /// before the object was added. A program that reads the size after this report misses nothing.
    WTGRAM_READY_SIZE_CHANGED = 64,
    /// An outcome can be fetched.
    WTGRAM_READY_OUTCOME = 128,
    /// A monitor has an alert to fetch.
    WTGRAM_READY_ALERT = 256,
    /// The peer is silent (see `wtgram_heartbeat_options`).
    WTGRAM_READY_PEER_SILENT = 512,
    /// The peer has asked to end the session soon (see `wtgram_session_drain`). Reported for the
    /// session, until it is closed.
    WTGRAM_READY_DRAINING = 1024,
    /// Every message that a reliability layer has accepted has its outcome. Also reported before
    /// the first message.
    WTGRAM_READY_SETTLED = 2048,
    /// Not reported; combine it with the others: after one report the object is not reported again
    /// until `wtgram_poller_modify`.
    WTGRAM_READY_ONE_SHOT = 1 << 30,
}

/// An object that is ready.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_event {
    /// The `id` of its handle.
    pub object: u64,
    /// The value given to `wtgram_poller_add` or `wtgram_poller_modify`.
    pub cookie: u64,
    /// Bits of `wtgram_readiness`.
    pub ready: u32,
    /// Reserved; 0.
    pub reserved: [u32; 3],
}

/// Makes a poller.
///
/// @param poller Gets the handle. Free it with `wtgram_poller_free`.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_IO`: the process has no file descriptor left.
/// - `WTGRAM_ERROR_LIMIT_REACHED`: too many pollers.
///
/// # Safety
/// `poller` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_poller_new(poller: *mut wtgram_poller) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(poller, || Handle::new(Poller::new()?)) }
}

/// Adds an object. If it is ready already, it is reported. An object can be in several pollers.
///
/// @param poller The poller.
/// @param object The `id` of a server, request, session, transport, reliability layer, structured
///   transport or monitor.
/// @param interest Bits of `wtgram_readiness` that the object can have; 0 reports only its end.
/// @param cookie Returned with each event.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_HANDLE`: of the poller or the object.
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: the object can never be ready for this.
/// - `WTGRAM_ERROR_INVALID_STATE`: the object is in this poller already.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn wtgram_poller_add(
    poller: wtgram_poller,
    object: u64,
    interest: u32,
    cookie: u64,
) -> wtgram_status {
    guard(|| {
        let poller = poller.get()?;
        Ok(poller.add(object, pollable(object)?, wanted(interest)?, cookie)?)
    })
}

/// Changes what a poller reports about an object, and arms `WTGRAM_READY_ONE_SHOT` again.
///
/// @param poller The poller.
/// @param object The `id` of the object.
/// @param interest As for `wtgram_poller_add`.
/// @param cookie Returned with each event.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: the object can never be ready for this.
/// - `WTGRAM_ERROR_INVALID_STATE`: the object is not in this poller.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn wtgram_poller_modify(
    poller: wtgram_poller,
    object: u64,
    interest: u32,
    cookie: u64,
) -> wtgram_status {
    guard(|| Ok(poller.get()?.modify(object, wanted(interest)?, cookie)?))
}

/// Removes an object. A wait that started before may still report it; later ones do not. Objects
/// that are freed leave their pollers by themselves.
///
/// @param poller The poller.
/// @param object The `id` of the object.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_STATE`: the object is not in this poller.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_poller_remove(poller: wtgram_poller, object: u64) -> wtgram_status {
    guard(|| Ok(poller.get()?.remove(object)?))
}

/// Waits until an object is ready. The poller is level-triggered: an object is reported as long as
/// it is ready. If more are ready than fit, they take turns.
///
/// Several threads may wait. An object may be reported to more than one of them; with
/// `WTGRAM_READY_ONE_SHOT` it is reported to one.
///
/// @param poller The poller.
/// @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
/// @param events Array for the events.
/// @param capacity Number of elements in `events`, at least 1.
/// @param count Gets the number of events; 0 after `wtgram_poller_wake`.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
/// - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
/// - `WTGRAM_ERROR_CLOSED`: the poller was freed meanwhile.
///
/// # Safety
/// `events` points to `capacity` writable elements; `count` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_poller_wait(
    poller: wtgram_poller,
    timeout_us: i64,
    events: *mut wtgram_event,
    capacity: usize,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(count, || {
            let events = elements_mut(events, capacity)?;
            let mut found = [Event { object: 0, cookie: 0, ready: Ready::NONE }; 256];
            let most = events.len().min(found.len());
            let count = poller.get()?.wait(&mut found[..most], deadline(timeout_us)?)?;
            for (to, from) in events.iter_mut().zip(&found[..count]) {
                let Event { object, cookie, ready } = *from;
                *to = wtgram_event { object, cookie, ready: ready.0, reserved: [0; 3] };
            }
            Ok(count)
        })
    }
}

/// Makes one `wtgram_poller_wait` return, the current one or the next, with 0 events if nothing is
/// ready.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_poller_wake(poller: wtgram_poller) -> wtgram_status {
    guard(|| {
        poller.get()?.wake();
        Ok(())
    })
}

/// Stores a file descriptor that is readable while an object is ready, for `poll`, `epoll` and
/// event loops. When it is, call `wtgram_poller_wait` with timeout 0 until it returns
/// `WTGRAM_ERROR_WOULD_BLOCK`. It works level-triggered and edge-triggered.
///
/// @param poller The poller.
/// @param fd Gets the descriptor. The poller owns it: only poll it; do not read, write or close it.
///
/// # Safety
/// `fd` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_poller_get_fd(poller: wtgram_poller, fd: *mut c_int) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(fd, || Ok(poller.get()?.descriptor())) }
}

/// Releases the poller and closes its descriptor. Calls that wait on it return
/// `WTGRAM_ERROR_CLOSED`. Handles that are zero or released are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_poller_free(poller: wtgram_poller) {
    free(poller, |poller| poller.close());
}

fn pollable(object: u64) -> Result<Arc<dyn Pollable>, Failure> {
    fn of<H: Handle>(object: u64) -> Result<Arc<dyn Pollable>, Failure> {
        H::polled(&H::from_id(object).get()?).ok_or(Failure::InvalidHandle)
    }
    match (object >> 56) as u8 {
        types::SERVER => of::<wtgram_server>(object),
        types::REQUEST => of::<wtgram_request>(object),
        types::SESSION => of::<wtgram_session>(object),
        types::TRANSPORT => of::<wtgram_transport>(object),
        types::RELIABILITY => of::<wtgram_reliability>(object),
        types::MONITOR => of::<wtgram_monitor>(object),
        types::STRUCTURED => of::<wtgram_structured>(object),
        _ => Err(Failure::InvalidHandle),
    }
}

fn wanted(interest: u32) -> Result<Interest, Failure> {
    const ONE_SHOT: u32 = wtgram_readiness::WTGRAM_READY_ONE_SHOT as u32;
    if interest >> 31 != 0 {
        return Err(invalid("there is no such interest"));
    }
    Ok(Interest { ready: Ready(interest & !ONE_SHOT), one_shot: interest & ONE_SHOT != 0 })
}
