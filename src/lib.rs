//! WebTransport datagrams for C, C++ and Go.
//!
//! The modules, from the bottom up. Imports run in one direction: a module uses only those above it
//! in this list, and `reliability`, `structured`, `broadcaster`, `monitor` and `poller` do not use
//! each other.
//!
//! - [`error`]: the error type; [`text`]: text from peers, made readable.
//! - `runtime`: lane threads, the service thread (tokio), log, shutdown, readiness.
//! - `link`: QUIC and HTTP/3. Only this module names quinn-proto and wtransport.
//! - `datagram`: the transport with its send half and receive half, and its statistics.
//! - `reliability`: acknowledged messages over any channel.
//! - `structured`: typed objects over any channel.
//! - `broadcaster`: one datagram to many channels.
//! - `monitor`: samples, alerts and Prometheus text of transports.
//! - `poller`: one wait for all of them.
//! - `ffi`: the C interface. It only translates. All `unsafe` code is there.
//! - `fuzz`, in tests and for fuzzers only: targets that take any bytes.

pub mod broadcaster;
pub mod datagram;
pub mod error;
pub mod ffi;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod link;
pub mod monitor;
pub mod poller;
pub mod reliability;
pub mod runtime;
pub mod structured;
pub mod text;
