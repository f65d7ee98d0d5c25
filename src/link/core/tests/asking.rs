//! Tests of clients that ask for their session after the connection is gone.

use quinn_proto::Dir;

use super::*;

/// What a client hears that asks for its session now, when its connection is gone.
fn asks_too_late(network: &mut Network, attempt: &Attempt) -> Result<(), Error> {
    let request = ConnectRequest::new("localhost", "/", &[]).unwrap();
    let heard = Arc::new(Mutex::new(None));
    let hears = Arc::clone(&heard);
    let done = Box::new(move |outcome: Result<(), Error>| *hears.lock() = Some(outcome));
    network.hosts[CLIENT].lane.core().ask(network.now, attempt.key, Ask { request, done });
    heard.lock().take().expect("at once")
}

#[test]
fn a_client_that_asks_long_after_the_server_has_closed_hears_why() {
    let (mut network, _door) = Network::new();
    let attempt = network.attempt(at(0, 1000), server());
    network.run_until("QUIC is connected", |_| attempt.state.lock().connected);
    let endpoint = network.hosts[SERVER].socket(server()).unwrap();
    network.hosts[SERVER].lane.stop_listening(endpoint);
    network.run_until("the connection is forgotten", |network| {
        network.hosts[CLIENT].lane.core().connections() == 0
    });

    let outcome = asks_too_late(&mut network, &attempt);
    assert!(
        matches!(&outcome, Err(Error::ConnectionRefused(text)) if text.contains("closed the connection with HTTP/3 code 0x100")),
        "{outcome:?}"
    );
}

#[test]
fn a_client_that_asks_after_the_server_broke_the_protocol_hears_how() {
    for is_forgotten in [true, false] {
        let (mut network, _door) = Network::new();
        let attempt = network.attempt(at(0, 1000), server());
        network.run_until("QUIC is connected", |_| attempt.state.lock().connected);
        network.run_for(Duration::from_millis(10));
        // A second control stream (RFC 9114 section 6.2.1).
        for (_, connection) in &mut network.hosts[SERVER].lane.core().connections {
            let id = connection.quic.streams().open(Dir::Uni).unwrap();
            connection.quic.send_stream(id).write(&[0, 4, 0]).unwrap();
        }
        let keys: Vec<_> =
            network.hosts[SERVER].lane.core().connections.iter().map(|(_, one)| one.key).collect();
        keys.into_iter().for_each(|key| network.hosts[SERVER].lane.core().list(key));
        network.settle();
        network.collect();
        if is_forgotten {
            network.run_until("the connection is forgotten", |network| {
                network.hosts[CLIENT].lane.core().connections() == 0
            });
        } else {
            network.run_for(Duration::from_millis(5));
            assert_eq!(network.hosts[CLIENT].lane.core().connections(), 1);
        }
        let outcome = asks_too_late(&mut network, &attempt);
        assert!(
            matches!(&outcome, Err(Error::Protocol(text)) if text.contains("a second stream")),
            "{outcome:?}"
        );
    }
}
