//! Connection ids that carry their lane, readable only with the key.
//!
//! An id is one block of 8 bytes, enciphered: a counter (4 bytes), the lane (1 byte) and zeros (3
//! bytes). So ids of one key never repeat and show neither order nor lane, and a forged id
//! deciphers to zeros once in 16 million times. The cipher is a Feistel network of four rounds over
//! AES-128, as in the four-pass algorithm of draft-ietf-quic-load-balancers.
//!
//! In front of the block there may be a [`Label`] in the clear, by which a load balancer finds the
//! server.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};
use ring::aead::quic::{AES_128, HeaderProtectionKey};

use crate::error::{Error, Result};

/// Bytes of the enciphered block. Without a label it is the whole id, as long as quinn-proto's own
/// ids.
const BLOCK: usize = 8;

/// The longest id (RFC 9000 section 17.2).
pub const LONGEST: usize = 20;

/// The longest server id: QUIC-LB's first octet and the block take the rest.
pub const MAX_SERVER_ID: usize = LONGEST - BLOCK - 1;

/// The highest configuration number of QUIC-LB. Seven means that an id is not to be routed.
const MAX_ROTATION: u8 = 6;

/// The beginning of an id in the plaintext form of draft-ietf-quic-load-balancers: an octet with the
/// number of the balancers' configuration (3 bits) and the length of what follows (5 bits), then the
/// server id. Empty if no load balancer reads the ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label(Vec<u8>);

impl Label {
    /// The label of the server `server_id` under the balancers' configuration `rotation`.
    pub fn new(server_id: &[u8], rotation: u8) -> Result<Self> {
        if server_id.is_empty() || server_id.len() > MAX_SERVER_ID {
            return Err(Error::InvalidArgument(format!("a server id has 1 to {MAX_SERVER_ID} bytes").into()));
        }
        if rotation > MAX_ROTATION {
            return Err(Error::InvalidArgument(
                format!("the number of a load balancer's configuration is at most {MAX_ROTATION}").into(),
            ));
        }
        let following = (server_id.len() + BLOCK) as u8;
        Ok(Self([&[rotation << 5 | following], server_id].concat()))
    }
}

const ROUNDS: [u8; 4] = [0, 1, 2, 3];

/// Makes and reads ids. The lanes of a server share one key and one label.
#[derive(Clone)]
pub struct IdKey {
    cipher: Arc<HeaderProtectionKey>,
    label: Label,
}

impl IdKey {
    /// A key of these bytes, which must be secret, for ids with this label.
    pub fn new(key: &[u8; 16], label: Label) -> Self {
        let cipher = HeaderProtectionKey::new(&AES_128, key).expect("AES-128 takes 16 bytes");
        Self { cipher: Arc::new(cipher), label }
    }

    /// The length of the ids in bytes.
    pub fn id_len(&self) -> usize {
        self.label.0.len() + BLOCK
    }

    /// The lane of an id that was issued under this key; `None` for every other id.
    pub fn lane(&self, id: &[u8]) -> Option<u8> {
        let block = id.strip_prefix(&self.label.0[..])?;
        let [_, _, _, _, lane, 0, 0, 0] = self.decipher(block.try_into().ok()?) else { return None };
        Some(lane)
    }

    fn id(&self, issued: u32, lane: u8) -> ConnectionId {
        let [a, b, c, d] = issued.to_be_bytes();
        let mut id = [0; LONGEST];
        let id = &mut id[..self.id_len()];
        let (label, block) = id.split_at_mut(self.label.0.len());
        label.copy_from_slice(&self.label.0);
        block.copy_from_slice(&self.encipher([a, b, c, d, lane, 0, 0, 0]));
        ConnectionId::new(id)
    }

    fn encipher(&self, block: [u8; BLOCK]) -> [u8; BLOCK] {
        let (mut left, mut right) = halves(block);
        for round in ROUNDS {
            (left, right) = (right, left ^ self.scramble(round, right));
        }
        whole(left, right)
    }

    fn decipher(&self, block: [u8; BLOCK]) -> [u8; BLOCK] {
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
        let [a, b, c, d, _] = self.cipher.new_mask(&sample).expect("a sample of 16 bytes");
        u32::from_be_bytes([a, b, c, d])
    }
}

fn halves(block: [u8; BLOCK]) -> (u32, u32) {
    let block = u64::from_be_bytes(block);
    ((block >> 32) as u32, block as u32)
}

fn whole(left: u32, right: u32) -> [u8; BLOCK] {
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
        let id = self.key.id(self.issued, self.lane);
        self.issued = self.issued.wrapping_add(1);
        id
    }

    fn validate(&self, cid: &ConnectionId) -> Result<(), InvalidCid> {
        self.key.lane(cid).map(|_| ()).ok_or(InvalidCid)
    }

    fn cid_len(&self) -> usize {
        self.key.id_len()
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
        IdGenerator::new(key(&[7; 16]), lane)
    }

    fn key(key: &[u8; 16]) -> IdKey {
        IdKey::new(key, Label::default())
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
        let stranger = key(&[8; 16]);
        for _ in 0..100 {
            let id = generator.generate_cid();
            assert_eq!(stranger.lane(&id), None);
            for bit in 0..64 {
                let mut changed = id;
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(generator.validate(&changed).is_err());
            }
            for length in 0..BLOCK {
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

    #[test]
    fn a_load_balancer_reads_the_server_in_the_clear() {
        let label = Label::new(&[0xab, 0xcd], 5).unwrap();
        let mut generator = IdGenerator::new(IdKey::new(&[7; 16], label), 200);
        for _ in 0..100 {
            let id = generator.generate_cid();
            assert_eq!(id.len(), generator.cid_len());
            // Configuration 5, and 2 + 8 bytes follow.
            assert_eq!((id[0], &id[1..3], id.len()), (5 << 5 | 10, &[0xab, 0xcd][..], 11));
            assert_eq!(generator.key.lane(&id), Some(200));
            for byte in 0..id.len() {
                let mut changed = id;
                changed[byte] ^= 1;
                assert_eq!(generator.key.lane(&changed), None);
            }
            assert_eq!(generator.key.lane(&id[3..]), None, "the block alone is not an id");
        }
    }

    #[test]
    fn a_label_leaves_room_for_the_block_and_is_routable() {
        assert_eq!(IdKey::new(&[7; 16], Label::new(&[1; MAX_SERVER_ID], 6).unwrap()).id_len(), 20);
        for (server_id, rotation) in [(&[][..], 0), (&[1; MAX_SERVER_ID + 1], 0), (&[1], 7)] {
            assert!(matches!(Label::new(server_id, rotation), Err(Error::InvalidArgument(_))));
        }
    }

    proptest! {
        #[test]
        fn what_is_enciphered_can_be_deciphered(key: [u8; 16], block: [u8; 8]) {
            let key = super::tests::key(&key);
            prop_assert_eq!(key.decipher(key.encipher(block)), block);
        }

        #[test]
        fn any_id_of_any_key_tells_its_lane(key: [u8; 16], lane: u8, issued: u32) {
            let mut generator = IdGenerator { key: super::tests::key(&key), lane, issued };
            let id = generator.generate_cid();
            prop_assert_eq!(generator.key.lane(&id), Some(lane));
            prop_assert!(generator.validate(&id).is_ok());
        }
    }
}
