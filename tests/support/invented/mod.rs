//! QUIC in invented time: nothing here asks the system for the time, a socket or a random number.
//!
//! - [`clock`]: the time, for QUIC, for TLS and for certificates;
//! - [`identity`]: a certificate whose every byte is fixed;
//! - [`network`]: what becomes of packets between hosts, from one seed;
//! - [`world`]: hosts on a network, moved from one event to the next, and a record of it;
//! - [`quic`]: a host of plain QUIC.

pub mod clock;
pub mod identity;
pub mod network;
pub mod quic;
pub mod world;

/// Random numbers from a seed (SplitMix64), beside those that a link draws for each packet.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        crate::simulator::link::mix(self.0)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Whether something happens that has a chance of one in `times`.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// 32 bytes, for keys.
    pub fn secret(&mut self) -> [u8; 32] {
        let mut secret = [0; 32];
        for part in secret.chunks_exact_mut(8) {
            part.copy_from_slice(&self.next().to_be_bytes());
        }
        secret
    }
}
