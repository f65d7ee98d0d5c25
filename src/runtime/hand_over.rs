//! Points at which one thread hands work to another. Tests make threads wait there, to produce rare
//! orders of events.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static LONGEST_US: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static DICE: Cell<u64> = const { Cell::new(0) };
}

/// Makes every thread wait at each point for a random time of at most `longest`. With zero, as in
/// programs, threads do not wait. For tests.
pub fn delay(longest: Duration) {
    LONGEST_US.store(u32::try_from(longest.as_micros()).unwrap_or(u32::MAX), Ordering::Relaxed);
}

/// One of the points. It costs programs one load.
#[inline]
pub fn place() {
    let longest = LONGEST_US.load(Ordering::Relaxed);
    if longest > 0 {
        wait(longest);
    }
}

#[cold]
fn wait(longest_us: u32) {
    // Seeded by an address, so that each thread has its own random numbers.
    let dice = DICE.with(|cell| {
        let seed = if cell.get() == 0 { std::ptr::from_ref(cell) as u64 } else { cell.get() };
        // Knuth's MMIX generator.
        let next = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        cell.set(next);
        next >> 33
    });
    // Most waits are zero, so that all orders occur.
    if dice.is_multiple_of(4) {
        std::thread::sleep(Duration::from_micros(dice / 4 % u64::from(longest_us)));
    }
}
