//! What a lane sleeps in: an epoll with its sockets and an eventfd that wakes it.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::{Error, Result};

/// Sockets that are reported at once; the others follow in the next turn.
const MOST_EVENTS: usize = 64;

/// The token of the eventfd. No socket has it.
const WAKE: u64 = u64::MAX;

/// What a socket is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The token that the socket was added with.
    pub token: usize,
    /// Something has arrived, or an error waits to be read.
    pub readable: bool,
    /// There is room in the socket's buffer again.
    pub writable: bool,
}

/// An epoll and its eventfd.
pub struct Sleep {
    epoll: Epoll,
    wake: EventFd,
}

fn failed(context: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::io(context, &errno.into())
}

impl Sleep {
    /// With nothing in it but the eventfd.
    pub fn new() -> Result<Self> {
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed("making an epoll for a lane"))?;
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(failed("making an eventfd for a lane"))?;
        // Edge-triggered: each write is reported once, and nobody has to read it.
        epoll
            .add(&wake, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, WAKE))
            .map_err(failed("adding the eventfd of a lane"))?;
        Ok(Self { epoll, wake })
    }

    /// Ends the sleep, or keeps the next one from beginning.
    pub fn wake(&self) {
        // It cannot be full: it is written only while the lane sleeps.
        let _ = self.wake.write(1);
    }

    /// Reports `socket` as `token` from now on.
    pub fn add(&self, socket: impl AsFd, token: usize) -> Result<()> {
        self.epoll
            .add(socket, EpollEvent::new(EpollFlags::EPOLLIN, token as u64))
            .map_err(failed("adding a socket to a lane"))
    }

    /// Whether room in the buffer of `socket` is reported too.
    pub fn watch_writable(&self, socket: impl AsFd, token: usize, watch: bool) {
        let out = if watch { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
        let _ = self.epoll.modify(socket, &mut EpollEvent::new(EpollFlags::EPOLLIN | out, token as u64));
    }

    /// Reports `socket` no more.
    pub fn remove(&self, socket: impl AsFd) {
        let _ = self.epoll.delete(socket);
    }

    /// Sleeps until a socket is ready, somebody calls [`Self::wake`], or `timeout` has passed; `None` is for ever.
    pub fn wait(&self, timeout: Option<Duration>, events: &mut Vec<Event>) {
        events.clear();
        let mut raw = [EpollEvent::empty(); MOST_EVENTS];
        let timeout = match timeout {
            None => EpollTimeout::NONE,
            // In whole milliseconds, rounded up: a lane that wakes too early would only sleep again.
            Some(timeout) => {
                let ms = timeout.as_micros().div_ceil(1000);
                EpollTimeout::try_from(ms.min(i32::MAX as u128) as i32).unwrap_or(EpollTimeout::MAX)
            }
        };
        let count = self.epoll.wait(&mut raw, timeout).unwrap_or(0);
        for event in raw.iter().take(count).filter(|event| event.data() != WAKE) {
            let flags = event.events();
            events.push(Event {
                token: event.data() as usize,
                readable: flags.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP),
                writable: flags.contains(EpollFlags::EPOLLOUT),
            });
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
        // The next one sleeps: nothing but its time-out can end it.
        let started = std::time::Instant::now();
        assert_eq!(wait(&sleep, Some(Duration::from_millis(20))), []);
        assert!(started.elapsed() >= Duration::from_millis(20));
        sleep.wake();
        sleep.wake();
        assert_eq!(wait(&sleep, None), []);
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
