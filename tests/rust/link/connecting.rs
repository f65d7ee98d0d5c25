//! Client sessions from the start of the attempt to its result: waiting, failing, cancelling.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Weak};
use std::time::Duration;

use support::pair::*;
use support::raw_peer::*;
use wtgram::datagram::options::TransportOptions;
use wtgram::datagram::session::Connecting;
use wtgram::error::{Error, Result, RetryAfter};
use wtgram::link::LinkSession;
use wtgram::link::config::ConnectOptions;
use wtgram::link::session::{ClosedBy, Phase};
use wtgram::poller::{Event, Interest, Poller};
use wtgram::runtime::readiness::Ready;
use wtgram::runtime::wait::Deadline;

const H3_NO_ERROR: u64 = 0x100;
const H3_REQUEST_CANCELLED: u64 = 0x10c;

fn start(url: &str, options: &ConnectOptions) -> Connecting {
    Connecting::start(url, options, &TransportOptions::default()).expect("it starts")
}

/// An address that never answers, as long as the socket lives.
fn silence() -> (UdpSocket, String) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a UDP socket");
    let url = format!("https://{}/", socket.local_addr().expect("bound"));
    (socket, url)
}

/// The error of an attempt that fails.
fn failure(connecting: &Connecting) -> Error {
    connecting.link.wait_connected(soon()).expect_err("no session")
}

/// Waits until nothing of the session is left in memory.
fn gone(session: &Weak<LinkSession>) {
    eventually("nothing of the attempt is left", || session.strong_count() == 0);
}

#[test]
fn a_session_that_is_being_established_has_a_state_and_nothing_else() {
    let (_socket, url) = silence();
    let connecting = start(&url, &trusting_hash([0; 32]));
    let link = &connecting.link;
    assert_eq!(link.phase(), Phase::Connecting);
    assert_eq!(link.wait_connected(Deadline::Now), Err(Error::WouldBlock));
    assert_eq!(link.wait_connected(after(Duration::from_millis(20))), Err(Error::TimedOut));
    assert_eq!(link.connect_failure(), Err(Error::WouldBlock));
    assert_eq!(link.close_info(), None);
    fn invalid<T>(result: Result<T>) -> bool {
        matches!(result, Err(Error::InvalidState(_)))
    }
    assert!(invalid(connecting.datagrams()) && invalid(link.established()) && invalid(link.stats()));
    assert!(invalid(link.remote_address()) && invalid(link.local_address()));
    link.close(7, "no more").expect("closed");
    assert_eq!(link.phase(), Phase::Closed);
    assert_eq!(link.wait_connected(Deadline::Never), Err(Error::Closed));
    assert_eq!(link.connect_failure(), Ok(Error::Closed));
    let info = link.close_info().expect("it is closed");
    assert_eq!((info.by, info.code, info.reason.as_str()), (ClosedBy::Local, 7, "no more"));
    assert!(matches!(connecting.datagrams(), Err(Error::Closed)));
    assert!(matches!(link.established(), Err(Error::Closed)));
}

#[test]
fn whoever_sees_that_a_session_is_connected_finds_its_transport() {
    let server = listen();
    let poller = Poller::new().expect("a poller");
    let connected = Interest { ready: Ready::CONNECTED, one_shot: false };
    for number in 0..100 {
        let connecting = start(&url_at("127.0.0.1", &server), &trusting(&server));
        poller.add(number, Arc::clone(&connecting.link) as _, connected, number).expect("added");
        let mut events = [Event { object: 0, cookie: 0, ready: Ready::NONE }];
        assert_eq!(poller.wait(&mut events, soon()), Ok(1));
        assert_eq!((events[0].object, events[0].ready), (number, Ready::CONNECTED));
        let transport = Arc::clone(connecting.datagrams().expect("a transport"));
        assert_eq!(connecting.link.wait_connected(Deadline::Now), Ok(()));
        let accepted = server.accept(soon()).expect("the same");
        transport.outgoing.send(b"early", &Default::default(), soon()).expect("sent");
        assert_eq!(receive(&accepted.datagrams), b"early");
        poller.remove(number).expect("it was there");
        // What became of the session later does not change how the attempt ended.
        connecting.link.close(0, "").expect("closed");
        assert_eq!(connecting.link.wait_connected(Deadline::Now), Ok(()));
        assert!(matches!(connecting.link.connect_failure(), Err(Error::InvalidState(_))));
    }
    server.link.close();
}

#[test]
fn a_failed_attempt_is_closed_and_says_why_wherever_one_asks() {
    let server = listen();
    let connecting = start(&url_at("127.0.0.1", &server), &trusting_hash([0; 32]));
    let poller = Poller::new().expect("a poller");
    let connected = Interest { ready: Ready::CONNECTED, one_shot: false };
    poller.add(1, Arc::clone(&connecting.link) as _, connected, 1).expect("added");
    let mut events = [Event { object: 0, cookie: 0, ready: Ready::NONE }];
    assert_eq!(poller.wait(&mut events, soon()), Ok(1));
    assert_eq!(events[0].ready, Ready::CLOSED);
    let error = failure(&connecting);
    assert!(matches!(&error, Error::CertificateHashMismatch(_)), "{error}");
    assert_eq!(connecting.link.connect_failure(), Ok(error.clone()));
    let info = connecting.link.close_info().expect("it is closed");
    assert_eq!((info.by, info.reason), (ClosedBy::Transport, error.to_string()));
    // Closing it again changes nothing.
    connecting.link.close(1, "late").expect("ignored");
    assert_eq!(failure(&connecting), error);
    assert!(matches!(connecting.datagrams(), Err(Error::Closed)));
    let session = Arc::downgrade(&connecting.link);
    drop((connecting, poller));
    gone(&session);
    server.link.close();
}

#[test]
fn closing_ends_an_attempt_at_every_stage_and_leaves_nothing_behind() {
    type Stage = fn(&Raw) -> Vec<wtransport::quinn::SendStream>;
    let stages: [Stage; 3] = [
        |_| vec![],
        |raw| vec![raw.open_uni(control(OLD_SETTINGS))],
        |raw| {
            let control = raw.open_uni(control(OLD_SETTINGS));
            let (send, mut receive) = raw.accept_bi();
            assert_eq!(read_frame(&mut receive).expect("a request").0, HEADERS);
            vec![control, send]
        },
    ];
    for stage in stages {
        let server = RawServer::new();
        let connecting = start(&server.url(), &trusting_hash(server.hash()));
        let raw = server.accept();
        let _kept = stage(&raw);
        connecting.link.close(0, "").expect("closed");
        // A client that does not know yet that QUIC is connected has no request to cancel.
        let code = raw.closed();
        assert!(code == Some(H3_REQUEST_CANCELLED) || code == Some(H3_NO_ERROR), "{code:?}");
        let session = Arc::downgrade(&connecting.link);
        drop(connecting);
        gone(&session);
    }
    // Before QUIC is connected, and while the name is looked up.
    let (_socket, url) = silence();
    for url in [url.as_str(), "https://localhost:1/", "https://no-such-host.invalid/"] {
        let connecting = start(url, &trusting_hash([0; 32]));
        connecting.link.close(0, "").expect("closed");
        assert_eq!(failure(&connecting), Error::Closed);
        let session = Arc::downgrade(&connecting.link);
        drop(connecting);
        gone(&session);
    }
}

#[test]
fn an_attempt_that_is_cancelled_while_it_succeeds_leaves_no_session_with_the_server() {
    let server = listen();
    let (mut established, mut cancelled) = (0, 0);
    for number in 0..300 {
        let connecting = start(&url_at("127.0.0.1", &server), &trusting(&server));
        // A session over loopback takes a millisecond or two.
        std::thread::sleep(Duration::from_micros(number * 10));
        connecting.link.close(9, "changed my mind").expect("closed");
        match connecting.link.wait_connected(Deadline::Now) {
            Ok(()) => established += 1,
            Err(error) => {
                assert_eq!(error, Error::Closed);
                cancelled += 1;
            }
        }
    }
    assert!(established + cancelled == 300, "each ends one way or the other");
    while let Ok(accepted) = server.accept(after(Duration::from_millis(500))) {
        let info = accepted.link.wait_closed(soon()).expect("its client has left");
        assert!(!info.reason.contains("timed out"), "and has said so: {}", info.reason);
    }
    server.link.close();
}

/// The error of a client whose request `answer` answers.
fn refused_by(answer: impl FnOnce(RawServer)) -> Error {
    let server = RawServer::new();
    let connecting = start(&server.url(), &trusting_hash(server.hash()));
    answer(server);
    failure(&connecting)
}

#[test]
fn a_rejection_says_whether_and_when_to_try_again() {
    for (status, retry) in [
        (302, false),
        (400, false),
        (403, false),
        (404, false),
        (408, true),
        (425, true),
        (429, true),
        (500, true),
        (501, false),
        (502, true),
        (503, true),
        (504, true),
        (505, false),
        (599, true),
    ] {
        let mut kept = None;
        let error = refused_by(|server| kept = Some(server.serve(OLD_SETTINGS, &response(status))));
        assert_eq!(error, Error::Rejected { status, retry_after: None });
        assert_eq!(error.is_retryable(), retry, "{status}");
    }
    let mut kept = None;
    let answer = headers(&[(":status", "503"), ("retry-after", "7")]);
    let error = refused_by(|server| kept = Some(server.serve(OLD_SETTINGS, &answer)));
    let retry_after = Some(RetryAfter::Delay(Duration::from_secs(7)));
    assert_eq!(error, Error::Rejected { status: 503, retry_after });
}

#[test]
fn a_server_that_ends_the_connection_says_whether_to_try_again() {
    // H3_NO_ERROR, H3_REQUEST_REJECTED and _CANCELLED; H3_INTERNAL_ERROR, _EXCESSIVE_LOAD and
    // _MESSAGE_ERROR.
    for (code, retry) in
        [(0x100, true), (0x10b, true), (0x10c, true), (0x102, false), (0x107, false), (0x10e, false)]
    {
        let check = |error: Error| {
            let refused = matches!(&error, Error::ConnectionRefused(_));
            assert!(refused == retry && (retry || matches!(&error, Error::Protocol(_))), "{error}");
            assert_eq!(error.is_retryable(), retry, "{error}");
        };
        check(refused_by(|server| server.accept().close(code)));
        let mut kept = None;
        check(refused_by(|server| {
            let mut raw = server.serve(OLD_SETTINGS, b"");
            raw.send.reset(code.into()).expect("a stream");
            kept = Some(raw);
        }));
    }
}

#[test]
fn an_address_without_a_route_fails_at_once() {
    let loopback = Some(Ipv4Addr::LOCALHOST.into());
    let options = ConnectOptions { bind_host: loopback, timeout: PATIENCE, ..trusting_hash([0; 32]) };
    // From the loopback address, nothing but this machine can be reached.
    let error = failure(&start("https://198.51.100.1/", &options));
    assert!(matches!(&error, Error::Io { message, .. } if message.contains("198.51.100.1")), "{error}");
    assert!(error.is_retryable());
}
