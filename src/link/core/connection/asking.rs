//! The way from QUIC's handshake to the session, on both sides: SETTINGS, CONNECT and its answer.

use std::sync::Arc;
use std::time::Instant;

use quinn_proto::{ConnectionError, Dir, StreamId, VarInt};

use super::{Connection, Stage};
use crate::error::Error;
use crate::link::core::ending;
use crate::link::core::handshake::{Ask, Handshake};
use crate::link::core::session::Established;
use crate::link::h3::error::{H3_NO_ERROR, WT_REQUIREMENTS_NOT_MET};
use crate::link::h3::{Event, QuarterStreamId, Role};

impl Connection {
    /// Asks for the session of a client.
    pub(in crate::link::core) fn ask(&mut self, now: Instant, request: Ask) {
        if self.stage != Stage::Asking {
            // The connection was lost in the meantime.
            let lost = || Error::Protocol("the connection was lost".into());
            (request.done)(Err(self.lost.take().map_or_else(lost, |reason| ending::lost(&reason))));
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
            && !self.control_is_open
            && self.wants_control()
            && let Some(id) = self.quic.streams().open(Dir::Uni)
        {
            self.control_is_open = true;
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
        if self.stage != Stage::Asking || self.h3.peer_settings().is_none() || !self.control_is_open {
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
            Some(Handshake::Server { acceptor, problem, granted, .. }) => match event {
                Event::PeerSettings(settings) => *problem = settings.problem(Role::Server),
                Event::Draining => {}
                Event::Request { stream_id, request } => {
                    let refusal = match *problem {
                        // draft-ietf-webtrans-http3 section 3.1: such requests are malformed.
                        Some(problem) => Err((400, Error::Protocol(problem.to_owned()))),
                        None => acceptor.answer(&request),
                    };
                    let Ok(id) = VarInt::from_u64(stream_id).map(StreamId::from) else { return };
                    self.connect = Some(id);
                    match refusal {
                        Ok(()) => match self.h3.accept(&[]) {
                            Ok(answer) => {
                                *granted = Some(request);
                                self.write(id, answer, false);
                            }
                            Err(error) => self.fail(now, error),
                        },
                        Err((status, error)) => {
                            tracing::debug!(%error, status, "a request was refused");
                            match self.h3.reject(status, &[]) {
                                Ok(answer) => {
                                    self.stage = Stage::Refusing;
                                    self.write(id, answer, true);
                                }
                                Err(error) => self.fail(now, error),
                            }
                        }
                    }
                }
                _ => self.fail(now, Error::Protocol("the client withdrew its request".into())),
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
                        let (path, authority) = (ask.request.path.clone(), ask.request.authority.clone());
                        if let Some(id) = self.connect {
                            self.establish(id.into(), path, authority);
                        }
                    }
                    Event::Response(response) => self.fail(now, Error::Rejected { status: response.status }),
                    Event::Closed { .. } => {
                        self.fail(now, Error::Protocol("the server closed the session at once".into()));
                    }
                    Event::Aborted { reason, .. } => self.fail(now, Error::Protocol(reason.into_owned())),
                    _ => {}
                }
            }
            None => {}
        }
    }

    /// Establishes the session that a server granted, as soon as the stream has taken the answer.
    pub(super) fn grant(&mut self) {
        let Some(Handshake::Server { granted: granted @ Some(_), .. }) = self.handshake.as_deref_mut() else {
            return;
        };
        let Some(id) = self.connect else { return };
        let waits = self.rare.as_ref().is_some_and(|rare| rare.unsent.iter().any(|one| one.stream == id));
        if waits {
            return;
        }
        let Some(request) = granted.take() else { return };
        // A client that does not read the answer gets no session, and its deadline passes.
        if let Ok(None) = self.quic.send_stream(id).stopped() {
            self.establish(id.into(), request.path, request.authority);
        }
    }

    /// Establishes the session and notifies its users.
    pub(super) fn establish(&mut self, id: u64, path: String, authority: String) {
        let Some(handshake) = self.handshake.take() else { return };
        self.stage = Stage::Open;
        self.deadline = None;
        self.quarter = QuarterStreamId::of(id);
        self.publish_size();
        self.session.set_established(Established {
            key: self.key,
            state: Arc::clone(&self.state),
            socket_address: self.socket_address,
            id,
            path,
            authority,
        });
        match *handshake {
            Handshake::Server { acceptor, .. } => acceptor.established(&self.session),
            Handshake::Client { ask: Some(ask), .. } => (ask.done)(Ok(())),
            Handshake::Client { .. } => {}
        }
    }

    pub(super) fn give_up_handshake(&mut self, lost: Option<&ConnectionError>, error: Error) {
        if let Some(handshake) = self.handshake.take() {
            handshake.fail(self.quic.remote_address(), lost, error);
        }
    }

    /// Ends an attempt that has failed, and leaves nothing of it behind.
    pub(super) fn fail(&mut self, now: Instant, error: Error) {
        self.give_up_handshake(None, error);
        self.close(now, H3_NO_ERROR, b"");
    }
}
