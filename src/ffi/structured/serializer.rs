//! Serializers
//!
//! How objects are encoded: JSON, MessagePack, or by functions of the program.

use std::ffi::c_void;

use crate::error::{Error, Result};
use crate::ffi::boundary::enums::impl_read;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::pointer::{Versioned, bytes, init, init_sized, invalid};
use crate::structured::serializer::Serializer;

/// How objects are encoded.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_serializer_kind {
    /// Objects are JSON texts, strictly checked (RFC 8259: no NaN, no lone surrogates, at most 127
    /// levels), and sent and received without white space. Numbers keep their digits. The default.
    WTGRAM_SERIALIZER_JSON = 0,
    /// Objects are JSON texts for the program and MessagePack on the wire. Integers from -2^63 to
    /// 2^64 - 1 are exact; other numbers become doubles or are refused if they do not fit. Incoming
    /// values that JSON lacks are converted: binary to a base64 string, an extension to
    /// `{"type":number,"data":base64}`, NaN and infinities to the strings `"NaN"`, `"Infinity"`,
    /// `"-Infinity"`, integer and boolean map keys to strings. Other map keys are refused.
    WTGRAM_SERIALIZER_MESSAGE_PACK = 1,
    /// Objects are bytes of the program's choice; the `custom` serializer converts them.
    WTGRAM_SERIALIZER_CUSTOM = 2,
}

impl_read!(wtgram_serializer_kind { WTGRAM_SERIALIZER_JSON, WTGRAM_SERIALIZER_MESSAGE_PACK, WTGRAM_SERIALIZER_CUSTOM } or "there is no such serializer");

/// Converts `length` bytes at `data`: sets `*result` and `*result_length` and returns 0, or returns
/// another value to refuse. The result must stay valid until it is passed to `free_bytes`; it may
/// point to `data`. It runs on the thread that sends or receives, may use other objects of the
/// library, and must not throw.
pub type wtgram_serializer_callback = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        type_id: u32,
        data: *const u8,
        length: usize,
        result: *mut *const u8,
        result_length: *mut usize,
    ) -> i32,
>;

/// Frees the result of a `wtgram_serializer_callback` that returned 0. Called once for each, after
/// the result was copied.
pub type wtgram_serializer_free_callback =
    Option<unsafe extern "C" fn(context: *mut c_void, data: *const u8, length: usize)>;

/// A custom serializer. Several threads may call its functions at once.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_serializer {
    /// Size of this struct, set by `wtgram_serializer_init`.
    pub struct_size: usize,
    /// Passed to the functions. Must stay valid until the structured transport is freed and no call
    /// uses it.
    pub context: *mut c_void,
    /// Converts an object to its encoding.
    pub serialize: wtgram_serializer_callback,
    /// Converts an encoding to an object.
    pub deserialize: wtgram_serializer_callback,
    /// Frees results of both; may be NULL.
    pub free_bytes: wtgram_serializer_free_callback,
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

/// Fills `*serializer` with its size and no functions. NULL is ignored.
///
/// # Safety
/// `serializer` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_serializer_init(serializer: *mut wtgram_serializer) {
    // SAFETY: the caller's promise.
    unsafe { init(serializer) };
}

/// For bindings: `wtgram_serializer_init` for a struct of `size` bytes.
///
/// # Safety
/// `serializer` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_serializer_init_sized(serializer: *mut wtgram_serializer, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(serializer, size) };
}

/// The program's serializer, behind the core's trait.
pub(in crate::ffi) struct Custom {
    context: *mut c_void,
    serialize: Convert,
    deserialize: Convert,
    free_bytes: wtgram_serializer_free_callback,
}

type Convert = unsafe extern "C" fn(*mut c_void, u32, *const u8, usize, *mut *const u8, *mut usize) -> i32;

// SAFETY: the program promises that its functions may run in several threads at once, with this context.
unsafe impl Send for Custom {}
// SAFETY: as above.
unsafe impl Sync for Custom {}

impl Custom {
    pub(in crate::ffi) fn new(table: wtgram_serializer) -> Result<Self, Failure> {
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
