//! Tests of the core over real sessions in one program, with a folder for each module of `src`.
//!
//! Tests that need a process of their own are in `tests/process` (they count threads, configure the
//! library, or stop its lane) and in `tests/memory` (they measure memory).

mod broadcaster;
mod datagram;
mod generated;
mod link;
mod monitor;
mod poller;
mod reliability;
mod simulator;
mod structured;
