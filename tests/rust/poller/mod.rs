//! Pollers over real sessions.

mod sessions;
