//! The sockets of a lane and its thread: packets in and out, in trains where the system supports
//! them.

use std::collections::BTreeMap;
use std::io::{ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use parking_lot::{Mutex, MutexGuard};
use quinn_proto::Transmit;
use quinn_udp::{RecvMeta, UdpSocketState};

use super::leading::Leading;
use super::newcomers::Share;
use crate::error::{Error, Result};
use crate::link::core::lane::Lane;
use crate::link::core::{Arrival, Core, EndpointKey, Mailbox, Sent, Wire};
use crate::runtime::epoll::{Event, Sleep};
use crate::runtime::lane::{Next, Turn};

/// Messages received in one system call. A train from the network arrives as one message.
const MESSAGES: usize = 4;

/// The largest message: one UDP datagram, or as many as the system put together.
const MESSAGE_BYTES: usize = 64 * 1024;

/// Bytes of messages that QUIC may hold before memory is asked for again.
const ARENA_BYTES: usize = 4 * MESSAGE_BYTES;

/// A socket as the lane uses it.
struct Socket {
    udp: UdpSocket,
    state: UdpSocketState,
    is_blocked: bool,
}

/// The sockets of a lane.
pub struct Sockets {
    sleep: Arc<Sleep>,
    open: BTreeMap<EndpointKey, Socket>,
    pub(super) schedule: Schedule,
}

/// When turns are due.
pub(super) struct Schedule {
    /// When the next turn is due, according to the last one.
    pub(super) due: Option<Instant>,
    /// Whether it is due because the last one left work.
    pub(super) is_work_left: bool,
    /// When the lane's thread wakes by itself.
    pub(super) lane_sleeps_until: Option<Instant>,
}

impl Schedule {
    /// The schedule when the lane's thread is about to take its first turn.
    fn new() -> Self {
        let now = Some(Instant::now());
        Self { due: now, is_work_left: true, lane_sleeps_until: now }
    }

    fn note(&mut self, now: Instant, next: Next) {
        self.is_work_left = matches!(next, Next::Now | Next::AfterOthers);
        self.due = match next {
            Next::Now | Next::AfterOthers => Some(now),
            Next::At(due) => Some(due),
            Next::Never => None,
        };
    }
}

/// The turns of a lane with real sockets.
pub struct UdpLane {
    pub(super) lane: Arc<Lane>,
    pub(super) sleep: Arc<Sleep>,
    pub(super) leading: Leading,
    pub(super) sockets: Mutex<Sockets>,
    newcomers: Mutex<Share>,
    buffers: Mutex<Buffers>,
}

struct Buffers {
    messages: Vec<Vec<u8>>,
    arena: BytesMut,
}

/// A bound socket whose endpoint is not made yet.
pub struct Prepared {
    udp: UdpSocket,
    state: UdpSocketState,
}

impl Prepared {
    /// Makes a bound socket ready for a lane.
    pub fn new(udp: UdpSocket) -> Result<Self> {
        let state = UdpSocketState::new((&udp).into())
            .map_err(|error| Error::io("preparing the UDP socket", &error))?;
        Ok(Self { udp, state })
    }

    /// The address to which it is bound.
    pub(crate) fn local_address(&self) -> Result<SocketAddr> {
        self.udp.local_addr().map_err(|error| Error::io("reading the bound address", &error))
    }

    /// Whether the system may send its packets in fragments.
    pub(crate) fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

impl UdpLane {
    /// The turns of `lane`, whose thread sleeps in `sleep`.
    pub(super) fn new(lane: Arc<Lane>, sleep: Arc<Sleep>, leading: Leading) -> Arc<Self> {
        let messages = vec![vec![0; MESSAGE_BYTES]; MESSAGES];
        Arc::new_cyclic(|this: &Weak<Self>| {
            lane.set_driver(Weak::clone(this) as _);
            Self {
                lane,
                leading,
                sockets: Mutex::new(Sockets {
                    sleep: Arc::clone(&sleep),
                    open: BTreeMap::new(),
                    schedule: Schedule::new(),
                }),
                sleep,
                newcomers: Mutex::default(),
                buffers: Mutex::new(Buffers { messages, arena: BytesMut::with_capacity(ARENA_BYTES) }),
            }
        })
    }

    /// The lane.
    pub fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// Gives `endpoint` its socket.
    pub fn open(&self, endpoint: EndpointKey, socket: Prepared) -> Result<()> {
        let mut sockets = self.sockets.lock();
        let Prepared { udp, state } = socket;
        sockets.sleep.add(&udp, endpoint.token())?;
        sockets.open.insert(endpoint, Socket { udp, state, is_blocked: false });
        Ok(())
    }
}

impl Turn for UdpLane {
    fn turn(&self, events: &[Event]) -> Next {
        let turn = self.lane.pause();
        let next = self.turn_within(events, &turn, |core, now, mailbox, wire| {
            self.admit_and_turn(core, now, mailbox, wire)
        });
        let mut sockets = self.sockets.lock();
        sockets.schedule.lane_sleeps_until = sockets.schedule.due;
        drop(sockets);
        // A thread that leads has the sockets. If it waits, it is its turn, however much there is to
        // do here.
        MutexGuard::unlock_fair(turn);
        next
    }

    fn stopped(&self) {
        let _turn = self.lane.pause();
        self.leading.end();
        self.lane.core().stop(Instant::now());
        self.sockets.lock().open.clear();
        self.sleep.wake_leader();
    }
}

impl UdpLane {
    /// A turn of the core, with new connections if it is time for them.
    fn admit_and_turn(&self, core: &mut Core, now: Instant, mailbox: &Mailbox, wire: &mut dyn Wire) -> Next {
        let mut share = self.newcomers.lock();
        if core.has_newcomers() && share.next(now).is_none() {
            let began = Instant::now();
            core.admit(now, wire);
            share.admitted(began, Instant::now());
        }
        let next = core.turn_without_newcomers(now, mailbox, wire);
        if core.take_served() {
            share.served(now);
        }
        if !core.has_newcomers() {
            return next;
        }
        match (next, share.next(now)) {
            (Next::Now | Next::AfterOthers, _) => next,
            (_, None) => Next::Now,
            (Next::At(due), Some(at)) => Next::At(at.min(due)),
            (Next::Never, Some(at)) => Next::At(at),
        }
    }

    /// Takes a turn on a thread that is not the lane's; `None` if another thread takes one for as
    /// long as `patience`.
    pub(super) fn try_turn(&self, events: &[Event], patience: Duration) -> Option<Next> {
        let turn = self.lane.try_pause_for(patience)?;
        // A panic is contained where it happens. One that comes this far ends the turn and not the
        // program's thread.
        let taken = || self.turn_within(events, &turn, Core::turn_without_newcomers);
        let next = catch_unwind(AssertUnwindSafe(taken)).unwrap_or(Next::AfterOthers);
        if self.lane.core().has_newcomers() {
            self.wake_for_newcomers();
        }
        Some(next)
    }

    /// Wakes the lane's thread, unless it wakes by itself when new connections may be admitted.
    fn wake_for_newcomers(&self) {
        let now = Instant::now();
        let at = self.newcomers.lock().next(now).unwrap_or(now);
        let mut sockets = self.sockets.lock();
        if sockets.schedule.lane_sleeps_until.is_none_or(|until| at < until) {
            sockets.schedule.lane_sleeps_until = Some(at);
            drop(sockets);
            self.sleep.wake();
        }
    }

    fn turn_within(
        &self,
        events: &[Event],
        _turn: &MutexGuard<'_, ()>,
        rest: impl FnOnce(&mut Core, Instant, &Mailbox, &mut dyn Wire) -> Next,
    ) -> Next {
        let now = Instant::now();
        let mut sockets = self.sockets.lock();
        let mut core = self.lane.core();
        let mut more = false;
        for event in events {
            let endpoint = EndpointKey::of(event.token);
            if event.writable && sockets.unblock(endpoint) {
                core.writable(endpoint);
            }
            if event.readable {
                let mut buffers = self.buffers.lock();
                let Buffers { messages, arena } = &mut *buffers;
                let mut metas = [RecvMeta::default(); MESSAGES];
                match sockets.receive(endpoint, messages, &mut metas) {
                    Received::Messages(count) => {
                        for (message, meta) in messages.iter().zip(&metas[..count]) {
                            arena.extend_from_slice(&message[..meta.len]);
                            let arrival = Arrival {
                                from: meta.addr,
                                local_ip: meta.dst_ip,
                                ecn: meta.ecn.and_then(|ecn| quinn_proto::EcnCodepoint::from_bits(ecn as u8)),
                                packets: arena.split(),
                                stride: meta.stride,
                            };
                            core.receive(now, endpoint, arrival, &mut *sockets);
                        }
                        more |= count == MESSAGES;
                    }
                    Received::Broken(error) => {
                        tracing::error!(%error, "a UDP socket failed");
                        core.fail_endpoint(now, endpoint, &mut *sockets);
                    }
                }
            }
        }
        let next = match rest(&mut core, now, self.lane.mailbox(), &mut *sockets) {
            Next::AfterOthers => Next::AfterOthers,
            _ if more => Next::Now,
            next => next,
        };
        sockets.schedule.note(now, next);
        next
    }
}

enum Received {
    Messages(usize),
    Broken(std::io::Error),
}

impl Sockets {
    fn receive(
        &mut self,
        endpoint: EndpointKey,
        messages: &mut [Vec<u8>],
        metas: &mut [RecvMeta; MESSAGES],
    ) -> Received {
        let Some(socket) = self.open.get(&endpoint) else { return Received::Messages(0) };
        let mut slices = messages.iter_mut();
        let mut slices: [IoSliceMut<'_>; MESSAGES] = std::array::from_fn(|_| {
            IoSliceMut::new(slices.next().map(|message| &mut message[..]).unwrap_or_default())
        });
        match socket.state.recv((&socket.udp).into(), &mut slices, metas) {
            Ok(count) => Received::Messages(count),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => Received::Messages(0),
                // This is what a router said about a packet of ours. It says nothing about the
                // socket.
                ErrorKind::ConnectionReset
                | ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable => Received::Messages(0),
                _ => Received::Broken(error),
            },
        }
    }

    /// Unblocks the socket. Returns whether it was blocked.
    fn unblock(&mut self, endpoint: EndpointKey) -> bool {
        let Some(socket) = self.open.get_mut(&endpoint) else { return false };
        if !std::mem::take(&mut socket.is_blocked) {
            return false;
        }
        self.sleep.watch_writable(&socket.udp, endpoint.token(), false);
        true
    }
}

impl Wire for Sockets {
    fn send(&mut self, endpoint: EndpointKey, transmit: &Transmit, contents: &[u8]) -> Sent {
        let Some(socket) = self.open.get_mut(&endpoint) else { return Sent::Gone };
        let sent = send_train(transmit, contents, |one| socket.state.try_send((&socket.udp).into(), one));
        if sent == Sent::Blocked && !std::mem::replace(&mut socket.is_blocked, true) {
            self.sleep.watch_writable(&socket.udp, endpoint.token(), true);
        }
        sent
    }

    fn max_segments(&self, endpoint: EndpointKey) -> usize {
        self.open.get(&endpoint).map_or(1, |socket| socket.state.max_gso_segments())
    }

    fn closed(&mut self, endpoint: EndpointKey) {
        if let Some(socket) = self.open.remove(&endpoint) {
            self.sleep.remove(&socket.udp);
        }
    }
}

/// Sends a train as one or, if an interface turns out not to segment it, packet by packet.
fn send_train(
    transmit: &Transmit,
    contents: &[u8],
    mut send: impl FnMut(&quinn_udp::Transmit<'_>) -> std::io::Result<()>,
) -> Sent {
    let whole = quinn_udp::Transmit {
        destination: transmit.destination,
        ecn: transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
        contents,
        segment_size: transmit.segment_size,
        src_ip: transmit.src_ip,
    };
    match send(&whole) {
        Ok(()) => Sent::Gone,
        Err(error) if error.kind() == ErrorKind::WouldBlock => Sent::Blocked,
        Err(error) => {
            let Some(segment) = transmit.segment_size.filter(|size| *size < contents.len()) else {
                // Too large for the path (a probe), or no way to the destination: the packet is
                // lost like any other.
                tracing::debug!(%error, destination = %transmit.destination, "a packet was not sent");
                return Sent::Gone;
            };
            tracing::debug!(%error, "a train was not sent as one: its packets go one by one");
            for packet in contents.chunks(segment.max(1)) {
                // A packet that is refused on its own is lost like any other.
                let _ = send(&quinn_udp::Transmit { contents: packet, segment_size: None, ..whole });
            }
            Sent::Gone
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transmit(segment_size: Option<usize>) -> Transmit {
        Transmit { destination: ([127, 0, 0, 1], 9).into(), ecn: None, size: 25, segment_size, src_ip: None }
    }

    /// The result of `send_train` for 25 bytes, and the packets that it sends, where trains end in
    /// `error`.
    fn trains_end_in(error: i32, segment_size: Option<usize>) -> (Sent, Vec<(usize, Option<usize>)>) {
        let mut sent = Vec::new();
        let verdict = send_train(&transmit(segment_size), &[0; 25], |one| {
            if one.segment_size.is_some() || error == libc::EAGAIN {
                return Err(std::io::Error::from_raw_os_error(error));
            }
            sent.push((one.contents.len(), one.segment_size));
            Ok(())
        });
        (verdict, sent)
    }

    #[test]
    fn a_train_that_the_interface_refuses_goes_packet_by_packet() {
        for error in [libc::EIO, libc::EINVAL] {
            let packets = vec![(10, None), (10, None), (5, None)];
            assert_eq!(trains_end_in(error, Some(10)), (Sent::Gone, packets));
        }
        assert_eq!(trains_end_in(libc::EIO, None), (Sent::Gone, vec![(25, None)]));
    }

    #[test]
    fn a_train_for_which_the_socket_has_no_room_waits() {
        assert_eq!(trains_end_in(libc::EAGAIN, Some(10)), (Sent::Blocked, vec![]));
    }

    #[test]
    fn a_packet_that_cannot_be_sent_is_like_one_that_is_lost() {
        let sent = send_train(&transmit(None), &[0; 25], |_| Err(ErrorKind::PermissionDenied.into()));
        assert_eq!(sent, Sent::Gone);
    }

    #[test]
    fn a_train_that_the_kernel_refuses_arrives_packet_by_packet_and_is_the_last_one() {
        const PACKETS: usize = 200;
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        let Prepared { udp, state } = Prepared::new(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        let endpoint = EndpointKey::of(0);
        let sleep = Arc::new(Sleep::new().unwrap());
        let mut sockets = Sockets { sleep, open: BTreeMap::new(), schedule: Schedule::new() };
        sockets.open.insert(endpoint, Socket { udp, state, is_blocked: false });
        // More packets than any kernel takes at once: the kernel answers as for an interface that
        // cannot segment.
        let contents: Vec<u8> = (0..PACKETS).flat_map(|number| [number as u8; 100]).collect();
        let train = Transmit {
            destination: receiver.local_addr().unwrap(),
            size: contents.len(),
            segment_size: Some(100),
            ..transmit(None)
        };
        assert_eq!(sockets.send(endpoint, &train, &contents), Sent::Gone);
        for number in 0..PACKETS {
            let mut packet = [0; 200];
            assert_eq!(receiver.recv(&mut packet).unwrap(), 100);
            assert_eq!(packet[..100], [number as u8; 100]);
        }
        assert_eq!(sockets.max_segments(endpoint), 1, "QUIC is asked for no train again");
    }
}
