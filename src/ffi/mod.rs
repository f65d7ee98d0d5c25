//! The C interface, and nothing else: it borrows handles, checks pointers, calls the core and maps results.
//!
//! The law of this interface is `docs/c-interface.md`. One file per object; what they share:
//!
//! - `guard`: every function's body runs inside it: usability, panics, statuses.
//! - `handle`: value handles, and the tables behind them.
//! - `pointer`: the only place where pointers of the caller are looked through.
//! - `status`: the numbers of [`crate::error::Error`].

#![allow(unsafe_code)]
#![allow(non_camel_case_types)]

pub mod broadcaster;
mod fork;
mod guard;
pub mod handle;
pub mod library;
pub mod monitor;
pub mod outcome;
mod pointer;
pub mod poller;
pub mod receive;
pub mod reliability;
pub mod send;
pub mod server;
pub mod session;
pub mod settings;
pub mod statistics;
pub mod status;
pub mod structured;
pub mod tools;
pub mod transport;
