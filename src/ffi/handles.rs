//! Handles
//!
//! A handle names an object. It is a small value: copy it, store it, compare its `id`. Functions
//! refuse a handle that was freed; numbers are never reused.

/// A listening server.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_server {
    /// Number of the handle; 0 for none.
    pub id: u64,
}

/// A client's request that a server has not answered yet.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_request {
    /// Number of the handle; 0 for none.
    pub id: u64,
}

/// A WebTransport session, of a client or accepted by a server.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_session {
    /// Number of the handle; 0 for none.
    pub id: u64,
}

/// The datagrams of a session. Released with its session.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_transport {
    /// Number of the handle; 0 for none.
    pub id: u64,
}

/// A reliability layer.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_reliability {
    /// Number of the handle; 0 for none.
    pub id: u64,
}

/// A broadcaster. It does not own its members.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_broadcaster {
    /// Number of the handle; 0 for none.
    pub id: u64,
}

/// A monitor of a transport. Closes with its transport.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_monitor {
    /// Number of the handle; 0 for none.
    pub id: u64,
}

/// A structured transport. Closes with the object below it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_structured {
    /// Number of the handle; 0 for none.
    pub id: u64,
}

/// A poller.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct wtgram_poller {
    /// Number of the handle; 0 for none.
    pub id: u64,
}
