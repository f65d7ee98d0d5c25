//! Tests of clients that ask for their session after the connection is gone.

use super::*;

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

    let request = ConnectRequest::new("localhost", "/", &[]).unwrap();
    let heard = Arc::new(Mutex::new(None));
    let hears = Arc::clone(&heard);
    let done = Box::new(move |outcome: Result<(), Error>| *hears.lock() = Some(outcome));
    network.hosts[CLIENT].lane.core().ask(network.now, attempt.key, Ask { request, done });
    let outcome = heard.lock().take().expect("at once");
    assert!(
        matches!(&outcome, Err(Error::ConnectionRefused(text)) if text.contains("closed the connection with HTTP/3 code 0x100")),
        "{outcome:?}"
    );
}
