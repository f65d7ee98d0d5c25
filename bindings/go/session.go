package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"
	"unicode/utf8"
)

// Session is a WebTransport session. All methods may be called from any goroutine.
type Session struct {
	*session
}

// session is the part of a Session that the pump refers to. It does not refer to the Session, so an
// unused Session can be garbage collected.
type session struct {
	handle    held[C.wtgram_session]
	datagrams held[C.wtgram_transport]
	state     *source // of the session: draining, closed
	path      *source // of its datagrams: all that follows
	readable  waitQueue
	writable  waitQueue
	outcomes  waitQueue
	lowWater  waitQueue
	resized   waitQueue
	silent    waitQueue
	local     net.Addr
	remote    net.Addr
	ctx       context.Context
	cancel    context.CancelCauseFunc
	draining  chan struct{}
	drained   sync.Once // closes draining

	mu     sync.Mutex
	closed bool // by our side: the handle is no longer used
	ended  bool
	freed  bool
}

// looking is held while a new session looks up its addresses, for which the library waits until the
// lane has ended its turn. If a thousand sessions begin at once, their goroutines wait here, and not
// in cgo, as threads.
var looking sync.Mutex

func newSession(p *pump, handle C.wtgram_session) (*Session, error) {
	s := &session{handle: held[C.wtgram_session]{handle}}
	if err := s.look(); err != nil {
		C.wtgram_session_free(handle)
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.draining = make(chan struct{})
	s.state = p.source(handle.id, s.changed)
	s.path = p.source(s.datagrams.get().id, s.ready)
	s.readable = waitQueue{source: s.path, what: C.WTGRAM_READY_READABLE, patience: whileReadable}
	s.writable = waitQueue{source: s.path, what: C.WTGRAM_READY_WRITABLE, lingers: whileFull}
	s.outcomes = waitQueue{source: s.path, what: C.WTGRAM_READY_OUTCOME}
	s.lowWater = waitQueue{source: s.path, what: C.WTGRAM_READY_LOW_WATER}
	s.resized = waitQueue{source: s.path, what: C.WTGRAM_READY_SIZE_CHANGED}
	s.silent = waitQueue{source: s.path, what: C.WTGRAM_READY_PEER_SILENT}
	s.state.arm(C.WTGRAM_READY_CLOSED | C.WTGRAM_READY_DRAINING)
	result := &Session{s}
	runtime.AddCleanup(result, func(s *session) { s.abandon() }, s)
	return result, nil
}

// changed is called when the peer has asked to end the session soon, and when it has ended.
func (s *session) changed(what uint32) {
	s.drained.Do(func() { close(s.draining) })
	if what&C.WTGRAM_READY_CLOSED != 0 {
		s.end()
	}
}

// look sets what stays the same for the whole session.
func (s *session) look() error {
	looking.Lock()
	defer looking.Unlock()
	handle := s.handle.get()
	if err := check(C.wtgram_session_get_transport(handle, &s.datagrams.h)); err != nil {
		return err
	}
	local, err := readText(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
		return Status(C.wtgram_session_get_local_address(handle, text, capacity, length))
	})
	if err != nil {
		return err
	}
	remote, err := readText(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
		return Status(C.wtgram_session_get_remote_address(handle, text, capacity, length))
	})
	s.local, s.remote = udpAddress(local), udpAddress(remote)
	return err
}

func (s *session) ready(what uint32) {
	if what&C.WTGRAM_READY_CLOSED != 0 {
		s.endWaits()
		return
	}
	for _, queue := range []*waitQueue{&s.readable, &s.writable, &s.outcomes, &s.lowWater, &s.silent} {
		if what&queue.what != 0 {
			queue.wakeOne()
		}
	}
	if what&C.WTGRAM_READY_SIZE_CHANGED != 0 {
		s.resized.wakeAll() // because each change is reported once
	}
}

func (s *session) endWaits() {
	for _, queue := range []*waitQueue{&s.readable, &s.writable, &s.outcomes, &s.lowWater, &s.resized, &s.silent} {
		queue.end()
	}
}

// end is called when either side has closed the session. Arrived datagrams can still be received,
// unless this side closed.
func (s *session) end() {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	s.mu.Unlock()
	how := s.closeInfo()
	if how == nil {
		how = &SessionError{} // the handle or the library is gone
	}
	s.release()
	s.cancel(how)
	s.endWaits()
}

// closeInfo returns nil while the session is open.
func (s *session) closeInfo() *SessionError {
	var info C.wtgram_close_info
	C.wtgram_close_info_init(&info)
	if C.wtgram_session_get_close_info(s.handle.get(), &info) != C.WTGRAM_OK {
		return nil
	}
	return &SessionError{
		Remote:         info.closed_by == C.WTGRAM_CLOSED_BY_PEER,
		ErrorCode:      SessionErrorCode(info.code),
		Message:        C.GoStringN(&info.reason[0], C.int(info.reason_length)),
		TransportError: uint64(info.transport_error),
		Broken:         info.closed_by == C.WTGRAM_CLOSED_BY_TRANSPORT,
	}
}

// release frees the handle when the session has ended and this side has closed it, too.
func (s *session) release() {
	s.mu.Lock()
	free := s.ended && s.closed && !s.freed
	s.freed = s.freed || free
	s.mu.Unlock()
	if free {
		s.state.forget()
		s.path.forget()
		C.wtgram_session_free(s.handle.get())
	}
}

// abandon is called for a Session that is garbage collected.
func (s *session) abandon() { _ = s.close(0, "") }

func (s *session) close(code SessionErrorCode, message string) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	reason := []byte(message)
	status := C.wtgram_session_close(s.handle.get(), C.uint32_t(code), (*C.char)(pointer(reason)), C.size_t(len(reason)))
	if status == C.WTGRAM_ERROR_INVALID_ARGUMENT {
		return Status(status)
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.release()
	return nil
}

// failure returns the error of an operation on a session that has ended: how it ended, as soon as
// that is known.
func (s *session) failure(status Status) error {
	if status != ErrClosed && status != ErrInvalidHandle {
		return status
	}
	if cause := context.Cause(s.ctx); cause != nil {
		return cause
	}
	if how := s.closeInfo(); how != nil { // the pump is about to say the same
		return how
	}
	return ErrClosed
}

// CloseWithError ends the session. The peer gets code and message, which is UTF-8 of at most 1024
// bytes. A second close has no effect.
func (s *Session) CloseWithError(code SessionErrorCode, message string) error {
	defer runtime.KeepAlive(s)
	if len(message) > 1024 || !utf8.ValidString(message) {
		return ErrInvalidArgument
	}
	return s.close(code, message)
}

// Close ends the session with code 0.
func (s *Session) Close() error { return s.CloseWithError(0, "") }

// Drain asks the peer to end the session soon. The session goes on in both directions until one side
// closes it. The peer may ignore it, so set a time after which you close the session yourself. A
// second Drain has no effect.
func (s *Session) Drain() error {
	defer runtime.KeepAlive(s)
	return s.drain()
}

func (s *session) drain() error { return s.result(Status(C.wtgram_session_drain(s.handle.get()))) }

// Draining returns a channel that is closed when the peer asks to end the session soon, and when the
// session ends. Then it is time to close the session, and to look for another one.
func (s *Session) Draining() <-chan struct{} { return s.draining }

// DrainAndClose ends the session in order: it asks the peer to end it soon, lets the datagrams leave
// that are queued, and closes it with code and message. Until then datagrams still arrive, but
// sending fails with ErrClosed. If the context ends first, DrainAndClose returns its error, and
// closes the session nevertheless. If the session ends before for another reason, it returns the
// *SessionError. For messages of a reliability layer, call Reliability.Drain first.
func (s *Session) DrainAndClose(ctx context.Context, code SessionErrorCode, message string) error {
	defer runtime.KeepAlive(s)
	if len(message) > 1024 || !utf8.ValidString(message) {
		return ErrInvalidArgument
	}
	reason := []byte(message)
	status := C.wtgram_session_drain_and_close_start(s.handle.get(), C.uint32_t(code), (*C.char)(pointer(reason)), C.size_t(len(reason)))
	if status != C.WTGRAM_OK {
		return s.failure(Status(status))
	}
	select {
	case <-s.ctx.Done():
	case <-ctx.Done():
		_ = s.close(code, message)
		return ctx.Err()
	}
	_ = s.close(code, message) // so that its handle is freed
	cause := context.Cause(s.ctx)
	if how := (*SessionError)(nil); errors.As(cause, &how) && *how == (SessionError{ErrorCode: code, Message: message}) {
		return nil
	}
	return cause
}

// Context returns a context that is done when the session has ended. Its context.Cause is a
// *SessionError, which says why.
func (s *Session) Context() context.Context { return s.ctx }

// LocalAddr returns the local address; its IP is unspecified if the socket is bound to all
// addresses.
func (s *Session) LocalAddr() net.Addr { return s.local }

// RemoteAddr returns the address of the peer.
func (s *Session) RemoteAddr() net.Addr { return s.remote }

// SessionState is the state of a session.
type SessionState uint32

const (
	SessionConnecting SessionState = C.WTGRAM_SESSION_CONNECTING // not yet established
	SessionConnected  SessionState = C.WTGRAM_SESSION_CONNECTED  // established
	SessionDraining   SessionState = C.WTGRAM_SESSION_DRAINING   // established, but the peer asked to end it soon; datagrams still flow
	SessionClosed     SessionState = C.WTGRAM_SESSION_CLOSED     // ended
)

// State returns the state of the session.
func (s *Session) State() SessionState {
	defer runtime.KeepAlive(s)
	var phase C.uint32_t
	if C.wtgram_session_get_state(s.handle.get(), &phase) != C.WTGRAM_OK {
		return SessionClosed // its handle or the library is gone
	}
	return SessionState(phase)
}

// ID returns the id of the session, which is the id of its CONNECT stream.
func (s *Session) ID() (uint64, error) {
	defer runtime.KeepAlive(s)
	var id C.uint64_t
	if status := C.wtgram_session_get_id(s.handle.get(), &id); status != C.WTGRAM_OK {
		return 0, s.failure(Status(status))
	}
	return uint64(id), nil
}

// Path returns the path of the request with its query, for example "/room?name=a".
func (s *Session) Path() (string, error) {
	defer runtime.KeepAlive(s)
	return s.text(func(text *C.char, capacity C.size_t, length *C.size_t) C.wtgram_status {
		return C.wtgram_session_get_path(s.handle.get(), text, capacity, length)
	})
}

// Authority returns the host that the request is for, with its port if that is not 443.
func (s *Session) Authority() (string, error) {
	defer runtime.KeepAlive(s)
	return s.text(func(text *C.char, capacity C.size_t, length *C.size_t) C.wtgram_status {
		return C.wtgram_session_get_authority(s.handle.get(), text, capacity, length)
	})
}

// Origin returns the origin of the request, for example "https://example.com". It is empty if the
// client sent none, as programs other than browsers do.
func (s *Session) Origin() (string, error) {
	defer runtime.KeepAlive(s)
	return s.text(func(text *C.char, capacity C.size_t, length *C.size_t) C.wtgram_status {
		return C.wtgram_session_get_origin(s.handle.get(), text, capacity, length)
	})
}

// Header returns the header fields that the peer sent: in its request on a server, in its response
// on a client.
func (s *Session) Header() (http.Header, error) {
	defer runtime.KeepAlive(s)
	lines, err := s.text(func(text *C.char, capacity C.size_t, length *C.size_t) C.wtgram_status {
		return C.wtgram_session_get_headers(s.handle.get(), text, capacity, length)
	})
	if err != nil {
		return nil, err
	}
	return headerOf(lines), nil
}

// Subprotocol returns the subprotocol that the server picked. It is empty if it picked none.
func (s *Session) Subprotocol() (string, error) {
	defer runtime.KeepAlive(s)
	return s.text(func(text *C.char, capacity C.size_t, length *C.size_t) C.wtgram_status {
		return C.wtgram_session_get_subprotocol(s.handle.get(), text, capacity, length)
	})
}

// text is readText for what belongs to the session.
func (s *session) text(read func(text *C.char, capacity C.size_t, length *C.size_t) C.wtgram_status) (string, error) {
	text, err := readText(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
		return Status(read(text, capacity, length))
	})
	if err != nil {
		return "", s.failure(err.(Status))
	}
	return text, nil
}

// SessionStats are statistics of the session's connection.
type SessionStats struct {
	RTT, MinRTT                                                                  time.Duration
	CongestionWindowBytes, PacketsSent, PacketsLost, BytesLost, CongestionEvents uint64
	UDPBytesSent, UDPBytesReceived, UDPDatagramsSent, UDPDatagramsReceived       uint64
	DatagramFramesSent, DatagramFramesReceived, PeerStreamsRefused               uint64
	PathMTUBytes                                                                 uint32
}

// Stats returns the current statistics of the connection.
func (s *Session) Stats() (SessionStats, error) {
	defer runtime.KeepAlive(s)
	var c C.wtgram_session_stats
	C.wtgram_session_stats_init(&c)
	if status := C.wtgram_session_get_stats(s.handle.get(), &c); status != C.WTGRAM_OK {
		return SessionStats{}, s.failure(Status(status))
	}
	return SessionStats{
		RTT: time.Duration(c.rtt_us) * time.Microsecond, MinRTT: time.Duration(c.min_rtt_us) * time.Microsecond,
		CongestionWindowBytes: uint64(c.congestion_window_bytes), PacketsSent: uint64(c.packets_sent),
		PacketsLost: uint64(c.packets_lost), BytesLost: uint64(c.bytes_lost), CongestionEvents: uint64(c.congestion_events),
		UDPBytesSent: uint64(c.udp_bytes_sent), UDPBytesReceived: uint64(c.udp_bytes_received),
		UDPDatagramsSent: uint64(c.udp_datagrams_sent), UDPDatagramsReceived: uint64(c.udp_datagrams_received),
		DatagramFramesSent: uint64(c.datagram_frames_sent), DatagramFramesReceived: uint64(c.datagram_frames_received),
		PeerStreamsRefused: uint64(c.peer_streams_refused),
		PathMTUBytes:       uint32(c.path_mtu_bytes),
	}, nil
}
