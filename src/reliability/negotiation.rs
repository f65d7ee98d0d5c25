//! The negotiation: whether the peer is a wtgram layer, and which opening of it.
//!
//! Each opening of a layer has a random *epoch*. HELLO frames, which the reference ignores, carry
//! it. A HELLO without the peer's epoch asks; one with the peer's epoch answers. An end asks while
//! it has something to send and does not know that the peer knows it. The pauses grow, so that a
//! peer that never answers gets few HELLOs.
//!
//! ```text
//! A                                B
//! |-- DATA 0 ---------------------->|   B takes plain frames
//! |-- HELLO(A, -) ----------------->|   B knows A
//! |<---------------------- ACK 0 ---|
//! |<---------- HELLO(B, A) ---------|   B sends no plain frames after it;
//! |                                 |   A takes none, and sends bound ones
//! |-- HELLO(A, B) ----------------->|   A sends no plain frames after it;
//! |                                 |   B takes none, and sends bound ones
//! |-- D tag(A, B), sequence 1 ----->|
//! ```
//!
//! - Frames are bound only when the peer is known to know this epoch. Before that they have the
//!   reference's form, if the mode is [`Mode::Auto`] and this end has not answered a HELLO of the
//!   peer; otherwise they wait ([`Form::Held`]).
//! - After an end has answered, neither it nor a later layer on the session sends plain frames. So
//!   no plain frames of the peer's layer follow a HELLO with this epoch: plain frames that arrive
//!   are the program's own, for the life of the session. ([`Mode::Required`] does not take any
//!   before that either.) A HELLO that asks does not say so, because its sender does not know this
//!   end yet.
//! - A HELLO with another epoch means that the peer's layer was opened again. It is accepted if its
//!   generation is not lower than the known one and its epoch is none of those replaced before,
//!   because HELLOs may arrive late and out of order.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::frame::{Hello, Tag};

/// The pause after the first unanswered HELLO, or three round trips if that is longer; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause while frames wait for the answer, unless three round trips are longer.
const LAST_HELD_PAUSE: Duration = Duration::from_millis(500);
/// The shortest pause between answers.
const REPLY_PAUSE: Duration = Duration::from_millis(20);
/// How many replaced epochs, and how many tags, are remembered.
const RETIRED: usize = 8;

/// Whether a layer uses more than the reference's protocol, and how it treats plain frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Plain frames are sent and taken until the peer has answered.
    #[default]
    Auto,
    /// Nothing but HELLOs is sent before the peer has answered; plain frames are never taken.
    Required,
    /// The reference's protocol: only plain frames.
    Off,
}

/// The form in which frames may go to the peer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In the reference's form.
    Plain,
    /// Bound to both openings.
    Bound(Tag),
    /// Not at all: the peer has not said yet that it knows this layer.
    Held,
}

/// What the layers of one session end know of the peer; each hands it to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// This end answered a HELLO of the peer and sends no plain frames after that.
    answered: bool,
    /// The peer's layer sends no more plain frames.
    plain_is_over: bool,
    /// Tags of frames between earlier openings, which may still arrive.
    tags: VecDeque<Tag>,
}

/// What a HELLO changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing that concerns the two halves.
    None,
    /// The peer has an epoch now: its sequences continue.
    Identified,
    /// The peer's layer was opened again: its sequences start again.
    Restarted,
}

/// The openings that a bound frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// From the peer's present layer to this one.
    Present,
    /// Between earlier openings.
    Past,
    /// None that are known.
    Unknown,
}

#[derive(Debug)]
struct Peer {
    epoch: u64,
    generation: u32,
    knows_us: bool,
}

/// The state of the negotiation.
#[derive(Debug)]
pub struct Negotiation {
    mode: Mode,
    epoch: u64,
    generation: u32,
    peer: Option<Peer>,
    past: Past,
    retired: VecDeque<u64>,
    attempts: u32,
    next_attempt: Option<Instant>,
    wanted: bool,
    reply: bool,
    replied: Option<Instant>,
}

impl Negotiation {
    /// An opening that knows what earlier ones learned.
    pub fn new(mode: Mode, epoch: u64, generation: u32, past: Past) -> Self {
        Self {
            mode,
            epoch: epoch.max(1),
            generation,
            peer: None,
            past,
            retired: VecDeque::new(),
            attempts: 0,
            next_attempt: None,
            wanted: false,
            reply: false,
            replied: None,
        }
    }

    /// The form in which frames may go now.
    pub fn form(&self) -> Form {
        match (&self.peer, self.mode) {
            (_, Mode::Off) => Form::Plain,
            (Some(peer), _) if peer.knows_us => Form::Bound(Tag::new(self.epoch, peer.epoch)),
            (_, Mode::Auto) if !self.past.answered => Form::Plain,
            _ => Form::Held,
        }
    }

    /// Whether plain frames belong to the peer's layer and not to the program.
    pub fn takes_plain(&self) -> bool {
        match self.mode {
            Mode::Auto => !self.past.plain_is_over,
            Mode::Required => false,
            Mode::Off => true,
        }
    }

    /// The owner of a frame with `tag`. A frame from the peer's present layer proves that the peer
    /// knows this epoch. A frame between earlier openings makes this end send a HELLO.
    pub(crate) fn owner(&mut self, tag: Tag) -> Owner {
        match &mut self.peer {
            Some(peer) if tag == Tag::new(peer.epoch, self.epoch) => {
                peer.knows_us = true;
                // A frame of higher priority may have overtaken plain frames. The answer to a HELLO
                // overtakes none.
                self.wanted |= self.takes_plain();
                Owner::Present
            }
            _ if self.past.tags.contains(&tag) => {
                self.wanted = true;
                Owner::Past
            }
            _ => Owner::Unknown,
        }
    }

    /// A plain frame has been sent: a HELLO may follow it.
    pub(crate) fn on_plain_sent(&mut self) {
        self.wanted = true;
    }

    /// A HELLO arrived.
    pub(crate) fn on_hello(&mut self, hello: Hello) -> Change {
        // A reflector sends our own epoch back; 0 is no epoch.
        if self.mode == Mode::Off || hello.epoch == self.epoch || hello.epoch == 0 {
            return Change::None;
        }
        let knows_us = hello.peer_epoch == self.epoch;
        let mut change = Change::Identified;
        if let Some(peer) = &mut self.peer {
            if peer.epoch == hello.epoch {
                peer.knows_us |= knows_us;
                self.past.plain_is_over |= knows_us;
                self.reply |= !knows_us;
                return Change::None;
            }
            if hello.generation < peer.generation || self.retired.contains(&hello.epoch) {
                return Change::None;
            }
            remember(&mut self.retired, peer.epoch);
            remember(&mut self.past.tags, Tag::new(peer.epoch, self.epoch));
            change = Change::Restarted;
        }
        self.peer = Some(Peer { epoch: hello.epoch, generation: hello.generation, knows_us });
        self.past.plain_is_over |= knows_us;
        self.attempts = 0;
        self.next_attempt = None;
        self.reply = true;
        change
    }

    /// The HELLO to send now, if one is due. `held` says that frames wait for the peer's answer.
    pub fn poll(&mut self, now: Instant, rtt: Option<Duration>, held: bool) -> Option<Hello> {
        if self.mode == Mode::Off {
            return None;
        }
        let reply_due =
            self.reply && self.replied.is_none_or(|at| now.saturating_duration_since(at) >= REPLY_PAUSE);
        let attempt_due = (self.wanted || held) && self.next_attempt.is_none_or(|at| at <= now);
        // A request during a pause is not kept: traffic will repeat it.
        self.wanted = false;
        let mut hello = Hello { generation: self.generation, epoch: self.epoch, peer_epoch: 0 };
        if reply_due {
            self.reply = false;
            self.replied = Some(now);
            hello.peer_epoch = self.peer.as_ref().map_or(0, |peer| peer.epoch);
            self.past.answered = true;
        } else if !attempt_due {
            return None;
        }
        if attempt_due {
            let first = FIRST_PAUSE.max(rtt.unwrap_or_default() * 3);
            let last = if held { LAST_HELD_PAUSE } else { LAST_PAUSE };
            self.next_attempt =
                Some(now + first.saturating_mul(1 << self.attempts.min(10)).min(last.max(first)));
            self.attempts = self.attempts.saturating_add(1);
        }
        Some(hello)
    }

    /// When the next HELLO is due without new traffic.
    pub(crate) fn next_deadline(&self, held: bool) -> Option<Instant> {
        if self.mode == Mode::Off {
            return None;
        }
        let reply = self.replied.filter(|_| self.reply).map(|at| at + REPLY_PAUSE);
        let attempt = self.next_attempt.filter(|_| held);
        [reply, attempt].into_iter().flatten().min()
    }

    /// What the next layer of this session end needs to know.
    pub(crate) fn past(&self) -> Past {
        let mut past = self.past.clone();
        if let Some(peer) = &self.peer {
            remember(&mut past.tags, Tag::new(peer.epoch, self.epoch));
        }
        past
    }
}

fn remember<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == RETIRED {
        list.pop_front();
    }
    list.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Negotiation, Negotiation, Instant) {
        (opening(Mode::Auto, 0xA), opening(Mode::Auto, 0xB), Instant::now())
    }

    fn opening(mode: Mode, epoch: u64) -> Negotiation {
        Negotiation::new(mode, epoch << 40, 0, Past::default())
    }

    fn tag(negotiation: &Negotiation) -> Option<Tag> {
        match negotiation.form() {
            Form::Bound(tag) => Some(tag),
            Form::Plain | Form::Held => None,
        }
    }

    fn is_for(negotiation: &mut Negotiation, tag: Option<Tag>) -> bool {
        negotiation.owner(tag.unwrap()) == Owner::Present
    }

    /// Carries HELLOs in both directions until there are none; returns their number.
    fn exchange(a: &mut Negotiation, b: &mut Negotiation, now: Instant) -> usize {
        let mut count = 0;
        loop {
            let (from_a, from_b) = (a.poll(now, None, false), b.poll(now, None, false));
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
        a.on_plain_sent();
        assert_eq!(exchange(&mut a, &mut b, now), 3);
        assert!(is_for(&mut b, tag(&a)));
        assert!(is_for(&mut a, tag(&b)));
        assert_ne!(tag(&a), tag(&b));
    }

    #[test]
    fn a_bound_frame_replaces_the_lost_third_hello() {
        let (mut a, mut b, now) = pair();
        a.on_plain_sent();
        b.on_hello(a.poll(now, None, false).unwrap());
        a.on_hello(b.poll(now, None, false).unwrap());
        assert!(a.poll(now, None, false).is_some());
        assert_eq!(tag(&b), None);
        assert!(is_for(&mut b, tag(&a)));
        assert!(is_for(&mut a, tag(&b)));
    }

    #[test]
    fn a_peer_that_never_answers_sees_few_hellos_and_none_without_traffic() {
        let (mut a, _, start) = pair();
        let mut sent = 0;
        for ms in 0..60_000 {
            a.on_plain_sent();
            sent += usize::from(a.poll(start + Duration::from_millis(ms), None, false).is_some());
        }
        assert!((8..=13).contains(&sent), "{sent}");
        assert_eq!(a.poll(start + Duration::from_secs(3600), None, false), None);
    }

    #[test]
    fn a_peer_that_opens_again_is_found_and_frames_of_its_old_opening_are_known_as_such() {
        let (mut a, mut b, now) = pair();
        a.on_plain_sent();
        let late = a.poll(now, None, false).unwrap();
        b.on_hello(late);
        exchange(&mut a, &mut b, now);
        let old_tag = tag(&a).unwrap();
        let mut a2 = Negotiation::new(Mode::Auto, 0xC << 40, 1, a.past());
        // It knows that the peer negotiates, and waits for it.
        assert_eq!((a2.form(), a2.takes_plain()), (Form::Held, false));
        // A frame that B still sends to A's first opening makes the second one send a HELLO.
        assert_eq!(a2.owner(tag(&b).unwrap()), Owner::Past);
        let later = now + Duration::from_secs(1);
        let hello = a2.poll(later, None, false).unwrap();
        assert_eq!(b.on_hello(hello), Change::Restarted);
        exchange(&mut a2, &mut b, later);
        assert!(is_for(&mut b, tag(&a2)));
        assert_eq!(b.owner(old_tag), Owner::Past);
        assert_eq!(b.owner(Tag(old_tag.0 ^ 1)), Owner::Unknown, "a program's own datagram");
        assert_eq!(b.on_hello(late), Change::None);
        assert!(is_for(&mut b, tag(&a2)));
    }

    #[test]
    fn plain_frames_are_taken_until_the_peer_s_hello_names_this_opening() {
        let (mut a, mut b, now) = pair();
        assert!(a.takes_plain() && b.takes_plain());
        a.on_plain_sent();
        b.on_hello(a.poll(now, None, false).unwrap());
        // A does not know B yet: its plain frames are under way. B sends none after its answer.
        assert_eq!((b.takes_plain(), b.form()), (true, Form::Plain));
        a.on_hello(b.poll(now, None, false).unwrap());
        assert_eq!((b.takes_plain(), b.form()), (true, Form::Held));
        assert!(!a.takes_plain() && tag(&a).is_some());
        b.on_hello(a.poll(now, None, false).unwrap());
        assert!(!b.takes_plain());
        // This holds for good, also for later layers.
        b.on_hello(Hello { generation: 1, epoch: 99, peer_epoch: 0 });
        let b2 = Negotiation::new(Mode::Auto, 5, 1, b.past());
        assert!(!b.takes_plain() && !b2.takes_plain());
    }

    #[test]
    fn a_bound_frame_that_overtakes_plain_ones_leaves_the_window_open_and_asks_for_the_end_of_it() {
        let (mut a, mut b, now) = pair();
        a.on_plain_sent();
        b.on_hello(a.poll(now, None, false).unwrap());
        a.on_hello(b.poll(now, None, false).unwrap());
        let lost = a.poll(now, None, false).unwrap();
        assert!(is_for(&mut b, tag(&a)) && b.takes_plain());
        let later = now + Duration::from_secs(1);
        let question = b.poll(later, None, false).unwrap();
        assert_eq!(question.peer_epoch, 0);
        a.on_hello(question);
        assert_eq!(a.poll(later, None, false), Some(lost));
        b.on_hello(lost);
        assert!(!b.takes_plain());
    }

    #[test]
    fn what_waits_for_an_answer_asks_often_enough_and_gets_one_also_when_answers_are_lost() {
        let (mut a, mut b, start) =
            (opening(Mode::Required, 0xA), opening(Mode::Required, 0xB), Instant::now());
        assert_eq!((a.form(), a.takes_plain()), (Form::Held, false));
        let mut asked = 0;
        for ms in 0..10_000 {
            let now = start + Duration::from_millis(ms);
            if let Some(question) = a.poll(now, None, true) {
                asked += 1;
                b.on_hello(question);
            }
            let answer = b.poll(now, None, false);
            // Only the last answer arrives.
            if let Some(answer) = answer.filter(|_| ms > 9_000) {
                a.on_hello(answer);
                break;
            }
        }
        assert!((18..=24).contains(&asked), "{asked}");
        assert!(tag(&a).is_some());
        assert_eq!(b.form(), Form::Held);
        let later = start + Duration::from_secs(20);
        b.on_hello(a.poll(later, None, false).unwrap());
        assert!(tag(&b).is_some());
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
        a.on_plain_sent();
        let own = a.poll(now, None, false).unwrap();
        assert_eq!(a.on_hello(own), Change::None);
        assert_eq!(a.on_hello(Hello { epoch: 0, ..own }), Change::None);
        assert_eq!(tag(&a), None);
    }

    #[test]
    fn a_flood_of_epochs_leaves_constant_memory_and_few_answers() {
        let (mut a, _, now) = pair();
        for epoch in 1..10_000u64 {
            a.on_hello(Hello { generation: 0, epoch, peer_epoch: 7 });
        }
        assert!(a.retired.len() <= RETIRED);
        let answers = (0..1000).filter(|_| a.poll(now, None, false).is_some()).count();
        assert_eq!(answers, 1);
    }

    #[test]
    fn with_the_negotiation_off_no_hello_is_sent_or_taken_and_plain_frames_always_are() {
        let mut a = opening(Mode::Off, 1 << 10);
        a.on_plain_sent();
        assert_eq!(a.poll(Instant::now(), None, false), None);
        assert_eq!(a.on_hello(Hello { generation: 0, epoch: 9, peer_epoch: 1 << 50 }), Change::None);
        assert_eq!((a.form(), a.takes_plain()), (Form::Plain, true));
    }
}
