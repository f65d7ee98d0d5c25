use super::*;

const MS: Duration = Duration::from_millis(1);

fn limited(datagrams: usize, bytes: usize, policy: DropPolicy) -> ReceiveQueue {
    ReceiveQueue::new(ReceiveConfig { limits: Limits { datagrams, bytes }, max_age: None, policy }, 14)
}

fn push(queue: &mut ReceiveQueue, now: Instant, texts: &[&str]) -> usize {
    queue.push_batch(now, 1_000_000, texts.iter().map(|text| text.as_bytes()))
}

fn pop_all(queue: &mut ReceiveQueue, now: Instant) -> Vec<String> {
    let mut texts = Vec::new();
    let mut buffer = [0; 100];
    while let Ok(metadata) = queue.pop_into(now, &mut buffer) {
        texts.push(String::from_utf8(buffer[..metadata.size].to_vec()).unwrap());
    }
    texts
}

pub(super) fn pop_batch(
    queue: &mut ReceiveQueue,
    now: Instant,
    arena: &mut [u8],
    slots: &mut [Slot],
) -> Result<usize, PopError> {
    queue.pop_batch(now, arena, slots.len(), |index, slot| slots[index] = slot)
}

#[test]
fn datagrams_come_out_in_order_of_arrival_with_what_is_known_about_them() {
    let now = Instant::now();
    let mut queue = ReceiveQueue::new(ReceiveConfig::default(), 14);
    assert_eq!(queue.push_batch(now, 7, [&b"one"[..], b""]), 2);
    assert_eq!(queue.push_batch(now + MS, 1007, [&b"three"[..]]), 1);
    let mut buffer = [0; 8];
    let later = now + 3 * MS;
    let expected = |timestamp_us, size, sequence, age| {
        Ok(Metadata { timestamp_us, size, sequence, age, waited: Duration::ZERO })
    };
    assert_eq!(queue.pop_into(later, &mut buffer), expected(7, 3, 0, 3 * MS));
    assert_eq!(&buffer[..3], b"one");
    assert_eq!(queue.pop_into(later, &mut buffer), expected(7, 0, 1, 3 * MS));
    assert_eq!(queue.pop_into(later, &mut buffer), expected(1007, 5, 2, 2 * MS));
    assert_eq!(&buffer[..5], b"three");
    assert_eq!(queue.pop_into(later, &mut buffer), Err(PopError::Empty));
}

#[test]
fn an_empty_datagram_is_a_datagram_even_for_an_empty_buffer() {
    let now = Instant::now();
    let mut queue = limited(9, 0, DropPolicy::Oldest);
    assert_eq!(push(&mut queue, now, &["", ""]), 2);
    assert_eq!(queue.front_len(now), Some(0));
    assert_eq!(queue.pop_into(now, &mut []).unwrap().sequence, 0);
    assert_eq!(queue.pop_into(now, &mut []).unwrap().sequence, 1);
    assert_eq!(queue.front_len(now), None);
    assert_eq!(queue.counters().delivered, Tally { datagrams: 2, bytes: 0 });
}

#[test]
fn a_buffer_that_is_too_small_hears_the_size_and_loses_nothing() {
    let now = Instant::now();
    let mut queue = ReceiveQueue::new(ReceiveConfig::default(), 14);
    push(&mut queue, now, &["four"]);
    assert_eq!(queue.pop_into(now, &mut [0; 3]), Err(PopError::TooSmall { needed: 4 }));
    assert_eq!(queue.queued(), Tally { datagrams: 1, bytes: 4 });
    assert_eq!(pop_all(&mut queue, now), ["four"]);
}

#[test]
fn a_batch_fills_slots_and_arena_as_far_as_they_go() {
    let now = Instant::now();
    let mut queue = ReceiveQueue::new(ReceiveConfig::default(), 14);
    push(&mut queue, now, &["aa", "", "bbb", "cccc"]);
    let mut arena = [b'.'; 8];
    let mut slots = [Slot::default(); 9];
    assert_eq!(pop_batch(&mut queue, now, &mut arena, &mut []), Ok(0));
    assert_eq!(pop_batch(&mut queue, now, &mut arena, &mut slots), Ok(3));
    assert_eq!(&arena, b"aabbb...");
    let places: Vec<_> = slots[..3].iter().map(|slot| (slot.offset, slot.len)).collect();
    assert_eq!(places, [(0, 2), (2, 0), (2, 3)]);
    assert_eq!(
        pop_batch(&mut queue, now, &mut arena[..3], &mut slots),
        Err(PopError::TooSmall { needed: 4 })
    );
    assert_eq!(pop_batch(&mut queue, now, &mut arena, &mut slots[..1]), Ok(1));
    assert_eq!(pop_batch(&mut queue, now, &mut arena, &mut slots), Ok(0));
}

#[test]
fn a_full_queue_drops_its_oldest_by_default() {
    let now = Instant::now();
    let mut queue = limited(2, 100, DropPolicy::default());
    assert_eq!(push(&mut queue, now, &["a", "b", "c"]), 3);
    assert_eq!(queue.counters().dropped_full, Tally { datagrams: 1, bytes: 1 });
    assert_eq!(pop_all(&mut queue, now), ["b", "c"]);
}

#[test]
fn a_full_queue_drops_the_newest_if_told_so() {
    let now = Instant::now();
    let mut queue = limited(2, 100, DropPolicy::Newest);
    assert_eq!(push(&mut queue, now, &["a", "b", "c"]), 2);
    assert_eq!(pop_all(&mut queue, now), ["a", "b"]);
    push(&mut queue, now, &["d"]);
    let mut buffer = [0; 1];
    assert_eq!(queue.pop_into(now, &mut buffer).unwrap().sequence, 3, "the gap shows the drop");
}

#[test]
fn the_byte_limit_drops_as_many_as_it_takes_and_none_for_what_never_fits() {
    let now = Instant::now();
    let mut queue = limited(100, 10, DropPolicy::Oldest);
    assert_eq!(push(&mut queue, now, &["1111", "22", "333", "eleven bytes"]), 3);
    assert_eq!(queue.queued().datagrams, 3);
    assert_eq!(push(&mut queue, now, &["7777777"]), 1);
    assert_eq!(pop_all(&mut queue, now), ["333", "7777777"]);
}

#[test]
fn max_age_holds_at_once_and_is_counted() {
    let now = Instant::now();
    let mut queue = ReceiveQueue::new(ReceiveConfig::default(), 14);
    push(&mut queue, now, &["a"]);
    push(&mut queue, now + MS, &["b"]);
    queue.set_max_age(Some(2 * MS));
    assert_eq!(queue.front_len(now + MS), Some(1));
    assert_eq!(queue.expire(now + 2 * MS), 1);
    assert_eq!(queue.counters().expired, Tally { datagrams: 1, bytes: 1 });
    queue.set_max_age(Some(Duration::ZERO));
    assert_eq!(pop_all(&mut queue, now + 100 * MS), ["b"]);
}

#[test]
fn the_expired_go_before_the_living_when_room_is_needed() {
    let now = Instant::now();
    let mut queue = limited(2, 100, DropPolicy::Newest);
    queue.set_max_age(Some(2 * MS));
    push(&mut queue, now, &["a"]);
    push(&mut queue, now + MS, &["b"]);
    assert_eq!(push(&mut queue, now + 2 * MS, &["c"]), 1);
    assert_eq!(queue.counters().dropped_full.datagrams, 0);
    assert_eq!(pop_all(&mut queue, now + 2 * MS), ["b", "c"]);
}

#[test]
fn a_clock_that_steps_back_makes_nothing_old() {
    let now = Instant::now() + Duration::from_secs(10);
    let mut queue = ReceiveQueue::new(ReceiveConfig { max_age: Some(MS), ..ReceiveConfig::default() }, 14);
    push(&mut queue, now, &["a"]);
    let metadata = queue.pop_into(now - Duration::from_secs(5), &mut [0; 1]).unwrap();
    assert_eq!(metadata.age, Duration::ZERO);
}

#[test]
fn clear_counts_the_living_as_cleared_and_the_old_as_expired() {
    let now = Instant::now();
    let mut queue =
        ReceiveQueue::new(ReceiveConfig { max_age: Some(2 * MS), ..ReceiveConfig::default() }, 14);
    push(&mut queue, now, &["old"]);
    push(&mut queue, now + MS, &["a", "b"]);
    assert_eq!(queue.clear(now + 2 * MS), 2);
    let counters = queue.counters();
    assert_eq!((counters.expired.datagrams, counters.cleared.datagrams), (1, 2));
    assert!(counters.is_balanced());
    assert_eq!(queue.front_len(now + 2 * MS), None);
}

#[test]
fn a_sequence_number_claimed_for_another_reader_is_not_used_again() {
    let now = Instant::now();
    let mut queue = ReceiveQueue::new(ReceiveConfig::default(), 14);
    push(&mut queue, now, &["a"]);
    assert_eq!(queue.claim_sequence(), 1);
    push(&mut queue, now, &["b"]);
    queue.pop_into(now, &mut [0; 1]).unwrap();
    assert_eq!(queue.pop_into(now, &mut [0; 1]).unwrap().sequence, 2);
    assert_eq!(queue.next_sequence(), 3);
}

#[test]
fn memory_never_exceeds_the_limits_whatever_arrives() {
    let now = Instant::now();
    let mut queue = ReceiveQueue::new(ReceiveConfig::default(), 14);
    let payload = [1; 1337];
    for _ in 0..2000 {
        queue.push_batch(now, 0, [&payload[..], &payload[..1], b""]);
    }
    let (bytes, entries) = queue.ring.capacities();
    assert!(bytes <= 1024 * 1024 && entries <= 4096, "{bytes} {entries}");
    queue.clear(now);
    assert_eq!(queue.ring.capacities(), (0, 0));
    assert!(queue.counters().is_balanced());
}
