//! Datagrams that arrive: delivered to the session's reader, kept for a session that is about to
//! exist, or dropped.

use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use super::{Connection, DELIVERED_AT_ONCE, KEPT_DATAGRAMS, MAX_UDP_PAYLOAD_BYTES};
use crate::link::core::datagrams::QUIC_RECEIVE_BUFFER_BYTES;
use crate::link::h3;
use crate::link::h3::DatagramVerdict;
use crate::link::h3::error::H3_DATAGRAM_ERROR;

impl Connection {
    /// Takes the sink that the session's user has attached.
    pub(super) fn adopt(&mut self) {
        if self.sink.is_none() && !self.had_sink && self.quarter.is_some() {
            self.sink = self.session.take_sink();
            self.had_sink = self.sink.is_some();
            // Makes the first check count what QUIC dropped before.
            self.burst = usize::MAX / 2;
        }
    }

    /// Takes the datagrams that arrived out of QUIC's buffer and delivers them. Returns whether the
    /// reader should get time to run.
    pub(in crate::link::core) fn deliver(&mut self, now: Instant, batch: &mut Vec<Bytes>) -> bool {
        self.adopt();
        let Some(sink) = self.sink.clone() else {
            self.keep_first();
            return false;
        };
        let Some(quarter) = self.quarter else { return false };
        let mut early = self.take_early().into_iter();
        let mut any = false;
        loop {
            batch.clear();
            let mut malformed = false;
            while batch.len() < DELIVERED_AT_ONCE
                && let Some(datagram) = early.next().or_else(|| self.next_datagram())
            {
                match quarter.strip(datagram) {
                    DatagramVerdict::Ours(payload) => batch.push(payload),
                    DatagramVerdict::Foreign => {
                        self.state.foreign.fetch_add(1, Ordering::Relaxed);
                    }
                    DatagramVerdict::Malformed => {
                        malformed = true;
                        break;
                    }
                }
            }
            let is_full = batch.len() == DELIVERED_AT_ONCE;
            if let Some(limit) = &mut self.rate_limit {
                self.state.over_rate.fetch_add(limit.drop_excess(now, batch), Ordering::Relaxed);
            }
            if !batch.is_empty() {
                any = true;
                sink.deliver(now, batch);
            }
            if malformed {
                // RFC 9297 section 2.1: a connection error.
                let reason = "a datagram without a quarter stream id";
                self.break_off(now, h3::ConnectionError::new(H3_DATAGRAM_ERROR, reason));
                self.end_broken();
                break;
            }
            if !is_full {
                self.count_receive_drops();
                break;
            }
        }
        batch.clear();
        any && sink.reader_is_behind()
    }

    pub(super) fn next_datagram(&mut self) -> Option<Bytes> {
        let datagram = self.quic.datagrams().recv()?;
        self.taken += 1;
        self.burst = self.burst.saturating_add(1);
        Some(datagram)
    }

    /// Empties QUIC's buffer although there is no reader. Once CONNECT has named the session, the
    /// first datagrams are kept for the reader that will come. All others, and those that arrive
    /// after the reader has gone, are dropped.
    pub(super) fn keep_first(&mut self) {
        while let Some(datagram) = self.next_datagram() {
            let is_wanted = !self.had_sink && self.h3.connect_stream_id().is_some();
            if is_wanted && self.rare().early.len() < KEPT_DATAGRAMS {
                self.rare().early.push(Bytes::copy_from_slice(&datagram));
            } else {
                self.dropped += 1;
                self.publish_drops(self.lost_by_quic);
            }
        }
    }

    pub(super) fn take_early(&mut self) -> Vec<Bytes> {
        let Some(rare) = &mut self.rare else { return Vec::new() };
        let early = std::mem::take(&mut rare.early);
        self.forget_rare();
        early
    }

    /// Counts the datagrams that QUIC's receive buffer dropped, at a moment when that buffer is
    /// empty. A burst that fits the buffer cannot have lost anything and is not checked.
    pub(super) fn count_receive_drops(&mut self) {
        if std::mem::take(&mut self.burst) >= QUIC_RECEIVE_BUFFER_BYTES / (2 * MAX_UDP_PAYLOAD_BYTES) {
            let arrived = self.quic.stats().frame_rx.datagram;
            self.publish_drops(arrived.saturating_sub(self.taken));
        }
    }

    pub(super) fn publish_drops(&mut self, lost_by_quic: u64) {
        self.lost_by_quic = lost_by_quic;
        self.state.receive_dropped.store(self.dropped + lost_by_quic, Ordering::Relaxed);
    }
}
