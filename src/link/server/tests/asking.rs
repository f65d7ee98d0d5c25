//! A server that asks its program about each request, under attack, in invented time.

use std::time::Duration;

use super::stats::{HandshakeFailure, Refused};
use super::*;
use crate::link::config::IdentitySource;

/// Few enough half-open connections that a small flood fills their places many times.
const MOST_HALF_OPEN: usize = 8;

/// A server that asks, and the network around it.
fn asking(accept_backlog: usize) -> (Network, Arc<Server>) {
    serve(ListenOptions { asks: true, accept_backlog, ..ListenOptions::default() }, Ok)
}

/// A server that makes `prepare` of its sessions, and the network around it.
fn serve(
    options: ListenOptions,
    prepare: fn(Arc<LinkSession>) -> Result<Arc<LinkSession>>,
) -> (Network, Arc<Server>) {
    let (mut network, _) = Network::new();
    let host = &mut network.hosts[SERVER];
    let options = ListenOptions {
        identity: IdentitySource::SelfSigned { names: Vec::new() },
        limits: Limits {
            max_half_open: MOST_HALF_OPEN,
            retry_above_half_open: MOST_HALF_OPEN,
            ..Limits::default()
        },
        ..options
    };
    let server = Server::on_lanes(&options, &[Arc::clone(&host.lane)], here(), false, prepare).unwrap();
    host.sockets.open(server.endpoints()[0].1, here());
    network.trusted = server.certificate_hash();
    (network, server)
}

/// The next request of a client at this port, and its attempt.
fn request(network: &mut Network, server: &Server, port: u16) -> (Attempt, Arc<Request>) {
    let attempt = network.asking(at(0, port), here());
    network.run_until("the request waits", |_| !server.ready().is_empty());
    (attempt, server.next_request(Deadline::Now).unwrap())
}

#[test]
fn a_flood_ends_no_request_that_waits_for_the_program() {
    let (mut network, server) = asking(128);
    let (in_hands, request) = request(&mut network, &server, 1000);
    let queued = network.asking(at(0, 1001), here());
    network.run_until("the request waits", |_| !server.ready().is_empty());
    // One address, which proves that it is there and then asks for nothing.
    let flood: Vec<_> = (1..=5 * MOST_HALF_OPEN)
        .map(|port| {
            let attempt = network.attempt(at(9, port as u16), here());
            network.run_for(Duration::from_millis(10));
            attempt
        })
        .collect();
    let stats = server.stats();
    assert!(stats.failed[HandshakeFailure::Evicted as usize] >= 4 * MOST_HALF_OPEN as u64, "{stats:?}");
    assert_eq!(stats.half_open, 2 + MOST_HALF_OPEN as u64, "those that wait have no session yet either");
    server.accept_request(&request, &[], None).unwrap();
    network.run_until("the first has its session", |_| in_hands.is_established());
    let request = server.next_request(Deadline::Now).unwrap();
    server.accept_request(&request, &[], None).unwrap();
    network.run_until("the second, too", |_| queued.is_established());
    drop(flood);
}

#[test]
fn requests_in_the_programs_hands_make_nobody_prove_an_address() {
    let (mut network, server) = asking(128);
    let _held: Vec<_> =
        (0..=MOST_HALF_OPEN as u16).map(|index| request(&mut network, &server, 1000 + index)).collect();
    assert_eq!(server.stats().retries, 0);
}

#[test]
fn requests_in_the_programs_hands_count_as_waiting() {
    let (mut network, server) = asking(2);
    let (_first, held) = request(&mut network, &server, 1000);
    let _second = network.asking(at(0, 1001), here());
    network.run_until("the request waits", |_| !server.ready().is_empty());
    let third = network.asking(at(0, 1002), here());
    network.run_until("it is answered", |_| third.answer().is_some());
    let refused = Error::Rejected { status: 503, retry_after: None };
    assert_eq!(third.answer(), Some(Err(refused)));
    assert_eq!(server.stats().refused[Refused::Backlog as usize], 1);
    server.reject_request(&held, 404, &[]).unwrap();
    drop(held);
    let fourth = network.asking(at(0, 1003), here());
    network.run_for(Duration::from_millis(50));
    assert_eq!(fourth.answer(), None, "it has the place of the first");
}

#[test]
fn a_refused_client_that_acknowledges_nothing_is_counted_once() {
    let (mut network, server) = asking(128);
    let (attempt, held) = request(&mut network, &server, 1000);
    network.rule = Box::new(|train| train.to != here());
    server.reject_request(&held, 404, &[]).unwrap();
    network.run_until("the client is given up", |_| server.stats().connections == 0);
    let stats = server.stats();
    assert_eq!(stats.refused.iter().sum::<u64>(), 1, "{stats:?}");
    assert_eq!(stats.failed.iter().sum::<u64>(), 0, "{stats:?}");
    drop(attempt);
}

#[test]
fn a_session_that_finds_no_place_in_the_backlog_is_refused_and_not_established() {
    let full = |_| Err(Error::LimitReached("no place".into()));
    let (mut network, server) = serve(ListenOptions::default(), full);
    let attempt = network.asking(at(0, 1000), here());
    network.run_until("it is answered", |_| attempt.answer().is_some());
    let stats = server.stats();
    assert_eq!((stats.established, stats.refused[Refused::Backlog as usize]), (0, 1), "{stats:?}");
}
