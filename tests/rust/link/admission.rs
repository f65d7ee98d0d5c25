//! What a server lets in: requests by rules or by the program, subprotocols, and limits.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use support::pair::*;
use support::raw_peer::*;
use wtgram::datagram::options::TransportOptions;
use wtgram::datagram::session::{Request, Server, Session};
use wtgram::error::{Error, Result, RetryAfter};
use wtgram::link::config::{ConnectOptions, Limits, ListenOptions};
use wtgram::link::server::stats::{HandshakeFailure, Refused};
use wtgram::poller::{Event, Interest, Poller};
use wtgram::runtime::readiness::{Pollable, Ready};
use wtgram::runtime::wait::Deadline;

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|one| (*one).to_owned()).collect()
}

fn fields(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn try_with(server: &Server, path: &str, headers: &[(&str, &str)]) -> Result<Session> {
    let url = format!("https://127.0.0.1:{}{path}", address(server).port());
    connect(&url, &ConnectOptions { headers: fields(headers), ..trusting(server) })
}

fn refused(server: &Server, reason: Refused) -> u64 {
    server.link.stats().refused[reason as usize]
}

const REJECTED: fn(u16) -> Option<Error> = |status| Some(Error::Rejected { status, retry_after: None });

#[test]
fn web_pages_of_other_hosts_get_403_and_are_counted() {
    let server = listen();
    for origin in ["https://evil.example", "null", "https://localhost"] {
        assert_eq!(try_with(&server, "/", &[("origin", origin)]).err(), REJECTED(403), "{origin}");
    }
    eventually("the clients are gone", || server.link.stats().connections == 0);
    assert_eq!(refused(&server, Refused::Origin), 3);
    assert_eq!(server.link.stats().failed, [0; HandshakeFailure::ALL.len()], "each is counted once");
    let same = try_with(&server, "/", &[("origin", "http://127.0.0.1:8000")]).expect("the same host");
    exchange(&same, &server.accept(soon()).expect("accepted"));
    try_with(&server, "/", &[]).expect("no page");
    server.link.close();
}

#[test]
fn lists_of_origins_authorities_and_paths_are_what_they_say() {
    let server = listen_with(&ListenOptions {
        allowed_origins: owned(&["https://page.example"]),
        allowed_paths: owned(&["/chat", "/rooms/*"]),
        allowed_authorities: owned(&["127.0.0.1"]),
        ..on_loopback()
    });
    try_with(&server, "/chat?x", &[("origin", "https://page.example")]).expect("allowed");
    try_with(&server, "/rooms/7", &[]).expect("allowed");
    assert_eq!(try_with(&server, "/", &[]).err(), REJECTED(404));
    assert_eq!(try_with(&server, "/chat", &[("origin", "http://127.0.0.1")]).err(), REJECTED(403));
    server.link.close();
    let other = listen_with(&ListenOptions { allowed_authorities: owned(&["other"]), ..on_loopback() });
    assert_eq!(try_with(&other, "/", &[]).err(), REJECTED(421));
    assert_eq!(refused(&other, Refused::Authority), 1);
    other.link.close();
    let bad = ListenOptions { allowed_origins: owned(&["example.com"]), ..on_loopback() };
    assert!(matches!(
        Server::listen(&bad, &TransportOptions::default()).err(),
        Some(Error::InvalidArgument(_))
    ));
}

#[test]
fn what_a_request_said_is_known_to_its_session() {
    let server = listen();
    let headers = [("origin", "https://127.0.0.1"), ("x-a", "1"), ("x-b", "2"), ("x-a", "3")];
    let client = try_with(&server, "/p?q=1", &headers).expect("a session");
    let accepted = server.accept(soon()).expect("a session");
    let established = accepted.link.established().expect("established");
    assert_eq!(established.request.path, "/p?q=1");
    assert_eq!(established.request.query(), "q=1");
    assert_eq!(established.request.authority, address(&server).to_string());
    assert_eq!(established.request.origin(), Some("https://127.0.0.1"));
    let sent = fields(&headers);
    assert!(established.peer_headers().windows(sent.len()).any(|window| window == sent));
    let response = client.link.established().expect("established").peer_headers();
    assert_eq!(response, fields(&[("sec-webtransport-http3-draft", "draft02")]));
    server.link.close();
}

#[test]
fn a_server_picks_the_subprotocol_that_it_likes_best() {
    let server = listen_with(&ListenOptions { subprotocols: owned(&["v3", "v2", "v1"]), ..on_loopback() });
    for (offered, picked) in [(&["v1", "v2"][..], Some("v2")), (&["other"], None), (&[], None)] {
        let options = ConnectOptions { subprotocols: owned(offered), ..trusting(&server) };
        let client = connect(&url_at("127.0.0.1", &server), &options).expect("a session");
        let accepted = server.accept(soon()).expect("a session");
        for end in [&client, &accepted] {
            let established = end.link.established().expect("established");
            assert_eq!(established.subprotocol.as_deref(), picked);
        }
    }
    for bad in [&["a", "a"][..], &["gr\u{fc}n"], &[""]] {
        let options = ConnectOptions { subprotocols: owned(bad), ..trusting(&server) };
        let error = connect(&url_at("127.0.0.1", &server), &options).err();
        assert!(matches!(error, Some(Error::InvalidArgument(_))), "{error:?}");
    }
    server.link.close();
}

#[test]
fn a_server_that_picks_what_was_not_offered_breaks_the_protocol() {
    let server = RawServer::new();
    let options = ConnectOptions { subprotocols: owned(&["v1"]), ..trusting_hash(server.hash()) };
    let url = server.url();
    let client = std::thread::spawn(move || connect(&url, &options));
    let _raw = server.serve(OLD_SETTINGS, &headers(&[(":status", "200"), ("wt-protocol", "\"v9\"")]));
    let error = client.join().expect("no panic").err();
    assert!(matches!(&error, Some(Error::Protocol(text)) if text.contains("v9")), "{error:?}");
}

/// A server whose program answers requests.
fn asking() -> Server {
    listen_with(&ListenOptions { asks: true, subprotocols: Vec::new(), ..on_loopback() })
}

/// A client that asks on a thread of its own, and the request that arrives.
fn ask(
    server: &Server,
    path: &str,
    headers: &[(&str, &str)],
    subprotocols: &[&str],
) -> (std::thread::JoinHandle<Result<Session>>, Request) {
    let url = format!("https://127.0.0.1:{}{path}", address(server).port());
    let (headers, subprotocols) = (fields(headers), owned(subprotocols));
    let options = ConnectOptions { headers, subprotocols, ..trusting(server) };
    let client = std::thread::spawn(move || connect(&url, &options));
    (client, server.next_request(soon()).expect("a request"))
}

#[test]
fn the_program_sees_a_request_and_accepts_it() {
    let server = asking();
    let headers = [("origin", "https://evil.example"), ("x-token", "secret")];
    let (client, request) = ask(&server, "/room?id=7", &headers, &["a", "b"]);
    assert_eq!((request.asked().path.as_str(), request.asked().query()), ("/room?id=7", "id=7"));
    assert_eq!(request.asked().header("x-token"), Some("secret"));
    assert_eq!(request.subprotocols(), ["a", "b"]);
    assert_eq!(request.remote_address().ip(), Ipv4Addr::LOCALHOST);
    assert_eq!(request.refusal(), Some(403), "the rules would refuse it");
    assert_eq!(server.link.stats().half_open, 1);
    let wrong = request.accept(&[], Some("c")).err();
    assert!(matches!(wrong, Some(Error::InvalidArgument(_))), "{wrong:?}");
    let wrong = request.accept(&fields(&[("wt-protocol", "\"a\"")]), None).err();
    assert!(matches!(wrong, Some(Error::InvalidArgument(_))), "{wrong:?}");
    let wrong = request.accept(&fields(&[("Connection", "close")]), None).err();
    assert!(matches!(wrong, Some(Error::InvalidArgument(_))), "{wrong:?}");
    let accepted = request.accept(&fields(&[("x-answer", "yes")]), Some("b")).expect("accepted");
    let client = client.join().expect("no panic").expect("a session");
    let established = client.link.established().expect("established");
    assert_eq!(established.subprotocol.as_deref(), Some("b"));
    assert!(established.peer_headers().contains(&("x-answer".to_owned(), "yes".to_owned())));
    exchange(&client, &accepted);
    exchange(&accepted, &client);
    assert_eq!(request.accept(&[], None).err(), Some(Error::Closed), "it is answered");
    assert_eq!(request.reject(404, &[]).err(), Some(Error::Closed));
    let stats = server.link.stats();
    assert_eq!((stats.established, stats.half_open, stats.refused.iter().sum::<u64>()), (1, 0, 0));
    assert!(stats.handshake_time > Duration::ZERO && stats.longest_handshake == stats.handshake_time);
    server.link.close();
}

#[test]
fn the_program_rejects_with_a_status_or_by_dropping_the_request() {
    let server = asking();
    let (client, request) = ask(&server, "/", &[], &[]);
    let wrong = request.reject(200, &[]).err();
    assert!(matches!(wrong, Some(Error::InvalidArgument(_))), "{wrong:?}");
    request.reject(429, &fields(&[("retry-after", "3")])).expect("rejected");
    let retry_after = Some(RetryAfter::Delay(Duration::from_secs(3)));
    assert_eq!(client.join().expect("no panic").err(), Some(Error::Rejected { status: 429, retry_after }));
    let (client, request) = ask(&server, "/", &[], &[]);
    drop(request);
    assert_eq!(client.join().expect("no panic").err(), REJECTED(503));
    let (client, kept) = ask(&server, "/", &[], &[]);
    server.link.close();
    assert!(client.join().expect("no panic").is_err());
    eventually("the request is over", || kept.accept(&[], None).err() == Some(Error::Closed));
    assert_eq!(server.next_request(Deadline::Now).err(), Some(Error::Closed));
}

#[test]
fn a_request_whose_client_has_gone_or_waited_too_long_is_not_handed_out() {
    let server = listen_with(&ListenOptions {
        asks: true,
        handshake_timeout: Duration::from_secs(2),
        ..on_loopback()
    });
    let raw = Raw::client(address(&server));
    let _control = raw.open_uni(control(OLD_SETTINGS));
    let _request = raw.open_bi(connect_request("webtransport", "localhost"));
    eventually("the request waits", || server.link.ready() == Ready::ACCEPT);
    raw.close(0x100);
    eventually("it is withdrawn", || server.link.ready().is_empty());
    assert_eq!(server.next_request(Deadline::Now).err(), Some(Error::WouldBlock));
    let (client, request) = ask(&server, "/", &[], &[]);
    assert!(client.join().expect("no panic").is_err(), "nobody answered in time");
    assert_eq!(request.accept(&[], None).err(), Some(Error::Closed));
    let failed = server.link.stats().failed;
    assert_eq!(failed[HandshakeFailure::TimedOut as usize], 1);
    assert_eq!(failed[HandshakeFailure::Lost as usize], 1);
    server.link.close();
}

/// The request of a client with these settings.
fn raw_request(server: &Server, settings: &[(u64, u64)]) -> RawSession {
    let raw = Raw::client(address(server));
    let control = raw.open_uni(control(settings));
    let (send, receive) = raw.open_bi(connect_request("webtransport", "localhost"));
    RawSession { raw, control, send, receive }
}

#[test]
fn a_client_that_stops_reading_withdraws_its_request() {
    let server = asking();
    for stops_at_once in [true, false] {
        let failures = || server.link.stats().failed[HandshakeFailure::Protocol as usize];
        let before = failures();
        let mut client = raw_request(&server, OLD_SETTINGS);
        let request = (!stops_at_once).then(|| server.next_request(soon()).expect("a request"));
        client.receive.stop(0x10c_u32.into()).expect("not stopped before");
        eventually("the request is over", || server.link.stats().half_open == 0);
        if let Some(request) = request {
            assert_eq!(request.accept(&[], None).err(), Some(Error::Closed));
        }
        assert_eq!(failures(), before + 1);
    }
    server.link.close();
}

#[test]
fn a_poller_reports_that_a_request_is_over() {
    let server = asking();
    let poller = Poller::new().expect("a poller");
    let watch = |request: &Request, cookie| {
        let interest = Interest { ready: Ready::NONE, one_shot: true };
        let object = Arc::clone(&request.link);
        poller.add(cookie, object, interest, cookie).expect("a request can be in a poller");
    };
    let reported = |deadline| {
        let mut events = [Event { object: 0, cookie: 0, ready: Ready::NONE }];
        poller.wait(&mut events, deadline).map(|_| (events[0].cookie, events[0].ready))
    };
    let raw = Raw::client(address(&server));
    let _control = raw.open_uni(control(OLD_SETTINGS));
    let _request = raw.open_bi(connect_request("webtransport", "localhost"));
    let gone = server.next_request(soon()).expect("a request");
    watch(&gone, 1);
    assert_eq!(reported(Deadline::Now).err(), Some(Error::WouldBlock));
    raw.close(0x100);
    assert_eq!(reported(soon()), Ok((1, Ready::CLOSED)));
    assert_eq!(gone.reject(404, &[]).err(), Some(Error::Closed));
    let (client, answered) = ask(&server, "/", &[], &[]);
    watch(&answered, 2);
    let _accepted = answered.accept(&[], None).expect("accepted");
    assert_eq!(reported(soon()), Ok((2, Ready::CLOSED)));
    client.join().expect("no panic").expect("a session");
    let (client, kept) = ask(&server, "/", &[], &[]);
    watch(&kept, 3);
    server.link.close();
    assert_eq!(reported(soon()), Ok((3, Ready::CLOSED)));
    assert!(client.join().expect("no panic").is_err());
}

#[test]
fn only_as_many_requests_wait_as_may() {
    let server = Arc::new(listen_with(&ListenOptions { asks: true, accept_backlog: 1, ..on_loopback() }));
    let one = {
        let server = Arc::clone(&server);
        std::thread::spawn(move || try_with(&server, "/", &[]))
    };
    eventually("a request waits", || !server.link.ready().is_empty());
    assert_eq!(try_with(&server, "/", &[]).err(), REJECTED(503));
    assert_eq!(refused(&server, Refused::Backlog), 1);
    drop(server.next_request(soon()).expect("the first"));
    assert_eq!(one.join().expect("no panic").err(), REJECTED(503));
    assert_eq!(refused(&server, Refused::Rejected), 1);
    server.link.close();
}

#[test]
fn a_request_without_the_settings_it_needs_gets_400_and_is_counted() {
    let server = listen();
    assert_eq!(raw_request(&server, &[(0x08, 1)]).read_status(), 400);
    let stats = server.link.stats();
    assert_eq!(stats.failed[HandshakeFailure::Protocol as usize], 1, "{stats:?}");
    assert_eq!(stats.refused.iter().sum::<u64>(), 0, "{stats:?}");
    server.link.close();
}

#[test]
fn a_client_that_is_refused_is_asked_to_send_no_more() {
    let server = listen_with(&ListenOptions { allowed_paths: owned(&["/other"]), ..on_loopback() });
    let mut refused = raw_request(&server, OLD_SETTINGS);
    assert_eq!(refused.read_status(), 404);
    // H3_NO_ERROR (RFC 9114 section 4.1).
    assert_eq!(run(refused.send.stopped()), Ok(Some(0x100_u32.into())));
    server.link.close();
}

#[test]
fn each_kind_of_server_has_its_own_call() {
    let (rules, program) = (listen(), asking());
    assert!(matches!(rules.next_request(Deadline::Now).err(), Some(Error::InvalidState(_))));
    assert!(matches!(program.accept(Deadline::Now).err(), Some(Error::InvalidState(_))));
    rules.link.close();
    program.link.close();
}

fn limited(limits: Limits) -> Server {
    listen_with(&ListenOptions { limits, ..on_loopback() })
}

#[test]
fn long_paths_and_many_headers_are_refused_with_their_status() {
    let server = limited(Limits {
        max_path_bytes: 20,
        max_header_fields: 3,
        max_header_bytes: 500,
        ..Limits::default()
    });
    try_with(&server, "/a", &[("x", "1"), ("y", "2")]).expect("small enough");
    assert_eq!(try_with(&server, "/01234567890123456789", &[]).err(), REJECTED(414));
    assert_eq!(try_with(&server, "/", &[("x", "1"); 4]).err(), REJECTED(431));
    assert_eq!(try_with(&server, "/", &[("x", &"1".repeat(300))]).err(), REJECTED(431));
    assert_eq!((refused(&server, Refused::PathLength), refused(&server, Refused::Headers)), (1, 2));
    // The fields of RFC 9114 section 4.2.2 include those of the request itself.
    let raw = Raw::client(address(&server));
    let control = raw.open_uni(control(OLD_SETTINGS));
    let (send, receive) = raw.open_bi(connect_request("webtransport", &"a".repeat(300)));
    assert_eq!(RawSession { raw, control, send, receive }.read_status(), 431);
    server.link.close();
}

#[test]
fn more_header_fields_than_are_read_are_refused_and_counted_once() {
    let server = listen();
    let many = frame(HEADERS, &[&[0, 0][..], &[0xd1; 129]].concat());
    let too_long = [varint(HEADERS), varint(64 * 1024 + 1)].concat();
    for request in [many, too_long] {
        let raw = Raw::client(address(&server));
        let _control = raw.open_uni(control(OLD_SETTINGS));
        let (_send, mut receive) = raw.open_bi(request);
        assert_eq!(status_of(&read_frame(&mut receive).expect("a response").1), 431);
        assert!(raw.closed().is_some(), "the server waits for no other request");
    }
    eventually("both are gone", || server.link.stats().connections == 0);
    assert_eq!(refused(&server, Refused::Headers), 2);
    assert_eq!(server.link.stats().failed, [0; HandshakeFailure::ALL.len()]);
    server.link.close();
}

#[test]
fn an_address_may_have_only_its_share_of_sessions() {
    let server = limited(Limits { max_sessions_per_address: Some(2), ..Limits::default() });
    let url = url_at("127.0.0.1", &server);
    let from = |host: u8| {
        let bind_host = Some(Ipv4Addr::new(127, 0, 0, host).into());
        connect(&url, &ConnectOptions { bind_host, ..trusting(&server) })
    };
    let held = [from(1).expect("the first"), from(1).expect("the second")];
    assert!(matches!(from(1).err(), Some(Error::ConnectionRefused(_))));
    from(2).expect("another address");
    held[0].link.close(0, "").expect("closed");
    eventually("a place is free", || from(1).is_ok());
    assert!(refused(&server, Refused::Address) >= 1);
    server.link.close();
}

#[test]
fn a_session_that_sends_too_fast_loses_what_is_above_the_limit_and_nothing_uncounted() {
    let server = limited(Limits { datagrams_per_second: Some(50), ..Limits::default() });
    let (client, accepted) = pair(&server);
    let sent = 500;
    for _ in 0..sent {
        client.datagrams.outgoing.send(b"x", &Default::default(), soon()).expect("queued");
    }
    let taken = || accepted.datagrams.stats().inbound.received.datagrams;
    let dropped = || server.link.stats().datagrams_over_rate;
    let before = client.datagrams.stats().outbound;
    eventually("all have arrived", || {
        let left = client.datagrams.stats().outbound;
        let gone = left.evicted.datagrams;
        taken() + dropped() + gone >= sent
    });
    assert_eq!(before.handed_in.datagrams, sent);
    assert!(dropped() > 0, "{} were taken", taken());
    let outside = accepted.datagrams.stats().outside;
    assert_eq!((outside.over_rate, outside.dropped_in_quic), (dropped(), 0));
    server.link.close();
}

#[test]
fn memory_that_clients_make_the_server_hold_is_bounded_and_given_back() {
    let server = limited(Limits { max_memory_bytes: Some(200 * 1024), ..Limits::default() });
    let (client, accepted) = pair(&server);
    let payload = [7; 1000];
    let mut sent = 0;
    eventually("the limit is reached", || {
        for _ in 0..50 {
            client.datagrams.outgoing.send(&payload, &Default::default(), soon()).expect("queued");
            sent += 1;
        }
        assert!(server.link.stats().memory_bytes <= 200 * 1024);
        server.link.stats().datagrams_over_memory > 0
    });
    let waiting = accepted.datagrams.stats().inbound.queued;
    assert!(waiting.datagrams > 50, "{waiting:?}");
    let mut others = Vec::new();
    let refusal = loop {
        match connect(&url_at("127.0.0.1", &server), &trusting(&server)) {
            Ok(session) => others.push(session),
            Err(error) => break error,
        }
        assert!(others.len() < 5, "five connections take more than there is");
    };
    assert!(matches!(refusal, Error::ConnectionRefused(_)), "{refusal:?}");
    assert_eq!(refused(&server, Refused::Memory), 1);
    others.iter().for_each(|other| other.link.close(0, "").expect("closed"));
    client.link.close(0, "").expect("closed");
    wait_closed(&accepted);
    drop(accepted);
    eventually("all is given back", || server.link.stats().memory_bytes == 0);
    drop(pair(&server));
    server.link.close();
}

#[test]
fn a_session_that_nobody_accepts_ends() {
    let accept_timeout = Some(Duration::from_millis(300));
    let server = limited(Limits { accept_timeout, ..Limits::default() });
    let client = connect(&url_at("127.0.0.1", &server), &trusting(&server)).expect("a session");
    let info = wait_closed(&client);
    assert!(info.reason.contains("did not accept"), "{info:?}");
    assert_eq!(server.link.stats().not_accepted, 1);
    assert_eq!(server.accept(Deadline::Now).err(), Some(Error::WouldBlock));
    let (client, accepted) = pair(&server);
    std::thread::sleep(Duration::from_millis(600));
    exchange(&client, &accepted);
    server.link.close();
}

#[test]
fn the_half_open_connection_that_waited_longest_makes_room() {
    let limits = Limits { max_half_open: 3, retry_above_half_open: 100, ..Limits::default() };
    let server = limited(limits);
    // Connections without a request.
    let idle: Vec<_> = (0..10).map(|_| Raw::client(address(&server))).collect();
    eventually("no more than three are left", || server.link.stats().half_open <= 3);
    assert!(server.link.stats().failed[HandshakeFailure::Evicted as usize] >= 7);
    let (client, accepted) = pair(&server);
    exchange(&client, &accepted);
    drop(idle);
    server.link.close();
}

#[test]
fn a_server_may_always_demand_a_proof_of_the_address() {
    let server = limited(Limits { retry_above_half_open: 0, ..Limits::default() });
    let (client, accepted) = pair(&server);
    exchange(&client, &accepted);
    assert_eq!(server.link.stats().retries, 1);
    server.link.close();
}
