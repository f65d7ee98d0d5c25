//! `wtgram_structured_*`.

use std::ffi::c_void;
use std::sync::Arc;

use super::guard::{Failure, free, guard};
use super::handle::{Handle, names};
use super::library::init;
use super::pointer::{
    Versioned, bytes, clear, deadline, elements, elements_mut, fill, give, invalid, output, read_options,
    sized_output,
};
use super::reliability::wtgram_reliability;
use super::send::{BatchResults, send_options, wtgram_send_options};
use super::session::wtgram_session;
use super::status::wtgram_status;
use super::transport::wtgram_transport;
use crate::error::{Error, Result};
use crate::runtime::wait::Deadline;
use crate::structured::registry::{ObjectType, Registry};
use crate::structured::serializer::{Json, MessagePack, Serializer};
use crate::structured::transport::{DEFAULT_QUEUE, Slot, Statistics, Structured};

/// Typed objects over a transport, beside it, or over a reliability layer. `{0}` is none. It becomes closed when what it
/// stands on ends, and is freed by its owner.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_structured {
    /// The number of the handle.
    pub id: u64,
}

names!(wtgram_structured => Structured, STRUCTURED, polled as |structured| structured);

/// A type of objects.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_object_type {
    /// Its id, 0 to 65535, the same on both sides.
    pub type_id: u32,
    /// Zero.
    pub reserved: u32,
    /// The most bytes of its serialized objects, for sending and receiving; 0 for no limit but the path's.
    pub max_bytes: u64,
    /// Zero.
    pub reserved_too: [u64; 2],
}

/// How objects become bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_serializer_kind {
    /// Objects are JSON texts, strictly checked (RFC 8259: no NaN, no lone surrogates, at most 127 arrays and objects
    /// within each other), sent and received without spaces. Numbers keep their digits. The default.
    WTGRAM_SERIALIZER_JSON = 0,
    /// Objects are JSON texts for the program and MessagePack on the wire. Integers from -2^63 to 2^64 - 1 are exact,
    /// other numbers become doubles; what does not fit is refused. What comes in and JSON does not have: binary becomes
    /// a base64 string, an extension `{"type":number,"data":base64}`, NaN and infinities the strings `"NaN"`,
    /// `"Infinity"`, `"-Infinity"`, integer and boolean map keys strings; other map keys are refused.
    WTGRAM_SERIALIZER_MESSAGE_PACK = 1,
    /// Objects are bytes of the program's choice; `custom` turns them into what travels.
    WTGRAM_SERIALIZER_CUSTOM = 2,
}

/// Turns `length` bytes at `data` into others: sets `*result` and `*result_length` and returns 0, or returns anything else
/// to refuse. The result must stay where it is until it is given to `free_bytes`. It may point to `data` itself. It runs on
/// the thread that sends or receives, must not throw, and may use other objects of the library.
pub type wtgram_convert_callback = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        type_id: u32,
        data: *const u8,
        length: usize,
        result: *mut *const u8,
        result_length: *mut usize,
    ) -> i32,
>;

/// Called once with every result of a `wtgram_convert_callback` that returned 0, after it was copied.
pub type wtgram_free_callback =
    Option<unsafe extern "C" fn(context: *mut c_void, data: *const u8, length: usize)>;

/// A serializer of the program's own. Its functions may run in several threads at once.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_serializer {
    /// Size of this struct, filled by `wtgram_serializer_init`.
    pub struct_size: usize,
    /// Handed through to the functions. Must live until the structured transport is freed and no call uses it any more.
    pub context: *mut c_void,
    /// From an object to what travels.
    pub serialize: wtgram_convert_callback,
    /// From what travels to an object.
    pub deserialize: wtgram_convert_callback,
    /// Takes back the results of both; NULL if there is nothing to do.
    pub free_bytes: wtgram_free_callback,
}

// SAFETY: repr(C), begins with its size; pointers may be NULL.
unsafe impl Versioned for wtgram_serializer {
    const FIRST_SIZE: usize = 40;
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            context: std::ptr::null_mut(),
            serialize: None,
            deserialize: None,
            free_bytes: None,
        }
    }
}

/// Fills `serializer` with its size and no functions. NULL is ignored.
///
/// # Safety
/// `serializer` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_serializer_init(serializer: *mut wtgram_serializer) {
    // SAFETY: the caller's promise.
    unsafe { init(serializer) };
}

/// Options of a structured transport.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_structured_options {
    /// Size of this struct, filled by `wtgram_structured_options_init`.
    pub struct_size: usize,
    /// With `WTGRAM_SERIALIZER_CUSTOM`: the serializer; it is copied. Else ignored.
    pub custom: *const wtgram_serializer,
    /// Over a session: datagrams that may wait for being received, at least 1. Default 100. Else ignored.
    pub queue_datagrams: u64,
    /// A `wtgram_serializer_kind`. Default `WTGRAM_SERIALIZER_JSON`.
    pub serializer: u32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: repr(C), begins with its size; the pointer may be NULL.
unsafe impl Versioned for wtgram_structured_options {
    const FIRST_SIZE: usize = 32;
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            custom: std::ptr::null(),
            queue_datagrams: DEFAULT_QUEUE as u64,
            serializer: wtgram_serializer_kind::WTGRAM_SERIALIZER_JSON as u32,
            reserved: 0,
        }
    }
}

/// Fills `options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_structured_options_init(options: *mut wtgram_structured_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// What a structured transport is opened with.
struct Opening {
    registry: Registry,
    serializer: Box<dyn Serializer>,
    queue: usize,
}

/// # Safety
/// `kinds` points to `count` elements; `options` is NULL or points to a struct of its `struct_size`, as does its `custom`.
unsafe fn opening(
    kinds: *const wtgram_object_type,
    count: usize,
    options: *const wtgram_structured_options,
) -> Result<Opening, Failure> {
    // SAFETY: the caller's promise.
    let (kinds, options) = unsafe { (elements(kinds, count)?, read_options(options)?) };
    let registry = Registry::new(kinds.iter().map(|kind| ObjectType {
        id: kind.type_id,
        max_bytes: (kind.max_bytes != 0).then(|| usize::try_from(kind.max_bytes).unwrap_or(usize::MAX)),
    }))?;
    let serializer: Box<dyn Serializer> = match options.serializer {
        0 => Box::new(Json),
        1 => Box::new(MessagePack),
        // SAFETY: the caller's promise.
        2 => Box::new(Custom::new(unsafe { read_options(options.custom) }?)?),
        _ => return Err(invalid("there is no such serializer")),
    };
    let queue = usize::try_from(options.queue_datagrams).unwrap_or(usize::MAX);
    if queue == 0 {
        return Err(invalid("a queue holds at least one datagram"));
    }
    Ok(Opening { registry, serializer, queue })
}

/// Opens a structured transport over a transport: it receives the transport's datagrams, all of them, so nobody else should;
/// closing it closes the transport.
///
/// `object_types`, `count`: the registry, each id once; fixed from now on. `options`: NULL for the defaults.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`: also an id above 65535 or twice, or a custom serializer without
/// its two functions; `CLOSED`: the transport is; `LIMIT_REACHED`; `FORKED`.
///
/// # Safety
/// `object_types` points to `count` elements; `options` is NULL or points to a struct of its `struct_size`; `structured` is
/// NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_open_over_transport(
    transport: wtgram_transport,
    object_types: *const wtgram_object_type,
    count: usize,
    options: *const wtgram_structured_options,
    structured: *mut wtgram_structured,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(structured, || {
            let channel = Arc::clone(&transport.get()?.transport);
            let Opening { registry, serializer, .. } = opening(object_types, count, options)?;
            Handle::new(Structured::over_channel(channel, registry, serializer)?)
        })
    }
}

/// Opens a structured transport beside the other readers of a session: datagrams that begin with a registered type id go to
/// its own queue of `queue_datagrams`, the newcomer being dropped and counted when it is full; all others stay with the
/// session's transport. Closing it only ends that.
///
/// Parameters and statuses: as for `wtgram_structured_open_over_transport`.
///
/// # Safety
/// As for `wtgram_structured_open_over_transport`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_open_over_session(
    session: wtgram_session,
    object_types: *const wtgram_object_type,
    count: usize,
    options: *const wtgram_structured_options,
    structured: *mut wtgram_structured,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(structured, || {
            let transport = Arc::clone(&session.get()?.session.datagrams);
            let Opening { registry, serializer, queue } = opening(object_types, count, options)?;
            Handle::new(Structured::over_session(&transport, registry, serializer, queue)?)
        })
    }
}

/// Opens a structured transport over a reliability layer: objects arrive, each once. It receives what the layer receives, and
/// closing it closes the layer. Priority and TTL of an object are those of its message. The outcome of a `report_id` comes from
/// the layer: `wtgram_reliability_next_outcome`.
///
/// Parameters and statuses: as for `wtgram_structured_open_over_transport`.
///
/// # Safety
/// As for `wtgram_structured_open_over_transport`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_open_over_reliability(
    reliability: wtgram_reliability,
    object_types: *const wtgram_object_type,
    count: usize,
    options: *const wtgram_structured_options,
    structured: *mut wtgram_structured,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(structured, || {
            let channel = reliability.get()?;
            let Opening { registry, serializer, .. } = opening(object_types, count, options)?;
            Handle::new(Structured::over_channel(channel, registry, serializer)?)
        })
    }
}

/// Serializes an object and sends it as one datagram: its type id in two bytes, then what the serializer makes.
///
/// `type_id`: a registered one. `object`, `length`: JSON text, without a NUL, or what the program's serializer takes.
/// `options`: NULL for the defaults. The outcome of a `report_id` comes from what carries the datagram:
/// `wtgram_transport_next_outcome` of the session's transport or, over a reliability layer,
/// `wtgram_reliability_next_outcome` of the layer.
///
/// Statuses: `WTGRAM_OK`: queued; `UNKNOWN_TYPE`; `SERIALIZATION`: the object does not serialize; `TOO_LARGE`: more bytes than
/// its type, or the path, allows; every status of `wtgram_transport_send`. Each is counted, and the transport goes on. Any
/// thread.
///
/// # Safety
/// `object` points to `length` bytes; `options` is NULL or points to a struct of its `struct_size`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_send_obj(
    structured: wtgram_structured,
    type_id: u32,
    object: *const u8,
    length: usize,
    options: *const wtgram_send_options,
) -> wtgram_status {
    guard(|| {
        let structured = structured.get()?;
        // SAFETY: the caller's promise.
        let (object, (options, deadline)) = unsafe { (bytes(object, length)?, send_options(options)?) };
        Ok(structured.send(type_id, object, &options, deadline)?)
    })
}

/// `wtgram_structured_send_obj` that never waits.
///
/// # Safety
/// As for `wtgram_structured_send_obj`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_try_send_obj(
    structured: wtgram_structured,
    type_id: u32,
    object: *const u8,
    length: usize,
    options: *const wtgram_send_options,
) -> wtgram_status {
    guard(|| {
        let structured = structured.get()?;
        // SAFETY: the caller's promise.
        let (object, (options, _)) = unsafe { (bytes(object, length)?, send_options(options)?) };
        Ok(structured.send(type_id, object, &options, Deadline::Now)?)
    })
}

/// An object to send.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_object {
    /// Its first byte; ignored if `length` is 0.
    pub data: *const u8,
    /// Its bytes.
    pub length: usize,
    /// Its type.
    pub type_id: u32,
    /// Zero.
    pub reserved: [u32; 3],
}

/// Sends many objects in one crossing. One that fails does not keep the others from going.
///
/// `objects`, `count`: the objects; 0 is fine. `options`: for each of them; NULL for the defaults. `results`: NULL, or `count`
/// elements that get the status of each. `accepted`: how many were queued, on every status.
///
/// Statuses: that of the first object that failed, else `WTGRAM_OK`; `INVALID_HANDLE` and `INVALID_ARGUMENT` before any is
/// sent.
///
/// # Safety
/// `objects` points to `count` elements, each to its bytes; `results` is NULL or points to `count` writable elements;
/// `accepted` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_send_batch(
    structured: wtgram_structured,
    objects: *const wtgram_object,
    count: usize,
    options: *const wtgram_send_options,
    results: *mut wtgram_status,
    accepted: *mut usize,
) -> wtgram_status {
    let mut batch = BatchResults::default();
    // SAFETY: the caller's promise.
    let status = unsafe {
        give(accepted, || {
            let structured = structured.get()?;
            let (objects, (options, deadline)) = (elements(objects, count)?, send_options(options)?);
            batch.go_to(results, count)?;
            for object in objects {
                let status = match bytes(object.data, object.length) {
                    Err(failure) => (&failure).into(),
                    Ok(data) => status_of(&structured.send(object.type_id, data, &options, deadline)),
                };
                batch.record(status);
            }
            Ok(batch.accepted)
        })
    };
    batch.status(status)
}

fn status_of<T>(result: &Result<T>) -> wtgram_status {
    result.as_ref().map_or_else(wtgram_status::from, |_| wtgram_status::WTGRAM_OK)
}

/// Waits for the next object and copies it.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0. `buffer`, `capacity`: where it goes; JSON text gets no NUL. `type_id`,
/// `length`: its type and its bytes.
///
/// Statuses: `WTGRAM_OK`; `TIMED_OUT`; `WOULD_BLOCK`; `BUFFER_TOO_SMALL`: `length` says what is needed, the object is kept for
/// the next call; `CLOSED`: closed, and everything that had arrived was received; `INVALID_HANDLE`; `INVALID_ARGUMENT`;
/// `FORKED`. A datagram that is no object is dropped, counted and reported: `TRUNCATED`: too short for a type id;
/// `UNKNOWN_TYPE`; `TOO_LARGE`: more bytes than its type allows; `DESERIALIZATION`: it does not decode. The next call goes on
/// with the next datagram. Any number of threads may wait; an object goes to one of them.
///
/// # Safety
/// `buffer` points to `capacity` writable bytes; `type_id` and `length` are writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_receive_obj(
    structured: wtgram_structured,
    timeout_us: i64,
    buffer: *mut u8,
    capacity: usize,
    type_id: *mut u32,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { (clear(type_id), clear(length)) };
    guard(|| {
        // SAFETY: the caller's promise.
        let (buffer, type_id, length) =
            unsafe { (elements_mut(buffer, capacity)?, output(type_id)?, output(length)?) };
        let received = structured.get()?.receive(buffer, deadline(timeout_us)?);
        if let Err(Error::BufferTooSmall { needed }) = received {
            *length = needed;
        }
        let received = received?;
        (*type_id, *length) = (received.type_id.into(), received.size);
        Ok(())
    })
}

/// `wtgram_structured_receive_obj` that never waits: `WOULD_BLOCK` when nothing is there.
///
/// # Safety
/// As for `wtgram_structured_receive_obj`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_try_receive_obj(
    structured: wtgram_structured,
    buffer: *mut u8,
    capacity: usize,
    type_id: *mut u32,
    length: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { wtgram_structured_receive_obj(structured, 0, buffer, capacity, type_id, length) }
}

/// An object in an arena, or a datagram that was none.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_received_object {
    /// Its first byte's place in the arena.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
    /// Its datagram's place in the order of arrival.
    pub sequence: u64,
    /// When its datagram arrived, in Unix microseconds.
    pub timestamp_us: i64,
    /// Its type.
    pub type_id: u32,
    /// `WTGRAM_OK`, or why the datagram was no object; then all else is zero.
    pub status: i32,
    /// Zero.
    pub reserved: [u64; 2],
}

/// Most objects that one crossing takes.
const MAX_BATCH: usize = 1024;

/// Waits for an object, then takes all that are there and fit, in one crossing.
///
/// `timeout_us`: microseconds, `WTGRAM_FOREVER`, or 0; for the first. `arena`, `arena_capacity`: where the objects go, back to
/// back. `received`, `capacity`: what lies where; at most 1024 at once; datagrams that are no objects take a place with their
/// status. `count`: how many places were filled.
///
/// Statuses: `WTGRAM_OK`; `TIMED_OUT`; `WOULD_BLOCK`; `BUFFER_TOO_SMALL`: not even the first fits; `count` is 0,
/// `received[0].length` says what it needs, nothing is lost; `CLOSED`; `INVALID_HANDLE`; `INVALID_ARGUMENT`: also when
/// `capacity` is 0; `FORKED`.
///
/// # Safety
/// `arena` points to `arena_capacity` writable bytes, `received` to `capacity` writable elements; `count` is writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_receive_batch(
    structured: wtgram_structured,
    timeout_us: i64,
    arena: *mut u8,
    arena_capacity: usize,
    received: *mut wtgram_received_object,
    capacity: usize,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(count, || {
            let structured = structured.get()?;
            let (arena, received) = (elements_mut(arena, arena_capacity)?, elements_mut(received, capacity)?);
            let mut slots = Vec::new();
            let most = received.len().min(MAX_BATCH);
            let taken = structured.receive_batch(arena, &mut slots, most, deadline(timeout_us)?);
            if let (Err(Error::BufferTooSmall { needed }), Some(first)) = (&taken, received.first_mut()) {
                *first = wtgram_received_object { length: *needed as u64, ..NOTHING_RECEIVED };
            }
            taken?;
            for (to, from) in received.iter_mut().zip(&slots) {
                *to = from.into();
            }
            Ok(slots.len())
        })
    }
}

const NOTHING_RECEIVED: wtgram_received_object = wtgram_received_object {
    offset: 0,
    length: 0,
    sequence: 0,
    timestamp_us: 0,
    type_id: 0,
    status: 0,
    reserved: [0; 2],
};

impl From<&Slot> for wtgram_received_object {
    fn from(slot: &Slot) -> Self {
        let status = status_of(&slot.result) as i32;
        slot.result.as_ref().map_or(Self { status, ..NOTHING_RECEIVED }, |received| Self {
            offset: slot.offset as u64,
            length: received.size as u64,
            sequence: received.metadata.sequence,
            timestamp_us: i64::try_from(received.metadata.timestamp_us).unwrap_or(i64::MAX),
            type_id: received.type_id.into(),
            status,
            reserved: [0; 2],
        })
    }
}

/// Whether nothing can be sent any more: it, or what it stands on, is closed. What has arrived can still be received.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `INVALID_ARGUMENT`; `CLOSED`: the library was shut down; `FORKED`.
///
/// # Safety
/// `closed` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_structured_is_closed(
    structured: wtgram_structured,
    closed: *mut bool,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(closed, || Ok(structured.get()?.is_closed())) }
}

/// What became of the objects and datagrams of a structured transport.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_structured_statistics {
    /// Size of this struct, filled by `wtgram_structured_statistics_init`.
    pub struct_size: usize,
    /// Objects queued for sending.
    pub sent: u64,
    /// Not sent: `UNKNOWN_TYPE`.
    pub send_unknown_type: u64,
    /// Not sent: `SERIALIZATION`.
    pub send_not_serialized: u64,
    /// Not sent: `TOO_LARGE`.
    pub send_too_large: u64,
    /// Not sent: what is below refused the datagram.
    pub send_failed: u64,
    /// Objects given to the program.
    pub received: u64,
    /// Dropped: `UNKNOWN_TYPE`.
    pub receive_unknown_type: u64,
    /// Dropped: `TRUNCATED`.
    pub receive_truncated: u64,
    /// Dropped: `DESERIALIZATION`.
    pub receive_not_deserialized: u64,
    /// Dropped: `TOO_LARGE`.
    pub receive_too_large: u64,
    /// Over a session: dropped because the queue was full.
    pub receive_dropped_full: u64,
    /// Over a session: datagrams that wait in the queue.
    pub receive_queued: u64,
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_structured_statistics {
    const FIRST_SIZE: usize = 104;
    fn initial() -> Self {
        Self::from(Statistics::default())
    }
}

impl From<Statistics> for wtgram_structured_statistics {
    fn from(statistics: Statistics) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            sent: statistics.sent,
            send_unknown_type: statistics.send_unknown_type,
            send_not_serialized: statistics.send_not_serialized,
            send_too_large: statistics.send_too_large,
            send_failed: statistics.send_failed,
            received: statistics.received,
            receive_unknown_type: statistics.receive_unknown_type,
            receive_truncated: statistics.receive_truncated,
            receive_not_deserialized: statistics.receive_not_deserialized,
            receive_too_large: statistics.receive_too_large,
            receive_dropped_full: statistics.dropped_full,
            receive_queued: statistics.queued,
        }
    }
}

/// Fills `statistics` with zeroes and its size. NULL is ignored.
///
/// # Safety
/// `statistics` is NULL or points to a writable struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_structured_statistics_init(statistics: *mut wtgram_structured_statistics) {
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
pub unsafe extern "C" fn wtgram_structured_stats(
    structured: wtgram_structured,
    statistics: *mut wtgram_structured_statistics,
) -> wtgram_status {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { sized_output(statistics) }?;
        let now = structured.get()?.statistics();
        // SAFETY: the caller's promise.
        unsafe { fill(statistics, now.into()) }
    })
}

/// Closes it: over a transport or reliability layer, closes that too; over a session, only stops reading from it. Calls that
/// wait on it return `CLOSED`; what has arrived can still be received. Closing again does nothing.
///
/// Statuses: `WTGRAM_OK`; `INVALID_HANDLE`; `CLOSED`: the library was shut down; `FORKED`.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_structured_close(structured: wtgram_structured) -> wtgram_status {
    guard(|| {
        structured.get()?.close();
        Ok(())
    })
}

/// Closes it as `wtgram_structured_close` does and makes its handle name nothing. None and stale handles are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_structured_free(structured: wtgram_structured) {
    free(structured, |structured| structured.close());
}

/// The program's serializer, behind the core's trait.
struct Custom {
    context: *mut c_void,
    serialize: Convert,
    deserialize: Convert,
    free_bytes: wtgram_free_callback,
}

type Convert = unsafe extern "C" fn(*mut c_void, u32, *const u8, usize, *mut *const u8, *mut usize) -> i32;

// SAFETY: the program promises that its functions may run in several threads at once, with this context.
unsafe impl Send for Custom {}
// SAFETY: as above.
unsafe impl Sync for Custom {}

impl Custom {
    fn new(table: wtgram_serializer) -> Result<Self, Failure> {
        let wtgram_serializer { context, serialize, deserialize, free_bytes, .. } = table;
        match (serialize, deserialize) {
            (Some(serialize), Some(deserialize)) => Ok(Self { context, serialize, deserialize, free_bytes }),
            _ => Err(invalid("a serializer needs both its functions")),
        }
    }

    /// Appends what `convert` makes of `data` to `out`; nothing if it refuses.
    fn convert(&self, convert: Convert, type_id: u16, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (mut result, mut length) = (std::ptr::null(), 0);
        // SAFETY: the program promises that its functions are what their type says.
        let status = unsafe {
            convert(self.context, type_id.into(), data.as_ptr(), data.len(), &raw mut result, &raw mut length)
        };
        if status != 0 {
            return None;
        }
        // SAFETY: the program promises that the result stays until it is freed below.
        let made = unsafe { bytes(result, length) };
        let made = made.ok().map(|made| out.extend_from_slice(made));
        if let Some(free_bytes) = self.free_bytes {
            // SAFETY: as above; each result is given back once.
            unsafe { free_bytes(self.context, result, length) };
        }
        made
    }
}

impl Serializer for Custom {
    fn serialize(&self, type_id: u16, object: &[u8], wire: &mut Vec<u8>) -> Result<()> {
        let refused = || Error::Serialization("the program's serializer refused the object".into());
        self.convert(self.serialize, type_id, object, wire).ok_or_else(refused)
    }

    fn deserialize(&self, type_id: u16, wire: &[u8], object: &mut Vec<u8>) -> Result<()> {
        let refused = || Error::Deserialization("the program's serializer refused the datagram".into());
        self.convert(self.deserialize, type_id, wire, object).ok_or_else(refused)
    }
}
