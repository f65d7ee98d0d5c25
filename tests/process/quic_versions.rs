//! How both sides treat QUIC versions that they do not know, and peers that update their keys.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use support::pair::{address, connect, eventually, listen, soon, trusting_hash};
use support::raw_peer::{OLD_SETTINGS, PATIENCE, Raw, RawServer, RawSession, response};
use tracing::level_filters::LevelFilter;
use wtgram::datagram::session::Session;
use wtgram::error::Error;
use wtgram::runtime::log;

/// The only QUIC version here (RFC 9000), and one that is reserved to test version negotiation.
const VERSION_1: u32 = 1;
const RESERVED: u32 = 0x1a2a_3a4a;

fn udp() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a UDP socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// The two connection ids of a packet with a long header (RFC 8999 section 5.1).
fn ids(packet: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (length, rest) = packet[5..].split_first().expect("a length");
    let (destination, rest) = rest.split_at(usize::from(*length));
    let (length, rest) = rest.split_first().expect("a length");
    (destination.to_vec(), rest[..usize::from(*length)].to_vec())
}

/// The beginning of a packet with a long header, up to its ids.
fn long_header(version: u32, destination: &[u8], source: &[u8]) -> Vec<u8> {
    let mut packet = vec![0xc0];
    packet.extend(version.to_be_bytes());
    for id in [destination, source] {
        packet.push(id.len() as u8);
        packet.extend(id);
    }
    packet
}

#[test]
fn a_server_tells_who_speaks_another_version_which_ones_it_knows_and_wastes_nothing_on_short_packets() {
    let server = listen();
    let client = udp();
    let ask = |destination: &[u8], length: usize| {
        let mut packet = long_header(RESERVED, destination, b"client");
        packet.resize(length, 0);
        client.send_to(&packet, address(&server)).expect("sent");
    };
    // RFC 9000 section 6.1: an answer must not be larger than the packet that it answers.
    ask(b"too short", 1199);
    ask(b"just right", 1200);
    let mut buffer = [0; 2048];
    let (length, from) = client.recv_from(&mut buffer).expect("an answer");
    let answer = &buffer[..length];
    assert_eq!(from, address(&server));
    assert_eq!(answer[0] & 0x80, 0x80);
    assert_eq!(answer[1..5], [0; 4], "the version of Version Negotiation");
    assert_eq!(ids(answer), (b"client".to_vec(), b"just right".to_vec()));
    let versions: Vec<_> = answer[5 + 2 + 16..]
        .chunks_exact(4)
        .map(|version| u32::from_be_bytes(version.try_into().expect("4 bytes")))
        .collect();
    assert!(versions.contains(&VERSION_1), "{versions:x?}");
    assert!(!versions.contains(&RESERVED), "{versions:x?}");
    server.link.close();
}

#[test]
fn a_client_says_clearly_that_it_shares_no_version_with_the_server() {
    let server = udp();
    let address = server.local_addr().expect("bound");
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        let (length, client) = server.recv_from(&mut buffer).expect("a first packet");
        assert_eq!(buffer[1..5], VERSION_1.to_be_bytes());
        let (destination, source) = ids(&buffer[..length]);
        let mut answer = long_header(0, &source, &destination);
        answer.extend([RESERVED, 0x6b33_43cf].iter().flat_map(|version| version.to_be_bytes()));
        server.send_to(&answer, client).expect("sent");
    });
    let error = connect(&format!("https://{address}/"), &trusting_hash([0; 32])).err().expect("no session");
    thread.join().expect("no panic");
    let words = format!("{address}: peer doesn't implement any supported version");
    assert!(matches!(&error, Error::Protocol(said) if *said == words), "{error:?}");
}

/// Sends datagrams both ways while the raw peer updates its keys, until our end has followed five
/// times.
fn changes_keys(ours: &Session, raw: &RawSession, followed: &AtomicU64) {
    for _ in 0..5 {
        let before = followed.load(Ordering::SeqCst);
        let mut number = 0_u32;
        eventually("ours has followed", || {
            raw.raw.quic.force_key_update();
            number += 1;
            let payload = number.to_be_bytes();
            ours.datagrams.outgoing.send(&payload, &Default::default(), soon()).expect("sent");
            assert_eq!(raw.raw.read_datagram()[1..], payload);
            raw.raw.datagram(&[&[0], &payload[..]].concat());
            let mut buffer = [0; 100];
            let arrived = ours.datagrams.incoming.receive(&mut buffer, soon()).expect("received");
            assert_eq!(buffer[..arrived.size], payload);
            followed.load(Ordering::SeqCst) > before
        });
    }
    assert!(!ours.link.is_closed() && raw.raw.is_open());
}

#[test]
fn keys_change_under_traffic_without_a_trace_whoever_asks_for_it() {
    let followed = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&followed);
    let count = move |_, target: &str, line: &str| {
        // QUIC's message when the other side has begun to use new keys.
        if target.starts_with("quinn_proto") && line.contains("key update authenticated") {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    };
    log::configure(LevelFilter::TRACE, Some(Arc::new(count))).expect("the only one");
    let server = listen();
    let raw = Raw::session(address(&server));
    changes_keys(&server.accept(soon()).expect("a session"), &raw, &followed);
    server.link.close();

    let server = RawServer::new();
    let (url, options) = (server.url(), trusting_hash(server.hash()));
    let connecting = std::thread::spawn(move || connect(&url, &options).expect("a session"));
    let raw = server.serve(OLD_SETTINGS, &response(200));
    changes_keys(&connecting.join().expect("no panic"), &raw, &followed);
    log::configure(LevelFilter::OFF, None).expect("off");
}
