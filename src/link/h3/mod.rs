//! The HTTP/3 and WebTransport session state, without I/O or clock.
