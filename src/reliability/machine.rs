//! One end's layer as a whole: both halves and the negotiation, without a clock, a lock or a socket.
//!
//! The driver, after anything it did: takes frames from [`Machine::poll_transmit`] while its transport has room,
//! takes outcomes, hands received messages to readers, and sleeps until [`Machine::next_timeout`], after which it
//! calls [`Machine::on_timeout`]. A deadline at or before now means that `poll_transmit` has something; a
//! driver whose transport has no room waits for room instead.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::ack::RangeAck;
use super::frame::{self, DATA_OVERHEAD_BYTES, Frame, NotAFrame};
use super::negotiation::{Change, Negotiation, PlainData};
use super::outcome::Report;
use super::receiver::{Received, Receiver};
use super::sender::{Sender, SenderConfig};
use super::stats::Stats;
use crate::error::{Error, Result};

/// How a layer behaves.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// A message is not given up before `ack_timeout × (max_retries + 1)`.
    pub ack_timeout: Duration,
    /// Nor before so many retransmissions by timer.
    pub max_retries: u32,
    /// The most messages without an outcome.
    pub window_messages: usize,
    /// The most payload bytes of those.
    pub window_bytes: usize,
    /// The most messages received and not yet read.
    pub inbound_messages: usize,
    /// The most payload bytes of those.
    pub inbound_bytes: usize,
    /// Whether to negotiate with a peer that can. Without it only the reference's frames are sent.
    pub negotiate: bool,
    /// A random number for this opening of the layer.
    pub epoch: u64,
    /// How many layers were opened on this session at this end before.
    pub generation: u32,
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
            negotiate: true,
            epoch: 1,
            generation: 0,
            first_sequence: 0,
        }
    }
}

/// Whose a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// This layer's; it has been dealt with.
    Consumed,
    /// In the form of a frame bound to an opening of the layer that is not this one, or a message that is.
    Stale,
    /// No frame of this layer.
    NotAFrame,
}

/// One end's layer.
#[derive(Debug)]
pub struct Machine {
    sender: Sender,
    receiver: Receiver,
    negotiation: Negotiation,
    closed: bool,
    malformed: u64,
    stale: u64,
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
            negotiation: Negotiation::new(options.negotiate, options.epoch, options.generation),
            closed: false,
            malformed: 0,
            stale: 0,
        }
    }

    /// The largest message for datagrams of `max_size`; `None` if not even an empty one fits.
    pub fn max_payload(max_size: usize) -> Option<usize> {
        max_size.checked_sub(DATA_OVERHEAD_BYTES)
    }

    /// Whether a message of `bytes` would be accepted now.
    pub fn can_submit(&self, bytes: usize) -> bool {
        self.sender.can_submit(bytes, self.negotiation.outgoing_tag().is_some())
    }

    /// Accepts a message to be sent in datagrams of `max_size`, or says why not: [`Error::Closed`],
    /// [`Error::TooLarge`], [`Error::WouldBlock`]. An accepted message has exactly one outcome under `id`.
    pub fn submit(&mut self, now: Instant, payload: Bytes, id: u64, max_size: usize) -> Result<()> {
        let limit = Self::max_payload(max_size).unwrap_or(0);
        if payload.len() > limit || max_size < DATA_OVERHEAD_BYTES {
            return Err(Error::TooLarge { size: payload.len(), limit });
        }
        self.sender.submit(now, payload, id, self.negotiation.outgoing_tag().is_some())
    }

    /// The next frame to transmit, if one may go now; it counts as transmitted. A message that no longer fits
    /// `max_size` gets its outcome instead; 0 stands for a path that carries no datagrams.
    pub fn poll_transmit(&mut self, now: Instant, max_size: usize) -> Option<Bytes> {
        let tag = self.negotiation.outgoing_tag();
        if let Some(ack) = self.receiver.poll(now, max_size, tag) {
            if tag.is_none() {
                self.negotiation.on_activity();
            }
            return Some(ack);
        }
        if let Some(hello) = self.negotiation.poll(now, self.sender.rtt().srtt())
            && max_size >= frame::HELLO_BYTES
        {
            return Some(frame::hello_frame(hello));
        }
        let data = self.sender.poll(now, max_size, tag)?;
        if tag.is_none() {
            self.negotiation.on_activity();
        }
        Some(data)
    }

    /// Takes a datagram, or says that it is not this layer's. The message is not copied.
    pub fn on_frame(&mut self, now: Instant, datagram: &Bytes) -> Verdict {
        match Frame::parse(datagram) {
            Ok(Frame::Data { sequence, payload }) => self.on_plain_data(now, sequence, payload),
            Ok(Frame::Ack { sequence }) => {
                self.sender.on_plain_ack(now, sequence);
            }
            Ok(Frame::Hello(hello)) => match self.negotiation.on_hello(hello) {
                Change::None | Change::Identified => {}
                Change::Restarted => self.on_peer_restart(),
            },
            Ok(Frame::BoundData { tag, transmission, sequence, payload }) => {
                if !self.negotiation.is_for_us(tag) {
                    self.stale += 1;
                    return Verdict::Stale;
                }
                // Nobody will read what arrives after closing, so it is not acknowledged.
                if self.closed {
                    return Verdict::Consumed;
                }
                self.receiver.on_bound_data(now, sequence, transmission, payload);
            }
            Ok(Frame::BoundAck { tag, flags, body }) => {
                if !self.negotiation.is_for_us(tag) {
                    self.stale += 1;
                    return Verdict::Stale;
                }
                match RangeAck::decode(flags, &body) {
                    Some(ack) => self.sender.on_range_ack(now, &ack),
                    None => self.malformed += 1,
                }
            }
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

    /// When [`Machine::on_timeout`] is to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        let deadlines =
            [self.sender.next_deadline(), self.receiver.next_deadline(), self.negotiation.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Lets time pass.
    pub fn on_timeout(&mut self, now: Instant) {
        self.sender.advance(now);
    }

    /// The next message for the reader. Afterwards there may be something to transmit.
    pub fn recv(&mut self, now: Instant) -> Option<Received> {
        self.receiver.recv(now)
    }

    /// The next outcome. Their number is bounded only by their being taken.
    pub fn next_outcome(&mut self) -> Option<Report> {
        self.sender.next_outcome()
    }

    /// What became of the frames handed out: `left` have left for the network in all, others are `waiting` or not.
    /// Time during which some wait and none leaves does not count towards giving up. Without these calls all does.
    pub fn observe_path(&mut self, now: Instant, left: u64, waiting: bool) {
        self.sender.observe_path(now, left, waiting);
    }

    /// Takes the round-trip time that QUIC measured, until there are samples of our own.
    pub fn seed_rtt(&mut self, rtt: Duration) {
        self.sender.seed_rtt(rtt);
    }

    /// Whether every message accepted has its outcome.
    pub fn is_idle(&self) -> bool {
        self.sender.is_idle()
    }

    /// Makes pending acknowledgements due: before closing.
    pub fn flush_acks(&mut self, now: Instant) {
        self.receiver.flush(now);
    }

    /// Gives every message without an outcome that of closing. What was received can still be read.
    pub fn close(&mut self, now: Instant) {
        self.closed = true;
        self.sender.close(now);
    }

    /// Where the sequences of another layer on this session should begin.
    pub fn next_sequence(&self) -> u32 {
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
            srtt: self.sender.rtt().srtt(),
            min_rtt: self.sender.rtt().min_rtt(),
            rto: self.sender.rto(),
            reordering_window: self.sender.reordering_window(),
            unresolved,
            unresolved_bytes,
            inbound,
            inbound_bytes,
            negotiated: self.negotiation.outgoing_tag().is_some(),
            peer_full: self.sender.peer_full(),
        }
    }

    fn on_plain_data(&mut self, now: Instant, sequence: u32, payload: Bytes) {
        if self.closed {
            return;
        }
        match self.negotiation.on_plain_data(now) {
            PlainData::Accept => {}
            PlainData::Demoted => self.on_peer_restart(),
            PlainData::Refuse => {
                self.stale += 1;
                return;
            }
        }
        self.receiver.on_plain_data(now, sequence, payload);
    }

    fn on_peer_restart(&mut self) {
        self.receiver.on_peer_restart();
        self.sender.on_peer_restart();
    }
}
