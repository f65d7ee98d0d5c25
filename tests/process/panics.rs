//! A panic in our code, or in code that a lane calls, ends its session and nothing else.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use support::pair::*;
use wtgram::datagram::receive::routes::{Offered, Route, RouteOrder};
use wtgram::datagram::session::Session;
use wtgram::link::session::ClosedBy;
use wtgram::link::{After, Job};

const H3_INTERNAL_ERROR: u64 = 0x102;

struct Panics;

impl Route for Panics {
    fn offer(&self, _: Instant, _: &Bytes) -> Offered {
        panic!("as a defect of ours would");
    }
}

impl Job for Panics {
    fn run(&self, _: Instant) -> After {
        panic!("as a defect of ours would");
    }

    fn stopped(&self) {}
}

#[test]
fn a_panic_in_any_work_for_a_session_ends_that_session_on_both_sides_and_no_other() {
    type Deed = fn(&Session, &Session);
    let in_a_delivery: Deed = |ours, other| {
        ours.datagrams.incoming.add_route(RouteOrder::Structured, Arc::new(Panics));
        other.datagrams.outgoing.send(b"to the route", &Default::default(), soon()).expect("sent");
    };
    let in_a_job: Deed = |ours, _| drop(ours.link.add_job(Arc::new(Panics)).expect("established"));
    let server = listen();
    let bystander = pair(&server);
    for deed in [in_a_delivery, in_a_job] {
        let (client, accepted) = pair(&server);
        for (ours, other) in [(client, accepted), {
            let (client, accepted) = pair(&server);
            (accepted, client)
        }] {
            exchange(&ours, &other);
            deed(&ours, &other);
            for end in [wait_closed(&ours), wait_closed(&other)] {
                assert_eq!(
                    (end.by, end.transport_error),
                    (ClosedBy::Transport, H3_INTERNAL_ERROR),
                    "{end:?}"
                );
                assert!(end.reason.contains("defect"), "{end:?}");
            }
            exchange(&bystander.0, &bystander.1);
            exchange(&bystander.1, &bystander.0);
        }
    }
    server.link.close();
}
