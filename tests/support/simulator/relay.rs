//! The link between UDP sockets: clients send to [`Simulator::address`], and the server sees each
//! of them on a socket of its own.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::conditions::Conditions;
use super::link::{Counters, Direction, Link};

/// How often threads that wait for packets check whether to end.
const LOOK: Duration = Duration::from_millis(50);
/// The most client addresses; packets of more are ignored. A client that migrates takes another.
const MAX_CLIENTS: usize = 4096;

/// A running link. Dropping it ends it.
pub struct Simulator {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    front: Arc<UdpSocket>,
    server: SocketAddr,
    state: Mutex<State>,
    due: Condvar,
    /// How often clients were given other ports.
    rebinds: AtomicU64,
    ended: AtomicBool,
}

struct State {
    up: Link,
    down: Link,
    waiting: BinaryHeap<Reverse<Packet>>,
    entered: u64,
}

/// Ordered by when it arrives, then by when it was sent.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    at: Instant,
    number: u64,
    payload: Vec<u8>,
    way: Way,
}

struct Way {
    direction: Direction,
    socket: Arc<UdpSocket>,
    to: Option<SocketAddr>,
}

impl Simulator {
    /// A link to `server` on a free port of 127.0.0.1, both directions with `conditions`.
    pub fn start(server: SocketAddr, seed: u64, conditions: Conditions) -> io::Result<Self> {
        let front = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        enlarge_buffers(&front)?;
        front.set_read_timeout(Some(LOOK))?;
        let shared = Arc::new(Shared {
            front,
            server,
            state: Mutex::new(State {
                up: Link::new(seed, Direction::Up, conditions),
                down: Link::new(seed, Direction::Down, conditions),
                waiting: BinaryHeap::new(),
                entered: 0,
            }),
            due: Condvar::new(),
            rebinds: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let reader = shared.clone();
        let timer = shared.clone();
        let threads = vec![
            std::thread::Builder::new().name("link-up".into()).spawn(move || reader.read_clients())?,
            std::thread::Builder::new().name("link-timer".into()).spawn(move || timer.deliver())?,
        ];
        Ok(Self { shared, threads })
    }

    /// The address for clients to connect to.
    pub fn address(&self) -> SocketAddr {
        self.shared.front.local_addr().expect("the socket is bound")
    }

    /// Changes both directions from now on.
    pub fn set(&self, conditions: Conditions) {
        self.update(Direction::Up, |present| *present = conditions);
        self.update(Direction::Down, |present| *present = conditions);
    }

    /// Changes some conditions of one direction from now on.
    pub fn update(&self, direction: Direction, change: impl FnOnce(&mut Conditions)) {
        let mut state = self.shared.state();
        let link = state.link(direction);
        let mut conditions = link.conditions();
        change(&mut conditions);
        link.set_conditions(conditions);
    }

    /// Acts like a NAT that has forgotten its clients: from now on the server sees each of them
    /// under another port, and what it sends to the old one is lost.
    pub fn rebind(&self) {
        self.shared.rebinds.fetch_add(1, Ordering::SeqCst);
    }

    pub fn conditions(&self, direction: Direction) -> Conditions {
        self.shared.state().link(direction).conditions()
    }

    pub fn counters(&self, direction: Direction) -> Counters {
        self.shared.state().link(direction).counters
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Under the lock: otherwise the timer could look before this and wait after it.
        drop(self.shared.state());
        self.shared.due.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread of the simulator panics")
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Receives what clients send.
    fn read_clients(self: &Arc<Self>) {
        let mut clients: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
        let mut readers = Vec::new();
        let mut buffer = vec![0; 65_536];
        let mut binding = 0;
        while !self.has_ended() {
            let Ok((length, from)) = self.front.recv_from(&mut buffer) else { continue };
            let latest = self.rebinds.load(Ordering::SeqCst);
            if std::mem::replace(&mut binding, latest) != latest {
                clients.clear();
            }
            if !clients.contains_key(&from) {
                if clients.len() == MAX_CLIENTS {
                    continue;
                }
                let Ok(socket) = self.towards_server() else { continue };
                clients.insert(from, socket.clone());
                let shared = self.clone();
                readers.push(std::thread::spawn(move || shared.read_server(&socket, from, binding)));
            }
            let way = Way { direction: Direction::Up, socket: clients[&from].clone(), to: None };
            self.pass(&buffer[..length], way);
        }
        for reader in readers {
            let _ = reader.join();
        }
    }

    fn towards_server(&self) -> io::Result<Arc<UdpSocket>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(self.server)?;
        enlarge_buffers(&socket)?;
        socket.set_read_timeout(Some(LOOK))?;
        Ok(Arc::new(socket))
    }

    /// Receives what the server sends to one client.
    fn read_server(&self, socket: &UdpSocket, client: SocketAddr, binding: u64) {
        let mut buffer = vec![0; 65_536];
        while !self.has_ended() {
            let Ok(length) = socket.recv(&mut buffer) else { continue };
            if self.rebinds.load(Ordering::SeqCst) != binding {
                return;
            }
            let way = Way { direction: Direction::Down, socket: self.front.clone(), to: Some(client) };
            self.pass(&buffer[..length], way);
        }
    }

    fn pass(&self, payload: &[u8], way: Way) {
        let now = Instant::now();
        let mut state = self.state();
        let arrivals = state.link(way.direction).pass(now, payload.len());
        let mut earliest = false;
        for at in arrivals.into_iter().flatten() {
            // No waiting packet should go before it, so it goes from here, which saves waking a
            // thread.
            if at <= now && state.waiting.peek().is_none_or(|Reverse(first)| first.at > now) {
                let taken = way.send(payload);
                state.link(way.direction).left(payload.len(), taken);
                continue;
            }
            state.entered += 1;
            let way = Way { socket: way.socket.clone(), ..way };
            let packet = Packet { at, number: state.entered, payload: payload.to_vec(), way };
            earliest |= state.waiting.peek().is_none_or(|Reverse(first)| *first > packet);
            state.waiting.push(Reverse(packet));
        }
        drop(state);
        if earliest {
            self.due.notify_one();
        }
    }

    /// Sends packets when they are due.
    fn deliver(&self) {
        let mut state = self.state();
        while !self.has_ended() {
            let now = Instant::now();
            match state.waiting.peek().map(|Reverse(packet)| packet.at) {
                Some(at) if at <= now => {
                    let Some(Reverse(packet)) = state.waiting.pop() else { continue };
                    let taken = packet.way.send(&packet.payload);
                    state.link(packet.way.direction).left(packet.payload.len(), taken);
                }
                Some(at) => {
                    state =
                        self.due.wait_timeout(state, at - now).expect("no thread of the simulator panics").0;
                }
                None => state = self.due.wait(state).expect("no thread of the simulator panics"),
            }
        }
    }
}

impl State {
    fn link(&mut self, direction: Direction) -> &mut Link {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }
}

impl Way {
    fn send(&self, payload: &[u8]) -> bool {
        match self.to {
            Some(to) => self.socket.send_to(payload, to),
            None => self.socket.send(payload),
        }
        .is_ok()
    }
}

// Packets are ordered by time and number, which are never equal for two of them.
impl PartialEq for Way {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Way {}

impl PartialOrd for Way {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Way {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

/// Enlarges the buffers, so that a burst is lost only where the link decides it.
fn enlarge_buffers(socket: &UdpSocket) -> io::Result<()> {
    let socket = socket2::SockRef::from(socket);
    socket.set_recv_buffer_size(4 << 20)?;
    socket.set_send_buffer_size(4 << 20)
}
