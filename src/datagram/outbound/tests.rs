use bytes::Bytes;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn config(datagrams: usize, policy: FullPolicy) -> OutboundConfig {
    OutboundConfig { limits: Limits { datagrams, bytes: 10_000 }, policy, ..OutboundConfig::default() }
}

/// A datagram of one byte of prefix and the text.
fn item(now: Instant, text: &str, priority: i64, ttl: Option<Duration>) -> Outgoing {
    let payload = Bytes::from(format!("\0{text}"));
    Outgoing::new(payload, 1, Priority::clamped(priority), now, ttl, None)
}

fn reported(now: Instant, report_id: u64, priority: i64) -> Outgoing {
    let mut item = item(now, "x", priority, None);
    item.report_id = Some(report_id);
    item
}

fn popped(queue: &mut Outbound, now: Instant, max_count: usize) -> Vec<String> {
    let mut batch = Vec::new();
    queue.pop_batch(now, max_count, |_| true, &mut batch);
    let texts = batch.iter().map(|item| String::from_utf8(item.payload[1..].to_vec()).unwrap()).collect();
    queue.settle(batch.into_iter().map(|item| (item, HandOver::Sent)));
    texts
}

/// Admits datagrams until they come to more than `bytes` with their prefixes.
pub(super) fn within(mut bytes: usize) -> impl FnMut(usize) -> bool {
    move |framed_len| {
        let left = bytes.checked_sub(framed_len);
        bytes = left.unwrap_or(bytes);
        left.is_some()
    }
}

fn outcomes(queue: &mut Outbound) -> Vec<(u64, OutcomeKind)> {
    let mut fetched = Vec::new();
    queue.take_outcomes(usize::MAX, &mut fetched);
    fetched.iter().map(|outcome| (outcome.report_id, outcome.kind)).collect()
}

#[test]
fn the_highest_priority_leaves_first_and_within_one_the_first_in() {
    let now = Instant::now();
    let mut queue = Outbound::new(OutboundConfig::default());
    for (text, priority) in [("a", 0), ("b", 2), ("c", 1), ("d", 2), ("e", 0)] {
        queue.push(now, item(now, text, priority, None)).unwrap();
    }
    assert_eq!(popped(&mut queue, now, 2), ["b", "d"]);
    assert_eq!(popped(&mut queue, now, 9), ["c", "a", "e"]);
    assert!(queue.is_empty());
}

#[test]
fn a_full_queue_evicts_the_oldest_of_the_lowest_priority() {
    let now = Instant::now();
    let mut queue = Outbound::new(config(3, FullPolicy::Evict));
    for (text, priority) in [("old", 1), ("a", 0), ("b", 0)] {
        queue.push(now, item(now, text, priority, None)).unwrap();
    }
    assert_eq!(queue.push(now, item(now, "c", 1, None)).unwrap(), Pushed { evicted: 1 });
    assert_eq!(queue.push(now, item(now, "d", 0, None)).unwrap(), Pushed { evicted: 1 });
    assert_eq!(popped(&mut queue, now, 9), ["old", "c", "d"]);
    assert_eq!(queue.counters().evicted.datagrams, 2);
}

#[test]
fn what_outranks_a_newcomer_is_not_evicted_for_it() {
    let now = Instant::now();
    let mut queue = Outbound::new(config(2, FullPolicy::Evict));
    queue.push(now, item(now, "a", 2, None)).unwrap();
    queue.push(now, item(now, "b", 1, None)).unwrap();
    assert!(matches!(queue.push(now, item(now, "c", 0, None)), Err(PushError::Rejected)));
    assert_eq!(popped(&mut queue, now, 9), ["a", "b"]);
    let counters = queue.counters();
    assert_eq!((counters.handed_in.datagrams, counters.rejected.datagrams), (3, 1));
}

#[test]
fn as_many_are_evicted_as_the_byte_limit_takes_and_none_if_that_is_not_enough() {
    let now = Instant::now();
    let limits = Limits { datagrams: 100, bytes: 10 };
    let mut queue = Outbound::new(OutboundConfig { limits, ..OutboundConfig::default() });
    for (text, priority) in [("1111", 0), ("22", 0), ("333", 2)] {
        queue.push(now, item(now, text, priority, None)).unwrap();
    }
    assert!(matches!(queue.push(now, item(now, "88888888", 1, None)), Err(PushError::Rejected)));
    assert_eq!(queue.sizes().total_waiting(), Tally { datagrams: 3, bytes: 9 });
    assert_eq!(queue.push(now, item(now, "7777777", 1, None)).unwrap(), Pushed { evicted: 2 });
    assert_eq!(queue.sizes().total_waiting(), Tally { datagrams: 2, bytes: 10 });
}

#[test]
fn reject_refuses_and_counts_what_finds_no_room() {
    let now = Instant::now();
    let mut queue = Outbound::new(config(1, FullPolicy::Reject));
    queue.push(now, item(now, "a", 0, None)).unwrap();
    assert!(matches!(queue.push(now, item(now, "b", 2, None)), Err(PushError::Rejected)));
    assert_eq!(queue.counters().rejected, Tally { datagrams: 1, bytes: 1 });
}

#[test]
fn wait_hands_the_datagram_back_uncounted_until_there_is_room() {
    let now = Instant::now();
    let mut queue = Outbound::new(config(1, FullPolicy::Wait));
    queue.push(now, item(now, "a", 0, None)).unwrap();
    let Err(PushError::Full(back)) = queue.push(now, item(now, "b", 0, None)) else { panic!("not full") };
    assert_eq!(queue.counters().handed_in.datagrams, 1);
    assert!(!queue.has_room(back.size()));
    assert_eq!(popped(&mut queue, now, 1), ["a"]);
    assert!(queue.has_room(back.size()));
    queue.push(now, back).unwrap();
    assert_eq!(popped(&mut queue, now, 1), ["b"]);

    queue.count_rejected(7, None).unwrap();
    assert_eq!(queue.counters().rejected, Tally { datagrams: 1, bytes: 7 });
}

#[test]
fn nobody_waits_for_room_that_can_never_be_there() {
    let now = Instant::now();
    let limits = Limits { datagrams: 9, bytes: 3 };
    let mut queue =
        Outbound::new(OutboundConfig { limits, policy: FullPolicy::Wait, ..OutboundConfig::default() });
    assert!(matches!(queue.push(now, item(now, "four", 0, None)), Err(PushError::Rejected)));
}

#[test]
fn ttl_counts_from_hand_in_when_it_comes_and_when_it_leaves() {
    let now = Instant::now();
    let mut queue = Outbound::new(OutboundConfig::default());
    let late = item(now, "late", 0, Some(MS));
    assert!(matches!(queue.push(now + MS, late), Err(PushError::Expired)));
    queue.push(now, item(now, "dies", 0, Some(2 * MS))).unwrap();
    queue.push(now, item(now, "lives", 0, Some(Duration::ZERO))).unwrap();
    assert_eq!(popped(&mut queue, now + 2 * MS, 9), ["lives"]);
    assert_eq!(queue.counters().expired.datagrams, 2);
}

#[test]
fn a_new_max_age_holds_for_what_is_already_queued() {
    let now = Instant::now();
    let mut queue = Outbound::new(OutboundConfig::default());
    queue.push(now, item(now, "a", 0, None)).unwrap();
    queue.push(now, item(now + 2 * MS, "b", 0, None)).unwrap();
    assert_eq!(queue.next_expiry(), None);
    queue.set_max_age(Some(3 * MS));
    assert_eq!(queue.next_expiry(), Some(now + 3 * MS));
    assert_eq!(queue.expire(now + 3 * MS), 1);
    assert_eq!(queue.next_expiry(), Some(now + 5 * MS));
    queue.set_max_age(Some(Duration::ZERO));
    assert_eq!(queue.expire(now + 9 * MS), 0);
    assert_eq!(popped(&mut queue, now + 9 * MS, 9), ["b"]);
}

#[test]
fn the_expired_go_before_the_living_are_evicted_or_a_newcomer_is_refused() {
    let now = Instant::now();
    for policy in [FullPolicy::Evict, FullPolicy::Reject, FullPolicy::Wait] {
        let mut queue = Outbound::new(config(2, policy));
        queue.push(now, item(now, "lives", 0, None)).unwrap();
        queue.push(now, item(now, "dies", 0, Some(MS))).unwrap();
        assert_eq!(queue.push(now + MS, item(now + MS, "new", 0, None)).unwrap(), Pushed { evicted: 0 });
        assert_eq!(queue.counters().expired.datagrams, 1);
        assert_eq!(popped(&mut queue, now + MS, 9), ["lives", "new"]);
    }
}

#[test]
fn a_clock_that_steps_back_expires_nothing_early() {
    let now = Instant::now() + Duration::from_secs(100);
    let mut queue = Outbound::new(OutboundConfig { max_age: Some(MS), ..OutboundConfig::default() });
    queue.push(now, item(now, "a", 0, None)).unwrap();
    let earlier = now - Duration::from_secs(50);
    queue.push(earlier, item(now, "b", 0, Some(MS))).unwrap();
    assert_eq!(queue.expire(earlier), 0);
    assert_eq!(popped(&mut queue, earlier, 9), ["a", "b"]);
}

#[test]
fn a_long_full_queue_with_an_expired_middle_keeps_its_books() {
    let now = Instant::now();
    let mut queue = Outbound::new(config(2000, FullPolicy::Evict));
    for number in 0..2000 {
        let ttl = (number % 2 == 1).then_some(MS);
        queue.push(now, item(now, "x", 0, ttl)).unwrap();
    }
    let later = now + MS;
    for _ in 0..500 {
        queue.push(later, item(later, "x", 0, None)).unwrap();
        assert!(queue.counters().is_balanced());
        assert!(queue.sizes().total_waiting().datagrams <= 2000);
    }
    // The search was due at once, since filling the queue had paid for it; nobody living had to go.
    assert_eq!((queue.counters().expired.datagrams, queue.counters().evicted.datagrams), (1000, 0));
}

#[test]
fn a_batch_ends_with_the_first_that_is_not_admitted() {
    let now = Instant::now();
    let mut queue = Outbound::new(OutboundConfig::default());
    for text in ["four", "four", "1"] {
        queue.push(now, item(now, text, 0, None)).unwrap();
    }
    let mut batch = Vec::new();
    assert_eq!(queue.pop_batch(now, 0, within(99), &mut batch), 0);
    assert_eq!(queue.pop_batch(now, 9, within(4), &mut batch), 0);
    // Five bytes with its prefix; the small one behind does not overtake.
    assert_eq!(queue.pop_batch(now, 9, within(9), &mut batch), 1);
    assert_eq!(queue.pop_batch(now, 9, within(7), &mut batch), 2);
    assert_eq!(queue.sizes().in_hand, Tally { datagrams: 3, bytes: 9 });
}

#[test]
fn in_hand_counts_as_queued_until_settled_and_takes_no_room() {
    let now = Instant::now();
    let mut queue = Outbound::new(config(1, FullPolicy::Reject));
    queue.push(now, item(now, "a", 0, None)).unwrap();
    let mut batch = Vec::new();
    queue.pop_batch(now, 1, |_| true, &mut batch);
    assert_eq!(queue.counters().queued.datagrams, 1);
    queue.push(now, item(now, "b", 0, None)).unwrap();
    queue.settle(batch.into_iter().map(|item| (item, HandOver::TooLarge)));
    let counters = queue.counters();
    assert_eq!((counters.queued.datagrams, counters.too_large.datagrams), (1, 1));
}

#[test]
fn what_comes_back_is_first_again_in_its_old_order() {
    let now = Instant::now();
    let mut queue = Outbound::new(OutboundConfig::default());
    for (text, priority) in [("a", 0), ("b", 0), ("x", 1)] {
        queue.push(now, item(now, text, priority, None)).unwrap();
    }
    let mut batch = Vec::new();
    queue.pop_batch(now, 9, |_| true, &mut batch);
    queue.push(now, item(now, "c", 0, None)).unwrap();
    queue.requeue_front(batch.drain(..));
    assert_eq!(popped(&mut queue, now, 9), ["x", "a", "b", "c"]);
}

#[test]
fn clear_reaches_what_was_in_hand_if_it_comes_back() {
    let now = Instant::now();
    let mut queue = Outbound::new(OutboundConfig::default());
    for text in ["sent", "back", "waiting"] {
        queue.push(now, item(now, text, 0, None)).unwrap();
    }
    let mut batch = Vec::new();
    queue.pop_batch(now, 2, |_| true, &mut batch);
    assert_eq!(queue.clear(now), 1);
    let back = batch.split_off(1);
    queue.settle(batch.into_iter().map(|item| (item, HandOver::Sent)));
    queue.requeue_front(back.into_iter());
    let counters = queue.counters();
    assert!(queue.is_empty());
    assert_eq!((counters.sent.datagrams, counters.cleared.datagrams), (1, 2));
}

#[test]
fn close_ends_everything_and_accepts_nothing() {
    let now = Instant::now();
    let mut queue = Outbound::new(OutboundConfig::default());
    for report_id in 1..=3 {
        queue.push(now, reported(now, report_id, 0)).unwrap();
    }
    let mut batch = Vec::new();
    queue.pop_batch(now, 2, |_| true, &mut batch);
    assert_eq!(queue.close(), 1);
    assert!(matches!(queue.push(now, item(now, "d", 0, None)), Err(PushError::Closed(_))));
    let back = batch.split_off(1);
    queue.settle(batch.into_iter().map(|item| (item, HandOver::Sent)));
    queue.requeue_front(back.into_iter());
    use OutcomeKind::{Closed, Handed};
    assert_eq!(outcomes(&mut queue), [(3, Closed), (1, Handed), (2, Closed)]);
    let counters = queue.counters();
    assert_eq!((counters.handed_in.datagrams, counters.failed.datagrams), (3, 2));
    assert!(counters.is_balanced());
}

#[test]
fn every_way_to_end_has_its_own_outcome() {
    use OutcomeKind::*;
    let now = Instant::now();
    let mut queue = Outbound::new(config(2, FullPolicy::Evict));
    queue.push(now, reported(now, 1, 0)).unwrap();
    queue.push(now, reported(now, 2, 1)).unwrap();
    queue.push(now, reported(now, 3, 1)).unwrap();
    assert!(matches!(queue.push(now, reported(now, 4, 0)), Err(PushError::Rejected)));
    queue.clear(now);
    assert_eq!(outcomes(&mut queue), [(1, Evicted), (4, Rejected), (2, Cleared), (3, Cleared)]);

    queue.push(now, reported(now, 5, 0)).unwrap();
    queue.push(now, reported(now, 6, 0)).unwrap();
    let mut batch = Vec::new();
    queue.pop_batch(now, 2, |_| true, &mut batch);
    queue.settle(batch.into_iter().zip([HandOver::Failed, HandOver::Closed]));
    queue.count_too_large(9999, Some(7)).unwrap();
    let mut short_lived = reported(now, 8, 0);
    short_lived.expires_at = Some(now + MS);
    queue.push(now, short_lived).unwrap();
    queue.expire(now + MS);
    assert_eq!(outcomes(&mut queue), [(5, Failed), (6, Closed), (7, TooLarge), (8, Expired)]);
    assert!(queue.counters().is_balanced());
}

#[test]
fn a_datagram_whose_outcome_would_find_no_place_is_handed_back() {
    let now = Instant::now();
    let mut queue = Outbound::new(OutboundConfig { outcome_capacity: 1, ..OutboundConfig::default() });
    queue.push(now, reported(now, 1, 0)).unwrap();
    assert!(matches!(queue.push(now, reported(now, 2, 0)), Err(PushError::OutcomesFull(_))));
    assert_eq!(queue.count_failed(1, Some(3)), Err(OutcomesFull));
    assert_eq!(queue.counters().handed_in.datagrams, 1);
    queue.push(now, item(now, "nobody asks", 0, None)).unwrap();
    queue.clear(now);
    assert_eq!(outcomes(&mut queue), [(1, OutcomeKind::Cleared)]);
    queue.push(now, reported(now, 2, 0)).unwrap();
}

#[test]
fn popping_alone_is_not_low_water_but_settling_is() {
    let now = Instant::now();
    let marks = Marks::of_datagrams(2);
    let mut queue = Outbound::new(OutboundConfig { marks, ..OutboundConfig::default() });
    queue.push(now, item(now, "a", 0, None)).unwrap();
    queue.push(now, item(now, "b", 0, None)).unwrap();
    assert_eq!(queue.take_edges(), Edges { high: true, low: false });
    let mut batch = Vec::new();
    queue.pop_batch(now, 9, |_| true, &mut batch);
    assert_eq!(queue.take_edges(), Edges::default());
    queue.requeue_front(batch.drain(..));
    assert_eq!(queue.take_edges(), Edges::default());
    assert_eq!(popped(&mut queue, now, 1), ["a"]);
    assert_eq!(queue.take_edges(), Edges { high: false, low: true });
    assert!(!queue.is_above_high_water());
}

#[test]
fn an_emptied_queue_gives_its_memory_back_but_not_for_every_burst() {
    let start = Instant::now();
    let mut queue = Outbound::new(config(10_000, FullPolicy::Evict));
    let mut burst = |now: Instant| {
        for _ in 0..5000 {
            queue.push(now, item(now, "x", 0, None)).unwrap();
        }
        popped(&mut queue, now, usize::MAX);
        queue.rings[0].items.capacity()
    };
    assert!(burst(start) <= 2 * KEPT_ITEMS);
    assert!(burst(start + MS) >= 5000);
    assert!(burst(start + SHRINK_INTERVAL) <= 2 * KEPT_ITEMS);
}
