//! Structured transports over real sessions, in each of their three forms: over a transport, beside
//! the other readers of a session, over a reliability layer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use support::blocked::blocked;
use support::pair::{Pair, after, eventually, receive, soon};
use wtgram::datagram::channel::Channel;
use wtgram::datagram::message::Priority;
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::send::{FullPolicy, Outcome, OutcomeKind};
use wtgram::datagram::session::Session;
use wtgram::error::{Error, Result};
use wtgram::poller::{Event, Interest, Poller};
use wtgram::reliability;
use wtgram::reliability::layer::{Layer, LayerOptions};
use wtgram::runtime::readiness::{Pollable, Ready};
use wtgram::runtime::wait::Deadline;
use wtgram::structured::objects::{DEFAULT_QUEUE, Received, Slot, Structured};
use wtgram::structured::registry::{ObjectType, Registry};
use wtgram::structured::serializer::{Json, MessagePack, Serializer};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Transport,
    Session,
    Reliability,
}

const FORMS: [Form; 3] = [Form::Transport, Form::Session, Form::Reliability];

/// The types that both sides registered: 0, 1 and 65535 without a limit, 2 with at most 16 bytes.
fn registry() -> Registry {
    registry_of(&[(0, None), (1, None), (2, Some(16)), (65_535, None)]).unwrap()
}

fn registry_of(types: &[(u32, Option<usize>)]) -> Result<Registry> {
    Registry::new(types.iter().map(|(id, max_bytes)| ObjectType { id: *id, max_bytes: *max_bytes }))
}

fn layer(session: &Session) -> Arc<Layer> {
    Layer::open(Arc::clone(&session.datagrams), &LayerOptions::default()).expect("a layer")
}

fn over_transport(session: &Session, serializer: impl Serializer + 'static) -> Arc<Structured> {
    let channel = Arc::clone(&session.datagrams);
    Structured::over_channel(channel, registry(), Box::new(serializer)).unwrap()
}

fn over_session(session: &Session, types: &[(u32, Option<usize>)], queue: usize) -> Arc<Structured> {
    let registry = registry_of(types).unwrap();
    Structured::over_session(&session.datagrams, registry, Box::new(Json), queue).unwrap()
}

/// Both ends in one form, and a way to send any datagram to the far one.
struct Ends {
    near: Arc<Structured>,
    far: Arc<Structured>,
    near_layer: Option<Arc<Layer>>,
    pair: Pair,
}

impl Ends {
    fn new<S: Serializer + Clone + 'static>(form: Form, serializer: &S) -> Self {
        let pair = Pair::open(&TransportOptions::default());
        let layers = (form == Form::Reliability).then(|| (layer(&pair.client), layer(&pair.accepted)));
        let open = |session: &Session, layer: Option<&Arc<Layer>>| {
            let (registry, serializer) = (registry(), Box::new(serializer.clone()));
            match (form, layer) {
                (Form::Session, _) => {
                    Structured::over_session(&session.datagrams, registry, serializer, DEFAULT_QUEUE)
                }
                (_, Some(layer)) => Structured::over_channel(Arc::clone(layer) as _, registry, serializer),
                (_, None) => {
                    Structured::over_channel(Arc::clone(&session.datagrams) as _, registry, serializer)
                }
            }
            .unwrap()
        };
        let near = open(&pair.client, layers.as_ref().map(|(near, _)| near));
        let far = open(&pair.accepted, layers.as_ref().map(|(_, far)| far));
        Self { near, far, near_layer: layers.map(|(near, _)| near), pair }
    }

    /// Sends a datagram unchanged.
    fn send_raw(&self, datagram: &[u8]) {
        match &self.near_layer {
            Some(layer) => layer.send(datagram, &SendOptions::default(), soon()).unwrap(),
            None => send_raw(&self.pair, datagram),
        }
    }
}

fn send_raw(pair: &Pair, datagram: &[u8]) {
    pair.from().outgoing.send(datagram, &SendOptions::default(), Deadline::Now).unwrap();
}

fn send(structured: &Structured, type_id: u32, object: &str) -> Result<()> {
    structured.send(type_id, object.as_bytes(), &SendOptions::default(), soon())
}

/// Waits for the next object. Returns its type and its text.
fn next(structured: &Structured) -> Result<(u16, String)> {
    receive_within(structured, soon()).map(|(received, text)| (received.type_id, text))
}

fn receive_within(structured: &Structured, deadline: Deadline) -> Result<(Received, String)> {
    let mut buffer = vec![0; 70_000];
    let received = structured.receive(&mut buffer, deadline)?;
    buffer.truncate(received.size);
    Ok((received, String::from_utf8(buffer).expect("text")))
}

fn object(type_id: u16, text: &str) -> Result<(u16, String)> {
    Ok((type_id, text.to_owned()))
}

fn is_readable(structured: &Structured) -> bool {
    !(structured.ready() & Ready::READABLE).is_empty()
}

/// Values that do not change on their way, with either serializer.
const SAME: [&str; 14] = [
    "null",
    "true",
    "false",
    "0",
    "-9223372036854775808",
    "18446744073709551615",
    "-0.0",
    "0.1",
    "1.7976931348623157e308",
    "\"\"",
    "\"é\u{2028}\\u0000\\n\\\"\u{1f600}\"",
    "[]",
    "{\"z\":1,\"a\":{\"a\":[[],{}]},\"z\":2}",
    "[1,[2,[3,[4,{\"five\":[6]}]]]]",
];

fn normal(text: &str) -> String {
    // The only spelling that MessagePack changes, because it goes through a double.
    text.replace("e308", "e+308")
}

#[test]
fn objects_travel_both_ways_in_each_form_and_each_is_received_as_it_was_sent() {
    fn check<S: Serializer + Clone + 'static>(serializer: &S) {
        for form in FORMS {
            let Ends { near, far, pair: _pair, .. } = &Ends::new(form, serializer);
            for (from, to) in [(near, far), (far, near)] {
                for type_id in [0, 1, 65_535] {
                    for text in SAME {
                        send(from, type_id, text).unwrap();
                        let (got_type, got) = next(to).unwrap();
                        assert_eq!(u32::from(got_type), type_id);
                        assert_eq!(normal(&got), normal(text), "{form:?}");
                    }
                }
            }
            let count = 3 * SAME.len() as u64;
            for end in [near, far] {
                let statistics = end.statistics();
                assert_eq!((statistics.sent, statistics.received), (count, count));
            }
        }
    }
    check(&Json);
    check(&MessagePack);
}

#[test]
fn on_the_wire_are_two_bytes_of_type_id_and_what_the_serializer_makes() {
    let pair = Pair::open(&TransportOptions::default());
    let text = " { \"a\" : [ 1 , 2.50 , \"\\u0041\" ] }\r\n\t";
    send(&over_transport(&pair.client, Json), 65_535, text).unwrap();
    assert_eq!(receive(pair.to()), b"\xff\xff{\"a\":[1,2.50,\"A\"]}");
    send(&over_transport(&pair.client, MessagePack), 2, text).unwrap();
    assert_eq!(receive(pair.to()), b"\x00\x02\x81\xa1a\x93\x01\xcb\x40\x04\0\0\0\0\0\0\xa1A");
    let beside = over_session(&pair.client, &[(258, None)], 1);
    send(&beside, 258, "[ ]").unwrap();
    assert_eq!(receive(pair.to()), b"\x01\x02[]");
}

#[test]
fn json_is_checked_strictly_at_both_ends() {
    let pair = Pair::open(&TransportOptions::default());
    let (near, far) = (over_transport(&pair.client, Json), over_transport(&pair.accepted, Json));
    let deep = [vec![b'['; 128], vec![b']'; 128]].concat();
    let bad: [&[u8]; 14] = [
        b"",
        b" ",
        b"NaN",
        b"[1,]",
        b"{\"a\":1,}",
        b"{a:1}",
        b"'a'",
        b"01",
        b"+1",
        b"1 2",
        b"\"\\ud800\"",
        b"\"\n\"",
        b"\xef\xbb\xbf1",
        &deep,
    ];
    for text in bad {
        let sent = near.send(1, text, &SendOptions::default(), soon());
        assert!(matches!(sent, Err(Error::Serialization(_))), "{text:?}");
        send_raw(&pair, &[&[0, 1], text].concat());
        assert!(matches!(next(&far), Err(Error::Deserialization(_))), "{text:?}");
    }
    assert_eq!(near.statistics().send_not_serialized, bad.len() as u64);
    assert_eq!(far.statistics().receive_not_deserialized, bad.len() as u64);
    send(&near, 1, "1").unwrap();
    assert_eq!(next(&far), object(1, "1"));
}

#[test]
fn message_pack_that_json_cannot_say_is_mapped_as_documented_or_refused() {
    let pair = Pair::open(&TransportOptions::default());
    let far = over_transport(&pair.accepted, MessagePack);
    let come = |wire: &[u8]| {
        send_raw(&pair, &[&[0, 1], wire].concat());
        next(&far)
    };
    let mapped: [(&[u8], &str); 10] = [
        (b"\xc4\x01\xff", "\"/w==\""),
        (b"\xd4\x05\xff", "{\"type\":5,\"data\":\"/w==\"}"),
        // A timestamp of 32 bits.
        (b"\xd6\xff\0\0\0\x01", "{\"type\":-1,\"data\":\"AAAAAQ==\"}"),
        (b"\xcb\x7f\xf8\0\0\0\0\0\0", "\"NaN\""),
        (b"\xca\x7f\x80\0\0", "\"Infinity\""),
        (b"\xca\xff\x80\0\0", "\"-Infinity\""),
        (b"\xca\x3f\xc0\0\0", "1.5"),
        (b"\x82\x01\x02\xff\x03", "{\"1\":2,\"-1\":3}"),
        (b"\x82\xc3\x01\xc2\x02", "{\"true\":1,\"false\":2}"),
        (b"\xcf\0\0\0\0\0\0\0\x07", "7"),
    ];
    for (wire, text) in mapped {
        assert_eq!(come(wire), object(1, text), "{wire:x?}");
    }
    let refused: [&[u8]; 9] = [
        b"",
        b"\xc1",
        b"\x81\x90\x01",
        b"\x81\xc0\x01",
        b"\x81\xcb\0\0\0\0\0\0\0\0\x01",
        b"\xa1\xff",
        b"\x92\x01",
        b"\x01\x01",
        b"\xdd\xff\xff\xff\xff",
    ];
    for wire in refused {
        assert!(matches!(come(wire), Err(Error::Deserialization(_))), "{wire:x?}");
    }
    let near = over_transport(&pair.client, MessagePack);
    for text in ["18446744073709551616", "-9223372036854775809", "1e309"] {
        assert!(matches!(send(&near, 1, text), Err(Error::Serialization(_))), "{text}");
    }
    send(&near, 1, "1").unwrap();
    assert_eq!(next(&far), object(1, "1"));
}

/// The program's own format: the bytes in reverse order, then the type id. It refuses objects that
/// begin with `!`.
#[derive(Clone, Default)]
struct Turning {
    calls: Arc<AtomicUsize>,
}

impl Turning {
    fn refuses(&self, bytes: &[u8]) -> bool {
        self.calls.fetch_add(1, Ordering::SeqCst);
        bytes.first() == Some(&b'!')
    }
}

impl Serializer for Turning {
    fn serialize(&self, type_id: u16, object: &[u8], wire: &mut Vec<u8>) -> Result<()> {
        if self.refuses(object) {
            return Err(Error::Serialization("not this".into()));
        }
        wire.extend(object.iter().rev());
        wire.push(type_id as u8);
        Ok(())
    }

    fn deserialize(&self, type_id: u16, wire: &[u8], object: &mut Vec<u8>) -> Result<()> {
        let refused = || Error::Deserialization("not this".into());
        if self.refuses(wire) {
            return Err(refused());
        }
        let (last, turned) = wire.split_last().ok_or_else(refused)?;
        assert_eq!(*last, type_id as u8);
        object.extend(turned.iter().rev());
        Ok(())
    }
}

#[test]
fn the_program_s_own_serializer_is_asked_in_each_form_and_may_refuse() {
    for form in FORMS {
        let serializer = Turning::default();
        let ends = Ends::new(form, &serializer);
        for text in ["abc", "", "not JSON {"] {
            send(&ends.near, 1, text).unwrap();
            assert_eq!(next(&ends.far), object(1, text));
        }
        assert_eq!(send(&ends.near, 1, "!"), Err(Error::Serialization("not this".into())));
        ends.send_raw(b"\0\x01!");
        assert_eq!(next(&ends.far), Err(Error::Deserialization("not this".into())));
        assert_eq!(serializer.calls.load(Ordering::SeqCst), 8);
        send(&ends.near, 1, "on it goes").unwrap();
        assert_eq!(next(&ends.far), object(1, "on it goes"));
    }
}

#[test]
fn a_serializer_may_use_the_transport_that_asks_it() {
    /// Before it serializes an object, it sends a shortened one.
    struct Nested(Arc<Mutex<Weak<Structured>>>);
    impl Serializer for Nested {
        fn serialize(&self, type_id: u16, object: &[u8], wire: &mut Vec<u8>) -> Result<()> {
            if let [_, shorter @ ..] = object {
                let structured = self.0.lock().unwrap().upgrade().expect("it is in use");
                structured.send(type_id.into(), shorter, &SendOptions::default(), Deadline::Now)?;
                assert!(!structured.is_closed() && structured.statistics().sent > 0);
            }
            wire.extend_from_slice(object);
            Ok(())
        }
        fn deserialize(&self, _: u16, wire: &[u8], object: &mut Vec<u8>) -> Result<()> {
            object.extend_from_slice(wire);
            Ok(())
        }
    }
    let pair = Pair::open(&TransportOptions::default());
    let own = Arc::default();
    let near = over_transport(&pair.client, Nested(Arc::clone(&own)));
    *own.lock().unwrap() = Arc::downgrade(&near);
    send(&near, 1, "abc").unwrap();
    for wire in [&b"\0\x01"[..], b"\0\x01c", b"\0\x01bc", b"\0\x01abc"] {
        assert_eq!(receive(pair.to()), wire);
    }
}

#[test]
fn every_fault_of_a_received_datagram_has_its_error_and_its_count_and_the_next_one_is_received() {
    for form in FORMS {
        let ends = Ends::new(form, &Json);
        let far = &ends.far;
        let mut expected = far.statistics();
        // Beside other readers, it leaves all datagrams of other types to them.
        if form != Form::Session {
            for short in [&b""[..], b"\0"] {
                ends.send_raw(short);
                assert_eq!(next(far), Err(Error::Truncated(short.len())), "{form:?}");
            }
            ends.send_raw(b"\0\x09{}");
            assert_eq!(next(far), Err(Error::UnknownType(9)));
            (expected.receive_truncated, expected.receive_unknown_type) = (2, 1);
        }
        ends.send_raw(b"\0\x01{]");
        assert!(matches!(next(far), Err(Error::Deserialization(_))));
        ends.send_raw(b"\0\x02\"15 letters.....\"");
        assert_eq!(next(far), Err(Error::TooLarge { size: 17, limit: 16 }));
        ends.send_raw(b"\0\x02\"14 letters....\"");
        assert_eq!(next(far), object(2, "\"14 letters....\""));
        (expected.receive_not_deserialized, expected.receive_too_large, expected.received) = (1, 1, 1);
        assert_eq!(far.statistics(), expected, "{form:?}");
        assert_eq!(next_now(far), Err(Error::WouldBlock));
        assert!(!far.is_closed());
    }
}

fn next_now(structured: &Structured) -> Result<(u16, String)> {
    receive_within(structured, Deadline::Now).map(|(received, text)| (received.type_id, text))
}

#[test]
fn every_fault_of_an_object_to_send_has_its_error_and_its_count_and_nothing_is_sent() {
    for form in FORMS {
        let Ends { near, far, pair: _pair, .. } = &Ends::new(form, &Json);
        for id in [3, 65_534, 65_536, 65_537, u32::MAX] {
            assert_eq!(send(near, id, "1"), Err(Error::UnknownType(id)), "{form:?}");
        }
        assert!(matches!(send(near, 1, "{"), Err(Error::Serialization(_))));
        assert_eq!(send(near, 2, "\"15 letters.....\""), Err(Error::TooLarge { size: 17, limit: 16 }));
        let large = format!("\"{}\"", "x".repeat(60_000));
        assert!(matches!(send(near, 1, &large), Err(Error::TooLarge { .. })));
        // Its size is that of its compact form.
        send(near, 2, &format!("[1,{}2]", " ".repeat(60_000))).unwrap();
        assert_eq!(next(far), object(2, "[1,2]"));
        near.close();
        assert_eq!(send(near, 1, "1"), Err(Error::Closed));
        let statistics = near.statistics();
        let told = [
            statistics.send_unknown_type,
            statistics.send_not_serialized,
            statistics.send_too_large,
            statistics.send_failed,
            statistics.sent,
        ];
        assert_eq!(told, [5, 1, 2, 1, 1], "{form:?}");
        assert_eq!(far.statistics().received, 1);
    }
}

#[test]
fn ids_are_0_to_65535_and_each_is_registered_once() {
    assert!(registry_of(&[]).is_ok());
    let all: Vec<_> = (0..=65_535).map(|id| (id, None)).collect();
    let all = registry_of(&all).unwrap();
    for types in [&[(65_536, None)][..], &[(u32::MAX, None)], &[(5, None), (6, None), (5, Some(1))]] {
        assert!(matches!(registry_of(types), Err(Error::InvalidArgument(_))), "{types:?}");
    }
    // With all types registered, the other readers get no datagram of two bytes or more.
    let pair = Pair::open(&TransportOptions::default());
    let structured =
        Structured::over_session(&pair.accepted.datagrams, all, Box::new(Json), DEFAULT_QUEUE).unwrap();
    for id in [0_u16, 1, 32_768, 65_535] {
        send_raw(&pair, &[&id.to_be_bytes()[..], b"1"].concat());
        assert_eq!(next(&structured), object(id, "1"));
    }
    send_raw(&pair, b"x");
    assert_eq!(receive(pair.to()), b"x");
}

#[test]
fn each_side_s_own_registry_limits_what_it_sends_and_what_it_receives() {
    let pair = Pair::open(&TransportOptions::default());
    let open = |session: &Session, limit| over_session(session, &[(1, limit)], DEFAULT_QUEUE);
    let (wide, narrow) = (open(&pair.client, None), open(&pair.accepted, Some(3)));
    send(&wide, 1, "1234").unwrap();
    send(&wide, 1, "123").unwrap();
    assert_eq!(next(&narrow), Err(Error::TooLarge { size: 4, limit: 3 }));
    assert_eq!(next(&narrow), object(1, "123"));
    assert_eq!(send(&narrow, 1, "1234"), Err(Error::TooLarge { size: 4, limit: 3 }));
    send(&narrow, 1, "123").unwrap();
    assert_eq!(next(&wide), object(1, "123"));
}

#[test]
fn a_batch_lies_back_to_back_and_faults_take_a_place_with_their_error() {
    for form in FORMS {
        let ends = Ends::new(form, &Json);
        let mut slots = Vec::new();
        let mut arena = [0; 64];
        let refused = ends.far.receive_batch(&mut arena, &mut slots, 0, soon());
        assert!(matches!(refused, Err(Error::InvalidArgument(_))));
        let waited = after(Duration::from_millis(20));
        assert_eq!(ends.far.receive_batch(&mut arena, &mut slots, 9, waited), Err(Error::TimedOut));
        send(&ends.near, 1, "[1]").unwrap();
        ends.send_raw(b"\0\x01]");
        send(&ends.near, 65_535, "\"four\"").unwrap();
        let mut all: Vec<(Slot, Vec<u8>)> = Vec::new();
        while all.len() < 3 {
            ends.far.receive_batch(&mut arena, &mut slots, 9, soon()).unwrap();
            let mut end = 0;
            for slot in slots.drain(..) {
                assert_eq!(slot.offset, end);
                end += slot.result.as_ref().map_or(0, |received| received.size);
                all.push((slot.clone(), arena[slot.offset..end].to_vec()));
            }
        }
        let told: Vec<_> = all
            .iter()
            .map(|(slot, object)| (slot.result.as_ref().map(|received| received.type_id).ok(), &object[..]))
            .collect();
        assert_eq!(told, [(Some(1), &b"[1]"[..]), (None, b""), (Some(65_535), b"\"four\"")], "{form:?}");
        assert!(matches!(all[1].0.result, Err(Error::Deserialization(_))));
        assert_eq!((ends.far.statistics().received, ends.far.statistics().receive_not_deserialized), (2, 1));
    }
}

#[test]
fn a_batch_takes_no_more_than_it_was_asked_for_and_no_more_than_fits() {
    let pair = Pair::open(&TransportOptions::default());
    let (near, far) = (over_transport(&pair.client, Json), over_transport(&pair.accepted, Json));
    for text in ["[1]", "[22]", "[333]", "[4444]"] {
        send(&near, 1, text).unwrap();
    }
    eventually("all have arrived", || pair.to().waiting().incoming.datagrams == 4);
    let (mut arena, mut slots) = ([0; 8], Vec::new());
    let sizes = |slots: &[Slot]| -> Vec<usize> {
        slots.iter().map(|slot| slot.result.as_ref().map_or(0, |received| received.size)).collect()
    };
    far.receive_batch(&mut arena, &mut slots, 1, Deadline::Now).unwrap();
    assert_eq!((sizes(&slots), &arena[..3]), (vec![3], &b"[1]"[..]));
    far.receive_batch(&mut arena, &mut slots, 9, Deadline::Now).unwrap();
    assert_eq!((sizes(&slots), &arena[..4]), (vec![4], &b"[22]"[..]), "the third does not fit behind it");
    let needed = Error::BufferTooSmall { needed: 5 };
    assert_eq!(far.receive_batch(&mut arena[..4], &mut slots, 9, Deadline::Now), Err(needed));
    assert_eq!(slots, []);
    assert!(is_readable(&far));
    far.receive_batch(&mut arena, &mut slots, 9, Deadline::Now).unwrap();
    assert_eq!((sizes(&slots), &arena[..5]), (vec![5], &b"[333]"[..]));
    assert_eq!(next_now(&far), object(1, "[4444]"));
    assert_eq!(far.receive_batch(&mut arena, &mut slots, 9, Deadline::Now), Err(Error::WouldBlock));
    assert_eq!(far.statistics().received, 4, "each once, also those that did not fit at first");
}

#[test]
fn an_object_that_does_not_fit_is_kept_in_each_form() {
    for form in FORMS {
        let ends = Ends::new(form, &MessagePack);
        send(&ends.near, 1, "[1,2,3]").unwrap();
        for _ in 0..3 {
            let received = ends.far.receive(&mut [0; 6], soon());
            assert_eq!(received, Err(Error::BufferTooSmall { needed: 7 }), "{form:?}");
            assert!(is_readable(&ends.far));
        }
        send(&ends.near, 1, "4").unwrap();
        assert_eq!(next(&ends.far), object(1, "[1,2,3]"));
        assert_eq!(next(&ends.far), object(1, "4"));
        assert!(!is_readable(&ends.far));
        assert_eq!(ends.far.statistics().received, 2);
    }
}

fn watch(structured: &Arc<Structured>, ready: Ready) -> Arc<Poller> {
    let poller = Poller::new().unwrap();
    let interest = Interest { ready, one_shot: false };
    poller.add(7, Arc::clone(structured) as _, interest, 8).unwrap();
    poller
}

fn poll(poller: &Poller, deadline: Deadline) -> Result<Ready> {
    let mut events = [Event { object: 0, cookie: 0, ready: Ready::NONE }; 2];
    let count = poller.wait(&mut events, deadline)?;
    assert_eq!((count, events[0].object, events[0].cookie), (1, 7, 8));
    Ok(events[0].ready)
}

#[test]
fn a_poller_is_told_of_arrivals_and_of_the_end_in_each_form() {
    for form in FORMS {
        let ends = Ends::new(form, &Json);
        let poller = watch(&ends.far, Ready::READABLE);
        assert_eq!(poll(&poller, Deadline::Now), Err(Error::WouldBlock), "{form:?}");
        for _ in 0..3 {
            send(&ends.near, 1, "1").unwrap();
            assert_eq!(poll(&poller, soon()), Ok(Ready::READABLE), "{form:?}");
            assert_eq!(poll(&poller, Deadline::Now), Ok(Ready::READABLE), "as long as it is there");
            assert_eq!(next(&ends.far), object(1, "1"));
            assert_eq!(poll(&poller, Deadline::Now), Err(Error::WouldBlock));
        }
        assert_eq!(poll(&watch(&ends.far, Ready::WRITABLE), soon()), Ok(Ready::WRITABLE));
        ends.far.close();
        assert_eq!(poll(&poller, soon()), Ok(Ready::CLOSED));
        assert!((ends.far.ready() & Ready::WRITABLE).is_empty());
        let ends = Ends::new(form, &Json);
        let poller = watch(&ends.far, Ready::READABLE);
        assert_eq!(poll(&poller, Deadline::Now), Err(Error::WouldBlock), "{form:?}");
        ends.pair.client.link.close(0, "").unwrap();
        assert_eq!(poll(&poller, soon()), Ok(Ready::CLOSED), "{form:?}");
    }
}

/// JSON whose `deserialize` meets the test twice: after it begins and before it ends.
#[derive(Clone)]
struct Paused(Arc<Barrier>);

impl Serializer for Paused {
    fn serialize(&self, type_id: u16, object: &[u8], wire: &mut Vec<u8>) -> Result<()> {
        Json.serialize(type_id, object, wire)
    }

    fn deserialize(&self, type_id: u16, wire: &[u8], object: &mut Vec<u8>) -> Result<()> {
        self.0.wait();
        self.0.wait();
        Json.deserialize(type_id, wire, object)
    }
}

#[test]
fn a_poller_that_looked_while_an_object_was_decoded_hears_that_it_was_kept() {
    for form in FORMS {
        let met = Arc::new(Barrier::new(2));
        let ends = Ends::new(form, &Paused(Arc::clone(&met)));
        let poller = watch(&ends.far, Ready::READABLE);
        send(&ends.near, 1, "[1,2,3]").unwrap();
        std::thread::scope(|scope| {
            let receiver = scope.spawn(|| ends.far.receive(&mut [0; 2], soon()));
            met.wait();
            // The receiver has the only datagram.
            assert_eq!(poll(&poller, Deadline::Now), Err(Error::WouldBlock));
            met.wait();
            assert_eq!(receiver.join().unwrap(), Err(Error::BufferTooSmall { needed: 7 }));
        });
        assert_eq!(poll(&poller, soon()), Ok(Ready::READABLE), "{form:?}");
    }
}

#[test]
fn an_object_put_back_by_one_receiver_wakes_another_that_waits_in_each_form() {
    for form in FORMS {
        let met = Arc::new(Barrier::new(2));
        let ends = Ends::new(form, &Paused(Arc::clone(&met)));
        send(&ends.near, 1, "[1,2,3]").unwrap();
        std::thread::scope(|scope| {
            let small = scope.spawn(|| ends.far.receive(&mut [0; 2], soon()));
            met.wait();
            // The first receiver has the only datagram. The second one waits.
            let (waits, got) = std::sync::mpsc::channel();
            let far = Arc::clone(&ends.far);
            std::thread::spawn(move || waits.send(receive_within(&far, Deadline::Never)));
            std::thread::sleep(Duration::from_millis(50));
            met.wait();
            assert_eq!(small.join().unwrap(), Err(Error::BufferTooSmall { needed: 7 }));
            let (received, text) = got.recv_timeout(Duration::from_secs(30)).expect("it is woken").unwrap();
            assert_eq!((received.type_id, &text[..]), (1, "[1,2,3]"), "{form:?}");
        });
    }
}

#[test]
fn beside_other_readers_each_takes_its_types_and_the_transport_keeps_the_rest() {
    let pair = Pair::open(&TransportOptions::default());
    let first = over_session(&pair.accepted, &[(1, None)], DEFAULT_QUEUE);
    let second = over_session(&pair.accepted, &[(1, None), (2, None)], DEFAULT_QUEUE);
    let far_layer = layer(&pair.accepted);
    let near_layer = layer(&pair.client);
    let datagrams: [&[u8]; 5] = [b"\0\x01[1]", b"\0\x02[2]", b"\0\x03[3]", b"\0", b"\0\x01\"x\""];
    for datagram in datagrams {
        send_raw(&pair, datagram);
    }
    near_layer.send(b"\0\x01reliable", &SendOptions::default(), soon()).unwrap();
    // If two want a type, the one that was opened first gets it.
    assert_eq!([next(&first), next(&first)], [object(1, "[1]"), object(1, "\"x\"")]);
    assert_eq!(next(&second), object(2, "[2]"));
    assert_eq!([receive(pair.to()), receive(pair.to())], [&b"\0\x03[3]"[..], b"\0"]);
    let mut buffer = [0; 64];
    let size = far_layer.receive(&mut buffer, soon()).unwrap().size;
    assert_eq!(&buffer[..size], b"\0\x01reliable");
    // What it no longer takes goes to the next that takes it, and otherwise stays with the
    // transport.
    first.close();
    send_raw(&pair, b"\0\x01[4]");
    assert_eq!(next(&second), object(1, "[4]"));
    drop(second);
    send_raw(&pair, b"\0\x01[5]");
    assert_eq!(receive(pair.to()), b"\0\x01[5]");
    let statistics = pair.to().stats();
    assert!(statistics.outside.routed.datagrams >= 5 && statistics.inbound.is_balanced());
}

#[test]
fn the_session_form_has_a_queue_of_its_own_with_its_own_size_and_drop_count() {
    assert_eq!(DEFAULT_QUEUE, 100, "as in the reference");
    let pair = Pair::open(&TransportOptions::default());
    let structured = over_session(&pair.accepted, &[(1, None)], 3);
    for number in 0..8 {
        send_raw(&pair, format!("\0\x01{number}").as_bytes());
    }
    // The transport's own queue plays no part.
    send_raw(&pair, b"behind them");
    assert_eq!(receive(pair.to()), b"behind them");
    let statistics = structured.statistics();
    assert_eq!((statistics.queued, statistics.dropped_full), (3, 5));
    assert_eq!(pair.to().stats().inbound.dropped_full.datagrams, 5);
    let received: Vec<_> = (0..3).map(|_| receive_within(&structured, Deadline::Now).unwrap()).collect();
    let told: Vec<_> = received.iter().map(|(object, text)| (object.metadata.sequence, &text[..])).collect();
    assert_eq!(told, [(0, "0"), (1, "1"), (2, "2")]);
    send_raw(&pair, b"\0\x018");
    let (object, text) = receive_within(&structured, soon()).unwrap();
    assert_eq!((object.metadata.sequence, &text[..]), (8, "8"), "the gap is what was dropped");
    let statistics = structured.statistics();
    assert_eq!((statistics.queued, statistics.dropped_full, statistics.received), (0, 5, 4));
}

#[test]
fn an_object_comes_with_what_is_known_about_its_datagram_in_each_form() {
    let now_us = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
    for form in FORMS {
        let ends = Ends::new(form, &Json);
        for sequence in 0..3 {
            let before = now_us();
            send(&ends.near, 1, "[ 1 ]").unwrap();
            eventually("it has arrived", || is_readable(&ends.far));
            let arrived = now_us();
            // Far more than the difference between two clocks that are read one after the other,
            // even on a busy machine.
            let waits = if sequence == 2 { Duration::from_secs(2) } else { Duration::ZERO };
            std::thread::sleep(waits);
            let (received, _) = receive_within(&ends.far, Deadline::Now).unwrap();
            let metadata = received.metadata;
            assert_eq!((received.size, metadata.size, metadata.sequence), (3, 5, sequence), "{form:?}");
            assert!(metadata.age >= waits, "{form:?}: {:?}", metadata.age);
            let known = before - 1_000_000..=arrived + 1_000_000;
            assert!(known.contains(&metadata.timestamp_us), "{form:?}: {}", metadata.timestamp_us);
        }
    }
}

#[test]
fn priority_ttl_and_report_are_those_of_each_object() {
    let (pair, link) = blocked(&TransportOptions::default());
    let near = over_transport(&pair.client, Json);
    let send = |number: u64, priority, ttl| {
        let options = SendOptions { priority: Priority::clamped(priority), ttl, report_id: Some(number) };
        near.send(1, number.to_string().as_bytes(), &options, Deadline::Now).unwrap();
    };
    send(1, 0, None);
    send(2, 2, None);
    send(3, 2, Some(Duration::from_millis(20)));
    let mut outcomes: Vec<Outcome> = Vec::new();
    pair.from().outgoing.next_outcomes(1, &mut outcomes, soon()).unwrap();
    link.resume();
    while outcomes.len() < 3 {
        pair.from().outgoing.next_outcomes(3, &mut outcomes, soon()).unwrap();
    }
    let told: Vec<_> = outcomes.iter().map(|outcome| (outcome.report_id, outcome.kind)).collect();
    assert_eq!(told, [(3, OutcomeKind::Expired), (2, OutcomeKind::Handed), (1, OutcomeKind::Handed)]);
}

#[test]
fn over_a_layer_too_priority_and_ttl_are_those_of_each_object_and_the_layer_has_the_outcomes() {
    let (pair, link) = blocked(&TransportOptions::default());
    // Other datagrams fill the queue, so that the layer transmits nothing yet.
    let below = pair.from();
    while below.outgoing.free_places(0) > 0 {
        below.send(b"first", &SendOptions::default(), Deadline::Now).unwrap();
    }
    let (layer, far) = (layer(&pair.client), layer(&pair.accepted));
    let near = Structured::over_channel(Arc::clone(&layer) as _, registry(), Box::new(Json)).unwrap();
    let far = Structured::over_channel(far as _, registry(), Box::new(Json)).unwrap();
    let send = |number: u64, priority, ttl| {
        let options = SendOptions { priority: Priority::clamped(priority), ttl, report_id: Some(number) };
        near.send(1, number.to_string().as_bytes(), &options, Deadline::Now).unwrap();
    };
    send(1, 0, None);
    send(2, 2, None);
    send(3, 2, Some(Duration::from_micros(1)));
    let expired = layer.next_outcome(soon()).unwrap();
    assert_eq!(
        (expired.id, expired.outcome, expired.transmissions),
        (3, reliability::MessageOutcome::Expired, 0)
    );
    link.resume();
    assert_eq!(next(&far), object(1, "2"));
    assert_eq!(next(&far), object(1, "1"));
    for _ in 0..2 {
        assert_eq!(layer.next_outcome(soon()).unwrap().outcome, reliability::MessageOutcome::Acknowledged);
    }
}

#[test]
fn a_full_queue_is_a_status_of_its_own_and_counted() {
    let (pair, _link) = blocked(&TransportOptions::default());
    pair.from().outgoing.set_policy(FullPolicy::Reject);
    let near = over_transport(&pair.client, Json);
    let results: Vec<_> = (0..103).map(|_| send(&near, 1, "1")).collect();
    assert_eq!(results[..100], vec![Ok(()); 100]);
    assert_eq!(results[100..], vec![Err(Error::QueueFull); 3]);
    assert_eq!((near.statistics().sent, near.statistics().send_failed), (100, 3));
    assert!((near.ready() & Ready::WRITABLE).is_empty());
}

/// Receivers that wait for ever, and the errors that ended their waits.
fn ends_waiting(structured: &Structured, end: impl FnOnce()) {
    std::thread::scope(|scope| {
        let receivers: Vec<_> =
            (0..3).map(|_| scope.spawn(|| structured.receive(&mut [0; 64], Deadline::Never))).collect();
        std::thread::sleep(Duration::from_millis(30));
        assert!(receivers.iter().all(|receiver| !receiver.is_finished()), "all of them wait");
        end();
        for receiver in receivers {
            assert_eq!(receiver.join().unwrap(), Err(Error::Closed));
        }
    });
}

#[test]
fn close_wakes_who_waits_in_each_form_and_ends_what_it_stands_on_unless_that_has_other_readers() {
    for form in FORMS {
        let ends = Ends::new(form, &Json);
        ends_waiting(&ends.far, || ends.far.close());
        ends.far.close();
        assert!(ends.far.is_closed());
        assert_eq!(ends.pair.to().is_closed(), form == Form::Transport, "{form:?}");
        assert!(!ends.pair.accepted.link.is_closed());
        assert_eq!(next(&ends.far), Err(Error::Closed));
    }
}

#[test]
fn the_end_of_the_session_or_its_transport_wakes_who_waits_in_each_form() {
    for form in FORMS {
        let ends = Ends::new(form, &Json);
        ends_waiting(&ends.far, || ends.pair.client.link.close(0, "").unwrap());
        eventually("it is closed", || ends.far.is_closed());
        assert_eq!(send(&ends.far, 1, "1"), Err(Error::Closed), "{form:?}");
        let ends = Ends::new(form, &Json);
        // Datagrams that no thread reads from the transport's own queue must not hide the end from
        // other readers.
        if form == Form::Session {
            send_raw(&ends.pair, b"unread");
        }
        ends_waiting(&ends.far, || ends.pair.to().close());
        eventually("it is closed", || ends.far.is_closed());
    }
}

#[test]
fn what_has_arrived_is_received_after_the_end() {
    for form in FORMS {
        for by_peer in [false, true] {
            let ends = Ends::new(form, &Json);
            for text in ["1", "2"] {
                send(&ends.near, 1, text).unwrap();
            }
            eventually("both have arrived", || arrived(&ends, form) == 2);
            match by_peer {
                true => ends.pair.client.link.close(0, "").unwrap(),
                false => ends.far.close(),
            }
            eventually("it is closed", || ends.far.is_closed());
            assert_eq!([next(&ends.far), next(&ends.far)], [object(1, "1"), object(1, "2")], "{form:?}");
            assert_eq!(next(&ends.far), Err(Error::Closed));
        }
    }
}

/// The number of objects that wait at the far end.
fn arrived(ends: &Ends, form: Form) -> u64 {
    match form {
        Form::Transport => ends.pair.to().waiting().incoming.datagrams,
        Form::Session => ends.far.statistics().queued,
        // What is acknowledged has arrived.
        Form::Reliability => ends.near_layer.as_ref().map_or(0, |layer| layer.stats().sender.acknowledged),
    }
}

#[test]
fn nothing_can_be_opened_on_what_is_closed() {
    let pair = Pair::open(&TransportOptions::default());
    let layer = layer(&pair.client);
    layer.close(Deadline::Now).unwrap();
    let over =
        |channel: Arc<dyn Channel>| Structured::over_channel(channel, registry(), Box::new(Json)).err();
    assert_eq!(over(layer), Some(Error::Closed));
    pair.from().close();
    assert_eq!(over(Arc::clone(pair.from()) as _), Some(Error::Closed));
    let beside = Structured::over_session(pair.from(), registry(), Box::new(Json), 1).err();
    assert_eq!(beside, Some(Error::Closed));
}

#[test]
fn many_threads_send_and_receive_and_each_object_goes_to_one_of_them() {
    const THREADS: usize = 4;
    const EACH: usize = 500;
    for form in FORMS {
        let ends = Ends::new(form, &MessagePack);
        let window = Mutex::new(());
        let received = AtomicUsize::new(0);
        let sent = AtomicUsize::new(0);
        let seen = Mutex::new(vec![false; THREADS * EACH]);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (near, window, received, sent) = (&ends.near, &window, &received, &sent);
                scope.spawn(move || {
                    for number in 0..EACH {
                        // No more on the way than every queue holds.
                        let guard = window.lock().unwrap();
                        eventually("there is room", || {
                            sent.load(Ordering::SeqCst) - received.load(Ordering::SeqCst) < 50
                        });
                        send(near, 1, &format!("{{\"number\":{}}}", thread * EACH + number)).unwrap();
                        sent.fetch_add(1, Ordering::SeqCst);
                        drop(guard);
                    }
                });
                scope.spawn(|| {
                    while let Ok((_, text)) = next(&ends.far) {
                        let number = &text["{\"number\":".len()..text.len() - 1];
                        let before = std::mem::replace(
                            &mut seen.lock().unwrap()[number.parse::<usize>().unwrap()],
                            true,
                        );
                        assert!(!before, "{number} came twice");
                        if received.fetch_add(1, Ordering::SeqCst) + 1 == THREADS * EACH {
                            ends.far.close();
                        }
                    }
                });
            }
        });
        assert!(seen.lock().unwrap().iter().all(|seen| *seen), "{form:?}");
        assert_eq!(ends.far.statistics().received, (THREADS * EACH) as u64);
    }
}
