//! The allocations of a datagram from the call that sends it to the call that receives it: none of
//! ours for each datagram, and a bounded number of quinn-proto's for each packet.

use std::alloc::System;
use std::sync::atomic::{AtomicBool, Ordering};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use support::pair::{Pair, soon};
use wtgram::datagram::message::Limits;
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::receive::Slot;
use wtgram::datagram::send::FullPolicy;
use wtgram::runtime::wait::Deadline;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Datagrams a round, in batches of [`BATCH`].
const DATAGRAMS: usize = 64 * 1000;
const BATCH: usize = 64;
/// Datagrams that are sent one by one, each after the one before has arrived.
const LONE: usize = 2000;

/// Allocations of both ends, the packets of both ends that caused them, and the datagrams that
/// arrived.
fn round(pair: &Pair, size: usize) -> (usize, u64, usize) {
    let payload = vec![7; size];
    let packets = || {
        let sent = |link: &wtgram::link::LinkSession| link.stats().expect("it lives").packets_sent;
        sent(&pair.client.link) + sent(&pair.accepted.link)
    };
    let mut arena = vec![0; 1 << 20];
    let mut slots = vec![Slot::default(); 1024];
    let all_sent = AtomicBool::new(false);
    let before = (ALLOCATOR.stats().allocations, packets());
    let mut arrived = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..DATAGRAMS / BATCH {
                let payloads = (0..BATCH).map(|_| Ok(&payload[..]));
                pair.from()
                    .outgoing
                    .send_batch(payloads, &SendOptions::default(), soon(), |result| result.unwrap());
            }
            all_sent.store(true, Ordering::SeqCst);
        });
        let mut is_last_look = false;
        loop {
            match pair.to().incoming.receive_batch(
                &mut arena,
                &mut slots,
                support::pair::after(support::pair::PATIENCE / 600),
            ) {
                Ok(count) => arrived += count,
                Err(_) if is_last_look => break,
                Err(_) => is_last_look = all_sent.load(Ordering::SeqCst),
            }
        }
    });
    (ALLOCATOR.stats().allocations - before.0, packets() - before.1, arrived)
}

#[test]
fn a_datagram_costs_a_part_of_an_allocation_and_a_packet_a_few_of_quic_s() {
    let pair = Pair::open(&TransportOptions {
        outgoing_limits: Limits { datagrams: 1024, bytes: 1 << 22 },
        outgoing_policy: FullPolicy::Wait,
        incoming_limits: Limits { datagrams: 1 << 17, bytes: 1 << 28 },
        ..TransportOptions::default()
    });
    let mut arena = vec![0; 2000];
    for size in [64, 1100] {
        // Memory grows to its final size.
        round(&pair, size);
        let (allocations, packets, arrived) = round(&pair, size);
        let per_packet = allocations as f64 / packets as f64;
        let per_datagram = allocations as f64 / arrived as f64;
        println!(
            "{size} bytes: {arrived} datagrams in {packets} packets, {per_packet:.2} allocations a packet, {per_datagram:.3} a datagram"
        );
        assert!(per_packet < 0.5, "{per_packet}");
    }
    // Sent by itself, each datagram is a train that is wrapped once.
    let before = ALLOCATOR.stats().allocations;
    for _ in 0..LONE {
        pair.from().outgoing.send(&[7; 64], &SendOptions::default(), Deadline::Now).unwrap();
        pair.to().incoming.receive(&mut arena, soon()).unwrap();
    }
    let each = (ALLOCATOR.stats().allocations - before) as f64 / LONE as f64;
    println!("one by one: {each:.2} allocations a datagram");
    assert!(each < 2.0, "{each}");
}
