//! One side of a session, and the program that uses it: it sends, reads, and keeps a book that must
//! fit the other side's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wtgram::datagram::message::{Limits, Priority};
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::send::FullPolicy;
use wtgram::datagram::transport::Transport;
use wtgram::error::Error;
use wtgram::link::LinkSession;
use wtgram::link::session::{CloseInfo, ClosedBy};
use wtgram::reliability::layer::{Layer, LayerOptions};
use wtgram::reliability::outcome::MessageOutcome;
use wtgram::runtime::wait::Deadline;

use support::invented::Dice;
use support::invented::world::Record;

/// The first byte of payloads. A reliability frame with such a long type would not fit a packet.
const DATAGRAM: u8 = 0xfe;
const MESSAGE: u8 = 0xfd;

/// What a side has done and seen.
#[derive(Default)]
pub struct Book {
    /// Datagrams accepted for sending, and datagrams read, by number.
    pub sent: BTreeSet<u64>,
    pub read: BTreeSet<u64>,
    /// Messages accepted by the reliability layer, their outcomes, and messages read.
    pub submitted: BTreeSet<u64>,
    pub outcomes: BTreeMap<u64, MessageOutcome>,
    pub messages: BTreeSet<u64>,
    /// Datagrams handed in, whatever became of them.
    pub handed_in: u64,
    /// The words this side closed with, if it closed.
    pub said: Option<(u32, String)>,
    /// How it ended.
    pub ended: Option<CloseInfo>,
}

/// One side.
pub struct User {
    host: SocketAddr,
    /// Distinguishes the payloads of sides.
    tag: u64,
    pub session: Arc<LinkSession>,
    pub transport: Arc<Transport>,
    pub layer: Option<Arc<Layer>>,
    wants_layer: bool,
    /// Reads seldom, so that its queue overflows.
    is_slow: bool,
    pub book: Book,
    /// The book covers only peers that follow the rules: what others send is not expected to fit.
    pub peer_is_honest: bool,
    next: u64,
    buffer: Vec<u8>,
}

impl User {
    pub fn new(
        host: SocketAddr,
        tag: u64,
        session: Arc<LinkSession>,
        transport: Arc<Transport>,
        peer_is_honest: bool,
        dice: &mut Dice,
    ) -> Self {
        // The path tells both sides of a session whether there is a layer.
        let wants_layer = session.established().is_ok_and(|facts| facts.request.path.ends_with("/layer"));
        let is_slow = dice.one_in(5);
        let book = Book::default();
        Self {
            host,
            tag,
            session,
            transport,
            layer: None,
            wants_layer,
            is_slow,
            book,
            peer_is_honest,
            next: 0,
            buffer: vec![0; 2000],
        }
    }

    pub fn transport_options(dice: &mut Dice) -> TransportOptions {
        let mut options = TransportOptions::default();
        if dice.one_in(3) {
            options.outgoing_limits = Limits { datagrams: 1 + dice.below(300) as usize, bytes: 100_000 };
            options.incoming_limits = Limits { datagrams: 1 + dice.below(100) as usize, bytes: 50_000 };
        }
        options.outgoing_policy = dice.pick(&[FullPolicy::Evict, FullPolicy::Reject, FullPolicy::Wait]);
        if dice.one_in(4) {
            options.outgoing_max_age = Some(Duration::from_millis(1 + dice.below(500)));
        }
        if dice.one_in(4) {
            options.incoming_max_age = Some(Duration::from_millis(1 + dice.below(500)));
        }
        options
    }

    /// Does a few of the things that programs do.
    pub fn act(&mut self, dice: &mut Dice, record: &mut Record) {
        if self.note_end(record) {
            self.read(record);
            return;
        }
        if self.wants_layer && self.layer.is_none() && dice.one_in(2) {
            self.layer = Layer::open(Arc::clone(&self.transport), &LayerOptions::default()).ok();
        }
        let burst = if dice.one_in(30) { 300 } else { 8 };
        for _ in 0..dice.below(burst) {
            self.send(dice);
        }
        for _ in 0..dice.below(4) {
            self.submit(dice);
        }
        if !self.is_slow || dice.one_in(20) {
            self.read(record);
        }
        if dice.one_in(100) {
            self.transport.outgoing.clear();
        }
        self.check_counters();
        if dice.one_in(400) {
            self.close(dice, record);
        }
    }

    fn send(&mut self, dice: &mut Dice) {
        let largest = self.transport.outgoing.max_datagram_size().unwrap_or(1200) as u64;
        let size = if dice.one_in(3) { dice.below(largest + 20) } else { dice.below(100) };
        let options = SendOptions {
            priority: Priority::clamped(dice.below(3) as i64),
            ttl: dice.one_in(4).then(|| Duration::from_millis(1 + dice.below(300))),
            report_id: None,
        };
        let number = self.next;
        self.next += 1;
        let payload = payload(DATAGRAM, self.tag, number, size as usize);
        self.book.handed_in += 1;
        match self.transport.outgoing.send(&payload, &options, Deadline::Now) {
            Ok(()) => drop(self.book.sent.insert(number)),
            Err(
                Error::TooLarge { .. }
                | Error::QueueFull
                | Error::WouldBlock
                | Error::Closed
                | Error::Unsupported,
            ) => {}
            Err(error) => panic!("{}: a datagram of {size} bytes: {error}", self.host),
        }
    }

    fn submit(&mut self, dice: &mut Dice) {
        let Some(layer) = &self.layer else { return };
        let largest = layer.max_message_size().unwrap_or(1100) as u64;
        let number = self.next;
        self.next += 1;
        let payload = payload(MESSAGE, self.tag, number, dice.below(largest.min(600)) as usize);
        let options = SendOptions {
            priority: Priority::clamped(dice.below(3) as i64),
            ttl: dice.one_in(10).then(|| Duration::from_millis(1 + dice.below(2000))),
            report_id: Some(number + 1),
        };
        match layer.send(&payload, &options, Deadline::Now) {
            Ok(()) => drop(self.book.submitted.insert(number)),
            Err(Error::TooLarge { .. } | Error::WouldBlock | Error::Closed | Error::LimitReached(_)) => {}
            Err(error) => panic!("{}: a message: {error}", self.host),
        }
    }

    /// Reads everything there is.
    pub fn read(&mut self, record: &mut Record) {
        let mut count = 0;
        loop {
            match self.transport.incoming.receive(&mut self.buffer, Deadline::Now) {
                Ok(metadata) => {
                    count += 1;
                    let payload = &self.buffer[..metadata.size];
                    // As long as this side has no layer, frames of the peer's layer arrive here.
                    if self.peer_is_honest && payload.first() == Some(&DATAGRAM) {
                        let number = number(payload, self.tag ^ 1);
                        assert!(self.book.read.insert(number), "{}: datagram {number} came twice", self.host);
                    }
                }
                Err(Error::WouldBlock | Error::Closed) => break,
                Err(error) => panic!("{}: reading: {error}", self.host),
            }
        }
        if count > 0 {
            record.note(self.host, "reads datagrams", count);
        }
        let Some(layer) = self.layer.clone() else { return };
        loop {
            match layer.receive(&mut self.buffer, Deadline::Now) {
                Ok(metadata) => {
                    let payload = &self.buffer[..metadata.size];
                    record.note(self.host, "reads a message", metadata.size as u64);
                    if self.peer_is_honest {
                        let number = number(payload, self.tag ^ 1);
                        assert!(self.book.messages.insert(number), "{}: message {number} twice", self.host);
                    }
                }
                Err(Error::WouldBlock | Error::Closed) => break,
                Err(error) => panic!("{}: reading a message: {error}", self.host),
            }
        }
        while let Ok(report) = layer.next_outcome(Deadline::Now) {
            record.note(self.host, &format!("learns: {:?}", report.outcome), report.id);
            let before = self.book.outcomes.insert(report.id - 1, report.outcome);
            assert_eq!(before, None, "{}: two outcomes of one message", self.host);
        }
    }

    pub fn close(&mut self, dice: &mut Dice, record: &mut Record) {
        if self.session.is_closed() {
            return;
        }
        let (code, reason) = (dice.next() as u32, "x".repeat(dice.below(100) as usize));
        self.session.close(code, &reason).expect("a short reason");
        self.book.said = Some((code, reason));
        record.note(self.host, "closes", u64::from(code));
    }

    /// Records how the session ended, if it has ended; returns whether it has.
    pub fn note_end(&mut self, record: &mut Record) -> bool {
        let info = self.session.close_info();
        if self.book.ended.is_none()
            && let Some(info) = &info
        {
            record.note(self.host, &format!("ends: {info:?}"), 0);
            self.book.ended = Some(info.clone());
        }
        assert_eq!(self.book.ended, info, "{}: the last words changed", self.host);
        info.is_some()
    }

    /// Every datagram is in exactly one counter, at any time.
    pub fn check_counters(&self) {
        let stats = self.transport.stats();
        assert!(stats.outbound.is_balanced(), "{}: {:?}", self.host, stats.outbound);
        assert!(stats.inbound.is_balanced(), "{}: {:?}", self.host, stats.inbound);
        if self.layer.is_none() {
            assert!(stats.outbound.handed_in.datagrams <= self.book.handed_in, "{}", self.host);
            assert!(stats.outbound.handed_in.datagrams >= self.book.sent.len() as u64, "{}", self.host);
            assert!(stats.inbound.delivered.datagrams >= self.book.read.len() as u64, "{}", self.host);
        }
    }

    /// Checks the end of the run: nothing waits, and every message has its outcome.
    pub fn check_end(&self) {
        self.check_counters();
        let stats = self.transport.stats();
        assert_eq!(stats.outbound.queued.datagrams, 0, "{}: something waits to be sent", self.host);
        assert_eq!(stats.inbound.queued.datagrams, 0, "{}: something waits to be read", self.host);
        assert!(self.transport.incoming.has_ended() && self.transport.is_closed(), "{}", self.host);
        let with_outcome: BTreeSet<_> = self.book.outcomes.keys().copied().collect();
        assert_eq!(self.book.submitted, with_outcome, "{}: messages and outcomes", self.host);
        let ended = self.book.ended.as_ref().expect("it ended");
        let aside = "the session's lane gave it up";
        assert_ne!(ended.reason, aside, "{}: a panic was caught", self.host);
        if let Some((code, reason)) = &self.book.said {
            let own =
                CloseInfo { by: ClosedBy::Local, code: *code, reason: reason.clone(), transport_error: 0 };
            assert_eq!(*ended, own, "{}: it closed first", self.host);
        }
    }

    /// Checks that what this side has seen fits what `peer` has done.
    pub fn check_against(&self, peer: &Self) {
        assert!(self.book.read.is_subset(&peer.book.sent), "{}: a datagram that was never sent", self.host);
        let messages = &self.book.messages;
        assert!(messages.is_subset(&peer.book.submitted), "{}: a message never sent", self.host);
        for (number, outcome) in &peer.book.outcomes {
            if *outcome == MessageOutcome::Acknowledged {
                assert!(
                    messages.contains(number),
                    "{}: message {number} was acknowledged, not read",
                    self.host
                );
            }
        }
        let (sent, outside) = (peer.transport.stats().outbound.sent, self.transport.stats().outside);
        let inbound = self.transport.stats().inbound;
        let arrived = inbound.received.datagrams
            + outside.routed.datagrams
            + outside.foreign.datagrams
            + outside.dropped_in_quic;
        assert!(arrived <= sent.datagrams, "{}: {arrived} arrived of {}", self.host, sent.datagrams);
        if let Some(CloseInfo { by: ClosedBy::Peer, code, reason, .. }) = &self.book.ended {
            // If words do not arrive within a second, the peer leaves without them.
            let silence = (0, String::new());
            let said = peer.book.said.clone().unwrap_or(silence.clone());
            let heard = (*code, reason.clone());
            assert!(heard == said || heard == silence, "{}: {heard:?} and not {said:?}", self.host);
        }
    }
}

/// A payload that differs from all others, and in which a wrong bit is noticed.
fn payload(kind: u8, tag: u64, number: u64, filler: usize) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&tag.to_be_bytes());
    bytes.extend_from_slice(&number.to_be_bytes());
    let mut dice = Dice::new(tag ^ number << 16);
    bytes.extend((0..filler).map(|_| dice.next() as u8));
    bytes
}

/// The number of a payload that `tag` has sent; the payload must be unchanged.
fn number(bytes: &[u8], tag: u64) -> u64 {
    let (head, filler) = bytes.split_first_chunk::<17>().expect("a payload of ours");
    let number = u64::from_be_bytes(head[9..].try_into().expect("8 bytes"));
    assert_eq!(bytes, payload(head[0], tag, number, filler.len()), "a payload was altered");
    number
}
