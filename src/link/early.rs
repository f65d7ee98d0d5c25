//! Datagrams for which there is no transport: before CONNECT, before the answer to it, and after the transport was closed.
//!
//! QUIC keeps what nobody reads, and each datagram keeps the packets in alive that came with it: tens of megabytes for a
//! connection that a peer floods. So somebody reads at all times.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::task::yield_now;
use wtransport::quinn::Connection;

use super::driver::LAST_TURNS;

/// What is kept between CONNECT and the session: a peer may send datagrams together with CONNECT, and a server's first
/// ones may overtake its answer.
const KEPT_DATAGRAMS: usize = 64;

/// Copies of the first datagrams of a session to be.
#[derive(Default)]
pub(super) struct Early(Vec<Bytes>);

impl Early {
    /// Runs `task`, which ends with CONNECT. Datagrams that come meanwhile belong to no session and are dropped, but not
    /// those of the packets that CONNECT came in.
    pub(super) async fn before_connect<T>(
        &mut self,
        connection: &Connection,
        task: impl Future<Output = T>,
    ) -> T {
        let dropping = async {
            while let Ok(datagram) = connection.read_datagram().await {
                self.keep(&datagram);
                for _ in 0..LAST_TURNS {
                    yield_now().await;
                }
                self.0.clear();
                drop_ready(connection);
            }
            pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            result = task => result,
            never = dropping => match never {},
        }
    }

    /// Runs `task`, which ends with the session. The first datagrams that come meanwhile are kept, the others dropped.
    pub(super) async fn before_session<T>(
        &mut self,
        connection: &Connection,
        task: impl Future<Output = T>,
    ) -> T {
        let keeping = async {
            while let Ok(datagram) = connection.read_datagram().await {
                self.keep(&datagram);
            }
            pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            result = task => result,
            never = keeping => match never {},
        }
    }

    fn keep(&mut self, datagram: &[u8]) {
        if self.0.len() < KEPT_DATAGRAMS {
            // A copy: the original keeps its packets alive.
            self.0.push(Bytes::copy_from_slice(datagram));
        }
    }

    /// What was kept, in the order in which it came.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.0)
    }
}

/// Drops datagrams for as long as the connection lives.
pub(super) async fn drop_all(connection: Connection) {
    while connection.read_datagram().await.is_ok() {}
}

fn drop_ready(connection: &Connection) {
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Ok(_)) = pin!(connection.read_datagram()).poll(&mut context) {}
}
