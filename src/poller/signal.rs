//! The file descriptor of a poller: an eventfd, non-blocking and closed on exec.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::{Error, Result};

/// A descriptor that is readable or not.
pub struct Signal {
    eventfd: EventFd,
    readable: bool,
}

impl Signal {
    /// Makes one that is not readable.
    pub fn new() -> Result<Self> {
        EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
            .map(|eventfd| Self { eventfd, readable: false })
            .map_err(|errno: Errno| Error::io("making an eventfd", &errno.into()))
    }

    /// Makes it readable. Writes even if it is readable already: an edge-triggered event loop needs
    /// each notification.
    pub fn ring(&mut self) {
        // Fails only when the counter is full, and then it is readable already.
        let _ = self.eventfd.write(1);
        self.readable = true;
    }

    /// Makes it readable or not readable.
    pub fn set(&mut self, readable: bool) {
        match (self.readable, readable) {
            (false, true) => self.ring(),
            (true, false) => {
                let _ = self.eventfd.read();
                self.readable = false;
            }
            _ => {}
        }
    }

    /// The descriptor to poll.
    pub fn descriptor(&self) -> RawFd {
        self.eventfd.as_fd().as_raw_fd()
    }
}
