//! The load that every contender carries, and what is measured of it.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde_json::{Value, json};

use support::simulator::{Direction, Simulator};

pub const MESSAGE_BYTES: usize = 100;
const MESSAGES_PER_SECOND: u32 = 200;
/// How long the last messages may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// When each message is due, and when it was delivered.
pub struct Load {
    count: usize,
    started: Instant,
    delivered: Mutex<Delivered>,
    complete: Condvar,
}

struct Delivered {
    after: Vec<Option<Duration>>,
    missing: usize,
    doubled: u64,
}

impl Load {
    /// Begins in a second, when the contender has connected.
    pub fn new(duration: Duration) -> Self {
        let count = (duration.as_secs_f64() * f64::from(MESSAGES_PER_SECOND)) as usize;
        Self {
            count,
            started: Instant::now() + Duration::from_secs(1),
            delivered: Mutex::new(Delivered { after: vec![None; count], missing: count, doubled: 0 }),
            complete: Condvar::new(),
        }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// When a message is due. Times are counted from then, not from when a late sender got to it.
    pub fn due(&self, number: usize) -> Instant {
        self.started + Duration::from_secs(1) * number as u32 / MESSAGES_PER_SECOND
    }

    pub fn message(number: usize) -> [u8; MESSAGE_BYTES] {
        let mut message = [0x5a; MESSAGE_BYTES];
        message[..8].copy_from_slice(&(number as u64).to_be_bytes());
        message
    }

    pub fn deliver(&self, message: &[u8]) {
        let now = Instant::now();
        let number = message.first_chunk().map_or(u64::MAX, |number| u64::from_be_bytes(*number)) as usize;
        assert!(number < self.count && message == Self::message(number), "a message that was never sent");
        let mut delivered = self.delivered.lock();
        if delivered.after[number].is_some() {
            delivered.doubled += 1;
            return;
        }
        delivered.after[number] = Some(now.saturating_duration_since(self.due(number)));
        delivered.missing -= 1;
        if delivered.missing == 0 {
            self.complete.notify_all();
        }
    }

    pub fn is_complete(&self) -> bool {
        self.delivered.lock().missing == 0
    }

    /// Waits until everything is there, or it has taken too long.
    pub fn wait(&self) {
        let until = self.due(self.count) + PATIENCE;
        let mut delivered = self.delivered.lock();
        while delivered.missing > 0 && !self.complete.wait_until(&mut delivered, until).timed_out() {}
    }

    /// Prints the report. `before` is what the link had carried before the first message.
    pub fn report(&self, link: &Simulator, before: Carried, more: Value) {
        let after = carried(link);
        let (bytes, packets) = (after.bytes - before.bytes, after.packets - before.packets);
        let delivered = self.delivered.lock();
        let mut times: Vec<Duration> = delivered.after.iter().flatten().copied().collect();
        times.sort_unstable();
        let quantile = |share: f64| {
            let index = (times.len() as f64 * share).ceil() as usize;
            times.get(index.saturating_sub(1)).map_or(f64::INFINITY, |time| time.as_secs_f64() * 1000.0)
        };
        let loss = |direction| {
            let counters = link.counters(direction);
            counters.lost() as f64 / counters.received.max(1) as f64
        };
        let report = json!({
            "messages": self.count,
            "delivered": times.len(),
            "doubled": delivered.doubled,
            "p50_ms": quantile(0.5),
            "p98_ms": quantile(0.98),
            "p999_ms": quantile(0.999),
            "max_ms": quantile(1.0),
            "wire_bytes": bytes,
            "wire_packets": packets,
            "wire_bytes_per_delivered_byte": bytes as f64 / (times.len() * MESSAGE_BYTES).max(1) as f64,
            "loss_up": loss(Direction::Up),
            "loss_down": loss(Direction::Down),
            "more": more,
        });
        println!("{report}");
    }
}

/// What was given to the link, both ways: bytes of UDP payload, and packets.
#[derive(Clone, Copy)]
pub struct Carried {
    pub bytes: u64,
    pub packets: u64,
}

pub fn carried(link: &Simulator) -> Carried {
    let (up, down) = (link.counters(Direction::Up), link.counters(Direction::Down));
    Carried { bytes: up.received_bytes + down.received_bytes, packets: up.received + down.received }
}

pub fn sleep_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}
