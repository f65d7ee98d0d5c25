//! Learns of a `fork`, so that the child is told instead of hanging: the lanes exist only in the parent.

use once_cell::sync::OnceCell;

use crate::runtime;

/// Sees to it, once, that a forked child knows itself. No system call per function: a handler sets a flag.
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
