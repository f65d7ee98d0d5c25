//! Any range acknowledgements, one after the other, settle only what was transmitted, and each message once.
#![no_main]

use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wtgram::reliability::ack::RangeAck;
use wtgram::reliability::frame::Tag;
use wtgram::reliability::negotiation::Form;
use wtgram::reliability::outstanding::Message;
use wtgram::reliability::sender::{Sender, SenderConfig};

const BOUND: Form = Form::Bound(Tag(1));

fuzz_target!(|input: (u32, Vec<(u8, u8, Vec<u8>)>)| {
    let (first_sequence, acks) = input;
    let start = Instant::now();
    let config = SenderConfig {
        ack_timeout: Duration::from_secs(2),
        max_retries: 5,
        window_messages: 64,
        window_bytes: 4096,
        first_sequence,
    };
    let mut sender = Sender::new(start, config);
    let (mut accepted, mut settled) = (0_u64, Vec::new());
    for (step, (passed_ms, flags, body)) in acks.iter().enumerate() {
        let now = start + Duration::from_millis(step as u64 * 10 + u64::from(*passed_ms));
        while sender.can_submit(3) {
            let message = Message::new(now, accepted + 1, Bytes::from_static(b"abc"));
            sender.submit(message).expect("there is room");
            accepted += 1;
        }
        sender.advance(now, BOUND);
        while sender.poll(now, 1200, BOUND).is_some() {}
        if let Some(ack) = RangeAck::decode(*flags, body) {
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
});
