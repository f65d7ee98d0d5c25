//! Log lines that a peer can cause as often as it likes.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The time from one line to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// Lets one line a second through, and counts those that it does not.
#[derive(Debug, Default)]
pub struct Rarely(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl Rarely {
    /// No line was written yet.
    pub const fn new() -> Self {
        Self(Mutex::new(State { last: None, left_out: 0 }))
    }

    /// If a line may be written: how many were left out before it.
    pub fn allows(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_says_how_many_were_left_out() {
        let (rarely, mut now) = (Rarely::default(), Instant::now());
        assert_eq!(rarely.allows(now), Some(0));
        assert_eq!((rarely.allows(now), rarely.allows(now + PAUSE / 2)), (None, None));
        now += PAUSE;
        assert_eq!((rarely.allows(now), rarely.allows(now)), (Some(2), None));
        assert_eq!(rarely.allows(now + 5 * PAUSE), Some(1));
    }
}
