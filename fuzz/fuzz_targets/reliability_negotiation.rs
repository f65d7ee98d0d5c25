//! A machine that takes any datagrams between real ones stays bounded, and gives each of its messages one outcome.
#![no_main]

use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wtgram::reliability::frame::{self, Hello};
use wtgram::reliability::outstanding::Message;
use wtgram::reliability::{Machine, Options};

/// What an attacker says: a HELLO, or raw bytes.
type Said = (u8, Result<(u32, u64, bool), Vec<u8>>);

fuzz_target!(|said: Vec<Said>| {
    let start = Instant::now();
    let options = Options { epoch: 7, inbound_messages: 16, window_messages: 16, ..Options::default() };
    let mut machine = Machine::new(start, options);
    let (mut now, mut accepted, mut settled) = (start, 0, 0);
    for (passed_ms, said) in said {
        now += Duration::from_millis(u64::from(passed_ms));
        let datagram = match said {
            Ok((generation, epoch, knows_us)) => {
                frame::hello_frame(Hello { generation, epoch, peer_epoch: if knows_us { 7 } else { 0 } })
            }
            Err(bytes) => Bytes::from(bytes),
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
});
