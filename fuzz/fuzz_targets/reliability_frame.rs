//! Any datagram: what is taken for a frame is written the same way again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wtgram::reliability::ack::RangeAck;
use wtgram::reliability::frame::{self, Frame};

fuzz_target!(|bytes: &[u8]| {
    let datagram = Bytes::copy_from_slice(bytes);
    let Ok(parsed) = Frame::parse(&datagram) else { return };
    let again = match &parsed {
        Frame::Data { sequence, payload } => frame::data(*sequence, payload),
        Frame::Ack { sequence } => frame::ack(*sequence),
        Frame::Hello(hello) => frame::hello_frame(*hello),
        Frame::BoundData { tag, transmission, sequence, payload } => {
            frame::bound_data(*tag, *transmission, *sequence, payload)
        }
        Frame::BoundAck { tag, flags, body } => match RangeAck::decode(*flags, body) {
            Some(ack) => frame::bound_ack(*tag, &ack, usize::MAX),
            None => return,
        },
    };
    // Not byte for byte: leading zeroes and longer forms of integers are understood as well.
    let parsed_again = Frame::parse(&again).expect("what we write we understand");
    match (&parsed, &parsed_again) {
        (Frame::BoundAck { flags, body, .. }, Frame::BoundAck { flags: other_flags, body: other_body, .. }) => {
            assert_eq!(RangeAck::decode(*flags, body), RangeAck::decode(*other_flags, other_body));
        }
        _ => assert_eq!(parsed, parsed_again),
    }
});
