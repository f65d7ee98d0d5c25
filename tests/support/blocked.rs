//! A pair whose client's path carries nothing more: what the client sends stays in its queue.

use std::time::{Duration, Instant};

use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::runtime::wait::Deadline;

use crate::pair::{Pair, eventually, receive, soon};
use crate::slow_link::SlowLink;

/// A pair behind a stopped link, and the link. QUIC's FIFO is full of the datagrams that arrive
/// first if the link ever carries again: the largest datagrams, all zeroes.
pub fn blocked(options: &TransportOptions) -> (Pair, SlowLink) {
    const BITS_PER_SECOND: u64 = 100_000_000;
    let mut link = None;
    let pair =
        Pair::open_through(options, |server| link.insert(SlowLink::to(server, BITS_PER_SECOND)).address());
    let link = link.unwrap();
    pair.from().outgoing.send(b"first", &SendOptions::default(), soon()).unwrap();
    receive(pair.to());
    link.stop();
    // The queue drains until the congestion window is used up and QUIC's FIFO holds what it may.
    // After a second without movement, QUIC doubts once what is in flight, and another window
    // leaves. After that nothing leaves, however long a test takes.
    let size = pair.from().outgoing.max_datagram_size().unwrap();
    let (mut sent, mut quiet_since) = (0, Instant::now());
    eventually("the path is full", || {
        for _ in 0..50 {
            let _ = pair.from().outgoing.send(&vec![0; size], &SendOptions::default(), Deadline::Now);
        }
        std::thread::sleep(Duration::from_millis(5));
        let before = sent;
        sent = pair.from().stats().outbound.sent.datagrams;
        if sent != before {
            quiet_since = Instant::now();
        }
        quiet_since.elapsed() > Duration::from_secs(2)
    });
    pair.from().outgoing.clear();
    (pair, link)
}
