//! Typed objects over any channel.
