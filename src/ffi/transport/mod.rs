//! Transport
//!
//! The transport of a session has a queue for outgoing and one for incoming datagrams. Sending
//! copies a datagram into the first; the library hands it to QUIC as fast as the path allows.
//! Receiving takes datagrams from the second.

pub mod diagnosis;
pub mod heartbeat;
pub mod outcome;
pub mod queues;
pub mod receive;
pub mod send;
pub mod settings;
pub mod stats;
pub mod throughput;
pub mod water_marks;

use std::sync::Arc;

use crate::datagram::transport::Transport;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::guard::guard;
use crate::ffi::boundary::handle::{Handle, names};
use crate::ffi::boundary::pointer::give;
use crate::ffi::handles::{wtgram_session, wtgram_transport};
use crate::ffi::status::wtgram_status;

/// A transport and the handle of its session.
pub(in crate::ffi) struct TransportObject {
    pub(in crate::ffi) transport: Arc<Transport>,
    session: wtgram_session,
}

impl TransportObject {
    /// Gives the transport of `session` its handle.
    pub(in crate::ffi) fn publish(
        transport: Arc<Transport>,
        session: wtgram_session,
    ) -> Result<wtgram_transport, Failure> {
        wtgram_transport::new(Arc::new(Self { transport, session }))
    }
}

names!(wtgram_transport => TransportObject, TRANSPORT, polled as |object| &object.transport);

/// Stores the largest payload that can be sent now. It follows the path's MTU (RFC 9221, RFC 8899).
///
/// @param transport The transport.
/// @param bytes Gets the size in bytes.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_UNSUPPORTED`: the peer does not accept datagrams.
/// - `WTGRAM_ERROR_CLOSED`: the transport is closed.
///
/// # Safety
/// `bytes` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_max_datagram_size(
    transport: wtgram_transport,
    bytes: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(bytes, || Ok(transport.get()?.transport.outgoing.max_datagram_size()?)) }
}

/// Stores whether the transport or its session is closed. You can still receive what has arrived.
///
/// # Safety
/// `closed` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_is_closed(
    transport: wtgram_transport,
    closed: *mut bool,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(closed, || Ok(transport.get()?.transport.is_closed())) }
}

/// Stores whether the transport is open or still has datagrams to receive.
///
/// # Safety
/// `readable` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_is_readable(
    transport: wtgram_transport,
    readable: *mut bool,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(readable, || Ok(transport.get()?.transport.incoming.is_readable())) }
}

/// Stores whether the transport is open for sending.
///
/// # Safety
/// `writable` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_is_writable(
    transport: wtgram_transport,
    writable: *mut bool,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(writable, || Ok(!transport.get()?.transport.is_closed())) }
}

/// Stores the sequence number of the next datagram to send, which is the number of datagrams
/// submitted so far.
///
/// # Safety
/// `sequence` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_send_sequence(
    transport: wtgram_transport,
    sequence: *mut u64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(sequence, || Ok(transport.get()?.transport.outgoing.sequence())) }
}

/// Stores the sequence number of the next datagram to arrive, which is the number of datagrams that
/// arrived so far.
///
/// # Safety
/// `sequence` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_receive_sequence(
    transport: wtgram_transport,
    sequence: *mut u64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(sequence, || Ok(transport.get()?.transport.incoming.sequence())) }
}

/// Stores the handle of the transport's session.
///
/// @param transport The transport.
/// @param session Gets the handle; do not free it twice.
///
/// # Safety
/// `session` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_session(
    transport: wtgram_transport,
    session: *mut wtgram_session,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(session, || Ok(transport.get()?.session)) }
}

/// Stores the id of the transport's session, which is the id of the CONNECT stream.
///
/// # Safety
/// `id` is NULL or writable.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_transport_get_session_id(
    transport: wtgram_transport,
    id: *mut u64,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe { give(id, || Ok(transport.get()?.transport.session().established()?.id)) }
}

/// Closes the transport but not its session. Calls that wait on it return `WTGRAM_ERROR_CLOSED`.
/// You can still receive what has arrived. Queued datagrams are dropped and counted in
/// `send_failed`; later ones from the peer in `receive_dropped_by_quic`. Closing again has no
/// effect.
#[unsafe(no_mangle)]
pub extern "C" fn wtgram_transport_close(transport: wtgram_transport) -> wtgram_status {
    guard(|| {
        transport.get()?.transport.close();
        Ok(())
    })
}
