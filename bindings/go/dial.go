package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"time"
)

// dialSlots limits concurrent connects, because each blocks a thread in the library. A Dial whose
// context ends returns its slot at once, although its thread stays until the library's own timeout:
// others must not wait for a server that never answers.
var dialSlots = make(chan struct{}, 16)

// Dial connects to the server at an https URL and opens a session. The context limits only the
// connecting; it does not affect the session afterwards.
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
	select {
	case dialSlots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-dialSlots }()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		// A little longer than the context, whose own error is the one to report.
		if left := time.Until(deadline) + 10*time.Millisecond; config.timeout <= 0 || left < config.timeout {
			config.timeout = max(left, time.Millisecond)
		}
	}
	type result struct {
		handle C.wtgram_session
		err    error
	}
	done := make(chan result, 1)
	go func() {
		handle, err := connect(url, &config)
		done <- result{handle, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, r.err
		}
		return newSession(p, r.handle)
	case <-ctx.Done():
		go func() { // the caller no longer waits for the result
			if r := <-done; r.err == nil {
				C.wtgram_session_free(r.handle)
			}
		}()
		return nil, ctx.Err()
	}
}

func connect(url string, config *dialConfig) (handle C.wtgram_session, err error) {
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
	text := func(i int) *C.char { return (*C.char)(pointer(arguments[i])) }
	detail := make([]byte, 256)
	status := C.bridge_connect(text(0), inMicroseconds(config.timeout), C.uint32_t(config.trust), text(1),
		(*C.uint8_t)(pointer(config.caPEM)), C.size_t(len(config.caPEM)),
		(*C.uint8_t)(pointer(config.hashes)), C.size_t(len(config.hashes)/C.WTGRAM_CERTIFICATE_HASH_LENGTH),
		text(3), C.size_t(len(config.headers)/2), text(2), &config.connection, &config.transport, &handle,
		(*C.char)(pointer(detail)), C.size_t(len(detail)))
	if status != C.WTGRAM_OK {
		return handle, &Error{"dial " + url, Status(status), detailOf(detail)}
	}
	return handle, nil
}
