//! Requests that wait for the program's answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use rustls::pki_types::CertificateDer;

use super::Server;
use super::gate::Counted;
use super::stats::{Counters, Refused};
use crate::error::{Error, Result};
use crate::link::core::lane::Lane;
use crate::link::core::session::LinkSession;
use crate::link::core::{Answer, Command, ConnectionKey};
use crate::link::h3::{ConnectRequest, subprotocol};
use crate::runtime::readiness::{Pollable, Ready, Watchers};
use crate::runtime::wait::Deadline;
use crate::runtime::waiters::Lead;

/// A client's request. It is rejected when it is dropped unanswered.
pub struct Request {
    /// What the client asks for.
    pub request: ConnectRequest,
    /// The client's address.
    pub remote: SocketAddr,
    /// The HTTP status with which the server's rules would refuse it.
    pub refusal: Option<u16>,
    /// The certificates that the client has shown, its own first.
    pub peer_certificates: Vec<CertificateDer<'static>>,
    pub(super) key: ConnectionKey,
    pub(super) session: Arc<LinkSession>,
    pub(super) lane: Arc<Lane>,
    pub(super) counters: Arc<Counters>,
    /// Whether it was answered, or its client is gone.
    pub(super) is_over: AtomicBool,
    pub(super) watchers: Watchers,
}

impl Request {
    /// The subprotocols that the client offers, in its order of preference.
    pub fn subprotocols(&self) -> Vec<String> {
        subprotocol::offered(&self.request.headers)
    }

    /// Whether it can no longer be answered.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    fn answer(&self, answer: Answer) -> Result<()> {
        if self.is_over() {
            return Err(Error::Closed);
        }
        self.lane.core().answer(Instant::now(), self.key, answer)?;
        self.end();
        self.lane.wake();
        Ok(())
    }

    fn end(&self) {
        if !self.is_over.swap(true, Ordering::AcqRel) {
            self.watchers.notify();
        }
    }
}

impl Pollable for Request {
    fn ready(&self) -> Ready {
        Ready::CLOSED.when(self.is_over())
    }

    fn possible(&self) -> Ready {
        Ready::CLOSED
    }

    fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    fn lane_to_lead(&self) -> Option<Arc<dyn Lead>> {
        self.lane.lane_to_lead()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.is_over() {
            self.counters.refuse(Refused::Rejected);
            self.lane.post(Command::Decline(self.key));
        }
    }
}

/// Held by a connection while its request waits: takes the request away when the connection ends.
pub(super) struct Waits<T: Send + 'static> {
    pub(super) request: Weak<Request>,
    pub(super) server: Weak<Server<T>>,
    /// Its place among the requests that may wait, in the queue or in the program's hands.
    pub(super) _place: Counted,
}

impl<T: Send + 'static> Drop for Waits<T> {
    fn drop(&mut self) {
        let Some(request) = self.request.upgrade() else { return };
        request.end();
        if let Some(server) = self.server.upgrade() {
            server.requests.lock().retain(|waiting| !Arc::ptr_eq(waiting, &request));
        }
    }
}

impl<T: Send + 'static> Server<T> {
    /// Waits until `deadline` for the next request. Only a server that asks has any.
    pub fn next_request(&self, deadline: Deadline) -> Result<Arc<Request>> {
        if !self.asks {
            return Err(Error::InvalidState("this server accepts requests by its rules".into()));
        }
        self.arrived.wait_for(&self.requests, deadline, |requests| {
            if self.is_closed() {
                return Some(Err(Error::Closed));
            }
            requests.pop_front().map(Ok).or_else(|| self.is_stopped().then_some(Err(Error::Closed)))
        })
    }

    /// Accepts a request. Returns what [`Self::accept`] would return for the session.
    ///
    /// `headers` go into the response. `subprotocol` must be one that the client offers.
    pub fn accept_request(
        &self,
        request: &Request,
        headers: &[(String, String)],
        subprotocol: Option<&str>,
    ) -> Result<T> {
        let headers = response_headers(&request.request, headers, subprotocol)?;
        request.answer(Answer::Accept { headers })?;
        let session = &request.session;
        self.remember(session);
        let prepared = (self.prepare)(Arc::clone(session));
        self.close_late(session);
        prepared.inspect_err(|_| drop(session.close(0, "")))
    }

    /// Rejects a request with an HTTP status from 300 to 599.
    pub fn reject_request(&self, request: &Request, status: u16, headers: &[(String, String)]) -> Result<()> {
        request.answer(Answer::Reject { status, headers: headers.to_vec() })?;
        self.counters.refuse(Refused::Rejected);
        Ok(())
    }
}

/// The fields of a response that accepts `request`.
pub(super) fn response_headers(
    request: &ConnectRequest,
    headers: &[(String, String)],
    subprotocol: Option<&str>,
) -> Result<Vec<(String, String)>> {
    if headers.iter().any(|field| field.0.eq_ignore_ascii_case(subprotocol::CHOSEN)) {
        return Err(Error::InvalidArgument("the subprotocol is no header field here".into()));
    }
    let mut headers = headers.to_vec();
    if let Some(name) = subprotocol {
        if !subprotocol::offered(&request.headers).iter().any(|offered| offered == name) {
            let what = format!("the client does not offer the subprotocol {name:?}");
            return Err(Error::InvalidArgument(what.into()));
        }
        headers.push((subprotocol::CHOSEN.to_owned(), subprotocol::chosen(name)?));
    }
    Ok(headers)
}
