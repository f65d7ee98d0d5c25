//! The wrapper around the body of every function.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::failure::Failure;
use super::fork;
use super::handle::Handle;
use crate::error::Error;
use crate::ffi::status::wtgram_status;
use crate::runtime;

/// The result of a function's body.
pub(in crate::ffi) type Outcome = Result<(), Failure>;

/// Prevents `pthread_cancel` of this thread until it is dropped: the body waits and sends with
/// locks held, at points where POSIX cancels threads.
struct NotCancelled(c_int);

const PTHREAD_CANCEL_DISABLE: c_int = 1;

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

impl NotCancelled {
    fn new() -> Self {
        let mut before = 0;
        // SAFETY: `before` is writable. It takes no lock and can only fail for another state.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut before) };
        Self(before)
    }
}

impl Drop for NotCancelled {
    fn drop(&mut self) {
        let mut before = 0;
        // SAFETY: as above; the state is one that this function gave.
        unsafe { pthread_setcancelstate(self.0, &mut before) };
    }
}

/// Runs a function's body. Refuses to after shutdown and in a forked child. No panic gets to C.
pub(in crate::ffi) fn guard(body: impl FnOnce() -> Outcome) -> wtgram_status {
    guard_detailed(|_| {}, body)
}

/// Like [`guard`], and writes the text of a failure to `detail`.
pub(in crate::ffi) fn guard_detailed(
    detail: impl FnOnce(&str),
    body: impl FnOnce() -> Outcome,
) -> wtgram_status {
    fork::watch();
    let _not_cancelled = NotCancelled::new();
    let outcome = runtime::check_usable().map_err(Failure::Core).and_then(|()| contained(body));
    match outcome {
        Ok(()) => wtgram_status::WTGRAM_OK,
        Err(failure) => {
            if let Failure::Core(error) = &failure {
                detail(&error.to_string());
            }
            (&failure).into()
        }
    }
}

/// Runs a body that returns nothing and must work at any time.
pub(in crate::ffi) fn quiet(body: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(body));
}

/// Releases the handle and then ends its object, also after shutdown. In a forked child it does
/// nothing: a thread that exists only in the parent may have held any of the locks.
pub(in crate::ffi) fn free<H: Handle>(handle: H, end: impl FnOnce(Arc<H::Object>)) {
    if !matches!(runtime::check_usable(), Err(Error::Forked)) {
        quiet(|| {
            if let Some(object) = handle.take() {
                end(object);
            }
        });
    }
}

fn contained(body: impl FnOnce() -> Outcome) -> Outcome {
    // Unwind safety: only the core's state outlives a panic. Its locks do not poison, and its own
    // tests check its invariants. A body has no state.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        tracing::error!(panic = %text, "a panic was contained");
        Err(Failure::Core(Error::Internal(text.into())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status_and_its_text_the_detail() {
        let mut heard = String::new();
        let status = guard_detailed(|text| heard = text.to_owned(), || panic!("on purpose"));
        assert_eq!(status, wtgram_status::WTGRAM_ERROR_INTERNAL);
        assert_eq!(heard, "internal error: on purpose");
    }
}
