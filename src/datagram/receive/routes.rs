//! Readers that take datagrams before the transport's own queue: reliability layers and structured
//! transports.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use super::ReceiveHalf;

impl ReceiveHalf {
    /// Lets `route` read datagrams before the transport's own queue; returns what [`Self::remove_route`] takes.
    pub fn add_route(&self, order: RouteOrder, route: Arc<dyn Route>) -> u64 {
        let token = self.next_route.fetch_add(1, Ordering::Relaxed);
        let mut routes = self.routes.write();
        *routes = routes.with(order, token, route);
        token
    }

    /// Takes a route out again.
    pub(crate) fn remove_route(&self, token: u64) {
        let mut routes = self.routes.write();
        *routes = routes.without(token);
    }
}

/// Reads datagrams before the transport's own queue does: one datagram has one reader.
pub trait Route: Send + Sync {
    /// Takes the datagram, or leaves it to the next reader. Runs on the lane, with no lock of the
    /// transport held; must be quick.
    fn offer(&self, now: Instant, payload: &Bytes) -> Offered;
}

/// What a route did with a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It is not for this route.
    Left,
    /// It is for this route.
    Taken,
    /// It is for this route, which had no room for it.
    Dropped,
}

/// In which order routes are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteOrder {
    /// Reliability layers: well-formed frames of theirs.
    Reliability,
    /// Structured transports over a session: registered type ids.
    Structured,
}

/// The routes of one transport, in the order in which they are asked; within one order the earlier opened first.
#[derive(Default, Clone)]
pub(super) struct Routes(Arc<[Registered]>);

type Registered = (RouteOrder, u64, Arc<dyn Route>);

impl Routes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These and one more, under a `token` that [`Routes::without`] takes.
    pub(super) fn with(&self, order: RouteOrder, token: u64, route: Arc<dyn Route>) -> Self {
        let mut routes = self.0.to_vec();
        let place = routes.partition_point(|(held, _, _)| *held <= order);
        routes.insert(place, (order, token, route));
        Self(routes.into())
    }

    pub(super) fn without(&self, token: u64) -> Self {
        Self(self.0.iter().filter(|(_, held, _)| *held != token).cloned().collect())
    }

    /// What the first of them that did not leave it did with it.
    pub(super) fn offer(&self, now: Instant, payload: &Bytes) -> Offered {
        let mut offered = self.0.iter().map(|(_, _, route)| route.offer(now, payload));
        offered.find(|offered| *offered != Offered::Left).unwrap_or(Offered::Left)
    }
}
