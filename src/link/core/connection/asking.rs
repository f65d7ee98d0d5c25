//! The way from QUIC's handshake to the session, on both sides: SETTINGS, CONNECT and its answer.

use std::sync::Arc;
use std::time::Instant;

use quinn_proto::{ConnectionError, Dir, StreamId, VarInt};
use rustls::pki_types::CertificateDer;

use super::{Connection, Stage};
use crate::error::Error;
use crate::link::core::ending;
use crate::link::core::handshake::{Answer, Ask, Asked, Granted, Handshake};
use crate::link::core::session::Established;
use crate::link::h3::error::{H3_NO_ERROR, H3_REQUEST_CANCELLED, WT_REQUIREMENTS_NOT_MET, varint};
use crate::link::h3::{ConnectRequest, Event, QuarterStreamId, Role, subprotocol};
use crate::text::readable;

impl Connection {
    /// Asks for the session of a client.
    pub(in crate::link::core) fn ask(&mut self, now: Instant, request: Ask) {
        if self.stage != Stage::Asking {
            // The connection was lost in the meantime.
            let lost = || Error::Protocol("the connection was lost".into());
            (request.done)(Err(self.lost.take().map_or_else(lost, |reason| *reason)));
            return;
        }
        if let Some(Handshake::Client { ask, .. }) = self.handshake.as_deref_mut() {
            *ask = Some(Box::new(request));
        }
        self.advance(now);
    }

    /// Opens our control stream. It stays open, because a critical stream must not end.
    pub(super) fn open_control(&mut self) {
        if self.stage == Stage::Asking
            && self.control.is_none()
            && self.wants_control()
            && let Some(id) = self.quic.streams().open(Dir::Uni)
        {
            self.control = Some(id);
            let preface = self.h3.control_preface();
            self.write(id, preface, false);
        }
    }

    /// Whether the control stream may open. A client sends nothing before it is sure that it wants
    /// this connection.
    pub(super) fn wants_control(&self) -> bool {
        !matches!(self.handshake.as_deref(), Some(Handshake::Client { ask: None, .. }))
    }

    /// Sends a client's request as soon as the server's SETTINGS have arrived and a stream may be
    /// opened.
    pub(super) fn ask_now(&mut self) {
        if self.stage != Stage::Asking || self.h3.peer_settings().is_none() || self.control.is_none() {
            return;
        }
        let Some(Handshake::Client { ask: Some(ask), asked: asked @ false, .. }) =
            self.handshake.as_deref_mut()
        else {
            return;
        };
        let fits = self.h3.peer_settings().is_some_and(|settings| settings.problem(Role::Client).is_none());
        // The event of the SETTINGS reports a problem with them.
        let Some(id) = fits.then(|| self.quic.streams().open(Dir::Bi)).flatten() else { return };
        *asked = true;
        let bytes = self.h3.connect_bytes(id.into(), &ask.request);
        self.connect = Some(id);
        self.watch_for_reset(id.into());
        match bytes {
            Ok(bytes) => self.write(id, bytes, false),
            Err(error) => {
                if let Some(handshake) = self.handshake.take() {
                    handshake.fail(self.quic.remote_address(), None, error);
                }
            }
        }
    }

    /// The next event, if this side may handle it. A client handles none before it asks.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        if self.stage == Stage::Asking && !self.wants_control() {
            return None;
        }
        self.h3.poll_event()
    }

    pub(super) fn handshake_event(&mut self, now: Instant, event: Event) {
        match self.handshake.as_deref_mut() {
            Some(Handshake::Server { acceptor, problem, .. }) => match event {
                Event::PeerSettings(settings) => *problem = settings.problem(Role::Server),
                Event::Draining => {}
                Event::Request { stream_id, request } => {
                    let Ok(id) = VarInt::from_u64(stream_id).map(StreamId::from) else { return };
                    self.connect = Some(id);
                    if !matches!(self.quic.send_stream(id).stopped(), Ok(None)) {
                        return self.withdrawn(now);
                    }
                    let answer = match *problem {
                        // draft-ietf-webtrans-http3 section 3.1: such requests are malformed.
                        Some(problem) => {
                            acceptor.handshake_failed(None, &Error::Protocol(problem.to_owned()));
                            Answer::Reject { status: 400, headers: Vec::new() }
                        }
                        None => acceptor.answer(Asked {
                            key: self.key,
                            remote: self.quic.remote_address(),
                            request: &request,
                            session: &self.session,
                            peer_certificates: peer_certificates(&self.quic),
                        }),
                    };
                    if let Err((_, error)) = self.answer(request, answer) {
                        self.fail(now, error);
                    }
                }
                _ => self.withdrawn(now),
            },
            Some(Handshake::Client { asked, .. }) => {
                let asked = *asked;
                match event {
                    Event::PeerSettings(settings) => {
                        if let Some(problem) = settings.problem(Role::Client) {
                            let error = match settings.datagrams {
                                false => Error::Unsupported,
                                true => Error::Protocol(problem.to_owned()),
                            };
                            self.give_up_handshake(None, error);
                            self.close(now, WT_REQUIREMENTS_NOT_MET, problem.as_bytes());
                        }
                    }
                    Event::Draining if !asked => {
                        self.fail(now, Error::ConnectionRefused("the server is going away".into()));
                    }
                    Event::Response(response) if response.is_accepted() => {
                        let Some(Handshake::Client { ask: Some(ask), .. }) = self.handshake.as_deref() else {
                            return;
                        };
                        let request = Box::new(ask.request.clone());
                        let chosen = subprotocol::answered(&response.headers);
                        let offered = subprotocol::offered(&request.headers);
                        if let Some(name) = chosen.filter(|name| !offered.contains(name)) {
                            let name = readable(name);
                            let what =
                                format!("the server chose the subprotocol {name:?}, which was not offered");
                            self.fail(now, Error::Protocol(what));
                        } else if let Some(id) = self.connect {
                            self.establish(now, id.into(), request, response.headers);
                        }
                    }
                    Event::Response(response) => {
                        let retry_after = response.retry_after();
                        self.fail(now, Error::Rejected { status: response.status, retry_after });
                    }
                    Event::Closed { .. } => {
                        self.fail(now, Error::Protocol("the server closed the session at once".into()));
                    }
                    Event::Aborted { code, reason } => {
                        self.fail(now, ending::refused(code, reason.into_owned()))
                    }
                    _ => {}
                }
            }
            None => {}
        }
    }

    /// Answers a request, or lets it wait. Returns the request if the answer cannot be sent.
    fn answer(
        &mut self,
        request: Box<ConnectRequest>,
        answer: Answer,
    ) -> Result<(), (Box<ConnectRequest>, Error)> {
        let Some(id) = self.connect else { return Ok(()) };
        let Some(Handshake::Server { waiting, granted, .. }) = self.handshake.as_deref_mut() else {
            return Ok(());
        };
        match answer {
            Answer::Later { waits } => {
                *waiting = Some((request, waits));
                self.half_open = None;
            }
            Answer::Accept { headers } => match self.h3.accept(&headers) {
                Ok(bytes) => {
                    *granted = Some(Granted { request, response: headers });
                    self.write(id, bytes, false);
                }
                Err(error) => return Err((request, error)),
            },
            Answer::Reject { status, headers } => match self.h3.reject(status, &headers) {
                Ok(bytes) => {
                    tracing::debug!(status, "a request was refused");
                    self.stage = Stage::Refusing;
                    // What becomes of the answer is no failure of a handshake.
                    self.handshake = None;
                    self.write(id, bytes, true);
                    let _ = self.quic.recv_stream(id).stop(varint(H3_NO_ERROR));
                }
                Err(error) => return Err((request, error)),
            },
        }
        Ok(())
    }

    /// Notes that the answer on stream `id` refuses a request whose header fields are more than is
    /// read. If there is no other request, the connection ends with it.
    pub(super) fn refuse_unread(&mut self, id: StreamId) {
        if self.stage != Stage::Asking {
            return;
        }
        let Some(Handshake::Server { acceptor, .. }) = self.handshake.as_deref() else { return };
        acceptor.refused_unread();
        if self.connect.is_none() {
            self.connect = Some(id);
            self.stage = Stage::Refusing;
            self.handshake = None;
        }
    }

    /// Answers a request that waits, for good.
    pub(in crate::link::core) fn answer_later(
        &mut self,
        now: Instant,
        answer: Answer,
    ) -> crate::error::Result<()> {
        let Some(Handshake::Server { waiting, is_answered, .. }) = self.handshake.as_deref_mut() else {
            return Err(Error::Closed);
        };
        let Some((request, waits)) = waiting.take() else { return Err(Error::Closed) };
        *is_answered = true;
        let accepts = matches!(answer, Answer::Accept { .. });
        if let Err((request, error)) = self.answer(request, answer) {
            if let Some(Handshake::Server { waiting, .. }) = self.handshake.as_deref_mut() {
                *waiting = Some((request, waits));
            }
            return Err(error);
        }
        self.grant(now);
        if accepts && self.stage != Stage::Open {
            // The client lets the answer not even leave.
            self.fail(now, Error::Closed);
            return Err(Error::Closed);
        }
        Ok(())
    }

    /// Rejects a request that the program has dropped.
    pub(in crate::link::core) fn decline(&mut self, now: Instant) {
        let _ = self.answer_later(now, Answer::Reject { status: 503, headers: Vec::new() });
    }

    /// Establishes the session that a server granted, as soon as the stream has taken the answer.
    pub(super) fn grant(&mut self, now: Instant) {
        let Some(Handshake::Server { granted: granted @ Some(_), .. }) = self.handshake.as_deref_mut() else {
            return;
        };
        let Some(id) = self.connect else { return };
        let waits = self.rare.as_ref().is_some_and(|rare| rare.unsent.iter().any(|one| one.stream == id));
        if waits {
            return;
        }
        let Some(Granted { request, response }) = granted.take() else { return };
        // A client that does not read the answer gets no session, and its deadline passes.
        if let Ok(None) = self.quic.send_stream(id).stopped() {
            self.establish(now, id.into(), request, response);
        }
    }

    /// Establishes the session and notifies its users. `response` are the fields of the answer.
    pub(super) fn establish(
        &mut self,
        now: Instant,
        id: u64,
        request: Box<ConnectRequest>,
        response: Vec<(String, String)>,
    ) {
        let Some(handshake) = self.handshake.take() else { return };
        self.half_open = None;
        self.stage = Stage::Open;
        self.deadline = None;
        self.quarter = QuarterStreamId::of(id);
        self.publish_size();
        self.session.set_established(Established {
            key: self.key,
            state: Arc::clone(&self.state),
            socket_address: self.socket_address,
            id,
            is_server: self.h3.role() == Role::Server,
            subprotocol: subprotocol::answered(&response),
            request,
            response,
            peer_certificates: peer_certificates(&self.quic),
        });
        match *handshake {
            Handshake::Server { acceptor, began, is_answered, .. } => {
                self.session.set_connected();
                let took = now.saturating_duration_since(began);
                if let Some(limit) = acceptor.established(&self.session, took, is_answered) {
                    self.deadline = Some(now + limit);
                    self.rare().unaccepted = Some(acceptor);
                }
            }
            Handshake::Client { ask, .. } => {
                // A client may see at once that the session is connected, so its transport comes first.
                if let Some(ask) = ask {
                    (ask.done)(Ok(()));
                }
                if !self.session.set_connected() {
                    // Its user has given it up in the meantime.
                    self.close(now, H3_REQUEST_CANCELLED, b"");
                }
            }
        }
        // The peer may have said so before it answered.
        if self.h3.is_draining() {
            self.session.set_draining();
        }
    }

    pub(super) fn give_up_handshake(&mut self, lost: Option<&ConnectionError>, error: Error) {
        let Some(handshake) = self.handshake.take() else { return };
        if let Handshake::Client { connected: None, ask: None, .. } = *handshake {
            // The client will still ask, and hear it then.
            self.lost = Some(Box::new(error));
        } else {
            handshake.fail(self.quic.remote_address(), lost, error);
        }
    }

    /// Ends the attempt of a client that no longer wants an answer.
    pub(super) fn withdrawn(&mut self, now: Instant) {
        self.fail(now, Error::Protocol("the client withdrew its request".into()));
    }

    /// Ends an attempt that has failed, and leaves nothing of it behind.
    pub(super) fn fail(&mut self, now: Instant, error: Error) {
        self.give_up_handshake(None, error);
        self.close(now, H3_NO_ERROR, b"");
    }
}

/// What the peer has shown: its own certificate, and those above it.
fn peer_certificates(quic: &quinn_proto::Connection) -> Vec<CertificateDer<'static>> {
    let identity = quic.crypto_session().peer_identity();
    identity.and_then(|chain| chain.downcast().ok()).map_or_else(Vec::new, |chain| *chain)
}
