//! Sessions of ours over lanes of ours, with programs that use them, clients that lie, and weather.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wtgram::datagram::transport::Transport;
use wtgram::error::Error;
use wtgram::link::ids::Label;
use wtgram::link::secrets::Secrets;
use wtgram::link::session::ClosedBy;
use wtgram::link::tls::{Extensions, FrameFilter};
use wtgram::link::{Lane, LinkSession};

use crate::lane_host::{FORBIDDEN, LaneHost, Listener};
use crate::panics;
use crate::user::User;
use crate::weather;
use support::invented::Dice;
use support::invented::clock::Clock;
use support::invented::network::Network;
use support::invented::quic::Setup;
use support::invented::world::{Host, Record, World};

/// How long programs use their sessions.
const TALK: Duration = Duration::from_secs(6);

/// How long calm weather lasts before all sessions close: meanwhile, what was under way arrives or
/// is given up.
const CALM: Duration = Duration::from_secs(40);

/// By then everything has ended: idle timeouts are 30 s.
const END: Duration = Duration::from_secs(300);

/// Servers come first among the hosts; clients follow.
const SERVERS: usize = 2;

/// A client beside its host.
struct Client {
    address: SocketAddr,
    config: quinn_proto::ClientConfig,
    is_honest: bool,
    attempts_left: u64,
    weather_until: Duration,
    /// Refusals that the server must have intended.
    forbidden: u64,
    refused: u64,
}

/// The result of a run.
pub struct Outcome {
    pub record: Record,
    /// Invented time.
    pub lasted: Duration,
    /// Sessions that were established on both sides.
    pub sessions: usize,
}

/// Runs `seed` to its end and checks what must hold in every run.
pub fn run(seed: u64, in_words: bool) -> Outcome {
    panics::take();
    let mut dice = Dice::new(seed);
    let clock = Clock::new();
    let setup = Setup::new(&clock);
    let mut world = World::new(clock.clone(), Network::new(dice.next()));
    world.record.lines = in_words.then(Vec::new);
    let servers: [Server; SERVERS] =
        std::array::from_fn(|number| Server::new(&mut world, &setup, number, &mut dice));
    let mut clients = Vec::new();
    for number in 0..=dice.below(4) as u8 {
        let client = Client::new(&mut world, &setup, number, &mut dice);
        clients.push(client);
    }
    let mut users = Users { servers, ours: BTreeMap::new(), theirs: BTreeMap::new() };
    while clock.elapsed() < TALK {
        for (number, server) in users.servers.iter_mut().enumerate() {
            if server.closes_at.take_if(|at| *at <= clock.elapsed()).is_some() {
                world.hosts[number].stop_listening();
            }
        }
        for (number, client) in clients.iter_mut().enumerate() {
            client.act(&mut world, number, &mut dice);
        }
        users.welcome(&mut world, &mut clients, &mut dice);
        for user in users.all() {
            user.act(&mut dice, &mut world.record);
        }
        everybody(&mut world);
        world.run(clock.now() + Duration::from_micros(dice.pick(&[50, 1_000, 20_000, 100_000])));
    }
    for client in &mut clients {
        client.attempts_left = 0;
        let (conditions, interference) = weather::calm();
        world.network.set_conditions(client.address, conditions, interference);
    }
    let calm_until = clock.now() + CALM;
    while clock.now() < calm_until {
        users.welcome(&mut world, &mut clients, &mut dice);
        for user in users.all() {
            user.note_end(&mut world.record);
            user.read(&mut world.record);
        }
        everybody(&mut world);
        world.run(clock.now() + Duration::from_secs(1));
    }
    let living = users.living();
    for path in &living {
        users.check_calm(seed, path);
    }
    users.close_all(&mut world, &mut dice);
    let deadline = clock.at(END);
    while clock.now() < deadline {
        for user in users.all() {
            user.note_end(&mut world.record);
            user.read(&mut world.record);
        }
        everybody(&mut world);
        world.run(clock.now() + Duration::from_secs(5));
    }
    check(seed, &mut world, &clients, &mut users, &living);
    Outcome { record: world.record, lasted: clock.elapsed(), sessions: users.ours.len() }
}

/// A server beside its host.
struct Server {
    listener: Arc<Listener>,
    /// Its transports, by the path of their sessions.
    transports: Arc<Mutex<BTreeMap<String, Arc<Transport>>>>,
    is_honest: bool,
    /// When it stops listening, if ever.
    closes_at: Option<Duration>,
}

impl Server {
    fn new(world: &mut World<LaneHost>, setup: &Setup, number: usize, dice: &mut Dice) -> Self {
        let is_honest = !dice.one_in(10);
        let closes_at = dice.one_in(4).then(|| Duration::from_millis(dice.below(TALK.as_millis() as u64)));
        let transports = Arc::new(Mutex::new(BTreeMap::new()));
        let secrets = Secrets::fixed(&dice.secret());
        let lane = Lane::new(number, None);
        let config = setup.server_config(&secrets, extensions(is_honest, dice));
        let (kept, options) = (Arc::clone(&transports), User::transport_options(dice));
        let established = Box::new(move |session: &Arc<LinkSession>| {
            let transport = Transport::open(Arc::clone(session), &options).expect("an established session");
            let path = session.established().expect("established").request.path.clone();
            kept.lock().expect("kept").insert(path, transport);
        });
        let listener = Listener::new(config.clone(), Arc::clone(&lane), dice.one_in(4), established);
        let segments = dice.pick(&[1, 10, 43]);
        let wire = (segments, dice.one_in(4).then_some(100), Dice::new(dice.next()));
        let acceptor = Arc::clone(&listener) as _;
        let address = ([10, 0, 1, number as u8], 443).into();
        world.add(LaneHost::new(
            address,
            secrets.endpoint_config(0, &Label::default()),
            Some((config, acceptor)),
            lane,
            wire,
        ));
        Self { listener, transports, is_honest, closes_at }
    }
}

/// Gives each host a turn, because programs may have called for their lanes since the last one.
fn everybody(world: &mut World<LaneHost>) {
    for host in 0..world.hosts.len() {
        world.nudge(host);
    }
}

impl Client {
    fn new(world: &mut World<LaneHost>, setup: &Setup, number: u8, dice: &mut Dice) -> Self {
        let address: SocketAddr = ([10, 0, 0, 2 + number], 40_000 + u16::from(number)).into();
        let (conditions, interference) = weather::drawn(dice);
        world.network.add_client(address, conditions, interference);
        let secrets = Secrets::fixed(&dice.secret());
        let is_honest = !dice.one_in(5);
        let config = setup.client_config(&secrets, extensions(is_honest, dice));
        let wire = (dice.pick(&[1, 10, 43]), dice.one_in(4).then_some(100), Dice::new(dice.next()));
        let lane = Lane::new(SERVERS + usize::from(number), None);
        world.add(LaneHost::new(address, secrets.endpoint_config(0, &Label::default()), None, lane, wire));
        let attempts_left = 1 + dice.below(3);
        let weather_until = weather::lasts(dice);
        Self { address, config, is_honest, attempts_left, weather_until, forbidden: 0, refused: 0 }
    }

    fn act(&mut self, world: &mut World<LaneHost>, number: usize, dice: &mut Dice) {
        let now = world.clock.elapsed();
        if now >= self.weather_until {
            self.weather_until = now + weather::lasts(dice);
            let (conditions, interference) = weather::drawn(dice);
            world.network.set_conditions(self.address, conditions, interference);
            if dice.one_in(4) {
                world.network.rebind(self.address);
            }
        }
        if self.attempts_left > 0 && dice.one_in(10) {
            self.attempts_left -= 1;
            let layer = dice.pick(&["", "/layer"]);
            let server = dice.below(SERVERS as u64) as usize;
            let path = if dice.one_in(10) {
                self.forbidden += 1;
                FORBIDDEN.to_owned()
            } else {
                format!("/{number}/{server}/{}{layer}", self.attempts_left)
            };
            let address = world.hosts[server].address();
            world.hosts[SERVERS + number].connect(world.clock.now(), self.config.clone(), address, path);
        }
    }
}

/// Programs on both ends, by the path of their session.
struct Users {
    servers: [Server; SERVERS],
    ours: BTreeMap<String, User>,
    theirs: BTreeMap<String, User>,
}

impl Users {
    fn all(&mut self) -> impl Iterator<Item = &mut User> {
        self.ours.values_mut().chain(self.theirs.values_mut())
    }

    /// Gives new sessions to programs.
    fn welcome(&mut self, world: &mut World<LaneHost>, clients: &mut [Client], dice: &mut Dice) {
        for (number, client) in clients.iter_mut().enumerate() {
            for (path, result) in world.hosts[SERVERS + number].news() {
                let session = match result {
                    Ok(session) => session,
                    Err(error) => {
                        world.record.note(client.address, &format!("no session: {error}"), 0);
                        client.refused += u64::from(matches!(error, Error::Rejected { status: 403, .. }));
                        continue;
                    }
                };
                world.record.note(client.address, "has a session", 0);
                let options = User::transport_options(dice);
                let Ok(transport) = Transport::open(Arc::clone(&session), &options) else { continue };
                let tag = tag(&path);
                // A liar may have asked for another path than it believes, and gets its answer
                // under that path.
                let server = number_in(&path, 2).and_then(|number| self.servers.get(number));
                let honest = client.is_honest && server.is_some_and(|server| server.is_honest);
                let user = User::new(client.address, tag, session, transport, honest, dice);
                assert!(self.ours.insert(path, user).is_none());
            }
        }
        for (number, server) in self.servers.iter().enumerate() {
            for session in std::mem::take(&mut *server.listener.arrived.lock().expect("arrived")) {
                let path = session.established().expect("established").request.path.clone();
                let transport = server.transports.lock().expect("kept").remove(&path).expect("its transport");
                // A liar's request can say anything.
                let client = number_in(&path, 1).and_then(|number| clients.get(number));
                let honest = server.is_honest && client.is_some_and(|client| client.is_honest);
                let host = world.hosts[number].address();
                world.record.note(host, "has a session", tag(&path));
                let user = User::new(host, tag(&path) ^ 1, session, transport, honest, dice);
                assert!(self.theirs.insert(path, user).is_none());
            }
        }
    }

    /// Sessions that live on both sides, and whose sides both follow the rules.
    fn living(&self) -> Vec<String> {
        let lives = |user: &User| user.peer_is_honest && !user.session.is_closed();
        let both = |path: &str| [self.ours.get(path), self.theirs.get(path)].into_iter().flatten().all(lives);
        self.ours.keys().filter(|path| self.theirs.contains_key(*path) && both(path)).cloned().collect()
    }

    /// Checks that nothing is stuck after the long calm.
    fn check_calm(&self, seed: u64, path: &str) {
        let sides = [&self.ours[path], &self.theirs[path]];
        for user in sides {
            let waiting = user.transport.waiting().total_outgoing();
            assert_eq!(waiting.datagrams, 0, "seed {seed}: {path}: datagrams still wait");
            if sides.iter().all(|side| side.layer.is_some()) {
                let (submitted, settled) = (user.book.submitted.len(), user.book.outcomes.len());
                assert_eq!(submitted, settled, "seed {seed}: {path}: messages without an outcome");
            }
        }
    }

    /// Closes every session from one side.
    fn close_all(&mut self, world: &mut World<LaneHost>, dice: &mut Dice) {
        for (path, ours) in &mut self.ours {
            match self.theirs.get_mut(path) {
                Some(theirs) if dice.one_in(2) => theirs.close(dice, &mut world.record),
                _ => ours.close(dice, &mut world.record),
            }
        }
        for (path, theirs) in &mut self.theirs {
            if !self.ours.contains_key(path) {
                theirs.close(dice, &mut world.record);
            }
        }
    }
}

/// The number that is the `place`th part of a path.
fn number_in(path: &str, place: usize) -> Option<usize> {
    path.split('/').nth(place)?.parse().ok()
}

/// An even number for each path; the other side of the session has the odd one after it.
fn tag(path: &str) -> u64 {
    path.bytes().fold(0, |tag, byte| support::simulator::link::mix(tag ^ u64::from(byte))) << 1
}

fn check(seed: u64, world: &mut World<LaneHost>, clients: &[Client], users: &mut Users, living: &[String]) {
    let context = format!("seed {seed}");
    for host in &world.hosts {
        assert_eq!(host.leftovers(), (0, 0), "{context}: connections and timers of {}", host.address());
    }
    assert_eq!(world.network.on_the_way(), 0, "{context}");
    for user in users.all() {
        user.check_end();
    }
    for (path, ours) in &users.ours {
        let Some(theirs) = users.theirs.get(path) else {
            assert!(!ours.peer_is_honest, "{context}: only the client has the session {path}");
            continue;
        };
        if ours.peer_is_honest && theirs.peer_is_honest {
            ours.check_against(theirs);
            theirs.check_against(ours);
        }
        if living.contains(path) {
            // The weather was calm, so the side that did not close received the other's words.
            let ends = [ours, theirs].map(|user| user.book.ended.as_ref().map(|info| info.by));
            let heard = [ClosedBy::Local, ClosedBy::Peer].map(Some);
            assert!(ends == heard || ends == [heard[1], heard[0]], "{context}: {path}: {ends:?}");
            let words =
                [ours, theirs].map(|user| user.book.ended.as_ref().map(|info| (info.code, &info.reason)));
            assert_eq!(words[0], words[1], "{context}: {path}");
        }
    }
    assert_eq!(panics::take(), 0, "{context}: a panic was caught");
    let servers_are_honest = users.servers.iter().all(|server| server.is_honest);
    for client in clients.iter().filter(|_| servers_are_honest) {
        assert!(client.refused <= client.forbidden, "{context}: refused without a reason");
    }
}

/// The extensions of the crypto sessions of a peer that follows the rules, or does not.
fn extensions(is_honest: bool, dice: &mut Dice) -> Extensions {
    let liar = || -> Arc<dyn FrameFilter> { Arc::new(Liar(Mutex::new(Dice::new(dice.next())))) };
    Extensions { frame_filter: (!is_honest).then(liar), ..Extensions::default() }
}

/// A peer that changes frames before it sends them: now and then one bit, now and then everything.
struct Liar(Mutex<Dice>);

impl FrameFilter for Liar {
    fn arrived(&self, _packet: u64, _frames: &mut [u8]) {}

    fn leaving(&self, _packet: u64, frames: &mut [u8]) {
        let mut dice = self.0.lock().expect("dice");
        if frames.is_empty() || !dice.one_in(30) {
            return;
        }
        match dice.below(3) {
            0 => {
                let at = dice.below(frames.len() as u64) as usize;
                frames[at] ^= 1 << dice.below(8);
            }
            1 => frames.iter_mut().for_each(|byte| *byte = dice.next() as u8),
            _ => invent(frames, &mut dice),
        }
    }
}

/// Frames of any type, with numbers of any size, until nothing more fits; PADDING fills the rest.
fn invent(frames: &mut [u8], dice: &mut Dice) {
    let mut bytes = Vec::new();
    while bytes.len() < frames.len() && !dice.one_in(6) {
        bytes.push(dice.below(0x32) as u8);
        for _ in 0..dice.below(5) {
            let value = dice.next();
            match dice.below(4) {
                0 => bytes.push(value as u8 & 0x3f),
                1 => bytes.extend_from_slice(&(value as u16 & 0x3fff | 0x4000).to_be_bytes()),
                2 => bytes.extend_from_slice(&(value as u32 & 0x3fff_ffff | 0x8000_0000).to_be_bytes()),
                _ => bytes.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
            }
        }
    }
    bytes.resize(frames.len(), 0);
    frames.copy_from_slice(&bytes);
}
