//! Transports over real sessions.

mod congested;
mod figures;
mod storm;
mod transport;
