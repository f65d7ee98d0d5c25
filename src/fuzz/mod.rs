//! Fuzz targets: a function for each place where bytes of a peer are understood.
//!
//! A target takes any bytes and panics if what it promises does not hold. The targets are beside
//! their subjects, in files named `fuzz`. `cargo test` runs them over the corpus in `fuzz/corpus`;
//! the programs in `fuzz/src/bin` run them under libFuzzer, which looks for new inputs (`make
//! fuzz`). `fuzz/README.md` says how to add one.
//!
//! This module exists in tests and under `--cfg fuzzing` only. It is not part of the library.

mod input;
#[cfg(test)]
mod tests;

pub use crate::link::client::fuzz::client_url;
pub use crate::link::h3::fuzz::{
    h3_capsule, h3_datagram, h3_fields, h3_frame, h3_request, h3_response, h3_session, h3_settings,
    h3_subprotocols, h3_uni,
};
pub use crate::link::server::fuzz::server_rules;
pub use crate::link::tls::tls_reset_at;
pub use crate::reliability::fuzz::{reliability_ack, reliability_frame, reliability_negotiation};
pub use crate::structured::fuzz::{structured_json, structured_message_pack};
pub(crate) use input::Input;
