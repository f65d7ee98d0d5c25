//! QUIC and HTTP/3: endpoints, TLS and the session driver.

pub mod h3;
