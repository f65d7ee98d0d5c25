//! KCP as its README's fast mode sets it (nodelay 1, interval 10 ms, resend 2, no congestion
//! window), over plain UDP: it has no handshake, no encryption and no congestion control, which is
//! to its advantage here.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kcp::Kcp;
use parking_lot::Mutex;
use serde_json::json;

use crate::Failure;
use crate::meter::{Load, carried, sleep_until};
use support::simulator::{Conditions, Simulator};

const CONVERSATION: u32 = 1;
const WINDOW: u16 = 1024;

/// Where KCP's packets go: to the peer that was heard last, or to a fixed one.
struct Wire {
    socket: Arc<UdpSocket>,
    to: Arc<Mutex<Option<SocketAddr>>>,
}

impl Write for Wire {
    fn write(&mut self, packet: &[u8]) -> io::Result<usize> {
        match *self.to.lock() {
            Some(to) => self.socket.send_to(packet, to),
            None => Ok(packet.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct End {
    kcp: Mutex<Kcp<Wire>>,
    socket: Arc<UdpSocket>,
    to: Arc<Mutex<Option<SocketAddr>>>,
    started: Instant,
    ended: AtomicBool,
}

impl End {
    fn new(to: Option<SocketAddr>) -> Result<Self, Failure> {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let to = Arc::new(Mutex::new(to));
        let mut kcp = Kcp::new(CONVERSATION, Wire { socket: socket.clone(), to: to.clone() });
        kcp.set_nodelay(true, 10, 2, true);
        kcp.set_wndsize(WINDOW, WINDOW);
        let started = Instant::now();
        kcp.update(0)?;
        Ok(Self { kcp: Mutex::new(kcp), socket, to, started, ended: AtomicBool::new(false) })
    }

    fn now_ms(&self) -> u32 {
        self.started.elapsed().as_millis() as u32
    }

    /// KCP's clock, as its README drives it.
    fn drive(&self) -> Result<(), Failure> {
        while !self.ended.load(Ordering::SeqCst) {
            let wait_ms = {
                let mut kcp = self.kcp.lock();
                kcp.update(self.now_ms())?;
                kcp.check(self.now_ms())
            };
            std::thread::sleep(Duration::from_millis(u64::from(wait_ms.clamp(1, 10))));
        }
        Ok(())
    }

    /// Takes packets; gives messages to `each` as soon as they can be read.
    fn read(&self, mut each: impl FnMut(&[u8])) -> Result<(), Failure> {
        let (mut packet, mut message) = ([0; 65_536], [0; 65_536]);
        while !self.ended.load(Ordering::SeqCst) {
            let Ok((length, from)) = self.socket.recv_from(&mut packet) else { continue };
            self.to.lock().get_or_insert(from);
            let mut kcp = self.kcp.lock();
            kcp.input(&packet[..length])?;
            while let Ok(length) = kcp.recv(&mut message) {
                each(&message[..length]);
            }
        }
        Ok(())
    }
}

pub fn run(load: Load, seed: u64, conditions: Conditions) -> Result<(), Failure> {
    let far = End::new(None)?;
    let link = Simulator::start(far.socket.local_addr()?, seed, conditions)?;
    let near = End::new(Some(link.address()))?;
    sleep_until(load.due(0));
    let before = carried(&link);
    std::thread::scope(|scope| {
        let threads = [
            scope.spawn(|| near.drive()),
            scope.spawn(|| far.drive()),
            scope.spawn(|| near.read(|_| {})),
            scope.spawn(|| far.read(|message| load.deliver(message))),
        ];
        for number in 0..load.count() {
            sleep_until(load.due(number));
            let mut kcp = near.kcp.lock();
            kcp.send(&Load::message(number))?;
            // At once and not with the next tick: to its advantage.
            kcp.flush()?;
        }
        load.wait();
        load.report(&link, before, json!({"complete": load.is_complete()}));
        for end in [&near, &far] {
            end.ended.store(true, Ordering::SeqCst);
        }
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })
}
