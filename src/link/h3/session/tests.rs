//! Tests of the state machine, one for each rule.

use super::super::error::*;
use super::super::frame::put_frame;
use super::super::settings;
use super::super::{close_bytes, drain_bytes, goaway_bytes};
use super::*;

const CONTROL: u64 = 2;
const CONNECT: u64 = 0;
const CONTINUE: Result<StreamVerdict, ConnectionError> = Ok(StreamVerdict::Continue);

fn request() -> ConnectRequest {
    ConnectRequest::new("example.com", "/room", &[("origin".into(), "https://example.com".into())]).unwrap()
}

fn connect_frame() -> Vec<u8> {
    headers_frame(
        request()
            .fields(settings::PeerSettings { wt_enabled: true, ..Default::default() }.protocol().unwrap()),
    )
}

fn response_frame(status: &str) -> Vec<u8> {
    headers_frame([(":status", status), ("x", "1")])
}

fn data_frame(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_frame(&mut out, crate::link::h3::types::DATA, payload);
    out
}

fn refused(code: u64) -> Result<StreamVerdict, ConnectionError> {
    Ok(StreamVerdict::Refuse { code })
}

fn code(result: Result<StreamVerdict, ConnectionError>) -> u64 {
    result.unwrap_err().code
}

fn events(session: &mut SessionMachine) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

fn closed(code: u32, reason: &str) -> Event {
    Event::Closed { code, reason: reason.into() }
}

/// A server that has received the client's SETTINGS and its request.
fn requested() -> SessionMachine {
    let mut session = SessionMachine::server();
    let preface = session.control_preface();
    assert_eq!(session.uni_data(CONTROL, &preface, false), CONTINUE);
    assert_eq!(session.bidi_data(CONNECT, &connect_frame(), false), CONTINUE);
    assert!(matches!(
        events(&mut session)[..],
        [Event::PeerSettings(_), Event::Request { stream_id: 0, .. }]
    ));
    session
}

/// A server that has accepted the session.
fn accepted() -> SessionMachine {
    let mut session = requested();
    session.accept(&[]).unwrap();
    session
}

/// A client that has received the server's SETTINGS and sent CONNECT.
fn connecting() -> SessionMachine {
    let mut session = SessionMachine::client();
    let preface = session.control_preface();
    assert_eq!(session.uni_data(3, &preface, false), CONTINUE);
    session.connect_bytes(CONNECT, &request()).unwrap();
    assert!(matches!(events(&mut session)[..], [Event::PeerSettings(_)]));
    session
}

/// A client whose session is established.
fn connected() -> SessionMachine {
    let mut session = connecting();
    assert_eq!(session.bidi_data(CONNECT, &response_frame("200"), false), CONTINUE);
    assert!(matches!(events(&mut session)[..], [Event::Response(_)]));
    session
}

#[test]
fn a_client_and_a_server_of_ours_agree() {
    let (mut client, mut server) = (SessionMachine::client(), SessionMachine::server());
    server.uni_data(2, &client.control_preface(), false).unwrap();
    client.uni_data(3, &server.control_preface(), false).unwrap();
    assert_eq!(client.peer_settings().unwrap().problem(Role::Client), None);

    let sent = request();
    server.bidi_data(0, &client.connect_bytes(0, &sent).unwrap(), false).unwrap();
    let Some(Event::Request { stream_id, request }) = events(&mut server).pop() else { panic!() };
    assert_eq!((stream_id, &request.path, &request.authority), (0, &sent.path, &sent.authority));
    assert_eq!(server.connect_stream_id(), Some(0));

    let answer = server.accept(&[("x".into(), "1".into()), ("x".into(), "2".into())]).unwrap();
    client.bidi_data(0, &answer, false).unwrap();
    let Some(Event::Response(response)) = events(&mut client).pop() else { panic!() };
    assert!(response.is_accepted());
    let headers = [("x", "1"), ("x", "2"), ("sec-webtransport-http3-draft", "draft02")];
    assert_eq!(response.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));

    client.bidi_data(0, &drain_bytes(), false).unwrap();
    client.bidi_data(0, &close_bytes(42, "over"), true).unwrap();
    assert_eq!(events(&mut client), [Event::Draining, closed(42, "over")]);
    server.bidi_data(0, &[], true).unwrap();
    assert_eq!(events(&mut server), [closed(0, "")]);
}

#[test]
fn a_rejection_reaches_the_client_as_it_is() {
    let (mut client, mut server) = (connecting(), requested());
    let answer = server.reject(403, &[("why".into(), "because".into())]).unwrap();
    assert_eq!(client.bidi_data(CONNECT, &answer, false), CONTINUE);
    let Some(Event::Response(response)) = client.poll_event() else { panic!() };
    assert_eq!((response.status, response.header("why")), (403, Some("because")));
    // A body, and even broken frames after it, are ignored.
    assert_eq!(client.bidi_data(CONNECT, &data_frame(b"sorry"), false), CONTINUE);
    assert_eq!(client.bidi_data(CONNECT, &[0x02], true), CONTINUE);
    assert_eq!(server.bidi_data(CONNECT, &[0x02], true), CONTINUE);
    assert_eq!((client.poll_event(), server.poll_event()), (None, None));
}

#[test]
fn only_a_waiting_request_can_be_answered_and_only_once() {
    let invalid = |result: crate::error::Result<Vec<u8>>| matches!(result, Err(Error::InvalidState(_)));
    assert!(invalid(SessionMachine::server().accept(&[])));
    let mut session = accepted();
    assert!(invalid(session.accept(&[])));
    assert!(invalid(session.reject(404, &[])));
    assert!(invalid(connecting().accept(&[])));
}

#[test]
fn an_answer_must_be_sayable_and_a_bad_one_costs_nothing() {
    let mut session = requested();
    for status in [0, 100, 200, 299, 600] {
        assert!(matches!(session.reject(status, &[]), Err(Error::InvalidArgument(_))));
    }
    let bad = [("connection".to_owned(), "close".to_owned())];
    assert!(matches!(session.accept(&bad), Err(Error::InvalidArgument(_))));
    session.bidi_data(CONNECT, &drain_bytes(), false).unwrap();
    assert!(matches!(session.accept(&bad), Err(Error::InvalidArgument(_))));
    session.accept(&[]).unwrap();
    assert_eq!(events(&mut session), [Event::Draining]);
}

#[test]
fn a_request_waits_for_the_clients_settings() {
    let mut session = SessionMachine::server();
    session.bidi_data(CONNECT, &connect_frame(), false).unwrap();
    assert_eq!(session.poll_event(), None);
    let preface = session.control_preface();
    session.uni_data(CONTROL, &preface, false).unwrap();
    assert!(matches!(events(&mut session)[..], [Event::PeerSettings(_), Event::Request { .. }]));
}

#[test]
fn capsules_that_come_early_wait_for_the_answer() {
    let mut session = requested();
    session.bidi_data(CONNECT, &close_bytes(9, "x"), false).unwrap();
    assert_eq!(session.poll_event(), None);
    session.accept(&[]).unwrap();
    assert_eq!(events(&mut session), [closed(9, "x")]);
}

#[test]
fn early_capsules_are_limited() {
    let mut session = requested();
    assert_eq!(session.bidi_data(CONNECT, &data_frame(&[0; MAX_EARLY_BYTES]), false), CONTINUE);
    assert_eq!(session.buffered_bytes(), MAX_EARLY_BYTES);
    assert_eq!(session.bidi_data(CONNECT, &data_frame(&[0]), false), refused(H3_EXCESSIVE_LOAD));
    assert!(matches!(events(&mut session)[..], [Event::Aborted { code: H3_EXCESSIVE_LOAD, .. }]));
    assert_eq!(session.buffered_bytes(), 0);
}

#[test]
fn early_capsules_that_are_malformed_abort_at_the_answer() {
    let mut session = requested();
    session.bidi_data(CONNECT, &data_frame(&[0x68, 0x43, 0]), false).unwrap();
    session.accept(&[]).unwrap();
    assert!(matches!(events(&mut session)[..], [Event::Aborted { code: H3_MESSAGE_ERROR, .. }]));
}

#[test]
fn a_request_can_be_withdrawn() {
    let mut session = requested();
    assert_eq!(session.bidi_data(CONNECT, &[], true), CONTINUE);
    assert_eq!(events(&mut session), [closed(0, "")]);
    assert!(session.accept(&[]).is_err());

    let mut session = requested();
    session.bidi_reset(CONNECT, H3_REQUEST_CANCELLED);
    assert!(matches!(events(&mut session)[..], [Event::Aborted { code: H3_REQUEST_CANCELLED, .. }]));
}

#[test]
fn a_client_connects_once_and_only_after_the_servers_settings() {
    let invalid = |result: crate::error::Result<Vec<u8>>| matches!(result, Err(Error::InvalidState(_)));
    assert!(invalid(SessionMachine::client().connect_bytes(0, &request())));
    assert!(invalid(connecting().connect_bytes(4, &request())));
    assert!(invalid(requested().connect_bytes(0, &request())));
}

#[test]
fn a_client_does_not_connect_to_a_server_that_cannot_carry_the_session() {
    let connect = |settings: &[u8]| {
        let mut session = SessionMachine::client();
        let mut control = vec![0];
        put_frame(&mut control, crate::link::h3::types::SETTINGS, settings);
        session.uni_data(3, &control, false).unwrap();
        session.connect_bytes(0, &request())
    };
    assert!(matches!(connect(&[0x08, 1]), Err(Error::Unsupported)));
    assert!(matches!(connect(&[0x33, 1]), Err(Error::Protocol(_))));
    let small = [0x08, 1, 0x33, 1, 0x06, 10, 0xac, 0x7c, 0xf0, 0x00, 1];
    assert!(matches!(connect(&small), Err(Error::InvalidArgument(_))));
    let newest = [0x08, 1, 0x33, 1, 0xac, 0x7c, 0xf0, 0x00, 1];
    let bytes = connect(&newest).unwrap();
    let fields = super::super::fields::decode(&bytes[2 + usize::from(bytes[1] >= 64)..]).unwrap();
    assert!(fields.contains(&(":protocol".into(), "webtransport-h3".into())));
}

#[test]
fn a_server_that_names_no_generation_is_asked_with_the_older_token() {
    let mut session = SessionMachine::client();
    let mut control = vec![0];
    put_frame(&mut control, crate::link::h3::types::SETTINGS, &[0x08, 1, 0x33, 1]);
    session.uni_data(3, &control, false).unwrap();
    let bytes = session.connect_bytes(0, &request()).unwrap();
    let fields = super::super::fields::decode(&bytes[2 + usize::from(bytes[1] >= 64)..]).unwrap();
    assert!(fields.contains(&(":protocol".into(), "webtransport".into())));
}

#[test]
fn a_capsule_without_a_data_frame_is_taken_for_what_it_means() {
    for mut session in [accepted(), connected()] {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, 0x78ae, b"");
        put_frame(&mut bytes, 0x2843, &[0, 0, 0x12, 0x67, b'b', b'y', b'e']);
        assert_eq!(session.bidi_data(CONNECT, &bytes, true), CONTINUE);
        assert_eq!(events(&mut session), [Event::Draining, closed(0x1267, "bye")]);
    }
    let mut session = accepted();
    let mut bytes = Vec::new();
    put_frame(&mut bytes, 0x2843, &[0; 2000]);
    assert!(session.bidi_data(CONNECT, &bytes, false).is_err() || session.buffered_bytes() < 1100);
}

#[test]
fn interim_responses_are_passed_over() {
    let mut session = connecting();
    session.bidi_data(CONNECT, &response_frame("103"), false).unwrap();
    assert_eq!(session.poll_event(), None);
    session.bidi_data(CONNECT, &response_frame("200"), false).unwrap();
    assert!(matches!(events(&mut session)[..], [Event::Response(_)]));
}

#[test]
fn a_malformed_response_aborts_the_session() {
    for fields in [&[(":status", "2x0")][..], &[("x", "1")], &[(":status", "200"), ("X", "1")]] {
        let mut session = connecting();
        let frame = headers_frame(fields.iter().copied());
        assert_eq!(session.bidi_data(CONNECT, &frame, false), refused(H3_MESSAGE_ERROR));
        assert!(matches!(events(&mut session)[..], [Event::Aborted { code: H3_MESSAGE_ERROR, .. }]));
    }
    let mut session = connecting();
    assert_eq!(session.bidi_data(CONNECT, &[], true), refused(H3_MESSAGE_ERROR));
    assert!(matches!(events(&mut session)[..], [Event::Aborted { .. }]));
}

#[test]
fn data_before_headers_is_unexpected() {
    assert_eq!(code(connecting().bidi_data(CONNECT, &[0, 0], false)), H3_FRAME_UNEXPECTED);
    assert_eq!(code(SessionMachine::server().bidi_data(CONNECT, &[0, 0], false)), H3_FRAME_UNEXPECTED);
}

#[test]
fn trailers_do_not_exist_on_the_stream_of_a_session() {
    for mut session in [requested(), accepted(), connected()] {
        // They are refused by their type alone: nothing of them is awaited, kept or decoded.
        assert_eq!(code(session.bidi_data(CONNECT, &[0x01], false)), H3_FRAME_UNEXPECTED);
        assert_eq!(session.buffered_bytes(), 0);
    }
    for mut session in [requested(), accepted(), connected()] {
        assert_eq!(code(session.bidi_data(CONNECT, &[0x01, 0x00], false)), H3_FRAME_UNEXPECTED);
    }
}

#[test]
fn unknown_frames_and_capsules_on_the_stream_of_a_session_are_skipped() {
    for mut session in [accepted(), connected()] {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, crate::link::h3::types::GREASE, &[7; 300]);
        bytes.extend(data_frame(&[0x21, 0x03, 1, 2, 3, 0x00]));
        put_frame(&mut bytes, crate::link::h3::types::GREASE, b"");
        bytes.extend(data_frame(&[0x02, 0xff, 0xff]));
        assert_eq!(session.bidi_data(CONNECT, &bytes, true), CONTINUE);
        assert_eq!(events(&mut session), [closed(0, "")]);
    }
}

#[test]
fn data_after_close_resets_the_stream() {
    let late = [[close_bytes(1, "x"), vec![0x21]].concat(), data_frame(&[0x68, 0x43, 4, 0, 0, 0, 1, 0])];
    for bytes in late {
        let mut session = accepted();
        assert_eq!(session.bidi_data(CONNECT, &bytes, false), refused(H3_MESSAGE_ERROR));
        assert!(matches!(events(&mut session)[..], [Event::Closed { code: 1, .. }]));
    }
    let mut session = accepted();
    assert_eq!(session.bidi_data(CONNECT, &close_bytes(1, "x"), false), CONTINUE);
    assert_eq!(session.bidi_data(CONNECT, &[0], false), refused(H3_MESSAGE_ERROR));
    let mut session = accepted();
    assert_eq!(session.bidi_data(CONNECT, &close_bytes(1, "x"), false), CONTINUE);
    assert_eq!(session.bidi_data(CONNECT, &[], true), CONTINUE);
    assert_eq!(events(&mut session), [closed(1, "x")]);
}

#[test]
fn an_end_within_a_capsule_makes_the_message_malformed() {
    for cut in 1..9 {
        let mut session = accepted();
        let capsule = &close_bytes(1, "x")[2..][..cut.min(7)];
        assert_eq!(session.bidi_data(CONNECT, &data_frame(capsule), true), refused(H3_MESSAGE_ERROR));
        assert!(matches!(events(&mut session)[..], [Event::Aborted { code: H3_MESSAGE_ERROR, .. }]));
    }
}

#[test]
fn an_end_within_a_frame_is_a_frame_error() {
    let whole = drain_bytes();
    for cut in 1..whole.len() {
        assert_eq!(code(accepted().bidi_data(CONNECT, &whole[..cut], true)), H3_FRAME_ERROR);
    }
    let whole = connect_frame();
    for cut in [1, 2, 10, whole.len() - 1] {
        assert_eq!(code(SessionMachine::server().bidi_data(CONNECT, &whole[..cut], true)), H3_FRAME_ERROR);
    }
}

#[test]
fn a_reset_of_the_connect_stream_aborts_the_session_once() {
    let mut session = connected();
    session.bidi_reset(CONNECT, 0x1234);
    session.bidi_reset(CONNECT, 0x1234);
    let reason = "the peer gave up the CONNECT stream".into();
    assert_eq!(events(&mut session), [Event::Aborted { code: 0x1234, reason }]);
    let mut session = connected();
    session.bidi_data(CONNECT, &close_bytes(3, ""), false).unwrap();
    session.bidi_reset(CONNECT, 0x1234);
    assert_eq!(events(&mut session), [closed(3, "")]);
}

#[test]
fn goaway_and_drain_are_said_once_together() {
    let mut session = connected();
    session.uni_data(3, &goaway_bytes(4), false).unwrap();
    session.bidi_data(CONNECT, &drain_bytes(), false).unwrap();
    session.uni_data(3, &goaway_bytes(0), false).unwrap();
    assert_eq!(events(&mut session), [Event::Draining]);
}

#[test]
fn after_our_goaway_new_requests_are_rejected_and_those_made_before_are_answered() {
    let mut session = accepted();
    let begun = connect_frame();
    assert_eq!(session.bidi_data(4, &begun[..5], false), CONTINUE);
    assert_eq!(session.goaway(), goaway_bytes(8), "it names the first request that the client has not made");
    assert!(matches!(session.bidi_data(4, &begun[5..], false), Ok(StreamVerdict::Respond { .. })));
    assert_eq!(session.bidi_data(8, &begun, false), refused(H3_REQUEST_REJECTED));
    assert_eq!(session.bidi_data(12, &[0x40, 0x41, 0x00], false), refused(WT_BUFFERED_STREAM_REJECTED));
    assert_eq!(session.goaway(), goaway_bytes(8), "its number does not change");
    session.bidi_data(CONNECT, &close_bytes(5, ""), false).unwrap();
    assert_eq!(events(&mut session), [closed(5, "")], "the session goes on until it is closed");
}

#[test]
fn a_second_connect_is_answered_429_and_the_session_lives() {
    for mut session in [requested(), accepted()] {
        let Ok(StreamVerdict::Respond { bytes, .. }) = session.bidi_data(4, &connect_frame(), false) else {
            panic!()
        };
        let fields = super::super::fields::decode(&bytes[2..]).unwrap();
        assert_eq!(fields, [(":status".to_owned(), "429".to_owned())]);
        assert_eq!(session.connect_stream_id(), Some(CONNECT));
        assert_eq!(session.poll_event(), None);
        let _ = session.accept(&[]);
        session.bidi_data(CONNECT, &close_bytes(5, ""), true).unwrap();
        assert_eq!(events(&mut session), [closed(5, "")]);
    }
}

#[test]
fn other_requests_are_answered_without_a_session() {
    for (method, status, allow) in [("GET", "404", None), ("PUT", "405", Some("CONNECT"))] {
        let mut session = requested();
        let frame =
            headers_frame([(":method", method), (":scheme", "https"), (":authority", "a"), (":path", "/")]);
        let Ok(StreamVerdict::Respond { bytes, .. }) = session.bidi_data(4, &frame, true) else { panic!() };
        let response = ConnectResponse::parse(super::super::fields::decode(&bytes[2..]).unwrap()).unwrap();
        assert_eq!((response.status.to_string().as_str(), response.header("allow")), (status, allow));
        assert_eq!(session.poll_event(), None);
    }
}

#[test]
fn a_malformed_request_costs_only_its_stream() {
    let mut session = SessionMachine::server();
    let frame = headers_frame([(":method", "CONNECT"), (":protocol", "webtransport")]);
    assert_eq!(session.bidi_data(4, &frame, false), refused(H3_MESSAGE_ERROR));
    assert_eq!(session.bidi_data(8, &connect_frame(), false), CONTINUE);
    assert_eq!(session.connect_stream_id(), Some(8));
}

#[test]
fn a_block_that_does_not_decompress_costs_the_connection() {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, crate::link::h3::types::HEADERS, &[0, 0, 0x80]);
    assert_eq!(code(SessionMachine::server().bidi_data(0, &bytes, false)), QPACK_DECOMPRESSION_FAILED);
    assert_eq!(code(connecting().bidi_data(0, &bytes, false)), QPACK_DECOMPRESSION_FAILED);
}

#[test]
fn too_large_a_request_is_answered_431() {
    let mut session = SessionMachine::server();
    let mut many = Vec::new();
    put_frame(&mut many, crate::link::h3::types::HEADERS, &[&[0, 0][..], &[0xd1; 2000]].concat());
    // Of the other, the length of the frame is enough.
    let long = [0x01, 0x80, 0x01, 0x00, 0x01];
    for (id, bytes) in [(0, &many[..]), (4, &long[..])] {
        let Ok(StreamVerdict::Respond { bytes, too_large: true }) = session.bidi_data(id, bytes, false)
        else {
            panic!()
        };
        assert_eq!(super::super::fields::decode(&bytes[2..]).unwrap()[0].1, "431");
    }
    assert_eq!(session.buffered_bytes(), 0);
}

#[test]
fn unfinished_requests_are_limited() {
    let mut session = SessionMachine::server();
    for index in 0..MAX_REQUESTS as u64 {
        assert_eq!(session.bidi_data(4 * index, &[0x01], false), CONTINUE);
    }
    assert_eq!(session.bidi_data(400, &[0x01], false), refused(H3_EXCESSIVE_LOAD));
    session.bidi_reset(0, 0);
    assert_eq!(session.bidi_data(404, &[0x01], false), CONTINUE);
}

#[test]
fn a_stream_without_a_request_is_incomplete() {
    assert_eq!(SessionMachine::server().bidi_data(0, &[], true), refused(H3_REQUEST_INCOMPLETE));
    assert_eq!(SessionMachine::server().bidi_data(0, &[0x21, 0x00], true), refused(H3_REQUEST_INCOMPLETE));
}

#[test]
fn webtransport_streams_are_refused_as_buffered_or_as_of_a_session_gone() {
    let (uni, bidi) = ([0x40, 0x54, 0x00], [0x40, 0x41, 0x00]);
    let mut session = accepted();
    assert_eq!(session.uni_data(6, &uni, false), refused(WT_BUFFERED_STREAM_REJECTED));
    assert_eq!(session.bidi_data(4, &bidi, false), refused(WT_BUFFERED_STREAM_REJECTED));
    session.bidi_data(CONNECT, &[], true).unwrap();
    assert_eq!(session.uni_data(10, &uni, false), refused(WT_SESSION_GONE));
    assert_eq!(session.bidi_data(8, &bidi, false), refused(WT_SESSION_GONE));
    assert_eq!(code(session.bidi_data(12, &[0x40, 0x41, 0x02], false)), H3_ID_ERROR);
}

#[test]
fn a_server_may_open_webtransport_streams_only() {
    assert_eq!(connected().bidi_data(1, &[0x40, 0x41, 0x00], false), refused(WT_BUFFERED_STREAM_REJECTED));
    assert_eq!(code(connected().bidi_data(1, &connect_frame(), false)), H3_STREAM_CREATION_ERROR);
}

#[test]
fn a_signal_cut_in_two_is_still_a_signal() {
    let mut session = SessionMachine::server();
    assert_eq!(session.bidi_data(4, &[0x40], false), CONTINUE);
    assert_eq!(session.bidi_data(4, &[0x41], false), CONTINUE);
    assert_eq!(session.bidi_data(4, &[0x40], false), CONTINUE);
    assert_eq!(session.bidi_data(4, &[0x04], false), refused(WT_BUFFERED_STREAM_REJECTED));
}
