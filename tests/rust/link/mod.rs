//! Sessions, endpoints and TLS against real, slow and hostile peers.

mod admission;
mod client_certificates;
mod close;
mod connecting;
mod crypto_session;
mod draining;
mod endpoints;
mod hostile_bytes;
mod hostile_peers;
mod identities;
mod quic_paths;
mod stopping;
mod tls;
