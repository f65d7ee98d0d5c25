//! What several tests need.
#![allow(dead_code, reason = "each test program uses a part")]

pub mod pair;
pub mod raw_peer;
