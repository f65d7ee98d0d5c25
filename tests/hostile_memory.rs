//! What a flood of streams costs. Alone in its program, because it measures the memory of the process.

mod support;

use support::pair::*;
use support::raw_peer::*;

/// Resident bytes of this process.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4096
}

#[test]
fn four_hundred_filled_streams_of_every_kind_are_refused_in_bounded_memory() {
    let server = listen();
    let bystander = pair(&server);
    let raw = Raw::session(address(&server));
    let session = server.accept(soon()).expect("the raw client's session");
    let flood = |count: usize| {
        for index in 0..count {
            let head = match index % 4 {
                0 | 2 => [varint(0x54), varint(0)].concat(),
                1 => varint(GREASE + index as u64 * 0x1f),
                _ => [varint(0x41), varint(0)].concat(),
            };
            let fill = vec![0xee; 200_000];
            // Waits for credit, which comes back when a stream is refused; writing stops when it is.
            run(async {
                let mut send = if index % 4 == 3 {
                    raw.raw.quic.open_bi().await.expect("credit comes back").0
                } else {
                    raw.raw.quic.open_uni().await.expect("credit comes back")
                };
                send.write_all(&head).await.expect("the first bytes");
                assert!(send.write_all(&fill).await.is_err(), "the stream is refused");
            });
        }
    };
    flood(40);
    let before = resident_bytes();
    flood(400);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 8 * 1024 * 1024, "{grown} bytes more");
    eventually("all are counted", || session.link.stats().expect("established").peer_streams_refused == 440);
    raw.raw.datagram(b"\0still there");
    assert!(session.datagrams.receive(&mut [0; 64], soon()).is_ok());
    exchange(&bystander.0, &bystander.1);
    server.link.close();
}
