//! Fuzz targets of HTTP/3 and WebTransport.
//!
//! Most readers get their bytes in pieces of any size. So most targets here read the same bytes
//! whole, byte by byte and in pieces of one more size, and compare.

mod messages;
mod readers;
mod script;
mod streams;

pub use messages::{h3_fields, h3_request, h3_response, h3_subprotocols};
pub use readers::{h3_capsule, h3_datagram, h3_frame, h3_settings};
pub use streams::{h3_session, h3_uni};

/// A size of pieces that takes everything at once.
const WHOLE: usize = usize::MAX;

/// The pieces of `bytes`, each with whether the stream ends with it. There is one at least. The end
/// of a stream comes with the whole, or after the last piece.
fn pieces(bytes: &[u8], size: usize, fin: bool) -> impl Iterator<Item = (&[u8], bool)> {
    let nothing: &[u8] = &[];
    let last = match size {
        WHOLE => bytes.is_empty().then_some((nothing, fin)),
        _ => (fin || bytes.is_empty()).then_some((nothing, fin)),
    };
    bytes.chunks(size).map(move |piece| (piece, fin && size == WHOLE)).chain(last)
}

/// Takes a variable-length integer as RFC 9000 section 16 describes it.
fn plain_varint(input: &mut &[u8]) -> Option<u64> {
    let length = 1 << (input.first()? >> 6);
    let (bytes, rest) = input.split_at_checked(length)?;
    *input = rest;
    let all = bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    Some(all & (u64::MAX >> (66 - 8 * length)))
}
