//! Numbers and sizes of frames (RFC 9114 section 11.2.1) and capsules (draft-ietf-webtrans-http3
//! section 9.6).

pub(crate) const DATA: u64 = 0x00;
pub(crate) const HEADERS: u64 = 0x01;
pub(crate) const CANCEL_PUSH: u64 = 0x03;
pub(crate) const SETTINGS: u64 = 0x04;
pub(crate) const PUSH_PROMISE: u64 = 0x05;
pub(crate) const GOAWAY: u64 = 0x07;
pub(crate) const MAX_PUSH_ID: u64 = 0x0d;
/// The signal at the start of a bidirectional WebTransport stream. It is a frame type only by
/// registration.
pub(crate) const WT_STREAM: u64 = 0x41;
/// A reserved type (`0x1f * N + 0x21`). It makes sure that peers skip what they do not know.
pub(crate) const GREASE: u64 = 0x1f * 0x1a2b + 0x21;

pub(crate) const WT_CLOSE_SESSION: u64 = 0x2843;
pub(crate) const WT_DRAIN_SESSION: u64 = 0x78ae;

/// The length of a CLOSE capsule's code.
pub(crate) const CODE_BYTES: usize = 4;
/// The longest close reason (draft section 6).
pub(crate) const MAX_REASON_BYTES: usize = 1024;
/// The most bytes that a reader ever holds.
pub(crate) const MAX_CAPSULE_BYTES: usize = CODE_BYTES + MAX_REASON_BYTES;
