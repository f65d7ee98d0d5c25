//! Sessions on a path with one blocked direction. The other direction goes on.

use std::time::Duration;

use support::simulator::Direction;
use support::simulator::session::LossyPair;
use wtgram::datagram::options::SendOptions;
use wtgram::datagram::send::FullPolicy;
use wtgram::runtime::wait::{Deadline, Timeout};

fn soon() -> Deadline {
    Timeout::After(Duration::from_secs(60)).deadline()
}

/// RFC 9002 section 7: acknowledgements are not subject to congestion control. quinn withholds them
/// all the same while it has something else to send that the congestion window does not allow.
#[test]
fn a_side_whose_own_datagrams_do_not_get_through_still_acknowledges_what_it_receives() {
    // 200 kB, far more than the initial congestion window: most of it needs acknowledgements to go on.
    const COUNT: u32 = 2_000;
    let pair = LossyPair::new(21);
    let (client, server) = (&pair.client.datagrams, &pair.accepted.datagrams);
    for transport in [client, server] {
        transport.outgoing.set_policy(FullPolicy::Wait);
    }
    // Datagrams of the server are lost, packets with nothing but acknowledgements are not.
    pair.link.update(Direction::Down, |link| link.mtu_bytes = 600);
    let options = SendOptions::default();
    let received = std::thread::scope(|scope| {
        scope.spawn(|| while server.outgoing.send(&[0; 1000], &options, Deadline::Never).is_ok() {});
        scope.spawn(|| {
            for number in 0..COUNT {
                let mut datagram = [0; 100];
                datagram[..4].copy_from_slice(&number.to_be_bytes());
                if client.outgoing.send(&datagram, &options, soon()).is_err() {
                    return;
                }
            }
        });
        let mut buffer = [0; 100];
        let received = (0..COUNT)
            .take_while(|number| {
                server.incoming.receive(&mut buffer, soon()).is_ok() && buffer[..4] == number.to_be_bytes()
            })
            .count();
        pair.accepted.link.close(0, "").unwrap();
        received
    });
    assert_eq!(received, COUNT as usize);
    assert!(pair.link.counters(Direction::Down).too_large > 0, "the server's datagrams got through");
}
