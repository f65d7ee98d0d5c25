//! Detects a `fork`, so that functions return an error in the child instead of hanging: the lanes
//! exist only in the parent.

use once_cell::sync::OnceCell;

use crate::runtime;

/// Installs, once, the handler by which a forked child knows that it is one. It sets a flag, so
/// functions need no system call.
pub(in crate::ffi) fn watch() {
    static INSTALLED: OnceCell<()> = OnceCell::new();
    INSTALLED.get_or_init(|| {
        // SAFETY: the handler only stores to an atomic, which is allowed in the child of a threaded process. The
        // library is never unloaded (`-z nodelete`), so the handler outlives its registration.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

extern "C" fn in_child() {
    runtime::mark_forked();
}
