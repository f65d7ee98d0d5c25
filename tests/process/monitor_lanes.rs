//! One timer serves all monitors. In its own program, because it counts threads and sets the number
//! of lanes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use support::pair::{Pair, eventually};
use wtgram::datagram::options::TransportOptions;
use wtgram::datagram::transport::Transport;
use wtgram::monitor::{Monitor, MonitorOptions};
use wtgram::runtime::{self, RuntimeOptions};

fn open(transport: &Arc<Transport>, interval: Duration) -> Arc<Monitor> {
    let options = MonitorOptions { interval, ..MonitorOptions::default() };
    Monitor::open(Arc::clone(transport), options).expect("a monitor")
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("/proc").count()
}

#[test]
fn monitors_of_every_lane_and_every_interval_are_served_without_a_thread_of_their_own() {
    runtime::configure(RuntimeOptions { lanes: 2, ..RuntimeOptions::default() }).unwrap();
    let pairs: Vec<_> = (0..4).map(|_| Pair::open(&TransportOptions::default())).collect();
    let transports: Vec<_> = pairs.iter().flat_map(|pair| [pair.from(), pair.to()]).collect();
    let lanes: BTreeSet<_> = transports.iter().map(|transport| transport.session().lane().index()).collect();
    assert_eq!(lanes.len(), 2, "both lanes have sessions");
    // A timer that sleeps for an hour is woken for a monitor that is due sooner.
    let late: Vec<_> =
        transports.iter().map(|transport| open(transport, Duration::from_secs(3600))).collect();
    std::thread::sleep(Duration::from_millis(20));
    let before = threads();
    let many: Vec<_> = (0..800_u64)
        .map(|number| {
            let transport = transports[number as usize % transports.len()];
            open(transport, Duration::from_millis(20 + number % 50))
        })
        .collect();
    eventually("all have looked twice", || many.iter().all(|monitor| monitor.samples(2).len() == 2));
    assert_eq!(threads(), before);
    assert!(late.iter().all(|monitor| monitor.samples(1).is_empty()));
    // The end of some monitors and of a transport does not affect the others.
    many.iter().step_by(2).for_each(|monitor| monitor.close());
    transports[1].close();
    let newest = || many.iter().map(|monitor| monitor.samples(1)[0].timestamp_us).collect::<Vec<_>>();
    eventually("those of the closed transport have ended", || {
        many.iter().filter(|monitor| monitor.is_monitoring()).count() == 300
    });
    let then = newest();
    eventually("all others look again", || {
        many.iter()
            .zip(newest().iter().zip(&then))
            .all(|(monitor, (now, then))| !monitor.is_monitoring() || now > then)
    });
    // A timer without monitors serves a new one.
    drop((late, many));
    for transport in [transports[0], transports[2], transports[4]] {
        let monitor = open(transport, Duration::from_millis(10));
        eventually("a new one looks", || !monitor.samples(1).is_empty());
    }
}
