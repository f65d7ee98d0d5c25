//! The whole layer of one end: both halves and the negotiation, without clock, lock or socket.
//!
//! After each call, the driver takes frames from [`Machine::poll_transmit`] while its transport has
//! space, takes outcomes, and hands received messages to readers. Then it sleeps until
//! [`Machine::next_timeout`] and calls [`Machine::on_timeout`]. A deadline at or before now means
//! that `poll_transmit` has a frame; a driver whose transport has no space waits for space and for
//! [`Machine::next_timeout_without_space`] instead.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::ack::RangeAck;
use super::frame::{self, DATA_OVERHEAD_BYTES, Frame, NotAFrame};
use super::negotiation::{Change, Form, Mode, Negotiation, Owner, Past};
use super::outcome::Report;
use super::outstanding::Message;
use super::receiver::{Received, Receiver};
use super::sender::{Sender, SenderConfig, Transmit};
use super::stats::Stats;
use crate::datagram::message::Priority;
use crate::error::{Error, Result};

/// How a layer behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// A message is not given up before `ack_timeout × (max_retries + 1)`.
    pub ack_timeout: Duration,
    /// A message is not given up before so many retransmissions by timer.
    pub max_retries: u32,
    /// The most messages without an outcome.
    pub window_messages: usize,
    /// The most payload bytes of those.
    pub window_bytes: usize,
    /// The most messages received and not yet read.
    pub inbound_messages: usize,
    /// The most payload bytes of those.
    pub inbound_bytes: usize,
    /// Whether to negotiate with a peer that can, and how to treat plain frames.
    pub negotiation: Mode,
    /// A random number for this opening of the layer.
    pub epoch: u64,
    /// How many layers this end opened on this session before.
    pub generation: u32,
    /// What those learned of the peer: [`Machine::past`].
    pub past: Past,
    /// The first sequence: 0, or where the last layer on this session ended.
    pub first_sequence: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(2),
            max_retries: 5,
            window_messages: 1024,
            window_bytes: 1 << 20,
            inbound_messages: 4096,
            inbound_bytes: 1 << 20,
            negotiation: Mode::Auto,
            epoch: 1,
            generation: 0,
            past: Past::default(),
            first_sequence: 0,
        }
    }
}

/// The owner of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// This layer; it has processed the datagram.
    Consumed,
    /// An earlier opening of this layer or of the peer's; the datagram was dropped.
    Stale,
    /// Not this layer.
    NotAFrame,
}

/// How long after the window of plain frames such a frame may still arrive late.
const LATE: Duration = Duration::from_secs(1);

/// One end's layer.
#[derive(Debug)]
pub struct Machine {
    sender: Sender,
    receiver: Receiver,
    negotiation: Negotiation,
    closed: bool,
    malformed: u64,
    stale: u64,
    plain_taken: u64,
    plain_left: u64,
    /// The first and the highest sequence of the plain DATA taken.
    plain: Option<(u32, u32)>,
    /// When this end stopped taking plain frames.
    plain_until: Option<Instant>,
}

impl Machine {
    /// A layer that has sent and received nothing.
    pub fn new(now: Instant, options: Options) -> Self {
        let config = SenderConfig {
            ack_timeout: options.ack_timeout,
            max_retries: options.max_retries,
            window_messages: options.window_messages,
            window_bytes: options.window_bytes,
            first_sequence: options.first_sequence,
        };
        Self {
            sender: Sender::new(now, config),
            receiver: Receiver::new(now, options.inbound_messages, options.inbound_bytes),
            negotiation: Negotiation::new(
                options.negotiation,
                options.epoch,
                options.generation,
                options.past,
            ),
            closed: false,
            malformed: 0,
            stale: 0,
            plain_taken: 0,
            plain_left: 0,
            plain: None,
            plain_until: None,
        }
    }

    /// The largest message for datagrams of `max_size`; `None` if not even an empty one fits.
    pub(crate) fn max_payload(max_size: usize) -> Option<usize> {
        max_size.checked_sub(DATA_OVERHEAD_BYTES)
    }

    /// Whether a message of `bytes` would be accepted now.
    pub fn can_submit(&self, bytes: usize) -> bool {
        self.sender.can_submit(bytes)
    }

    /// Accepts a message to be sent in datagrams of `max_size`, or returns why not:
    /// [`Error::Closed`], [`Error::TooLarge`], [`Error::WouldBlock`]. An accepted message gets
    /// exactly one outcome under its id.
    pub fn submit(&mut self, message: Message, max_size: usize) -> Result<()> {
        let size = message.payload.len();
        let limit = Self::max_payload(max_size).unwrap_or(0);
        if size > limit || max_size < DATA_OVERHEAD_BYTES {
            return Err(Error::TooLarge { size, limit });
        }
        self.sender.submit(message)
    }

    /// The next frame to transmit, if one may go now; it then counts as transmitted. A message that
    /// no longer fits `max_size` gets its outcome instead; 0 means that the path carries no
    /// datagrams.
    pub fn poll_transmit(&mut self, now: Instant, max_size: usize) -> Option<Transmit> {
        let form = self.negotiation.form();
        if let Some(ack) = self.receiver.poll(now, max_size, form) {
            if form == Form::Plain {
                self.negotiation.on_plain_sent();
            }
            // It may acknowledge messages of any priority, and it is small.
            return Some(Transmit { frame: ack, priority: Priority::HIGHEST, expires_at: None });
        }
        if let Some(hello) = self.negotiation.poll(now, self.sender.rtt().srtt(), self.is_held())
            && max_size >= frame::HELLO_BYTES
        {
            // It must not overtake a plain frame, because the peer would no longer take that frame.
            let frame = frame::hello_frame(hello);
            return Some(Transmit { frame, priority: Priority::LOWEST, expires_at: None });
        }
        let data = self.sender.poll(now, max_size, form)?;
        if form == Form::Plain {
            self.negotiation.on_plain_sent();
        }
        Some(data)
    }

    /// Takes a datagram, or returns that it is not this layer's. The message is not copied.
    pub fn on_frame(&mut self, now: Instant, datagram: &Bytes) -> Verdict {
        match Frame::parse(datagram) {
            Ok(frame @ (Frame::Data { .. } | Frame::Ack { .. })) if !self.negotiation.takes_plain() => {
                if self.is_late(now, &frame) {
                    self.stale += 1;
                    return Verdict::Stale;
                }
                self.plain_left += 1;
                return Verdict::NotAFrame;
            }
            Ok(Frame::Data { sequence, payload }) => {
                self.plain_taken += 1;
                let (first, highest) = self.plain.unwrap_or((sequence, sequence));
                let higher = sequence.wrapping_sub(highest) < 1 << 31;
                self.plain = Some((first, if higher { sequence } else { highest }));
                // Messages that arrive after closing are not read, so they are not acknowledged.
                if !self.closed {
                    self.receiver.on_plain_data(now, sequence, payload);
                }
            }
            Ok(Frame::Ack { sequence }) => {
                self.plain_taken += 1;
                self.sender.on_plain_ack(now, sequence);
            }
            Ok(Frame::Hello(hello)) => {
                let took_plain = self.negotiation.takes_plain();
                if self.negotiation.on_hello(hello) == Change::Restarted {
                    self.receiver.on_peer_restart();
                    self.sender.on_peer_restart();
                }
                if took_plain && !self.negotiation.takes_plain() {
                    self.plain_until = Some(now);
                }
            }
            Ok(Frame::BoundData { tag, transmission, sequence, payload }) => {
                match self.negotiation.owner(tag) {
                    Owner::Present if self.closed => {}
                    Owner::Present => self.receiver.on_bound_data(now, sequence, transmission, payload),
                    other => return self.not_present(other),
                }
            }
            Ok(Frame::BoundAck { tag, flags, body }) => match self.negotiation.owner(tag) {
                Owner::Present => match RangeAck::decode(flags, &body) {
                    Some(ack) => self.sender.on_range_ack(now, &ack),
                    None => self.malformed += 1,
                },
                other => return self.not_present(other),
            },
            Err(NotAFrame::Malformed) => {
                self.malformed += 1;
                return Verdict::NotAFrame;
            }
            Err(NotAFrame::Unknown) => return Verdict::NotAFrame,
        }
        Verdict::Consumed
    }

    /// Messages refused so far because the inbound queue was full.
    pub fn refused_full(&self) -> u64 {
        self.receiver.stats().refused_full
    }

    /// The next time to call [`Machine::on_timeout`].
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let form = self.negotiation.form();
        let deadlines = [
            self.sender.next_deadline(form),
            self.receiver.next_deadline(form),
            self.negotiation.next_deadline(self.is_held()),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The next time to call [`Machine::on_timeout`] while nothing can be transmitted: a TTL or a
    /// timer runs out then. What waits only for its transmission is no reason.
    pub(crate) fn next_timeout_without_space(&self) -> Option<Instant> {
        self.sender.next_deadline(Form::Held)
    }

    /// Lets time pass.
    pub fn on_timeout(&mut self, now: Instant) {
        self.sender.advance(now, self.negotiation.form());
    }

    /// The next message for the reader. Afterwards there may be something to transmit.
    pub fn recv(&mut self, now: Instant) -> Option<Received> {
        self.receiver.recv(now)
    }

    /// The next outcome. Only taking them limits their number.
    pub fn next_outcome(&mut self) -> Option<Report> {
        self.sender.next_outcome()
    }

    /// Takes what became of the frames: `left` have left for the network in total, and `waiting`
    /// says whether others wait. Time in which some wait and none leaves does not count towards
    /// giving up. Without these calls all time counts.
    pub(crate) fn observe_path(&mut self, now: Instant, left: u64, waiting: bool) {
        self.sender.observe_path(now, left, waiting);
    }

    /// Takes the round-trip time that QUIC measured, until there are own samples.
    pub(crate) fn seed_rtt(&mut self, rtt: Duration) {
        self.sender.seed_rtt(rtt);
    }

    /// Whether every message accepted has its outcome.
    pub(crate) fn is_idle(&self) -> bool {
        self.sender.is_idle()
    }

    /// Makes pending acknowledgements due: for use before closing.
    pub(crate) fn flush_acks(&mut self, now: Instant) {
        self.receiver.flush(now);
    }

    /// Gives every message without an outcome that of closing. Received messages can still be read.
    pub fn close(&mut self, now: Instant) {
        self.closed = true;
        self.sender.close(now);
    }

    /// The first sequence for another layer on this session.
    pub(crate) fn next_sequence(&self) -> u32 {
        self.sender.next_sequence()
    }

    /// Counters and momentary values.
    pub fn stats(&self) -> Stats {
        let (unresolved, unresolved_bytes) = self.sender.unresolved();
        let (inbound, inbound_bytes) = self.receiver.inbound();
        Stats {
            sender: self.sender.stats(),
            receiver: self.receiver.stats(),
            malformed: self.malformed,
            stale: self.stale,
            plain_taken: self.plain_taken,
            plain_left: self.plain_left,
            srtt: self.sender.rtt().srtt(),
            min_rtt: self.sender.rtt().min_rtt(),
            rto: self.sender.rto(),
            reordering_window: self.sender.reordering_window(),
            unresolved,
            unresolved_bytes,
            inbound,
            inbound_bytes,
            negotiated: matches!(self.negotiation.form(), Form::Bound(_)),
            takes_plain: self.negotiation.takes_plain(),
            peer_full: self.sender.peer_full(),
        }
    }

    /// What the next layer on this session needs to know of the peer.
    pub(crate) fn past(&self) -> Past {
        self.negotiation.past()
    }

    /// Whether a plain frame is the layer's, and the network delivered it after the HELLO that was
    /// sent after it: it comes shortly after the window, and was missing then. It is useless,
    /// because its message comes again, bound.
    fn is_late(&self, now: Instant, frame: &Frame) -> bool {
        if self.plain_until.is_none_or(|until| now.saturating_duration_since(until) >= LATE) {
            return false;
        }
        match (frame, self.plain) {
            (Frame::Data { sequence, .. }, Some((first, highest))) => {
                sequence.wrapping_sub(first) < highest.wrapping_sub(first)
                    && self.receiver.is_missing(*sequence)
            }
            (Frame::Ack { sequence }, _) => self.sender.awaits_plain_ack(*sequence),
            _ => false,
        }
    }

    /// Whether something waits for the peer's answer.
    fn is_held(&self) -> bool {
        let something = !self.sender.is_idle() || self.receiver.has_plain_acks();
        something && self.negotiation.form() == Form::Held
    }

    fn not_present(&mut self, owner: Owner) -> Verdict {
        if owner == Owner::Unknown {
            return Verdict::NotAFrame;
        }
        self.stale += 1;
        Verdict::Stale
    }
}
