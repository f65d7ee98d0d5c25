//! File descriptors that the caller hands in.

use std::ffi::c_int;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Arc;

use super::failure::Failure;
use super::pointer::invalid;
use crate::error::Error;

/// Stands for no descriptor.
pub(in crate::ffi) const NO_DESCRIPTOR: c_int = -1;

/// A duplicate of the caller's descriptor, which stays the caller's. It is closed on exec.
pub(in crate::ffi) fn duplicate(descriptor: c_int) -> Result<Option<Arc<OwnedFd>>, Failure> {
    if descriptor == NO_DESCRIPTOR {
        return Ok(None);
    }
    // SAFETY: this fails for a number that is not an open descriptor, and touches no memory.
    let copy = unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 0) };
    if copy >= 0 {
        // SAFETY: the descriptor was made just now, so it has no other owner.
        return Ok(Some(Arc::new(unsafe { OwnedFd::from_raw_fd(copy) })));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EBADF) => Err(invalid("a descriptor is not open")),
        _ => Err(Error::io("duplicating a descriptor", &error).into()),
    }
}
