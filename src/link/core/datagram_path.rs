//! The path of a session's datagrams: their prefix, their largest size, and how to wake the lane.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{BufMut, Bytes, BytesMut};

use super::datagrams::{DatagramState, PathCounts};
use super::lane::{Driver, Lane};
use super::{Command, ConnectionKey};
use crate::error::{Error, Result};
use crate::link::h3::QuarterStreamId;
use crate::runtime::waiters::Lead;

/// The path of a session's datagrams below all queues, as callers see it.
pub struct DatagramPath {
    lane: Arc<Lane>,
    driver: Option<Arc<dyn Driver>>,
    key: ConnectionKey,
    state: Arc<DatagramState>,
    quarter: QuarterStreamId,
}

impl DatagramPath {
    pub(in crate::link) fn new(
        lane: Arc<Lane>,
        key: ConnectionKey,
        state: Arc<DatagramState>,
        session_id: u64,
    ) -> Result<Self> {
        let quarter = QuarterStreamId::of(session_id)
            .ok_or_else(|| Error::Protocol(format!("{session_id} is not a session id")))?;
        Ok(Self { driver: lane.driver(), lane, key, state, quarter })
    }

    /// Makes the lane look at what the session has to send. May be called on any thread, also in a
    /// turn.
    pub fn wake(&self) {
        if !self.state.woken.swap(true, Ordering::SeqCst) {
            self.lane.post(Command::Session(self.key));
        }
    }

    /// Feeds QUIC on the calling thread if the lane takes no turn now, else does the same as
    /// [`Self::wake`]. Must not be called in a turn, nor with a lock held that a sink takes.
    pub fn feed(&self) {
        if !self.lane.feed_now(self.key) {
            self.wake();
        }
    }

    /// Sends the waiting datagrams on the calling thread if no thread takes a turn of the lane now,
    /// else does the same as [`Self::wake`]. Must not be called in a turn, nor with a lock held
    /// that a turn takes.
    pub(crate) fn send_now(&self) {
        if !self.driver.as_ref().is_some_and(|driver| driver.send_now(self.key)) {
            self.wake();
        }
    }

    /// The lane, for a thread to lead while it waits for a datagram on this path.
    pub fn lane_to_lead(&self) -> Option<Arc<dyn Lead>> {
        self.driver.clone().map(|driver| driver as Arc<dyn Lead>)
    }

    /// The session whose datagrams take this path.
    pub fn session_id(&self) -> u64 {
        self.quarter.session_id()
    }

    /// The bytes with which its datagrams begin.
    pub fn prefix(&self) -> &[u8] {
        self.quarter.prefix()
    }

    /// The number of its lane.
    pub fn lane(&self) -> usize {
        self.lane.index()
    }

    /// The session prefix and `payload` in one buffer, as QUIC takes them.
    pub fn frame(&self, payload: &[u8]) -> Bytes {
        let prefix = self.quarter.prefix();
        let mut framed = BytesMut::with_capacity(prefix.len() + payload.len());
        framed.put_slice(prefix);
        framed.put_slice(payload);
        framed.freeze()
    }

    /// The largest payload that can be sent now; [`Error::Unsupported`] when not even an empty one
    /// can be sent.
    pub(crate) fn max_payload(&self) -> Result<usize> {
        self.state
            .max_size()
            .and_then(|limit| limit.checked_sub(self.prefix().len()))
            .ok_or(Error::Unsupported)
    }

    /// The datagrams that were lost below our queues, up to the last moment at which QUIC's buffers
    /// were empty.
    pub fn counts(&self) -> PathCounts {
        self.state.counts()
    }
}
