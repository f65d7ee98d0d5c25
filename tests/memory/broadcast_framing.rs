//! A broadcast is framed once for each session id, whatever the number of members. In its own
//! program, because it counts allocations.
#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use support::pair::{Pair, receive, soon};
use support::raw_peer::{OLD_SETTINGS, Raw, connect_request, control, headers, read_frame, status_of};
use wtgram::broadcaster::{Broadcaster, SlowPolicy, Target};
use wtgram::datagram::options::{SendOptions, TransportOptions};
use wtgram::datagram::session::{Server, Session};

/// Payload bytes. No other allocation of a broadcast is this large.
const PAYLOAD_BYTES: usize = 1000;

thread_local! {
    /// Allocations of at least this many bytes by this thread.
    static LARGE: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: the system's allocator does everything.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() >= PAYLOAD_BYTES {
            // A thread that ends allocates without it.
            let _ = LARGE.try_with(|large| large.set(large.get() + 1));
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A session whose CONNECT is the second request of its connection: its id is 4.
fn second_request(server: &Server) -> (Raw, Session) {
    let raw = Raw::client(server.link.local_address());
    // Held until the session is established: a control stream must not end.
    let control_stream = raw.open_uni(control(OLD_SETTINGS));
    let get = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/")];
    let status = |bytes: Vec<u8>, finish: bool| {
        let (mut send, mut receive) = raw.open_bi(bytes);
        if finish {
            send.finish().unwrap();
        }
        let status = status_of(&read_frame(&mut receive).expect("a response").1);
        (status, send, receive)
    };
    assert_eq!(status(headers(&get), true).0, 404);
    let (answer, send, receive) = status(connect_request("webtransport", "localhost"), false);
    assert_eq!(answer, 200);
    // Held until the program ends: dropping any of them would end the session.
    std::mem::forget((control_stream, send, receive));
    let session = server.accept(soon()).expect("the session arrives");
    assert_eq!(session.link.established().unwrap().id, 4);
    (raw, session)
}

#[test]
fn a_broadcast_is_framed_once_for_each_session_id() {
    const MEMBERS: usize = 20;
    let pairs: Vec<_> = (0..MEMBERS).map(|_| Pair::open(&TransportOptions::default())).collect();
    let others: Vec<_> = (0..3).map(|_| second_request(&pairs[0].server)).collect();
    let broadcaster = Broadcaster::new(SlowPolicy::Drop);
    let add = |number: usize, session: &Session| {
        broadcaster.add(number as u64, Target::Transport(Arc::clone(&session.datagrams))).unwrap();
    };
    let broadcast = |byte: u8| {
        let payload = [byte; PAYLOAD_BYTES];
        let before = LARGE.get();
        let accepted = broadcaster.broadcast(&payload, &SendOptions::default(), |_| {}).unwrap();
        (accepted, LARGE.get() - before)
    };
    // Queues grow to what they need with their first datagrams.
    for (number, pair) in pairs.iter().enumerate() {
        add(2 * number, &pair.client);
    }
    broadcast(0);
    assert_eq!(broadcast(1), (MEMBERS, 1));
    // These members alternate with the others, so that each session id comes again and again.
    for (number, (_, session)) in others.iter().enumerate() {
        add(2 * number + 1, session);
    }
    broadcast(2);
    assert_eq!(broadcast(3), (MEMBERS + others.len(), 2));
    for pair in &pairs {
        (0..4).for_each(|byte| assert_eq!(receive(pair.to()), [byte; PAYLOAD_BYTES]));
    }
    for (raw, _) in &others {
        for byte in 2..4 {
            // Each with its own quarter stream id: 4 / 4.
            assert_eq!(raw.read_datagram(), [&[1][..], &[byte; PAYLOAD_BYTES]].concat());
        }
    }
}
