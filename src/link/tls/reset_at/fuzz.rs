//! A fuzz target: the frames of packets.

use super::plain::check;
use crate::fuzz::Input;

/// Any packets: they become what a plain rewriting makes of them.
pub fn tls_reset_at(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut packets = Vec::new();
    while let Some(length) = input.next() {
        packets.push(input.take(length.into()).to_vec());
    }
    check(&packets);
}
