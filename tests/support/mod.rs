//! What integration tests share: a server and a client in this process, and a slow link between them.

#![allow(dead_code, missing_docs, clippy::unwrap_used)]

pub mod pair;
pub mod slow_link;
