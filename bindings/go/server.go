package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Server accepts sessions on one UDP port. All methods may be called from any goroutine.
type Server struct {
	*listener
}

// listener is the part of a Server that the pump refers to. It does not refer to the Server, so an
// unused Server can be garbage collected.
type listener struct {
	handle  held[C.wtgram_server]
	pump    *pump
	source  *source
	accept  waitQueue
	address net.Addr
	closed  atomic.Bool

	mu       sync.Mutex
	sessions map[*session]struct{} // accepted, and not ended
	draining bool                  // sessions that are accepted from now on are asked to end soon
	open     int                   // requests that wait for an answer, and handlers of Serve that run

	// Held while a session or request moves from the library to the fields above, so that Shutdown
	// finds it in one place or the other.
	moving sync.Mutex
}

// Listen opens a server on addr, which is "host:port". The host is an IP address or empty. Port 0
// means a free port. With WithSocket, addr is empty.
func Listen(addr string, options ...ListenOption) (*Server, error) {
	p, err := thePump()
	if err != nil {
		return nil, err
	}
	config := listenConfig{maxSessions: -1}
	config.init()
	for _, o := range options {
		o.listen(&config)
	}
	host, port, err := splitAddress(addr, config.socket != nil)
	if err != nil {
		return nil, fmt.Errorf("wtgram: listen: %w (%w)", err, ErrInvalidArgument)
	}
	hostText, err := optionalText(host)
	if err != nil {
		return nil, err
	}
	var pinner runtime.Pinner
	defer pinner.Unpin()
	var given C.wtgram_listen_options
	C.wtgram_listen_options_init(&given)
	if err := config.setTLS(&pinner, &given); err != nil {
		return nil, err
	}
	if err := config.setAdmission(&pinner, &given); err != nil {
		return nil, err
	}
	config.setLanes(&pinner, &given)
	detail := make([]byte, 256)
	l := &listener{pump: p, sessions: make(map[*session]struct{})}
	var status C.int32_t
	if err := withDescriptor(config.socket, func(socket C.int) {
		status = C.bridge_listen((*C.char)(pointer(hostText)), C.uint32_t(port), &given, inMicroseconds(config.handshakeTimeout),
			C.uint32_t(config.acceptBacklog), C.int64_t(config.maxSessions), &config.connection, &config.transport, socket,
			&l.handle.h, (*C.char)(pointer(detail)), C.size_t(len(detail)))
	}); err != nil {
		return nil, fmt.Errorf("wtgram: listen: %w (%w)", err, ErrInvalidArgument)
	}
	if status != C.WTGRAM_OK {
		return nil, &Error{"listen on " + addr, Status(status), detailOf(detail)}
	}
	address, err := readText(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
		return Status(C.wtgram_server_get_local_address(l.handle.get(), text, capacity, length))
	})
	if err != nil {
		C.wtgram_server_free(l.handle.get())
		return nil, err
	}
	l.address = udpAddress(address)
	l.source = p.source(l.handle.get().id, l.ready)
	l.accept = waitQueue{source: l.source, what: C.WTGRAM_READY_ACCEPT}
	l.source.arm(C.WTGRAM_READY_CLOSED)
	server := &Server{l}
	runtime.AddCleanup(server, func(l *listener) { l.close(0, "") }, l)
	return server, nil
}

// setLanes sets what concerns lanes and connection ids.
func (l *listenConfig) setLanes(pinner *runtime.Pinner, c *C.wtgram_listen_options) {
	c.lanes, c.server_id_rotation = C.uint32_t(l.lanes), C.uint32_t(l.serverIDRotation)
	if len(l.serverID) > 0 {
		pinner.Pin(&l.serverID[0])
		c.server_id, c.server_id_length = (*C.uint8_t)(&l.serverID[0]), C.size_t(len(l.serverID))
	}
}

// splitAddress returns the host and the port of a server's address, which a socket that is handed in
// already has.
func splitAddress(addr string, socket bool) (host string, port uint64, err error) {
	if socket {
		if addr != "" {
			return "", 0, errors.New("a socket and an address")
		}
		return "", 0, nil
	}
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.ParseUint(portText, 10, 16)
	return host, port, err
}

// withDescriptor calls use with the descriptor of a file, which stays open meanwhile, or with -1 if
// there is no file.
func withDescriptor(file *os.File, use func(C.int)) error {
	if file == nil {
		use(-1)
		return nil
	}
	raw, err := file.SyscallConn() // Fd would make the socket blocking, also for its other owners
	if err != nil {
		return err
	}
	return raw.Control(func(descriptor uintptr) { use(C.int(descriptor)) })
}

func udpAddress(text string) net.Addr {
	if parsed, err := netip.ParseAddrPort(text); err == nil {
		return net.UDPAddrFromAddrPort(parsed)
	}
	return &net.UDPAddr{}
}

func (l *listener) ready(what uint32) { l.accept.ready(what) }

// Accept waits for the next session, and returns it. It returns ErrClosed if the server is closed,
// and ErrInvalidState if the server was opened with WithRequests.
func (s *Server) Accept(ctx context.Context) (*Session, error) {
	defer runtime.KeepAlive(s)
	var session *Session
	var err error
	waitErr := s.accept.until(ctx, func() bool {
		s.moving.Lock()
		defer s.moving.Unlock()
		var handle C.wtgram_session
		status := C.wtgram_server_accept(s.handle.get(), 0, &handle)
		switch status {
		case C.WTGRAM_OK:
			if session, err = newSession(s.pump, handle); err == nil {
				s.track(session.session)
			}
		case C.WTGRAM_ERROR_WOULD_BLOCK, C.WTGRAM_ERROR_TIMED_OUT:
			return true
		case C.WTGRAM_ERROR_INVALID_HANDLE:
			err = ErrClosed
		default:
			err = Status(status)
		}
		return false
	})
	if waitErr != nil {
		return nil, waitErr
	}
	return session, err
}

// Addr returns the local address of the server, with its port.
func (s *Server) Addr() net.Addr { return s.address }

// CertificateHash returns the hash of the certificate in the default identity. With it, a client can
// trust a self-signed certificate.
func (s *Server) CertificateHash() (CertificateHash, error) {
	defer runtime.KeepAlive(s)
	var hash CertificateHash
	status := C.wtgram_server_get_certificate_hash(s.handle.get(), (*C.uint8_t)(pointer(hash[:])))
	if status == C.WTGRAM_ERROR_INVALID_HANDLE {
		return hash, ErrClosed
	}
	return hash, check(status)
}

// track remembers a session until it ends.
func (l *listener) track(s *session) {
	l.mu.Lock()
	l.sessions[s] = struct{}{}
	draining := l.draining
	l.mu.Unlock()
	context.AfterFunc(s.ctx, func() {
		l.mu.Lock()
		delete(l.sessions, s)
		l.mu.Unlock()
	})
	if draining {
		_ = s.drain() // it fails only if the session has ended
	}
}

// StopListening refuses new clients from now on. Sessions go on, and those that wait can still be
// accepted; when none is left, Accept returns ErrClosed. The port is in use until the last
// connection has ended. A second StopListening has no effect.
func (s *Server) StopListening() error {
	defer runtime.KeepAlive(s)
	status := C.wtgram_server_stop_listening(s.handle.get())
	if status == C.WTGRAM_ERROR_INVALID_HANDLE {
		return ErrClosed
	}
	return check(status)
}

// Shutdown ends the server in order, as that of net/http does: it stops listening, asks the peers of
// all sessions to end them soon, waits until all sessions have ended, all requests are answered and
// the handlers of Serve have returned, and closes the server. Accept, NextRequest and Serve still
// return what waits meanwhile: a session that nobody accepts ends after the AcceptTimeout, and a
// request that nobody answers after the handshake timeout. If the context ends first, Shutdown returns
// its error, and the server and its sessions live on: call CloseWithError then.
func (s *Server) Shutdown(ctx context.Context) error {
	defer runtime.KeepAlive(s)
	if err := s.StopListening(); err != nil {
		return err
	}
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	for _, one := range s.living() {
		_ = one.drain() // it fails only if the session has ended
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		idle, err := s.idle()
		if err != nil {
			return err
		}
		if idle {
			return s.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// idle says whether there are no sessions, requests or handlers.
func (l *listener) idle() (bool, error) {
	l.moving.Lock()
	defer l.moving.Unlock()
	var waits C.bool
	if err := check(C.bridge_waits(l.handle.get(), &waits)); err != nil {
		return false, err
	}
	l.mu.Lock()
	open := l.open
	l.mu.Unlock()
	return !bool(waits) && open == 0 && len(l.living()) == 0, nil
}

// count adds to the number of requests and handlers.
func (l *listener) count(more int) {
	l.mu.Lock()
	l.open += more
	l.mu.Unlock()
}

// living returns the sessions that were accepted and have not ended.
func (l *listener) living() []*session {
	l.mu.Lock()
	defer l.mu.Unlock()
	var living []*session
	for one := range l.sessions {
		if one.ctx.Err() == nil {
			living = append(living, one)
		}
	}
	return living
}

// CloseWithError closes the port and every session of the server. All peers get code and message,
// which is UTF-8 of at most 1024 bytes. A second close has no effect.
func (s *Server) CloseWithError(code SessionErrorCode, message string) error {
	defer runtime.KeepAlive(s)
	if len(message) > 1024 || !utf8.ValidString(message) {
		return ErrInvalidArgument
	}
	s.close(code, message)
	return nil
}

// Close closes the port, and every session of the server with code 0.
func (s *Server) Close() error { return s.CloseWithError(0, "") }

func (l *listener) close(code SessionErrorCode, message string) {
	if l.closed.Swap(true) {
		return
	}
	l.source.forget()
	l.accept.end()
	reason := []byte(message)
	// It fails only if the library is shut down, and then everything is closed.
	_ = C.wtgram_server_close_with(l.handle.get(), C.uint32_t(code), (*C.char)(pointer(reason)), C.size_t(len(reason)))
	C.wtgram_server_free(l.handle.get())
}
