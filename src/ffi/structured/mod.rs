//! Structured transport
//!
//! Sends and receives typed objects, as JSON, MessagePack or in a format of your own. Both ends
//! register the same type ids and open a structured transport over a session, a transport or a
//! reliability layer.

pub mod receive;
pub mod send;
pub mod serializer;
pub mod stats;

use std::sync::Arc;

use crate::error::Result;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::guard::{free, guard};
use crate::ffi::boundary::handle::{Handle, names};
use crate::ffi::boundary::pointer::{Versioned, elements, give, init, init_sized, invalid, read_options};
use crate::ffi::handles::{wtgram_reliability, wtgram_session, wtgram_structured, wtgram_transport};
use crate::ffi::status::wtgram_status;
use crate::ffi::structured::serializer::{Custom, wtgram_serializer, wtgram_serializer_kind};
use crate::structured::objects::{DEFAULT_QUEUE, Structured};
use crate::structured::registry::{ObjectType, Registry};
use crate::structured::serializer::{Json, MessagePack, Serializer};

names!(wtgram_structured => Structured, STRUCTURED, polled as |structured| structured);

/// A type of objects.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_object_type {
    /// Id of the type, 0 to 65535, the same at both ends.
    pub type_id: u32,
    /// Reserved; 0.
    pub reserved: u32,
    /// Limit of the encoded size in bytes, for sending and receiving; 0 for no other limit than the
    /// path's.
    pub max_bytes: u64,
    /// Reserved; 0.
    pub reserved_too: [u64; 2],
}

/// Options of a structured transport.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_structured_options {
    /// Size of this struct, set by `wtgram_structured_options_init`.
    pub struct_size: usize,
    /// The serializer for `WTGRAM_SERIALIZER_CUSTOM`; it is copied.
    pub custom: *const wtgram_serializer,
    /// Over a session: limit of the queue in datagrams, at least 1. Default 100. Ignored otherwise.
    pub queue_datagrams: u64,
    /// A `wtgram_serializer_kind`. Default `WTGRAM_SERIALIZER_JSON`.
    pub serializer: u32,
    /// Reserved; 0.
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

/// Fills `*options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_structured_options_init(options: *mut wtgram_structured_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// For bindings: `wtgram_structured_options_init` for a struct of `size` bytes.
///
/// # Safety
/// `options` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_structured_options_init_sized(
    options: *mut wtgram_structured_options,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(options, size) };
}

/// What a structured transport is opened with.
struct Opening {
    registry: Registry,
    serializer: Box<dyn Serializer>,
    queue: usize,
}

/// # Safety
/// `kinds` points to `count` elements; `options` is NULL or points to a struct of its
/// `struct_size`, as does its `custom`.
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
    let serializer: Box<dyn Serializer> = match wtgram_serializer_kind::read(options.serializer)? {
        wtgram_serializer_kind::WTGRAM_SERIALIZER_JSON => Box::new(Json),
        wtgram_serializer_kind::WTGRAM_SERIALIZER_MESSAGE_PACK => Box::new(MessagePack),
        wtgram_serializer_kind::WTGRAM_SERIALIZER_CUSTOM => {
            // SAFETY: the caller's promise.
            Box::new(Custom::new(unsafe { read_options(options.custom) }?)?)
        }
    };
    let queue = usize::try_from(options.queue_datagrams).unwrap_or(usize::MAX);
    if queue == 0 {
        return Err(invalid("a queue holds at least one datagram"));
    }
    Ok(Opening { registry, serializer, queue })
}

/// Opens a structured transport over a transport. It receives all datagrams of the transport, so
/// nobody else should receive from it. Closing it closes the transport.
///
/// @param transport The transport.
/// @param object_types The types, each id once; they cannot be changed later.
/// @param count Number of types.
/// @param options Options; NULL for the defaults.
/// @param structured Gets the handle. Free it with `wtgram_structured_free`.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_ARGUMENT`: an id is above 65535 or occurs twice, or a custom serializer
///   lacks a function.
/// - `WTGRAM_ERROR_CLOSED`: the object below is closed.
/// - `WTGRAM_ERROR_LIMIT_REACHED`: too many structured transports.
///
/// # Safety
/// `object_types` points to `count` elements; `options` is NULL or points to a struct of its
/// `struct_size`; `structured` is NULL or writable.
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

/// Opens a structured transport beside the other readers of a session. Datagrams that start with a
/// registered type id go to its own queue; when this is full, new ones are dropped and counted. All
/// others go to the session's transport. Closing it closes nothing else.
///
/// @param session The session.
/// @param object_types The types, each id once; they cannot be changed later.
/// @param count Number of types.
/// @param options Options; NULL for the defaults.
/// @param structured Gets the handle. Free it with `wtgram_structured_free`.
///
/// @return As `wtgram_structured_open_over_transport`.
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
            let transport = Arc::clone(session.get()?.session.datagrams()?);
            let Opening { registry, serializer, queue } = opening(object_types, count, options)?;
            Handle::new(Structured::over_session(&transport, registry, serializer, queue)?)
        })
    }
}

/// Opens a structured transport over a reliability layer: objects are retransmitted, and each
/// arrives at most once. It receives all messages of the layer, and closing it closes the layer.
/// Priority and TTL of an object are those of its message.
///
/// @param reliability The layer.
/// @param object_types The types, each id once; they cannot be changed later.
/// @param count Number of types.
/// @param options Options; NULL for the defaults.
/// @param structured Gets the handle. Free it with `wtgram_structured_free`.
///
/// @return As `wtgram_structured_open_over_transport`.
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

/// Stores whether the structured transport or the object below it is closed. You can still receive
/// what has arrived.
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

/// Closes the structured transport. Over a transport or a reliability layer this closes that, too;
/// over a session it closes nothing else. Calls that wait on it return `WTGRAM_ERROR_CLOSED`. You
/// can still receive what has arrived. Closing again has no effect.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_structured_close(structured: wtgram_structured) -> wtgram_status {
    guard(|| {
        structured.get()?.close();
        Ok(())
    })
}

/// Closes the structured transport and releases its handle. Handles that are zero or released are
/// ignored.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_structured_free(structured: wtgram_structured) {
    free(structured, |structured| structured.close());
}
