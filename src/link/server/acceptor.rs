//! What the lanes of a server ask it in their turns.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use quinn_proto::{ConnectionError, Incoming};

use super::gate::{Admitted, Decision, Newcomer};
use super::requests::{Request, Waits, response_headers};
use super::stats::{HandshakeFailure, Refused};
use super::{LeavesBacklog, Server, Waiting};
use crate::error::{Error, Result};
use crate::link::core::lane::Lane;
use crate::link::core::session::LinkSession;
use crate::link::core::{Accepted, Acceptor, Admission, Answer, Asked, RateLimit};
use crate::link::endpoint;
use crate::link::h3::{ConnectRequest, Protocol, section_bytes, subprotocol};
use crate::link::tls::{certificate_refused_here, is_crypto_error};
use crate::runtime::readiness::{Subscription, Watchers};
use crate::text::{beginning, readable};

/// The most bytes of a header field that are logged.
const LOGGED_BYTES: usize = 256;

/// A server as one of its lanes sees it.
pub(super) struct LaneAcceptor<T: Send + 'static> {
    pub(super) server: Arc<Server<T>>,
    pub(super) lane: Arc<Lane>,
}

impl<T: Send + 'static> Acceptor for LaneAcceptor<T> {
    fn ignored(&self) {
        self.server.counters.ignored.fetch_add(1, Ordering::Relaxed);
    }

    fn admit(&self, now: Instant, incoming: &Incoming) -> Admission {
        self.server.admit(now, incoming, &self.lane)
    }

    fn answer(&self, asked: Asked<'_>) -> Answer {
        self.server.answer(asked, &self.lane)
    }

    fn established(&self, session: &Arc<LinkSession>, took: Duration, is_answered: bool) -> Option<Duration> {
        self.server.established(session, took, is_answered)
    }

    fn not_accepted(&self, session: &Arc<LinkSession>) {
        self.server.not_accepted(session);
    }

    fn handshake_failed(&self, lost: Option<&ConnectionError>, error: &Error) {
        self.server.handshake_failed(lost, error);
    }

    fn refused_unread(&self) {
        self.server.refused_unread();
    }

    fn failed(&self) {
        self.server.close();
    }
}

impl<T: Send + 'static> Server<T> {
    fn admit(&self, now: Instant, incoming: &Incoming, lane: &Arc<Lane>) -> Admission {
        if self.is_stopped() {
            self.counters.refuse(Refused::Stopped);
            return Admission::Refuse;
        }
        let newcomer = Newcomer {
            address: incoming.remote_address().ip(),
            is_proved: incoming.remote_address_validated(),
            may_retry: incoming.may_retry(),
        };
        let Admitted { place, half_open, replaces_oldest } = match self.gate.admit(now, newcomer) {
            Decision::Admit(admitted) => admitted,
            Decision::Retry => {
                self.counters.retries.fetch_add(1, Ordering::Relaxed);
                return Admission::Retry;
            }
            Decision::Refuse(reason) => {
                self.counters.refuse(reason);
                return Admission::Refuse;
            }
        };
        let Ok((transport, view)) = endpoint::transport_config(&self.options, true) else {
            return Admission::Refuse;
        };
        let mut config = self.config.clone();
        config.transport_config(transport);
        Admission::Accept(Box::new(Accepted {
            config: Arc::new(config),
            view,
            session: LinkSession::with_memory(Arc::clone(lane), Some(Arc::clone(self.memory()))),
            deadline: now + self.handshake_timeout,
            half_open: Box::new(half_open),
            place: Box::new(place),
            replaces_oldest,
            rate_limit: RateLimit::new(now, self.session_rate, &self.over_rate),
        }))
    }

    fn answer(&self, asked: Asked<'_>, lane: &Arc<Lane>) -> Answer {
        let request = asked.request;
        let refused = match self.too_large(request) {
            None if !self.asks => self.rules.refuse(request),
            too_large => too_large,
        };
        let is_full = || !self.asks && self.backlog.lock().len() >= self.backlog_limit;
        let refused = refused.or_else(|| is_full().then_some(Refused::Backlog));
        let refused = refused.or(self.is_stopped().then_some(Refused::Stopped));
        if let Some(reason) = refused {
            return self.refuse(reason, request);
        }
        if self.asks {
            return self.ask_program(asked, lane);
        }
        let offered = subprotocol::offered(&request.headers);
        let chosen = self.subprotocols.iter().find(|name| offered.contains(name));
        let headers = response_headers(request, &[], chosen.map(String::as_str)).unwrap_or_default();
        Answer::Accept { headers }
    }

    fn refused_unread(&self) {
        self.counters.refuse(Refused::Headers);
        tracing::debug!(reason = ?Refused::Headers, "a request was refused");
    }

    fn established(&self, session: &Arc<LinkSession>, took: Duration, is_answered: bool) -> Option<Duration> {
        let queued = if is_answered { Ok(()) } else { self.enqueue(session) };
        match &queued {
            Ok(()) => self.counters.establish(took),
            Err(Error::Closed) => self.counters.refuse(Refused::Stopped),
            Err(_) => self.counters.refuse(Refused::Backlog),
        }
        if is_answered {
            return None;
        }
        self.remember(session);
        self.close_late(session);
        if queued.is_err() {
            let _ = session.close(0, "");
        }
        self.accept_timeout
    }

    fn not_accepted(&self, session: &Arc<LinkSession>) {
        if self.leave_backlog(session).is_some() {
            self.counters.not_accepted.fetch_add(1, Ordering::Relaxed);
            let _ = session.close(0, "the server's program did not accept the session in time");
        }
    }

    fn handshake_failed(&self, lost: Option<&ConnectionError>, error: &Error) {
        self.counters.fail(match (lost, error) {
            (Some(ConnectionError::TimedOut), _) | (_, Error::TimedOut) => HandshakeFailure::TimedOut,
            (_, Error::LimitReached(_)) => HandshakeFailure::Evicted,
            (Some(lost), _) if certificate_refused_here(lost).is_some() => {
                HandshakeFailure::ClientCertificate
            }
            (Some(lost), _) if is_crypto_error(lost) => HandshakeFailure::Tls,
            (Some(ConnectionError::TransportError(_) | ConnectionError::VersionMismatch), _) => {
                HandshakeFailure::Protocol
            }
            (Some(_), _) | (_, Error::Closed) => HandshakeFailure::Lost,
            _ => HandshakeFailure::Protocol,
        });
    }

    fn too_large(&self, request: &ConnectRequest) -> Option<Refused> {
        let limits = &self.limits;
        if request.path.len() > limits.max_path_bytes {
            Some(Refused::PathLength)
        } else if request.headers.len() > limits.max_header_fields
            || section_bytes(request.fields(Protocol::WebTransportH3)) > limits.max_header_bytes
        {
            Some(Refused::Headers)
        } else {
            None
        }
    }

    fn refuse(&self, reason: Refused, request: &ConnectRequest) -> Answer {
        self.counters.refuse(reason);
        let shown = |text| readable(beginning(text, LOGGED_BYTES));
        match reason {
            Refused::Origin => {
                if let Some(others) = self.refused_origins.allows(Instant::now()) {
                    tracing::warn!(
                        origin = %shown(request.origin().unwrap_or_default()),
                        authority = %shown(&request.authority),
                        others,
                        "a web page of another origin was refused; allow it with allowed_origins"
                    );
                }
            }
            reason => tracing::debug!(?reason, "a request was refused"),
        }
        Answer::Reject { status: reason.status(), headers: Vec::new() }
    }

    /// Puts the request where [`Server::next_request`] finds it.
    fn ask_program(&self, asked: Asked<'_>, lane: &Arc<Lane>) -> Answer {
        let Some(place) = self.gate.ask(self.backlog_limit) else {
            return self.refuse(Refused::Backlog, asked.request);
        };
        let request = Arc::new(Request {
            request: asked.request.clone(),
            remote: asked.remote,
            refusal: self.rules.refuse(asked.request).map(Refused::status),
            peer_certificates: asked.peer_certificates,
            key: asked.key,
            session: Arc::clone(asked.session),
            lane: Arc::clone(lane),
            counters: Arc::clone(&self.counters),
            is_over: AtomicBool::new(false),
            watchers: Watchers::default(),
        });
        let waits = Waits { request: Arc::downgrade(&request), server: Weak::clone(&self.me), _place: place };
        let mut requests = self.requests.lock();
        // `stop_listening` promises that no more requests come.
        if self.is_stopped() {
            drop(requests);
            request.is_over.store(true, Ordering::Release);
            return self.refuse(Refused::Stopped, asked.request);
        }
        requests.push_back(request);
        drop(requests);
        self.tell();
        Answer::Later { waits: Box::new(waits) }
    }

    /// Puts an established session into the backlog, where it waits for `accept`.
    fn enqueue(&self, session: &Arc<LinkSession>) -> Result<()> {
        let prepared = (self.prepare)(Arc::clone(session))?;
        let watcher =
            Arc::new(LeavesBacklog { server: Weak::clone(&self.me), session: Arc::downgrade(session) });
        let ended = Subscription::new(Arc::clone(session) as _, watcher);
        {
            let mut backlog = self.backlog.lock();
            if backlog.len() >= self.backlog_limit {
                return Err(Error::LimitReached("the accept backlog is full".into()));
            }
            // `stop_listening` promises that no more sessions come.
            if self.is_stopped() {
                return Err(Error::Closed);
            }
            backlog.push_back(Waiting { session: Arc::clone(session), prepared, _ended: ended });
        }
        self.tell();
        // The session may have ended before it was in the backlog.
        if session.is_closed() {
            drop(self.leave_backlog(session));
        }
        Ok(())
    }
}
