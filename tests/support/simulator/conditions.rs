//! The conditions of one direction: what is done to its packets.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// Shares are between 0 and 1. The default does nothing to any packet.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Conditions {
    /// Share of packets lost, each independently of the others.
    pub loss: f64,
    /// Loss in bursts, in addition to the other.
    pub bursts: Option<Bursts>,
    /// Share of packets that arrive twice.
    pub duplicate: f64,
    /// Share of packets held back by `reorder_delay`, so that later ones overtake them.
    pub reorder: f64,
    /// How long they are held back.
    pub reorder_delay: Duration,
    /// Delay of every packet.
    pub latency: Duration,
    /// Up to this much more, drawn evenly for each packet; packets may overtake each other.
    pub jitter: Duration,
    /// Bits of UDP payload per second; 0 is no limit.
    pub rate_bits_per_s: u64,
    /// Bytes that may wait for the line; more are dropped. 0 is no limit. Without a rate nothing
    /// waits.
    pub queue_bytes: u64,
    /// Larger UDP payloads are dropped; 0 is no limit.
    pub mtu_bytes: usize,
    /// Everything is dropped.
    pub black_hole: bool,
}

/// Gilbert's model: the line is good or bad; in the bad state it loses most packets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bursts {
    /// Chance per packet of becoming bad.
    pub enter: f64,
    /// Chance per packet of becoming good again; its inverse is the mean length of a burst.
    pub leave: f64,
    /// Share of packets lost while bad.
    pub loss: f64,
}

impl Conditions {
    /// Only a delay.
    pub fn latency(latency: Duration) -> Self {
        Self { latency, ..Self::default() }
    }

    /// Changes the conditions in `fields`, by the names of [`Conditions::to_json`]; changes nothing
    /// if one of them is wrong.
    pub fn update(&mut self, fields: &Map<String, Value>) -> Result<(), String> {
        let mut changed = *self;
        for (name, value) in fields {
            match name.as_str() {
                "loss" => changed.loss = share(name, value)?,
                "burst_enter" | "burst_leave" | "burst_loss" => {
                    let mut bursts = changed.bursts.unwrap_or(Bursts { enter: 0.0, leave: 1.0, loss: 1.0 });
                    let field = match name.as_str() {
                        "burst_enter" => &mut bursts.enter,
                        "burst_leave" => &mut bursts.leave,
                        _ => &mut bursts.loss,
                    };
                    *field = share(name, value)?;
                    changed.bursts = Some(bursts);
                }
                "duplicate" => changed.duplicate = share(name, value)?,
                "reorder" => changed.reorder = share(name, value)?,
                "reorder_delay_us" => changed.reorder_delay = Duration::from_micros(integer(name, value)?),
                "latency_us" => changed.latency = Duration::from_micros(integer(name, value)?),
                "jitter_us" => changed.jitter = Duration::from_micros(integer(name, value)?),
                "rate_bits_per_s" => changed.rate_bits_per_s = integer(name, value)?,
                "queue_bytes" => changed.queue_bytes = integer(name, value)?,
                "mtu_bytes" => changed.mtu_bytes = integer(name, value)? as usize,
                "black_hole" => {
                    changed.black_hole = value.as_bool().ok_or_else(|| wrong(name, "true or false"))?
                }
                _ => return Err(format!("no such condition: {name}")),
            }
        }
        changed.bursts = changed.bursts.filter(|bursts| bursts.enter > 0.0);
        *self = changed;
        Ok(())
    }

    /// All conditions.
    pub fn to_json(self) -> Value {
        let bursts = self.bursts.unwrap_or(Bursts { enter: 0.0, leave: 1.0, loss: 1.0 });
        let micros = |time: Duration| time.as_micros() as u64;
        json!({
            "loss": self.loss,
            "burst_enter": bursts.enter,
            "burst_leave": bursts.leave,
            "burst_loss": bursts.loss,
            "duplicate": self.duplicate,
            "reorder": self.reorder,
            "reorder_delay_us": micros(self.reorder_delay),
            "latency_us": micros(self.latency),
            "jitter_us": micros(self.jitter),
            "rate_bits_per_s": self.rate_bits_per_s,
            "queue_bytes": self.queue_bytes,
            "mtu_bytes": self.mtu_bytes,
            "black_hole": self.black_hole,
        })
    }
}

fn share(name: &str, value: &Value) -> Result<f64, String> {
    value.as_f64().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| wrong(name, "between 0 and 1"))
}

fn integer(name: &str, value: &Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| wrong(name, "an integer that is not negative"))
}

fn wrong(name: &str, what: &str) -> String {
    format!("{name} must be {what}")
}
