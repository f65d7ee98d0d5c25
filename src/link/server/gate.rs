//! Which connections a server admits: how many, how many from one address, how fast, and how many
//! whose handshake is under way.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;

use super::stats::Refused;
use crate::error::{Error, Result};
use crate::link::config::Limits;
use crate::link::memory::MemoryBudget;

/// What a connection costs in memory, as far as it is known before datagrams arrive: quinn-proto's
/// state and ours, measured over 1,000 idle sessions.
const CONNECTION_BYTES: usize = 40 * 1024;

/// How many seconds' worth of connections an address may open at once, after it was quiet.
const BURST_SECONDS: u32 = 5;

/// The most addresses whose rates are known. Beyond that, further ones are treated like those that
/// are too fast.
const MOST_ADDRESSES: usize = 65_536;

/// The gate of one server.
pub(super) struct Gate {
    limits: Limits,
    connections: Counter,
    half_open: Counter,
    /// Connections whose request waits for the program.
    asking: Counter,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
    /// Of addresses that nobody has proved, and of proved ones. So an attacker who invents another's
    /// address cannot use up its rate.
    rates: Option<[Rate; 2]>,
    memory: Arc<MemoryBudget>,
}

/// A connection that asks to be admitted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newcomer {
    pub address: IpAddr,
    /// Whether the client has proved that it receives what is sent to the address.
    pub is_proved: bool,
    /// Whether it can be asked to.
    pub may_retry: bool,
}

/// The gate's decision.
pub(super) enum Decision {
    Refuse(Refused),
    Retry,
    Admit(Admitted),
}

/// The places of a connection, held until it is dropped.
pub(super) struct Admitted {
    pub place: Place,
    pub half_open: Counted,
    /// Whether the half-open connection that has waited longest must go.
    pub replaces_oldest: bool,
}

impl Gate {
    pub fn new(limits: &Limits) -> Result<Self> {
        if limits.max_half_open == 0 {
            return Err(Error::InvalidArgument("the limit of half-open connections is at least 1".into()));
        }
        let rate = limits.connections_per_second_per_address.map(|rate| {
            NonZeroU32::new(rate).ok_or(Error::InvalidArgument("a rate is at least 1 per second".into()))
        });
        let rates = rate.transpose()?.map(|rate| [Rate::new(rate), Rate::new(rate)]);
        Ok(Self {
            limits: limits.clone(),
            connections: Counter::default(),
            half_open: Counter::default(),
            asking: Counter::default(),
            addresses: Arc::default(),
            rates,
            memory: Arc::new(MemoryBudget::new(limits.max_memory_bytes)),
        })
    }

    /// Decides about a newcomer.
    pub fn admit(&self, now: Instant, newcomer: Newcomer) -> Decision {
        let prefix = prefix(newcomer.address);
        let can_prove = !newcomer.is_proved && newcomer.may_retry;
        if self.limits.max_sessions.is_some_and(|most| self.connections.count() >= most) {
            return Decision::Refuse(Refused::Sessions);
        }
        if !self.memory.has_room(CONNECTION_BYTES) {
            return Decision::Refuse(Refused::Memory);
        }
        let from_here = self.addresses.lock().get(&prefix).copied().unwrap_or(0);
        if self.limits.max_sessions_per_address.is_some_and(|most| from_here >= most) {
            return Decision::Refuse(Refused::Address);
        }
        if let Some(rates) = &self.rates
            && !rates[usize::from(newcomer.is_proved)].allows(now, prefix)
        {
            return if can_prove { Decision::Retry } else { Decision::Refuse(Refused::Rate) };
        }
        let half_open = self.half_open.count();
        if can_prove && half_open >= self.limits.retry_above_half_open {
            return Decision::Retry;
        }
        Decision::Admit(Admitted {
            place: self.place(prefix),
            half_open: self.half_open.one_more(),
            replaces_oldest: half_open >= self.limits.max_half_open,
        })
    }

    fn place(&self, prefix: IpAddr) -> Place {
        *self.addresses.lock().entry(prefix).or_default() += 1;
        self.memory.change(0, CONNECTION_BYTES);
        Place {
            prefix,
            addresses: Arc::clone(&self.addresses),
            memory: Arc::clone(&self.memory),
            _counted: self.connections.one_more(),
        }
    }

    pub fn connections(&self) -> usize {
        self.connections.count()
    }

    /// Connections without a session.
    pub fn half_open(&self) -> usize {
        self.half_open.count() + self.asking.count()
    }

    /// A place for a request that waits for the program, of which there are `most`.
    pub fn ask(&self, most: usize) -> Option<Counted> {
        let asking = self.asking.one_more();
        (self.asking.count() <= most).then_some(asking)
    }

    pub fn memory(&self) -> &Arc<MemoryBudget> {
        &self.memory
    }
}

/// The part of an address that one subscriber has: an IPv4 address, or 64 bits of an IPv6 address.
fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// The place of a connection.
pub(super) struct Place {
    prefix: IpAddr,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
    memory: Arc<MemoryBudget>,
    _counted: Counted,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.memory.change(CONNECTION_BYTES, 0);
        let mut addresses = self.addresses.lock();
        if let Some(count) = addresses.get_mut(&self.prefix) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.prefix);
            }
        }
    }
}

/// How fast addresses open connections.
struct Rate {
    limiter: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, TurnClock, NoOpMiddleware<Nanos>>,
    began: Instant,
    /// When entries that say nothing were last removed, in nanoseconds since `began`.
    swept: AtomicU64,
}

impl Rate {
    fn new(per_second: NonZeroU32) -> Self {
        let burst = per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1));
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self {
            limiter: RateLimiter::new(quota, HashMapStateStore::default(), TurnClock::default()),
            began: Instant::now(),
            swept: AtomicU64::new(0),
        }
    }

    fn allows(&self, now: Instant, prefix: IpAddr) -> bool {
        let since = u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX);
        self.limiter.clock().0.fetch_max(since, Ordering::Relaxed);
        if self.limiter.len() >= MOST_ADDRESSES {
            let swept = self.swept.load(Ordering::Relaxed);
            if since.saturating_sub(swept) < Duration::from_secs(1).as_nanos() as u64 {
                return false;
            }
            self.swept.store(since, Ordering::Relaxed);
            self.limiter.retain_recent();
            if self.limiter.len() >= MOST_ADDRESSES {
                return false;
            }
        }
        self.limiter.check_key(&prefix).is_ok()
    }
}

/// The time of the latest turn of all lanes, which may be invented: nanoseconds since the gate was made.
#[derive(Debug, Clone, Default)]
struct TurnClock(Arc<AtomicU64>);

impl Clock for TurnClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

/// A counter of objects that exist.
#[derive(Default)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more, for as long as the returned value lives.
    fn one_more(&self) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(&self.0))
    }
}

pub(super) struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unlimited() -> Limits {
        Limits {
            max_sessions: None,
            max_sessions_per_address: None,
            connections_per_second_per_address: None,
            max_half_open: 1000,
            retry_above_half_open: usize::MAX,
            max_memory_bytes: None,
            ..Limits::default()
        }
    }

    fn from(address: &str) -> Newcomer {
        Newcomer { address: address.parse().unwrap(), is_proved: false, may_retry: true }
    }

    fn proved(address: &str) -> Newcomer {
        Newcomer { is_proved: true, ..from(address) }
    }

    fn refusal(decision: &Decision) -> Option<Refused> {
        if let Decision::Refuse(reason) = decision { Some(*reason) } else { None }
    }

    fn admitted(decision: Decision) -> Admitted {
        match decision {
            Decision::Admit(admitted) => admitted,
            Decision::Retry => panic!("a retry"),
            Decision::Refuse(reason) => panic!("{reason:?}"),
        }
    }

    #[test]
    fn a_place_becomes_free_when_its_connection_ends() {
        let gate = Gate::new(&Limits { max_sessions: Some(2), ..unlimited() }).unwrap();
        let now = Instant::now();
        let first = admitted(gate.admit(now, from("192.0.2.1")));
        let _second = admitted(gate.admit(now, from("192.0.2.2")));
        assert_eq!(refusal(&gate.admit(now, from("192.0.2.3"))), Some(Refused::Sessions));
        drop(first);
        admitted(gate.admit(now, from("192.0.2.3")));
        assert_eq!((gate.connections(), gate.half_open()), (1, 1));
        assert_eq!(gate.addresses.lock().len(), 1);
    }

    #[test]
    fn an_address_has_its_own_limit_and_an_ipv6_network_counts_as_one() {
        let gate = Gate::new(&Limits { max_sessions_per_address: Some(1), ..unlimited() }).unwrap();
        let now = Instant::now();
        let _held = ["192.0.2.1", "2001:db8:0:1::1"].map(|one| admitted(gate.admit(now, from(one))));
        for same in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8:0:1:ffff::2"] {
            assert_eq!(refusal(&gate.admit(now, from(same))), Some(Refused::Address), "{same}");
        }
        for other in ["192.0.2.2", "2001:db8:0:2::1"] {
            admitted(gate.admit(now, from(other)));
        }
    }

    #[test]
    fn who_opens_connections_too_fast_proves_its_address_and_is_refused_then() {
        let rate = Some(10);
        let gate = Gate::new(&Limits { connections_per_second_per_address: rate, ..unlimited() }).unwrap();
        let mut now = Instant::now();
        for _ in 0..50 {
            admitted(gate.admit(now, from("192.0.2.1")));
        }
        assert!(matches!(gate.admit(now, from("192.0.2.1")), Decision::Retry));
        for _ in 0..50 {
            admitted(gate.admit(now, proved("192.0.2.1")));
        }
        assert_eq!(refusal(&gate.admit(now, proved("192.0.2.1"))), Some(Refused::Rate));
        admitted(gate.admit(now, from("192.0.2.2")));
        now += Duration::from_millis(1001);
        for _ in 0..10 {
            admitted(gate.admit(now, proved("192.0.2.1")));
        }
        assert_eq!(refusal(&gate.admit(now, proved("192.0.2.1"))), Some(Refused::Rate));
    }

    #[test]
    fn rates_of_more_addresses_than_are_kept_are_forgotten_when_they_say_nothing() {
        let rate = Rate::new(NonZeroU32::MIN);
        let mut now = rate.began + Duration::from_secs(10);
        let address = |index: u32| IpAddr::V4(index.into());
        for index in 0..MOST_ADDRESSES as u32 {
            assert!(rate.allows(now, address(index)));
        }
        assert!(!rate.allows(now, address(u32::MAX)), "nothing can be forgotten yet");
        now += Duration::from_secs(6);
        assert!(rate.allows(now, address(u32::MAX)));
        assert_eq!(rate.limiter.len(), 1);
    }

    #[test]
    fn half_open_connections_first_need_a_proof_and_then_replace_the_oldest() {
        let limits = Limits { retry_above_half_open: 1, max_half_open: 2, ..unlimited() };
        let gate = Gate::new(&limits).unwrap();
        let now = Instant::now();
        let first = admitted(gate.admit(now, from("192.0.2.1")));
        assert!(matches!(gate.admit(now, from("192.0.2.2")), Decision::Retry));
        let second = admitted(gate.admit(now, proved("192.0.2.2")));
        let third = admitted(gate.admit(now, proved("192.0.2.3")));
        assert_eq!([&first, &second, &third].map(|one| one.replaces_oldest), [false, false, true]);
        let Admitted { half_open, place: _place, .. } = first;
        drop((half_open, third));
        assert!(!admitted(gate.admit(now, proved("192.0.2.4"))).replaces_oldest);
        let always = Gate::new(&Limits { retry_above_half_open: 0, ..limits }).unwrap();
        assert!(matches!(always.admit(now, from("192.0.2.1")), Decision::Retry));
    }

    #[test]
    fn memory_that_is_held_keeps_connections_out() {
        let limits = Limits { max_memory_bytes: Some(3 * CONNECTION_BYTES), ..unlimited() };
        let gate = Gate::new(&limits).unwrap();
        let now = Instant::now();
        let _held = admitted(gate.admit(now, from("192.0.2.1")));
        gate.memory().change(0, CONNECTION_BYTES + 1);
        assert_eq!(refusal(&gate.admit(now, from("192.0.2.2"))), Some(Refused::Memory));
        gate.memory().change(CONNECTION_BYTES + 1, 0);
        admitted(gate.admit(now, from("192.0.2.2")));
        assert_eq!(gate.memory().held(), CONNECTION_BYTES);
    }
}
