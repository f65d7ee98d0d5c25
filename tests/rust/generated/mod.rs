//! Files that are made of others are current: the header and pages of `docs/`.

mod errors;
mod header;
mod parity;
