//! The epolls in which a lane and a leader sleep, with sockets and the eventfds that wake them.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{self, PollFd, PollFlags};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::SigSet;
use nix::sys::time::TimeSpec;

use crate::error::{Error, Result};

/// The number of sockets that one wait reports. The others follow in the next turn.
const MOST_EVENTS: usize = 64;

/// The token of the eventfd that wakes the lane's thread.
const WAKE: u64 = u64::MAX;

/// The token of the epoll with the sockets.
const SOCKETS: u64 = u64::MAX - 1;

/// What a socket is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The token that the socket was added with.
    pub token: u64,
    /// A packet has arrived, or an error can be read.
    pub readable: bool,
    /// The socket's buffer has space again.
    pub writable: bool,
}

/// Shorter timeouts are exact to the nanosecond. Longer ones are rounded up to milliseconds, which
/// saves a system call.
const EXACT_BELOW: Duration = Duration::from_millis(10);

/// Two epolls, one in the other. The inner one has the sockets. The lane's thread sleeps in the
/// outer one, which has the inner one and the eventfd that wakes the lane. A thread that leads the
/// lane removes the inner one from the outer one, in one system call for any number of sockets, and
/// sleeps on the inner one and its own eventfd. That eventfd is in no epoll: the lane's thread,
/// which also looks at the sockets when a command has woken it, would take the wake-up away.
pub struct Sleep {
    outer: Epoll,
    sockets: Epoll,
    wake: EventFd,
    wake_leader: EventFd,
}

fn failed(context: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::io(context, &errno.into())
}

impl Sleep {
    /// Makes both, without sockets.
    pub fn new() -> Result<Self> {
        let epoll =
            || Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed("making an epoll for a lane"));
        let eventfd = || {
            EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
                .map_err(failed("making an eventfd for a lane"))
        };
        let sleep = Self { outer: epoll()?, sockets: epoll()?, wake: eventfd()?, wake_leader: eventfd()? };
        // Edge-triggered: each write is reported once, and no thread has to read it.
        let wake = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, WAKE);
        let adding = failed("adding the eventfd of a lane");
        sleep.outer.add(&sleep.wake, wake).map_err(&adding)?;
        sleep.outer.add(&sleep.sockets.0, EpollEvent::new(EpollFlags::EPOLLIN, SOCKETS)).map_err(&adding)?;
        Ok(sleep)
    }

    /// Ends the sleep of the lane's thread, or prevents its next one.
    pub fn wake(&self) {
        // The counter cannot be full: it is written only while the lane sleeps.
        let _ = self.wake.write(1);
    }

    /// Does the same for the thread that leads the lane.
    pub fn wake_leader(&self) {
        let _ = self.wake_leader.write(1);
    }

    /// Reports `socket` as `token` from now on.
    pub fn add(&self, socket: impl AsFd, token: u64) -> Result<()> {
        self.sockets
            .add(socket, EpollEvent::new(EpollFlags::EPOLLIN, token))
            .map_err(failed("adding a socket to a lane"))
    }

    /// Sets whether space in the buffer of `socket` is reported, too.
    pub fn watch_writable(&self, socket: impl AsFd, token: u64, watch: bool) {
        let out = if watch { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
        let _ = self.sockets.modify(socket, &mut EpollEvent::new(EpollFlags::EPOLLIN | out, token));
    }

    /// Stops reports of `socket`.
    pub fn remove(&self, socket: impl AsFd) {
        let _ = self.sockets.delete(socket);
    }

    /// Sets whether the sockets wake the lane's thread. Sockets that are ready when this is turned
    /// on again are reported then.
    pub fn set_attached(&self, attached: bool) {
        let events = if attached { EpollFlags::EPOLLIN } else { EpollFlags::empty() };
        let _ = self.outer.modify(&self.sockets.0, &mut EpollEvent::new(events, SOCKETS));
    }

    /// Returns what is ready now.
    pub fn look(&self, events: &mut Vec<Event>) {
        events.clear();
        let mut raw = [EpollEvent::empty(); MOST_EVENTS];
        let count = self.sockets.wait(&mut raw, EpollTimeout::ZERO).unwrap_or(0);
        for event in raw.iter().take(count) {
            let flags = event.events();
            events.push(Event {
                token: event.data(),
                readable: flags.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP),
                writable: flags.contains(EpollFlags::EPOLLOUT),
            });
        }
    }

    /// Sleeps on the lane's thread until a socket is ready, a thread calls [`Self::wake`], or
    /// `timeout` has passed; `None` means forever.
    pub fn wait(&self, timeout: Option<Duration>, events: &mut Vec<Event>) {
        if timeout != Some(Duration::ZERO) {
            let mut timeout = timeout;
            if let Some(exact) = timeout.filter(|timeout| *timeout < EXACT_BELOW) {
                let _ = poll::ppoll(
                    &mut [PollFd::new(self.outer.0.as_fd(), PollFlags::POLLIN)],
                    Some(exact.into()),
                    None,
                );
                timeout = Some(Duration::ZERO);
            }
            let mut raw = [EpollEvent::empty(); 2];
            let _ = self.outer.wait(&mut raw, whole_milliseconds(timeout));
        }
        self.look(events);
    }

    /// Sleeps on the thread that leads the lane, until a socket is ready, a thread calls
    /// [`Self::wake_leader`], `timeout` has passed, or a signal that `mask` does not block was
    /// handled.
    pub fn wait_leading(&self, timeout: Option<Duration>, mask: &SigSet, events: &mut Vec<Event>) {
        let mut both =
            [self.sockets.0.as_fd(), self.wake_leader.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let _ = poll::ppoll(&mut both, timeout.map(TimeSpec::from), Some(*mask));
        if both[1].any() == Some(true) {
            let _ = self.wake_leader.read();
        }
        self.look(events);
    }
}

/// Rounded up: a lane that wakes too early would only sleep again.
fn whole_milliseconds(timeout: Option<Duration>) -> EpollTimeout {
    match timeout {
        None => EpollTimeout::NONE,
        Some(timeout) => {
            let ms = timeout.as_micros().div_ceil(1000);
            EpollTimeout::try_from(ms.min(i32::MAX as u128) as i32).unwrap_or(EpollTimeout::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn wait(sleep: &Sleep, timeout: Option<Duration>) -> Vec<Event> {
        let mut events = Vec::new();
        sleep.wait(timeout, &mut events);
        events
    }

    #[test]
    fn a_wake_before_the_sleep_ends_it_and_only_once() {
        let sleep = Sleep::new().unwrap();
        sleep.wake();
        assert_eq!(wait(&sleep, None), []);
        // The next one sleeps: only its timeout can end it.
        let started = std::time::Instant::now();
        assert_eq!(wait(&sleep, Some(Duration::from_millis(20))), []);
        assert!(started.elapsed() >= Duration::from_millis(20));
        sleep.wake();
        sleep.wake();
        assert_eq!(wait(&sleep, None), []);
    }

    #[test]
    fn the_lane_s_thread_does_not_take_the_wake_of_the_leader() {
        let sleep = Sleep::new().unwrap();
        let mut events = Vec::new();
        sleep.wake_leader();
        sleep.wake();
        assert_eq!(wait(&sleep, None), []);
        let started = std::time::Instant::now();
        let patience = Duration::from_secs(60);
        sleep.wait_leading(Some(patience), &SigSet::empty(), &mut events);
        assert!(started.elapsed() < patience);
        // This was one wake-up, and not for the lane's thread.
        for _ in 0..2 {
            let started = std::time::Instant::now();
            sleep.wait_leading(Some(Duration::from_millis(20)), &SigSet::empty(), &mut events);
            assert!(started.elapsed() >= Duration::from_millis(20));
            assert_eq!(wait(&sleep, Some(Duration::ZERO)), []);
        }
    }

    #[test]
    fn sockets_are_reported_while_they_are_ready_and_until_they_are_removed() {
        let sleep = Sleep::new().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        sleep.add(&socket, 7).unwrap();
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        let readable = Event { token: 7, readable: true, writable: false };
        assert_eq!(wait(&sleep, None), [readable]);
        sleep.watch_writable(&socket, 7, true);
        assert_eq!(wait(&sleep, None), [Event { writable: true, ..readable }]);
        sleep.watch_writable(&socket, 7, false);
        assert_eq!(wait(&sleep, None), [readable]);
        sleep.remove(&socket);
        assert_eq!(wait(&sleep, Some(Duration::ZERO)), []);
    }
}
