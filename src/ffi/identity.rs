//! Identity
//!
//! An identity is a certificate chain with its private key.

use std::ffi::c_char;
use std::path::PathBuf;

use crate::ffi::boundary::enums::impl_read;
use crate::ffi::boundary::failure::Failure;
use crate::ffi::boundary::pointer::{
    Versioned, bytes, elements, init, init_sized, read_options, text, texts,
};
use crate::link::config::IdentitySource;

/// Source of a certificate and its private key.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_identity {
    /// A new ECDSA P-256 certificate that browsers accept by its hash. It is valid for 14 days. It
    /// begins a day in the past, for clients with a slow clock. After 12 days the next one takes
    /// its place: `wtgram_server_get_next_certificate_hash`. The default.
    WTGRAM_IDENTITY_SELF_SIGNED = 0,
    /// PEM files.
    WTGRAM_IDENTITY_PEM_FILES = 1,
    /// PEM bytes.
    WTGRAM_IDENTITY_PEM_BYTES = 2,
}

impl_read!(wtgram_identity { WTGRAM_IDENTITY_SELF_SIGNED, WTGRAM_IDENTITY_PEM_FILES, WTGRAM_IDENTITY_PEM_BYTES } or "there is no such identity source");

/// An identity. The fields mean the same as in `wtgram_listen_options`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_identity_options {
    /// Size of this struct, set by `wtgram_identity_options_init`.
    pub struct_size: usize,
    /// A `wtgram_identity`.
    pub identity: u32,
    /// Reserved; 0.
    pub reserved: u32,
    /// PEM file of the certificate chain, leaf first, for `WTGRAM_IDENTITY_PEM_FILES`.
    pub certificate_file: *const c_char,
    /// PEM file of the private key (PKCS #8, SEC 1 or PKCS #1).
    pub private_key_file: *const c_char,
    /// Certificate chain as PEM bytes, for `WTGRAM_IDENTITY_PEM_BYTES`.
    pub certificate_pem: *const u8,
    /// Length of `certificate_pem`, in bytes.
    pub certificate_pem_length: usize,
    /// Private key as PEM bytes.
    pub private_key_pem: *const u8,
    /// Length of `private_key_pem`, in bytes.
    pub private_key_pem_length: usize,
    /// DNS names and IP addresses of a self-signed certificate.
    pub self_signed_names: *const *const c_char,
    /// Number of names. With 0, the default, the certificate is for the name under which the server
    /// shows it. If it has none, it is for `localhost`, `127.0.0.1` and `::1`.
    pub self_signed_names_count: usize,
}

// SAFETY: repr(C), begins with its size, integers and pointers that are only used where checked.
unsafe impl Versioned for wtgram_identity_options {
    const FIRST_SIZE: usize = 80;
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            identity: wtgram_identity::WTGRAM_IDENTITY_SELF_SIGNED as u32,
            reserved: 0,
            certificate_file: std::ptr::null(),
            private_key_file: std::ptr::null(),
            certificate_pem: std::ptr::null(),
            certificate_pem_length: 0,
            private_key_pem: std::ptr::null(),
            private_key_pem_length: 0,
            self_signed_names: std::ptr::null(),
            self_signed_names_count: 0,
        }
    }
}

/// Fills `*options` with the defaults. NULL is ignored.
///
/// # Safety
/// `options` is NULL or points to a writable struct of the first version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_identity_options_init(options: *mut wtgram_identity_options) {
    // SAFETY: the caller's promise.
    unsafe { init(options) };
}

/// For bindings: `wtgram_identity_options_init` for a struct of `size` bytes.
///
/// # Safety
/// `options` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wtgram_identity_options_init_sized(
    options: *mut wtgram_identity_options,
    size: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { init_sized(options, size) };
}

/// Whether a server asks clients for a certificate (mutual TLS).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum wtgram_client_certificates {
    /// It does not ask. The default.
    WTGRAM_CLIENT_CERTIFICATES_OFF = 0,
    /// A client may show one. A client that shows one that is not accepted is refused.
    WTGRAM_CLIENT_CERTIFICATES_OPTIONAL = 1,
    /// A client that shows none that is accepted is refused.
    WTGRAM_CLIENT_CERTIFICATES_REQUIRED = 2,
}

impl_read!(wtgram_client_certificates { WTGRAM_CLIENT_CERTIFICATES_OFF, WTGRAM_CLIENT_CERTIFICATES_OPTIONAL, WTGRAM_CLIENT_CERTIFICATES_REQUIRED } or "client certificates are off, optional or required");

/// An identity for clients that ask for a name; see `wtgram_server_set_identity`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wtgram_named_identity {
    /// DNS name, for example `"game.example"` or `"*.game.example"`.
    pub server_name: *const c_char,
    /// The identity; NULL for a self-signed one.
    pub identity: *const wtgram_identity_options,
    /// Reserved; 0.
    pub reserved: [u64; 2],
}

/// # Safety
/// The pointers in `raw` are as its documentation says.
pub(in crate::ffi) unsafe fn named_identities(
    raw: *const wtgram_named_identity,
    count: usize,
) -> Result<Vec<(String, IdentitySource)>, Failure> {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        let named = elements(raw, count)?.iter();
        named
            .map(|one| Ok((text(one.server_name)?.to_owned(), identity(&read_options(one.identity)?)?)))
            .collect()
    }
}

/// # Safety
/// `raw` is NULL or as its documentation says.
pub(in crate::ffi) unsafe fn optional_identity(
    raw: *const wtgram_identity_options,
) -> Result<Option<IdentitySource>, Failure> {
    // SAFETY: the caller's promise.
    unsafe { if raw.is_null() { Ok(None) } else { identity(&read_options(raw)?).map(Some) } }
}

/// # Safety
/// The pointers in `raw` are as its documentation says.
pub(in crate::ffi) unsafe fn identity(raw: &wtgram_identity_options) -> Result<IdentitySource, Failure> {
    // SAFETY: the caller's promise, for every pointer below.
    unsafe {
        Ok(match wtgram_identity::read(raw.identity)? {
            wtgram_identity::WTGRAM_IDENTITY_SELF_SIGNED => {
                let names = texts(raw.self_signed_names, raw.self_signed_names_count)?;
                IdentitySource::SelfSigned { names }
            }
            wtgram_identity::WTGRAM_IDENTITY_PEM_FILES => IdentitySource::PemFiles {
                certificate: PathBuf::from(text(raw.certificate_file)?),
                private_key: PathBuf::from(text(raw.private_key_file)?),
            },
            wtgram_identity::WTGRAM_IDENTITY_PEM_BYTES => IdentitySource::PemBytes {
                certificate: bytes(raw.certificate_pem, raw.certificate_pem_length)?.to_vec(),
                private_key: bytes(raw.private_key_pem, raw.private_key_pem_length)?.to_vec(),
            },
        })
    }
}
