//! Checks that generated files are current: the header, and pages of `docs/`.

mod errors;
mod header;
mod parity;
