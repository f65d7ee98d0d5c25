//! Structured transports over real sessions.

mod lossy;
mod sessions;
