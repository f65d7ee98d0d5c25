//! The state machine of one connection and its one session.
//!
//! The driver passes in the bytes of peer streams and follows the verdicts; events come out of
//! [`SessionMachine::poll_event`] in order. Nothing here waits, reads a clock or uses a socket.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::capsule::{Capsule, CapsuleReader};
use super::connect::{ConnectRequest, ConnectResponse};
use super::error::{
    ConnectionError, Fault, H3_EXCESSIVE_LOAD, H3_FRAME_UNEXPECTED, H3_MESSAGE_ERROR, H3_REQUEST_REJECTED,
    StreamFault, WT_BUFFERED_STREAM_REJECTED, WT_SESSION_GONE,
};
use super::fields::{headers_frame, section_bytes};
use super::frame::{Frame, FrameReader, MAX_HEADERS_BYTES, MAX_SETTINGS_BYTES, Place, goaway_bytes};
use super::request::{RequestStream, Section, Wants, section, truncated_frame};
use super::settings::{PeerSettings, Role};
use super::types::MAX_CAPSULE_BYTES;
use super::uni::{self, Control, Keep, MAX_NAMELESS, UniStreams};
use crate::error::{Error, Result};

/// The most request streams at once whose HEADERS are not complete.
pub const MAX_REQUESTS: usize = 4;
/// The distance between the ids of two request streams (RFC 9000 section 2.1).
const REQUEST_STEP: u64 = 4;
/// Capsule bytes that a client may send before its session is accepted.
pub const MAX_EARLY_BYTES: usize = 4 * 1024;
/// The most bytes of a peer that are kept between calls: unfinished header blocks (a client's one
/// response counts as a request here), early or unfinished capsules, unfinished SETTINGS, and
/// integers cut in two. In addition, the one parsed request or response waits as an [`Event`]; its
/// field section is limited to 64 KiB.
pub const MAX_BUFFERED_BYTES: usize = MAX_REQUESTS * MAX_HEADERS_BYTES
    + MAX_EARLY_BYTES
    + MAX_CAPSULE_BYTES
    + MAX_SETTINGS_BYTES
    + (MAX_REQUESTS + MAX_NAMELESS + 4) * 8;

/// An event of the session. Nothing follows [`Event::Closed`], [`Event::Aborted`] or an
/// [`Event::Response`] that refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The peer's SETTINGS. [`PeerSettings::problem`] says whether a session can run with them.
    PeerSettings(PeerSettings),
    /// A client asks for a session: answer with [`SessionMachine::accept`] or
    /// [`SessionMachine::reject`]. This never comes before the client's SETTINGS.
    Request {
        /// The CONNECT stream.
        stream_id: u64,
        /// The request.
        request: Box<ConnectRequest>,
    },
    /// The server answered. The session is established if the response says so.
    Response(ConnectResponse),
    /// The peer wants to end the session soon (GOAWAY or a DRAIN capsule). Reported once.
    Draining,
    /// The peer ended the session in order. An end without a CLOSE capsule means code 0 and no
    /// reason.
    Closed {
        /// The peer's code.
        code: u32,
        /// The peer's reason.
        reason: String,
    },
    /// The session ended in another way: the peer gave up the CONNECT stream, or broke the rules on
    /// it.
    Aborted {
        /// The HTTP/3 code, the peer's or ours. If it is ours, reset the stream with it, too.
        code: u64,
        /// Which side ended it, and why.
        reason: Cow<'static, str>,
    },
}

/// What the driver does with a stream after it has passed in the stream's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamVerdict {
    /// Continue to read. After the end of the stream, do nothing.
    Continue,
    /// Send STOP_SENDING and, if bidirectional, RESET_STREAM with this code. Pass in no more of it.
    Refuse {
        /// The code for both.
        code: u64,
    },
    /// Write these bytes, finish the stream, and send STOP_SENDING with `H3_NO_ERROR`. Pass in no
    /// more of it.
    Respond {
        /// A whole response.
        bytes: Vec<u8>,
        /// Whether it refuses a request whose header fields are more than is read.
        too_large: bool,
    },
}

/// How far the session has come.
#[derive(Debug)]
enum Phase {
    /// Server: the request waits for an answer. Capsules must wait with it (draft section 3.2).
    Requested { choose_draft02: bool, early: Vec<u8> },
    /// Client: CONNECT was sent.
    Connecting,
    /// A 2xx status was sent or received.
    Established(CapsuleReader),
    /// The peer sent CLOSE; its stream must end now.
    Closed,
    /// The rest of the stream is ignored.
    Over,
}

#[derive(Debug)]
struct ConnectStream {
    id: u64,
    reader: FrameReader,
    phase: Phase,
}

/// The HTTP/3 side of one connection and its one session.
#[derive(Debug)]
pub struct SessionMachine {
    role: Role,
    uni: UniStreams,
    requests: Vec<(u64, RequestStream)>,
    connect: Option<ConnectStream>,
    settings: Option<PeerSettings>,
    /// A request, and what followed it, if they arrived before the client's SETTINGS (draft section
    /// 3.1).
    held: VecDeque<Event>,
    events: VecDeque<Event>,
    draining: bool,
    /// Server: the first request that the client has not made yet.
    next_request: u64,
    /// Server: the first request that is refused because of our GOAWAY.
    goaway: Option<u64>,
}

impl SessionMachine {
    /// The client's side of a new connection.
    pub fn client() -> Self {
        Self::new(Role::Client)
    }

    /// The server's side of a new connection.
    pub fn server() -> Self {
        Self::new(Role::Server)
    }

    fn new(role: Role) -> Self {
        Self {
            role,
            uni: UniStreams::new(role),
            requests: Vec::new(),
            connect: None,
            settings: None,
            held: VecDeque::new(),
            events: VecDeque::new(),
            draining: false,
            next_request: 0,
            goaway: None,
        }
    }

    /// Which end of the connection this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The peer's SETTINGS, once they have arrived.
    pub(crate) fn peer_settings(&self) -> Option<&PeerSettings> {
        self.settings.as_ref()
    }

    /// The session's CONNECT stream, once there is one.
    pub(crate) fn connect_stream_id(&self) -> Option<u64> {
        self.connect.as_ref().map(|connect| connect.id)
    }

    /// The first bytes to write on a unidirectional stream of ours, which is then kept open. We
    /// need no other.
    pub(crate) fn control_preface(&self) -> Vec<u8> {
        uni::control_preface()
    }

    /// The next event.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        // Most sessions have three events in their life, and would keep space for four.
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
        event
    }

    /// Bytes of the peer that are kept for later; never more than [`MAX_BUFFERED_BYTES`].
    #[cfg(any(test, fuzzing))]
    pub(crate) fn buffered_bytes(&self) -> usize {
        let requests: usize = self.requests.iter().map(|(_, stream)| stream.buffered_bytes()).sum();
        let connect = self.connect.as_ref().map_or(0, |connect| {
            connect.reader.buffered_bytes()
                + match &connect.phase {
                    Phase::Requested { early, .. } => early.len(),
                    Phase::Established(capsules) => capsules.buffered_bytes(),
                    Phase::Connecting | Phase::Closed | Phase::Over => 0,
                }
        });
        self.uni.buffered_bytes() + requests + connect
    }

    /// Handles data of a unidirectional stream of the peer. `fin` comes with its last piece, which
    /// may be empty.
    pub(crate) fn uni_data(
        &mut self,
        id: u64,
        data: &[u8],
        fin: bool,
    ) -> Result<StreamVerdict, ConnectionError> {
        let mut heard = Vec::new();
        let kept = self.uni.data(id, data, fin, &mut |control| heard.push(control));
        for control in heard {
            match control {
                Control::Settings(settings) => {
                    self.settings = Some(settings);
                    self.events.push_back(Event::PeerSettings(settings));
                    self.events.append(&mut self.held);
                }
                Control::Goaway => self.drain(),
            }
        }
        Ok(match kept? {
            Keep::Yes => StreamVerdict::Continue,
            Keep::Refuse(code) => StreamVerdict::Refuse { code: self.refusal(code) },
        })
    }

    /// Handles the peer's reset of a unidirectional stream.
    pub(crate) fn uni_reset(&mut self, id: u64, _code: u64) -> Result<(), ConnectionError> {
        self.uni.reset(id)
    }

    /// Handles data of a bidirectional stream: one that the peer opened, or the client's own
    /// CONNECT stream.
    pub(crate) fn bidi_data(
        &mut self,
        id: u64,
        data: &[u8],
        fin: bool,
    ) -> Result<StreamVerdict, ConnectionError> {
        if self.connect_stream_id() == Some(id) {
            return self.connect_data(data, fin);
        }
        self.next_request = self.next_request.max(id + REQUEST_STEP);
        let mut rest = data;
        let index = self.requests.iter().position(|stream| stream.0 == id);
        let mut stream = index.map_or_else(RequestStream::new, |index| self.requests.swap_remove(index).1);
        match stream.data(self.role, &mut rest, fin) {
            Ok(Wants::More) => {
                if self.requests.len() >= MAX_REQUESTS {
                    return Ok(StreamVerdict::Refuse { code: H3_EXCESSIVE_LOAD });
                }
                self.requests.push((id, stream));
                Ok(StreamVerdict::Continue)
            }
            // RFC 9114 section 5.2: canceled, so that the client can send them elsewhere.
            Ok(Wants::Status(_) | Wants::TooLarge | Wants::Session(..))
                if self.goaway.is_some_and(|first| id >= first) =>
            {
                Ok(StreamVerdict::Refuse { code: H3_REQUEST_REJECTED })
            }
            Ok(Wants::Status(status)) => {
                Ok(StreamVerdict::Respond { bytes: plain_response(status), too_large: false })
            }
            Ok(Wants::TooLarge) => Ok(StreamVerdict::Respond { bytes: plain_response(431), too_large: true }),
            // There is one session per connection. Draft section 5.2 leaves 429 or a reset.
            Ok(Wants::Session(..)) if self.connect.is_some() => {
                Ok(StreamVerdict::Respond { bytes: plain_response(429), too_large: false })
            }
            Ok(Wants::Session(request, mut reader)) => {
                reader.enter_tunnel();
                let phase = Phase::Requested { choose_draft02: request.offers_draft02(), early: Vec::new() };
                self.connect = Some(ConnectStream { id, reader, phase });
                self.happened(Event::Request { stream_id: id, request });
                self.connect_data(rest, fin)
            }
            Err(Fault::Stream(fault)) => Ok(StreamVerdict::Refuse { code: self.refusal(fault.code) }),
            Err(Fault::Connection(error)) => Err(error),
        }
    }

    /// Handles the peer's reset of a bidirectional stream.
    ///
    /// A STOP_SENDING on the CONNECT stream ends the session as well. But peers send it together
    /// with their CLOSE capsule. So read on to the end of the stream, and pass the STOP_SENDING in
    /// here only if that end does not come.
    pub(crate) fn bidi_reset(&mut self, id: u64, code: u64) {
        self.requests.retain(|stream| stream.0 != id);
        if self.connect_stream_id() == Some(id) && !self.is_over() {
            // draft section 6: the session ends with its stream, on whichever side the stream is
            // closed.
            self.end(Event::Aborted { code, reason: "the peer gave up the CONNECT stream".into() });
        }
    }

    /// Client: the bytes that ask for the session, to be written on a new bidirectional stream with
    /// the id `stream_id`.
    pub(crate) fn connect_bytes(&mut self, stream_id: u64, request: &ConnectRequest) -> Result<Vec<u8>> {
        let settings = match (self.role, &self.connect, &self.settings) {
            (Role::Client, None, Some(settings)) => settings,
            _ => {
                return Err(Error::InvalidState("CONNECT goes out once, after the server's SETTINGS".into()));
            }
        };
        let protocol = match (settings.problem(Role::Client), settings.protocol()) {
            (None, Some(protocol)) => protocol,
            _ if !settings.datagrams => return Err(Error::Unsupported),
            (problem, _) => return Err(Error::Protocol(problem.unwrap_or("no WebTransport").to_owned())),
        };
        let limit = settings.max_field_section_bytes.unwrap_or(u64::MAX);
        if section_bytes(request.fields(protocol)) as u64 > limit {
            let what = format!("the request's headers exceed the {limit} bytes that the server takes");
            return Err(Error::InvalidArgument(what.into()));
        }
        let reader = FrameReader::new(Place::Response);
        self.connect = Some(ConnectStream { id: stream_id, reader, phase: Phase::Connecting });
        Ok(headers_frame(request.fields(protocol)))
    }

    /// Whether the peer has asked to end the session soon.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Server: the bytes that ask the client for no more requests, to be written on our control
    /// stream. Those that it has made are still answered.
    pub(crate) fn goaway(&mut self) -> Vec<u8> {
        goaway_bytes(*self.goaway.get_or_insert(self.next_request))
    }

    /// Server: the bytes that accept the request, to be written on the CONNECT stream, which stays
    /// open.
    pub fn accept(&mut self, headers: &[(String, String)]) -> Result<Vec<u8>> {
        let (response, early) = self.answer(200, headers)?;
        if let Some(connect) = &mut self.connect {
            connect.phase = Phase::Established(CapsuleReader::new());
        }
        if let Err(fault) = self.capsules(&early) {
            self.abort(fault);
        }
        Ok(response.frame())
    }

    /// Server: the bytes that reject the request, to be written on the CONNECT stream. Then the
    /// stream must be finished, and stopped with `H3_NO_ERROR`. `status` may be any final status
    /// that is not a success.
    pub(crate) fn reject(&mut self, status: u16, headers: &[(String, String)]) -> Result<Vec<u8>> {
        if !(300..=599).contains(&status) {
            return Err(Error::InvalidArgument(format!("{status} does not reject a request").into()));
        }
        let (response, _) = self.answer(status, headers)?;
        self.set_phase(Phase::Over);
        Ok(response.frame())
    }

    fn answer(&mut self, status: u16, headers: &[(String, String)]) -> Result<(ConnectResponse, Vec<u8>)> {
        let Some(ConnectStream { phase: Phase::Requested { choose_draft02, early }, .. }) = &mut self.connect
        else {
            return Err(Error::InvalidState("there is no request to answer".into()));
        };
        let response = ConnectResponse::new(status, headers, *choose_draft02)?;
        Ok((response, std::mem::take(early)))
    }

    fn connect_data(&mut self, mut data: &[u8], fin: bool) -> Result<StreamVerdict, ConnectionError> {
        match self.connect_frames(&mut data, fin) {
            Ok(()) => Ok(StreamVerdict::Continue),
            Err(Fault::Connection(error)) => Err(error),
            Err(Fault::Stream(fault)) => {
                self.abort(fault);
                Ok(StreamVerdict::Refuse { code: fault.code })
            }
        }
    }

    fn connect_frames(&mut self, data: &mut &[u8], fin: bool) -> Result<(), Fault> {
        loop {
            let Some(connect) = &mut self.connect else { return Ok(()) };
            match connect.phase {
                Phase::Over => return Ok(()),
                // draft section 6: the answer to any further data is a reset with this code.
                Phase::Closed if !data.is_empty() => {
                    return Err(malformed("data after a CLOSE capsule").into());
                }
                _ => {}
            }
            let Some(frame) = connect.reader.read(data)? else {
                return if fin { self.connect_end() } else { Ok(()) };
            };
            match (&mut connect.phase, frame) {
                (Phase::Connecting, Frame::Headers(block)) => {
                    let Section::Fields(fields) = section(&block)? else {
                        let reason = "the response is too large";
                        return Err(StreamFault { code: H3_EXCESSIVE_LOAD, reason }.into());
                    };
                    let response = ConnectResponse::parse(fields).map_err(malformed)?;
                    // 1xx: the final response follows later.
                    if response.status >= 200 {
                        connect.reader.enter_tunnel();
                        self.set_phase(if response.is_accepted() {
                            Phase::Established(CapsuleReader::new())
                        } else {
                            Phase::Over
                        });
                        self.happened(Event::Response(response));
                    }
                }
                (Phase::Requested { early, .. }, Frame::Data(payload)) => {
                    if early.len() + payload.len() > MAX_EARLY_BYTES {
                        let reason = "too much data before the session is accepted";
                        return Err(StreamFault { code: H3_EXCESSIVE_LOAD, reason }.into());
                    }
                    early.extend_from_slice(payload);
                }
                (Phase::Established(_), Frame::Data(payload)) => self.capsules(payload)?,
                (Phase::Established(_), Frame::Capsule(bytes)) => self.capsules(&bytes)?,
                // The reader lets no HEADERS through in other phases.
                _ => return Err(ConnectionError::new(H3_FRAME_UNEXPECTED, "DATA before HEADERS").into()),
            }
        }
    }

    /// Handles the end of the CONNECT stream.
    fn connect_end(&mut self) -> Result<(), Fault> {
        let Some(connect) = &mut self.connect else { return Ok(()) };
        if !connect.reader.at_boundary() {
            return Err(truncated_frame().into());
        }
        match &connect.phase {
            Phase::Connecting => return Err(malformed("the stream ends without a response").into()),
            Phase::Established(capsules) if !capsules.at_boundary() => {
                return Err(malformed("the stream ends within a capsule").into());
            }
            // A request may be withdrawn before it is answered. Its early capsules are discarded.
            Phase::Established(_) | Phase::Requested { .. } => {
                self.end(Event::Closed { code: 0, reason: String::new() });
            }
            Phase::Closed | Phase::Over => {}
        }
        Ok(())
    }

    fn capsules(&mut self, mut payload: &[u8]) -> Result<(), StreamFault> {
        while let Some(ConnectStream { phase: Phase::Established(capsules), .. }) = &mut self.connect {
            match capsules.read(&mut payload).map_err(malformed)? {
                None => return Ok(()),
                Some(Capsule::Drain) => self.drain(),
                Some(Capsule::Close { code, reason }) => {
                    self.end(Event::Closed { code, reason });
                    self.set_phase(Phase::Closed);
                    if !payload.is_empty() {
                        return Err(malformed("data after a CLOSE capsule"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the session has ended, for the peer or for us.
    fn is_over(&self) -> bool {
        self.connect.as_ref().is_some_and(|connect| matches!(connect.phase, Phase::Closed | Phase::Over))
    }

    fn set_phase(&mut self, phase: Phase) {
        if let Some(connect) = &mut self.connect {
            connect.phase = phase;
        }
    }

    fn drain(&mut self) {
        if !self.draining && !self.is_over() {
            self.draining = true;
            self.happened(Event::Draining);
        }
    }

    fn abort(&mut self, fault: StreamFault) {
        if self.is_over() {
            self.set_phase(Phase::Over);
        } else {
            self.end(Event::Aborted { code: fault.code, reason: fault.reason.into() });
        }
    }

    fn end(&mut self, event: Event) {
        self.set_phase(Phase::Over);
        self.happened(event);
    }

    fn happened(&mut self, event: Event) {
        let held = self.role == Role::Server && self.settings.is_none();
        if held { &mut self.held } else { &mut self.events }.push_back(event);
    }

    /// The code that refuses a stream. Streams of a session that has ended get their own code.
    fn refusal(&self, code: u64) -> u64 {
        if code == WT_BUFFERED_STREAM_REJECTED && self.is_over() { WT_SESSION_GONE } else { code }
    }
}

fn malformed(reason: &'static str) -> StreamFault {
    StreamFault { code: H3_MESSAGE_ERROR, reason }
}

fn plain_response(status: u16) -> Vec<u8> {
    let headers = match status {
        // RFC 9110 section 15.5.6 requires a list of the methods.
        405 => vec![("allow".to_owned(), "CONNECT".to_owned())],
        _ => Vec::new(),
    };
    ConnectResponse { status, headers }.frame()
}

#[cfg(test)]
mod tests;
