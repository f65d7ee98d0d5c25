//! Connection ids that carry their lane, readable only with the key.
//!
//! An id is one block of 8 bytes, enciphered: a counter (4 bytes), the lane (1 byte) and zeros (3
//! bytes). So ids of one key never repeat and show neither order nor lane, and a forged id
//! deciphers to zeros once in 16 million times. The cipher is a Feistel network of four rounds over
//! AES-128, as in the four-pass algorithm of draft-ietf-quic-load-balancers. The part that a load
//! balancer reads in the clear (its first octet and a server id) would go in front of the block.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};
use ring::aead::quic::{AES_128, HeaderProtectionKey};

/// Bytes of an id: as many as quinn-proto's own ids have.
pub const LENGTH: usize = 8;

const ROUNDS: [u8; 4] = [0, 1, 2, 3];

/// Enciphers and deciphers ids. The lanes of a server share one key.
#[derive(Clone)]
pub struct IdKey(Arc<HeaderProtectionKey>);

impl IdKey {
    /// A key of these bytes, which must be secret.
    pub fn new(key: &[u8; 16]) -> Self {
        Self(Arc::new(HeaderProtectionKey::new(&AES_128, key).expect("AES-128 takes 16 bytes")))
    }

    /// The lane of an id that was issued under this key; `None` for every other id.
    pub fn lane(&self, id: &[u8]) -> Option<u8> {
        let [_, _, _, _, lane, 0, 0, 0] = self.decipher(id.try_into().ok()?) else { return None };
        Some(lane)
    }

    fn encipher(&self, block: [u8; LENGTH]) -> [u8; LENGTH] {
        let (mut left, mut right) = halves(block);
        for round in ROUNDS {
            (left, right) = (right, left ^ self.scramble(round, right));
        }
        whole(left, right)
    }

    fn decipher(&self, block: [u8; LENGTH]) -> [u8; LENGTH] {
        let (mut left, mut right) = halves(block);
        for round in ROUNDS.into_iter().rev() {
            (left, right) = (right ^ self.scramble(round, left), left);
        }
        whole(left, right)
    }

    fn scramble(&self, round: u8, half: u32) -> u32 {
        let mut sample = [0; 16];
        sample[0] = round;
        sample[1..5].copy_from_slice(&half.to_be_bytes());
        // The mask is the beginning of the enciphered sample: AES-ECB (RFC 9001 section 5.4.3).
        let [a, b, c, d, _] = self.0.new_mask(&sample).expect("a sample of 16 bytes");
        u32::from_be_bytes([a, b, c, d])
    }
}

fn halves(block: [u8; LENGTH]) -> (u32, u32) {
    let block = u64::from_be_bytes(block);
    ((block >> 32) as u32, block as u32)
}

fn whole(left: u32, right: u32) -> [u8; LENGTH] {
    (u64::from(left) << 32 | u64::from(right)).to_be_bytes()
}

/// Issues the ids of one lane.
pub struct IdGenerator {
    key: IdKey,
    lane: u8,
    issued: u32,
}

impl IdGenerator {
    /// Ids of `lane` under `key`. There must be only one generator for the two.
    pub fn new(key: IdKey, lane: u8) -> Self {
        Self { key, lane, issued: 0 }
    }
}

impl ConnectionIdGenerator for IdGenerator {
    fn generate_cid(&mut self) -> ConnectionId {
        let [a, b, c, d] = self.issued.to_be_bytes();
        self.issued = self.issued.wrapping_add(1);
        ConnectionId::new(&self.key.encipher([a, b, c, d, self.lane, 0, 0, 0]))
    }

    fn validate(&self, cid: &ConnectionId) -> Result<(), InvalidCid> {
        self.key.lane(cid).map(|_| ()).ok_or(InvalidCid)
    }

    fn cid_len(&self) -> usize {
        LENGTH
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn generator(lane: u8) -> IdGenerator {
        IdGenerator::new(IdKey::new(&[7; 16]), lane)
    }

    #[test]
    fn ids_of_all_lanes_differ_and_tell_their_lane() {
        let mut seen = HashSet::new();
        for lane in 0..=255 {
            let mut generator = generator(lane);
            for _ in 0..100 {
                let id = generator.generate_cid();
                assert_eq!(id.len(), generator.cid_len());
                assert!(generator.validate(&id).is_ok());
                assert_eq!(generator.key.lane(&id), Some(lane));
                assert!(seen.insert(id), "{id} was issued twice");
            }
        }
    }

    #[test]
    fn ids_of_one_lane_have_nothing_in_common_that_can_be_seen() {
        let mut generator = generator(3);
        let ids: Vec<u64> = (0..4096)
            .map(|_| u64::from_be_bytes(generator.generate_cid()[..].try_into().expect("8 bytes")))
            .collect();
        for bit in 0..64 {
            let ones = ids.iter().filter(|id| **id >> bit & 1 == 1).count();
            assert!((1850..2250).contains(&ones), "bit {bit} is set in {ones} of 4096");
            let flips = ids.windows(2).filter(|pair| (pair[0] ^ pair[1]) >> bit & 1 == 1).count();
            assert!((1850..2250).contains(&flips), "bit {bit} flips {flips} of 4095 times");
        }
    }

    #[test]
    fn an_id_that_was_not_issued_is_not_valid() {
        let mut generator = generator(3);
        let stranger = IdKey::new(&[8; 16]);
        for _ in 0..100 {
            let id = generator.generate_cid();
            assert_eq!(stranger.lane(&id), None);
            for bit in 0..64 {
                let mut changed = id;
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(generator.validate(&changed).is_err());
            }
            for length in 0..LENGTH {
                assert!(generator.validate(&ConnectionId::new(&id[..length])).is_err());
            }
            assert!(generator.validate(&ConnectionId::new(&[&id[..], &[0]].concat())).is_err());
        }
        let guessed = (0..1_000_000_u64)
            .filter(|guess| {
                generator.key.lane(&guess.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()).is_some()
            })
            .count();
        assert!(guessed <= 3, "{guessed} of a million guesses: one in 16 million is expected");
    }

    proptest! {
        #[test]
        fn what_is_enciphered_can_be_deciphered(key: [u8; 16], block: [u8; 8]) {
            let key = IdKey::new(&key);
            prop_assert_eq!(key.decipher(key.encipher(block)), block);
        }

        #[test]
        fn any_id_of_any_key_tells_its_lane(key: [u8; 16], lane: u8, issued: u32) {
            let mut generator = IdGenerator { key: IdKey::new(&key), lane, issued };
            let id = generator.generate_cid();
            prop_assert_eq!(generator.key.lane(&id), Some(lane));
            prop_assert!(generator.validate(&id).is_ok());
        }
    }
}
