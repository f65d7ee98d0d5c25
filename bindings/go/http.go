package wtgram

import (
	"context"
	"crypto/tls"
	"log"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"sync"
)

// Serve answers the requests of the server's clients with the handler, or with http.DefaultServeMux
// if it is nil. The handler can be any http.Handler: a mux with its patterns, middleware, or a
// function. It accepts a request with Upgrade. What it answers without Upgrade rejects the request
// with the status that it writes, and without a body; a status below 300, or none, becomes 404, or
// 503 if ctx has ended.
//
// The handler gets each request as an *http.Request, with method CONNECT, in a goroutine of its own.
// The context of the request ends when the handler returns or ctx ends. Before Upgrade it also ends
// when the client has gone or the handshake takes too long; afterwards, when the session ends.
// Sessions live on when the handler has returned.
//
// Serve returns the error of ctx when ctx ends, ErrClosed when the server is closed, and
// ErrInvalidState if the server was not opened with WithRequests.
func (s *Server) Serve(ctx context.Context, handler http.Handler) error {
	if handler == nil {
		handler = http.DefaultServeMux
	}
	return s.serveEach(ctx, handler, s.NextRequest)
}

func (s *Server) serveEach(ctx context.Context, handler http.Handler, next func(context.Context) (*Request, error)) error {
	for {
		request, err := next(ctx)
		if err == ErrLimitReached {
			continue // too many at once: it has been rejected with 503
		}
		if err != nil {
			return err
		}
		s.count(1)
		go func() {
			defer s.count(-1)
			serve(ctx, handler, request)
		}()
	}
}

// exchange is a request in a handler: the http.ResponseWriter, and where Upgrade finds it.
type exchange struct {
	request *Request
	cancel  context.CancelFunc // of the handler's context
	header  http.Header        // of the answer

	mu       sync.Mutex
	answered bool
}

// exchangeKey is the key of the exchange in the handler's context. So Upgrade finds it, also if
// middleware has wrapped the http.ResponseWriter.
type exchangeKey struct{}

func serve(serving context.Context, handler http.Handler, request *Request) {
	ctx, cancel := context.WithCancel(serving)
	defer cancel()
	e := &exchange{request: request, cancel: cancel, header: make(http.Header)}
	defer context.AfterFunc(request.Context(), e.over)()
	defer func() { // if nothing was answered
		if serving.Err() != nil {
			e.WriteHeader(http.StatusServiceUnavailable)
		}
		e.WriteHeader(http.StatusNotFound)
	}()
	target, err := url.ParseRequestURI(request.Path())
	if err != nil {
		e.WriteHeader(http.StatusBadRequest)
		return
	}
	defer func() {
		if what := recover(); what != nil {
			e.WriteHeader(http.StatusInternalServerError)
			if what != http.ErrAbortHandler {
				log.Printf("wtgram: panic serving %v: %v\n%s", request.RemoteAddr(), what, debug.Stack())
			}
		}
	}()
	certificates, err := request.PeerCertificates()
	if err != nil {
		e.WriteHeader(http.StatusBadRequest)
		return
	}
	handler.ServeHTTP(e, (&http.Request{
		Method: http.MethodConnect, URL: target, RequestURI: request.Path(),
		Proto: "HTTP/3.0", ProtoMajor: 3,
		Header: request.Header(), Body: http.NoBody,
		Host: request.Authority(), RemoteAddr: request.RemoteAddr().String(),
		TLS: &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, NegotiatedProtocol: "h3",
			PeerCertificates: certificates},
	}).WithContext(context.WithValue(ctx, exchangeKey{}, e)))
}

// over is called when the request is over. If the handler did not end it, it need not go on.
func (e *exchange) over() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.answered {
		e.cancel()
	}
}

// Header is a method of http.ResponseWriter.
func (e *exchange) Header() http.Header { return e.header }

// Write is a method of http.ResponseWriter. Answers have no body.
func (e *exchange) Write(data []byte) (int, error) { return len(data), nil }

// WriteHeader is a method of http.ResponseWriter.
func (e *exchange) WriteHeader(status int) {
	if status < 300 {
		return // it rejects nothing
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.answered {
		return
	}
	e.answered = true
	if e.request.Reject(status, sendable(e.header)) == ErrInvalidArgument {
		_ = e.request.Reject(http.StatusInternalServerError, nil)
	}
}

// sendable returns the header fields without those that an answer without a body cannot have, or
// that HTTP/3 does not have (RFC 9114 section 4.2).
func sendable(header http.Header) http.Header {
	header = header.Clone()
	for _, name := range []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade"} {
		header.Del(name)
	}
	return header
}

// Upgrade accepts the request of a handler that Server.Serve calls, and returns its session. The
// header fields of w go into the response. Of the subprotocols, which are those that the handler
// speaks, the best first, it picks the first one that the client offers, or none.
//
// The rules of the server hold: unless WithAllowedOrigins says otherwise, a web page of another host
// is refused. If Upgrade fails, it has answered the request, so the handler only returns. The error is
// ErrRejected if the rules refuse the request, ErrClosed if the request is over, and ErrInvalidState
// if it was answered before or does not come from Server.Serve.
func Upgrade(w http.ResponseWriter, r *http.Request, subprotocols ...string) (*Session, error) {
	e, found := r.Context().Value(exchangeKey{}).(*exchange)
	if !found {
		http.Error(w, "this is no WebTransport request", http.StatusBadRequest)
		return nil, &Error{"upgrade", ErrInvalidState, "the request does not come from Server.Serve"}
	}
	if status := e.request.Refusal(); status != 0 {
		w.WriteHeader(status)
		return nil, &Error{"upgrade", ErrRejected, "the rules of the server refuse the request: " + http.StatusText(status)}
	}
	session, err := e.accept(w.Header(), pick(e.request.Subprotocols(), subprotocols))
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError) // no effect if it is answered
		return nil, err
	}
	w.WriteHeader(http.StatusOK) // for middleware that records the status
	return session, nil
}

func (e *exchange) accept(header http.Header, subprotocol string) (*Session, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.answered {
		return nil, &Error{"upgrade", ErrInvalidState, "the request is answered"}
	}
	session, err := e.request.Accept(sendable(header), subprotocol)
	if err != nil {
		return nil, err
	}
	e.answered = true
	context.AfterFunc(session.Context(), e.cancel)
	return session, nil
}

func pick(offered, spoken []string) string {
	for _, name := range spoken {
		if slices.Contains(offered, name) {
			return name
		}
	}
	return ""
}

// Subprotocols returns the subprotocols that the client of a request offers, in its order of
// preference. The request comes from Server.Serve.
func Subprotocols(r *http.Request) []string {
	if e, found := r.Context().Value(exchangeKey{}).(*exchange); found {
		return e.request.Subprotocols()
	}
	return nil
}
