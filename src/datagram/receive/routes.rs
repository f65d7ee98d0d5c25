//! Readers that take datagrams before the transport's own queue: reliability layers and structured
//! transports.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use super::ReceiveHalf;

impl ReceiveHalf {
    /// Lets `route` read datagrams before the transport's own queue. Returns the token for
    /// [`Self::remove_route`].
    pub fn add_route(&self, order: RouteOrder, route: Arc<dyn Route>) -> u64 {
        let token = self.next_route.fetch_add(1, Ordering::Relaxed);
        let mut routes = self.routes.write();
        *routes = routes.with(order, token, route);
        token
    }

    /// Removes a route.
    pub(crate) fn remove_route(&self, token: u64) {
        let mut routes = self.routes.write();
        *routes = routes.without(token);
    }
}

/// Reads datagrams before the transport's own queue. Each datagram has one reader.
pub trait Route: Send + Sync {
    /// Takes the datagram, or leaves it to the next reader. Runs on the lane without a lock of the
    /// transport. Must be quick.
    fn offer(&self, now: Instant, payload: &Bytes) -> Offered;
}

/// A route's answer for one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// The route does not want it.
    Left,
    /// The route has taken it.
    Taken,
    /// The route wanted it but had no space.
    Dropped,
}

/// The order in which routes are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteOrder {
    /// Reliability layers take well-formed frames of their own.
    Reliability,
    /// Structured transports over a session take registered type ids.
    Structured,
}

/// The routes of one transport in the order in which they are asked; within one order, the oldest
/// first.
#[derive(Default, Clone)]
pub(super) struct Routes(Arc<[Registered]>);

type Registered = (RouteOrder, u64, Arc<dyn Route>);

impl Routes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These routes and one more, under a `token` for [`Routes::without`].
    pub(super) fn with(&self, order: RouteOrder, token: u64, route: Arc<dyn Route>) -> Self {
        let mut routes = self.0.to_vec();
        let place = routes.partition_point(|(held, _, _)| *held <= order);
        routes.insert(place, (order, token, route));
        Self(routes.into())
    }

    pub(super) fn without(&self, token: u64) -> Self {
        Self(self.0.iter().filter(|(_, held, _)| *held != token).cloned().collect())
    }

    /// Asks one route after the other until one does not answer `Left`; returns its answer.
    pub(super) fn offer(&self, now: Instant, payload: &Bytes) -> Offered {
        let mut offered = self.0.iter().map(|(_, _, route)| route.offer(now, payload));
        offered.find(|offered| *offered != Offered::Left).unwrap_or(Offered::Left)
    }
}
