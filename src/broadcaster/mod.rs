//! A broadcaster: one datagram to many channels. It adds the prefix once for each session id,
//! shares the bytes by reference, and does not wait for any channel.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use crate::datagram::channel::Channel;
use crate::datagram::options::SendOptions;
use crate::datagram::send::Prefixed;
use crate::datagram::transport::Transport;
use crate::error::{Error, Result};
use crate::runtime::wait::Deadline;

/// How many members have their memory fetched before the first of them gets the datagram. What a
/// broadcast reads of a thousand members is in no cache; waiting for it one after the other takes a
/// tenth of the time of a broadcast.
const LOOK_AHEAD: usize = 16;

/// What happens to a member that does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlowPolicy {
    /// It misses the datagrams for which it had no space.
    #[default]
    Drop,
    /// It is removed after this many broadcasts in a row for which its queue dropped something.
    RemoveAfter(u32),
}

/// Where the datagrams of a member go.
#[derive(Clone)]
pub enum Target {
    /// A transport: it shares the framed bytes with others.
    Transport(Arc<Transport>),
    /// Anything else: it frames for itself.
    Channel(Arc<dyn Channel>),
}

impl Target {
    fn look_ahead(&self) {
        if let Self::Transport(transport) = self {
            transport.outgoing.look_ahead();
        }
    }

    fn is_closed(&self) -> bool {
        match self {
            Self::Transport(transport) => transport.is_closed(),
            Self::Channel(channel) => channel.is_closed(),
        }
    }
}

/// The result of a broadcast for one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberResult {
    /// The number under which it was added.
    pub member: u64,
    /// Accepted, or why not.
    pub result: Result<()>,
    /// How many older datagrams its queue evicted for this one.
    pub evicted: usize,
    /// It is no longer a member: it was closed, or too slow for too long.
    pub removed: bool,
}

/// The counts of a broadcaster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Broadcasts.
    pub broadcasts: u64,
    /// Members' queues that took a datagram.
    pub accepted: u64,
    /// Members' queues that had no space.
    pub dropped: u64,
    /// Members for which the payload was too large.
    pub too_large: u64,
    /// Members that refused for any other reason.
    pub failed: u64,
    /// Members that were found closed, which removes them. A member counts again if several
    /// broadcasts find it at once.
    pub closed: u64,
    /// Members that were removed because they were slow.
    pub removed_slow: u64,
}

impl Statistics {
    fn add(&mut self, other: &Self) {
        self.broadcasts += other.broadcasts;
        self.accepted += other.accepted;
        self.dropped += other.dropped;
        self.too_large += other.too_large;
        self.failed += other.failed;
        self.closed += other.closed;
        self.removed_slow += other.removed_slow;
    }
}

/// Sends one datagram to all its members.
pub struct Broadcaster {
    policy: SlowPolicy,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    members: BTreeMap<u64, Arc<Member>>,
    /// The members that a broadcast goes through; rebuilt after a change.
    snapshot: Option<Arc<[Arc<Member>]>>,
    statistics: Statistics,
    shut_down: bool,
}

struct Member {
    number: u64,
    target: Target,
    /// Broadcasts in a row for which its queue dropped something.
    drops_in_a_row: AtomicU32,
}

impl Broadcaster {
    /// A broadcaster without members.
    pub fn new(policy: SlowPolicy) -> Self {
        Self { policy, state: Mutex::default() }
    }

    /// Adds a member under a number of the caller's choice; a member that has this number already
    /// stays.
    pub fn add(&self, number: u64, target: Target) -> Result<()> {
        if target.is_closed() {
            return Err(Error::Closed);
        }
        let mut state = self.state.lock();
        if state.shut_down {
            return Err(Error::Closed);
        }
        let state = &mut *state;
        state.members.entry(number).or_insert_with(|| {
            state.snapshot = None;
            Arc::new(Member { number, target, drops_in_a_row: AtomicU32::new(0) })
        });
        Ok(())
    }

    /// Removes a member; returns whether there was one.
    pub fn remove(&self, number: u64) -> bool {
        let mut state = self.state.lock();
        let found = state.members.remove(&number).is_some();
        if found {
            state.snapshot = None;
        }
        found
    }

    /// The number of members that are not closed.
    pub fn count(&self) -> usize {
        self.members().map_or(0, |members| members.iter().filter(|member| !member.target.is_closed()).count())
    }

    /// A snapshot of all counts.
    pub fn statistics(&self) -> Statistics {
        self.state.lock().statistics
    }

    /// Removes all members and accepts no more.
    pub fn shutdown(&self) {
        let mut state = self.state.lock();
        state.shut_down = true;
        let gone = (std::mem::take(&mut state.members), state.snapshot.take());
        drop(state);
        // Objects may end here, so not under the lock.
        drop(gone);
    }

    /// Gives `payload` to every member and waits for none of them; returns how many accepted it.
    /// `on_result` gets the result of each.
    ///
    /// A closed member is removed. The failure of a member does not affect the others.
    pub fn broadcast(
        &self,
        payload: &[u8],
        options: &SendOptions,
        mut on_result: impl FnMut(&MemberResult),
    ) -> Result<usize> {
        let members = self.members()?;
        let mut framed = FramedOnce { payload, by_session: HashMap::new(), last: None };
        let mut counted = Statistics { broadcasts: 1, ..Statistics::default() };
        for some in members.chunks(LOOK_AHEAD) {
            some.iter().for_each(|member| member.target.look_ahead());
            for member in some {
                let (result, evicted) = match framed.send(&member.target, options) {
                    Ok(evicted) => (Ok(()), evicted),
                    Err(error) => (Err(error), 0),
                };
                let closed = matches!(result, Err(Error::Closed));
                let forgotten = (closed || self.is_too_slow(member, &result, evicted)) && self.forget(member);
                let removed = closed || forgotten;
                let counter = match &result {
                    Ok(()) => &mut counted.accepted,
                    Err(Error::QueueFull | Error::WouldBlock) => &mut counted.dropped,
                    Err(Error::TooLarge { .. }) => &mut counted.too_large,
                    Err(Error::Closed) => &mut counted.closed,
                    Err(_) => &mut counted.failed,
                };
                *counter += 1;
                counted.removed_slow += u64::from(removed && !closed);
                on_result(&MemberResult { member: member.number, result, evicted, removed });
            }
        }
        let accepted = counted.accepted as usize;
        self.state.lock().statistics.add(&counted);
        Ok(accepted)
    }

    fn is_too_slow(&self, member: &Member, result: &Result<()>, evicted: usize) -> bool {
        let SlowPolicy::RemoveAfter(most) = self.policy else { return false };
        let dropped = evicted > 0 || matches!(result, Err(Error::QueueFull | Error::WouldBlock));
        if !dropped {
            // A payload that is too large says nothing about the member's speed.
            if result.is_ok() {
                member.drops_in_a_row.store(0, Ordering::Relaxed);
            }
            return false;
        }
        member.drops_in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= most
    }

    /// Removes a member. Returns false if another broadcast was faster, or if another member has
    /// its number by now.
    fn forget(&self, member: &Arc<Member>) -> bool {
        let mut state = self.state.lock();
        let still = state.members.get(&member.number).is_some_and(|held| Arc::ptr_eq(held, member));
        if still {
            state.members.remove(&member.number);
            state.snapshot = None;
        }
        still
    }

    fn members(&self) -> Result<Arc<[Arc<Member>]>> {
        let mut state = self.state.lock();
        if state.shut_down {
            return Err(Error::Closed);
        }
        let state = &mut *state;
        let snapshot = state.snapshot.get_or_insert_with(|| state.members.values().map(Arc::clone).collect());
        Ok(Arc::clone(snapshot))
    }
}

/// A payload, and its framed form for each session prefix so far. Most sessions are the first of
/// their connection and share one.
struct FramedOnce<'a> {
    payload: &'a [u8],
    by_session: HashMap<u64, Prefixed>,
    last: Option<(u64, Prefixed)>,
}

impl FramedOnce<'_> {
    /// Sends to one member; returns how many datagrams its queue evicted.
    fn send(&mut self, target: &Target, options: &SendOptions) -> Result<usize> {
        match target {
            Target::Channel(channel) if channel.is_closed() => Err(Error::Closed),
            Target::Channel(channel) => channel.send(self.payload, options, Deadline::Now).map(|()| 0),
            Target::Transport(transport) => {
                let session = transport.session_id();
                if self.last.as_ref().is_none_or(|(last, _)| *last != session) {
                    let framed = self
                        .by_session
                        .entry(session)
                        .or_insert_with(|| transport.outgoing.frame(self.payload));
                    self.last = Some((session, framed.clone()));
                }
                let Some((_, framed)) = &self.last else { return Err(Error::Closed) };
                transport.outgoing.send_framed(framed, options).map(|pushed| pushed.evicted)
            }
        }
    }
}

#[cfg(test)]
mod tests;
