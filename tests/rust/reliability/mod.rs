//! Reliability layers over real sessions.

mod lossy;
mod sessions;
