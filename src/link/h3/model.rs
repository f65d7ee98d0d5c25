//! Property tests of whole connections. Neither the splits between bytes nor the meaningless frames
//! among them change the result. Whatever a peer sends, nothing panics and the bound is kept.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::fields::headers_frame;
use super::frame::put_frame;
use super::session::MAX_BUFFERED_BYTES;
use super::wire::put_varint;
use super::{
    ConnectRequest, Event, Protocol, Role, SessionMachine, StreamVerdict, close_bytes, drain_bytes,
    goaway_bytes,
};

const CONNECT: u64 = 0;

fn control_id(us: Role) -> u64 {
    match us {
        Role::Server => 2,
        Role::Client => 3,
    }
}

/// The content of what a peer sends in one connection.
#[derive(Debug, Clone)]
struct Script {
    us: Role,
    goaway: bool,
    interim: bool,
    drain: bool,
    close: Option<(u32, String)>,
}

/// A number for a reserved type, and content.
type Meaningless = Option<(u8, Vec<u8>)>;

/// The form in which a peer sends it.
#[derive(Debug, Clone)]
struct Manner {
    /// Meaningless settings, frames and capsules, taken in turn wherever one may be. `None` puts
    /// none there.
    grease: Vec<Meaningless>,
    /// Where capsules are cut into DATA frames.
    frames: Vec<Index>,
    /// Where streams are cut into reads.
    reads: Vec<Index>,
    /// Which stream is read next, where the order is free.
    turns: Vec<bool>,
}

impl Manner {
    fn plain() -> Self {
        Self { grease: Vec::new(), frames: Vec::new(), reads: Vec::new(), turns: Vec::new() }
    }
}

fn script() -> impl Strategy<Value = Script> {
    let close = proptest::option::of((any::<u32>(), "\\PC{0,300}"));
    (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), close).prop_map(
        |(server, goaway, interim, drain, close)| Script {
            us: if server { Role::Server } else { Role::Client },
            goaway,
            interim,
            drain,
            close,
        },
    )
}

fn manner() -> impl Strategy<Value = Manner> {
    let grease = vec(proptest::option::of((any::<u8>(), vec(any::<u8>(), 0..100))), 1..20);
    (grease, vec(any::<Index>(), 0..6), vec(any::<Index>(), 0..30), vec(any::<bool>(), 0..40))
        .prop_map(|(grease, frames, reads, turns)| Manner { grease, frames, reads, turns })
}

/// Takes meaningless things in turn: a reserved type and content.
struct Grease<'a>(std::iter::Cycle<std::slice::Iter<'a, Meaningless>>);

impl Grease<'_> {
    fn next(&mut self) -> Option<(u64, &[u8])> {
        let (number, content) = self.0.next()?.as_ref()?;
        Some((0x1f * u64::from(*number) * 7919 + 0x21, content))
    }

    fn frame(&mut self, out: &mut Vec<u8>) {
        if let Some((kind, content)) = self.next() {
            put_frame(out, kind, content);
        }
    }
}

/// The peer's control stream, the beginning of the CONNECT stream, and the rest of it.
fn bytes(script: &Script, manner: &Manner) -> [Vec<u8>; 3] {
    let mut grease = Grease(manner.grease.iter().cycle());
    let mut settings = vec![0x08, 1, 0x33, 1, 0xab, 0x60, 0x37, 0x42, 1];
    if let Some((id, content)) = grease.next() {
        put_varint(&mut settings, id);
        put_varint(&mut settings, content.len() as u64);
    }
    let mut control = vec![0];
    put_frame(&mut control, crate::link::h3::types::SETTINGS, &settings);
    grease.frame(&mut control);
    if script.goaway {
        control.extend(goaway_bytes(4));
        grease.frame(&mut control);
    }

    let mut opening = Vec::new();
    grease.frame(&mut opening);
    match script.us {
        Role::Server => {
            let request = ConnectRequest::new("example.com", "/", &[]).unwrap();
            opening.extend(headers_frame(request.fields(Protocol::WebTransport)));
        }
        Role::Client => {
            if script.interim {
                opening.extend(headers_frame([(":status", "103")]));
                grease.frame(&mut opening);
            }
            opening.extend(headers_frame([(":status", "200"), ("a", "b"), ("a", "c")]));
        }
    }
    grease.frame(&mut opening);

    // The capsules as one payload. The functions return DATA frames, whose headers of 2 or 3 bytes
    // are cut off.
    let mut capsules = Vec::new();
    grease.frame(&mut capsules);
    if script.drain {
        capsules.extend_from_slice(&drain_bytes()[2..]);
        grease.frame(&mut capsules);
    }
    if let Some((code, reason)) = &script.close {
        let frame = close_bytes(*code, reason);
        capsules.extend_from_slice(&frame[if frame[1] < 64 { 2 } else { 3 }..]);
    }
    let mut session = Vec::new();
    for piece in cut(&capsules, &manner.frames) {
        grease.frame(&mut session);
        put_frame(&mut session, crate::link::h3::types::DATA, piece);
    }
    [control, opening, session]
}

fn cut<'a>(bytes: &'a [u8], at: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = at.iter().map(|index| index.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).filter(|piece| !piece.is_empty()).collect()
}

/// Plays a script and returns the events of the session.
fn play(script: &Script, manner: &Manner) -> Vec<Event> {
    let [control, opening, rest] = bytes(script, manner);
    let mut session = match script.us {
        Role::Server => SessionMachine::server(),
        Role::Client => SessionMachine::client(),
    };
    let mut events = Vec::new();
    let mut collect = |session: &mut SessionMachine| {
        assert!(session.buffered_bytes() <= MAX_BUFFERED_BYTES);
        while let Some(event) = session.poll_event() {
            match &event {
                Event::PeerSettings(_) if script.us == Role::Client => {
                    let request = ConnectRequest::new("a", "/", &[]).unwrap();
                    session.connect_bytes(CONNECT, &request).unwrap();
                }
                Event::Request { .. } => {
                    session.accept(&[]).unwrap();
                }
                _ => {}
            }
            events.push(event);
        }
    };
    let mut control = cut(&control, &manner.reads).into_iter().peekable();
    let mut opening = cut(&opening, &manner.reads).into_iter().peekable();
    let mut turns = manner.turns.iter();
    while control.peek().is_some() || opening.peek().is_some() {
        // A client has a CONNECT stream only after the server's SETTINGS.
        let free = script.us == Role::Server && opening.peek().is_some();
        let opening_first = control.peek().is_none() || (free && turns.next() == Some(&true));
        let verdict = if opening_first {
            session.bidi_data(CONNECT, opening.next().unwrap(), false)
        } else {
            session.uni_data(control_id(script.us), control.next().unwrap(), false)
        };
        assert_eq!(verdict, Ok(StreamVerdict::Continue));
        collect(&mut session);
    }
    for piece in cut(&rest, &manner.reads) {
        assert_eq!(session.bidi_data(CONNECT, piece, false), Ok(StreamVerdict::Continue));
        collect(&mut session);
    }
    assert_eq!(session.bidi_data(CONNECT, &[], true), Ok(StreamVerdict::Continue));
    collect(&mut session);
    events.sort_by_key(rank);
    events
}

/// GOAWAY and the CONNECT stream have no order between them. Everything else has this one.
fn rank(event: &Event) -> u8 {
    match event {
        Event::PeerSettings(_) => 0,
        Event::Request { .. } | Event::Response(_) => 1,
        Event::Draining => 2,
        Event::Closed { .. } | Event::Aborted { .. } => 3,
    }
}

#[derive(Debug, Clone)]
enum Act {
    Uni { id: u64, bytes: Vec<u8>, fin: bool },
    Bidi { id: u64, bytes: Vec<u8>, fin: bool },
    UniReset(u64),
    BidiReset(u64),
    Accept,
    Reject,
}

/// Garbage, and valid fragments between which garbage can hide.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let request = || ConnectRequest::new("a", "/", &[]).unwrap();
    let connect = headers_frame(request().fields(Protocol::WebTransportH3));
    let fixed = vec![
        SessionMachine::server().control_preface(),
        connect.clone(),
        connect[..connect.len() / 2].to_vec(),
        headers_frame([(":status", "200")]),
        close_bytes(1, "reason"),
        close_bytes(1, "reason")[..6].to_vec(),
        drain_bytes(),
        goaway_bytes(0),
        vec![0x40, 0x54],
        vec![0x40, 0x41],
        vec![0x02, 0x20],
        vec![0x03, 0x41],
        vec![0x00],
        vec![0x01, 0x80, 0x00, 0xff, 0xff],
        vec![0x00, 0xc0, 0xff, 0, 0, 0, 0, 0, 0],
        vec![0x21, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        vec![0x51; 20_000],
    ];
    prop_oneof![
        3 => proptest::sample::select(fixed),
        2 => vec(any::<u8>(), 0..64),
        1 => vec(any::<u8>(), 1..3),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let fin = || proptest::bool::weighted(0.1);
    prop_oneof![
        4 => (0..6_u64, fragment(), fin()).prop_map(|(n, bytes, fin)| Act::Uni { id: 4 * n + 2, bytes, fin }),
        8 => (0..7_u64, fragment(), fin()).prop_map(|(n, bytes, fin)| Act::Bidi { id: 4 * n, bytes, fin }),
        1 => (0..6_u64).prop_map(|n| Act::UniReset(4 * n + 2)),
        1 => (0..7_u64).prop_map(|n| Act::BidiReset(4 * n)),
        2 => Just(Act::Accept),
        1 => Just(Act::Reject),
    ]
}

proptest! {
    #[test]
    fn neither_cuts_nor_grease_change_what_happens(script in script(), manner in manner()) {
        prop_assert_eq!(play(&script, &manner), play(&script, &Manner::plain()));
    }

    #[test]
    fn a_script_played_plainly_says_what_it_says(script in script()) {
        let events = play(&script, &Manner::plain());
        let (code, reason) = script.close.clone().unwrap_or_default();
        let mut cut = reason.len().min(1024);
        while !reason.is_char_boundary(cut) {
            cut -= 1;
        }
        prop_assert_eq!(events.last(), Some(&Event::Closed { code, reason: reason[..cut].to_owned() }));
        prop_assert_eq!(events.contains(&Event::Draining), script.goaway || script.drain);
        prop_assert_eq!(events.len(), 3 + usize::from(script.goaway || script.drain));
    }

    #[test]
    fn nothing_a_peer_does_panics_or_fills_memory(
        server in any::<bool>(),
        honest in any::<bool>(),
        acts in vec(act(), 0..60),
    ) {
        let mut session = if server { SessionMachine::server() } else { SessionMachine::client() };
        let mut ends = 0;
        if honest {
            let preface = session.control_preface();
            session.uni_data(1002, &preface, false).unwrap();
            if !server {
                session.connect_bytes(0, &ConnectRequest::new("a", "/", &[]).unwrap()).unwrap();
            }
        }
        for act in acts {
            let result = match act {
                Act::Uni { id, bytes, fin } => session.uni_data(id, &bytes, fin).map(drop),
                Act::Bidi { id, bytes, fin } => session.bidi_data(id, &bytes, fin).map(drop),
                Act::UniReset(id) => session.uni_reset(id, 7),
                Act::BidiReset(id) => {
                    session.bidi_reset(id, 7);
                    Ok(())
                }
                Act::Accept => {
                    let _ = session.accept(&[]);
                    Ok(())
                }
                Act::Reject => {
                    let _ = session.reject(404, &[]);
                    Ok(())
                }
            };
            prop_assert!(session.buffered_bytes() <= MAX_BUFFERED_BYTES);
            while let Some(event) = session.poll_event() {
                prop_assert_eq!(ends, 0, "{:?} after the end", event);
                ends += usize::from(matches!(event, Event::Closed { .. } | Event::Aborted { .. }));
            }
            // The driver would close the connection. Anything that still comes must do no harm.
            if result.is_err() && !honest {
                break;
            }
        }
    }
}
