//! The panics that were caught on this thread. A lane contains them, so that one session cannot end
//! the others; a run that had one has still failed.

use std::cell::Cell;
use std::sync::Once;

thread_local! {
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

/// Returns the panics on this thread since the last call, from the second call on.
pub fn take() -> u64 {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            SEEN.set(SEEN.get() + 1);
            report(panic);
        }));
    });
    SEEN.replace(0)
}
