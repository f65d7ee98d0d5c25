//! Acknowledged datagrams over any channel.
