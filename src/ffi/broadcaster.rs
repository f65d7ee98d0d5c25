//! `wtgram_broadcaster_*`.

use std::sync::Arc;

use super::guard::{Failure, free, guard};
use super::handle::{Handle, names};
use super::library::init;
use super::pointer::{
    Versioned, bytes, clear, elements_mut, fill, give, invalid, output, read_options, sized_output,
};
use super::reliability::wtgram_reliability;
use super::send::{send_options, wtgram_send_options};
use super::session::wtgram_session;
use super::status::wtgram_status;
use super::transport::wtgram_transport;
use crate::broadcaster::{Broadcaster, MemberResult, SlowPolicy, Statistics, Target};

/// Sends one datagram to many transports. `{0}` is none. Freed by its owner; its members are not its own.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_broadcaster {
    /// The number of the handle.
    pub id: u64,
}

names!(wtgram_broadcaster => Broadcaster, BROADCASTER);

/// What happens to a member that does not keep up.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_slow_policy {
    /// It misses what its queue has no room for. The default.
    WTGRAM_SLOW_DROP = 0,
    /// After `slow_limit` broadcasts in a row for which its queue dropped something, it is removed.
    WTGRAM_SLOW_REMOVE = 1,
}

/// Options of a broadcaster.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_broadcaster_options {
    /// Size of this struct, filled by `wtgram_broadcaster_options_init`.
    pub struct_size: usize,
    /// A `wtgram_slow_policy`. Default `WTGRAM_SLOW_DROP`.
    pub slow_policy: u32,
    /// With `WTGRAM_SLOW_REMOVE`: how many drops in a row, at least 1. Default 10.
    pub slow_limit: u32,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_broadcaster_options {
    const FIRST_SIZE: usize = 16;
    fn initial() -> Self {
        let slow_policy = wtgram_slow_policy::WTGRAM_SLOW_DROP as u32;
        Self { struct_size: size_of::<Self>(), slow_policy, slow_limit: 10 }
    }
}

/// Fills `options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_broadcaster_options_init(options: *mut wtgram_broadcaster_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

fn slow_policy(options: wtgram_broadcaster_options) -> Result<SlowPolicy, Failure> {
    match (options.slow_policy, options.slow_limit) {
        (0, _) => Ok(SlowPolicy::Drop),
        (1, 0) => Err(invalid("a slow member is removed after one drop at the earliest")),
        (1, limit) => Ok(SlowPolicy::RemoveAfter(limit)),
        _ => Err(invalid("there is no such slow-member policy")),
    }
}

/// Makes a broadcaster without members.
///
/// `options`: NULL for the defaults.
///
/// Statuses: `WTGRAM_OK`; `INVALID_ARGUMENT`; `LIMIT_REACHED`; `CLOSED`: the library was shut down; `FORKED`.
///
/// # Safety
/// `options` is NULL or points to a struct of its `struct_size`; `broadcaster` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_broadcaster_new(
    options: *const wtgram_broadcaster_options,
    broadcaster: *mut wtgram_broadcaster,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(broadcaster, || {
            let policy = slow_policy(read_options(options)?)?;
            Handle::new(Arc::new(Broadcaster::new(policy)))
        })
    }
}

/// Adds a transport. One that is a member already stays one; it counts once.
///
/// Statuses: `WTGRAM_OK`; `CLOSED`: the transport is closed, or the broadcaster was shut down; `INVALID_HANDLE`: of either;
/// `FORKED`.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn wtgram_broadcaster_add_transport(
    broadcaster: wtgram_broadcaster,
    transport: wtgram_transport,
) -> wtgram_status {
    guard(|| {
        let target = Target::Transport(Arc::clone(&transport.get()?.transport));
        Ok(broadcaster.get()?.add(transport.id, target)?)
    })
}

/// Adds a session: its transport. Adding both counts once.
///
/// Statuses: as for `wtgram_broadcaster_add_transport`.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn wtgram_broadcaster_add_session(
    broadcaster: wtgram_broadcaster,
    session: wtgram_session,
) -> wtgram_status {
    guard(|| {
        let session = session.get()?;
        let target = Target::Transport(Arc::clone(&session.session.datagrams));
        Ok(broadcaster.get()?.add(session.transport.id, target)?)
    })
}

/// Adds a reliability layer: broadcasts reach it as messages.
///
/// Statuses: as for `wtgram_broadcaster_add_transport`.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn wtgram_broadcaster_add_reliability(
    broadcaster: wtgram_broadcaster,
    reliability: wtgram_reliability,
) -> wtgram_status {
    guard(|| Ok(broadcaster.get()?.add(reliability.id, Target::Channel(reliability.get()?))?))
}

/// Removes a reliability layer. One that is no member is fine, also a handle that names nothing any more.
///
/// Statuses: as for `wtgram_broadcaster_remove_transport`.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_broadcaster_remove_reliability(
    broadcaster: wtgram_broadcaster,
    reliability: wtgram_reliability,
) -> wtgram_status {
    guard(|| {
        broadcaster.get()?.remove(reliability.id);
        Ok(())
    })
}

/// Removes a transport. One that is no member is fine, also a handle that names nothing any more.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`: of the broadcaster; `CLOSED`: the library was shut down; `FORKED`.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_broadcaster_remove_transport(
    broadcaster: wtgram_broadcaster,
    transport: wtgram_transport,
) -> wtgram_status {
    guard(|| {
        broadcaster.get()?.remove(transport.id);
        Ok(())
    })
}

/// Removes a session's transport. One that is no member is fine. (A freed session is closed, and leaves by itself.)
///
/// Statuses: as for `wtgram_broadcaster_remove_transport`; `INVALID_HANDLE`: of either.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_broadcaster_remove_session(
    broadcaster: wtgram_broadcaster,
    session: wtgram_session,
) -> wtgram_status {
    guard(|| {
        broadcaster.get()?.remove(session.get()?.transport.id);
        Ok(())
    })
}

/// How many members there are that are not closed; 0 after `wtgram_broadcaster_shutdown`.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`: the library was shut down; `FORKED`.
///
/// # Safety
/// `count` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_broadcaster_count(
    broadcaster: wtgram_broadcaster,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(count, || Ok(broadcaster.get()?.count())) }
}

/// What a broadcast came to for one member.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_broadcast_result {
    /// The `id` of the member's transport or reliability layer.
    pub member: u64,
    /// How many older datagrams made room for this one in its queue.
    pub evicted: u64,
    /// `WTGRAM_OK`: queued; `QUEUE_FULL`: dropped for this member; `TOO_LARGE` for its path; `CLOSED`; or another status of
    /// `wtgram_transport_send`.
    pub status: i32,
    /// 1 if it is no member any more: it was closed, or this broadcast removed it because it was slow for too long. Else 0.
    pub removed: u32,
    /// Zero.
    pub reserved: [u64; 2],
}

impl From<&MemberResult> for wtgram_broadcast_result {
    fn from(result: &MemberResult) -> Self {
        let status = result.result.as_ref().map_or_else(wtgram_status::from, |()| wtgram_status::WTGRAM_OK);
        Self {
            member: result.member,
            evicted: result.evicted as u64,
            status: status as i32,
            removed: result.removed.into(),
            reserved: [0; 2],
        }
    }
}

/// Queues one datagram at every member and waits for none of them: a full queue does what its transport's policy says,
/// and where that is to wait, the datagram is dropped for this member. The payload is encoded once for all sessions that have
/// the same id. Closed members are removed. No member's trouble is another's.
///
/// `data`, `length`: the payload. `options`: priority, TTL and report id for each member; NULL for the defaults; the timeout
/// is not used. Each member that accepted has an outcome of the report id: `wtgram_transport_next_outcome` of its transport,
/// `wtgram_reliability_next_outcome` of its layer. `results`, `capacity`: NULL and 0, or where the result of each member goes; what does not fit is left out.
/// `members`: NULL, or gets how many members there were. `accepted`: how many queued it.
///
/// Statuses: `WTGRAM_OK`, also when no member accepted; `CLOSED`: shut down; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `FORKED`.
/// Any thread, also while members come and go.
///
/// # Safety
/// `data` points to `length` bytes; `options` is NULL or points to a struct of its `struct_size`; `results` points to
/// `capacity` writable elements; `members` is NULL or writable; `accepted` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_broadcaster_broadcast(
    broadcaster: wtgram_broadcaster,
    data: *const u8,
    length: usize,
    options: *const wtgram_send_options,
    results: *mut wtgram_broadcast_result,
    capacity: usize,
    members: *mut usize,
    accepted: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        clear(members);
        give(accepted, || {
            let broadcaster = broadcaster.get()?;
            let (payload, (options, _)) = (bytes(data, length)?, send_options(options)?);
            let mut places = elements_mut(results, capacity)?.iter_mut();
            let mut seen = 0;
            let accepted = broadcaster.broadcast(payload, &options, |result| {
                seen += 1;
                if let Some(place) = places.next() {
                    *place = result.into();
                }
            })?;
            if !members.is_null() {
                *output(members)? = seen;
            }
            Ok(accepted)
        })
    }
}

/// What a broadcaster did so far: every member of every broadcast is in exactly one of `accepted`, `dropped`, `too_large`,
/// `failed` and `closed`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_broadcaster_statistics {
    /// Size of this struct, filled by `wtgram_broadcaster_statistics_init`.
    pub struct_size: usize,
    /// Broadcasts.
    pub broadcasts: u64,
    /// Queued for a member.
    pub accepted: u64,
    /// Dropped for a member: no room.
    pub dropped: u64,
    /// Too large for a member.
    pub too_large: u64,
    /// Refused by a member for any other reason.
    pub failed: u64,
    /// The member was closed, which removes it.
    pub closed: u64,
    /// Members removed because they were slow.
    pub removed_slow: u64,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_broadcaster_statistics {
    const FIRST_SIZE: usize = 64;
    fn initial() -> Self {
        Self::from(Statistics::default())
    }
}

impl From<Statistics> for wtgram_broadcaster_statistics {
    fn from(statistics: Statistics) -> Self {
        let Statistics { broadcasts, accepted, dropped, too_large, failed, closed, removed_slow } =
            statistics;
        let struct_size = size_of::<Self>();
        Self { struct_size, broadcasts, accepted, dropped, too_large, failed, closed, removed_slow }
    }
}

/// Fills `statistics` with zeroes and its size. NULL is ignored.
///
/// # Safety
/// `statistics` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_broadcaster_statistics_init(statistics: *mut wtgram_broadcaster_statistics) {
    // SAFETY: the caller's promise.
    unsafe { init(statistics) };
}

/// Everything counted so far.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`: NULL, or `struct_size` is that of no version; `CLOSED`: the
/// library was shut down; `FORKED`.
///
/// # Safety
/// `statistics` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_broadcaster_stats(
    broadcaster: wtgram_broadcaster,
    statistics: *mut wtgram_broadcaster_statistics,
) -> wtgram_status {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { sized_output(statistics) }?;
        let now = broadcaster.get()?.statistics();
        // SAFETY: the caller's promise.
        unsafe { fill(statistics, now.into()) }
    })
}

/// Removes all members; adding and broadcasting are `CLOSED` from now on. The members live on.
///
/// Statuses: `WTGRAM_OK`, also a second time; `INVALID_HANDLE`; `CLOSED`: the library was shut down; `FORKED`.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_broadcaster_shutdown(broadcaster: wtgram_broadcaster) -> wtgram_status {
    guard(|| {
        broadcaster.get()?.shutdown();
        Ok(())
    })
}

/// Shuts it down and makes its handle name nothing. None and stale handles are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_broadcaster_free(broadcaster: wtgram_broadcaster) {
    free(broadcaster, |broadcaster| broadcaster.shutdown());
}
