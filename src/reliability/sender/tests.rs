use super::acknowledgement::MAX_EARLY;
use super::*;
use crate::reliability::ack::{Echo, RangeAck};
use crate::reliability::frame::{Frame, Tag};

const BOUND: Form = Form::Bound(Tag(1));

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn sender(ack_timeout: Duration, max_retries: u32) -> (Sender, Instant) {
    let now = Instant::now();
    let config = SenderConfig {
        ack_timeout,
        max_retries,
        window_messages: 1024,
        window_bytes: 1 << 20,
        first_sequence: u32::MAX,
    };
    let mut sender = Sender::new(now, config);
    sender.seed_rtt(ms(100));
    (sender, now)
}

/// The sequences transmitted now.
fn transmitted(sender: &mut Sender, now: Instant) -> Vec<u32> {
    transmitted_as(BOUND, sender, now)
}

fn transmitted_as(form: Form, sender: &mut Sender, now: Instant) -> Vec<u32> {
    sender.advance(now, form);
    let frames = std::iter::from_fn(|| sender.poll(now, 1200, form));
    frames
        .map(|transmit| match Frame::parse(&transmit.frame) {
            Ok(Frame::BoundData { sequence, .. } | Frame::Data { sequence, .. }) => sequence,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn message(now: Instant, id: u64) -> Message {
    Message::new(now, id, Bytes::from_static(b"m"))
}

fn submit(sender: &mut Sender, now: Instant, count: u64) {
    for id in 0..count {
        sender.submit(message(now, id)).unwrap();
    }
}

fn acknowledge(ranges: &[(u32, u32)]) -> RangeAck {
    RangeAck { ranges: ranges.to_vec(), ..RangeAck::default() }
}

#[test]
fn giving_up_needs_the_retransmissions_and_not_only_the_time() {
    let (mut sender, start) = sender(ms(10), 20);
    submit(&mut sender, start, 1);
    let mut given_up = None;
    for passed in 0..60_000 {
        let now = start + ms(passed);
        transmitted(&mut sender, now);
        if let Some(report) = sender.next_outcome() {
            given_up = Some((passed, report.outcome, sender.stats().timer_retransmits));
            break;
        }
    }
    let (passed, outcome, retransmits) = given_up.unwrap();
    assert_eq!((outcome, retransmits), (MessageOutcome::GaveUp, 20));
    assert!(passed > 20 * 300, "{passed}");
}

#[test]
fn giving_up_needs_the_time_and_not_only_the_retransmissions() {
    let (mut sender, start) = sender(ms(10_000), 0);
    submit(&mut sender, start, 1);
    let mut given_up = None;
    for passed in 0..30_000 {
        transmitted(&mut sender, start + ms(passed));
        if sender.next_outcome().is_some() {
            given_up = Some(passed);
            break;
        }
    }
    assert!(given_up.is_some_and(|passed| (10_000..10_600).contains(&passed)), "{given_up:?}");
}

#[test]
fn later_acknowledgements_bring_a_message_again_before_its_timer() {
    let (mut sender, start) = sender(ms(2000), 5);
    submit(&mut sender, start, 3);
    assert_eq!(transmitted(&mut sender, start), [u32::MAX, 0, 1]);
    sender.on_range_ack(start + ms(100), &acknowledge(&[(1, 1)]));
    // A round trip and a quarter after its transmission.
    assert_eq!(sender.next_deadline(BOUND), Some(start + ms(125)));
    assert!(transmitted(&mut sender, start + ms(124)).is_empty());
    assert_eq!(transmitted(&mut sender, start + ms(125)), [u32::MAX, 0]);
    assert_eq!(sender.stats().early_retransmits, 2);
    assert_eq!(sender.stats().timer_retransmits, 0);
}

#[test]
fn a_message_that_alone_is_never_acknowledged_is_not_sent_in_every_round_trip() {
    let (mut sender, start) = sender(ms(2000), 5);
    submit(&mut sender, start, 1);
    for round in 0..80u32 {
        let now = start + ms(100) * round;
        sender.submit(message(now, 100)).unwrap();
        transmitted(&mut sender, now);
        let answer = now + ms(99);
        sender.on_range_ack(answer, &acknowledge(&[(0, round)]));
        transmitted(&mut sender, answer);
    }
    let stats = sender.stats();
    assert_eq!(stats.acknowledged, 80);
    assert!(stats.early_retransmits <= u64::from(MAX_EARLY), "{stats:?}");
    assert!((10..=30).contains(&stats.timer_retransmits), "{stats:?}");
}

#[test]
fn a_plain_ack_settles_only_what_was_sent_plain() {
    let (mut sender, now) = sender(ms(2000), 5);
    submit(&mut sender, now, 2);
    assert!(sender.poll(now, 1200, BOUND).is_some());
    assert!(sender.poll(now, 1200, Form::Plain).is_some());
    assert!(!sender.on_plain_ack(now, u32::MAX));
    assert!(sender.on_plain_ack(now, 0));
    assert_eq!((sender.stats().acknowledged, sender.stats().unexpected_acks), (1, 1));
}

#[test]
fn when_a_full_peer_has_room_again_the_refused_messages_come_as_a_slow_start() {
    let (mut sender, start) = sender(ms(2000), 5);
    submit(&mut sender, start, 500);
    assert_eq!(transmitted(&mut sender, start).len(), 500);
    let full = RangeAck { full: true, ..RangeAck::default() };
    sender.on_range_ack(start + ms(100), &full);
    // While it is full: one probe for each pause, nothing new.
    submit(&mut sender, start + ms(100), 10);
    let mut probes = 0;
    for passed in 100..2000 {
        let now = start + ms(passed);
        if passed % 100 == 0 {
            sender.on_range_ack(now, &full);
        }
        probes += transmitted(&mut sender, now).len();
    }
    assert!((5..=10).contains(&probes), "{probes}");
    let now = start + ms(2000);
    sender.on_range_ack(now, &acknowledge(&[]));
    let burst = transmitted(&mut sender, now);
    assert_eq!(burst.len(), 8);
    let first = *burst.iter().min().unwrap();
    sender.on_range_ack(now + ms(100), &acknowledge(&[(first, first.wrapping_add(3))]));
    let next = transmitted(&mut sender, now + ms(100)).len();
    assert!((8..70).contains(&next), "{next}");
}

#[test]
fn a_round_trip_of_a_retransmitted_message_is_only_measured_by_an_echo() {
    for (echo, expected) in [(None, ms(100)), (Some((1, ms(30))), ms(100 * 7 + 50) / 8)] {
        let (mut sender, start) = sender(ms(2000), 5);
        submit(&mut sender, start, 1);
        transmitted(&mut sender, start);
        sender.on_range_ack(start + ms(100), &acknowledge(&[]));
        let again = start + ms(400);
        assert_eq!(transmitted(&mut sender, again), [u32::MAX]);
        let echo = echo.map(|(transmission, delay)| Echo { sequence: u32::MAX, transmission, delay });
        sender.rtt.sample(start, ms(100));
        sender.on_range_ack(again + ms(80), &RangeAck { echo, ..acknowledge(&[(u32::MAX, u32::MAX)]) });
        assert_eq!(sender.rtt().srtt(), Some(expected));
    }
}

#[test]
fn a_range_that_covers_everything_settles_only_what_was_transmitted() {
    let (mut sender, now) = sender(ms(2000), 5);
    submit(&mut sender, now, 5);
    for _ in 0..3 {
        sender.poll(now, 1200, BOUND);
    }
    sender.on_range_ack(now, &acknowledge(&[(1 << 30, 1 << 29)]));
    assert_eq!((sender.stats().acknowledged, sender.unresolved().0), (3, 2));
    sender.on_range_ack(now, &acknowledge(&[(2, 2), (100, 200)]));
    assert_eq!(sender.stats().acknowledged, 3);
}

#[test]
fn a_peer_that_was_full_for_a_moment_does_not_get_the_whole_window_at_once_either() {
    let (mut sender, start) = sender(ms(2000), 5);
    submit(&mut sender, start, 500);
    assert_eq!(transmitted(&mut sender, start).len(), 500);
    sender.on_range_ack(start + ms(100), &RangeAck { full: true, ..RangeAck::default() });
    let now = start + ms(250);
    sender.on_range_ack(now, &acknowledge(&[]));
    assert_eq!(transmitted(&mut sender, now).len(), 8);
}

#[test]
fn a_path_that_takes_nothing_makes_nothing_be_given_up_until_its_time_has_passed_without_that() {
    let (mut sender, start) = sender(ms(100), 3);
    submit(&mut sender, start, 1);
    // After 200 ms nothing leaves for 10 s.
    let blocked = 200..10_200;
    let mut given_up = None;
    for passed in 0..20_000 {
        let (now, left) =
            (start + ms(passed), if passed < blocked.end { passed.min(blocked.start) } else { passed });
        sender.observe_path(now, left, blocked.contains(&passed));
        transmitted(&mut sender, now);
        if let Some(report) = sender.next_outcome() {
            given_up = Some((passed, report.outcome));
            break;
        }
    }
    let (passed, outcome) = given_up.unwrap();
    assert_eq!(outcome, MessageOutcome::GaveUp);
    assert!((blocked.end + 200..blocked.end + 1_000).contains(&passed), "{passed}");
}

#[test]
fn a_message_whose_ttl_has_passed_is_not_transmitted_and_has_no_sequence() {
    let (mut sender, start) = sender(ms(2000), 5);
    for (id, ttl) in [(1, Some(ms(10))), (2, None)] {
        let message = Message { expires_at: ttl.map(|ttl| start + ttl), ..message(start, id) };
        sender.submit(message).unwrap();
    }
    assert_eq!(sender.next_deadline(Form::Held), Some(start + ms(10)));
    assert_eq!(
        transmitted(&mut sender, start + ms(10)),
        [u32::MAX],
        "the other message takes the first sequence"
    );
    let report = sender.next_outcome().unwrap();
    assert_eq!((report.id, report.outcome, report.transmissions), (1, MessageOutcome::Expired, 0));
    assert_eq!((sender.next_outcome(), sender.stats().expired), (None, 1));
}

#[test]
fn a_ttl_stops_retransmission_and_an_acknowledgement_in_time_still_counts() {
    for acknowledged in [true, false] {
        let (mut sender, start) = sender(ms(2000), 5);
        let expires_at = Some(start + ms(150));
        sender.submit(Message { expires_at, ..message(start, 1) }).unwrap();
        assert_eq!(transmitted(&mut sender, start).len(), 1);
        assert!(transmitted(&mut sender, start + ms(200)).is_empty(), "in flight, its answer may still come");
        assert_eq!(sender.next_outcome(), None);
        if acknowledged {
            sender.on_range_ack(start + ms(201), &acknowledge(&[(u32::MAX, u32::MAX)]));
        }
        for passed in 201..3000 {
            assert!(transmitted(&mut sender, start + ms(passed)).is_empty());
        }
        let expected = if acknowledged { MessageOutcome::Acknowledged } else { MessageOutcome::Expired };
        let report = sender.next_outcome().unwrap();
        assert_eq!((report.outcome, report.transmissions), (expected, 1));
        assert!(sender.is_idle());
    }
}

#[test]
fn a_lost_message_that_waits_for_its_turn_expires_when_its_ttl_passes() {
    let (mut sender, start) = sender(ms(2000), 5);
    for id in 0..200 {
        sender.submit(Message { expires_at: Some(start + ms(900)), ..message(start, id) }).unwrap();
    }
    assert_eq!(transmitted(&mut sender, start).len(), 200);
    // The timers run out; there are tokens for only a few of the messages.
    transmitted(&mut sender, start + ms(700));
    assert!(sender.next_outcome().is_none());
    sender.advance(start + ms(900), BOUND);
    let waiting = std::iter::from_fn(|| sender.next_outcome()).count();
    assert!(waiting > 100, "{waiting}");
}

#[test]
fn the_highest_priority_goes_first_also_when_it_goes_again() {
    let (mut sender, start) = sender(ms(2000), 5);
    for id in 0..6 {
        let priority = Priority::clamped(id as i64 % 3);
        sender.submit(Message { priority, ..message(start, id) }).unwrap();
    }
    let order = |sender: &mut Sender, now| -> Vec<u8> {
        sender.advance(now, BOUND);
        std::iter::from_fn(|| sender.poll(now, 1200, BOUND)).map(|transmit| transmit.priority.get()).collect()
    };
    assert_eq!(order(&mut sender, start), [2, 2, 1, 1, 0, 0]);
    assert_eq!(order(&mut sender, start + ms(700)), [2, 2, 1, 1, 0, 0]);
}

#[test]
fn while_the_peer_has_not_answered_nothing_goes_and_after_the_patience_messages_are_given_up() {
    let (mut sender, start) = sender(ms(100), 3);
    submit(&mut sender, start, 2);
    let mut given_up = Vec::new();
    for passed in 0..1000 {
        let now = start + ms(passed);
        if passed == 200 {
            submit(&mut sender, now, 1);
        }
        assert!(transmitted_as(Form::Held, &mut sender, now).is_empty());
        while let Some(report) = sender.next_outcome() {
            assert_eq!((report.outcome, report.transmissions), (MessageOutcome::GaveUp, 0));
            given_up.push(passed);
        }
    }
    assert_eq!(given_up, [400, 400, 600]);
}

#[test]
fn a_range_that_covers_a_wide_span_costs_what_it_newly_acknowledges() {
    let (mut sender, start) = sender(ms(2000), 5);
    sender.config.window_messages = MAX_SPAN;
    submit(&mut sender, start, MAX_SPAN as u64);
    let last = *transmitted(&mut sender, start).last().unwrap();
    // All but the oldest, which keeps the span wide.
    let wide = acknowledge(&[(0, last)]);
    sender.on_range_ack(start + ms(50), &wide);
    assert_eq!((sender.stats().acknowledged, sender.outstanding.span()), (MAX_SPAN as u64 - 1, MAX_SPAN));
    let looked_at = sender.outstanding.looked_at();
    for _ in 0..1000 {
        sender.on_range_ack(start + ms(60), &wide);
    }
    assert!(sender.outstanding.looked_at() - looked_at <= 10_000, "none looks at resolved messages");
}
