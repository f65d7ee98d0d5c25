//! Real sessions on paths that change: other ports, other sizes, congestion marks.

use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use quinn_udp::{EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use support::pair::{Pair, eventually, receive, soon};
use support::simulator::{Conditions, Direction, Simulator};
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::session::Session;
use wtgram::poller::{Event, Interest, Poller};
use wtgram::runtime::readiness::Ready;
use wtgram::runtime::wait::Deadline;

/// QUIC begins with packets that every path carries, and looks for larger ones in steps of some 20 bytes.
const SMALLEST_MTU: u32 = 1200;

fn through(conditions: Conditions) -> (Pair, Simulator) {
    let mut link = None;
    let pair = Pair::open_through(&TransportOptions::default(), |server| {
        link.insert(Simulator::start(server, 1, conditions).expect("the link starts")).address()
    });
    (pair, link.expect("a link"))
}

fn send(session: &Session, payload: &[u8]) {
    session.datagrams.outgoing.send(payload, &SendOptions::default(), soon()).expect("sent");
}

fn mtu(session: &Session) -> u32 {
    session.link.stats().expect("a connection").path_mtu_bytes
}

fn remote(session: &Session) -> SocketAddr {
    session.link.remote_address().expect("an address")
}

#[test]
fn a_session_lives_on_when_its_client_gets_other_ports_and_datagrams_go_on_both_ways() {
    let (pair, link) = through(Conditions::default());
    let server = remote(&pair.client);
    for number in 0..3_u8 {
        let before = remote(&pair.accepted);
        link.rebind();
        send(&pair.client, &[number, 0]);
        assert_eq!(receive(pair.to()), [number, 0]);
        eventually("the server follows", || remote(&pair.accepted) != before);
        send(&pair.accepted, &[number, 1]);
        assert_eq!(receive(pair.from()), [number, 1]);
        assert_eq!(remote(&pair.client), server, "the client sees no change");
    }
    assert!(!pair.client.link.is_closed() && !pair.accepted.link.is_closed());
}

#[test]
fn datagrams_grow_to_what_the_path_carries_and_shrink_when_it_swallows_large_ones() {
    let (pair, link) = through(Conditions { mtu_bytes: 1350, ..Conditions::default() });
    eventually("both find out what the path carries", || {
        [&pair.client, &pair.accepted].iter().all(|session| mtu(session) > 1350 - 40)
    });
    assert!(mtu(&pair.client) <= 1350 && mtu(&pair.accepted) <= 1350);
    let large = pair.from().outgoing.max_datagram_size().expect("datagrams");
    assert!(large > SMALLEST_MTU as usize, "{large}");
    send(&pair.client, &vec![1; large]);
    assert_eq!(receive(pair.to()).len(), large);

    let poller = Poller::new().expect("a poller");
    let interest = Interest { ready: Ready::SIZE_CHANGED, one_shot: false };
    poller.add(1, Arc::clone(pair.from()) as _, interest, 0).expect("added");
    let mut events = [Event { object: 0, cookie: 0, ready: Ready::NONE }];
    while poller.wait(&mut events, Deadline::Now).is_ok() {}
    link.update(Direction::Up, |up| up.mtu_bytes = SMALLEST_MTU as usize);
    eventually("large datagrams are given up", || {
        // Datagrams that no longer fit are refused as too large from now on.
        let _ = pair.from().outgoing.send(&vec![2; large], &SendOptions::default(), Deadline::Now);
        mtu(&pair.client) == SMALLEST_MTU
    });
    assert_eq!(poller.wait(&mut events, soon()), Ok(1));
    assert_eq!((events[0].object, events[0].ready), (1, Ready::SIZE_CHANGED));
    let small = pair.from().outgoing.max_datagram_size().expect("datagrams");
    assert!(small < large, "{small}");
    pair.from().outgoing.clear();
    let payload = vec![3; small];
    eventually("the largest that fits arrives", || {
        send(&pair.client, &payload);
        let mut buffer = vec![0; 2048];
        let arrived =
            pair.to().incoming.receive(&mut buffer, support::pair::after(Duration::from_millis(100)));
        arrived.is_ok_and(|arrived| buffer[..arrived.size] == payload)
    });
    assert!(mtu(&pair.accepted) > SMALLEST_MTU, "the other direction still carries large ones");
}

/// A relay that marks some of the packets to the server as congested.
struct Marker {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    unmarkable: Arc<AtomicU64>,
}

impl Marker {
    fn to(server: SocketAddr) -> Self {
        let near = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let far = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = near.local_addr().expect("bound");
        let (ended, unmarkable) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let marker = Self { address, ended: Arc::clone(&ended), unmarkable: Arc::clone(&unmarkable) };
        std::thread::spawn(move || {
            let [near_state, far_state] =
                [&near, &far].map(|socket| UdpSocketState::new(socket.into()).expect("a socket"));
            let mut buffer = vec![0; 65_536];
            let mut client = None;
            let mut count = 0_u64;
            while !ended.load(Ordering::SeqCst) {
                let mut carry = |from: (&UdpSocket, &UdpSocketState), is_up: bool| {
                    let mut meta = [RecvMeta::default()];
                    let Ok(1) = from.1.recv(from.0.into(), &mut [IoSliceMut::new(&mut buffer)], &mut meta)
                    else {
                        return false;
                    };
                    let [meta] = meta;
                    if is_up {
                        client = Some(meta.addr);
                    }
                    if meta.ecn != Some(EcnCodepoint::Ect0) {
                        unmarkable.fetch_add(1, Ordering::SeqCst);
                    }
                    count += 1;
                    let ecn =
                        if is_up && count.is_multiple_of(40) { Some(EcnCodepoint::Ce) } else { meta.ecn };
                    let (to, state, destination) =
                        if is_up { (&far, &far_state, Some(server)) } else { (&near, &near_state, client) };
                    for packet in buffer[..meta.len].chunks(meta.stride.max(1)) {
                        let destination = destination.expect("the client spoke first");
                        let one =
                            Transmit { destination, ecn, contents: packet, segment_size: None, src_ip: None };
                        let _ = state.try_send(to.into(), &one);
                    }
                    true
                };
                let up = carry((&near, &near_state), true);
                let down = carry((&far, &far_state), false);
                if !up && !down {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
        });
        marker
    }
}

impl Drop for Marker {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

#[test]
fn packets_leave_with_ect_0_and_marks_that_the_system_reports_reach_quic() {
    let mut marker = None;
    let pair =
        Pair::open_through(&TransportOptions::default(), |server| marker.insert(Marker::to(server)).address);
    let marker = marker.expect("a relay");
    eventually("the sender slows down more often than packets are lost", || {
        send(&pair.client, &[1; 500]);
        let stats = pair.client.link.stats().expect("a connection");
        stats.congestion_events > stats.packets_lost + 3
    });
    assert_eq!(marker.unmarkable.load(Ordering::SeqCst), 0);
    assert_eq!(pair.accepted.link.stats().expect("a connection").congestion_events, 0, "its way is free");
}
