package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Dial connects to the server at an https URL and opens a session. The context limits only the
// connecting; it does not affect the session afterwards. When the context ends, the attempt ends at
// once, and Dial returns the error of the context. If the attempt fails, Dial returns a *DialError.
//
// A goroutine in Dial holds no operating-system thread.
func Dial(ctx context.Context, url string, options ...DialOption) (*Session, error) {
	p, err := thePump()
	if err != nil {
		return nil, err
	}
	var config dialConfig
	config.init()
	for _, o := range options {
		o.dial(&config)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		// A little longer than the context, whose own error is the one to report.
		if left := time.Until(deadline) + 10*time.Millisecond; config.timeout <= 0 || left < config.timeout {
			config.timeout = max(left, time.Millisecond)
		}
	}
	handle, err := startToConnect(url, &config)
	if err != nil {
		return nil, err
	}
	if err := waitConnected(ctx, p, url, handle); err != nil {
		C.wtgram_session_free(handle) // ends the attempt
		return nil, err
	}
	return newSession(p, handle)
}

// starting is held while an attempt starts, which takes the library less than a millisecond. If a
// thousand goroutines start at once, they wait here, as goroutines, and not in cgo, as threads.
var starting sync.Mutex

func startToConnect(url string, config *dialConfig) (handle C.wtgram_session, err error) {
	var arguments [4][]byte // url, CA file, bind host, headers
	if arguments[0], err = texts(url); err != nil {
		return handle, err
	}
	for i, value := range []string{config.caFile, config.bindHost} {
		if arguments[i+1], err = optionalText(value); err != nil {
			return handle, err
		}
	}
	if arguments[3], err = texts(config.headers...); err != nil {
		return handle, err
	}
	var pinner runtime.Pinner
	defer pinner.Unpin()
	var tls C.wtgram_connect_options
	C.wtgram_connect_options_init(&tls)
	if err := config.setTLS(&pinner, &tls); err != nil {
		return handle, err
	}
	text := func(i int) *C.char { return (*C.char)(pointer(arguments[i])) }
	subprotocols, subprotocolCount, err := pinnedTexts(&pinner, config.subprotocols)
	if err != nil {
		return handle, err
	}
	detail := make([]byte, 256)
	starting.Lock()
	status := C.bridge_connect_start(text(0), &tls, inMicroseconds(config.timeout), C.uint32_t(config.trust), text(1),
		(*C.uint8_t)(pointer(config.caPEM)), C.size_t(len(config.caPEM)),
		(*C.uint8_t)(pointer(config.hashes)), C.size_t(len(config.hashes)/C.WTGRAM_CERTIFICATE_HASH_LENGTH),
		text(3), C.size_t(len(config.headers)/2), subprotocols, subprotocolCount, text(2), &config.connection, &config.transport, &handle,
		(*C.char)(pointer(detail)), C.size_t(len(detail)))
	starting.Unlock()
	if status != C.WTGRAM_OK {
		return handle, &DialError{URL: url, Status: Status(status), Detail: detailOf(detail)}
	}
	return handle, nil
}

// waitConnected waits until the session is established. Otherwise it returns why it is not.
func waitConnected(ctx context.Context, p *pump, url string, handle C.wtgram_session) error {
	var ended waitQueue
	source := p.source(handle.id, func(what uint32) { ended.ready(what) })
	defer source.forget() // the session gets a source of its own
	ended.source, ended.what = source, C.WTGRAM_READY_CONNECTED
	detail := make([]byte, 256)
	var status Status
	err := ended.until(ctx, func() bool {
		status = Status(C.wtgram_session_wait_connected(handle, 0, (*C.char)(pointer(detail)), C.size_t(len(detail))))
		return status == ErrWouldBlock
	})
	if err != nil || status == 0 {
		return err
	}
	failure := &DialError{URL: url, Status: status, Detail: detailOf(detail)}
	var c C.wtgram_connect_failure
	C.wtgram_connect_failure_init(&c)
	if C.wtgram_session_get_connect_failure(handle, &c) == C.WTGRAM_OK {
		failure.HTTPStatus, failure.Retryable = int(c.http_status), c.is_retryable != 0
		failure.RetryAfter = microseconds(c.retry_after_us)
	}
	return failure
}

// DialError says why an attempt to connect failed, and whether to try again. errors.Is finds its
// Status. It is a net.Error.
type DialError struct {
	URL    string
	Status Status
	Detail string // a sentence of the library
	// HTTPStatus is the status with which the server rejected the session; 0 if the attempt failed
	// before the server answered.
	HTTPStatus int
	// Retryable says whether the same attempt may succeed later although nobody changes anything:
	// the server is away, overloaded or at its limit, or the network is down.
	Retryable bool
	// RetryAfter is how long the server asks to wait until the next attempt; 0 if it does not say.
	RetryAfter time.Duration
}

// Error returns the URL and the details, or the library's text for the status.
func (e *DialError) Error() string { return e.Unwrap().Error() }

// Unwrap returns the same as an *Error, which wraps the status.
func (e *DialError) Unwrap() error { return &Error{"dial " + e.URL, e.Status, e.Detail} }

// Timeout makes *DialError a net.Error.
func (e *DialError) Timeout() bool { return e.Status.Timeout() }

// Temporary makes *DialError a net.Error. It is deprecated there; use Retryable.
func (e *DialError) Temporary() bool { return false }
