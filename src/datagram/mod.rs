//! Queues, accounting and the datagram transport.
