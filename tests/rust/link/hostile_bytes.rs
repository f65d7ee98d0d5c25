//! Unusual and invalid bytes from peers. They get the right HTTP/3 error, or are ignored.

use std::thread::JoinHandle;

use support::pair::*;
use support::raw_peer::*;
use wtgram::datagram::session::{Server, Session};
use wtgram::error::{Error, Result};
use wtgram::link::session::{ClosedBy, Phase};
use wtransport::quinn::VarInt;

const H3_DATAGRAM_ERROR: u64 = 0x33;
const H3_STREAM_CREATION_ERROR: u64 = 0x103;
const H3_CLOSED_CRITICAL_STREAM: u64 = 0x104;
const H3_FRAME_UNEXPECTED: u64 = 0x105;
const H3_EXCESSIVE_LOAD: u64 = 0x107;
const H3_ID_ERROR: u64 = 0x108;
const H3_SETTINGS_ERROR: u64 = 0x109;
const H3_MISSING_SETTINGS: u64 = 0x10a;
const H3_REQUEST_INCOMPLETE: u64 = 0x10d;
const H3_MESSAGE_ERROR: u64 = 0x10e;
const WT_BUFFERED_STREAM_REJECTED: u64 = 0x3994_bd84;
const WT_REQUIREMENTS_NOT_MET: u64 = 0x212c_0d48;

/// A session between a raw client and a server of ours.
fn raw_session(server: &Server) -> (RawSession, Session) {
    let raw = Raw::session(address(server));
    (raw, server.accept(soon()).expect("the raw client's session"))
}

fn works(raw: &RawSession, session: &Session) {
    let id = u64::from(raw.send.id());
    raw.raw.datagram(&[&varint(id / 4)[..], b"to us"].concat());
    let mut buffer = [0; 64];
    let received = session.datagrams.incoming.receive(&mut buffer, soon()).expect("received");
    assert_eq!(&buffer[..received.size], b"to us");
    session.datagrams.outgoing.send(b"to the peer", &Default::default(), soon()).expect("sent");
    assert_eq!(raw.raw.read_datagram(), [&varint(id / 4)[..], b"to the peer"].concat());
}

/// Begins to connect to a raw server.
fn connecting(server: &RawServer) -> JoinHandle<Result<Session>> {
    let (url, options) = (server.url(), trusting_hash(server.hash()));
    std::thread::spawn(move || connect(&url, &options))
}

fn grease_settings(pairs: &[(u64, u64)]) -> Vec<(u64, u64)> {
    [&[(GREASE, 7)], pairs, &[(GREASE + 0x1f, 0), (0x3fff_ffff, 9)]].concat()
}

/// Unknown frames and capsules, in DATA frames that split them in the middle.
fn grease_on_connect() -> Vec<u8> {
    let capsules =
        [frame(GREASE, &[1; 300]), frame(0x00, b"a datagram capsule"), frame(GREASE, b"")].concat();
    let (head, tail) = capsules.split_at(150);
    [
        frame(GREASE, b"frame"),
        frame(DATA, head),
        frame(GREASE + 0x1f, b""),
        frame(DATA, b""),
        frame(DATA, tail),
    ]
    .concat()
}

#[test]
fn grease_from_a_client_changes_nothing_wherever_it_stands() {
    let server = listen();
    let raw = Raw::client(address(&server));
    let stream = raw.open_uni([varint(GREASE), vec![0xaa; 100]].concat());
    assert_eq!(stopped(&stream), Some(H3_STREAM_CREATION_ERROR));
    let control = raw.open_uni(
        [control(&grease_settings(OLD_SETTINGS)), frame(GREASE, &[0; 1000]), frame(GREASE + 0x1f, b"")]
            .concat(),
    );
    let request = [frame(GREASE, b"before"), connect_request("webtransport", "localhost")].concat();
    let (send, receive) = raw.open_bi(request);
    let mut raw = RawSession { raw, control, send, receive };
    assert_eq!(raw.read_status(), 200);
    let session = server.accept(soon()).expect("the session");
    raw.write(&grease_on_connect());
    write(&mut raw.control, &frame(GREASE, b"later"));
    let (mut request, mut reply) = raw.raw.open_bi(frame(GREASE, b"and no request"));
    request.finish().expect("open");
    assert_eq!(reset_code(&mut reply), Some(H3_REQUEST_INCOMPLETE));
    works(&raw, &session);
    server.link.close();
}

#[test]
fn grease_from_a_server_changes_nothing_wherever_it_stands() {
    let server = RawServer::new();
    let client = connecting(&server);
    let answer = [frame(GREASE, b"before"), response(200), grease_on_connect()].concat();
    let mut raw = server.serve(&grease_settings(OLD_SETTINGS), &answer);
    write(&mut raw.control, &frame(GREASE, &[0; 500]));
    let stream = raw.raw.open_uni([varint(GREASE), vec![0xaa; 100]].concat());
    assert_eq!(stopped(&stream), Some(H3_STREAM_CREATION_ERROR));
    let session = client.join().expect("no panic").expect("a session");
    works(&raw, &session);
}

#[test]
fn a_client_of_either_generation_gets_its_session() {
    let server = listen();
    for (protocol, settings) in [("webtransport", OLD_SETTINGS), ("webtransport-h3", NEW_SETTINGS)] {
        let raw = Raw::client(address(&server)).ask(protocol, settings);
        let session = server.accept(soon()).expect("the session");
        assert_eq!(session.link.established().expect("established").request.path, "/raw");
        works(&raw, &session);
    }
    server.link.close();
}

#[test]
fn a_server_of_either_generation_gets_the_protocol_it_knows() {
    for (protocol, settings) in [("webtransport", OLD_SETTINGS), ("webtransport-h3", NEW_SETTINGS)] {
        let server = RawServer::new();
        let client = connecting(&server);
        let raw = server.accept();
        let control = raw.open_uni(control(settings));
        let (send, mut receive) = raw.accept_bi();
        let (kind, block) = read_frame(&mut receive).expect("a request");
        let fields = wtransport::proto::qpack::Decoder::decode(&block).expect("a header block");
        assert_eq!((kind, fields[":protocol"].as_str()), (HEADERS, protocol));
        assert_eq!((fields[":method"].as_str(), fields[":path"].as_str()), ("CONNECT", "/raw"));
        let mut raw = RawSession { raw, control, send, receive };
        raw.write(&response(200));
        works(&raw, &client.join().expect("no panic").expect("a session"));
    }
}

#[test]
fn a_server_that_cannot_carry_a_session_is_left_with_the_reason() {
    let unsupported: &[&[(u64, u64)]] =
        &[&[(0x08, 1), (0x2b60_3742, 1)], &[(0x08, 1), (0x33, 0), (0x2b60_3742, 1)]];
    let protocol: &[&[(u64, u64)]] = &[&[(0x33, 1)], &[(0x33, 1), (0x2c7c_f000, 1)]];
    for settings in unsupported.iter().chain(protocol) {
        let server = RawServer::new();
        let client = connecting(&server);
        let raw = server.accept();
        let _control = raw.open_uni(control(settings));
        let error = client.join().expect("no panic").err().expect("no session");
        match error {
            Error::Unsupported => assert!(unsupported.contains(settings)),
            Error::Protocol(text) => {
                assert!(protocol.contains(settings), "{text}");
                assert!(text.contains("WebTransport") || text.contains("extended CONNECT"), "{text}");
            }
            other => panic!("{other}"),
        }
        assert_eq!(raw.closed(), Some(WT_REQUIREMENTS_NOT_MET));
    }
}

#[test]
fn a_client_without_http_datagrams_is_answered_with_400() {
    let server = listen();
    let raw = Raw::client(address(&server));
    let control = raw.open_uni(control(&[(0x08, 1), (0x2b60_3742, 1)]));
    let (send, receive) = raw.open_bi(connect_request("webtransport", "localhost"));
    assert_eq!(RawSession { raw, control, send, receive }.read_status(), 400);
    assert_eq!(server.accept(within(std::time::Duration::from_millis(100))).err(), Some(Error::TimedOut));
    server.link.close();
}

#[test]
fn a_rejection_is_reported_with_its_status_even_when_the_server_leaves_at_once() {
    for status in [404, 403, 500, 302] {
        let server = RawServer::new();
        let client = connecting(&server);
        let mut raw = server.serve(OLD_SETTINGS, &response(status));
        raw.finish();
        assert_eq!(stopped(&raw.send), None, "the answer is acknowledged");
        raw.raw.close(0x100);
        assert_eq!(
            client.join().expect("no panic").err(),
            Some(Error::Rejected { status, retry_after: None })
        );
    }
}

#[test]
fn informational_responses_are_waited_out() {
    let server = RawServer::new();
    let client = connecting(&server);
    let raw = server.serve(OLD_SETTINGS, &[response(103), response(100), response(200)].concat());
    works(&raw, &client.join().expect("no panic").expect("a session"));
}

#[test]
fn datagrams_that_overtake_the_answer_to_connect_are_kept_up_to_a_bound() {
    let server = RawServer::new();
    let client = connecting(&server);
    let raw = server.accept();
    let control = raw.open_uni(control(OLD_SETTINGS));
    let (send, mut receive) = raw.accept_bi();
    assert_eq!(read_frame(&mut receive).expect("a request").0, HEADERS);
    for number in 0..200 {
        raw.datagram(&[0, number]);
    }
    let mut raw = RawSession { raw, control, send, receive };
    raw.write(&response(200));
    let session = client.join().expect("no panic").expect("a session");
    let mut buffer = [0; 8];
    for number in 0..64 {
        assert_eq!(session.datagrams.incoming.receive(&mut buffer, soon()).expect("kept").size, 1);
        assert_eq!(buffer[0], number);
    }
    eventually("the others are counted", || {
        let stats = session.datagrams.stats();
        stats.inbound.received.datagrams + stats.outside.dropped_in_quic == 200
    });
}

#[test]
fn a_close_capsule_may_be_split_anywhere() {
    let server = listen();
    let capsule = close_capsule(0xdead_beef, "tschüß".as_bytes());
    let splits = (1..capsule.len()).map(|at| {
        let (head, tail) = capsule.split_at(at);
        [frame(DATA, head), frame(GREASE, b""), frame(DATA, tail)].concat()
    });
    let single: Vec<u8> = capsule.iter().flat_map(|byte| frame(DATA, &[*byte])).collect();
    for bytes in splits.chain([single]) {
        let (mut raw, session) = raw_session(&server);
        // Each byte in its own packet, most likely.
        for byte in bytes {
            raw.write(&[byte]);
        }
        raw.finish();
        let info = wait_closed(&session);
        assert_eq!((info.by, info.code, info.reason.as_str()), (ClosedBy::Peer, 0xdead_beef, "tschüß"));
        assert_eq!(raw.read_data_to_end(), Ok(vec![]), "our side of the stream ends in order");
    }
    server.link.close();
}

#[test]
fn capsules_that_break_the_rules_reset_the_stream_and_end_the_session() {
    let server = listen();
    let bystander = pair(&server);
    let cases: [(&str, Vec<u8>); 6] = [
        ("a reason of 1025 bytes", frame(DATA, &close_capsule(1, &[b'x'; 1025]))),
        ("a reason of 2^61 bytes", frame(DATA, &[varint(CLOSE_CAPSULE), varint(1 << 61)].concat())),
        ("no code", frame(DATA, &frame(CLOSE_CAPSULE, &[0; 3]))),
        ("not UTF-8", frame(DATA, &close_capsule(1, b"\xff"))),
        ("a DRAIN with content", frame(DATA, &frame(DRAIN_CAPSULE, b"x"))),
        ("the peer's own flow control for HTTP/2", frame(DATA, &frame(0x190b_4d3e, b""))),
    ];
    for (what, bytes) in cases {
        let (mut raw, session) = raw_session(&server);
        raw.write(&bytes);
        let info = wait_closed(&session);
        assert_eq!((info.by, info.transport_error), (ClosedBy::Transport, H3_MESSAGE_ERROR), "{what}");
        assert!(!info.reason.is_empty(), "{what}");
        assert_eq!(raw.read_data_to_end(), Err(H3_MESSAGE_ERROR), "{what}");
    }
    exchange(&bystander.0, &bystander.1);
    server.link.close();
}

#[test]
fn data_after_a_close_capsule_changes_nothing_but_the_stream() {
    let server = listen();
    let (mut raw, session) = raw_session(&server);
    raw.write(&frame(DATA, &[close_capsule(3, b"three"), frame(GREASE, b"more")].concat()));
    let info = wait_closed(&session);
    assert_eq!((info.by, info.code, info.reason.as_str()), (ClosedBy::Peer, 3, "three"));
    assert_eq!(stopped(&raw.send), Some(H3_MESSAGE_ERROR));
    server.link.close();
}

#[test]
fn what_breaks_the_connection_gets_the_code_of_the_rfc_and_other_sessions_go_on() {
    type Deed = fn(&mut RawSession) -> Vec<wtransport::quinn::SendStream>;
    let cases: [(&str, u64, Deed); 15] = [
        ("HEADERS on the CONNECT stream (`01 00`)", H3_FRAME_UNEXPECTED, |raw| {
            raw.write(&[0x01, 0x00]);
            vec![]
        }),
        ("SETTINGS on the CONNECT stream", H3_FRAME_UNEXPECTED, |raw| {
            raw.write(&settings(&[]));
            vec![]
        }),
        ("an HTTP/2 frame on the CONNECT stream", H3_FRAME_UNEXPECTED, |raw| {
            raw.write(&frame(0x02, b""));
            vec![]
        }),
        ("a second control stream", H3_STREAM_CREATION_ERROR, |raw| vec![raw.raw.open_uni(varint(0))]),
        ("a second QPACK encoder stream", H3_STREAM_CREATION_ERROR, |raw| {
            vec![raw.raw.open_uni(varint(2)), raw.raw.open_uni(varint(2))]
        }),
        ("a push stream of a client", H3_STREAM_CREATION_ERROR, |raw| vec![raw.raw.open_uni(varint(1))]),
        ("a finished control stream", H3_CLOSED_CRITICAL_STREAM, |raw| {
            raw.control.finish().expect("open");
            vec![]
        }),
        ("a reset control stream", H3_CLOSED_CRITICAL_STREAM, |raw| {
            raw.control.reset(VarInt::from_u32(0x10c)).expect("open");
            vec![]
        }),
        ("a finished QPACK stream", H3_CLOSED_CRITICAL_STREAM, |raw| {
            let mut stream = raw.raw.open_uni(varint(3));
            stream.finish().expect("open");
            vec![stream]
        }),
        ("a second SETTINGS", H3_FRAME_UNEXPECTED, |raw| {
            write(&mut raw.control, &settings(&[(0x33, 1)]));
            vec![]
        }),
        ("DATA on the control stream", H3_FRAME_UNEXPECTED, |raw| {
            write(&mut raw.control, &frame(DATA, b"x"));
            vec![]
        }),
        ("GOAWAY going up", H3_ID_ERROR, |raw| {
            write(&mut raw.control, &[frame(GOAWAY, &[4]), frame(GOAWAY, &[8])].concat());
            vec![]
        }),
        ("a stream of an impossible session", H3_ID_ERROR, |raw| {
            vec![raw.raw.open_uni([varint(0x54), varint(1)].concat())]
        }),
        ("an insertion into the dynamic table we do not have", 0x201, |raw| {
            vec![raw.raw.open_uni([varint(2), vec![0x40 | 1, b'a', 1, b'b']].concat())]
        }),
        ("an empty datagram", H3_DATAGRAM_ERROR, |raw| {
            raw.raw.datagram(b"");
            vec![]
        }),
    ];
    let server = listen();
    let bystander = pair(&server);
    for (what, code, deed) in cases {
        let (mut raw, session) = raw_session(&server);
        let _kept = deed(&mut raw);
        assert_eq!(raw.raw.closed(), Some(code), "{what}");
        let info = wait_closed(&session);
        assert_eq!((info.by, info.transport_error), (ClosedBy::Transport, code), "{what}: {info:?}");
        assert!(!info.reason.is_empty(), "{what}");
        exchange(&bystander.0, &bystander.1);
    }
    server.link.close();
}

#[test]
fn settings_that_break_the_rules_end_the_connection_before_there_is_a_session() {
    let server = listen();
    let cases: [(&str, u64, Vec<u8>); 5] = [
        ("GOAWAY before SETTINGS", H3_MISSING_SETTINGS, [varint(0), frame(GOAWAY, &[0])].concat()),
        ("GREASE before SETTINGS", H3_MISSING_SETTINGS, [varint(0), frame(GREASE, b"x")].concat()),
        ("a setting twice", H3_SETTINGS_ERROR, control(&[(0x33, 1), (0x33, 1)])),
        ("a setting of HTTP/2", H3_SETTINGS_ERROR, control(&[(0x04, 1)])),
        ("H3_DATAGRAM of 2", H3_SETTINGS_ERROR, control(&[(0x33, 2)])),
    ];
    for (what, code, bytes) in &cases {
        let raw = Raw::client(address(&server));
        let _control = raw.open_uni(bytes.clone());
        assert_eq!(raw.closed(), Some(*code), "{what}");
        // The same in the other direction.
        let server = RawServer::new();
        let client = connecting(&server);
        let raw = server.accept();
        let _control = raw.open_uni(bytes.clone());
        assert_eq!(raw.closed(), Some(*code), "{what}");
        assert!(
            matches!(client.join().expect("no panic"), Err(Error::Protocol(text)) if !text.is_empty()),
            "{what}"
        );
    }
    server.link.close();
}

#[test]
fn a_server_that_breaks_the_rules_of_servers_gets_the_code_of_the_rfc() {
    type Deed = fn(&mut RawSession) -> Vec<wtransport::quinn::SendStream>;
    let cases: [(&str, u64, Deed); 4] = [
        ("a push that was not allowed", H3_ID_ERROR, |raw| vec![raw.raw.open_uni(varint(1))]),
        ("MAX_PUSH_ID of a server", H3_FRAME_UNEXPECTED, |raw| {
            write(&mut raw.control, &frame(0x0d, &[0]));
            vec![]
        }),
        ("GOAWAY of no request", H3_ID_ERROR, |raw| {
            write(&mut raw.control, &frame(GOAWAY, &[1]));
            vec![]
        }),
        ("an empty datagram", H3_DATAGRAM_ERROR, |raw| {
            raw.raw.datagram(b"");
            vec![]
        }),
    ];
    for (what, code, deed) in cases {
        let server = RawServer::new();
        let client = connecting(&server);
        let mut raw = server.serve(OLD_SETTINGS, &response(200));
        let session = client.join().expect("no panic").expect("a session");
        let _kept = deed(&mut raw);
        assert_eq!(raw.raw.closed(), Some(code), "{what}");
        let info = wait_closed(&session);
        assert_eq!((info.by, info.transport_error), (ClosedBy::Transport, code), "{what}: {info:?}");
    }
}

#[test]
fn draining_shows_and_the_session_goes_on() {
    let server = listen();
    let (mut raw, session) = raw_session(&server);
    raw.write(&frame(DATA, &frame(DRAIN_CAPSULE, b"")));
    eventually("DRAIN is seen", || session.link.phase() == Phase::Draining);
    works(&raw, &session);
    let (mut raw, session) = raw_session(&server);
    write(&mut raw.control, &frame(GOAWAY, &[0]));
    eventually("GOAWAY is seen", || session.link.phase() == Phase::Draining);
    works(&raw, &session);
    server.link.close();
}

#[test]
fn datagrams_of_other_streams_are_counted_and_nothing_else() {
    let server = listen();
    let (raw, session) = raw_session(&server);
    for quarter in [1, 63, 64, (1 << 60) - 1] {
        raw.raw.datagram(&[varint(quarter), b"not ours".to_vec()].concat());
    }
    works(&raw, &session);
    assert_eq!(session.datagrams.stats().outside.foreign.datagrams, 4);
    assert_eq!(session.datagrams.stats().inbound.delivered.datagrams, 1);
    server.link.close();
}

#[test]
fn requests_for_anything_else_get_their_status_beside_a_session_that_goes_on() {
    let server = listen();
    let (raw, session) = raw_session(&server);
    let base = [(":scheme", "https"), (":authority", "localhost"), (":path", "/")];
    let request = |method: &str| headers(&[&[(":method", method)], &base[..]].concat());
    let cases = [
        (404, request("GET")),
        (405, request("POST")),
        (501, connect_request("websocket", "localhost")),
        (429, connect_request("webtransport", "localhost")),
    ];
    for (status, bytes) in cases {
        let (_send, mut receive) = raw.raw.open_bi(bytes);
        assert_eq!(status_of(&read_frame(&mut receive).expect("a response").1), status);
    }
    for (code, bytes) in [
        (H3_MESSAGE_ERROR, headers(&[(":method", "CONNECT"), (":method", "CONNECT")])),
        (WT_BUFFERED_STREAM_REJECTED, [varint(0x41), varint(0), b"a stream".to_vec()].concat()),
    ] {
        let (_send, mut receive) = raw.raw.open_bi(bytes);
        assert_eq!(reset_code(&mut receive), Some(code));
    }
    works(&raw, &session);
    server.link.close();
}

#[test]
fn a_request_or_response_of_more_than_128_fields_is_too_large() {
    // `:method: GET` from the static table, a byte for each.
    let block = |fields: usize| frame(HEADERS, &[&[0, 0][..], &vec![0xd1; fields]].concat());
    let server = listen();
    let (raw, session) = raw_session(&server);
    for fields in [129, 60_000] {
        let (_send, mut receive) = raw.raw.open_bi(block(fields));
        assert_eq!(status_of(&read_frame(&mut receive).expect("a response").1), 431);
    }
    let (_send, mut receive) = raw.raw.open_bi(block(128));
    assert_eq!(reset_code(&mut receive), Some(H3_MESSAGE_ERROR), "it is read, and says :method twice");
    works(&raw, &session);
    server.link.close();
    let server = RawServer::new();
    let client = connecting(&server);
    let _raw = server.serve(OLD_SETTINGS, &block(129));
    let error = client.join().expect("no panic").err().expect("no session");
    assert!(matches!(&error, Error::Protocol(text) if text.contains("too large")), "{error}");
}

#[test]
fn a_peers_words_are_escaped_where_people_read_them_and_as_sent_in_its_close_info() {
    let words = "bad\r\nline\u{1b}[31m\u{202e}\u{2066}ü";
    let escaped = "bad\\r\\nline\\u{1b}[31m\\u{202e}\\u{2066}ü";
    let server = RawServer::new();
    let client = connecting(&server);
    let raw = server.accept();
    raw.quic.close(VarInt::from_u32(0x107), words.as_bytes());
    let error = client.join().expect("no panic").err().expect("no session").to_string();
    assert!(error.contains(escaped) && !error.contains(char::is_control), "{error}");
    let server = listen();
    let (raw, session) = raw_session(&server);
    raw.raw.quic.close(VarInt::from_u32(0x107), words.as_bytes());
    assert_eq!(wait_closed(&session).reason, words);
    let (mut raw, session) = raw_session(&server);
    raw.write(&frame(DATA, &close_capsule(7, words.as_bytes())));
    assert_eq!(wait_closed(&session).reason, words);
    server.link.close();
}

#[test]
fn requests_that_never_become_complete_are_limited() {
    let server = listen();
    let (raw, session) = raw_session(&server);
    let unfinished = || [varint(HEADERS), varint(60_000), vec![0; 1000]].concat();
    let kept: Vec<_> = (0..4).map(|_| raw.raw.open_bi(unfinished())).collect();
    let (_send, mut receive) = raw.raw.open_bi(unfinished());
    assert_eq!(reset_code(&mut receive), Some(H3_EXCESSIVE_LOAD));
    works(&raw, &session);
    drop(kept);
    server.link.close();
}

#[test]
fn a_flood_of_empty_datagrams_ends_the_connection_and_nothing_else() {
    let server = listen();
    let bystander = pair(&server);
    let (raw, session) = raw_session(&server);
    for _ in 0..1000 {
        if run(raw.raw.quic.send_datagram_wait(Vec::new().into())).is_err() {
            break;
        }
    }
    assert_eq!(raw.raw.closed(), Some(H3_DATAGRAM_ERROR));
    assert_eq!(wait_closed(&session).transport_error, H3_DATAGRAM_ERROR);
    exchange(&bystander.0, &bystander.1);
    server.link.close();
}
