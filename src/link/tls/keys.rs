//! Packet and header keys, and the place where 1-RTT frames are visible in the clear.

use std::sync::Arc;

use bytes::BytesMut;
use quinn_proto::crypto::{self, CryptoError, HeaderKey, KeyPair};
use rustls::quic::{self, HeaderProtectionKey};

use super::reset_at::{self, ConnectReset};

/// Sees the frames of 1-RTT packets in the clear and may rewrite them in place. A frame that
/// becomes shorter is filled up with PADDING, which is zeros.
///
/// Both calls run inside a lane's turn: they must be quick and must not block.
pub trait FrameFilter: Send + Sync {
    /// A packet arrived and was decrypted. QUIC reads `frames` next, unless the packet is a copy.
    fn arrived(&self, packet: u64, frames: &mut [u8]);

    /// A packet is about to be encrypted. It leaves with the content that `frames` has afterwards.
    fn leaving(&self, packet: u64, frames: &mut [u8]);
}

/// The keys of Initial and Handshake packets.
pub(super) fn handshake_keys(keys: quic::Keys) -> crypto::Keys {
    let boxed = |key| -> Box<dyn crypto::PacketKey> { Box::new(Packet(key)) };
    let packet = KeyPair { local: boxed(keys.local.packet), remote: boxed(keys.remote.packet) };
    crypto::Keys { header: header_keys(keys.local.header, keys.remote.header), packet }
}

/// The keys of 1-RTT packets; see [`packet_keys`].
pub(super) fn keys(
    keys: quic::Keys,
    connect_reset: &Arc<ConnectReset>,
    filter: Option<&Arc<dyn FrameFilter>>,
) -> crypto::Keys {
    let (local, remote) = (keys.local, keys.remote);
    crypto::Keys {
        packet: packet_keys(local.packet, remote.packet, connect_reset, filter),
        header: header_keys(local.header, remote.header),
    }
}

/// The packet keys of both directions of 1-RTT packets. RESET_STREAM_AT is rewritten when it
/// arrives. `filter` sees the frames as the peer sent them.
pub(super) fn packet_keys(
    local: Box<dyn quic::PacketKey>,
    remote: Box<dyn quic::PacketKey>,
    connect_reset: &Arc<ConnectReset>,
    filter: Option<&Arc<dyn FrameFilter>>,
) -> KeyPair<Box<dyn crypto::PacketKey>> {
    let boxed = |key| -> Box<dyn crypto::PacketKey> {
        let connect_reset = Arc::clone(connect_reset);
        Box::new(OneRtt { key: Packet(key), connect_reset, filter: filter.cloned() })
    };
    KeyPair { local: boxed(local), remote: boxed(remote) }
}

fn header_keys(
    local: Box<dyn HeaderProtectionKey>,
    remote: Box<dyn HeaderProtectionKey>,
) -> KeyPair<Box<dyn HeaderKey>> {
    KeyPair { local: Box::new(Header(local)), remote: Box::new(Header(remote)) }
}

struct Packet(Box<dyn quic::PacketKey>);

impl crypto::PacketKey for Packet {
    fn encrypt(&self, packet: u64, buf: &mut [u8], header_len: usize) {
        let (header, rest) = buf.split_at_mut(header_len);
        let (payload, tag_storage) = rest.split_at_mut(rest.len() - self.0.tag_len());
        let tag = self.0.encrypt_in_place(packet, header, payload).expect("QUIC keeps to the key's limit");
        tag_storage.copy_from_slice(tag.as_ref());
    }

    fn decrypt(&self, packet: u64, header: &[u8], payload: &mut BytesMut) -> Result<(), CryptoError> {
        let plain = self.0.decrypt_in_place(packet, header, payload).map_err(|_| CryptoError)?;
        let length = plain.len();
        payload.truncate(length);
        Ok(())
    }

    fn tag_len(&self) -> usize {
        self.0.tag_len()
    }

    fn confidentiality_limit(&self) -> u64 {
        self.0.confidentiality_limit()
    }

    fn integrity_limit(&self) -> u64 {
        self.0.integrity_limit()
    }
}

struct OneRtt {
    key: Packet,
    connect_reset: Arc<ConnectReset>,
    filter: Option<Arc<dyn FrameFilter>>,
}

impl crypto::PacketKey for OneRtt {
    fn encrypt(&self, packet: u64, buf: &mut [u8], header_len: usize) {
        if let Some(filter) = &self.filter {
            let end = buf.len() - self.key.tag_len();
            filter.leaving(packet, &mut buf[header_len..end]);
        }
        self.key.encrypt(packet, buf, header_len);
    }

    fn decrypt(&self, packet: u64, header: &[u8], payload: &mut BytesMut) -> Result<(), CryptoError> {
        self.key.decrypt(packet, header, payload)?;
        if let Some(filter) = &self.filter {
            filter.arrived(packet, payload);
        }
        reset_at::rewrite(payload, &self.connect_reset);
        Ok(())
    }

    fn tag_len(&self) -> usize {
        self.key.tag_len()
    }

    fn confidentiality_limit(&self) -> u64 {
        self.key.confidentiality_limit()
    }

    fn integrity_limit(&self) -> u64 {
        self.key.integrity_limit()
    }
}

struct Header(Box<dyn HeaderProtectionKey>);

impl Header {
    /// The sample, the first byte and the packet number of a packet whose number begins at
    /// `offset`. The number has at most 4 bytes, and the sample begins where a number of 4 bytes
    /// would end (RFC 9001 section 5.4.2).
    fn parts<'a>(&self, offset: usize, packet: &'a mut [u8]) -> (&'a [u8], &'a mut u8, &'a mut [u8]) {
        let (header, sample) = packet.split_at_mut(offset + 4);
        let (first, rest) = header.split_first_mut().expect("a header has a first byte");
        (&sample[..self.0.sample_len()], first, &mut rest[offset - 1..])
    }
}

impl HeaderKey for Header {
    fn decrypt(&self, pn_offset: usize, packet: &mut [u8]) {
        let (sample, first, number) = self.parts(pn_offset, packet);
        self.0.decrypt_in_place(sample, first, number).expect("the sample has the key's length");
    }

    fn encrypt(&self, pn_offset: usize, packet: &mut [u8]) {
        let (sample, first, number) = self.parts(pn_offset, packet);
        self.0.encrypt_in_place(sample, first, number).expect("the sample has the key's length");
    }

    fn sample_size(&self) -> usize {
        self.0.sample_len()
    }
}
