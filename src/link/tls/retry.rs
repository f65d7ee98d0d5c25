//! The integrity tag of Retry packets (RFC 9001 section 5.8). Its keys are public, so it protects
//! against damage only.

use quinn_proto::ConnectionId;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use rustls::quic::Version;

/// Bytes of the tag.
const TAG_BYTES: usize = 16;

/// The tag of a Retry packet that answers an Initial packet sent to `original`.
pub(super) fn tag(version: Version, original: &ConnectionId, packet: &[u8]) -> [u8; TAG_BYTES] {
    let (key, nonce) = material(version);
    let mut pseudo_packet = Vec::with_capacity(1 + original.len() + packet.len());
    pseudo_packet.push(original.len() as u8);
    pseudo_packet.extend_from_slice(original);
    pseudo_packet.extend_from_slice(packet);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).expect("the key has the cipher's length"));
    let tag: Tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(pseudo_packet),
            &mut [] as &mut [u8],
        )
        .expect("nothing is encrypted, so nothing is too long");
    tag.as_ref().try_into().expect("a tag of 16 bytes")
}

/// Whether `payload` ends with the tag of the packet, which is `header` and the rest of `payload`.
pub(super) fn is_valid(version: Version, original: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
    let Some((payload, found)) = payload.split_last_chunk::<TAG_BYTES>() else { return false };
    *found == tag(version, original, &[header, payload].concat())
}

fn material(version: Version) -> ([u8; 16], [u8; 12]) {
    match version {
        Version::V1Draft => (
            0xccce187ed09a09d05728155a6cb96be1_u128.to_be_bytes(),
            [0xe5, 0x49, 0x30, 0xf9, 0x7f, 0x21, 0x36, 0xf0, 0x53, 0x0a, 0x8c, 0x1c],
        ),
        _ => (
            0xbe0c690b9f66575a1d766b54e368c84e_u128.to_be_bytes(),
            [0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9001 appendix A.4.
    const ORIGINAL: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
    const PACKET: &[u8] = b"\xff\x00\x00\x00\x01\x00\x08\xf0\x67\xa5\x50\x2a\x42\x62\xb5token";
    const TAG: [u8; 16] =
        [0x04, 0xa2, 0x65, 0xba, 0x2e, 0xff, 0x4d, 0x82, 0x90, 0x58, 0xfb, 0x3f, 0x0f, 0x24, 0x96, 0xba];

    #[test]
    fn the_tag_is_that_of_the_rfc_s_example() {
        assert_eq!(tag(Version::V1, &ConnectionId::new(&ORIGINAL), PACKET), TAG);
    }

    #[test]
    fn a_damaged_retry_packet_is_not_valid() {
        let original = ConnectionId::new(&ORIGINAL);
        let (header, token) = PACKET.split_at(PACKET.len() - 5);
        let mut payload = [token, &TAG].concat();
        assert!(is_valid(Version::V1, &original, header, &payload));
        assert!(!is_valid(Version::V1Draft, &original, header, &payload));
        assert!(!is_valid(Version::V1, &original, header, &payload[..15]));
        for bit in 0..payload.len() * 8 {
            payload[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_valid(Version::V1, &original, header, &payload), "bit {bit}");
            payload[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
