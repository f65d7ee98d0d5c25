//! The memory of monitors that come and go. In its own program, because it measures the memory of
//! the process.

use std::sync::Arc;
use std::time::Duration;

use support::pair::{Pair, eventually};
use wtgram::datagram::options::TransportOptions;
use wtgram::monitor::{Monitor, MonitorOptions};

/// Resident bytes of this process.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4096
}

#[test]
fn monitors_that_are_gone_cost_nothing_until_they_would_have_been_due() {
    let pair = Pair::open(&TransportOptions::default());
    let open = |interval| {
        let options = MonitorOptions { interval, ..MonitorOptions::default() };
        Monitor::open(Arc::clone(pair.from()), options).expect("a monitor")
    };
    let come_and_go = |count: usize| (0..count).for_each(|_| drop(open(Duration::from_secs(3600))));
    let kept = open(Duration::from_millis(20));
    come_and_go(2_000);
    let before = resident_bytes();
    come_and_go(50_000);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 2 * 1024 * 1024, "{grown} bytes more");
    let looked = kept.samples(1).len();
    eventually("the one that is not gone looks on", || kept.samples(100).len() > looked + 2);
}
