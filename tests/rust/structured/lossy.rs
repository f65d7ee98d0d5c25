//! Structured objects over a reliability layer over a link that loses, reorders and duplicates:
//! each arrives once and unchanged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::simulator::session::LossyPair;
use support::simulator::{Conditions, Direction};
use wtgram::datagram::options::SendOptions;
use wtgram::datagram::session::Session;
use wtgram::error::{Error, Result};
use wtgram::reliability::layer::{Layer, LayerOptions};
use wtgram::runtime::wait::{Deadline, Timeout};
use wtgram::structured::objects::Structured;
use wtgram::structured::registry::{ObjectType, Registry};
use wtgram::structured::serializer::{Json, MessagePack, Serializer};

/// Objects in each direction.
const COUNT: usize = 5_000;

/// The types. An object's number determines its type.
const TYPES: [u32; 4] = [0, 7, 300, 65_535];

fn soon() -> Deadline {
    // Generous: QUIC's congestion control backs off far under such loss, and machines that run tests are busy.
    Timeout::After(Duration::from_secs(120)).deadline()
}

/// One serializer for each direction.
struct EachWay<Out, In>(Out, In);

impl<Out: Serializer, In: Serializer> Serializer for EachWay<Out, In> {
    fn serialize(&self, type_id: u16, object: &[u8], wire: &mut Vec<u8>) -> Result<()> {
        self.0.serialize(type_id, object, wire)
    }

    fn deserialize(&self, type_id: u16, wire: &[u8], object: &mut Vec<u8>) -> Result<()> {
        self.1.deserialize(type_id, wire, object)
    }
}

fn layer(session: &Session) -> Arc<Layer> {
    let options = LayerOptions { max_retries: 30, ..LayerOptions::default() };
    Layer::open(Arc::clone(&session.datagrams), &options).expect("a layer")
}

fn structured(layer: &Arc<Layer>, serializer: impl Serializer + 'static) -> Arc<Structured> {
    let registry = Registry::new(TYPES.map(|id| ObjectType { id, max_bytes: None })).unwrap();
    Structured::over_channel(Arc::clone(layer) as _, registry, Box::new(serializer)).unwrap()
}

fn type_of(number: usize) -> u32 {
    TYPES[number % TYPES.len()]
}

/// Objects of each type look different. No two objects are equal.
fn object_of(number: usize) -> Value {
    match number % TYPES.len() {
        0 => json!([number, null, true, -(number as i64), u64::MAX - number as u64]),
        1 => {
            json!({"number": number, "half": number as f64 / 2.0, "nested": {"again": [number, [number]], "none": {}}})
        }
        2 => json!([number, "x".repeat(number % 700), "é\u{1f600}\u{0}\"\\"]),
        _ => Value::from(format!("{number}")),
    }
}

fn number_in(object: &Value) -> usize {
    let number = object.get(0).or_else(|| object.get("number")).unwrap_or(object);
    number.as_u64().map_or_else(|| number.as_str().unwrap().parse().unwrap(), |number| number as usize)
}

fn send_all(from: &Structured) {
    for number in 0..COUNT {
        let object = object_of(number).to_string();
        from.send(type_of(number), object.as_bytes(), &SendOptions::default(), soon()).unwrap();
    }
}

fn receive_all(to: &Structured) {
    let mut seen = vec![false; COUNT];
    let (mut arena, mut slots) = (vec![0; 64 * 1024], Vec::new());
    let mut count = 0;
    while count < COUNT {
        to.receive_batch(&mut arena, &mut slots, 64, soon()).unwrap();
        for slot in &slots {
            let received = slot.result.as_ref().expect("every datagram is an object");
            let object = &arena[slot.offset..slot.offset + received.size];
            let object: Value = serde_json::from_slice(object).unwrap();
            let number = number_in(&object);
            assert_eq!(object, object_of(number));
            assert_eq!(u32::from(received.type_id), type_of(number));
            assert!(!std::mem::replace(&mut seen[number], true), "{number} came twice");
            count += 1;
        }
    }
    assert!(seen.iter().all(|seen| *seen));
}

#[test]
fn every_object_of_every_type_arrives_once_and_unchanged_json_one_way_and_message_pack_the_other() {
    let pair = LossyPair::new(21);
    let (near_layer, far_layer) = (layer(&pair.client), layer(&pair.accepted));
    let near = structured(&near_layer, EachWay(Json, MessagePack));
    let far = structured(&far_layer, EachWay(MessagePack, Json));
    pair.link.set(Conditions {
        loss: 0.1,
        reorder: 0.05,
        reorder_delay: Duration::from_millis(3),
        duplicate: 0.05,
        ..Conditions::default()
    });
    let started = Instant::now();
    std::thread::scope(|scope| {
        for (from, to) in [(&near, &far), (&far, &near)] {
            scope.spawn(|| send_all(from));
            scope.spawn(|| receive_all(to));
        }
    });
    println!("{COUNT} each way in {:.1} s", started.elapsed().as_secs_f64());
    for direction in [Direction::Up, Direction::Down] {
        let counters = pair.link.counters(direction);
        println!("{direction:?}: {counters:?}");
        assert!(counters.lost() * 20 > counters.received, "the link lost too little to prove anything");
        assert!(counters.reordered > 0 && counters.duplicated > 0);
    }
    pair.link.set(Conditions::default());
    near_layer.close(soon()).unwrap();
    far_layer.close(soon()).unwrap();
    for end in [&near, &far] {
        assert_eq!(end.receive(&mut [0; 2000], Deadline::Now), Err(Error::Closed), "nothing comes twice");
        let statistics = end.statistics();
        assert_eq!((statistics.sent, statistics.received), (COUNT as u64, COUNT as u64));
        assert_eq!((statistics.receive_not_deserialized, statistics.receive_truncated), (0, 0));
    }
    assert_eq!((near_layer.stats().sender.gave_up, far_layer.stats().sender.gave_up), (0, 0));
}
