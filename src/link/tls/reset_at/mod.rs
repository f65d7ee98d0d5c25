//! RESET_STREAM_AT (draft-ietf-quic-reliable-stream-reset), which quinn-proto does not have.
//!
//! Current drafts of WebTransport require both ends to offer it. We announce it, and turn the frame
//! into what quinn-proto knows before quinn-proto reads the packet. A reset of a stream that we do
//! not read to its end becomes RESET_STREAM. Only the CONNECT stream is read to its end, because a
//! CLOSE capsule may be the last thing on it: there the reset goes to the session in a
//! [`ConnectReset`], and PING takes the place of the frame.

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(any(test, fuzzing))]
mod plain;

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// The transport parameter of the draft, and the one of its versions up to 06. Both are empty.
pub(super) const TRANSPORT_PARAMETERS: &[u8] = &[0x1d, 0, 0xc0, 0x17, 0xf7, 0x58, 0x6d, 0x2c, 0xb5, 0x71, 0];

const PADDING: u8 = 0x00;
const PING: u8 = 0x01;
const RESET_STREAM: u8 = 0x04;
const RESET_STREAM_AT: u8 = 0x24;

/// No stream has this id.
const NO_STREAM: u64 = u64::MAX;

/// How a peer resets a stream that must still be read up to a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetAt {
    /// The peer's code.
    pub code: u64,
    /// How many bytes the peer has sent on the stream, in all.
    pub final_size: u64,
    /// How many of them the peer still delivers. More than 0.
    pub reliable_size: u64,
}

/// Where the reset of a session's CONNECT stream waits for its session.
pub struct ConnectReset {
    connect: AtomicU64,
    /// The reliable size of `reset`, or 0, to be read without the lock.
    reliable_size: AtomicU64,
    reset: Mutex<Option<ResetAt>>,
}

impl Default for ConnectReset {
    fn default() -> Self {
        Self { connect: AtomicU64::new(NO_STREAM), reliable_size: AtomicU64::new(0), reset: Mutex::new(None) }
    }
}

impl ConnectReset {
    /// Names the CONNECT stream. Resets that arrived before have become RESET_STREAM.
    pub fn set_connect(&self, stream: u64) {
        self.connect.store(stream, Ordering::Relaxed);
    }

    /// The code of the reset, once `read` bytes of the stream are all that the peer still delivers.
    pub fn code_after(&self, read: u64) -> Option<u64> {
        match self.reliable_size.load(Ordering::Relaxed) {
            0 => None,
            size if read < size => None,
            _ => self.reset.lock().map(|reset| reset.code),
        }
    }

    /// Notes a reset of the CONNECT stream. A later one may lower the reliable size, but nothing
    /// else: `false` if it does (section 4 of the draft).
    fn note(&self, new: ResetAt) -> bool {
        let mut reset = self.reset.lock();
        let known = reset.get_or_insert(new);
        if (known.code, known.final_size) != (new.code, new.final_size) {
            return false;
        }
        known.reliable_size = known.reliable_size.min(new.reliable_size);
        self.reliable_size.store(known.reliable_size, Ordering::Relaxed);
        true
    }
}

/// Rewrites every RESET_STREAM_AT in the frames of a packet. A malformed frame stays as it is:
/// QUIC refuses it, because it does not know the type.
pub(super) fn rewrite(frames: &mut [u8], connect: &ConnectReset) {
    let mut at = 0;
    while let Some(start) = find(frames, at) {
        let Some((end, size_at, stream, reset)) = parse(frames, start) else { return };
        if stream != connect.connect.load(Ordering::Relaxed) || reset.reliable_size == 0 {
            frames[start] = RESET_STREAM;
            frames[size_at..end].fill(PADDING);
        } else if connect.note(reset) {
            // PADDING alone would not be acknowledged, and the peer would send the frame again.
            frames[start..end].fill(PADDING);
            frames[start] = PING;
        } else {
            return;
        }
        at = end;
    }
}

/// The RESET_STREAM_AT that begins at `start`: where it ends, where its reliable size begins, its
/// stream, and the rest. `None` if it is malformed.
fn parse(frames: &[u8], start: usize) -> Option<(usize, usize, u64, ResetAt)> {
    let mut at = start + 1;
    let stream = varint(frames, &mut at)?;
    let code = varint(frames, &mut at)?;
    let final_size = varint(frames, &mut at)?;
    let size_at = at;
    let reliable_size = varint(frames, &mut at)?;
    (reliable_size <= final_size).then_some((
        at,
        size_at,
        stream,
        ResetAt { code, final_size, reliable_size },
    ))
}

/// Where the next RESET_STREAM_AT begins, from the frame at `at` on. `None` if there is none before
/// the end, or before a frame that QUIC refuses.
///
/// This runs for every packet that arrives. Nearly all frames are DATAGRAM.
fn find(frames: &[u8], mut at: usize) -> Option<usize> {
    loop {
        // DATAGRAM with a length of one or two bytes.
        while let Some(&[0x31, first @ ..0x80, second]) = frames.get(at..at + 3) {
            let (one, two) =
                (2 + usize::from(first), 3 + (usize::from(first & 0x3f) << 8 | usize::from(second)));
            at += if first < 0x40 { one } else { two };
        }
        let kind = *frames.get(at)?;
        if kind == RESET_STREAM_AT {
            return Some(at);
        }
        at += 1;
        match kind {
            // DATAGRAM with a longer length.
            0x31 => skip_bytes(frames, &mut at)?,
            // DATAGRAM to the end of the packet.
            0x30 => return None,
            // PADDING, PING, HANDSHAKE_DONE, IMMEDIATE_ACK.
            0x00 | 0x01 | 0x1e | 0x1f => {}
            // ACK, without and with ECN counts.
            0x02 | 0x03 => {
                skip(frames, &mut at, 2)?;
                let ranges = varint(frames, &mut at)?;
                skip(frames, &mut at, 1 + 2 * ranges)?;
                skip(frames, &mut at, if kind == 0x03 { 3 } else { 0 })?;
            }
            // MAX_DATA, MAX_STREAMS, DATA_BLOCKED, STREAMS_BLOCKED, RETIRE_CONNECTION_ID.
            0x10 | 0x12..=0x14 | 0x16 | 0x17 | 0x19 => skip(frames, &mut at, 1)?,
            // STOP_SENDING, MAX_STREAM_DATA, STREAM_DATA_BLOCKED.
            0x05 | 0x11 | 0x15 => skip(frames, &mut at, 2)?,
            RESET_STREAM => skip(frames, &mut at, 3)?,
            // STREAM: bit 2 says that there is an offset, bit 1 that there is a length.
            0x08..=0x0f => {
                skip(frames, &mut at, if kind & 4 == 0 { 1 } else { 2 })?;
                if kind & 2 == 0 {
                    return None;
                }
                skip_bytes(frames, &mut at)?;
            }
            // CRYPTO.
            0x06 => {
                skip(frames, &mut at, 1)?;
                skip_bytes(frames, &mut at)?;
            }
            // NEW_TOKEN.
            0x07 => skip_bytes(frames, &mut at)?,
            // NEW_CONNECTION_ID: two numbers, the id after its length, and a reset token.
            0x18 => {
                skip(frames, &mut at, 2)?;
                at += 1 + usize::from(*frames.get(at)?) + 16;
            }
            // PATH_CHALLENGE, PATH_RESPONSE.
            0x1a | 0x1b => at += 8,
            // ACK_FREQUENCY, whose type takes two bytes.
            0x40 if frames.get(at) == Some(&0xaf) => {
                at += 1;
                skip(frames, &mut at, 4)?;
            }
            // CONNECTION_CLOSE, after which nothing matters; or not a frame of QUIC.
            _ => return None,
        }
    }
}

/// Reads the variable-length integer (RFC 9000 section 16) at `at`, and moves past it.
fn varint(frames: &[u8], at: &mut usize) -> Option<u64> {
    let first = *frames.get(*at)?;
    let end = *at + length(first);
    let rest = frames.get(*at + 1..end)?;
    *at = end;
    Some(rest.iter().fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte)))
}

/// Moves past `count` variable-length integers.
fn skip(frames: &[u8], at: &mut usize, count: u64) -> Option<()> {
    for _ in 0..count {
        *at += length(*frames.get(*at)?);
    }
    Some(())
}

/// Moves past a length and as many bytes.
fn skip_bytes(frames: &[u8], at: &mut usize) -> Option<()> {
    let length = usize::try_from(varint(frames, at)?).ok()?;
    *at = at.checked_add(length).filter(|end| *end <= frames.len())?;
    Some(())
}

/// The length of an integer that begins with `first`.
fn length(first: u8) -> usize {
    1 << (first >> 6)
}

#[cfg(test)]
mod tests;
