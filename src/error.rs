//! The error type of the core. It knows nothing of C; `ffi::status` gives each variant a number.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

/// The result of a core operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong: one variant for each error that a caller would handle differently.
///
/// Variants of hot paths carry no heap data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A wait with a finite timeout has ended; nothing was lost.
    #[error("timed out")]
    TimedOut,
    /// The operation would have to wait, but the caller does not allow that.
    #[error("would block")]
    WouldBlock,
    /// The object, or the object below it, is closed.
    #[error("closed")]
    Closed,
    /// The library was shut down.
    #[error("the library is shut down")]
    ShutDown,
    /// This process is a forked child of the one that started the library.
    #[error("used in a forked child")]
    Forked,
    /// An argument is outside of the documented range.
    #[error("invalid argument: {0}")]
    InvalidArgument(Cow<'static, str>),
    /// The object is in a state that does not allow this.
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
    /// A caller's buffer is too small for the result; nothing was consumed.
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
    #[error("cannot resolve {what}")]
    NameNotResolved {
        /// The name, and what the resolver said.
        what: String,
        /// Whether the resolver may find it later: it had no answer, not a negative one.
        temporary: bool,
    },
    /// The deadline of a connection attempt passed, or no packet came back.
    #[error("no connection: {0}")]
    ConnectTimeout(String),
    /// The peer refused the QUIC connection.
    #[error("connection refused: {0}")]
    ConnectionRefused(String),
    /// No trusted authority signed the certificate.
    #[error("certificate not trusted: {0}")]
    CertificateUntrusted(String),
    /// The certificate is not valid now.
    #[error("certificate expired or not yet valid: {0}")]
    CertificateExpired(String),
    /// The certificate is for another host.
    #[error("certificate is for another name: {0}")]
    CertificateNameMismatch(String),
    /// The certificate's SHA-256 is not one of the given hashes.
    #[error("certificate hash mismatch: {0}")]
    CertificateHashMismatch(String),
    /// The certificate or the TLS handshake was refused for another reason.
    #[error("TLS handshake failed: {0}")]
    Tls(String),
    /// The server answered CONNECT with a status other than 2xx.
    #[error("the server rejected the session with HTTP status {status}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// When the server asks to be tried again.
        retry_after: Option<RetryAfter>,
    },
    /// The peer violated the protocol, or does not speak it.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// A certificate, key or PEM source cannot be used.
    #[error("identity: {0}")]
    Identity(String),
    /// Certificate and key do not belong together.
    #[error("the private key does not match the certificate: {0}")]
    KeyMismatch(String),
    /// The server requires a client certificate, or does not accept the one that it was shown.
    #[error("client certificate: {0}")]
    ClientCertificate(String),
    /// Text that is not acceptable JSON, or bytes that do not decode to the expected object.
    #[error("serialization: {0}")]
    Serialization(String),
    /// The object of a structured datagram does not decode.
    #[error("deserialization: {0}")]
    Deserialization(String),
    /// A structured datagram is too short for a type id.
    #[error("a datagram of {0} bytes carries no type id")]
    Truncated(usize),
    /// The registry does not know the type id.
    #[error("type id {0} is not registered")]
    UnknownType(u32),
    /// The operating system returned an error.
    #[error("{context}: {message}")]
    Io {
        /// The operation that failed.
        context: &'static str,
        /// The error message of the operating system.
        message: String,
    },
    /// A bug in this library; the panic was contained.
    #[error("internal error: {0}")]
    Internal(Cow<'static, str>),
}

impl Error {
    /// An [`Error::Io`] with its context.
    pub fn io(context: &'static str, error: &std::io::Error) -> Self {
        Self::Io { context, message: error.to_string() }
    }

    /// Whether the same attempt to connect may succeed later, although nobody changes anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::ConnectTimeout(_) | Self::ConnectionRefused(_) | Self::Io { .. } => true,
            Self::NameNotResolved { temporary, .. } => *temporary,
            // RFC 9110 section 15, RFC 8470 section 5.2 and RFC 6585 section 4. A server that lacks
            // a method or a version (501, 505) lacks it later, too.
            Self::Rejected { status: 501 | 505, .. } => false,
            Self::Rejected { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }
}

/// When a server asks to be tried again: the field Retry-After (RFC 9110 section 10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// So long after its answer.
    Delay(Duration),
    /// Not before this time.
    Date(SystemTime),
}

impl RetryAfter {
    /// How long to wait if it is `now`.
    pub fn delay(self, now: SystemTime) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            Self::Date(date) => date.duration_since(now).unwrap_or_default(),
        }
    }
}
