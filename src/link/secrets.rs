//! The keys and random numbers of endpoints, all derived from one secret.
//!
//! The lanes of a server share its secrets, so each can read what another issued. A simulation uses
//! a fixed secret; then every size and every decision of QUIC repeats.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quinn_proto::{ClientConfig, ConnectionId, EndpointConfig, ServerConfig};
use ring::hkdf::{self, HKDF_SHA256, Prk, Salt};
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::{SecureRandom, SystemRandom};

use super::ids::{IdGenerator, IdKey, Label};
use super::tls::{ClientCrypto, ServerCrypto};
use crate::error::{Error, Result};

/// Bytes of the id that a client makes up for the server: as many as QUIC allows, as in
/// quinn-proto.
const INITIAL_ID_BYTES: usize = 20;

/// One secret, from which the others are derived.
#[derive(Clone)]
pub struct Secrets(Prk);

impl Secrets {
    /// A secret from the system's random numbers.
    pub fn random() -> Result<Self> {
        let mut secret = [0; 32];
        SystemRandom::new()
            .fill(&mut secret)
            .map_err(|_| Error::Internal("the system gives no random numbers".into()))?;
        Ok(Self::fixed(&secret))
    }

    /// This secret. With it, an attacker can forge resets and tokens.
    pub fn fixed(secret: &[u8; 32]) -> Self {
        Self(Salt::new(HKDF_SHA256, &[]).extract(secret))
    }

    /// The key of connection ids with this label.
    pub fn id_key(&self, label: &Label) -> IdKey {
        IdKey::new(&self.derive("connection ids", 0), label.clone())
    }

    /// The configuration of the endpoint of `lane`, which issues ids with this label.
    pub fn endpoint_config(&self, lane: u8, label: &Label) -> EndpointConfig {
        let id_key = self.id_key(label);
        let reset_key: [u8; 32] = self.derive("reset", 0);
        let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(HMAC_SHA256, &reset_key)));
        config
            .cid_generator(move || Box::new(IdGenerator::new(id_key.clone(), lane)))
            .rng_seed(Some(self.derive("random numbers", lane.into())));
        config
    }

    /// The configuration of a server, with the key of its tokens.
    pub fn server_config(&self, crypto: Arc<ServerCrypto>) -> ServerConfig {
        let key: [u8; 32] = self.derive("tokens", 0);
        ServerConfig::new(crypto, Arc::new(Salt::new(HKDF_SHA256, &[]).extract(&key)))
    }

    /// The configuration of clients.
    pub fn client_config(&self, crypto: Arc<ClientCrypto>) -> ClientConfig {
        let mut config = ClientConfig::new(crypto);
        let secrets = self.clone();
        let connections = AtomicU64::new(0);
        config.initial_dst_cid_provider(Arc::new(move || {
            let connection = connections.fetch_add(1, Ordering::Relaxed);
            ConnectionId::new(&secrets.derive::<INITIAL_ID_BYTES>("initial ids", connection))
        }));
        config
    }

    fn derive<const N: usize>(&self, purpose: &str, index: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.0
            .expand(&[purpose.as_bytes(), &index.to_be_bytes()], Bytes(N))
            .and_then(|material| material.fill(&mut bytes))
            .expect("HKDF gives at least 255 hashes");
        bytes
    }
}

/// A number of bytes of key material.
struct Bytes(usize);

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}
