//! Monitors of real sessions.

mod sessions;
