//! Streams: the peer's bytes go to the HTTP/3 state, and our bytes go out.

use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{Dir, ReadError, StreamEvent, StreamId, WriteError};

use super::{CHUNK_BYTES, Connection, LINGER, Stage, Unsent};
use crate::link::h3::error::{H3_NO_ERROR, varint};
use crate::link::h3::{Role, StreamVerdict};

impl Connection {
    pub(super) fn stream_event(&mut self, now: Instant, event: StreamEvent) {
        match event {
            StreamEvent::Opened { dir } => {
                while let Some(id) = self.quic.streams().accept(dir) {
                    self.read(now, id);
                }
            }
            StreamEvent::Readable { id } => self.read(now, id),
            StreamEvent::Writable { .. } => self.flush(),
            StreamEvent::Finished { id } if Some(id) == self.connect => self.last_bytes_acknowledged(now),
            StreamEvent::Stopped { id, error_code } if Some(id) == self.connect => match self.stage {
                // This ends the session (draft-ietf-webtrans-http3 section 6). But peers send it
                // together with their CLOSE capsule, which goes first if it comes.
                Stage::Open => {
                    self.rare().give_up.get_or_insert((now + LINGER, error_code.into_inner()));
                }
                Stage::Asking if self.h3.role() == Role::Server => self.withdrawn(now),
                _ => self.last_bytes_acknowledged(now),
            },
            // A control or CONNECT stream may wait for `Available`. `advance` opens it after these
            // events.
            _ => {}
        }
    }

    /// Feeds the bytes that arrived on stream `id` to the HTTP/3 state.
    pub(super) fn read(&mut self, now: Instant, id: StreamId) {
        if self.broken.is_some() {
            return;
        }
        let number = u64::from(id);
        let mut verdict = Ok(StreamVerdict::Continue);
        let mut end = 0;
        {
            let mut stream = self.quic.recv_stream(id);
            let Ok(mut chunks) = stream.read(true) else { return };
            loop {
                let next = chunks.next(CHUNK_BYTES);
                let (data, fin) = match next {
                    Ok(Some(chunk)) => {
                        end = chunk.offset + chunk.bytes.len() as u64;
                        (chunk.bytes, false)
                    }
                    Ok(None) => (Bytes::new(), true),
                    Err(ReadError::Blocked) => break,
                    Err(ReadError::Reset(code)) => {
                        match id.dir() {
                            Dir::Uni => {
                                verdict = self
                                    .h3
                                    .uni_reset(number, code.into_inner())
                                    .map(|()| StreamVerdict::Continue);
                            }
                            Dir::Bi => self.h3.bidi_reset(number, code.into_inner()),
                        }
                        break;
                    }
                };
                verdict = match id.dir() {
                    Dir::Uni => self.h3.uni_data(number, &data, fin),
                    Dir::Bi => self.h3.bidi_data(number, &data, fin),
                };
                if fin || !matches!(verdict, Ok(StreamVerdict::Continue)) {
                    break;
                }
            }
            // The next packet grants the credit. This turn writes that packet if there is one.
            let _ = chunks.finalize().should_transmit();
        }
        if end > 0 && self.h3.connect_stream_id() == Some(number) {
            self.connect_read = end;
            self.watch_for_reset(number);
        }
        match verdict {
            Ok(StreamVerdict::Continue) => {}
            Ok(StreamVerdict::Refuse { code }) => {
                self.session.count_refused_stream();
                let _ = self.quic.recv_stream(id).stop(varint(code));
                if id.dir() == Dir::Bi {
                    let _ = self.quic.send_stream(id).reset(varint(code));
                }
            }
            Ok(StreamVerdict::Respond { bytes, too_large }) => {
                self.session.count_refused_stream();
                let _ = self.quic.recv_stream(id).stop(varint(H3_NO_ERROR));
                if too_large {
                    self.refuse_unread(id);
                }
                self.write(id, bytes, true);
            }
            Err(error) => self.break_off(now, error),
        }
    }

    /// Keeps the peer's reset of the CONNECT stream from QUIC, which would discard what was not read.
    pub(super) fn watch_for_reset(&self, connect: u64) {
        if let Some(reset) = &self.connect_reset {
            reset.set_connect(connect);
        }
    }

    /// Ends the CONNECT stream if the peer has reset it and nothing is left to read.
    pub(super) fn reset_connect(&mut self) {
        if let Some(id) = self.h3.connect_stream_id()
            && let Some(code) =
                self.connect_reset.as_ref().and_then(|reset| reset.code_after(self.connect_read))
        {
            self.h3.bidi_reset(id, code);
        }
    }

    /// Writes all of `bytes`, now or later, and then ends the stream if `finish` is set.
    pub(super) fn write(&mut self, stream: StreamId, bytes: Vec<u8>, finish: bool) {
        self.rare().unsent.push(Unsent { stream, bytes, sent: 0, finish });
        self.flush();
    }

    /// Writes the bytes that streams did not take before.
    pub(super) fn flush(&mut self) {
        let Some(rare) = &mut self.rare else { return };
        let quic = &mut self.quic;
        rare.unsent.retain_mut(|unsent| {
            let mut stream = quic.send_stream(unsent.stream);
            while unsent.sent < unsent.bytes.len() {
                match stream.write(&unsent.bytes[unsent.sent..]) {
                    Ok(count) => unsent.sent += count,
                    Err(WriteError::Blocked) => return true,
                    // The bytes are no longer needed. A separate event reports why.
                    Err(_) => return false,
                }
            }
            if unsent.finish {
                let _ = stream.finish();
            }
            false
        });
        self.forget_rare();
    }
}
