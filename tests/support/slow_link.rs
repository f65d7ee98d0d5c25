//! A UDP relay that carries so many bits per second from client to server, with a bounded queue,
//! and can be stopped. It carries the other direction at full speed.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long packets may wait in the relay; more are dropped, as in a router's buffer.
const BUFFER: Duration = Duration::from_millis(50);

pub struct SlowLink {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    bits_per_second: AtomicU64,
    stopped: AtomicBool,
    ended: AtomicBool,
}

impl SlowLink {
    /// A link to `server`.
    pub fn to(server: SocketAddr, bits_per_second: u64) -> Self {
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        far.connect(server).unwrap();
        let address = near.local_addr().unwrap();
        let shared = Arc::new(Shared {
            bits_per_second: AtomicU64::new(bits_per_second),
            stopped: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || carry(&near, &far, &of_thread));
        Self { address, shared }
    }

    /// The address for clients to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing passes in either direction; packets that arrive are lost.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
    }

    /// From now on it carries again.
    pub fn resume(&self) {
        self.shared.stopped.store(false, Ordering::SeqCst);
    }

    pub fn set_bits_per_second(&self, bits_per_second: u64) {
        self.shared.bits_per_second.store(bits_per_second, Ordering::SeqCst);
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
    }
}

fn carry(near: &UdpSocket, far: &UdpSocket, shared: &Shared) {
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    let mut buffer = [0; 65536];
    let mut client = None;
    // Packets with the time at which each leaves the link.
    let mut queue: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut busy_until = Instant::now();
    while !shared.ended.load(Ordering::SeqCst) {
        let now = Instant::now();
        let stopped = shared.stopped.load(Ordering::SeqCst);
        while let Ok((size, from)) = near.recv_from(&mut buffer) {
            client = Some(from);
            let start = busy_until.max(now);
            if stopped || start - now > BUFFER {
                continue;
            }
            let bits = 8 * size as u64;
            let time = bits as f64 / shared.bits_per_second.load(Ordering::SeqCst) as f64;
            busy_until = start + Duration::from_secs_f64(time);
            queue.push_back((busy_until, buffer[..size].to_vec()));
        }
        while queue.front().is_some_and(|(leaves, _)| *leaves <= now) {
            let (_, packet) = queue.pop_front().unwrap();
            let _ = far.send(&packet);
        }
        while let (Ok(size), Some(client)) = (far.recv(&mut buffer), client) {
            if !stopped {
                let _ = near.send_to(&buffer[..size], client);
            }
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}
