//! Whether the peer is a wtgram layer, and which opening of it.
//!
//! Each opening of a layer has a random *epoch*. A HELLO frame, which the reference ignores, says "I am A, and I
//! know you as B (or not yet)". One is sent after the first DATA or ACK frame, never before it, and again
//! with growing pauses only while there is traffic, so that a peer that never answers sees next to none of them.
//!
//! ```text
//! A                                B
//! |-- DATA 0 ---------------------->|
//! |-- HELLO(A, -) ----------------->|   B knows A
//! |<------------------ ACK 0 -------|
//! |<---------- HELLO(B, A) ---------|   A knows B, and that B knows A: A sends bound frames
//! |-- HELLO(A, B) ----------------->|   B knows that A knows B: B sends bound frames
//! |-- D tag(A, B), sequence 1 ----->|   (which says the same, should the HELLO be lost)
//! ```
//!
//! - Frames are bound only once the peer is known to know this epoch; until then they are the reference's.
//! - Plain DATA is accepted until the peer's first bound frame. After that it comes from a layer opened anew
//!   (or is late, and will be retransmitted bound): it is not acknowledged but answered with a HELLO. If plain
//!   DATA keeps coming and no HELLO does, the peer has become one that does not negotiate, and is treated so.
//! - A HELLO with another epoch is taken if its generation is not lower than the known one's, and its epoch
//!   is none of those replaced before: HELLOs may arrive late and out of order.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::frame::{Hello, Tag};

/// The pause after the first unanswered HELLO, or three round trips if that is longer; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// The least pause between answers.
const REPLY_PAUSE: Duration = Duration::from_millis(20);
/// Plain DATA from a negotiated peer is refused until so many HELLOs went unanswered, for at least this long.
const CHALLENGES: u32 = 5;
const CHALLENGE_TIME: Duration = Duration::from_secs(2);
/// Epochs remembered as replaced.
const RETIRED: usize = 8;

/// What a HELLO changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing that concerns the two halves.
    None,
    /// The peer, which was plain so far, has an epoch: its sequences go on.
    Identified,
    /// The peer's layer has been opened anew: its sequences begin afresh.
    Restarted,
}

/// What to do with plain DATA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainData {
    /// It is of the current opening.
    Accept,
    /// It is not known to be: neither accept nor acknowledge.
    Refuse,
    /// The peer no longer negotiates: forget its epoch and sequences, then accept.
    Demoted,
}

#[derive(Debug)]
struct Peer {
    epoch: u64,
    generation: u32,
    knows_us: bool,
    bound_frame_seen: bool,
}

/// The state of the negotiation.
#[derive(Debug)]
pub struct Negotiation {
    enabled: bool,
    epoch: u64,
    generation: u32,
    peer: Option<Peer>,
    retired: VecDeque<u64>,
    attempts: u32,
    next_attempt: Option<Instant>,
    wanted: bool,
    reply: bool,
    replied: Option<Instant>,
    challenges: u32,
    challenged_since: Option<Instant>,
}

impl Negotiation {
    /// Nothing is known of the peer. With `enabled` false nothing ever will be.
    pub fn new(enabled: bool, epoch: u64, generation: u32) -> Self {
        Self {
            enabled,
            epoch: epoch.max(1),
            generation,
            peer: None,
            retired: VecDeque::new(),
            attempts: 0,
            next_attempt: None,
            wanted: false,
            reply: false,
            replied: None,
            challenges: 0,
            challenged_since: None,
        }
    }

    /// The tag of frames to the peer, once it can understand them.
    pub fn outgoing_tag(&self) -> Option<Tag> {
        self.peer.as_ref().filter(|peer| peer.knows_us).map(|peer| Tag::new(self.epoch, peer.epoch))
    }

    /// Whether a frame with `tag` is from the peer's present layer to this one. If it is, that the peer
    /// knows this epoch is thereby proven. If not, the peer is to be told what this layer's epoch is.
    pub fn is_for_us(&mut self, tag: Tag) -> bool {
        match &mut self.peer {
            Some(peer) if tag == Tag::new(peer.epoch, self.epoch) => {
                peer.knows_us = true;
                peer.bound_frame_seen = true;
                if self.challenged_since.take().is_some() {
                    self.challenges = 0;
                    self.attempts = 0;
                }
                true
            }
            _ => {
                self.wanted = true;
                false
            }
        }
    }

    /// A DATA or plain ACK frame has been sent: a HELLO may follow it.
    pub fn on_activity(&mut self) {
        if self.outgoing_tag().is_none() {
            self.wanted = true;
        }
    }

    /// A HELLO arrived.
    pub fn on_hello(&mut self, hello: Hello) -> Change {
        // One's own epoch comes back from a reflector; 0 is no epoch.
        if !self.enabled || hello.epoch == self.epoch || hello.epoch == 0 {
            return Change::None;
        }
        let knows_us = hello.peer_epoch == self.epoch;
        if let Some(peer) = &mut self.peer {
            if peer.epoch == hello.epoch {
                peer.knows_us |= knows_us;
                self.reply |= !knows_us;
                if self.challenged_since.take().is_some() {
                    self.challenges = 0;
                    self.attempts = 0;
                }
                return Change::None;
            }
            if hello.generation < peer.generation || self.retired.contains(&hello.epoch) {
                return Change::None;
            }
            if self.retired.len() == RETIRED {
                self.retired.pop_front();
            }
            self.retired.push_back(peer.epoch);
        }
        let change = if self.peer.is_some() { Change::Restarted } else { Change::Identified };
        self.peer = Some(Peer {
            epoch: hello.epoch,
            generation: hello.generation,
            knows_us,
            bound_frame_seen: false,
        });
        self.attempts = 0;
        self.next_attempt = None;
        self.reply = true;
        self.challenges = 0;
        self.challenged_since = None;
        change
    }

    /// Plain DATA arrived.
    pub fn on_plain_data(&mut self, now: Instant) -> PlainData {
        if self.peer.as_ref().is_none_or(|peer| !peer.bound_frame_seen) {
            return PlainData::Accept;
        }
        let since = *self.challenged_since.get_or_insert(now);
        if self.challenges >= CHALLENGES && now.saturating_duration_since(since) >= CHALLENGE_TIME {
            // Not retired: if it is there after all, it may identify itself again.
            self.peer = None;
            self.challenges = 0;
            self.challenged_since = None;
            return PlainData::Demoted;
        }
        self.wanted = true;
        PlainData::Refuse
    }

    /// The HELLO to send now, if one is due.
    pub fn poll(&mut self, now: Instant, rtt: Option<Duration>) -> Option<Hello> {
        if !self.enabled {
            return None;
        }
        let reply_due =
            self.reply && self.replied.is_none_or(|at| now.saturating_duration_since(at) >= REPLY_PAUSE);
        let attempt_due = self.wanted && self.next_attempt.is_none_or(|at| at <= now);
        // A wish that came in the middle of a pause is not kept: traffic will renew it.
        self.wanted = false;
        if reply_due {
            self.reply = false;
            self.replied = Some(now);
        } else if !attempt_due {
            return None;
        }
        if attempt_due {
            let first = FIRST_PAUSE.max(rtt.unwrap_or_default() * 3);
            let pause = first.saturating_mul(1 << self.attempts.min(10)).min(LAST_PAUSE.max(first));
            self.attempts = self.attempts.saturating_add(1);
            self.next_attempt = Some(now + pause);
            if self.challenged_since.is_some() {
                self.challenges += 1;
            }
        }
        let peer_epoch = self.peer.as_ref().map_or(0, |peer| peer.epoch);
        Some(Hello { generation: self.generation, epoch: self.epoch, peer_epoch })
    }

    /// When an answer that has to wait will be due.
    pub fn next_deadline(&self) -> Option<Instant> {
        if !self.enabled || !self.reply {
            return None;
        }
        self.replied.map(|at| at + REPLY_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Negotiation, Negotiation, Instant) {
        (Negotiation::new(true, 0xA << 40, 0), Negotiation::new(true, 0xB << 40, 0), Instant::now())
    }

    /// Carries HELLOs to and fro until there are none; how many there were.
    fn exchange(a: &mut Negotiation, b: &mut Negotiation, now: Instant) -> usize {
        let mut count = 0;
        loop {
            let (from_a, from_b) = (a.poll(now, None), b.poll(now, None));
            if from_a.is_none() && from_b.is_none() {
                return count;
            }
            from_a.map(|hello| b.on_hello(hello));
            from_b.map(|hello| a.on_hello(hello));
            count += usize::from(from_a.is_some()) + usize::from(from_b.is_some());
            assert!(count < 20);
        }
    }

    #[test]
    fn three_frames_are_enough_and_the_tags_agree() {
        let (mut a, mut b, now) = pair();
        assert_eq!(exchange(&mut a, &mut b, now), 0);
        a.on_activity();
        assert_eq!(exchange(&mut a, &mut b, now), 3);
        assert!(b.is_for_us(a.outgoing_tag().unwrap()));
        assert!(a.is_for_us(b.outgoing_tag().unwrap()));
        assert_ne!(a.outgoing_tag(), b.outgoing_tag());
    }

    #[test]
    fn a_bound_frame_replaces_the_lost_third_hello() {
        let (mut a, mut b, now) = pair();
        a.on_activity();
        b.on_hello(a.poll(now, None).unwrap());
        a.on_hello(b.poll(now, None).unwrap());
        assert!(a.poll(now, None).is_some());
        assert_eq!(b.outgoing_tag(), None);
        assert!(b.is_for_us(a.outgoing_tag().unwrap()));
        assert!(a.is_for_us(b.outgoing_tag().unwrap()));
    }

    #[test]
    fn a_peer_that_never_answers_sees_few_hellos_and_none_without_traffic() {
        let (mut a, _, start) = pair();
        let mut sent = 0;
        for ms in 0..60_000 {
            a.on_activity();
            sent += usize::from(a.poll(start + Duration::from_millis(ms), None).is_some());
        }
        assert!((8..=13).contains(&sent), "{sent}");
        assert_eq!(a.poll(start + Duration::from_secs(3600), None), None);
    }

    #[test]
    fn a_peer_opened_anew_is_found_and_the_old_one_s_late_frames_are_not_taken() {
        let (mut a, mut b, now) = pair();
        a.on_activity();
        let late = a.poll(now, None).unwrap();
        b.on_hello(late);
        exchange(&mut a, &mut b, now);
        let old_tag = a.outgoing_tag().unwrap();
        let mut a2 = Negotiation::new(true, 0xC << 40, 1);
        // Whatever B still sends to A's first opening makes the second speak up.
        assert!(!a2.is_for_us(b.outgoing_tag().unwrap()));
        let later = now + Duration::from_secs(1);
        let hello = a2.poll(later, None).unwrap();
        assert_eq!(b.on_hello(hello), Change::Restarted);
        exchange(&mut a2, &mut b, later);
        assert!(b.is_for_us(a2.outgoing_tag().unwrap()));
        assert!(!b.is_for_us(old_tag));
        assert_eq!(b.on_hello(late), Change::None);
        assert!(b.is_for_us(a2.outgoing_tag().unwrap()));
    }

    #[test]
    fn of_two_openings_the_lower_generation_never_replaces_the_higher() {
        let (mut a, _, _) = pair();
        let new = Hello { generation: 2, epoch: 5, peer_epoch: 0 };
        let old = Hello { generation: 1, epoch: 4, peer_epoch: 0 };
        assert_eq!(a.on_hello(new), Change::Identified);
        assert_eq!(a.on_hello(old), Change::None);
    }

    #[test]
    fn one_s_own_hello_reflected_and_one_without_epoch_change_nothing() {
        let (mut a, _, now) = pair();
        a.on_activity();
        let own = a.poll(now, None).unwrap();
        assert_eq!(a.on_hello(own), Change::None);
        assert_eq!(a.on_hello(Hello { epoch: 0, ..own }), Change::None);
        assert_eq!(a.outgoing_tag(), None);
    }

    #[test]
    fn a_flood_of_epochs_leaves_constant_memory_and_few_answers() {
        let (mut a, _, now) = pair();
        for epoch in 1..10_000u64 {
            a.on_hello(Hello { generation: 0, epoch, peer_epoch: 7 });
        }
        assert!(a.retired.len() <= RETIRED);
        let answers = (0..1000).filter(|_| a.poll(now, None).is_some()).count();
        assert_eq!(answers, 1);
    }

    #[test]
    fn plain_data_from_a_negotiated_peer_is_refused_until_it_clearly_no_longer_negotiates() {
        let (mut a, mut b, start) = pair();
        a.on_activity();
        exchange(&mut a, &mut b, start);
        assert_eq!(b.on_plain_data(start), PlainData::Accept);
        assert!(b.is_for_us(a.outgoing_tag().unwrap()));
        let mut demoted_at = None;
        for ms in (0..20_000).step_by(10) {
            let now = start + Duration::from_millis(ms);
            match b.on_plain_data(now) {
                PlainData::Refuse => drop(b.poll(now, None)),
                PlainData::Demoted => {
                    demoted_at = Some(ms);
                    break;
                }
                PlainData::Accept => unreachable!(),
            }
        }
        assert!(demoted_at.is_some_and(|ms| (2_000..10_000).contains(&ms)), "{demoted_at:?}");
        assert_eq!(b.outgoing_tag(), None);
    }

    #[test]
    fn without_leave_to_negotiate_nothing_is_sent_or_taken() {
        let mut a = Negotiation::new(false, 1 << 50, 0);
        a.on_activity();
        assert_eq!(a.poll(Instant::now(), None), None);
        assert_eq!(a.on_hello(Hello { generation: 0, epoch: 9, peer_epoch: 1 << 50 }), Change::None);
        assert_eq!(a.outgoing_tag(), None);
    }
}
