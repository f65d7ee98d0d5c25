//! Identities of a running server
//!
//! A server can change its certificates while it runs. Running sessions go on; new connections get
//! the new certificate. A self-signed certificate renews itself.

use std::ffi::c_char;

use crate::ffi::boundary::guard::guard;
use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{detailed, give, give_elements, optional_text, read_options, text};
use crate::ffi::handles::wtgram_server;
use crate::ffi::identity::{identity, wtgram_identity_options};
use crate::ffi::server::WTGRAM_CERTIFICATE_HASH_LENGTH;
use crate::ffi::status::wtgram_status;

/// Changes an identity of the server, or adds one. New connections get it at once; running sessions
/// go on. The call reads files and makes keys before it returns. If it fails, nothing changes.
///
/// A server has a default identity, which `wtgram_server_listen` sets, and others by name. A client
/// says in the TLS handshake which host it wants (SNI): the host of its URL. It gets the identity
/// of exactly this name, else that of the wildcard that includes it, else the default. Clients that
/// connect to an IP address get the default.
///
/// @param server The server.
/// @param server_name NULL for the default identity. Otherwise a DNS name, for example
///   `"game.example"` or `"*.game.example"`. A wildcard stands for one label. The certificate must
///   be for this name.
/// @param options Options; NULL for a new self-signed identity.
/// @param detail Buffer for an English sentence that explains a failure, shortened to fit and
///   NUL-terminated; NULL with 0 for none.
/// @param detail_capacity Size of `detail`, in bytes.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_IDENTITY`: the certificate or the key cannot be read or used.
/// - `WTGRAM_ERROR_KEY_MISMATCH`: certificate and key do not match.
/// - `WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH`: the certificate is not for `server_name`.
/// - `WTGRAM_ERROR_CLOSED`: the server is closed.
///
/// # Safety
/// Every pointer is NULL or as described.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_server_set_identity(
    server: wtgram_server,
    server_name: *const c_char,
    options: *const wtgram_identity_options,
    detail: *mut c_char,
    detail_capacity: usize,
) -> wtgram_status {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        detailed(detail, detail_capacity, || {
            let link = &server.get()?.link;
            Ok(link.set_identity(optional_text(server_name)?, &identity(&read_options(options)?)?)?)
        })
    }
}

/// Removes the identity for `server_name`. New connections that ask for this name get what others
/// get; running sessions go on.
///
/// @param server The server.
/// @param server_name DNS name, as it was given to `wtgram_server_set_identity`.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_STATE`: there is no identity for this name.
///
/// # Safety
/// `server_name` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_server_remove_identity(
    server: wtgram_server,
    server_name: *const c_char,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    guard(|| Ok(server.get()?.link.remove_identity(unsafe { text(server_name) }?)?))
}

/// Stores the SHA-256 hash of the certificate that will take the place of the current one, if the
/// server's default identity is self-signed.
///
/// The server shows a self-signed certificate for 12 days, counted by the wall clock from the call
/// that made it. Then it shows the next one, and makes the one after that. The certificates are also
/// valid for a day before and a day after, for clients whose clocks are wrong. Give clients both
/// hashes, that of `wtgram_server_get_certificate_hash` and this one: together they are good for at
/// least 12 days.
///
/// @param server The server.
/// @param hash Gets `WTGRAM_CERTIFICATE_HASH_LENGTH` bytes.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_INVALID_STATE`: the identity is not self-signed. It changes only by
///   `wtgram_server_set_identity`.
///
/// # Safety
/// `hash` is NULL or points to 32 writable bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_server_get_next_certificate_hash(
    server: wtgram_server,
    hash: *mut u8,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give(hash.cast::<[u8; WTGRAM_CERTIFICATE_HASH_LENGTH]>(), || {
            Ok(server.get()?.link.next_certificate_hash()?)
        })
    }
}

/// Stores the SHA-256 hashes of the certificates for a host: first that of the current one, then, if
/// it is self-signed, that of the next one.
///
/// @param server The server.
/// @param server_name The host that a client asks for, that of its URL; NULL for the default
///   identity.
/// @param hashes Array of `WTGRAM_CERTIFICATE_HASH_LENGTH` bytes for each hash, as
///   `certificate_hashes` of `wtgram_connect_options` takes it.
/// @param capacity Number of hashes for which there is space; 2 is always enough.
/// @param count Gets the number of hashes, also if there is not enough space.
///
/// @return
/// - `WTGRAM_OK`
/// - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `count` is the capacity needed.
///
/// # Safety
/// `hashes` points to `capacity` times 32 writable bytes; the others are NULL or as described.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn wtgram_server_get_certificate_hashes(
    server: wtgram_server,
    server_name: *const c_char,
    hashes: *mut u8,
    capacity: usize,
    count: *mut usize,
) -> wtgram_status {
    // SAFETY: the caller's promise.
    unsafe {
        give_elements(hashes.cast::<[u8; WTGRAM_CERTIFICATE_HASH_LENGTH]>(), capacity, count, || {
            Ok(server.get()?.link.certificate_hashes(optional_text(server_name)?))
        })
    }
}
