//! Tests of a server on the small simulated network of `core`, in invented time.

mod asking;
mod floods;
mod lanes;

use super::*;
use crate::link::core::tests::{Attempt, Network, Pipe, SERVER, at};

/// Where the server listens.
fn here() -> SocketAddr {
    at(1, 444)
}
