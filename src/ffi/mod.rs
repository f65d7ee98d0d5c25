//! The C interface. It only translates: it looks up handles, checks pointers, calls the core and
//! maps results.
//!
//! `docs/c-interface.md` has the conventions. One file or folder per object; `boundary` has what
//! all of them use. The first lines of each file introduce its chapter of the header.

#![allow(unsafe_code)]
#![allow(non_camel_case_types)]

mod boundary;
pub mod broadcaster;
pub mod connection;
pub mod handles;
pub mod identity;
pub mod library;
pub mod monitor;
pub mod poller;
pub mod reliability;
pub mod request;
pub mod server;
pub mod session;
pub mod status;
pub mod structured;
pub mod transport;
