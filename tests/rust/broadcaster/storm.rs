//! Sixteen threads broadcast to members that join, leave, stall and die. Some broadcasts are too
//! large for all. Every broadcast has a number, so that each peer knows which ones it missed.

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::invented::Dice;
use support::pair::{eventually, soon};
use support::simulator::{Conditions, Simulator};
use wtgram::broadcaster::{Broadcaster, MemberResult, SlowPolicy, Target};
use wtgram::datagram::message::{Limits, Priority};
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::receive::Slot;
use wtgram::datagram::send::{FullPolicy, Outcome, OutcomeKind};
use wtgram::datagram::session::{Server, Session};
use wtgram::datagram::transport::Transport;
use wtgram::error::Error;
use wtgram::link::config::{ConnectOptions, ListenOptions, Trust};
use wtgram::runtime::wait::Deadline;

const STEADY: Range<usize> = 0..8;
const COMING_AND_GOING: Range<usize> = 8..14;
const STALLING: Range<usize> = 14..18;
const DYING: Range<usize> = 18..24;
const MEMBERS: usize = DYING.end;

const SPEAKERS: u64 = 8;
const MOVERS: u64 = 2;
const LISTENERS: usize = 4;
/// Broadcasts of each sending thread.
const ROUNDS: u64 = 400;
/// More than any path carries.
const OVERSIZED_BYTES: usize = 70_000;

/// Broadcasts are numbered from 1, thread after thread.
fn number_of(speaker: u64, round: u64) -> u64 {
    speaker * ROUNDS + round + 1
}

fn speaker_of(number: u64) -> u64 {
    (number - 1) / ROUNDS
}

fn is_oversized(number: u64) -> bool {
    number.is_multiple_of(10)
}

fn options_of(number: u64) -> SendOptions {
    SendOptions {
        priority: Priority::clamped(number as i64 % 3),
        ttl: number.is_multiple_of(7).then_some(Duration::from_millis(2)),
        report_id: Some(number),
    }
}

/// The number, then bytes that belong to this number.
fn payload_of(number: u64) -> Vec<u8> {
    let size = if is_oversized(number) { OVERSIZED_BYTES } else { 8 + (number * 37 % 1000) as usize };
    let mut payload = vec![number as u8 ^ 0xa5; size];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    payload
}

/// Both ends of each member, the link of those that stall, and the broadcaster.
struct Storm {
    server: Server,
    link: Simulator,
    from: Vec<Session>,
    to: Vec<Session>,
    broadcaster: Broadcaster,
    over: AtomicBool,
}

/// A report about a member: the broadcast's number, and its result.
type Said = (u64, MemberResult);

impl Storm {
    fn new(policy: SlowPolicy, steady: impl Fn(usize) -> TransportOptions) -> Self {
        let plain = options(64, FullPolicy::Reject);
        let listen = ListenOptions { host: Some(Ipv4Addr::LOCALHOST.into()), ..ListenOptions::default() };
        let server = Server::listen(&listen, &plain).unwrap();
        let link = Simulator::start(server.link.local_address(), 1, Conditions::default()).unwrap();
        let trust = Trust::CertificateHashes(vec![server.link.certificate_hash()]);
        let connect = ConnectOptions { trust, ..ConnectOptions::default() };
        let broadcaster = Broadcaster::new(policy);
        let (mut from, mut to) = (Vec::new(), Vec::new());
        for member in 0..MEMBERS {
            let stalls = STALLING.contains(&member);
            let address: SocketAddr = if stalls { link.address() } else { server.link.local_address() };
            to.push(Session::connect(&format!("https://{address}/"), &connect, &plain).unwrap());
            let accepted = server.accept(soon()).unwrap();
            if STEADY.contains(&member) {
                let TransportOptions { outgoing_limits, outgoing_policy, .. } = steady(member);
                accepted.datagrams.outgoing.set_limits(outgoing_limits);
                accepted.datagrams.outgoing.set_policy(outgoing_policy);
            }
            broadcaster.add(member as u64, Target::Transport(Arc::clone(&accepted.datagrams))).unwrap();
            from.push(accepted);
        }
        Self { server, link, from, to, broadcaster, over: AtomicBool::new(false) }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn speak(&self, speaker: u64) -> Vec<Said> {
        let mut said = Vec::new();
        for round in 0..ROUNDS {
            let number = number_of(speaker, round);
            let mut accepted = 0;
            let counted = self
                .broadcaster
                .broadcast(&payload_of(number), &options_of(number), |result| {
                    accepted += usize::from(result.result.is_ok());
                    said.push((number, result.clone()));
                })
                .unwrap();
            assert_eq!(counted, accepted);
            if round.is_multiple_of(4) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        said
    }

    fn come_and_go(&self, seed: u64) {
        let mut random = Dice::new(seed);
        while !self.is_over() {
            let member = COMING_AND_GOING.start + random.below(COMING_AND_GOING.len() as u64) as usize;
            if random.below(2) == 0 {
                self.add(member);
            } else {
                self.broadcaster.remove(member as u64);
            }
            // A member that was removed for being slow returns.
            self.add(STALLING.start + random.below(STALLING.len() as u64) as usize);
            std::thread::sleep(Duration::from_micros(random.below(300)));
        }
    }

    fn add(&self, member: usize) {
        let target = Target::Transport(Arc::clone(&self.from[member].datagrams));
        self.broadcaster.add(member as u64, target).unwrap();
    }

    fn stall(&self) {
        while !self.is_over() {
            for black_hole in [true, false] {
                self.link.set(Conditions { black_hole, ..Conditions::default() });
                std::thread::sleep(Duration::from_millis(60));
            }
        }
    }

    fn kill(&self) {
        for member in DYING {
            std::thread::sleep(Duration::from_millis(10));
            match member % 3 {
                0 => self.from[member].link.close(0, "").unwrap(),
                1 => self.to[member].link.close(0, "").unwrap(),
                _ => self.from[member].datagrams.close(),
            }
        }
    }

    /// Receives what arrives at every member, from `first` on in steps of [`LISTENERS`].
    fn listen(&self, first: usize) -> HashMap<usize, Vec<u64>> {
        let mut heard: HashMap<usize, Vec<u64>> = HashMap::new();
        let mut arena = vec![0; 64 * 1024];
        let mut slots = [Slot::default(); 64];
        while !self.is_over() {
            for member in (first..MEMBERS).step_by(LISTENERS) {
                let to = &self.to[member].datagrams;
                hear(to, &mut arena, &mut slots, heard.entry(member).or_default());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        heard
    }
}

fn options(datagrams: usize, policy: FullPolicy) -> TransportOptions {
    TransportOptions {
        outgoing_limits: Limits { datagrams, bytes: 64 << 20 },
        outgoing_policy: policy,
        // A place for the outcome of every broadcast.
        outcome_capacity: 1 << 16,
        ..TransportOptions::default()
    }
}

/// Receives what is there and checks every byte of it.
fn hear(to: &Transport, arena: &mut [u8], slots: &mut [Slot], heard: &mut Vec<u64>) {
    let Ok(count) = to.incoming.receive_batch(arena, slots, Deadline::Now) else { return };
    for slot in &slots[..count] {
        let payload = &arena[slot.offset..slot.offset + slot.len];
        let number = u64::from_be_bytes(payload[..8].try_into().unwrap());
        assert!(payload == payload_of(number), "{number} is not what was broadcast");
        heard.push(number);
    }
}

/// The numbers of the reports about a member that `matches` accepts.
fn numbers(said: &[Said], matches: impl Fn(&MemberResult) -> bool) -> BTreeSet<u64> {
    said.iter().filter(|(_, result)| matches(result)).map(|(number, _)| *number).collect()
}

fn full(result: &MemberResult) -> bool {
    result.result == Err(Error::QueueFull)
}

fn too_large(result: &MemberResult) -> bool {
    matches!(result.result, Err(Error::TooLarge { .. }))
}

/// The numbers of a transport's outcomes, by kind; its queue is empty.
fn outcomes(transport: &Transport) -> HashMap<OutcomeKind, BTreeSet<u64>> {
    let mut all: Vec<Outcome> = Vec::new();
    while transport.outgoing.next_outcomes(4096, &mut all, Deadline::Now).is_ok() {}
    let mut by_kind: HashMap<OutcomeKind, BTreeSet<u64>> = HashMap::new();
    for outcome in all {
        let new = by_kind.entry(outcome.kind).or_default().insert(outcome.report_id);
        assert!(new, "{} has two outcomes", outcome.report_id);
    }
    by_kind
}

/// Waits until everything that was sent to living members has arrived or is lost.
fn settle(storm: &Storm, heard: &mut [Vec<u64>]) {
    let frames_sent = |member: usize| storm.from[member].link.stats().unwrap().datagram_frames_sent;
    let frames_received = |member: usize| storm.to[member].link.stats().unwrap().datagram_frames_received;
    let living = 0..DYING.start;
    eventually("all queues are empty, and QUIC's", || {
        living.clone().all(|member| {
            let stats = storm.from[member].datagrams.stats();
            let left = frames_sent(member) + stats.outside.dropped_after_sent;
            stats.outbound.queued.datagrams == 0 && stats.outbound.sent.datagrams == left
        })
    });
    let (mut arena, mut slots) = (vec![0; 64 * 1024], [Slot::default(); 64]);
    let mut quiet_since = Instant::now();
    eventually("nothing is under way", || {
        let count = |heard: &[Vec<u64>]| heard.iter().map(Vec::len).sum::<usize>();
        let before = count(heard);
        for member in living.clone() {
            hear(&storm.to[member].datagrams, &mut arena, &mut slots, &mut heard[member]);
        }
        if count(heard) > before {
            quiet_since = Instant::now();
        }
        let quiet = quiet_since.elapsed() > Duration::from_secs(3);
        living.clone().all(|member| {
            // QUIC has counted a frame before the transport has taken it.
            let (frames, taken) = (frames_received(member), storm.to[member].datagrams.stats());
            let all_taken = taken.inbound.received.datagrams + taken.outside.dropped_in_quic == frames;
            all_taken && taken.inbound.queued.datagrams == 0 && (quiet || frames == frames_sent(member))
        })
    });
}

/// Checks a living member: what it accepted was sent, and its peer received that, except for what
/// is counted as lost. Returns how many the network lost.
fn check_living(storm: &Storm, member: usize, said: &[Said], heard: &[u64]) -> u64 {
    let (from, to) = (&storm.from[member], &storm.to[member]);
    let counted = from.datagrams.stats();
    let mut by_kind = outcomes(&from.datagrams);
    let mut of = |kind| by_kind.remove(&kind).unwrap_or_default();
    let (handed, expired, evicted) =
        (of(OutcomeKind::Handed), of(OutcomeKind::Expired), of(OutcomeKind::Evicted));
    let accepted: BTreeSet<u64> = handed.iter().chain(&expired).chain(&evicted).copied().collect();
    assert_eq!(accepted, numbers(said, |result| result.result.is_ok()), "member {member}");
    assert_eq!(of(OutcomeKind::Rejected), numbers(said, full), "member {member}");
    assert_eq!(of(OutcomeKind::TooLarge), numbers(said, too_large), "member {member}");
    assert_eq!(by_kind, HashMap::new(), "member {member}");
    let made_room: usize = said.iter().map(|(_, result)| result.evicted).sum();
    assert_eq!(made_room, evicted.len());
    assert_eq!(counted.outbound.evicted.datagrams, evicted.len() as u64);
    assert_eq!(counted.outbound.sent.datagrams, handed.len() as u64);
    assert_eq!(counted.outbound.handed_in.datagrams, said.len() as u64);

    // Below the queue: QUIC's frames. The network may lose some, and QUIC may drop some that do not
    // fit.
    let arrived = to.datagrams.stats();
    let frames_sent = from.link.stats().unwrap().datagram_frames_sent;
    let lost = frames_sent - to.link.stats().unwrap().datagram_frames_received;
    let dropped = arrived.outside.dropped_in_quic + arrived.inbound.dropped_full.datagrams;
    let set: BTreeSet<u64> = heard.iter().copied().collect();
    assert_eq!(set.len(), heard.len(), "member {member} heard something twice");
    assert!(set.is_subset(&handed), "member {member} heard what it was not sent");
    let given = handed.len() as u64;
    let missed = given - set.len() as u64;
    let accounted = lost + dropped + from.datagrams.stats().outside.dropped_after_sent;
    assert_eq!(missed, accounted, "member {member} of {given}");
    if lost > 0 {
        eventually("QUIC noticed the loss", || from.link.stats().unwrap().packets_lost > 0);
    }
    check_order(heard);
    lost
}

/// The broadcasts of one thread with one priority arrive in the order in which they were sent.
fn check_order(heard: &[u64]) {
    let mut last: HashMap<(u64, Priority), u64> = HashMap::new();
    for number in heard {
        let before = last.insert((speaker_of(*number), options_of(*number).priority), *number);
        assert!(before < Some(*number), "{number} came after {before:?}");
    }
}

/// Runs the storm. Returns the reports about each member, and what its peer received meanwhile.
fn rage(storm: &Storm) -> (Vec<Vec<Said>>, Vec<Vec<u64>>) {
    let mut said: Vec<Vec<Said>> = vec![Vec::new(); MEMBERS];
    let mut heard: Vec<Vec<u64>> = vec![Vec::new(); MEMBERS];
    std::thread::scope(|scope| {
        let speakers: Vec<_> =
            (0..SPEAKERS).map(|speaker| scope.spawn(move || storm.speak(speaker))).collect();
        let listeners: Vec<_> =
            (0..LISTENERS).map(|first| scope.spawn(move || storm.listen(first))).collect();
        let killer = scope.spawn(|| storm.kill());
        scope.spawn(|| storm.stall());
        for seed in 0..MOVERS {
            scope.spawn(move || storm.come_and_go(seed));
        }
        let spoken: Vec<_> = speakers.into_iter().map(|thread| thread.join()).collect();
        let killed = killer.join();
        // Also when one of them failed, because the others must end.
        storm.over.store(true, Ordering::SeqCst);
        killed.expect("the killer");
        for (number, result) in spoken.into_iter().flat_map(|spoken| spoken.expect("a speaker")) {
            said[result.member as usize].push((number, result));
        }
        for listener in listeners {
            for (member, numbers) in listener.join().expect("a listener") {
                heard[member] = numbers;
            }
        }
    });
    storm.link.set(Conditions::default());
    (said, heard)
}

fn check(storm: &Storm, said: &[Vec<Said>], mut heard: Vec<Vec<u64>>) {
    settle(storm, &mut heard);
    let everything: BTreeSet<u64> = (1..=SPEAKERS * ROUNDS).collect();
    let mut lost_by_healthy = 0;
    for (member, heard) in heard.iter().enumerate() {
        let said = &said[member];
        let asked = numbers(said, |_| true);
        assert_eq!(asked.len(), said.len(), "member {member} was asked twice for one broadcast");
        for (number, result) in said {
            let closed = result.result == Err(Error::Closed);
            assert!(!closed || result.removed);
            assert!(closed || too_large(result) == is_oversized(*number), "{number}: {result:?}");
        }
        if STEADY.contains(&member) {
            assert_eq!(asked, everything, "member {member} never left");
        }
        if DYING.contains(&member) {
            let accepted = numbers(said, |result| result.result.is_ok());
            assert!(heard.iter().all(|number| accepted.contains(number)));
            continue;
        }
        let lost = check_living(storm, member, said, heard);
        lost_by_healthy += if STALLING.contains(&member) { 0 } else { lost };
    }
    println!("the network lost {lost_by_healthy} of what healthy members were sent");

    let total = |matches: &dyn Fn(&MemberResult) -> bool| -> u64 {
        said.iter().map(|said| numbers(said, matches).len() as u64).sum()
    };
    let statistics = storm.broadcaster.statistics();
    println!("{statistics:?}");
    let closed = |result: &MemberResult| result.result == Err(Error::Closed);
    assert_eq!(statistics.broadcasts, SPEAKERS * ROUNDS);
    assert_eq!(statistics.accepted, total(&|result| result.result.is_ok()));
    assert_eq!(statistics.dropped, total(&full));
    assert_eq!(statistics.too_large, total(&too_large));
    assert_eq!(statistics.closed, total(&closed));
    assert_eq!(statistics.removed_slow, total(&|result| result.removed && !closed(result)));
    assert_eq!(statistics.failed, 0);
    assert_eq!(
        total(&|_| true),
        statistics.accepted + statistics.dropped + statistics.too_large + statistics.closed
    );
    assert!(statistics.accepted > 0 && statistics.dropped > 0, "that was no storm");

    // Dead members are gone and stay so. All others can still be reached.
    for member in DYING {
        eventually("it is closed", || storm.from[member].datagrams.is_closed());
        let target = Target::Transport(Arc::clone(&storm.from[member].datagrams));
        assert_eq!(storm.broadcaster.add(member as u64, target), Err(Error::Closed));
    }
    (0..DYING.start).for_each(|member| storm.add(member));
    storm.broadcaster.broadcast(b"", &SendOptions::default(), |_| {}).unwrap();
    assert_eq!(storm.broadcaster.count(), DYING.start);
    storm.server.link.close();
}

#[test]
fn in_a_storm_healthy_members_miss_nothing_that_they_had_room_for() {
    // Short queues of two kinds, so that they are full at times.
    let storm = Storm::new(SlowPolicy::Drop, |member| {
        options(32, [FullPolicy::Reject, FullPolicy::Evict][member % 2])
    });
    let (said, heard) = rage(&storm);
    check(&storm, &said, heard);
    assert!(storm.broadcaster.statistics().closed >= DYING.len() as u64, "each was found dead");
    assert_eq!(storm.broadcaster.statistics().removed_slow, 0);
    let of_steady = |matches: fn(&MemberResult) -> bool| {
        STEADY.map(|member| numbers(&said[member], matches).len()).sum::<usize>()
    };
    println!("steady: {} full, {} evicting", of_steady(full), of_steady(|result| result.evicted > 0));
}

#[test]
fn in_a_storm_only_slow_members_are_removed_for_being_slow() {
    let storm = Storm::new(SlowPolicy::RemoveAfter(20), |_| options(1 << 14, FullPolicy::Reject));
    let (said, heard) = rage(&storm);
    check(&storm, &said, heard);
    for member in STEADY {
        assert!(said[member].iter().all(|(_, result)| !result.removed && !full(result)));
    }
    let removed = STALLING.map(|member| numbers(&said[member], |result| result.removed).len()).sum::<usize>();
    assert!(removed > 0, "no member that stalled was removed");
}
