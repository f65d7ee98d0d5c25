//! Identities of a running server
//!
//! A server can change its certificates while it runs. Running sessions go on; new connections get
//! the new certificate.

use std::ffi::c_char;

use crate::ffi::boundary::handle::Handle;
use crate::ffi::boundary::pointer::{detailed, optional_text, read_options};
use crate::ffi::handles::wtgram_server;
use crate::ffi::server::identity::{identity, wtgram_identity_options};
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
