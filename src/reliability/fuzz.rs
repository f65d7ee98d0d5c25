//! Fuzz targets: frames, acknowledgements, and machines between which anything arrives.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::ack::RangeAck;
use super::frame::{self, Frame, Hello, Tag};
use super::negotiation::Form;
use super::outstanding::Message;
use super::sender::{Sender, SenderConfig};
use super::{Machine, Options};
use crate::fuzz::Input;

/// Any datagram: what is taken for a frame is written the same way again.
pub fn reliability_frame(bytes: &[u8]) {
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
        (
            Frame::BoundAck { flags, body, .. },
            Frame::BoundAck { flags: other_flags, body: other_body, .. },
        ) => {
            assert_eq!(RangeAck::decode(*flags, body), RangeAck::decode(*other_flags, other_body));
        }
        _ => assert_eq!(parsed, parsed_again),
    }
}

/// Any range acknowledgements, one after the other, settle only what was transmitted, and each
/// message once.
pub fn reliability_ack(bytes: &[u8]) {
    const BOUND: Form = Form::Bound(Tag(1));
    let mut input = Input::new(bytes);
    let start = Instant::now();
    let config = SenderConfig {
        ack_timeout: Duration::from_secs(2),
        max_retries: 5,
        window_messages: 64,
        window_bytes: 4096,
        first_sequence: input.u32(),
    };
    let mut sender = Sender::new(start, config);
    let (mut accepted, mut settled, mut step) = (0_u64, Vec::new(), 0);
    while let Some(passed_ms) = input.next() {
        let (flags, body) = (input.byte(), input.sized());
        let now = start + Duration::from_millis(step * 10 + u64::from(passed_ms));
        step += 1;
        while sender.can_submit(3) {
            let message = Message::new(now, accepted + 1, Bytes::from_static(b"abc"));
            sender.submit(message).expect("there is room");
            accepted += 1;
        }
        sender.advance(now, BOUND);
        while sender.poll(now, 1200, BOUND).is_some() {}
        if let Some(ack) = RangeAck::decode(flags, body) {
            assert!(ack.ranges.iter().all(|(first, last)| last.wrapping_sub(*first) < 1 << 31));
            sender.on_range_ack(now, &ack);
        } else if let Some(sequence) = body.first_chunk() {
            sender.on_plain_ack(now, u32::from_be_bytes(*sequence));
        }
        settled.extend(std::iter::from_fn(|| sender.next_outcome()).map(|report| report.id));
    }
    sender.close(start + Duration::from_secs(3600));
    settled.extend(std::iter::from_fn(|| sender.next_outcome()).map(|report| report.id));
    settled.sort_unstable();
    assert!(settled.iter().copied().eq(1..=accepted), "each has exactly one outcome");
}

/// A machine that takes any datagrams between real ones stays bounded, and gives each of its
/// messages one outcome.
pub fn reliability_negotiation(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let start = Instant::now();
    let options = Options { epoch: 7, inbound_messages: 16, window_messages: 16, ..Options::default() };
    let mut machine = Machine::new(start, options);
    let (mut now, mut accepted, mut settled) = (start, 0, 0);
    while let Some(passed_ms) = input.next() {
        now += Duration::from_millis(passed_ms.into());
        // What an attacker says: a HELLO, or raw bytes.
        let datagram = match input.byte() {
            kind @ 0..=1 => {
                let (generation, epoch) = (input.u32(), input.u64());
                frame::hello_frame(Hello { generation, epoch, peer_epoch: if kind == 1 { 7 } else { 0 } })
            }
            length => Bytes::copy_from_slice(input.take(length.into())),
        };
        machine.on_frame(now, &datagram);
        let message = Message::new(now, accepted + 1, Bytes::from_static(b"abc"));
        if machine.can_submit(3) && machine.submit(message, 1200).is_ok() {
            accepted += 1;
        }
        machine.on_timeout(now);
        let mut frames = 0;
        while machine.poll_transmit(now, 1200).is_some() {
            frames += 1;
            assert!(frames < 10_000, "it never stops talking");
        }
        assert!(machine.stats().inbound <= 16 && machine.stats().unresolved <= 16);
        settled += std::iter::from_fn(|| machine.next_outcome()).count() as u64;
    }
    machine.close(now);
    settled += std::iter::from_fn(|| machine.next_outcome()).count() as u64;
    assert_eq!(settled, accepted);
}
