//! How a session is asked to end soon, as the bytes that the other side gets.

use support::pair::*;
use support::raw_peer::*;
use wtgram::datagram::session::Session;
use wtgram::link::session::{ClosedBy, Phase};

const H3_REQUEST_REJECTED: u64 = 0x10b;

/// Reads our control stream up to its first frame of this kind; returns its payload.
fn control_frame(raw: &Raw, kind: u64) -> Vec<u8> {
    let mut control = raw.accept_uni();
    assert_eq!(read_varint(&mut control), 0, "a control stream");
    loop {
        let (found, payload) = read_frame(&mut control).expect("a frame");
        if found == kind {
            return payload;
        }
    }
}

fn works(raw: &RawSession, session: &Session) {
    raw.raw.datagram(b"\0in");
    assert_eq!(receive(&session.datagrams), b"in");
    session.datagrams.outgoing.send(b"out", &Default::default(), soon()).expect("sent");
    assert_eq!(raw.raw.read_datagram(), b"\0out");
}

#[test]
fn a_server_says_so_once_with_a_capsule_and_a_goaway_and_the_session_goes_on() {
    let server = listen();
    let mut raw = Raw::session(address(&server));
    let session = server.accept(soon()).expect("the raw client's session");
    session.link.drain().expect("established");
    session.link.drain().expect("established");
    assert_eq!(control_frame(&raw.raw, GOAWAY), [4], "the first request that the client has not made");
    assert_eq!(session.link.phase(), Phase::Connected, "the client has not asked for anything");
    works(&raw, &session);
    let (_send, mut receive) = raw.raw.open_bi(connect_request("webtransport", "localhost"));
    assert_eq!(reset_code(&mut receive), Some(H3_REQUEST_REJECTED));
    works(&raw, &session);
    session.link.close(7, "now").expect("a good reason");
    let words = [frame(DRAIN_CAPSULE, b""), close_capsule(7, b"now")].concat();
    assert_eq!(raw.read_data_to_end(), Ok(words));
    server.link.close();
}

#[test]
fn a_client_says_so_with_a_capsule_only() {
    let server = RawServer::new();
    let (url, options) = (server.url(), trusting_hash(server.hash()));
    let client = std::thread::spawn(move || connect(&url, &options));
    let mut raw = server.serve(OLD_SETTINGS, &response(200));
    let session = client.join().expect("no panic").expect("a session");
    session.link.drain().expect("established");
    works(&raw, &session);
    session.link.close(8, "").expect("a good reason");
    let words = [frame(DRAIN_CAPSULE, b""), close_capsule(8, b"")].concat();
    assert_eq!(raw.read_data_to_end(), Ok(words));
}

#[test]
fn a_server_that_goes_away_while_it_answers_still_gives_a_session_which_drains() {
    let server = RawServer::new();
    let (url, options) = (server.url(), trusting_hash(server.hash()));
    let client = std::thread::spawn(move || connect(&url, &options));
    let mut raw = server.serve(OLD_SETTINGS, b"");
    write(&mut raw.control, &frame(GOAWAY, &[4]));
    // The client acknowledges the GOAWAY, so it has it when the answer comes.
    let before = raw.raw.quic.stats().frame_rx.acks;
    eventually("it was acknowledged", || raw.raw.quic.stats().frame_rx.acks > before);
    raw.write(&response(200));
    let session = client.join().expect("no panic").expect("a session");
    eventually("the client knows", || session.link.phase() == Phase::Draining);
    works(&raw, &session);
    raw.write(&frame(DATA, &close_capsule(1, b"")));
    raw.finish();
    assert_eq!(wait_closed(&session).by, ClosedBy::Peer);
}

#[test]
fn a_client_that_wants_to_end_soon_from_the_start_gives_a_session_which_drains() {
    let server = listen();
    let raw = Raw::client(address(&server));
    let control = raw.open_uni([control(OLD_SETTINGS), frame(GOAWAY, &[0])].concat());
    let request = [connect_request("webtransport", "localhost"), frame(DATA, &frame(DRAIN_CAPSULE, b""))];
    let (send, receive) = raw.open_bi(request.concat());
    let mut raw = RawSession { raw, control, send, receive };
    assert_eq!(raw.read_status(), 200);
    let session = server.accept(soon()).expect("the raw client's session");
    eventually("the server knows", || session.link.phase() == Phase::Draining);
    works(&raw, &session);
    server.link.close();
}
