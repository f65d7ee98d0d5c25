package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
)

// Request is the request of a client that waits for an answer, at most for the server's handshake
// timeout. A Request that is garbage collected unanswered is rejected with HTTP status 503. All
// methods may be called from any goroutine.
type Request struct {
	*request
}

// request is the part of a Request that the pump refers to. It does not refer to the Request, so an
// unused Request can be garbage collected.
type request struct {
	handle          held[C.wtgram_request]
	server          *listener
	source          *source
	path, authority string
	header          http.Header
	remote          net.Addr
	subprotocols    []string
	refusal         int
	certificates    [][]byte // DER
	ctx             context.Context
	cancel          context.CancelCauseFunc
	finished        sync.Once
}

// NextRequest waits for the next request. It returns ErrClosed if the server is closed, and
// ErrInvalidState if the server was not opened with WithRequests. At most as many requests wait for
// an answer, those included that it has returned, as WithAcceptBacklog says; further clients get HTTP
// status 503.
func (s *Server) NextRequest(ctx context.Context) (*Request, error) {
	defer runtime.KeepAlive(s)
	var next *Request
	var err error
	waitErr := s.accept.until(ctx, func() bool {
		s.moving.Lock()
		defer s.moving.Unlock()
		var handle C.wtgram_request
		status := C.wtgram_server_next_request(s.handle.get(), 0, &handle)
		switch status {
		case C.WTGRAM_OK:
			next, err = newRequest(s.listener, handle)
		case C.WTGRAM_ERROR_WOULD_BLOCK, C.WTGRAM_ERROR_TIMED_OUT:
			return true
		default:
			err = s.failure(status)
		}
		return false
	})
	if waitErr != nil {
		return nil, waitErr
	}
	return next, err
}

func newRequest(server *listener, handle C.wtgram_request) (*Request, error) {
	r := &request{handle: held[C.wtgram_request]{handle}, server: server}
	if err := r.read(); err != nil {
		C.wtgram_request_free(handle)
		return nil, err
	}
	server.count(1)
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	r.source = server.pump.source(handle.id, func(uint32) { r.finish() })
	r.source.arm(C.WTGRAM_READY_CLOSED)
	result := &Request{r}
	runtime.AddCleanup(result, func(r *request) { r.finish() }, r)
	return result, nil
}

// read reads what the client says.
func (r *request) read() error {
	var lines, remote string
	for _, one := range []struct {
		to  *string
		get func(text *C.char, capacity C.size_t, length *C.size_t) C.wtgram_status
	}{
		{&r.path, func(text *C.char, capacity C.size_t, length *C.size_t) C.wtgram_status {
			return C.wtgram_request_get_path(r.handle.get(), text, capacity, length)
		}},
		{&r.authority, func(text *C.char, capacity C.size_t, length *C.size_t) C.wtgram_status {
			return C.wtgram_request_get_authority(r.handle.get(), text, capacity, length)
		}},
		{&lines, func(text *C.char, capacity C.size_t, length *C.size_t) C.wtgram_status {
			return C.wtgram_request_get_headers(r.handle.get(), text, capacity, length)
		}},
		{&remote, func(text *C.char, capacity C.size_t, length *C.size_t) C.wtgram_status {
			return C.wtgram_request_get_remote_address(r.handle.get(), text, capacity, length)
		}},
	} {
		var err error
		*one.to, err = readText(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
			return Status(one.get(text, capacity, length))
		})
		if err != nil {
			return err
		}
	}
	r.header, r.remote = headerOf(lines), udpAddress(remote)
	var refusal C.uint32_t
	if err := check(C.wtgram_request_get_refusal(r.handle.get(), &refusal)); err != nil {
		return err
	}
	r.refusal = int(refusal)
	if err := r.readCertificates(); err != nil {
		return err
	}
	var count C.size_t
	if err := check(C.wtgram_request_get_subprotocol_count(r.handle.get(), &count)); err != nil {
		return err
	}
	for i := range count {
		name, err := readText(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
			return Status(C.wtgram_request_get_subprotocol(r.handle.get(), i, text, capacity, length))
		})
		if err != nil {
			return err
		}
		r.subprotocols = append(r.subprotocols, name)
	}
	return nil
}

func (r *request) readCertificates() error {
	var count C.size_t
	if err := check(C.wtgram_request_get_peer_certificate_count(r.handle.get(), &count)); err != nil {
		return err
	}
	for i := range count {
		var length C.size_t
		C.wtgram_request_get_peer_certificate(r.handle.get(), i, nil, 0, &length)
		der := make([]byte, length)
		status := C.wtgram_request_get_peer_certificate(r.handle.get(), i, (*C.uint8_t)(pointer(der)), length, &length)
		if err := check(status); err != nil {
			return err
		}
		r.certificates = append(r.certificates, der)
	}
	return nil
}

// finish is called when the request is over. If it is not answered, this rejects it.
func (r *request) finish() {
	r.finished.Do(func() {
		r.source.forget()
		C.wtgram_request_free(r.handle.get())
		r.cancel(ErrClosed)
		r.server.count(-1)
	})
}

// Path returns the path of the request with its query, for example "/room?name=a".
func (r *Request) Path() string { return r.path }

// Query returns the query of the path, without its "?". It is empty if there is none.
func (r *Request) Query() string {
	_, query, _ := strings.Cut(r.path, "?")
	return query
}

// Authority returns the host that the request is for, with its port if that is not 443.
func (r *Request) Authority() string { return r.authority }

// Origin returns the origin of the web page that asks, for example "https://example.com". It is
// empty if the client sent none, as programs other than browsers do.
func (r *Request) Origin() string { return r.header.Get("Origin") }

// Header returns the header fields of the request.
func (r *Request) Header() http.Header { return r.header }

// RemoteAddr returns the address of the client.
func (r *Request) RemoteAddr() net.Addr { return r.remote }

// Subprotocols returns the subprotocols that the client offers, in its order of preference.
func (r *Request) Subprotocols() []string { return r.subprotocols }

// PeerCertificates returns the certificates that the client has shown, and the server has checked: its
// own first, then those of the authorities above it. There are none if it showed none.
func (r *Request) PeerCertificates() ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for _, der := range r.certificates {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
	}
	return certificates, nil
}

// Refusal returns the HTTP status with which the rules of the server (WithAllowedOrigins and others)
// would refuse the request. It is 0 if they would accept it.
func (r *Request) Refusal() int { return r.refusal }

// Context returns a context that is done when the request is over: it was answered, the client has
// gone, or the handshake took too long.
func (r *Request) Context() context.Context { return r.ctx }

// Accept accepts the request, and returns its session, which is established at once. The header
// fields, which may be nil, go into the response. The subprotocol is one that the client offers, or
// empty for none. If something of that cannot be sent, Accept returns ErrInvalidArgument, and the
// request still waits. It returns ErrClosed if the request is over.
func (r *Request) Accept(header http.Header, subprotocol string) (*Session, error) {
	defer runtime.KeepAlive(r)
	var pinner runtime.Pinner
	defer pinner.Unpin()
	fields, count, err := pinnedHeader(&pinner, header)
	if err != nil {
		return nil, err
	}
	name, err := optionalText(subprotocol)
	if err != nil {
		return nil, err
	}
	r.server.moving.Lock()
	defer r.server.moving.Unlock()
	var handle C.wtgram_session
	if err := r.answered(C.wtgram_request_accept(r.handle.get(), fields, count, (*C.char)(pointer(name)), &handle)); err != nil {
		return nil, err
	}
	session, err := newSession(r.server.pump, handle)
	if err == nil {
		r.server.track(session.session)
	}
	return session, err
}

// Reject rejects the request with an HTTP status from 300 to 599, for example 403, 404 or 429. The
// header fields, which may be nil, go into the response. Reject fails as Accept does.
func (r *Request) Reject(status int, header http.Header) error {
	defer runtime.KeepAlive(r)
	var pinner runtime.Pinner
	defer pinner.Unpin()
	fields, count, err := pinnedHeader(&pinner, header)
	if err != nil {
		return err
	}
	if status < 300 || status > 599 {
		return ErrInvalidArgument
	}
	return r.answered(C.wtgram_request_reject(r.handle.get(), C.uint32_t(status), fields, count))
}

// answered is called with the result of an answer. Only if that was not acceptable, the request still
// waits.
func (r *request) answered(status C.wtgram_status) error {
	if status == C.WTGRAM_ERROR_INVALID_ARGUMENT {
		return ErrInvalidArgument
	}
	r.finish()
	if status == C.WTGRAM_ERROR_INVALID_HANDLE {
		return ErrClosed
	}
	return check(status)
}
