//! Client sessions. Sessions that send from the same address share a UDP socket.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quinn_proto::{ClientConfig, ConnectionError};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use url::Url;

use super::config::{ConnectOptions, ConnectionOptions, MAX_HANDSHAKE_TIMEOUT};
use super::core::session::LinkSession;
use super::core::{Ask, Command, ConnectionKey, EndpointKey};
use super::h3::error::{H3_NO_ERROR, H3_REQUEST_CANCELLED};
use super::h3::{ConnectRequest, subprotocol};
use super::secrets::Secrets;
use super::tls::{self, ClientCrypto, Extensions, Refusal};
use super::udp::UdpLane;
use super::{endpoint, udp};
use crate::error::{Error, Result};
use crate::runtime::{self, CloseOnShutdown};
use crate::text::readable;

/// How long an address may take to answer before the next one is tried as well (RFC 8305 section 5
/// suggests 250 ms).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// QUIC's CONNECTION_REFUSED (RFC 9000 section 20.1).
const CONNECTION_REFUSED: u64 = 0x2;

/// How much longer than its attempt a connection may live: the attempt reports better why it
/// failed.
const DEADLINE_MARGIN: Duration = Duration::from_secs(1);

/// Establishes a session. Waits until it is established or the attempt has failed.
///
/// Calls `prepare` with the session as soon as it is established, and returns the result.
pub fn connect<T: Send + 'static>(
    url: &str,
    options: &ConnectOptions,
    prepare: impl FnOnce(Arc<LinkSession>) -> Result<T> + Send + 'static,
) -> Result<T> {
    if options.timeout.is_zero() || options.timeout > MAX_HANDSHAKE_TIMEOUT {
        return Err(Error::InvalidArgument(
            "the connect timeout must be more than 0 and at most a day".into(),
        ));
    }
    let target = Target::parse(url)?;
    let headers = request_headers(options)?;
    let request = ConnectRequest::new(&target.authority, &target.path, &headers)?;
    let (tls, refusal) = tls::client_config(&options.trust)?;
    let crypto = Arc::new(ClientCrypto::new(tls, Extensions::default()));
    endpoint::transport_config(&options.connection, false)?;
    let runtime = runtime::get()?;
    let limit = options.timeout;
    let attempt = Attempt {
        target,
        request,
        crypto,
        refusal,
        options: options.clone(),
        lane: udp::next_lane()?,
        deadline: Instant::now() + limit + DEADLINE_MARGIN,
    };
    let lane = attempt.lane.lane().lane_to_lead();
    runtime.service().run(lane, async move {
        let described = attempt.target.authority.clone();
        let attempt = timeout(limit, attempt.run());
        tokio::select! {
            result = attempt => result
                .unwrap_or_else(|_| {
                    Err(Error::ConnectTimeout(format!(
                        "no session with {described} within {limit:?}; \
                         nobody may be listening there, or a firewall drops UDP"
                    )))
                })
                .and_then(prepare),
            () = runtime.ending() => Err(Error::ShutDown),
        }
    })
}

/// The header fields of the request, with the subprotocols.
fn request_headers(options: &ConnectOptions) -> Result<Vec<(String, String)>> {
    if options.headers.iter().any(|field| field.0.eq_ignore_ascii_case(subprotocol::AVAILABLE)) {
        return Err(Error::InvalidArgument("subprotocols are no header field here".into()));
    }
    let available = subprotocol::available(&options.subprotocols)?;
    let field = available.map(|value| (subprotocol::AVAILABLE.to_owned(), value));
    Ok(options.headers.iter().cloned().chain(field).collect())
}

/// The target that a URL names.
#[derive(Debug, Clone)]
struct Target {
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Target {
    fn parse(text: &str) -> Result<Self> {
        let invalid = |what: String| Error::InvalidUrl(what.into());
        let url = Url::parse(text).map_err(|error| invalid(format!("{error}")))?;
        if url.scheme() != "https" {
            return Err(invalid(format!("the scheme must be https, not {}", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("user names and passwords are not sent".into()));
        }
        if url.fragment().is_some() {
            return Err(invalid("a fragment has no meaning here".into()));
        }
        let host = url.host().ok_or_else(|| invalid("there is no host".into()))?;
        let port = url.port().unwrap_or(443);
        if port == 0 {
            return Err(invalid("port 0 cannot be connected to".into()));
        }
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let mut path = url.path().to_owned();
        if let Some(query) = url.query() {
            path.push('?');
            path.push_str(query);
        }
        let host = match host {
            url::Host::Domain(name) => name.to_owned(),
            url::Host::Ipv4(address) => address.to_string(),
            url::Host::Ipv6(address) => address.to_string(),
        };
        Ok(Self { host, port, authority, path })
    }

    async fn addresses(&self, bind: Option<IpAddr>) -> Result<Vec<SocketAddr>> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port))
            .await
            .map_err(|error| Error::NameNotResolved(format!("{}: {error}", self.host)))?;
        let usable: Vec<_> =
            found.filter(|address| bind.is_none_or(|bind| bind.is_ipv4() == address.is_ipv4())).collect();
        if usable.is_empty() {
            return Err(Error::NameNotResolved(format!("{} has no address of the right family", self.host)));
        }
        Ok(usable)
    }
}

struct Attempt {
    target: Target,
    request: ConnectRequest,
    crypto: Arc<ClientCrypto>,
    refusal: Refusal,
    options: ConnectOptions,
    lane: Arc<UdpLane>,
    deadline: Instant,
}

/// A connection on which QUIC's handshake has begun. It leaves nothing behind when it is dropped.
struct Reached {
    address: SocketAddr,
    session: Arc<LinkSession>,
    socket: Arc<ClientSocket>,
    key: ConnectionKey,
    /// The HTTP/3 code that closes the connection when this is dropped; `None` once there is a
    /// session.
    code: Option<u64>,
}

impl Drop for Reached {
    fn drop(&mut self) {
        if let Some(code) = self.code {
            self.socket.lane.lane().post(Command::Close(self.key, code));
        }
    }
}

impl Attempt {
    async fn run(self) -> Result<Arc<LinkSession>> {
        let addresses = self.target.addresses(self.options.bind_host).await?;
        let mut reached = self.first_of(addresses).await?;
        reached.code = Some(H3_REQUEST_CANCELLED);
        let (sender, done) = oneshot::channel();
        let ask =
            Ask { request: self.request.clone(), done: Box::new(move |result| drop(sender.send(result))) };
        self.lane.lane().core().ask(Instant::now(), reached.key, ask);
        self.lane.lane().wake();
        done.await.unwrap_or(Err(Error::Closed))?;
        reached.code = None;
        let session = Arc::clone(&reached.session);
        let closer: Weak<dyn CloseOnShutdown> = Arc::downgrade(&session) as _;
        runtime::close_on_shutdown(closer);
        Ok(session)
    }

    /// Tries every address, each a little after the one before, and keeps the first that answers.
    /// An answer with a certificate that is not trusted is an answer, too: it ends the search, as
    /// in a browser.
    async fn first_of(&self, addresses: Vec<SocketAddr>) -> Result<Reached> {
        let mut attempts = JoinSet::new();
        let mut waiting = addresses.into_iter();
        let mut next = waiting.next();
        let mut failure = None;
        loop {
            while let Some(address) = next.take() {
                match self.one(address) {
                    Ok(attempt) => drop(attempts.spawn(attempt)),
                    // For example, this system does not have the address family.
                    Err(error) => {
                        failure.get_or_insert(error);
                        next = waiting.next();
                    }
                }
            }
            let ended = tokio::select! {
                Some(ended) = attempts.join_next() => Some(ended),
                () = sleep(NEXT_ADDRESS_AFTER), if waiting.len() > 0 => None,
                else => return Err(failure.unwrap_or(Error::Closed)),
            };
            match ended {
                Some(Ok(Ok(found))) => return Ok(found),
                Some(Ok(Err(error))) if is_final(&error) => return Err(error),
                Some(Ok(Err(error))) => {
                    failure.get_or_insert(error);
                    next = waiting.next();
                }
                Some(Err(panic)) => {
                    failure.get_or_insert(Error::Internal(panic.to_string().into()));
                    next = waiting.next();
                }
                None => next = waiting.next(),
            }
        }
    }

    fn one(&self, address: SocketAddr) -> Result<impl Future<Output = Result<Reached>> + 'static> {
        let any: IpAddr =
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let bind = self.options.bind_host.unwrap_or(any);
        let socket = ClientSocket::on(bind, &self.options.connection, &self.lane)?;
        let (transport, view) = endpoint::transport_config(&self.options.connection, false)?;
        let mut config = ClientConfig::new(Arc::clone(&self.crypto) as _);
        config.transport_config(transport);
        let lane = self.lane.lane();
        let session = LinkSession::new(Arc::clone(lane));
        let (sender, connected) = oneshot::channel();
        let key = lane
            .core()
            .connect(
                Instant::now(),
                socket.endpoint,
                config,
                (address, &self.target.host),
                view,
                Arc::clone(&session),
                self.deadline,
                (Box::new(Arc::clone(&socket)), Box::new(move |result| drop(sender.send(result)))),
            )
            .map_err(|error| Error::Protocol(format!("cannot connect to {address}: {error}")))?;
        lane.wake();
        let refusal = self.refusal.clone();
        let reached = Reached { address, session, socket, key, code: Some(H3_NO_ERROR) };
        Ok(async move {
            let connected = connected.await.unwrap_or(Err(ConnectionError::LocallyClosed));
            connected.map_err(|error| explain(error, reached.address, &refusal))?;
            Ok(reached)
        })
    }
}

/// Whether no other address can give a better answer than this error.
fn is_final(error: &Error) -> bool {
    matches!(
        error,
        Error::CertificateUntrusted(_)
            | Error::CertificateExpired(_)
            | Error::CertificateNameMismatch(_)
            | Error::CertificateHashMismatch(_)
            | Error::Tls(_)
    )
}

/// The error of a QUIC handshake that failed.
fn explain(error: ConnectionError, address: SocketAddr, refusal: &Refusal) -> Error {
    if let Some(reason) = refusal.take() {
        return reason;
    }
    match error {
        ConnectionError::TimedOut => Error::ConnectTimeout(format!("{address} does not answer")),
        ConnectionError::Reset => Error::ConnectionRefused(format!("{address} reset the connection")),
        ConnectionError::ConnectionClosed(close) => {
            let code = u64::from(close.error_code);
            let reason = readable(String::from_utf8_lossy(&close.reason));
            match code {
                CONNECTION_REFUSED => Error::ConnectionRefused(format!("{address} {reason}")),
                code if tls::CRYPTO_ERRORS.contains(&code) => {
                    Error::Tls(format!("{address} refused with TLS alert {}: {reason}", code & 0xff))
                }
                _ => Error::Protocol(readable(format!("{address}: {close}"))),
            }
        }
        ConnectionError::TransportError(error) if tls::CRYPTO_ERRORS.contains(&u64::from(error.code)) => {
            Error::Tls(format!("{address}: {error}"))
        }
        error => Error::Protocol(readable(format!("{address}: {error}"))),
    }
}

/// A UDP socket that client sessions share. It closes with the last of them.
struct ClientSocket {
    lane: Arc<UdpLane>,
    endpoint: EndpointKey,
}

/// The key of a shared socket: sessions share one if they would open the same one on the same lane.
type Key = (IpAddr, usize, usize, usize);

static SOCKETS: Mutex<Option<HashMap<Key, Weak<ClientSocket>>>> = Mutex::new(None);

impl ClientSocket {
    fn on(bind: IpAddr, options: &ConnectionOptions, lane: &Arc<UdpLane>) -> Result<Arc<Self>> {
        let index = lane.lane().index();
        let key = (bind, options.socket_receive_buffer_bytes, options.socket_send_buffer_bytes, index);
        let mut sockets = SOCKETS.lock();
        let sockets = sockets.get_or_insert_default();
        if let Some(socket) = sockets.get(&key).and_then(Weak::upgrade) {
            return Ok(socket);
        }
        let udp = udp::bind(Some(bind), 0, options)?;
        let address = udp.local_addr().map_err(|error| Error::io("reading the bound address", &error))?;
        let udp = udp::Prepared::new(udp)?;
        let quic = endpoint::quic(&Secrets::random()?, index, None, udp.may_fragment());
        let endpoint = lane.lane().core().add_endpoint(quic, address, None);
        // From here on, the endpoint is retired when `socket` is dropped.
        let socket = Arc::new(Self { lane: Arc::clone(lane), endpoint });
        lane.open(endpoint, udp)?;
        sockets.retain(|_, socket| socket.strong_count() > 0);
        sockets.insert(key, Arc::downgrade(&socket));
        Ok(socket)
    }
}

impl Drop for ClientSocket {
    fn drop(&mut self) {
        self.lane.lane().post(Command::Retire(self.endpoint));
        // This may run in a turn. A turn must not wait for a lock that a thread holds while it
        // waits for the core.
        if let Some(mut sockets) = SOCKETS.try_lock() {
            if let Some(map) = sockets.as_mut() {
                map.retain(|_, socket| socket.strong_count() > 0);
            }
            sockets.take_if(|map| map.is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::link::Server;
    use crate::link::config::{ListenOptions, Trust};

    #[test]
    fn a_url_gives_host_port_authority_and_path() {
        let target = Target::parse("https://Example.com/a/b?c=d").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("example.com", 443));
        assert_eq!((target.authority.as_str(), target.path.as_str()), ("example.com", "/a/b?c=d"));
        let target = Target::parse("https://[::1]:4433").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("::1", 4433));
        assert_eq!((target.authority.as_str(), target.path.as_str()), ("[::1]:4433", "/"));
    }

    #[test]
    fn urls_that_cannot_name_a_session_are_refused() {
        for text in [
            "",
            "localhost",
            "http://localhost/",
            "https://",
            "https://u:p@h/",
            "https://h/#f",
            "https://h:0/",
            "https://h:99999/",
        ] {
            assert!(matches!(Target::parse(text), Err(Error::InvalidUrl(_))), "{text}");
        }
    }

    fn server_on(host: IpAddr) -> Arc<Server> {
        Server::listen(&ListenOptions { host: Some(host), ..ListenOptions::default() }).unwrap()
    }

    /// The result of an attempt at a name with these addresses.
    fn reach(addresses: &[SocketAddr], hash: [u8; 32]) -> Result<SocketAddr> {
        let options =
            ConnectOptions { trust: Trust::CertificateHashes(vec![hash]), ..ConnectOptions::default() };
        let (tls, refusal) = tls::client_config(&options.trust)?;
        let attempt = Attempt {
            target: Target::parse("https://localhost/")?,
            request: ConnectRequest::new("localhost", "/", &[])?,
            crypto: Arc::new(ClientCrypto::new(tls, Extensions::default())),
            refusal,
            options,
            lane: udp::next_lane()?,
            deadline: Instant::now() + Duration::from_secs(30),
        };
        let addresses = addresses.to_vec();
        runtime::get()?.service().run(None, async move { Ok(attempt.first_of(addresses).await?.address) })
    }

    /// An address that does not answer as long as the socket lives.
    fn silent(host: IpAddr) -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind((host, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    #[test]
    fn the_address_that_answers_is_found_among_silent_ones_of_both_families() {
        for (quiet, loud) in [(V4, V6), (V6, V4)] {
            let server = server_on(loud);
            let there = server.local_address();
            let (_socket, nobody) = silent(quiet);
            let started = Instant::now();
            assert_eq!(reach(&[nobody, nobody, there], server.certificate_hash()), Ok(there));
            assert!(started.elapsed() >= 2 * NEXT_ADDRESS_AFTER);
            assert_eq!(reach(&[there, nobody], server.certificate_hash()), Ok(there));
            server.close();
        }
    }

    #[test]
    fn an_untrusted_certificate_ends_the_attempt_though_another_address_is_silent() {
        let server = server_on(V4);
        let (_socket, nobody) = silent(V6);
        for addresses in [[nobody, server.local_address()], [server.local_address(), nobody]] {
            assert!(matches!(reach(&addresses, [0; 32]), Err(Error::CertificateHashMismatch(_))));
        }
        server.close();
    }

    #[test]
    fn an_address_that_cannot_even_be_tried_does_not_keep_from_the_next() {
        let server = server_on(V4);
        let there = server.local_address();
        // quinn refuses port 0 before it sends anything. In the same way, the system refuses a
        // socket of an address family that it lacks.
        let impossible = SocketAddr::new(V4, 0);
        assert_eq!(reach(&[impossible, there], server.certificate_hash()), Ok(there));
        assert!(matches!(reach(&[impossible, impossible], [0; 32]), Err(Error::Protocol(_))));
        server.close();
    }
}
