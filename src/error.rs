//! The error type of the core. It knows nothing of C; `ffi::status` gives each variant a number.

use std::borrow::Cow;

/// What a core operation returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, one variant for each thing a caller would do something different about.
///
/// Variants that occur on hot paths carry no heap data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A wait with a finite timeout elapsed; nothing was lost.
    #[error("timed out")]
    TimedOut,
    /// The operation would have had to wait and was asked not to.
    #[error("would block")]
    WouldBlock,
    /// The object, or the object below it, is closed.
    #[error("closed")]
    Closed,
    /// The library was shut down.
    #[error("the library is shut down")]
    ShutDown,
    /// This process is a `fork` child of the one that started the library.
    #[error("used in a forked child")]
    Forked,
    /// An argument is outside what the function documents.
    #[error("invalid argument: {0}")]
    InvalidArgument(Cow<'static, str>),
    /// The object is not in a state in which this can be done.
    #[error("invalid state: {0}")]
    InvalidState(Cow<'static, str>),
    /// A datagram is larger than the path, the peer or the object carries.
    #[error("{size} bytes is more than the limit of {limit} bytes")]
    TooLarge {
        /// Payload bytes asked for.
        size: usize,
        /// Payload bytes possible now.
        limit: usize,
    },
    /// A caller's buffer cannot hold the result; nothing was consumed.
    #[error("the buffer is too small: {needed} bytes are needed")]
    BufferTooSmall {
        /// Bytes needed.
        needed: usize,
    },
    /// The queue is full and its policy is to reject.
    #[error("the queue is full")]
    QueueFull,
    /// A limit on the number of objects was reached.
    #[error("limit reached: {0}")]
    LimitReached(Cow<'static, str>),
    /// The peer does not take datagrams.
    #[error("the peer does not support datagrams")]
    Unsupported,
    /// The URL cannot be used.
    #[error("invalid URL: {0}")]
    InvalidUrl(Cow<'static, str>),
    /// The host name did not resolve.
    #[error("cannot resolve {0}")]
    NameNotResolved(String),
    /// The deadline of a connection attempt passed, or no packet came back.
    #[error("no connection: {0}")]
    ConnectTimeout(String),
    /// The peer refused the QUIC connection.
    #[error("connection refused: {0}")]
    ConnectionRefused(String),
    /// No trust anchor vouches for the certificate.
    #[error("certificate not trusted: {0}")]
    CertificateUntrusted(String),
    /// The certificate's validity period does not include now.
    #[error("certificate expired or not yet valid: {0}")]
    CertificateExpired(String),
    /// The certificate names another host.
    #[error("certificate is for another name: {0}")]
    CertificateNameMismatch(String),
    /// The certificate's SHA-256 is none of those given.
    #[error("certificate hash mismatch: {0}")]
    CertificateHashMismatch(String),
    /// Any other reason a certificate or TLS handshake was refused.
    #[error("TLS handshake failed: {0}")]
    Tls(String),
    /// The server answered CONNECT with a status other than 2xx.
    #[error("the server rejected the session with HTTP status {status}")]
    Rejected {
        /// The HTTP status.
        status: u16,
    },
    /// The peer broke, or does not speak, the protocol.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// A certificate, key or PEM source cannot be used.
    #[error("identity: {0}")]
    Identity(String),
    /// Certificate and key do not belong together.
    #[error("the private key does not match the certificate: {0}")]
    KeyMismatch(String),
    /// Text that is not acceptable JSON, or bytes that do not decode as the expected object.
    #[error("serialization: {0}")]
    Serialization(String),
    /// A structured datagram whose object does not decode.
    #[error("deserialization: {0}")]
    Deserialization(String),
    /// A structured datagram too short to carry a type id.
    #[error("a datagram of {0} bytes carries no type id")]
    Truncated(usize),
    /// A type id that the registry does not know.
    #[error("type id {0} is not registered")]
    UnknownType(u32),
    /// The operating system said no.
    #[error("{context}: {message}")]
    Io {
        /// What was being done.
        context: &'static str,
        /// The operating system's words.
        message: String,
    },
    /// A defect of this library; the panic was contained.
    #[error("internal error: {0}")]
    Internal(Cow<'static, str>),
}

impl Error {
    /// An [`Error::Io`] with its context.
    pub fn io(context: &'static str, error: &std::io::Error) -> Self {
        Self::Io { context, message: error.to_string() }
    }
}
