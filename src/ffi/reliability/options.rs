//! Options of a reliability layer
//!
//! How long to retransmit, how much may be in progress, and what the layer speaks.

use std::time::Duration;

use crate::ffi::boundary::enums::impl_read;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::pointer::{Versioned, init, init_sized, invalid, micros};
use crate::ffi::connection::narrow;
use crate::reliability::layer::LayerOptions;
use crate::reliability::negotiation::Mode;

/// What a reliability layer speaks, and how it treats *plain frames*: datagrams in pywebtransport's
/// form, which start with the bytes `04 'DATA'` or `03 'ACK'`. Plain frames carry no mark, so a
/// program's own datagrams may look like them.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_negotiation {
    /// Works with every peer. The layer sends plain frames until it answers a HELLO of the peer's
    /// layer, and takes plain frames until the peer's layer answers its own: usually for two round
    /// trips after the first message. During this window it also takes datagrams of the peer's
    /// program that look like plain frames. Afterwards, and for all later layers on the session,
    /// these go to the transport's reader. With a peer that never answers the window stays open.
    /// `plain_taken` and `takes_plain` of the statistics show it. The default.
    WTGRAM_NEGOTIATION_AUTO = 0,
    /// Works only with a layer of this library that negotiates. Messages wait until the peer's
    /// layer answers; if it does not within `ack_timeout_us × (max_retries + 1)`, they are given
    /// up. Plain frames are never taken. For programs whose own datagrams may look like plain
    /// frames; use it at both ends.
    WTGRAM_NEGOTIATION_REQUIRED = 1,
    /// pywebtransport's protocol and nothing else: plain frames are always taken. Such a layer does
    /// not reach a peer that negotiated on the same session before.
    WTGRAM_NEGOTIATION_OFF = 2,
}

impl_read!(wtgram_negotiation { WTGRAM_NEGOTIATION_AUTO, WTGRAM_NEGOTIATION_REQUIRED, WTGRAM_NEGOTIATION_OFF } or "there is no such negotiation");

/// Options of a reliability layer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_reliability_options {
    /// Size of this struct, set by `wtgram_reliability_options_init`.
    pub struct_size: usize,
    /// A message is given up after `ack_timeout_us × (max_retries + 1)` at the earliest, in
    /// microseconds. Default 2 s.
    pub ack_timeout_us: i64,
    /// Limit of messages without an outcome. Sending waits when it is reached. Default 1024.
    pub window_messages: u64,
    /// Limit of the payload bytes of those. Default 1 MiB.
    pub window_bytes: u64,
    /// Limit of messages that arrived and are not yet received. Further ones are not acknowledged,
    /// so the peer keeps them. Default 4096.
    pub inbound_messages: u64,
    /// Limit of the payload bytes of those. Default 1 MiB.
    pub inbound_bytes: u64,
    /// A message is given up after this many retransmissions by timer at the earliest. Default 5.
    pub max_retries: u32,
    /// A `wtgram_negotiation`. Default `WTGRAM_NEGOTIATION_AUTO`.
    pub negotiation: u32,
    /// First sequence number on a session that had no layer before. Default 0.
    pub first_sequence: u32,
    /// Reserved; 0.
    pub reserved: u32,
}

impl wtgram_reliability_options {
    fn with(defaults: LayerOptions) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            ack_timeout_us: micros(defaults.ack_timeout),
            window_messages: defaults.window_messages as u64,
            window_bytes: defaults.window_bytes as u64,
            inbound_messages: defaults.inbound_messages as u64,
            inbound_bytes: defaults.inbound_bytes as u64,
            max_retries: defaults.max_retries,
            negotiation: match defaults.negotiation {
                Mode::Auto => wtgram_negotiation::WTGRAM_NEGOTIATION_AUTO,
                Mode::Required => wtgram_negotiation::WTGRAM_NEGOTIATION_REQUIRED,
                Mode::Off => wtgram_negotiation::WTGRAM_NEGOTIATION_OFF,
            } as u32,
            first_sequence: defaults.first_sequence,
            reserved: 0,
        }
    }

    pub(in crate::ffi) fn layer_options(&self) -> Result<LayerOptions, Failure> {
        let ack_timeout_us =
            u64::try_from(self.ack_timeout_us).map_err(|_| invalid("ack_timeout_us is negative"))?;
        Ok(LayerOptions {
            ack_timeout: Duration::from_micros(ack_timeout_us),
            max_retries: self.max_retries,
            window_messages: narrow(self.window_messages),
            window_bytes: narrow(self.window_bytes),
            inbound_messages: narrow(self.inbound_messages),
            inbound_bytes: narrow(self.inbound_bytes),
            negotiation: match wtgram_negotiation::read(self.negotiation)? {
                wtgram_negotiation::WTGRAM_NEGOTIATION_AUTO => Mode::Auto,
                wtgram_negotiation::WTGRAM_NEGOTIATION_REQUIRED => Mode::Required,
                wtgram_negotiation::WTGRAM_NEGOTIATION_OFF => Mode::Off,
            },
            first_sequence: self.first_sequence,
        })
    }
}

// SAFETY: repr(C), begins with its size, plain integers.
unsafe impl Versioned for wtgram_reliability_options {
    const FIRST_SIZE: usize = 64;
    fn initial() -> Self {
        Self::with(LayerOptions::default())
    }
}

/// Fills `*options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_reliability_options_init(options: *mut wtgram_reliability_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// For bindings: `wtgram_reliability_options_init` for a struct of `size` bytes.
///
/// # Safety
/// `options` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_reliability_options_init_sized(
    options: *mut wtgram_reliability_options,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(options, size) };
}
