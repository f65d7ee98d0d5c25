//! Servers that stop listening: who is refused, who is let in, and what goes on.

use support::pair::*;
use support::raw_peer::*;
use wtgram::error::Error;
use wtgram::link::config::ListenOptions;
use wtgram::link::session::{ClosedBy, Phase};
use wtgram::poller::{Event, Interest, Poller};
use wtgram::runtime::readiness::{Pollable, Ready};
use wtgram::runtime::wait::Deadline;

#[test]
fn sessions_go_on_those_that_wait_are_accepted_and_new_clients_are_refused() {
    let server = listen();
    let (client, accepted) = pair(&server);
    let another = || connect(&url_at("127.0.0.1", &server), &trusting(&server));
    let waiting = [another().expect("a session"), another().expect("a session")];
    server.link.stop_listening();
    server.link.stop_listening();
    for _ in 0..2 {
        let error = another().err();
        assert!(
            matches!(&error, Some(Error::ConnectionRefused(text)) if text.contains("127.0.0.1")),
            "{error:?}"
        );
    }
    assert_eq!(server.link.ready(), Ready::ACCEPT | Ready::CLOSED);
    exchange(&client, &accepted);
    for one in &waiting {
        exchange(one, &server.accept(Deadline::Now).expect("it waited"));
    }
    assert_eq!(server.accept(Deadline::Never).err(), Some(Error::Closed));
    assert_eq!(server.link.ready(), Ready::CLOSED);
    exchange(&accepted, &client);
    assert_eq!((client.link.phase(), accepted.link.phase()), (Phase::Connected, Phase::Connected));
    let stopped = wtgram::link::server::stats::Refused::Stopped as usize;
    assert!(server.link.stats().refused[stopped] >= 2);
    server.link.close_with(9, "the end").expect("a good reason");
    for end in [&client, &waiting[0], &waiting[1]] {
        let info = wait_closed(end);
        assert_eq!((info.by, info.code, info.reason.as_str()), (ClosedBy::Peer, 9, "the end"));
    }
    server.link.stop_listening();
}

#[test]
fn accept_and_the_poller_hear_of_it() {
    let server = std::sync::Arc::new(listen());
    let poller = Poller::new().expect("a poller");
    let interest = Interest { ready: Ready::ACCEPT, one_shot: false };
    poller.add(1, std::sync::Arc::clone(&server.link) as _, interest, 7).expect("added");
    let accepting = std::sync::Arc::clone(&server);
    let waits: Vec<Box<dyn FnOnce() + Send>> = vec![
        Box::new(move || assert_eq!(accepting.accept(Deadline::Never).err(), Some(Error::Closed))),
        Box::new(move || {
            let mut events = [Event { object: 0, cookie: 0, ready: Ready::NONE }];
            assert_eq!(poller.wait(&mut events, Deadline::Never), Ok(1));
            assert_eq!((events[0].cookie, events[0].ready), (7, Ready::CLOSED));
        }),
    ];
    wakes_all(waits, || server.link.stop_listening());
    server.link.close();
}

#[test]
fn a_handshake_that_is_under_way_ends_with_503() {
    let server = listen();
    let (client, accepted) = pair(&server);
    let raw = Raw::client(address(&server));
    server.link.stop_listening();
    let control = raw.open_uni(control(OLD_SETTINGS));
    let (send, receive) = raw.open_bi(connect_request("webtransport", "localhost"));
    let mut raw = RawSession { raw, control, send, receive };
    assert_eq!(raw.read_status(), 503);
    assert_eq!(raw.raw.closed(), Some(0x100));
    exchange(&client, &accepted);
    server.link.close();
}

#[test]
fn requests_that_wait_are_answered_by_the_program_and_no_more_come() {
    let server = listen_with(&ListenOptions { asks: true, ..on_loopback() });
    let ask = || {
        let (url, options) = (url_at("127.0.0.1", &server), trusting(&server));
        std::thread::spawn(move || connect(&url, &options))
    };
    let taken = ask();
    let request = server.next_request(soon()).expect("a request");
    let waiting = ask();
    eventually("it waits", || !server.link.ready().is_empty());
    let late = Raw::client(address(&server));
    server.link.stop_listening();
    let control = late.open_uni(control(OLD_SETTINGS));
    let (send, receive) = late.open_bi(connect_request("webtransport", "localhost"));
    let mut late = RawSession { raw: late, control, send, receive };
    assert_eq!(late.read_status(), 503);
    let sessions = [(taken, request), (waiting, server.next_request(Deadline::Now).expect("it waited"))];
    for (client, request) in sessions {
        let accepted = request.accept(&[], None).expect("the client waits");
        exchange(&client.join().expect("no panic").expect("a session"), &accepted);
    }
    assert_eq!(server.next_request(Deadline::Never).err(), Some(Error::Closed));
    server.link.close();
}

#[test]
fn the_port_is_free_when_the_last_session_has_ended_though_the_server_is_not_closed() {
    let server = listen();
    let again = ListenOptions { port: address(&server).port(), ..on_loopback() };
    let (client, accepted) = pair(&server);
    server.link.stop_listening();
    exchange(&client, &accepted);
    assert!(matches!(wtgram::link::Server::listen(&again).err(), Some(Error::Io { .. })));
    client.link.close(0, "").expect("a good reason");
    wait_closed(&accepted);
    let mut next = None;
    eventually("the port is free", || {
        next = wtgram::link::Server::listen(&again).ok();
        next.is_some()
    });
    // Closing the first one does nothing to the second.
    server.link.close();
    let next = next.expect("it listens");
    let trust = trusting_hash(next.certificate_hash());
    connect(&format!("https://{}/", next.local_address()), &trust).expect("a session");
    next.close();
}
