//! The state of a connection: its unidirectional streams, and the whole session machine.

use std::collections::{BTreeMap, BTreeSet};

use super::script::{Step, request, steps};
use super::{WHOLE, pieces};
use crate::fuzz::Input;
use crate::link::h3::connect::ConnectResponse;
use crate::link::h3::error::ConnectionError;
use crate::link::h3::fields::decode;
use crate::link::h3::frame::{Frame, FrameReader, MAX_SETTINGS_BYTES, Place};
use crate::link::h3::session::{MAX_BUFFERED_BYTES, MAX_REQUESTS};
use crate::link::h3::uni::{Control, Keep, MAX_NAMELESS, UniStreams};
use crate::link::h3::wire::VARINT_MAX;
use crate::link::h3::{Event, Role, SessionMachine, StreamVerdict};

/// Any unidirectional streams, for both roles: the same is heard however their bytes are cut, and
/// little is kept.
pub fn h3_uni(bytes: &[u8]) {
    let (role, size, steps) = script(bytes);
    let whole = play_uni(role, &steps, WHOLE);
    if streams(&steps).0 <= MAX_NAMELESS {
        for size in [1, size] {
            assert_eq!(play_uni(role, &steps, size), whole, "pieces of {size}");
        }
    }
}

/// Any script of a peer, for both roles: the same happens however its bytes are cut, in an order
/// that makes sense, with nothing after the end, and the bound on memory is kept.
pub fn h3_session(bytes: &[u8]) {
    let (role, size, steps) = script(bytes);
    let whole = Play::run(role, &steps, WHOLE);
    check_events(role, &whole);
    // An integer cut in two counts as one of a limited number of streams whose purpose is not known.
    let (uni, bidi) = streams(&steps);
    if uni <= MAX_NAMELESS && bidi <= MAX_REQUESTS {
        for size in [1, size] {
            assert_eq!(Play::run(role, &steps, size), whole, "pieces of {size}");
        }
    }
}

fn script(bytes: &[u8]) -> (Role, usize, Vec<Step>) {
    let mut input = Input::new(bytes);
    let role = if input.byte() & 1 == 0 { Role::Server } else { Role::Client };
    let size = usize::from(input.byte()) + 1;
    (role, size, steps(input))
}

/// How many streams of each kind the script uses.
fn streams(steps: &[Step]) -> (usize, usize) {
    let (mut uni, mut bidi) = (BTreeSet::new(), BTreeSet::new());
    for step in steps {
        match step {
            Step::Uni { stream, .. } => drop(uni.insert(stream)),
            Step::Bidi { stream, .. } => drop(bidi.insert(stream)),
            _ => {}
        }
    }
    (uni.len(), bidi.len())
}

/// The id of a unidirectional stream that the peer of `us` opens.
fn uni_id(us: Role, stream: u64) -> u64 {
    4 * stream + if us == Role::Server { 2 } else { 3 }
}

/// What is heard, in which order, and the fault that ends it.
fn play_uni(
    role: Role,
    steps: &[Step],
    size: usize,
) -> (Vec<Control>, BTreeMap<u64, u64>, Option<ConnectionError>) {
    let mut streams = UniStreams::new(role);
    let (mut heard, mut refused, mut ended) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for step in steps {
        let result = match step {
            Step::Uni { stream, .. } | Step::UniReset { stream } if ended.contains(stream) => continue,
            Step::Uni { stream, bytes, fin } => {
                if *fin {
                    ended.insert(stream);
                }
                let mut rest = pieces(bytes, size, *fin);
                let mut result = Ok(Keep::Yes);
                while let (Ok(Keep::Yes), Some((piece, fin))) = (&result, rest.next()) {
                    result =
                        streams.data(uni_id(role, *stream), piece, fin, &mut |control| heard.push(control));
                }
                result.map(|keep| {
                    if let Keep::Refuse(code) = keep {
                        ended.insert(stream);
                        refused.insert(*stream, code);
                    }
                })
            }
            Step::UniReset { stream } => {
                ended.insert(stream);
                streams.reset(uni_id(role, *stream))
            }
            _ => continue,
        };
        assert!(streams.buffered_bytes() <= MAX_SETTINGS_BYTES + (MAX_NAMELESS + 1) * 8);
        if let Err(error) = result {
            return (heard, refused, Some(error));
        }
    }
    (heard, refused, None)
}

/// What happened in one play of a script, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Happened {
    Event(Event),
    /// The driver stops a stream. Streams of both kinds have different ids.
    Verdict(u64, StreamVerdict),
    /// A server rejected the request, or a client sent its own.
    Rejected,
    Asked,
    /// The connection is closed. Nothing is said to the session afterwards.
    Broken(ConnectionError),
}

/// A driver that follows the rules, as `link/core/connection` does.
struct Play {
    session: SessionMachine,
    happened: Vec<Happened>,
    /// Streams of which nothing more comes.
    ended: BTreeSet<u64>,
    /// A server has heard of a request.
    requested: bool,
}

impl Play {
    fn run(role: Role, steps: &[Step], size: usize) -> Vec<Happened> {
        let session = match role {
            Role::Server => SessionMachine::server(),
            Role::Client => SessionMachine::client(),
        };
        let mut play = Self { session, happened: Vec::new(), ended: BTreeSet::new(), requested: false };
        for step in steps {
            let result = play.step(step, size);
            assert!(play.session.buffered_bytes() <= MAX_BUFFERED_BYTES);
            while let Some(event) = play.session.poll_event() {
                play.requested |= matches!(event, Event::Request { .. });
                play.happened.push(Happened::Event(event));
            }
            if let Err(error) = result {
                assert!(error.code <= VARINT_MAX);
                play.happened.push(Happened::Broken(error));
                break;
            }
        }
        play.happened
    }

    fn step(&mut self, step: &Step, size: usize) -> Result<(), ConnectionError> {
        match step {
            Step::Uni { stream, bytes, fin } => {
                let id = uni_id(self.session.role(), *stream);
                self.data(id, bytes, *fin, size, SessionMachine::uni_data)
            }
            Step::Bidi { stream, bytes, fin } => match self.bidi_id(*stream) {
                Some(id) => self.data(id, bytes, *fin, size, SessionMachine::bidi_data),
                None => Ok(()),
            },
            Step::UniReset { stream } => {
                let id = uni_id(self.session.role(), *stream);
                if self.ended.insert(id) { self.session.uni_reset(id, 7) } else { Ok(()) }
            }
            Step::BidiReset { stream, code } => {
                if let Some(id) = self.bidi_id(*stream).filter(|id| self.ended.insert(*id)) {
                    self.session.bidi_reset(id, *code);
                }
                Ok(())
            }
            Step::Stop { code } => {
                if let Some(id) = self.session.connect_stream_id() {
                    self.session.bidi_reset(id, *code);
                }
                Ok(())
            }
            Step::Proceed => {
                self.proceed();
                Ok(())
            }
            Step::Reject { status } => {
                if self.requested
                    && let Ok(bytes) = self.session.reject(*status, &[])
                {
                    assert_eq!(response(&bytes).status, *status);
                    self.happened.push(Happened::Rejected);
                }
                Ok(())
            }
            Step::Goaway => {
                if self.session.role() == Role::Server {
                    assert_eq!(self.session.goaway(), self.session.goaway());
                }
                Ok(())
            }
        }
    }

    /// The id of a bidirectional stream of the peer. A client has the CONNECT stream instead of the
    /// first one.
    fn bidi_id(&self, stream: u64) -> Option<u64> {
        match (self.session.role(), stream) {
            (Role::Server, _) => Some(4 * stream),
            (Role::Client, 0) => self.session.connect_stream_id(),
            (Role::Client, _) => Some(4 * stream + 1),
        }
    }

    fn data(
        &mut self,
        id: u64,
        bytes: &[u8],
        fin: bool,
        size: usize,
        feed: fn(&mut SessionMachine, u64, &[u8], bool) -> Result<StreamVerdict, ConnectionError>,
    ) -> Result<(), ConnectionError> {
        if self.ended.contains(&id) {
            return Ok(());
        }
        if fin {
            self.ended.insert(id);
        }
        for (piece, fin) in pieces(bytes, size, fin) {
            let verdict = feed(&mut self.session, id, piece, fin)?;
            assert!(self.session.buffered_bytes() <= MAX_BUFFERED_BYTES);
            match &verdict {
                StreamVerdict::Continue => continue,
                StreamVerdict::Refuse { code } => assert!(*code <= VARINT_MAX),
                StreamVerdict::Respond { bytes, too_large } => {
                    let status = response(bytes).status;
                    assert!(matches!(status, 404 | 405 | 429 | 431 | 501));
                    assert_eq!(*too_large, status == 431);
                }
            }
            self.ended.insert(id);
            self.happened.push(Happened::Verdict(id, verdict));
            break;
        }
        Ok(())
    }

    fn proceed(&mut self) {
        match self.session.role() {
            Role::Server => {
                if self.requested
                    && let Ok(bytes) = self.session.accept(&[])
                {
                    assert!(response(&bytes).is_accepted());
                }
            }
            Role::Client => {
                if self.session.connect_bytes(0, &request()).is_ok() {
                    self.happened.push(Happened::Asked);
                }
            }
        }
    }
}

/// The response that is all of `bytes`.
fn response(mut bytes: &[u8]) -> ConnectResponse {
    let mut reader = FrameReader::new(Place::Response);
    let Ok(Some(Frame::Headers(block))) = reader.read(&mut bytes) else { panic!("no HEADERS") };
    assert!(bytes.is_empty());
    ConnectResponse::parse(decode(&block).expect("we decode what we encode")).expect("a response")
}

/// The promises of [`Event`]: each comes once, in an order that makes sense, and nothing comes after
/// the end.
fn check_events(role: Role, happened: &[Happened]) {
    let mut seen = BTreeSet::new();
    let mut over = false;
    for one in happened {
        let name = match one {
            Happened::Verdict(..) | Happened::Broken(_) => continue,
            Happened::Event(event) => {
                assert!(!over, "{event:?} after the end");
                match event {
                    Event::PeerSettings(_) => "settings",
                    Event::Request { .. } => "request",
                    Event::Response(response) => {
                        over = !response.is_accepted();
                        "response"
                    }
                    Event::Draining => "draining",
                    Event::Closed { .. } | Event::Aborted { .. } => {
                        over = true;
                        "end"
                    }
                }
            }
            Happened::Rejected => {
                over = true;
                "rejected"
            }
            Happened::Asked => "asked",
        };
        let before = match (name, role) {
            ("settings", _) => None,
            ("request", Role::Server) | ("asked", Role::Client) | ("draining", _) => Some("settings"),
            ("response", Role::Client) => Some("asked"),
            ("rejected", Role::Server) => Some("request"),
            ("end", Role::Server) => Some("request"),
            ("end", Role::Client) => Some("asked"),
            _ => panic!("{one:?} for a {role:?}"),
        };
        assert!(before.is_none_or(|before| seen.contains(before)), "{one:?} without {before:?}");
        assert!(seen.insert(name), "{one:?} for a second time");
    }
}
