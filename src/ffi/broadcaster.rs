//! Broadcaster
//!
//! Sends one datagram to many members: transports, or reliability layers. Call order:
//! `wtgram_broadcaster_new`, add members as they come, `wtgram_broadcaster_broadcast`,
//! `wtgram_broadcaster_free`. Members that close leave by themselves.

use std::sync::Arc;

use crate::broadcaster::{Broadcaster, MemberResult, SlowPolicy, Statistics, Target};
use crate::ffi::boundary::enums::impl_read;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::guard::{free, guard};
use crate::ffi::boundary::handle::{Handle, names};
use crate::ffi::boundary::pointer::{
    Versioned, bytes, clear, elements_mut, give, give_sized, init, init_sized, invalid, output, read_options,
};
use crate::ffi::handles::{wtgram_broadcaster, wtgram_reliability, wtgram_session, wtgram_transport};
use crate::ffi::status::wtgram_status;
use crate::ffi::transport::send::{send_options, wtgram_send_options};

names!(wtgram_broadcaster => Broadcaster, BROADCASTER);

/// What happens to a member that does not keep up.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_slow_policy {
    /// It misses the datagrams for which its queue has no space. The default.
    WTGRAM_SLOW_DROP = 0,
    /// It is removed after `slow_limit` broadcasts in a row for which its queue dropped something.
    WTGRAM_SLOW_REMOVE = 1,
}

impl_read!(wtgram_slow_policy { WTGRAM_SLOW_DROP, WTGRAM_SLOW_REMOVE } or "there is no such slow-member policy");

/// Options of a broadcaster.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_broadcaster_options {
    /// Size of this struct, set by `wtgram_broadcaster_options_init`.
    pub struct_size: usize,
    /// A `wtgram_slow_policy`. Default `WTGRAM_SLOW_DROP`.
    pub slow_policy: u32,
    /// For `WTGRAM_SLOW_REMOVE`: number of drops in a row, at least 1. Default 10.
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

/// Fills `*options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_broadcaster_options_init(options: *mut wtgram_broadcaster_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// For bindings: `wtgram_broadcaster_options_init` for a struct of `size` bytes.
///
/// # Safety
/// `options` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_broadcaster_options_init_sized(
    options: *mut wtgram_broadcaster_options,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(options, size) };
}

fn slow_policy(options: wtgram_broadcaster_options) -> Result<SlowPolicy, Failure> {
    Ok(match (wtgram_slow_policy::read(options.slow_policy)?, options.slow_limit) {
        (wtgram_slow_policy::WTGRAM_SLOW_DROP, _) => SlowPolicy::Drop,
        (wtgram_slow_policy::WTGRAM_SLOW_REMOVE, 0) => {
            return Err(invalid("a slow member is removed after one drop at the earliest"));
        }
        (wtgram_slow_policy::WTGRAM_SLOW_REMOVE, limit) => SlowPolicy::RemoveAfter(limit),
    })
}

/// Makes a broadcaster without members.
///
/// @param options Options; NULL for the defaults.
/// @param broadcaster Gets the handle. Free it with `wtgram_broadcaster_free`.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_LIMIT_REACHED`: too many broadcasters.
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

/// Adds a transport as a member. Adding it again has no effect.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_CLOSED`: the transport or the broadcaster is closed.
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

/// Adds the transport of a session as a member.
///
/// @return As `wtgram_broadcaster_add_transport`.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn wtgram_broadcaster_add_session(
    broadcaster: wtgram_broadcaster,
    session: wtgram_session,
) -> wtgram_status {
    guard(|| {
        let object = session.get()?;
        let target = Target::Transport(Arc::clone(object.session.datagrams()?));
        Ok(broadcaster.get()?.add(object.transport(session)?.id, target)?)
    })
}

/// Adds a reliability layer as a member. It gets broadcasts as messages.
///
/// @return As `wtgram_broadcaster_add_transport`.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn wtgram_broadcaster_add_reliability(
    broadcaster: wtgram_broadcaster,
    reliability: wtgram_reliability,
) -> wtgram_status {
    guard(|| Ok(broadcaster.get()?.add(reliability.id, Target::Channel(reliability.get()?))?))
}

/// Removes a reliability layer. Has no effect if it is not a member; its handle may already be
/// released.
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

/// Removes a transport. Has no effect if it is not a member; its handle may already be released.
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

/// Removes the transport of a session. Has no effect if it is not a member. (A released session is
/// closed and leaves by itself.)
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_broadcaster_remove_session(
    broadcaster: wtgram_broadcaster,
    session: wtgram_session,
) -> wtgram_status {
    guard(|| {
        broadcaster.get()?.remove(session.get()?.transport_id());
        Ok(())
    })
}

/// Stores the number of members that are open; 0 after `wtgram_broadcaster_close`.
///
/// # Safety
/// `count` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_broadcaster_get_member_count(
    broadcaster: wtgram_broadcaster,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(count, || Ok(broadcaster.get()?.count())) }
}

/// Result of a broadcast for one member.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_broadcast_result {
    /// The `id` of the member's transport or reliability layer.
    pub member: u64,
    /// Number of older datagrams that were evicted from its queue for this one.
    pub evicted: u64,
    /// `WTGRAM_OK` if queued, else a status of `wtgram_transport_send`.
    pub status: i32,
    /// 1 if it is no longer a member: it was closed, or too slow for too long. Else 0.
    pub removed: u32,
    /// Reserved; 0.
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

/// Queues one datagram for every member and waits for none of them. A full queue follows its
/// transport's policy; where this is to wait, the datagram is dropped for this member. Closed
/// members are removed. Members do not affect each other.
///
/// Threads may broadcast while others add and remove members.
///
/// @param broadcaster The broadcaster.
/// @param data First byte of the payload; ignored if `length` is 0.
/// @param length Size of the payload, in bytes.
/// @param options Priority, TTL and report id for each member; NULL for the defaults. The timeout
///   is ignored. With a `report_id` each member that accepted the datagram has an outcome.
/// @param results Array for the result of each member; NULL with capacity 0 for none. Results that
///   do not fit are left out.
/// @param capacity Number of elements in `results`.
/// @param members NULL, or gets the number of members.
/// @param accepted Gets the number of members that queued the datagram.
///
/// @return
/// - `WTGRAM_OK`: also if no member accepted it.
/// - `WTGRAM_ERROR_CLOSED`: the broadcaster is closed.
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

/// Statistics of a broadcaster. Each member of each broadcast is in exactly one of `accepted`,
/// `dropped`, `too_large`, `failed` and `closed`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_broadcaster_stats {
    /// Size of this struct, set by `wtgram_broadcaster_stats_init`.
    pub struct_size: usize,
    /// Broadcasts.
    pub broadcasts: u64,
    /// Datagrams queued for a member.
    pub accepted: u64,
    /// Dropped for a member because its queue was full.
    pub dropped: u64,
    /// Too large for a member.
    pub too_large: u64,
    /// Refused for any other reason.
    pub failed: u64,
    /// The member was closed and was removed.
    pub closed: u64,
    /// Members removed because they were too slow.
    pub removed_slow: u64,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_broadcaster_stats {
    const FIRST_SIZE: usize = 64;
    fn initial() -> Self {
        Self::from(Statistics::default())
    }
}

impl From<Statistics> for wtgram_broadcaster_stats {
    fn from(stats: Statistics) -> Self {
        let Statistics { broadcasts, accepted, dropped, too_large, failed, closed, removed_slow } = stats;
        let struct_size = size_of::<Self>();
        Self { struct_size, broadcasts, accepted, dropped, too_large, failed, closed, removed_slow }
    }
}

/// Fills `*stats` with its size and zeroes. NULL is ignored.
///
/// # Safety
/// `stats` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_broadcaster_stats_init(stats: *mut wtgram_broadcaster_stats) {
    // SAFETY: the caller's promise.
    unsafe { init(stats) };
}

/// For bindings: `wtgram_broadcaster_stats_init` for a struct of `size` bytes.
///
/// # Safety
/// `stats` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_broadcaster_stats_init_sized(
    stats: *mut wtgram_broadcaster_stats,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(stats, size) };
}

/// Stores the statistics of the broadcaster.
///
/// @param broadcaster The broadcaster.
/// @param stats Gets the statistics; prepared by `wtgram_broadcaster_stats_init`.
///
/// # Safety
/// `stats` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_broadcaster_get_stats(
    broadcaster: wtgram_broadcaster,
    stats: *mut wtgram_broadcaster_stats,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give_sized(stats, || Ok(broadcaster.get()?.statistics().into())) }
}

/// Closes the broadcaster and removes all members, which stay open. Closing again has no effect.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_broadcaster_close(broadcaster: wtgram_broadcaster) -> wtgram_status {
    guard(|| {
        broadcaster.get()?.shutdown();
        Ok(())
    })
}

/// Closes the broadcaster and releases its handle. Handles that are zero or released are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_broadcaster_free(broadcaster: wtgram_broadcaster) {
    free(broadcaster, |broadcaster| broadcaster.shutdown());
}
