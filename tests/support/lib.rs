//! What several test programs need: pairs of sessions, raw peers, links that lose packets, invented time.

pub mod blocked;
pub mod datagrams;
pub mod invented;
pub mod loopback;
pub mod openmetrics;
pub mod pair;
pub mod raw_peer;
pub mod simulator;
pub mod slow_link;
