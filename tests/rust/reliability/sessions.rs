//! The reliability layer over real sessions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::blocked::blocked;
use support::pair::{PATIENCE, Pair};
use wtgram::broadcaster::{Broadcaster, SlowPolicy, Target};
use wtgram::datagram::message::Priority;
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::transport::Transport;
use wtgram::error::Error;
use wtgram::poller::{Event, Interest, Poller};
use wtgram::reliability::MessageOutcome;
use wtgram::reliability::layer::{Layer, LayerOptions};
use wtgram::reliability::negotiation::Mode;
use wtgram::runtime::readiness::{Pollable, Ready, Watcher};
use wtgram::runtime::wait::{Deadline, Timeout};

fn reported(report_id: u64) -> SendOptions {
    SendOptions { report_id: Some(report_id), ..SendOptions::default() }
}

fn soon() -> Deadline {
    Timeout::After(PATIENCE).deadline()
}

fn layers(pair: &Pair) -> (Arc<Layer>, Arc<Layer>) {
    let options = LayerOptions::default();
    let open =
        |session: &wtgram::datagram::session::Session| Layer::open(Arc::clone(&session.datagrams), &options);
    (open(&pair.client).unwrap(), open(&pair.accepted).unwrap())
}

#[test]
fn messages_arrive_once_both_ways_and_each_has_one_outcome() {
    let pair = Pair::open(&TransportOptions::default());
    let (near, far) = layers(&pair);
    const COUNT: u64 = 5_000;
    std::thread::scope(|scope| {
        for (from, to) in [(&near, &far), (&far, &near)] {
            scope.spawn(move || {
                for number in 1..=COUNT {
                    from.send(&number.to_be_bytes(), &reported(number), soon()).unwrap();
                }
            });
            scope.spawn(move || {
                let mut seen = vec![false; COUNT as usize + 1];
                let mut buffer = [0; 8];
                for _ in 0..COUNT {
                    assert_eq!(to.receive(&mut buffer, soon()).unwrap().size, 8);
                    let number = u64::from_be_bytes(buffer) as usize;
                    assert!(!std::mem::replace(&mut seen[number], true), "{number} came twice");
                }
            });
            scope.spawn(move || {
                let mut settled = vec![false; COUNT as usize + 1];
                for _ in 0..COUNT {
                    let report = from.next_outcome(soon()).unwrap();
                    assert_eq!(report.outcome, MessageOutcome::Acknowledged);
                    assert!(!std::mem::replace(&mut settled[report.id as usize], true));
                }
            });
        }
    });
    assert!(near.stats().negotiated);
    assert_eq!(near.next_outcome(Deadline::Now), Err(Error::WouldBlock));
}

#[test]
fn writable_means_that_a_message_of_any_size_finds_room() {
    let pair = Pair::open(&TransportOptions::default());
    let open = |window_bytes| {
        let options = LayerOptions { window_bytes, ..LayerOptions::default() };
        Layer::open(Arc::clone(&pair.client.datagrams), &options).unwrap()
    };
    let largest = pair.client.datagrams.outgoing.max_datagram_size().unwrap();
    let near = open(largest + 100);
    let writable = || near.ready() & Ready::WRITABLE == Ready::WRITABLE;
    assert!(writable());
    // The peer has no layer: nothing is acknowledged.
    near.send(&[0; 200], &SendOptions::default(), soon()).unwrap();
    assert!(!writable(), "there is room for {} bytes, and for no message of {largest}", largest - 100);
}

#[test]
fn a_program_s_own_datagrams_pass_by_the_layer() {
    let pair = Pair::open(&TransportOptions::default());
    let (near, _far) = layers(&pair);
    pair.client.datagrams.outgoing.send(b"plain", &SendOptions::default(), soon()).unwrap();
    near.send(b"reliable", &SendOptions::default(), soon()).unwrap();
    let mut buffer = [0; 64];
    let received = pair.accepted.datagrams.incoming.receive(&mut buffer, soon()).unwrap();
    assert_eq!(&buffer[..received.size], b"plain");
}

/// Datagrams of a program that look like plain frames of a layer.
fn lookalikes() -> impl Iterator<Item = Vec<u8>> {
    (0..100_u32).map(|number| match number % 2 {
        0 => [b"\x04DATA", &number.to_be_bytes()[..], b"the program's own"].concat(),
        _ => format!("\x03ACK{number}").into_bytes(),
    })
}

#[test]
fn a_program_s_own_datagrams_that_look_like_plain_frames_reach_the_reader_once_the_layers_know_each_other() {
    for negotiation in [Mode::Auto, Mode::Required] {
        let pair = Pair::open(&TransportOptions::default());
        let options = LayerOptions { negotiation, ..LayerOptions::default() };
        let near = Layer::open(Arc::clone(&pair.client.datagrams), &options).unwrap();
        let far = Layer::open(Arc::clone(&pair.accepted.datagrams), &options).unwrap();
        let exchange = |text: &[u8]| {
            near.send(text, &SendOptions::default(), soon()).unwrap();
            let mut buffer = [0; 64];
            let received = far.receive(&mut buffer, soon()).unwrap();
            assert_eq!(&buffer[..received.size], text);
        };
        exchange(b"before");
        let until = Instant::now() + Duration::from_secs(30);
        while far.stats().takes_plain {
            assert!(Instant::now() < until, "the window never closes");
            std::thread::sleep(Duration::from_millis(1));
        }
        for own in lookalikes() {
            pair.client.datagrams.outgoing.send(&own, &SendOptions::default(), soon()).unwrap();
        }
        exchange(b"after");
        for own in lookalikes() {
            let mut buffer = [0; 64];
            let received = pair.accepted.datagrams.incoming.receive(&mut buffer, soon()).unwrap();
            assert_eq!(&buffer[..received.size], own, "{negotiation:?}");
        }
        assert_eq!(far.receive(&mut [0; 64], Deadline::Now), Err(Error::WouldBlock));
        let stats = far.stats();
        assert_eq!((stats.plain_left, stats.receiver.peer_restarts), (100, 0));
        assert!(negotiation == Mode::Auto || stats.plain_taken == 0);
        near.close(soon()).unwrap();
    }
}

#[test]
fn a_layer_that_opens_again_is_heard_and_none_of_its_frames_reach_the_reader() {
    let pair = Pair::open(&TransportOptions::default());
    let far = Layer::open(Arc::clone(&pair.accepted.datagrams), &LayerOptions::default()).unwrap();
    for _ in 0..10 {
        let near = Layer::open(Arc::clone(&pair.client.datagrams), &LayerOptions::default()).unwrap();
        // Without an open layer, nothing is interpreted. So the reader gets what the other layer
        // retransmitted meanwhile.
        pair.client.datagrams.incoming.clear();
        for number in 0..20_u64 {
            near.send(&number.to_be_bytes(), &SendOptions::default(), soon()).unwrap();
            far.send(&number.to_be_bytes(), &SendOptions::default(), soon()).unwrap();
        }
        let mut buffer = [0; 8];
        for _ in 0..20 {
            near.receive(&mut buffer, soon()).unwrap();
        }
        assert_nothing_for_the_reader(&pair.client.datagrams);
        near.close(soon()).unwrap();
    }
    assert_nothing_for_the_reader(&pair.accepted.datagrams);
}

#[test]
fn a_ttl_runs_out_also_while_the_queue_below_is_full() {
    let (pair, _link) = blocked(&TransportOptions::default());
    let below = &pair.client.datagrams;
    while below.outgoing.free_places(0) > 0 {
        below.outgoing.send(b"first", &SendOptions::default(), Deadline::Now).unwrap();
    }
    let near = Layer::open(Arc::clone(below), &LayerOptions::default()).unwrap();
    // Long enough that the layer looks at the message before its TTL has passed.
    let options = SendOptions { ttl: Some(Duration::from_millis(200)), ..reported(1) };
    near.send(b"late", &options, soon()).unwrap();
    let report = near.next_outcome(soon()).unwrap();
    assert_eq!((report.id, report.outcome, report.transmissions), (1, MessageOutcome::Expired, 0));
}

fn assert_nothing_for_the_reader(transport: &Transport) {
    let received = transport.stats().inbound;
    assert_eq!(
        transport.incoming.receive(&mut [0; 64], Deadline::Now),
        Err(Error::WouldBlock),
        "{received:?}"
    );
}

#[test]
fn a_message_whose_ttl_passes_before_it_is_sent_expires_also_from_a_broadcaster() {
    let pair = Pair::open(&TransportOptions::default());
    // Nothing is sent before the peer has answered, and the peer has no layer.
    let options = LayerOptions { negotiation: Mode::Required, ..LayerOptions::default() };
    let near = Layer::open(Arc::clone(&pair.client.datagrams), &options).unwrap();
    let urgent = |report_id| SendOptions {
        priority: Priority::HIGHEST,
        ttl: Some(Duration::from_millis(1)),
        report_id: Some(report_id),
    };
    near.send(b"late", &urgent(1), soon()).unwrap();
    let broadcaster = Broadcaster::new(SlowPolicy::Drop);
    broadcaster.add(7, Target::Channel(Arc::clone(&near) as _)).unwrap();
    assert_eq!(broadcaster.broadcast(b"late news", &urgent(2), |_| {}), Ok(1));
    for report_id in [1, 2] {
        let report = near.next_outcome(soon()).unwrap();
        assert_eq!(
            (report.id, report.outcome, report.transmissions),
            (report_id, MessageOutcome::Expired, 0)
        );
    }
    let far = Layer::open(Arc::clone(&pair.accepted.datagrams), &options).unwrap();
    near.send(b"in time", &SendOptions::default(), soon()).unwrap();
    let mut buffer = [0; 64];
    let received = far.receive(&mut buffer, soon()).unwrap();
    assert_eq!(&buffer[..received.size], b"in time");
    assert_eq!(near.stats().sender.expired, 2);
}

#[test]
fn a_ttl_that_passes_while_waiting_for_room_in_the_window_is_a_time_out_without_an_outcome() {
    let pair = Pair::open(&TransportOptions::default());
    let options = LayerOptions { window_messages: 1, ..LayerOptions::default() };
    let near = Layer::open(Arc::clone(&pair.client.datagrams), &options).unwrap();
    near.send(b"fills the window", &SendOptions::default(), soon()).unwrap();
    let short = SendOptions { ttl: Some(Duration::from_millis(5)), ..reported(1) };
    assert_eq!(near.send(b"waits", &short, Deadline::Never), Err(Error::TimedOut));
    assert_eq!(near.next_outcome(Deadline::Now), Err(Error::WouldBlock));
    assert_eq!(near.stats().sender.submitted, 1);
}

#[test]
fn a_buffer_that_is_too_small_loses_nothing() {
    let pair = Pair::open(&TransportOptions::default());
    let (near, far) = layers(&pair);
    near.send(&[7; 100], &SendOptions::default(), soon()).unwrap();
    let mut small = [0; 10];
    assert_eq!(far.receive(&mut small, soon()), Err(Error::BufferTooSmall { needed: 100 }));
    let mut buffer = [0; 100];
    assert_eq!(far.receive(&mut buffer, Deadline::Now).unwrap().size, 100);
}

#[test]
fn a_transport_carries_one_layer_at_a_time_and_another_after_it() {
    let pair = Pair::open(&TransportOptions::default());
    let (near, far) = layers(&pair);
    let again = Layer::open(Arc::clone(&pair.client.datagrams), &LayerOptions::default());
    assert!(matches!(again, Err(Error::InvalidState(_))));
    near.send(b"first", &SendOptions::default(), soon()).unwrap();
    near.close(soon()).unwrap();
    let next = Layer::open(Arc::clone(&pair.client.datagrams), &LayerOptions::default()).unwrap();
    next.send(b"second", &SendOptions::default(), soon()).unwrap();
    let mut buffer = [0; 64];
    for expected in [&b"first"[..], b"second"] {
        let received = far.receive(&mut buffer, soon()).unwrap();
        assert_eq!(&buffer[..received.size], expected);
    }
}

#[test]
fn closing_the_session_gives_every_message_its_outcome_and_wakes_everybody() {
    let pair = Pair::open(&TransportOptions::default());
    let near = Layer::open(Arc::clone(&pair.client.datagrams), &LayerOptions::default()).unwrap();
    // Nobody reads at the other end: no layer is open there, so nothing is acknowledged.
    for number in 1..=100 {
        near.send(&[0; 10], &reported(number), soon()).unwrap();
    }
    let blocked = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| near.receive(&mut [0; 64], Deadline::Never));
        std::thread::sleep(Duration::from_millis(50));
        pair.client.link.close(0, "").unwrap();
        receiver.join().unwrap()
    });
    assert_eq!(blocked, Err(Error::Closed));
    for _ in 0..100 {
        assert_eq!(near.next_outcome(soon()).unwrap().outcome, MessageOutcome::Closed);
    }
    assert_eq!(near.next_outcome(soon()), Err(Error::Closed));
    let stats = near.stats().sender;
    assert_eq!((stats.submitted, stats.closed), (100, 100));
    assert_eq!(near.send(b"late", &SendOptions::default(), soon()), Err(Error::Closed));
}

#[test]
fn a_receiver_that_stops_reading_holds_the_sender_back_and_loses_nothing() {
    let pair = Pair::open(&TransportOptions::default());
    let near = Layer::open(Arc::clone(&pair.client.datagrams), &LayerOptions::default()).unwrap();
    let small = LayerOptions { inbound_messages: 50, ..LayerOptions::default() };
    let far = Layer::open(Arc::clone(&pair.accepted.datagrams), &small).unwrap();
    let mut accepted = 0_u32;
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        match near.send(&accepted.to_be_bytes(), &SendOptions::default(), Deadline::Now) {
            Ok(()) => accepted += 1,
            Err(error) => {
                assert_eq!(error, Error::WouldBlock);
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
    assert!(far.stats().inbound <= 50);
    assert!(accepted < 3_000, "{accepted} messages were accepted although nobody read");
    let mut seen = vec![false; accepted as usize];
    for _ in 0..accepted {
        let mut buffer = [0; 4];
        far.receive(&mut buffer, soon()).unwrap();
        assert!(!std::mem::replace(&mut seen[u32::from_be_bytes(buffer) as usize], true));
    }
    near.close(soon()).unwrap();
}

#[test]
fn a_layer_opened_at_once_after_another_goes_on_with_its_sequences() {
    let pair = Pair::open(&TransportOptions::default());
    let far = Layer::open(Arc::clone(&pair.accepted.datagrams), &LayerOptions::default()).unwrap();
    // Many times, because the fault to find would be a race with the end of the first layer's task.
    for sequence in 0..200 {
        let near = Layer::open(Arc::clone(&pair.client.datagrams), &LayerOptions::default()).unwrap();
        near.send(b"x", &SendOptions::default(), soon()).unwrap();
        // "Exactly once" holds for one layer: a copy that the layer before sent on a busy machine
        // may come first.
        let mut received = far.receive(&mut [0; 8], soon()).unwrap().sequence;
        while received < sequence {
            received = far.receive(&mut [0; 8], soon()).unwrap().sequence;
        }
        assert_eq!(received, sequence);
        let _ = near.close(Deadline::Now);
    }
}

#[test]
fn a_layer_is_settled_while_each_of_its_messages_has_its_outcome() {
    let pair = Pair::open(&TransportOptions::default());
    let options = LayerOptions::default();
    let near = Layer::open(Arc::clone(&pair.client.datagrams), &options).unwrap();
    let poller = Poller::new().unwrap();
    let mut events = [Event { object: 0, cookie: 0, ready: Ready::NONE }; 1];
    let interest = Interest { ready: Ready::SETTLED, one_shot: false };
    poller.add(1, Arc::clone(&near) as _, interest, 0).unwrap();
    assert_eq!(poller.wait(&mut events, Deadline::Now), Ok(1), "there is no message yet");
    near.send(b"x", &SendOptions::default(), soon()).unwrap();
    assert_eq!(poller.wait(&mut events, Deadline::Now), Err(Error::WouldBlock), "nobody acknowledges it yet");
    let far = Layer::open(Arc::clone(&pair.accepted.datagrams), &options).unwrap();
    assert_eq!(poller.wait(&mut events, soon()), Ok(1));
    assert_eq!(events[0].ready, Ready::SETTLED);
    assert_eq!(near.stats().sender.acknowledged, 1);
    drop(far);
}

/// A poller looks at objects with its own lock held. A layer that notifies it with the layer's lock
/// held would wait for the poller while the poller waits for the layer.
#[test]
fn closing_tells_of_it_with_no_lock_of_the_layer_held() {
    struct Look(std::sync::Weak<Layer>);
    impl Watcher for Look {
        fn changed(&self) {
            if let Some(layer) = self.0.upgrade() {
                layer.ready();
            }
        }
    }
    let pair = Pair::open(&TransportOptions::default());
    let (near, _far) = layers(&pair);
    near.watchers().add(Arc::new(Look(Arc::downgrade(&near))));
    let (closed, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || closed.send(near.close(soon())));
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Ok(())), "closing waits for its own lock");
}
