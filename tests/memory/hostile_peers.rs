//! The memory that a flood of streams or datagrams takes. In its own program, and one test at a
//! time, because it measures the memory of the process.

use parking_lot::{Mutex, MutexGuard};
use support::pair::*;
use support::raw_peer::*;
use wtgram::datagram::stats::Stats;
use wtgram::error::Error;
use wtgram::link::config::ListenOptions;

const MIB: usize = 1024 * 1024;

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock()
}

/// A figure of this process' memory, in bytes.
fn memory(figure: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix(figure)).expect("the figure");
    line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<usize>().expect("a number") * 1024
}

/// Resident bytes of this process.
fn resident_bytes() -> usize {
    memory("VmRSS")
}

/// The peak of the process' memory while `body` runs, above the memory before.
fn peak_growth(body: impl FnOnce()) -> usize {
    // Resets the peak to the present resident size.
    std::fs::write("/proc/self/clear_refs", "5").expect("/proc");
    let before = resident_bytes();
    body();
    memory("VmHWM").saturating_sub(before)
}

/// A raw client that sends the largest packets of the path with one tiny datagram each.
fn padding_client(server: &wtgram::datagram::session::Server) -> Raw {
    Raw::client_with(address(server), |transport| {
        transport.pad_to_mtu(true).datagram_send_buffer_size(40);
    })
}

/// Sends `count` datagrams of the least size that has a session id.
fn flood(raw: &Raw, count: usize) {
    for _ in 0..count {
        raw.datagram(b"\0");
    }
}

/// Whether every DATAGRAM frame that QUIC received is in one of the counters of arrivals.
fn adds_up(session: &wtgram::datagram::session::Session) -> bool {
    let frames = session.link.stats().expect("established").datagram_frames_received;
    let Stats { inbound, outside, .. } = session.datagrams.stats();
    let elsewhere = outside.routed.datagrams + outside.foreign.datagrams + outside.dropped_in_quic;
    inbound.is_balanced() && frames == inbound.received.datagrams + elsewhere
}

#[test]
fn a_flood_at_a_session_that_nobody_accepts_is_kept_within_the_limits_of_its_transport() {
    let _alone = alone();
    let server = listen();
    let bystander = pair(&server);
    let raw = padding_client(&server).ask("webtransport", OLD_SETTINGS);
    let grown = peak_growth(|| flood(&raw.raw, 20_000));
    assert!(grown < 16 * MIB, "{grown} bytes more");
    let session = server.accept(soon()).expect("the raw client's session");
    eventually("every frame is counted", || adds_up(&session));
    let inbound = session.datagrams.stats().inbound;
    assert_eq!(inbound.queued.datagrams, 4096, "what arrived before accept is kept within the limit");
    assert_eq!(inbound.dropped_full.datagrams, inbound.received.datagrams - 4096);
    for _ in 0..4096 {
        assert_eq!(session.datagrams.incoming.receive(&mut [0; 9], soon()).expect("kept").size, 0);
    }
    exchange(&bystander.0, &bystander.1);
    server.link.close();
}

#[test]
fn what_comes_before_connect_is_dropped_and_counted() {
    let _alone = alone();
    let handshake_timeout = std::time::Duration::from_secs(600);
    let server = listen_with(&ListenOptions { handshake_timeout, ..on_loopback() });
    let bystander = pair(&server);
    let raw = [padding_client(&server), padding_client(&server)];
    let grown = peak_growth(|| raw.iter().for_each(|raw| flood(raw, 20_000)));
    assert!(grown < 16 * MIB, "{grown} bytes more");
    exchange(&bystander.0, &bystander.1);
    for raw in raw {
        let raw = raw.ask("webtransport", OLD_SETTINGS);
        let session = server.accept(soon()).expect("the raw client's session");
        raw.raw.datagram(b"\0after");
        let mut buffer = [0; 64];
        let received = session.datagrams.incoming.receive(&mut buffer, soon()).expect("received");
        assert_eq!(&buffer[..received.size], b"after", "nothing from before comes first");
        eventually("every frame is counted", || adds_up(&session));
        assert!(session.datagrams.stats().outside.dropped_in_quic > 10_000);
    }
    server.link.close();
}

#[test]
fn what_comes_after_a_transport_is_closed_is_dropped_and_counted() {
    let _alone = alone();
    let server = listen();
    let bystander = pair(&server);
    let raw = padding_client(&server).ask("webtransport", OLD_SETTINGS);
    let session = server.accept(soon()).expect("the raw client's session");
    raw.raw.datagram(b"\0before");
    eventually("it is there", || session.datagrams.waiting().incoming.datagrams == 1);
    session.datagrams.close();
    eventually("it takes no more", || session.datagrams.incoming.has_ended());
    let grown = peak_growth(|| flood(&raw.raw, 20_000));
    assert!(grown < 16 * MIB, "{grown} bytes more");
    assert!(!session.link.is_closed());
    let mut buffer = [0; 64];
    let received =
        session.datagrams.incoming.receive(&mut buffer, soon()).expect("what arrived before the end");
    assert_eq!(&buffer[..received.size], b"before");
    assert_eq!(session.datagrams.incoming.receive(&mut buffer, soon()).err(), Some(Error::Closed));
    eventually("every frame is counted", || adds_up(&session));
    let stats = session.datagrams.stats();
    assert_eq!(stats.inbound.received.datagrams, 1);
    assert!(stats.outside.dropped_in_quic > 10_000);
    exchange(&bystander.0, &bystander.1);
    server.link.close();
}

#[test]
fn four_hundred_filled_streams_of_every_kind_are_refused_in_bounded_memory() {
    let _alone = alone();
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
    assert!(grown < 8 * MIB, "{grown} bytes more");
    eventually("all are counted", || session.link.stats().expect("established").peer_streams_refused == 440);
    raw.raw.datagram(b"\0still there");
    assert!(session.datagrams.incoming.receive(&mut [0; 64], soon()).is_ok());
    exchange(&bystander.0, &bystander.1);
    server.link.close();
}
