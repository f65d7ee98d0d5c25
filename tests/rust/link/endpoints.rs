//! Addresses, limits and load of servers and clients.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::pair::*;
use support::raw_peer::*;
use wtgram::error::Error;
use wtgram::link::config::{ConnectOptions, Limits, ListenOptions};
use wtgram::link::{Datagrams, Feeder, Left};
use wtgram::runtime::readiness::Pollable;
use wtgram::runtime::wait::Deadline;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn listen_on(host: Option<IpAddr>) -> wtgram::datagram::session::Server {
    listen_with(&ListenOptions { host, ..ListenOptions::default() })
}

#[test]
fn ipv4_ipv6_and_both_at_once_are_listened_on() {
    let cases: [(_, &[&str]); 3] =
        [(Some(V4), &["127.0.0.1"]), (Some(V6), &["[::1]"]), (None, &["127.0.0.1", "[::1]"])];
    for (host, reachable_at) in cases {
        let server = listen_on(host);
        for at in reachable_at {
            let client = connect(&url_at(at, &server), &trusting(&server)).expect("a session");
            let accepted = server.accept(soon()).expect("the same");
            exchange(&client, &accepted);
            exchange(&accepted, &client);
            let ip: IpAddr = at.trim_matches(['[', ']']).parse().expect("an address");
            let addresses = [&client, &accepted].map(|end| end.link.remote_address().expect("established"));
            assert_eq!(addresses.map(|address| address.ip()), [ip, ip], "never as ::ffff:127.0.0.1");
            let local = accepted.link.local_address().expect("established");
            assert_eq!((local.ip(), local.port()), (ip, address(&server).port()));
        }
        server.link.close();
    }
}

#[test]
fn the_local_address_is_the_callers_choice() {
    let server = listen_on(None);
    let from = |host| ConnectOptions { bind_host: Some(host), ..trusting(&server) };
    let client = connect(&url_at("127.0.0.1", &server), &from(V4)).expect("a session");
    assert_eq!(client.link.local_address().expect("established").ip(), V4);
    let error = connect(&url_at("[::1]", &server), &from(V4)).err();
    assert!(
        matches!(&error, Some(Error::NameNotResolved { what, .. }) if what.contains("family")),
        "{error:?}"
    );
    // No host has an address of TEST-NET-1.
    let error = connect(&url_at("127.0.0.1", &server), &from("192.0.2.1".parse().expect("an address"))).err();
    assert!(matches!(&error, Some(Error::Io { message, .. }) if message.contains("192.0.2.1")), "{error:?}");
    server.link.close();
}

#[test]
fn a_port_that_is_taken_is_said_to_be_and_is_free_again_after_the_server() {
    let server = listen();
    let port = address(&server).port();
    let again = ListenOptions { port, ..on_loopback() };
    let error = wtgram::link::Server::listen(&again).err();
    assert!(
        matches!(&error, Some(Error::Io { message, .. }) if message.contains(&port.to_string())),
        "{error:?}"
    );
    let (client, accepted) = pair(&server);
    server.link.close();
    wait_closed(&client);
    // A handle of a session keeps the figures of its connection, and those keep the socket.
    drop((server, accepted));
    eventually("the port is free", || match wtgram::link::Server::listen(&again) {
        Ok(server) => {
            server.close();
            true
        }
        Err(_) => false,
    });
}

#[test]
fn a_port_that_is_taken_in_one_family_is_taken_for_a_server_of_both() {
    let taken = std::net::UdpSocket::bind((V6, 0)).expect("a UDP socket");
    let port = taken.local_addr().expect("bound").port();
    let error = wtgram::link::Server::listen(&ListenOptions { port, ..ListenOptions::default() }).err();
    assert!(matches!(&error, Some(Error::Io { message, .. }) if message.contains("[::]")), "{error:?}");
}

#[test]
fn a_full_backlog_is_answered_with_503_until_somebody_accepts() {
    let server = listen_with(&ListenOptions { accept_backlog: 2, ..on_loopback() });
    let another = || connect(&url_at("127.0.0.1", &server), &trusting(&server));
    let _kept = [another().expect("the first"), another().expect("the second")];
    assert_eq!(another().err(), Some(Error::Rejected { status: 503, retry_after: None }));
    server.accept(soon()).expect("the first");
    let third = another().expect("room again");
    server.accept(soon()).expect("the second");
    exchange(&third, &server.accept(soon()).expect("the third"));
    server.link.close();
}

#[test]
fn sessions_that_have_ended_leave_the_backlog_to_others() {
    let server = listen_with(&ListenOptions { accept_backlog: 4, ..on_loopback() });
    let another = || connect(&url_at("127.0.0.1", &server), &trusting(&server));
    for _ in 0..3 {
        for session in [(); 4].map(|()| another().expect("room in the backlog")) {
            session.link.close(0, "").expect("closed");
        }
        eventually("all have left", || server.link.ready().is_empty());
    }
    let living = another().expect("room in the backlog");
    let accepted = server.accept(soon()).expect("the one that lives");
    exchange(&living, &accepted);
    assert_eq!(server.accept(Deadline::Now).err(), Some(Error::WouldBlock));
    server.link.close();
}

#[test]
fn a_burst_of_clients_gets_no_more_sessions_than_the_limit() {
    let server = Arc::new(listen_with(&ListenOptions {
        limits: Limits { max_sessions: Some(3), ..Limits::default() },
        ..on_loopback()
    }));
    let clients: Vec<_> = (0..32)
        .map(|_| {
            let server = Arc::clone(&server);
            std::thread::spawn(move || connect(&url_at("127.0.0.1", &server), &trusting(&server)))
        })
        .collect();
    let ends: Vec<_> = clients.into_iter().map(|client| client.join().expect("no panic")).collect();
    let (sessions, refusals): (Vec<_>, Vec<_>) = ends.into_iter().partition(Result::is_ok);
    assert_eq!(sessions.len(), 3);
    assert!(refusals.iter().all(|refusal| matches!(refusal, Err(Error::ConnectionRefused(_)))));
    server.link.close();
}

#[test]
fn a_connection_gives_its_place_back_however_it_ends() {
    let options = ListenOptions {
        limits: Limits { max_sessions: Some(1), ..Limits::default() },
        handshake_timeout: Duration::from_secs(3),
        ..on_loopback()
    };
    let server = listen_with(&options);
    let url = url_at("127.0.0.1", &server);
    let session = || {
        let mut session = None;
        eventually("there is a place", || {
            session = connect(&url, &trusting(&server)).ok();
            session.is_some()
        });
        (session.expect("a session"), server.accept(soon()).expect("the same"))
    };
    let raw = || {
        let mut raw = None;
        eventually("there is a place", || {
            raw = Raw::try_client(address(&server), |_| {}).ok();
            raw.is_some()
        });
        raw.expect("a connection")
    };
    eventually("a client that does not trust the certificate leaves", || {
        matches!(connect(&url, &trusting_hash([0; 32])).err(), Some(Error::CertificateHashMismatch(_)))
    });
    session().0.link.close(1, "the client's end").expect("closed");
    session().1.link.close(1, "the server's end").expect("closed");
    raw().close(0x100);
    assert!(raw().closed().is_some(), "one that never asks is closed at the deadline");
    let refused = raw();
    let control = refused.open_uni(control(&[(0x08, 1), (0x2b60_3742, 1)]));
    let (send, receive) = refused.open_bi(connect_request("webtransport", "localhost"));
    assert_eq!(RawSession { raw: refused, control, send, receive }.read_status(), 400);
    let breaks = raw().ask("webtransport", OLD_SETTINGS);
    let accepted = server.accept(soon()).expect("a session");
    breaks.raw.datagram(b"");
    wait_closed(&accepted);
    let (client, accepted) = session();
    exchange(&client, &accepted);
    server.link.close();
}

#[test]
fn more_sessions_than_the_limit_are_refused_and_the_others_go_on() {
    let server = listen_with(&ListenOptions {
        limits: Limits { max_sessions: Some(2), ..Limits::default() },
        ..on_loopback()
    });
    let (first, second) = (pair(&server), pair(&server));
    let error = connect(&url_at("127.0.0.1", &server), &trusting(&server)).err();
    assert!(
        matches!(&error, Some(Error::ConnectionRefused(text)) if text.contains("127.0.0.1")),
        "{error:?}"
    );
    exchange(&first.0, &first.1);
    exchange(&second.0, &second.1);
    // A session that ends makes space for another when its connection is gone.
    first.0.link.close(0, "").expect("closed");
    eventually("there is room", || connect(&url_at("127.0.0.1", &server), &trusting(&server)).is_ok());
    server.link.close();
}

#[test]
fn under_load_a_client_proves_its_address_by_retry_and_still_connects() {
    let server = listen();
    let connect_by = |wire: &Wire| {
        let url = format!("https://127.0.0.1:{}/", wire.address.port());
        let client = connect(&url, &trusting(&server)).expect("a session");
        exchange(&client, &server.accept(soon()).expect("the same"));
    };
    let wire = Wire::to(address(&server));
    connect_by(&wire);
    assert_eq!(wire.retries(), 0);
    let silent: Vec<_> = (0..65).map(|_| Raw::client(address(&server))).collect();
    assert!(silent.iter().all(Raw::is_open));
    let wire = Wire::to(address(&server));
    connect_by(&wire);
    assert_eq!(wire.retries(), 1);
    server.link.close();
}

#[test]
fn what_a_receiver_that_panics_leaves_behind_is_never_given_to_another_session() {
    let server = wtgram::link::Server::listen(&on_loopback()).expect("listening");
    let raw = [(); 2].map(|()| Raw::session(server.local_address()));
    let sessions = [(); 2].map(|()| server.accept(soon()).expect("a session"));
    let (sender, receiver) = std::sync::mpsc::channel();
    for (raw, (secret, panics)) in raw.iter().zip([(b"\0first", true), (b"\0other", false)]) {
        raw.raw.datagram(secret);
        let sink = Listener { sender: sender.clone(), panics };
        let session = &sessions[usize::from(!panics)];
        session.attach(std::sync::Arc::new(sink)).expect("established");
        assert_eq!(receiver.recv_timeout(PATIENCE).expect("a batch"), [secret[1..].to_vec()]);
        assert!(!panics || session.wait_closed(soon()).is_ok(), "its connection is over");
    }
    assert!(!sessions[1].is_closed(), "nothing happens to the other");
    server.close();
}

/// Forwards what it gets, and then panics.
struct Listener {
    sender: std::sync::mpsc::Sender<Vec<Vec<u8>>>,
    panics: bool,
}

impl Datagrams for Listener {
    fn feed(&self, _: &mut Feeder<'_>) -> Left {
        Left::Nothing
    }
    fn deliver(&self, _: Instant, payloads: &[bytes::Bytes]) {
        self.sender.send(payloads.iter().map(|one| one.to_vec()).collect()).expect("somebody listens");
        assert!(!self.panics, "as a defect of ours would");
    }
    fn reader_is_behind(&self) -> bool {
        false
    }
    fn size_changed(&self) {}
    fn is_closed(&self) -> bool {
        false
    }
    fn ended(&self) {}
}

#[test]
fn a_socket_that_is_handed_in_serves_like_one_of_ours_and_stays_the_callers() {
    for bound in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
        let socket: Arc<OwnedFd> = Arc::new(UdpSocket::bind(bound).expect("a UDP socket").into());
        let ours = UdpSocket::from(socket.try_clone().expect("a duplicate"));
        let port = ours.local_addr().expect("bound").port();
        let options = ListenOptions { socket: Some(Arc::clone(&socket)), ..ListenOptions::default() };
        for wrong in
            [ListenOptions { port, ..options.clone() }, ListenOptions { host: Some(V4), ..options.clone() }]
        {
            let error = wtgram::link::Server::listen(&wrong).err();
            assert!(
                matches!(&error, Some(Error::InvalidArgument(what)) if what.contains("no host")),
                "{error:?}"
            );
        }
        let server = listen_with(&options);
        assert_eq!(address(&server), ours.local_addr().expect("bound"));
        let host = if bound.starts_with('[') { "[::1]" } else { "127.0.0.1" };
        let client = connect(&url_at(host, &server), &trusting(&server)).expect("a session");
        let accepted = server.accept(soon()).expect("the same");
        exchange(&client, &accepted);
        exchange(&accepted, &client);
        assert_eq!(client.link.remote_address().expect("established").port(), port);
        server.link.close();
        wait_closed(&client);
        let again = ListenOptions {
            port,
            host: Some(bound.parse::<SocketAddr>().expect("one").ip()),
            ..ListenOptions::default()
        };
        assert!(matches!(wtgram::link::Server::listen(&again).err(), Some(Error::Io { .. })));
    }
}
