//! Runs the HTTP/3 session state of one connection over quinn: every stream of the peer is read by a small task that
//! feeds the state machine; the session's own task does what the state machine says.
//!
//! Nothing that a peer sends is stored here; what a stream may send is bounded by its flow-control window.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use wtransport::quinn::{
    self, Connection, ConnectionError as QuicError, ReadError, RecvStream, SendStream, VarInt,
};

use super::h3::error::{H3_INTERNAL_ERROR, H3_NO_ERROR};
use super::h3::{self, ConnectionError, Event, StreamVerdict, close_bytes};
use super::session::{CloseInfo, ClosedBy, MAX_CLOSE_REASON_BYTES, Session};
use crate::error::{Error, Result};
use crate::runtime::{Lane, LiveGuard};
use crate::text::readable;

/// How long a peer may take to acknowledge our CLOSE capsule before the connection is closed without waiting on.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long the peer may take after that to end the connection itself, so that its own words are not cut off.
const GRACE: Duration = Duration::from_millis(250);

/// Turns of the lane that the readers get when the connection is over: one to accept a stream that had arrived, one to
/// read it, and as many again to be sure.
pub(super) const LAST_TURNS: usize = 4;

/// How the protocol was broken, by the peer or by a defect of ours, from whichever task found out.
pub(super) type Broken = Arc<OnceCell<ConnectionError>>;

/// Bytes read from a stream at once; its flow-control window is the bound on what can wait.
const CHUNK_BYTES: usize = 16 * 1024;

/// Ends a connection, and its session with it, when it is dropped by a panic.
pub(super) struct EndsOnPanic(pub(super) Connection, pub(super) Broken);

impl EndsOnPanic {
    /// Runs `task` on `lane`.
    pub(super) fn spawn(self, lane: &Lane, task: impl Future<Output = ()> + Send + 'static) {
        // Boxed: a future that another one awaits takes its room twice.
        let task = Box::pin(task);
        lane.spawn(async move {
            let _this = self;
            task.await;
        });
    }
}

impl Drop for EndsOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = ConnectionError::new(H3_INTERNAL_ERROR, "a defect of the library, which panicked");
            break_off(&self.0, &self.1, error);
        }
    }
}

/// Ends a connection, and says why to the peer and to whoever looks at `broken`.
pub(super) fn break_off(connection: &Connection, broken: &Broken, error: ConnectionError) {
    let error = broken.get_or_init(|| error);
    connection.close(varint(error.code), error.reason.as_bytes());
}

/// One connection and its HTTP/3 state.
pub(super) struct Driver {
    connection: Connection,
    state: Mutex<h3::Session>,
    /// Something happened: look at the events and at `broken`.
    happened: Notify,
    /// The peer broke the protocol of the connection, and was told so.
    broken: Broken,
    /// Send halves of the peer's request streams, until it is known what they want.
    replies: Mutex<HashMap<u64, SendStream>>,
    session: Arc<Session>,
    lane: Lane,
    _live: Arc<LiveGuard>,
}

impl Driver {
    pub(super) fn new(connection: Connection, state: h3::Session, session: Arc<Session>) -> Arc<Self> {
        Arc::new(Self {
            connection,
            state: Mutex::new(state),
            happened: Notify::new(),
            broken: Broken::default(),
            replies: Mutex::new(HashMap::new()),
            lane: session.lane().clone(),
            session,
            _live: LiveGuard::new(),
        })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What ends the connection if it is dropped by a panic.
    pub(super) fn ends_on_panic(&self) -> EndsOnPanic {
        EndsOnPanic(self.connection.clone(), self.broken())
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.ends_on_panic().spawn(&self.lane, task);
    }

    /// Where whoever breaks off this connection leaves the reason.
    pub(super) fn broken(&self) -> Broken {
        Arc::clone(&self.broken)
    }

    /// Opens our control stream and begins to read the peer's streams. The control stream is kept open by the caller.
    pub(super) async fn open(self: &Arc<Self>) -> Result<SendStream> {
        let mut control = self.connection.open_uni().await.map_err(|error| lost(&error))?;
        let preface = self.state.lock().control_preface();
        control.write_all(&preface).await.map_err(write_failed)?;
        self.spawn(Arc::clone(self).accept());
        Ok(control)
    }

    /// Waits for the next event; an error when the connection is over.
    pub(super) async fn event(&self) -> Result<Event> {
        loop {
            if let Some(event) = self.with_state(h3::Session::poll_event) {
                return Ok(event);
            }
            if let Some(broken) = self.broken.get() {
                return Err(Error::Protocol(broken.reason.to_string()));
            }
            tokio::select! {
                () = self.happened.notified() => {}
                error = self.connection.closed() => {
                    // A peer's last words and its QUIC close may come in one packet: the words count.
                    for _ in 0..LAST_TURNS {
                        yield_now().await;
                    }
                    return self.with_state(h3::Session::poll_event).ok_or_else(|| lost(&error));
                }
            }
        }
    }

    /// Runs `body` on the HTTP/3 state.
    pub(super) fn with_state<T>(&self, body: impl FnOnce(&mut h3::Session) -> T) -> T {
        body(&mut self.state.lock())
    }

    /// The send half of the peer's stream `id`.
    pub(super) fn take_reply(&self, id: u64) -> Result<SendStream> {
        let reply = self.replies.lock().remove(&id);
        reply.ok_or_else(|| Error::Protocol("the request's stream is gone".into()))
    }

    /// Begins to read `stream`, the client's own CONNECT stream.
    pub(super) fn read_own(self: &Arc<Self>, stream: RecvStream) {
        self.spawn(Arc::clone(self).read(stream, Direction::Bidi));
    }

    /// Drives an established session to its end, and keeps `kept` until then. `connect` is the send half of its CONNECT
    /// stream.
    pub(super) fn run(
        self: Arc<Self>,
        mut connect: SendStream,
        control: SendStream,
        kept: impl Send + 'static,
    ) {
        // Made before the first turn, so that a session whose task never gets one ends as well.
        let finish = Finish(Arc::clone(&self.session));
        Arc::clone(&self).spawn(async move {
            let _finish = finish;
            self.drive(&mut connect).await;
            // Not before the connection is over: a critical stream may not end.
            drop((control, kept));
        });
    }

    async fn drive(self: &Arc<Self>, connect: &mut SendStream) {
        let mut stopped = pin!(connect.stopped());
        let mut watching = true;
        loop {
            tokio::select! {
                result = &mut stopped, if watching => {
                    watching = false;
                    if let Ok(Some(code)) = result {
                        self.spawn(Arc::clone(self).give_up(connect.id().into(), code.into_inner()));
                    }
                }
                event = self.event() => match event {
                    Ok(Event::Draining) => self.session.set_draining(),
                    Ok(Event::Closed { code, reason }) => {
                        self.session.end(CloseInfo { by: ClosedBy::Peer, code, reason, transport_error: 0 });
                        let _ = connect.finish();
                        break;
                    }
                    Ok(Event::Aborted { code, reason }) => {
                        self.session.end(CloseInfo {
                            by: ClosedBy::Transport,
                            code: 0,
                            reason: bounded(&reason),
                            transport_error: code,
                        });
                        let _ = connect.reset(varint(code));
                        break;
                    }
                    Ok(_) => {}
                    Err(_) => {
                        self.session.end(self.epitaph());
                        return;
                    }
                },
                (code, reason) = self.session.wants_to_close() => {
                    // Boxed, as what follows: every session would keep room for its last second from its first one on.
                    Box::pin(say_goodbye(connect, close_bytes(code, &reason))).await;
                    break;
                }
            }
        }
        // The peer may still be saying goodbye, or wants to be the one that closes.
        let _ = Box::pin(timeout(GRACE, self.connection.closed())).await;
        self.connection.close(varint(H3_NO_ERROR), b"");
    }

    /// The peer reads no more of the CONNECT stream. That ends the session (draft-ietf-webtrans-http3 section 6), but
    /// peers do it together with their CLOSE capsule, which goes first if it comes.
    async fn give_up(self: Arc<Self>, id: u64, code: u64) {
        sleep(GRACE).await;
        self.with_state(|state| state.bidi_reset(id, code));
        self.happened.notify_one();
    }

    /// What ended a connection whose session did not say why.
    fn epitaph(&self) -> CloseInfo {
        let (transport_error, reason) = match (self.broken.get(), self.connection.close_reason()) {
            (Some(broken), _) => (broken.code, broken.reason.to_string()),
            // A peer that just leaves, in order.
            (None, Some(QuicError::ApplicationClosed(close)))
                if close.error_code.into_inner() == H3_NO_ERROR =>
            {
                return CloseInfo { by: ClosedBy::Peer, code: 0, reason: String::new(), transport_error: 0 };
            }
            (None, Some(QuicError::ApplicationClosed(close))) => {
                let code = close.error_code.into_inner();
                (code, words(&close.reason, || format!("the peer closed the connection with code {code:#x}")))
            }
            (None, Some(QuicError::ConnectionClosed(close))) => {
                (close.error_code.into(), words(&close.reason, || close.error_code.to_string()))
            }
            (None, Some(error)) => (0, error.to_string()),
            (None, None) => (0, "the session's task ended".into()),
        };
        CloseInfo { by: ClosedBy::Transport, code: 0, reason: bounded(&reason), transport_error }
    }

    /// Ends the connection because the peer broke its protocol.
    fn break_off(&self, error: ConnectionError) {
        tracing::debug!(code = error.code, reason = %error.reason, "closing: the peer broke the protocol");
        break_off(&self.connection, &self.broken, error);
        self.happened.notify_one();
    }

    /// Has each stream that the peer opens read, until the connection is over.
    async fn accept(self: Arc<Self>) {
        loop {
            tokio::select! {
                stream = self.connection.accept_uni() => {
                    let Ok(stream) = stream else { return };
                    self.spawn(Arc::clone(&self).read(stream, Direction::Uni));
                }
                streams = self.connection.accept_bi() => {
                    let Ok((send, receive)) = streams else { return };
                    self.replies.lock().insert(receive.id().into(), send);
                    self.spawn(Arc::clone(&self).read(receive, Direction::Bidi));
                }
            }
        }
    }

    /// Feeds what comes on `stream` to the state machine, to its end. (An `async fn` would keep its arguments twice, in each of
    /// the streams that a session reads.)
    fn read(
        self: Arc<Self>,
        mut stream: RecvStream,
        direction: Direction,
    ) -> impl Future<Output = ()> + Send + 'static {
        let id = u64::from(stream.id());
        async move {
            loop {
                let chunk = match stream.read_chunk(CHUNK_BYTES, true).await {
                    Ok(chunk) => chunk,
                    Err(ReadError::Reset(code)) => {
                        self.reset(id, direction, code.into_inner());
                        return;
                    }
                    // The connection is over, or the stream was given up here.
                    Err(_) => return,
                };
                let fin = chunk.is_none();
                let data = chunk.map(|chunk| chunk.bytes).unwrap_or_default();
                let verdict = {
                    let mut state = self.state.lock();
                    match direction {
                        Direction::Uni => state.uni_data(id, &data, fin),
                        Direction::Bidi => state.bidi_data(id, &data, fin),
                    }
                };
                self.happened.notify_one();
                match verdict {
                    Ok(StreamVerdict::Continue) if fin => return,
                    Ok(StreamVerdict::Continue) => {}
                    Ok(StreamVerdict::Refuse { code }) => {
                        self.session.peer_streams_refused.fetch_add(1, Ordering::Relaxed);
                        let _ = stream.stop(varint(code));
                        let reply = self.replies.lock().remove(&id);
                        if let Some(mut reply) = reply {
                            let _ = reply.reset(varint(code));
                        }
                        return;
                    }
                    Ok(StreamVerdict::Respond { bytes }) => {
                        self.session.peer_streams_refused.fetch_add(1, Ordering::Relaxed);
                        let _ = stream.stop(varint(H3_NO_ERROR));
                        let reply = self.replies.lock().remove(&id);
                        if let Some(reply) = reply {
                            // Not in here, where room for it would be kept for each stream that is read.
                            self.spawn(answer(reply, bytes));
                        }
                        return;
                    }
                    Err(error) => {
                        self.break_off(error);
                        return;
                    }
                }
            }
        }
    }

    fn reset(&self, id: u64, direction: Direction, code: u64) {
        let verdict = {
            let mut state = self.state.lock();
            match direction {
                Direction::Uni => state.uni_reset(id, code),
                Direction::Bidi => {
                    state.bidi_reset(id, code);
                    Ok(())
                }
            }
        };
        self.replies.lock().remove(&id);
        match verdict {
            Ok(()) => self.happened.notify_one(),
            Err(error) => self.break_off(error),
        }
    }
}

/// Sends the CLOSE capsule and waits until it was acknowledged in full, or is not wanted any more, but not for ever.
async fn say_goodbye(connect: &mut SendStream, words: Vec<u8>) {
    let said = async {
        connect.write_all(&words).await.map_err(write_failed)?;
        let _ = connect.finish();
        let _ = connect.stopped().await;
        Ok::<(), Error>(())
    };
    let _ = timeout(GOODBYE, said).await;
}

/// Says `bytes` and no more. Quinn sends what is written after the stream is dropped.
async fn answer(mut reply: SendStream, bytes: Vec<u8>) {
    let _ = reply.write_all(&bytes).await;
    let _ = reply.finish();
}

#[derive(Clone, Copy)]
enum Direction {
    Uni,
    Bidi,
}

/// Whatever ends the session's task, a panic included, nobody waits for it in vain.
struct Finish(Arc<Session>);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.end(CloseInfo {
            by: ClosedBy::Transport,
            code: 0,
            reason: "the session's task ended".into(),
            transport_error: 0,
        });
    }
}

/// A code as QUIC carries it. All codes of HTTP/3 and of peers' frames fit.
pub(super) fn varint(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

/// What a lost connection means for an attempt to establish a session.
pub(super) fn lost(error: &quinn::ConnectionError) -> Error {
    match error {
        QuicError::ApplicationClosed(close) => Error::Protocol(readable(format!(
            "the peer closed the connection with HTTP/3 code {:#x} {}",
            close.error_code.into_inner(),
            bounded(&String::from_utf8_lossy(&close.reason)),
        ))),
        other => Error::Protocol(readable(format!("the connection was lost: {other}"))),
    }
}

fn write_failed(error: quinn::WriteError) -> Error {
    Error::Protocol(format!("a stream of ours was given up: {error}"))
}

/// A peer's reason, or what there is to say in its place.
fn words(reason: &[u8], otherwise: impl FnOnce() -> String) -> String {
    if reason.is_empty() { otherwise() } else { String::from_utf8_lossy(reason).into_owned() }
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(MAX_CLOSE_REASON_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
