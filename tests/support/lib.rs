//! Helpers of several test programs: pairs of sessions, raw peers, certificates, links that lose packets,
//! invented time.

#![allow(clippy::new_without_default, clippy::should_implement_trait, reason = "helpers, not an interface")]

pub mod authority;
pub mod blocked;
pub mod invented;
pub mod openmetrics;
pub mod pair;
pub mod raw_peer;
pub mod simulator;
pub mod slow_link;
