use super::*;
use crate::datagram::message::{Content, expiry};

const MS: Duration = Duration::from_millis(1);

/// A lane that no other test has.
pub(super) const LANE: usize = 13;

fn config(datagrams: usize, policy: FullPolicy) -> SendConfig {
    SendConfig { limits: Limits { datagrams, bytes: 10_000 }, policy, ..SendConfig::default() }
}

/// A datagram of one byte of prefix and the text.
fn item(now: Instant, text: &str, priority: i64, ttl: Option<Duration>) -> Outgoing<'_> {
    Outgoing {
        content: Content::Copied { prefix: b"\0", payload: text.as_bytes() },
        priority: Priority::clamped(priority),
        enqueued_at: now,
        expires_at: expiry(now, ttl),
        report_id: None,
    }
}

fn reported(now: Instant, report_id: u64, priority: i64) -> Outgoing<'static> {
    Outgoing { report_id: Some(report_id), ..item(now, "x", priority, None) }
}

/// Takes the datagrams that `admits` admits. Answers each with the next of `answers`, and with
/// `Sent` when there are none left.
pub(super) struct Hand<A> {
    pub admits: A,
    pub taken: Vec<Bytes>,
    pub answers: Vec<HandOver>,
}

impl<A: FnMut(usize) -> bool> Hand<A> {
    pub fn new(admits: A) -> Self {
        Self { admits, taken: Vec::new(), answers: Vec::new() }
    }
}

impl<A: FnMut(usize) -> bool> Taker for Hand<A> {
    fn admits(&mut self, framed_len: usize) -> bool {
        (self.admits)(framed_len)
    }

    fn take(&mut self, framed: Bytes) -> HandOver {
        self.taken.push(framed);
        if self.answers.is_empty() { HandOver::Sent } else { self.answers.remove(0) }
    }
}

fn popped(queue: &mut SendQueue, now: Instant, max_count: usize) -> Vec<String> {
    let mut hand = Hand::new(|_| true);
    queue.hand_over(now, max_count, &mut hand);
    hand.taken.iter().map(|framed| String::from_utf8(framed[1..].to_vec()).unwrap()).collect()
}

/// Admits datagrams until they come to more than `bytes` with their prefixes.
pub(super) fn within(mut bytes: usize) -> impl FnMut(usize) -> bool {
    move |framed_len| {
        let left = bytes.checked_sub(framed_len);
        bytes = left.unwrap_or(bytes);
        left.is_some()
    }
}

fn outcomes(queue: &mut SendQueue) -> Vec<(u64, OutcomeKind)> {
    let mut fetched = Vec::new();
    queue.take_outcomes(usize::MAX, &mut fetched);
    fetched.iter().map(|outcome| (outcome.report_id, outcome.kind)).collect()
}

#[test]
fn the_highest_priority_leaves_first_and_within_one_the_first_in() {
    let now = Instant::now();
    let mut queue = SendQueue::new(SendConfig::default(), LANE);
    for (text, priority) in [("a", 0), ("b", 2), ("c", 1), ("d", 2), ("e", 0)] {
        queue.push(now, &item(now, text, priority, None)).unwrap();
    }
    assert_eq!(popped(&mut queue, now, 2), ["b", "d"]);
    assert_eq!(popped(&mut queue, now, 9), ["c", "a", "e"]);
    assert!(queue.is_empty());
}

#[test]
fn a_full_queue_evicts_the_oldest_of_the_lowest_priority() {
    let now = Instant::now();
    let mut queue = SendQueue::new(config(3, FullPolicy::Evict), LANE);
    for (text, priority) in [("old", 1), ("a", 0), ("b", 0)] {
        queue.push(now, &item(now, text, priority, None)).unwrap();
    }
    assert_eq!(queue.push(now, &item(now, "c", 1, None)).unwrap(), Pushed { evicted: 1 });
    assert_eq!(queue.push(now, &item(now, "d", 0, None)).unwrap(), Pushed { evicted: 1 });
    assert_eq!(popped(&mut queue, now, 9), ["old", "c", "d"]);
    assert_eq!(queue.counters().evicted.datagrams, 2);
}

#[test]
fn what_outranks_a_newcomer_is_not_evicted_for_it() {
    let now = Instant::now();
    let mut queue = SendQueue::new(config(2, FullPolicy::Evict), LANE);
    queue.push(now, &item(now, "a", 2, None)).unwrap();
    queue.push(now, &item(now, "b", 1, None)).unwrap();
    assert!(matches!(queue.push(now, &item(now, "c", 0, None)), Err(PushError::Rejected)));
    assert_eq!(popped(&mut queue, now, 9), ["a", "b"]);
    let counters = queue.counters();
    assert_eq!((counters.handed_in.datagrams, counters.rejected.datagrams), (3, 1));
}

#[test]
fn as_many_are_evicted_as_the_byte_limit_takes_and_none_if_that_is_not_enough() {
    let now = Instant::now();
    let limits = Limits { datagrams: 100, bytes: 10 };
    let mut queue = SendQueue::new(SendConfig { limits, ..SendConfig::default() }, LANE);
    for (text, priority) in [("1111", 0), ("22", 0), ("333", 2)] {
        queue.push(now, &item(now, text, priority, None)).unwrap();
    }
    assert!(matches!(queue.push(now, &item(now, "88888888", 1, None)), Err(PushError::Rejected)));
    assert_eq!(queue.counters().queued, Tally { datagrams: 3, bytes: 9 });
    assert_eq!(queue.push(now, &item(now, "7777777", 1, None)).unwrap(), Pushed { evicted: 2 });
    assert_eq!(queue.counters().queued, Tally { datagrams: 2, bytes: 10 });
}

#[test]
fn reject_refuses_and_counts_what_finds_no_room() {
    let now = Instant::now();
    let mut queue = SendQueue::new(config(1, FullPolicy::Reject), LANE);
    queue.push(now, &item(now, "a", 0, None)).unwrap();
    assert!(matches!(queue.push(now, &item(now, "b", 2, None)), Err(PushError::Rejected)));
    assert_eq!(queue.counters().rejected, Tally { datagrams: 1, bytes: 1 });
}

#[test]
fn wait_counts_nothing_until_there_is_room() {
    let now = Instant::now();
    let mut queue = SendQueue::new(config(1, FullPolicy::Wait), LANE);
    queue.push(now, &item(now, "a", 0, None)).unwrap();
    let back = item(now, "b", 0, None);
    assert_eq!(queue.push(now, &back), Err(PushError::Full));
    assert_eq!(queue.counters().handed_in.datagrams, 1);
    assert!(!queue.has_room(back.size()));
    assert_eq!(popped(&mut queue, now, 1), ["a"]);
    assert!(queue.has_room(back.size()));
    queue.push(now, &back).unwrap();
    assert_eq!(popped(&mut queue, now, 1), ["b"]);

    queue.count_rejected(7, None).unwrap();
    assert_eq!(queue.counters().rejected, Tally { datagrams: 1, bytes: 7 });
}

#[test]
fn nobody_waits_for_room_that_can_never_be_there() {
    let now = Instant::now();
    let limits = Limits { datagrams: 9, bytes: 3 };
    let mut queue =
        SendQueue::new(SendConfig { limits, policy: FullPolicy::Wait, ..SendConfig::default() }, LANE);
    assert!(matches!(queue.push(now, &item(now, "four", 0, None)), Err(PushError::Rejected)));
}

#[test]
fn ttl_counts_from_hand_in_when_it_comes_and_when_it_leaves() {
    let now = Instant::now();
    let mut queue = SendQueue::new(SendConfig::default(), LANE);
    let late = item(now, "late", 0, Some(MS));
    assert!(matches!(queue.push(now + MS, &late), Err(PushError::Expired)));
    queue.push(now, &item(now, "dies", 0, Some(2 * MS))).unwrap();
    queue.push(now, &item(now, "lives", 0, Some(Duration::ZERO))).unwrap();
    assert_eq!(popped(&mut queue, now + 2 * MS, 9), ["lives"]);
    assert_eq!(queue.counters().expired.datagrams, 2);
}

#[test]
fn a_new_max_age_holds_for_what_is_already_queued() {
    let now = Instant::now();
    let mut queue = SendQueue::new(SendConfig::default(), LANE);
    queue.push(now, &item(now, "a", 0, None)).unwrap();
    queue.push(now, &item(now + 2 * MS, "b", 0, None)).unwrap();
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
        let mut queue = SendQueue::new(config(2, policy), LANE);
        queue.push(now, &item(now, "lives", 0, None)).unwrap();
        queue.push(now, &item(now, "dies", 0, Some(MS))).unwrap();
        assert_eq!(queue.push(now + MS, &item(now + MS, "new", 0, None)).unwrap(), Pushed { evicted: 0 });
        assert_eq!(queue.counters().expired.datagrams, 1);
        assert_eq!(popped(&mut queue, now + MS, 9), ["lives", "new"]);
    }
}

#[test]
fn a_clock_that_steps_back_expires_nothing_early() {
    let now = Instant::now() + Duration::from_secs(100);
    let mut queue = SendQueue::new(SendConfig { max_age: Some(MS), ..SendConfig::default() }, LANE);
    queue.push(now, &item(now, "a", 0, None)).unwrap();
    let earlier = now - Duration::from_secs(50);
    queue.push(earlier, &item(now, "b", 0, Some(MS))).unwrap();
    assert_eq!(queue.expire(earlier), 0);
    assert_eq!(popped(&mut queue, earlier, 9), ["a", "b"]);
}

#[test]
fn a_long_full_queue_with_an_expired_middle_keeps_its_books() {
    let now = Instant::now();
    let mut queue = SendQueue::new(config(2000, FullPolicy::Evict), LANE);
    for number in 0..2000 {
        let ttl = (number % 2 == 1).then_some(MS);
        queue.push(now, &item(now, "x", 0, ttl)).unwrap();
    }
    let later = now + MS;
    for _ in 0..500 {
        queue.push(later, &item(later, "x", 0, None)).unwrap();
        assert!(queue.counters().is_balanced());
        assert!(queue.counters().queued.datagrams <= 2000);
    }
    // The search was due at once, because filling the queue had paid for it. No living datagram was
    // evicted.
    assert_eq!((queue.counters().expired.datagrams, queue.counters().evicted.datagrams), (1000, 0));
}

#[test]
fn a_train_ends_with_the_first_that_is_not_admitted() {
    let now = Instant::now();
    let mut queue = SendQueue::new(SendConfig::default(), LANE);
    for text in ["four", "four", "1"] {
        queue.push(now, &item(now, text, 0, None)).unwrap();
    }
    assert_eq!(queue.hand_over(now, 0, &mut Hand::new(within(99))), 0);
    assert_eq!(queue.hand_over(now, 9, &mut Hand::new(within(4))), 0);
    // Five bytes with its prefix; the small one behind does not overtake.
    assert_eq!(queue.hand_over(now, 9, &mut Hand::new(within(9))), 1);
    assert_eq!(queue.hand_over(now, 9, &mut Hand::new(within(7))), 2);
    assert_eq!(queue.counters().sent, Tally { datagrams: 3, bytes: 9 });
}

#[test]
fn close_ends_everything_and_accepts_nothing() {
    let now = Instant::now();
    let mut queue = SendQueue::new(SendConfig::default(), LANE);
    for report_id in 1..=3 {
        queue.push(now, &reported(now, report_id, 0)).unwrap();
    }
    assert_eq!(popped(&mut queue, now, 1), ["x"]);
    assert_eq!(queue.close(), 2);
    assert_eq!(queue.push(now, &item(now, "d", 0, None)), Err(PushError::Closed));
    use OutcomeKind::{Closed, Handed};
    assert_eq!(outcomes(&mut queue), [(1, Handed), (2, Closed), (3, Closed)]);
    let counters = queue.counters();
    assert_eq!((counters.handed_in.datagrams, counters.failed.datagrams), (3, 2));
    assert!(counters.is_balanced());
}

#[test]
fn a_queue_that_is_about_to_end_refuses_new_ones_and_lets_the_others_leave() {
    let now = Instant::now();
    let mut queue = SendQueue::new(config(2, FullPolicy::Wait), LANE);
    queue.push(now, &item(now, "1", 1, None)).unwrap();
    queue.push(now, &item(now, "2", 1, None)).unwrap();
    assert_eq!(queue.push(now, &item(now, "3", 1, None)), Err(PushError::Full));
    let before = queue.signs();
    queue.end_after_this();
    assert!(queue.signs().invite_after(before), "whoever waits for space must look again");
    assert_eq!(queue.push(now, &item(now, "3", 1, None)), Err(PushError::Closed));
    assert_eq!((queue.is_open(), queue.is_closed()), (false, false));
    assert_eq!(popped(&mut queue, now, 9), ["1", "2"]);
    assert_eq!((queue.counters().sent.datagrams, queue.counters().failed.datagrams), (2, 0));
    assert_eq!(queue.push(now, &item(now, "3", 1, None)), Err(PushError::Closed));
}

#[test]
fn every_way_to_end_has_its_own_outcome() {
    use OutcomeKind::*;
    let now = Instant::now();
    let mut queue = SendQueue::new(config(2, FullPolicy::Evict), LANE);
    queue.push(now, &reported(now, 1, 0)).unwrap();
    queue.push(now, &reported(now, 2, 1)).unwrap();
    queue.push(now, &reported(now, 3, 1)).unwrap();
    assert!(matches!(queue.push(now, &reported(now, 4, 0)), Err(PushError::Rejected)));
    queue.clear(now);
    assert_eq!(outcomes(&mut queue), [(1, Evicted), (4, Rejected), (2, Cleared), (3, Cleared)]);

    queue.push(now, &reported(now, 5, 0)).unwrap();
    queue.push(now, &reported(now, 6, 0)).unwrap();
    let answers = vec![HandOver::Failed, HandOver::Closed];
    queue.hand_over(now, 2, &mut Hand { answers, ..Hand::new(|_| true) });
    queue.count_too_large(9999, Some(7)).unwrap();
    let short_lived = Outgoing { expires_at: Some(now + MS), ..reported(now, 8, 0) };
    queue.push(now, &short_lived).unwrap();
    queue.expire(now + MS);
    assert_eq!(outcomes(&mut queue), [(5, Failed), (6, Closed), (7, TooLarge), (8, Expired)]);
    assert!(queue.counters().is_balanced());
}

#[test]
fn a_datagram_whose_outcome_would_find_no_place_is_handed_back() {
    let now = Instant::now();
    let mut queue = SendQueue::new(SendConfig { outcome_capacity: 1, ..SendConfig::default() }, LANE);
    queue.push(now, &reported(now, 1, 0)).unwrap();
    assert!(matches!(queue.push(now, &reported(now, 2, 0)), Err(PushError::OutcomesFull)));
    assert_eq!(queue.count_rejected(1, Some(3)), Err(OutcomesFull));
    assert_eq!(queue.counters().handed_in.datagrams, 1);
    queue.push(now, &item(now, "nobody asks", 0, None)).unwrap();
    queue.clear(now);
    assert_eq!(outcomes(&mut queue), [(1, OutcomeKind::Cleared)]);
    queue.push(now, &reported(now, 2, 0)).unwrap();
}

#[test]
fn what_leaves_lowers_the_water() {
    let now = Instant::now();
    let marks = Marks::of_datagrams(2);
    let mut queue = SendQueue::new(SendConfig { marks, ..SendConfig::default() }, LANE);
    queue.push(now, &item(now, "a", 0, None)).unwrap();
    queue.push(now, &item(now, "b", 0, None)).unwrap();
    assert!(queue.is_above_high_water());
    assert_eq!(popped(&mut queue, now, 1), ["a"]);
    assert!(!queue.is_above_high_water());
}

#[test]
fn what_is_shared_leaves_as_it_came_in_its_place() {
    let now = Instant::now();
    let mut queue = SendQueue::new(SendConfig::default(), LANE);
    let framed = Bytes::from_static(b"\0shared");
    let shared =
        Outgoing { content: Content::Shared { framed: &framed, prefix_len: 1 }, ..item(now, "", 0, None) };
    queue.push(now, &item(now, "before", 0, None)).unwrap();
    queue.push(now, &shared).unwrap();
    queue.push(now, &item(now, "after", 0, None)).unwrap();
    assert_eq!(queue.counters().queued, Tally { datagrams: 3, bytes: 17 });
    let mut hand = Hand::new(|_| true);
    queue.hand_over(now, 9, &mut hand);
    assert_eq!(hand.taken, ["\0before", "\0shared", "\0after"]);
    assert_eq!(hand.taken[1].as_ptr(), framed.as_ptr());
}
