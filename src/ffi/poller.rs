//! `wtgram_poller_*`.

use std::ffi::c_int;
use std::sync::Arc;

use super::guard::{Failure, free, guard};
use super::handle::{Handle, names, types};
use super::monitor::wtgram_monitor;
use super::pointer::{deadline, elements_mut, give, invalid};
use super::reliability::wtgram_reliability;
use super::server::wtgram_server;
use super::session::wtgram_session;
use super::status::wtgram_status;
use super::structured::wtgram_structured;
use super::transport::wtgram_transport;
use crate::poller::{Event, Interest, Poller};
use crate::runtime::readiness::{Pollable, Ready};

/// One thing to wait on for many objects. `{0}` is none.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_poller {
    /// The number of the handle.
    pub id: u64,
}

names!(wtgram_poller => Poller, POLLER);

/// What an object can be watched for. `WTGRAM_CLOSED` is reported whether it is asked for or not.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_interest {
    /// A server has a session to accept.
    WTGRAM_ACCEPT = 1,
    /// Something can be received.
    WTGRAM_READABLE = 2,
    /// A datagram can be queued without evicting, rejecting or waiting, however large: there is room for the largest that
    /// the path carries, or for as many bytes as the queue may hold.
    WTGRAM_WRITABLE = 4,
    /// The object is closed. What has arrived can still be received, and is still reported.
    WTGRAM_CLOSED = 8,
    /// A session is established.
    WTGRAM_CONNECTED = 16,
    /// The outgoing queue is below its water mark.
    WTGRAM_LOW_WATER = 32,
    /// The largest possible datagram changed. Every poller reports it once after each change, also for a change before the
    /// object was added: a program that asks for the size and then adds or modifies misses nothing.
    WTGRAM_SIZE_CHANGED = 64,
    /// An outcome can be fetched.
    WTGRAM_OUTCOME = 128,
    /// An alert can be fetched from a monitor.
    WTGRAM_ALERT = 256,
    /// The heartbeat's watch has heard nothing from the peer for too long.
    WTGRAM_PEER_SILENT = 512,
    /// With the others: after one report, say nothing until `wtgram_poller_modify` sets the interest again.
    WTGRAM_ONE_SHOT = 1 << 30,
}

/// An object that is ready.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_event {
    /// The `id` of its handle.
    pub object: u64,
    /// What it was added with.
    pub cookie: u64,
    /// The bits of `wtgram_interest` that hold.
    pub ready: u32,
    /// Zero.
    pub reserved: [u32; 3],
}

/// Makes a poller.
///
/// Statuses: `WTGRAM_OK`; `IO`: no descriptor can be had; `LIMIT_REACHED`; `INVALID_ARGUMENT`; `CLOSED`; `FORKED`.
///
/// # Safety
/// `poller` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_poller_new(poller: *mut wtgram_poller) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(poller, || Handle::new(Poller::new()?)) }
}

/// Watches an object; one that is ready already is reported. An object can be in any number of pollers.
///
/// `object`: the `id` of a server, session, transport, reliability layer, structured transport or monitor.
/// `interest`: bits of `wtgram_interest` that this object can be
/// ready for; 0 reports nothing but its end. `cookie`: comes back with every event.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`: of the poller or the object; `INVALID_ARGUMENT`: the object can never be ready
/// for that; `INVALID_STATE`: it is in this poller already; `CLOSED`; `FORKED`.
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

/// Changes what an object is watched for, and arms `WTGRAM_ONE_SHOT` again.
///
/// Statuses: as for `wtgram_poller_add`; `INVALID_STATE`: it is not in this poller.
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

/// Stops watching an object. A wait that began earlier may still report it; a later one does not. A freed object leaves its
/// pollers at once, by itself.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`: of the poller; `INVALID_STATE`: the object is not in this poller; `CLOSED`;
/// `FORKED`.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_poller_remove(poller: wtgram_poller, object: u64) -> wtgram_status {
    guard(|| Ok(poller.get()?.remove(object)?))
}

/// Waits until an object is ready. Level-triggered: it is reported as long as it is ready; objects take turns when there
/// are more than fit. Any number of threads may wait: each returns while an object is ready, so that two may report the same
/// one. `WTGRAM_ONE_SHOT` reports it to one of them.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0. `events`, `capacity`: where they go, at least 1. `count`: how many;
/// 0 after `wtgram_poller_wake`.
///
/// Statuses: `WTGRAM_OK`; `TIMED_OUT`; `WOULD_BLOCK`; `CLOSED`: the poller was freed or the library was shut down
/// meanwhile; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `FORKED`.
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

/// Makes one present or future `wtgram_poller_wait` return, with 0 events if none are ready. Each call ends one wait.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `CLOSED`; `FORKED`.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_poller_wake(poller: wtgram_poller) -> wtgram_status {
    guard(|| {
        poller.get()?.wake();
        Ok(())
    })
}

/// A descriptor that is readable while something is ready, for `poll`, `epoll` and the like; then call
/// `wtgram_poller_wait` with timeout 0 until it says `WOULD_BLOCK`.
///
/// `fd`: owned by the poller: only to be polled, never read, written or closed. It is non-blocking and closed on exec. Every object
/// that becomes ready writes to it, so edge-triggered loops miss nothing.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`; `FORKED`.
///
/// # Safety
/// `fd` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_poller_fd(poller: wtgram_poller, fd: *mut c_int) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(fd, || Ok(poller.get()?.descriptor())) }
}

/// Ends every wait on the poller (`CLOSED`), closes its descriptor and makes its handle name nothing. None and stale
/// handles are ignored.
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
        types::SESSION => of::<wtgram_session>(object),
        types::TRANSPORT => of::<wtgram_transport>(object),
        types::RELIABILITY => of::<wtgram_reliability>(object),
        types::MONITOR => of::<wtgram_monitor>(object),
        types::STRUCTURED => of::<wtgram_structured>(object),
        _ => Err(Failure::InvalidHandle),
    }
}

fn wanted(interest: u32) -> Result<Interest, Failure> {
    const ONE_SHOT: u32 = wtgram_interest::WTGRAM_ONE_SHOT as u32;
    if interest >> 31 != 0 {
        return Err(invalid("there is no such interest"));
    }
    Ok(Interest { ready: Ready(interest & !ONE_SHOT), one_shot: interest & ONE_SHOT != 0 })
}
