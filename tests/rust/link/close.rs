//! How sessions end: each side knows who closed, the close arrives, and no thread keeps waiting.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use support::pair::*;
use support::raw_peer::*;
use wtgram::datagram::session::{Server, Session};
use wtgram::error::{Error, Result};
use wtgram::link::session::{CloseInfo, ClosedBy};
use wtgram::poller::{Event, Interest, Poller};
use wtgram::runtime::readiness::{Pollable, Ready};
use wtgram::runtime::wait::Deadline;
use wtransport::quinn::{SendStream, VarInt};

fn info(by: ClosedBy, code: u32, reason: &str) -> CloseInfo {
    CloseInfo { by, code, reason: reason.into(), transport_error: 0 }
}

fn raw_session(server: &Server) -> (RawSession, Session) {
    let raw = Raw::session(address(server));
    (raw, server.accept(soon()).expect("the raw client's session"))
}

fn connecting(server: &RawServer) -> JoinHandle<Result<Session>> {
    let (url, options) = (server.url(), trusting_hash(server.hash()));
    std::thread::spawn(move || connect(&url, &options))
}

#[test]
fn code_and_reason_reach_the_other_side_whole_from_either_side() {
    let server = listen();
    let longest = "x".repeat(1024);
    let multibyte = "é".repeat(512);
    let words =
        [(0, ""), (1, "plain"), (u32::MAX, longest.as_str()), (7, multibyte.as_str()), (8, "終わり 🎈\0")];
    for (code, reason) in words {
        for from_client in [true, false] {
            let (client, accepted) = pair(&server);
            let (closing, other) = if from_client { (client, accepted) } else { (accepted, client) };
            closing.link.close(code, reason).expect("a good reason");
            assert_eq!(wait_closed(&other), info(ClosedBy::Peer, code, reason));
            assert_eq!(wait_closed(&closing), info(ClosedBy::Local, code, reason));
        }
    }
    server.link.close();
}

#[test]
fn a_reason_beyond_1024_bytes_is_refused_and_the_session_lives_on() {
    let server = listen();
    let (client, accepted) = pair(&server);
    for reason in ["x".repeat(1025), "é".repeat(513)] {
        assert!(matches!(client.link.close(1, &reason), Err(Error::InvalidArgument(_))));
    }
    exchange(&client, &accepted);
    client.link.close(2, "second").expect("a good reason");
    client.link.close(3, "third").expect("no error");
    assert_eq!(wait_closed(&accepted), info(ClosedBy::Peer, 2, "second"));
    server.link.close();
}

#[test]
fn our_goodbye_is_a_capsule_then_the_end_of_the_stream_then_the_quic_close() {
    let server = listen();
    let (mut raw, session) = raw_session(&server);
    session.link.close(0x0102_0304, "bye").expect("a good reason");
    assert_eq!(raw.read_data_to_end(), Ok(close_capsule(0x0102_0304, b"bye")));
    assert_eq!(raw.raw.closed(), Some(0x100));
    server.link.close();
}

#[test]
fn a_close_right_after_connect_reaches_who_accepted_the_session_or_takes_it_from_the_backlog() {
    let server = listen();
    for code in 0..20 {
        let client = connect(&url_at("127.0.0.1", &server), &trusting(&server)).expect("a session");
        client.link.close(code, "changed my mind").expect("a good reason");
        drop(client);
        if let Ok(accepted) = server.accept(Deadline::Now) {
            let end = wait_closed(&accepted);
            assert_eq!(end, info(ClosedBy::Peer, end.code, "changed my mind"));
        }
    }
    eventually("nobody waits for accept", || server.link.ready().is_empty());
    let (client, accepted) = pair(&server);
    exchange(&client, &accepted);
    server.link.close();
}

#[test]
fn a_close_right_before_the_last_handle_is_dropped_reaches_the_peer() {
    let server = listen();
    let (client, accepted) = pair(&server);
    accepted.link.close(9, "dropped").expect("a good reason");
    drop(accepted);
    assert_eq!(wait_closed(&client), info(ClosedBy::Peer, 9, "dropped"));
    server.link.close();
}

#[test]
fn what_arrived_before_the_close_is_received_after_it() {
    let server = listen();
    let (mut raw, session) = raw_session(&server);
    for index in 0..100_u8 {
        raw.raw.datagram(&[0, index]);
    }
    raw.write(&frame(DATA, &close_capsule(5, b"")));
    raw.finish();
    assert_eq!(wait_closed(&session), info(ClosedBy::Peer, 5, ""));
    let mut buffer = [0; 8];
    for index in 0..100_u8 {
        assert_eq!(session.datagrams.incoming.receive(&mut buffer, soon()).expect("it arrived").size, 1);
        assert_eq!(buffer[0], index);
    }
    assert_eq!(session.datagrams.incoming.receive(&mut buffer, soon()).err(), Some(Error::Closed));
    assert_eq!(session.datagrams.outgoing.send(b"x", &Default::default(), soon()).err(), Some(Error::Closed));
    server.link.close();
}

#[test]
fn when_both_close_at_once_both_know() {
    let _alone = alone();
    let server = listen();
    for _ in 0..20 {
        let (client, accepted) = pair(&server);
        let other = Arc::clone(&accepted.link);
        let thread = std::thread::spawn(move || other.close(2, "server"));
        client.link.close(1, "client").expect("a good reason");
        thread.join().expect("no panic").expect("a good reason");
        let ends = (wait_closed(&client), wait_closed(&accepted));
        assert!([info(ClosedBy::Local, 1, "client"), info(ClosedBy::Peer, 2, "server")].contains(&ends.0));
        assert!([info(ClosedBy::Local, 2, "server"), info(ClosedBy::Peer, 1, "client")].contains(&ends.1));
    }
    server.link.close();
}

#[test]
fn a_peer_that_leaves_without_words_is_told_apart_from_one_that_breaks_off() {
    let server = listen();
    let (raw, session) = raw_session(&server);
    raw.raw.close(0x100);
    assert_eq!(wait_closed(&session), info(ClosedBy::Peer, 0, ""));
    for code in [0, 0x102] {
        let (raw, session) = raw_session(&server);
        raw.raw.close(code);
        let end = wait_closed(&session);
        assert_eq!((end.by, end.transport_error), (ClosedBy::Transport, u64::from(code)));
        assert!(!end.reason.is_empty());
    }
    let (mut raw, session) = raw_session(&server);
    raw.finish();
    assert_eq!(wait_closed(&session), info(ClosedBy::Peer, 0, ""));
    server.link.close();
}

#[test]
fn a_connect_stream_that_is_reset_or_no_longer_read_ends_the_session_with_its_code() {
    let server = listen();
    let (mut raw, session) = raw_session(&server);
    raw.send.reset(VarInt::from_u32(0x10c)).expect("open");
    let end = wait_closed(&session);
    assert_eq!((end.by, end.transport_error), (ClosedBy::Transport, 0x10c));
    assert!(end.reason.contains("CONNECT stream"), "{}", end.reason);
    let (mut raw, session) = raw_session(&server);
    raw.receive.stop(VarInt::from_u32(0x10c)).expect("open");
    let end = wait_closed(&session);
    assert_eq!((end.by, end.transport_error), (ClosedBy::Transport, 0x10c));
    // Some peers close this way: with the capsule and STOP_SENDING.
    let (mut raw, session) = raw_session(&server);
    raw.receive.stop(VarInt::from_u32(0x100)).expect("open");
    std::thread::sleep(Duration::from_millis(20));
    raw.write(&frame(DATA, &close_capsule(6, b"six")));
    raw.finish();
    assert_eq!(wait_closed(&session), info(ClosedBy::Peer, 6, "six"));
    server.link.close();
}

/// Tests that stop the lane which all sessions of this program share, run one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock()
}

/// Stops the lane of `session` until the returned guard is dropped. Then it sees all at once what
/// arrived meanwhile.
fn stop_lane(session: &Session) -> MutexGuard<'_, ()> {
    session.link.lane().pause()
}

/// Writes and finishes, and closes the connection as soon as that was sent.
fn say_and_leave(raw: &Raw, send: &mut SendStream, bytes: &[u8]) {
    let before = raw.quic.stats().frame_tx.stream;
    write(send, bytes);
    send.finish().expect("open");
    eventually("it was sent", || raw.quic.stats().frame_tx.stream > before);
    let before = raw.quic.stats().udp_tx.datagrams;
    raw.close(0x100);
    eventually("so was the close", || raw.quic.stats().udp_tx.datagrams > before);
}

#[test]
fn last_words_count_even_when_the_quic_close_comes_with_them() {
    let _alone = alone();
    let server = listen();
    for code in 0..30 {
        let (mut raw, session) = raw_session(&server);
        let go_on = stop_lane(&session);
        let words = frame(DATA, &close_capsule(code, b"in one flight"));
        say_and_leave(&raw.raw, &mut raw.send, &words);
        drop(go_on);
        assert_eq!(wait_closed(&session), info(ClosedBy::Peer, code, "in one flight"));
    }
    server.link.close();
    // The same for a server's answer. Another session stops the lane that they share.
    let ours = listen();
    let (other, _accepted) = pair(&ours);
    for _ in 0..10 {
        let server = RawServer::new();
        let client = connecting(&server);
        let raw = server.accept();
        let _control = raw.open_uni(control(OLD_SETTINGS));
        let (mut send, _receive) = raw.accept_bi();
        let go_on = stop_lane(&other);
        say_and_leave(&raw, &mut send, &response(404));
        drop(go_on);
        assert_eq!(
            client.join().expect("no panic").err(),
            Some(Error::Rejected { status: 404, retry_after: None })
        );
    }
    ours.link.close();
}

#[test]
fn wait_closed_is_not_held_up_by_the_grace_that_the_connection_gets() {
    let _alone = alone();
    let server = listen();
    // The raw peer acknowledges our close and never answers it. While the lane stands still, no
    // grace period ends.
    let (_raw, session) = raw_session(&server);
    let go_on = stop_lane(&session);
    session.link.close(1, "").expect("a good reason");
    wait_closed(&session);
    drop(go_on);
    // On a busy machine the grace period may end before this thread looks, but not each time.
    let known_while_open = (0..100).any(|_| {
        let (mut raw, session) = raw_session(&server);
        raw.write(&frame(DATA, &close_capsule(1, b"")));
        wait_closed(&session);
        raw.raw.is_open()
    });
    assert!(known_while_open, "the end is told when the connection has ended");
    server.link.close();
}

#[test]
fn a_goodbye_that_nobody_acknowledges_holds_nobody_up() {
    let _alone = alone();
    let server = listen();
    let wire = Wire::to(address(&server));
    let url = format!("https://127.0.0.1:{}/", wire.address.port());
    let client = connect(&url, &trusting(&server)).expect("a session");
    wire.cut();
    // While the lane stands still, no event for it can occur.
    let go_on = stop_lane(&client);
    client.link.close(1, "anybody?").expect("a good reason");
    assert!(client.link.is_closed());
    assert_eq!(wait_closed(&client), info(ClosedBy::Local, 1, "anybody?"));
    drop(go_on);
    server.link.close();
}

#[test]
fn a_close_from_another_thread_ends_every_wait() {
    let _alone = alone();
    let server = Arc::new(listen());
    let (client, accepted) = pair(&server);
    let (client, accepted) = (Arc::new(client), Arc::new(accepted));
    let wait_for_close = |poller: &Arc<Poller>| -> Box<dyn FnOnce() + Send> {
        let poller = Arc::clone(poller);
        Box::new(move || {
            let mut events = [Event { object: 0, cookie: 0, ready: Ready::NONE }];
            assert_eq!(poller.wait(&mut events, Deadline::Never), Ok(1));
            assert_eq!((events[0].cookie, events[0].ready), (7, Ready::CLOSED));
        })
    };
    let interest = Interest { ready: Ready::CLOSED, one_shot: false };
    let pollers: Vec<_> = (0..3).map(|_| Poller::new().expect("a poller")).collect();
    pollers[0].add(1, Arc::clone(&client.link) as _, interest, 7).expect("added");
    pollers[1].add(1, Arc::clone(&client.datagrams) as _, interest, 7).expect("added");
    pollers[2].add(1, Arc::clone(&server.link) as _, interest, 7).expect("added");
    let receive = |session: &Arc<Session>| -> Box<dyn FnOnce() + Send> {
        let session = Arc::clone(session);
        Box::new(move || {
            assert_eq!(
                session.datagrams.incoming.receive(&mut [0; 9], Deadline::Never).err(),
                Some(Error::Closed)
            );
        })
    };
    let waiting = Arc::clone(&client);
    let other = Arc::clone(&accepted);
    wakes_all(
        vec![
            receive(&client),
            receive(&client),
            receive(&accepted),
            Box::new(move || drop(waiting.link.wait_closed(Deadline::Never).expect("closed"))),
            Box::new(move || drop(other.link.wait_closed(Deadline::Never).expect("closed"))),
            wait_for_close(&pollers[0]),
            wait_for_close(&pollers[1]),
        ],
        || client.link.close(1, "").expect("a good reason"),
    );
    let accepting = |server: &Arc<Server>| -> Box<dyn FnOnce() + Send> {
        let server = Arc::clone(server);
        Box::new(move || assert_eq!(server.accept(Deadline::Never).err(), Some(Error::Closed)))
    };
    wakes_all(vec![accepting(&server), accepting(&server), wait_for_close(&pollers[2])], || {
        server.link.close()
    });
}

#[test]
fn closing_a_server_closes_its_sessions_and_those_that_nobody_accepted() {
    let server = listen();
    let (client, accepted) = pair(&server);
    let waiting = connect(&url_at("127.0.0.1", &server), &trusting(&server)).expect("a session");
    server.link.close();
    assert_eq!(wait_closed(&client), info(ClosedBy::Peer, 0, ""));
    assert_eq!(wait_closed(&accepted), info(ClosedBy::Local, 0, ""));
    assert_eq!(wait_closed(&waiting), info(ClosedBy::Peer, 0, ""));
    assert_eq!(server.accept(soon()).err(), Some(Error::Closed));
}

#[test]
fn a_server_gives_its_code_and_reason_to_every_peer_once() {
    let server = listen();
    let (client, accepted) = pair(&server);
    let waiting = connect(&url_at("127.0.0.1", &server), &trusting(&server)).expect("a session");
    let mut raw = Raw::session(address(&server));
    let early = connect(&url_at("127.0.0.1", &server), &trusting(&server)).expect("a session");
    early.link.close(3, "").expect("a good reason");
    let too_long = server.link.close_with(1, &"x".repeat(1025));
    assert!(matches!(too_long, Err(Error::InvalidArgument(_))));
    exchange(&client, &accepted);
    server.link.close_with(503, "maintenance").expect("a good reason");
    server.link.close_with(1, "again").expect("no error");
    server.link.close();
    assert_eq!(wait_closed(&client), info(ClosedBy::Peer, 503, "maintenance"));
    assert_eq!(wait_closed(&accepted), info(ClosedBy::Local, 503, "maintenance"));
    assert_eq!(wait_closed(&waiting), info(ClosedBy::Peer, 503, "maintenance"));
    assert_eq!(raw.read_data_to_end(), Ok(close_capsule(503, b"maintenance")));
    assert_eq!(wait_closed(&early), info(ClosedBy::Local, 3, ""), "it had ended before");
}
