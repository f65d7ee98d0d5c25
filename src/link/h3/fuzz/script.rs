//! What a peer does in one connection, as a list of steps that bytes stand for.

use crate::fuzz::Input;
use crate::link::h3::fields::headers_frame;
use crate::link::h3::frame::put_frame;
use crate::link::h3::session::MAX_BUFFERED_BYTES;
use crate::link::h3::types::DATA;
use crate::link::h3::wire::VARINT_MAX;
use crate::link::h3::{ConnectRequest, Protocol, SessionMachine, close_bytes, drain_bytes, goaway_bytes};

/// More than all limits on streams.
const STREAMS: u8 = 32;
/// How many bytes a script sends at most: more than may be kept of it.
const MAX_SCRIPT_BYTES: usize = 2 * MAX_BUFFERED_BYTES;

/// One step. Streams have numbers within their kind.
#[derive(Debug)]
pub(super) enum Step {
    Uni {
        stream: u64,
        bytes: Vec<u8>,
        fin: bool,
    },
    Bidi {
        stream: u64,
        bytes: Vec<u8>,
        fin: bool,
    },
    UniReset {
        stream: u64,
    },
    BidiReset {
        stream: u64,
        code: u64,
    },
    /// STOP_SENDING on the CONNECT stream, whose end does not come.
    Stop {
        code: u64,
    },
    /// What our own side does next: a client asks for the session, a server accepts it.
    Proceed,
    /// A server rejects the request.
    Reject {
        status: u16,
    },
    /// A server asks for no more requests.
    Goaway,
}

/// Reads steps to the end of the input. The first byte of a step is its kind, with the end of a
/// stream in bit 3, so that steps keep their meaning when others come or go.
pub(super) fn steps(mut input: Input<'_>) -> Vec<Step> {
    let (mut steps, mut left) = (Vec::new(), MAX_SCRIPT_BYTES);
    while let Some(kind) = input.next() {
        let fin = kind & 8 != 0;
        let mut stream = || u64::from(input.byte() % STREAMS);
        steps.push(match kind & 7 {
            0 | 1 => Step::Bidi { stream: stream(), bytes: data(&mut input, &mut left), fin },
            2 | 3 => Step::Uni { stream: stream(), bytes: data(&mut input, &mut left), fin },
            4 => Step::UniReset { stream: stream() },
            5 if fin => Step::Stop { code: input.u64() & VARINT_MAX },
            5 => Step::BidiReset { stream: stream(), code: input.u64() & VARINT_MAX },
            6 if fin => Step::Reject { status: input.u16() },
            6 => Step::Proceed,
            _ => Step::Goaway,
        });
    }
    steps
}

/// The bytes that a step carries. The first one says in which form: up to 127 bytes as they are,
/// something that peers say, or one byte many times. `left` is what may still be sent.
fn data(input: &mut Input<'_>, left: &mut usize) -> Vec<u8> {
    let mut bytes = match input.byte() {
        length @ 0x00..=0x7f => input.take(length.into()).to_vec(),
        number @ 0x80..=0xbf => phrase(number & 0x3f),
        _ => vec![input.byte(); input.u16().into()],
    };
    bytes.truncate(*left);
    *left -= bytes.len();
    bytes
}

/// What peers that follow the rules say.
fn phrase(number: u8) -> Vec<u8> {
    let mut data = Vec::new();
    match number {
        0 => SessionMachine::server().control_preface(),
        1 => connect(Protocol::WebTransport),
        2 => connect(Protocol::WebTransportH3),
        3 => headers_frame([(":status", "200")]),
        4 => headers_frame([(":status", "103")]),
        5 => headers_frame([(":status", "403"), ("x", "y")]),
        6 => headers_frame([(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/")]),
        7 => close_bytes(1, "reason"),
        8 => drain_bytes(),
        9 => goaway_bytes(0),
        10 => goaway_bytes(8),
        // DATA and HEADERS whose payloads come later.
        11 => vec![DATA as u8, 0x50, 0x00],
        12 => vec![0x01, 0x80, 0x00, 0xff, 0xff],
        // CLOSE as a frame of its own, without its payload.
        13 => vec![0x68, 0x43, 0x44, 0x04],
        _ => {
            put_frame(&mut data, DATA, &vec![number; usize::from(number) * 100]);
            data
        }
    }
}

fn connect(protocol: Protocol) -> Vec<u8> {
    headers_frame(request().fields(protocol))
}

/// The request of a client.
pub(super) fn request() -> ConnectRequest {
    let headers = [("origin".to_owned(), "https://example.com".to_owned())];
    ConnectRequest::new("example.com", "/room", &headers).expect("a request that can be sent")
}
