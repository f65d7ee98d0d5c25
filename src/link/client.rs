//! Client sessions: one UDP socket for all of them that send from the same address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use url::Url;
use wtransport::quinn::{self, ClientConfig, Connection, ConnectionError, Endpoint};

use super::config::{ConnectOptions, ConnectionOptions, MAX_HANDSHAKE_TIMEOUT};
use super::congestion::PathView;
use super::driver::{Driver, lost, varint};
use super::early::Early;
use super::h3::error::{H3_NO_ERROR, H3_REQUEST_CANCELLED, WT_REQUIREMENTS_NOT_MET};
use super::h3::{self, ConnectRequest, Event, Role};
use super::secrets::Secrets;
use super::session::{Established, Session};
use super::tls::{self, ClientCrypto, Extensions, Refusal};
use super::{endpoint, udp};
use crate::error::{Error, Result};
use crate::runtime::{self, CloseOnShutdown, Lane};
use crate::text::readable;

/// An address that has not answered by then is joined by the next one (RFC 8305 section 5 suggests 250 ms).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// QUIC's CONNECTION_REFUSED (RFC 9000 section 20.1), and the first of the TLS alerts.
const CONNECTION_REFUSED: u64 = 0x2;
const CRYPTO_ERRORS: std::ops::RangeInclusive<u64> = 0x100..=0x1ff;

/// Establishes a session; waits until it is established or the attempt has failed. Not on a lane.
///
/// Returns what `prepare` makes of the session on its lane, before anything else happens on it.
pub fn connect<T: Send + 'static>(
    url: &str,
    options: &ConnectOptions,
    prepare: impl FnOnce(Arc<Session>) -> Result<T> + Send + 'static,
) -> Result<T> {
    if options.timeout.is_zero() || options.timeout > MAX_HANDSHAKE_TIMEOUT {
        return Err(Error::InvalidArgument(
            "the connect timeout must be more than 0 and at most a day".into(),
        ));
    }
    let target = Target::parse(url)?;
    let request = ConnectRequest::new(&target.authority, &target.path, &options.headers)?;
    let (tls, refusal) = tls::client_config(&options.trust)?;
    let crypto = ClientCrypto::new(tls, Extensions::default());
    endpoint::transport_config(&options.connection, false)?;
    let runtime = runtime::get()?;
    let lane = runtime.lane();
    let attempt = Attempt {
        target,
        request,
        crypto: Arc::new(crypto),
        refusal,
        options: options.clone(),
        lane: lane.clone(),
    };
    let limit = options.timeout;
    lane.run(async move {
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

/// What a URL asks for.
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

/// A connection, what its socket is kept open by, and the view of its path.
type Reached = (Arc<ClientSocket>, Connection, Arc<PathView>);

struct Attempt {
    target: Target,
    request: ConnectRequest,
    crypto: Arc<ClientCrypto>,
    refusal: Refusal,
    options: ConnectOptions,
    lane: Lane,
}

impl Attempt {
    async fn run(self) -> Result<Arc<Session>> {
        let addresses = self.target.addresses(self.options.bind_host).await?;
        let (socket, connection, view) = self.first_of(addresses).await?;
        let session = Session::new(self.lane.clone());
        let driver = Driver::new(connection.clone(), h3::Session::client(), Arc::clone(&session));
        // Whatever happens from here on, a deadline included, an attempt that fails leaves no connection behind.
        let mut guard = CloseUnlessEstablished(Some(connection.clone()));
        let established = self.ask(&driver, connection, view, socket.address).await;
        let (connect, control) = match established {
            Ok((connect, control, facts)) => {
                session.set_established(facts);
                (connect, control)
            }
            Err(error) => {
                if let Some(connection) = guard.0.take() {
                    connection.close(varint(H3_NO_ERROR), b"");
                }
                return Err(error);
            }
        };
        let closer: Weak<dyn CloseOnShutdown> = Arc::downgrade(&session) as _;
        runtime::close_on_shutdown(closer);
        guard.0 = None;
        driver.run(connect, control, socket);
        Ok(session)
    }

    /// Tries every address, a little after one another, and keeps the first that answers. One that answers with a
    /// certificate that is not trusted has answered: it ends the search, as it would in a browser.
    async fn first_of(&self, addresses: Vec<SocketAddr>) -> Result<Reached> {
        let mut attempts = JoinSet::new();
        let mut waiting = addresses.into_iter();
        let mut next = waiting.next();
        let mut failure = None;
        loop {
            while let Some(address) = next.take() {
                match self.one(address) {
                    Ok(attempt) => drop(attempts.spawn(attempt)),
                    // A family that this system does not have, say.
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
        let connecting = socket
            .endpoint
            .connect_with(config, address, &self.target.host)
            .map_err(|error| Error::Protocol(format!("cannot connect to {address}: {error}")))?;
        let refusal = self.refusal.clone();
        Ok(async move {
            let connection = connecting.await.map_err(|error| explain(error, address, &refusal))?;
            Ok((socket, connection, view))
        })
    }

    /// Asks for the session over an open connection.
    async fn ask(
        &self,
        driver: &Arc<Driver>,
        connection: Connection,
        view: Arc<PathView>,
        socket_address: SocketAddr,
    ) -> Result<(quinn::SendStream, quinn::SendStream, Established)> {
        let control = driver.open().await?;
        let mut early = Early::default();
        let settings = early.before_connect(&connection, async {
            loop {
                match driver.event().await? {
                    Event::PeerSettings(settings) => return Ok(settings),
                    Event::Draining => {
                        return Err(Error::ConnectionRefused("the server is going away".into()));
                    }
                    _ => {}
                }
            }
        });
        let settings = settings.await?;
        if let Some(problem) = settings.problem(Role::Client) {
            connection.close(varint(WT_REQUIREMENTS_NOT_MET), problem.as_bytes());
            return Err(if settings.datagrams {
                Error::Protocol(problem.to_owned())
            } else {
                Error::Unsupported
            });
        }
        let asking = async {
            let (mut connect, receive) = connection.open_bi().await.map_err(|error| lost(&error))?;
            let id = u64::from(receive.id());
            let bytes = driver.with_state(|state| state.connect_bytes(id, &self.request))?;
            connect
                .write_all(&bytes)
                .await
                .map_err(|error| Error::Protocol(format!("the server took no request: {error}")))?;
            driver.read_own(receive);
            loop {
                match driver.event().await? {
                    Event::Response(response) if response.is_accepted() => return Ok((id, connect)),
                    Event::Response(response) => return Err(Error::Rejected { status: response.status }),
                    Event::Closed { .. } => {
                        return Err(Error::Protocol("the server closed the session at once".into()));
                    }
                    Event::Aborted { reason, .. } => return Err(Error::Protocol(reason.into_owned())),
                    _ => {}
                }
            }
        };
        let (id, connect) = early.before_session(&connection, asking).await?;
        let facts = Established {
            connection,
            view,
            broken: driver.broken(),
            early: Mutex::new(early),
            socket_address,
            id,
            path: self.request.path.clone(),
            authority: self.request.authority.clone(),
        };
        Ok((connect, control, facts))
    }
}

struct CloseUnlessEstablished(Option<Connection>);

impl Drop for CloseUnlessEstablished {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.close(varint(H3_REQUEST_CANCELLED), b"");
        }
    }
}

/// Whether an address has given an answer that no other address can better.
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

/// What a QUIC handshake that failed means.
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
                code if CRYPTO_ERRORS.contains(&code) => {
                    Error::Tls(format!("{address} refused with TLS alert {}: {reason}", code & 0xff))
                }
                _ => Error::Protocol(readable(format!("{address}: {close}"))),
            }
        }
        ConnectionError::TransportError(error) if CRYPTO_ERRORS.contains(&u64::from(error.code)) => {
            Error::Tls(format!("{address}: {error}"))
        }
        error => Error::Protocol(readable(format!("{address}: {error}"))),
    }
}

/// A UDP socket that client sessions share; it closes with the last of them.
struct ClientSocket {
    endpoint: Endpoint,
    address: SocketAddr,
    key: Key,
}

/// Sockets are shared by those that would have opened the same one on the same lane.
type Key = (IpAddr, usize, usize, usize);

static SOCKETS: Mutex<Option<HashMap<Key, Weak<ClientSocket>>>> = Mutex::new(None);

impl ClientSocket {
    fn on(bind: IpAddr, options: &ConnectionOptions, lane: &Lane) -> Result<Arc<Self>> {
        let key = (bind, options.socket_receive_buffer_bytes, options.socket_send_buffer_bytes, lane.index());
        let mut sockets = SOCKETS.lock();
        let sockets = sockets.get_or_insert_default();
        if let Some(socket) = sockets.get(&key).and_then(Weak::upgrade) {
            return Ok(socket);
        }
        let udp = udp::bind(Some(bind), 0, options)?;
        let address = udp.local_addr().map_err(|error| Error::io("reading the bound address", &error))?;
        let socket =
            Arc::new(Self { endpoint: endpoint::open(lane, udp, &Secrets::random()?, None)?, address, key });
        sockets.insert(key, Arc::downgrade(&socket));
        Ok(socket)
    }
}

impl Drop for ClientSocket {
    fn drop(&mut self) {
        let mut sockets = SOCKETS.lock();
        if let Some(map) = sockets.as_mut() {
            // Another may have taken the place meanwhile.
            if map.get(&self.key).is_some_and(|socket| socket.strong_count() == 0) {
                map.remove(&self.key);
            }
            if map.is_empty() {
                *sockets = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Instant;

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

    /// What an attempt at a name with these addresses comes to.
    fn reach(addresses: &[SocketAddr], hash: [u8; 32]) -> Result<SocketAddr> {
        let options =
            ConnectOptions { trust: Trust::CertificateHashes(vec![hash]), ..ConnectOptions::default() };
        let (tls, refusal) = tls::client_config(&options.trust)?;
        let lane = runtime::get()?.lane();
        let attempt = Attempt {
            target: Target::parse("https://localhost/")?,
            request: ConnectRequest::new("localhost", "/", &[])?,
            crypto: Arc::new(ClientCrypto::new(tls, Extensions::default())),
            refusal,
            options,
            lane: lane.clone(),
        };
        let addresses = addresses.to_vec();
        lane.run(async move { Ok(attempt.first_of(addresses).await?.1.remote_address()) })
    }

    /// An address where nobody answers, for as long as the socket lives.
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
        // quinn refuses port 0 before it sends anything, as the system refuses a socket of a family it lacks.
        let impossible = SocketAddr::new(V4, 0);
        assert_eq!(reach(&[impossible, there], server.certificate_hash()), Ok(there));
        assert!(matches!(reach(&[impossible, impossible], [0; 32]), Err(Error::Protocol(_))));
        server.close();
    }
}
