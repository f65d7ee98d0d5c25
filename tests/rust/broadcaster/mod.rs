//! Broadcasters over real sessions.

mod sessions;
mod storm;
