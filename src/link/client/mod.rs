//! Client sessions. Sessions that send from the same address share a UDP socket (`socket`).
//!
//! An attempt to connect is a task of the service thread. It resolves the name (`resolve`), tries the
//! addresses (`race`), and asks for the session on the connection that answers first. It ends when
//! the session is established, has failed (`failure`), or was closed by its user.

mod failure;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod race;
mod resolve;
mod socket;
mod target;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use quinn_proto::{ClientConfig, ConnectionError};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout_at;

use super::config::{ConnectOptions, MAX_HANDSHAKE_TIMEOUT};
use super::core::session::LinkSession;
use super::core::{Ask, Command, ConnectionKey};
use super::h3::error::{H3_NO_ERROR, H3_REQUEST_CANCELLED};
use super::h3::{ConnectRequest, subprotocol};
use super::tls::{self, ClientCrypto, Extensions, Refusal};
use super::udp::UdpLane;
use super::{endpoint, udp};
use crate::error::{Error, Result};
use crate::runtime::readiness::{Subscription, Watcher};
use crate::runtime::{self, CloseOnShutdown};
use failure::{explain, is_final};
use race::race;
use resolve::resolve;
use socket::ClientSocket;
use target::Target;

/// How much longer than its attempt a connection may live: the attempt reports better why it
/// failed.
const DEADLINE_MARGIN: Duration = Duration::from_secs(1);

/// Begins to establish a session, and returns it at once. It says by itself when it is established
/// or has failed ([`LinkSession::wait_connected`]). Closing it ends the attempt.
///
/// Calls `prepare` in a turn of the session's lane, just before the session is connected. If that
/// fails, the attempt fails.
pub fn start(
    url: &str,
    options: &ConnectOptions,
    prepare: impl FnOnce(&Arc<LinkSession>) -> Result<()> + Send + 'static,
) -> Result<Arc<LinkSession>> {
    let limit = options.timeout;
    if limit.is_zero() || limit > MAX_HANDSHAKE_TIMEOUT {
        return Err(Error::InvalidArgument(
            "the connect timeout must be more than 0 and at most a day".into(),
        ));
    }
    let target = Target::parse(url)?;
    let headers = request_headers(options)?;
    let request = ConnectRequest::new(&target.authority, &target.path, &headers)?;
    let (tls, refusal) = tls::client_config(options)?;
    let crypto = Arc::new(ClientCrypto::new(tls, Extensions::default()));
    endpoint::transport_config(&options.connection, false)?;
    let runtime = runtime::get()?;
    let lane = udp::next_lane()?;
    let session = LinkSession::new(Arc::clone(lane.lane()));
    let attempt = Attempt {
        target,
        request,
        crypto,
        refusal,
        options: options.clone(),
        lane,
        session: Arc::clone(&session),
        deadline: Instant::now() + limit,
    };
    let closer: Weak<dyn CloseOnShutdown> = Arc::downgrade(&session) as _;
    runtime::close_on_shutdown(closer);
    runtime.service().spawn(attempt.run(Box::new(prepare)));
    Ok(session)
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

type Prepare = Box<dyn FnOnce(&Arc<LinkSession>) -> Result<()> + Send>;

struct Attempt {
    target: Target,
    request: ConnectRequest,
    crypto: Arc<ClientCrypto>,
    refusal: Refusal,
    options: ConnectOptions,
    lane: Arc<UdpLane>,
    session: Arc<LinkSession>,
    /// The attempt has failed if there is no session by then.
    deadline: Instant,
}

/// A connection on which QUIC's handshake has begun. It leaves nothing behind when it is dropped,
/// unless its session was established.
struct Reached {
    address: SocketAddr,
    socket: Arc<ClientSocket>,
    key: ConnectionKey,
    /// The HTTP/3 code with which the connection is closed.
    code: u64,
}

impl Drop for Reached {
    fn drop(&mut self) {
        self.socket.lane.lane().post(Command::Close(self.key, self.code));
    }
}

impl Attempt {
    /// The whole attempt, until the session is connected or over.
    async fn run(self, prepare: Prepare) {
        let session = Arc::clone(&self.session);
        let mut guard = FailsWhenDropped(Some(Arc::clone(&session)));
        let (authority, limit, deadline) =
            (self.target.authority.clone(), self.options.timeout, self.deadline);
        let too_late = || {
            Error::ConnectTimeout(format!(
                "no session with {authority} within {limit:?}; \
                 nobody may be listening there, or a firewall drops UDP"
            ))
        };
        drive(&session, deadline, self.establish(prepare), too_late).await;
        // The lane may be about to say that the session is connected.
        guard.0 = None;
    }

    async fn establish(self, prepare: Prepare) -> Result<()> {
        let addresses = resolve(&self.target.host, self.target.port, self.options.bind_host).await?;
        let mut reached = self.first_of(addresses).await?;
        reached.code = H3_REQUEST_CANCELLED;
        let (sender, done) = oneshot::channel();
        let session = Arc::clone(&self.session);
        // In a turn: threads that wait for the session are woken before this task is.
        let answered = move |answer: Result<(), Error>| {
            if let Err(error) = answer.and_then(|()| prepare(&session)) {
                session.fail(error);
            }
            let _ = sender.send(());
        };
        let ask = Ask { request: self.request.clone(), done: Box::new(answered) };
        self.lane.lane().core().ask(Instant::now(), reached.key, ask);
        self.lane.lane().wake();
        done.await.map_err(|_| Error::Closed)
    }

    /// The first address that answers. An answer with a certificate that is not trusted is an
    /// answer, too: it ends the search, as in a browser.
    async fn first_of(&self, addresses: Vec<SocketAddr>) -> Result<Reached> {
        race(addresses, |address| self.one(address), is_final).await
    }

    fn one(&self, address: SocketAddr) -> Result<impl Future<Output = Result<Reached>> + 'static> {
        let any: IpAddr =
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let bind = self.options.bind_host.unwrap_or(any);
        udp::check_route(bind, address)?;
        let socket = ClientSocket::on(bind, &self.options.connection, &self.lane)?;
        let (transport, view) = endpoint::transport_config(&self.options.connection, false)?;
        let mut config = ClientConfig::new(Arc::clone(&self.crypto) as _);
        config.transport_config(transport);
        let lane = self.lane.lane();
        let (sender, connected) = oneshot::channel();
        let key = lane
            .core()
            .connect(
                Instant::now(),
                socket.endpoint,
                config,
                (address, &self.target.host),
                view,
                Arc::clone(&self.session),
                self.deadline + DEADLINE_MARGIN,
                (Box::new(Arc::clone(&socket)), Box::new(move |result| drop(sender.send(result)))),
            )
            .map_err(|error| Error::Protocol(format!("cannot connect to {address}: {error}")))?;
        lane.wake();
        let refusal = self.refusal.clone();
        let reached = Reached { address, socket, key, code: H3_NO_ERROR };
        Ok(async move {
            let connected = connected.await.unwrap_or(Err(ConnectionError::LocallyClosed));
            connected.map_err(|error| explain(error, reached.address, &refusal))?;
            Ok(reached)
        })
    }
}

/// Drives the work of an attempt until it has ended, is `too_late` or is no longer wanted.
async fn drive(
    session: &Arc<LinkSession>,
    deadline: Instant,
    work: impl Future<Output = Result<()>>,
    too_late: impl FnOnce() -> Error,
) {
    // The work is dropped after the session knows why it failed. It leaves connections that the lane
    // closes at once, and then the lane only knows that they are closed.
    let work = std::pin::pin!(work);
    let result = tokio::select! {
        result = timeout_at(deadline.into(), work) => result,
        () = closed(session) => return,
    };
    if let Err(error) = result.unwrap_or_else(|_| Err(too_late())) {
        session.fail(error);
    }
}

/// Resolves when the session is over, for example because its user no longer wants it.
async fn closed(session: &Arc<LinkSession>) {
    let changed = Arc::new(Changed(Notify::new()));
    let _watch = Subscription::new(Arc::clone(session) as _, Arc::clone(&changed) as _);
    while !session.is_closed() {
        changed.0.notified().await;
    }
}

struct Changed(Notify);

impl Watcher for Changed {
    fn changed(&self) {
        self.0.notify_one();
    }
}

/// Makes sure that nobody waits for a task that does not end by itself, for example because it
/// panics.
struct FailsWhenDropped(Option<Arc<LinkSession>>);

impl Drop for FailsWhenDropped {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            session.fail(Error::Internal("the task of the attempt to connect is gone".into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::mpsc;

    use super::*;
    use crate::link::Server;
    use crate::link::config::{ListenOptions, Trust};

    fn server_on(host: IpAddr) -> Arc<Server> {
        Server::listen(&ListenOptions { host: Some(host), ..ListenOptions::default() }).unwrap()
    }

    /// The result of an attempt at a name with these addresses.
    fn reach(addresses: &[SocketAddr], hash: [u8; 32]) -> Result<SocketAddr> {
        let options =
            ConnectOptions { trust: Trust::CertificateHashes(vec![hash]), ..ConnectOptions::default() };
        let (tls, refusal) = tls::client_config(&options)?;
        let lane = udp::next_lane()?;
        let attempt = Attempt {
            target: Target::parse("https://localhost/")?,
            request: ConnectRequest::new("localhost", "/", &[])?,
            crypto: Arc::new(ClientCrypto::new(tls, Extensions::default())),
            refusal,
            options,
            session: LinkSession::new(Arc::clone(lane.lane())),
            lane,
            deadline: Instant::now() + Duration::from_secs(30),
        };
        let addresses = addresses.to_vec();
        let (sender, result) = mpsc::channel();
        runtime::get()?.service().spawn(async move {
            let reached = attempt.first_of(addresses).await;
            sender.send(reached.map(|reached| reached.address)).expect("the test waits");
        });
        result.recv_timeout(Duration::from_secs(60)).expect("a result in time")
    }

    /// An address that does not answer as long as the socket lives.
    fn silent(host: IpAddr) -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind((host, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    /// Does what a lane may do as soon as a connection is given up.
    struct Connection(Arc<LinkSession>);

    impl Drop for Connection {
        fn drop(&mut self) {
            self.0.fail(Error::Closed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_is_too_late_says_so_before_it_gives_up_its_connections() {
        let session = LinkSession::new(Arc::clone(udp::next_lane().unwrap().lane()));
        let connection = Connection(Arc::clone(&session));
        let work = async move {
            let _connection = connection;
            std::future::pending().await
        };
        let too_late = || Error::ConnectTimeout("too late".into());
        drive(&session, Instant::now() + Duration::from_secs(10), work, too_late).await;
        assert_eq!(session.connect_failure(), Ok(too_late()));
    }

    #[test]
    fn the_address_that_answers_is_found_among_silent_ones_of_both_families() {
        for (quiet, loud) in [(V4, V6), (V6, V4)] {
            let server = server_on(loud);
            let there = server.local_address();
            let (_socket, nobody) = silent(quiet);
            let started = Instant::now();
            assert_eq!(reach(&[nobody, nobody, there], server.certificate_hash()), Ok(there));
            assert!(started.elapsed() >= 2 * race::ATTEMPT_DELAY);
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
        // quinn refuses port 0 before it sends anything. The system refuses a link-local address
        // without its link, as it does an address to which it has no route.
        let impossible = SocketAddr::new(V4, 0);
        let without_route = "[fe80::1]:443".parse().unwrap();
        assert_eq!(reach(&[impossible, without_route, there], server.certificate_hash()), Ok(there));
        assert!(matches!(reach(&[impossible, without_route], [0; 32]), Err(Error::Protocol(_))));
        assert!(matches!(reach(&[without_route, impossible], [0; 32]), Err(Error::Io { .. })));
        server.close();
    }
}
