package wtgram

// #include "bridge.h"
import "C"

import (
	"encoding/json"
	"fmt"
	"runtime"
)

// Finding is a problem that Diagnose found.
type Finding struct {
	Code    string  `json:"code"` // stable
	Message string  `json:"message"`
	Figure  float64 `json:"figure"`
}

// Diagnose looks for problems of the transport and returns them; nothing if there are none.
func (t *Transport) Diagnose() ([]Finding, error) {
	text, err := t.text(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
		return Status(C.wtgram_transport_diagnose(t.session.datagrams.get(), text, capacity, length))
	})
	if err != nil {
		return nil, err
	}
	var findings []Finding
	if err := json.Unmarshal([]byte(text), &findings); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInternal, err)
	}
	return findings, nil
}

// DebugState returns the whole state of the transport as JSON, for people to read.
func (t *Transport) DebugState() (json.RawMessage, error) {
	text, err := t.text(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
		return Status(C.wtgram_transport_get_debug_state(t.session.datagrams.get(), text, capacity, length))
	})
	return json.RawMessage(text), err
}

// Prometheus returns the figures of the transport and its path as OpenMetrics text 1.0.
func (t *Transport) Prometheus() (string, error) {
	return t.text(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
		return Status(C.wtgram_transport_get_prometheus(t.session.datagrams.get(), text, capacity, length))
	})
}

// Prometheus returns the sums of all transports of the process, past and present, as OpenMetrics
// text. Serve it as application/openmetrics-text; version=1.0.0; charset=utf-8.
func Prometheus() (string, error) {
	return readText(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
		return Status(C.wtgram_process_get_prometheus(text, capacity, length))
	})
}

func (t *Transport) text(read func(text *C.char, capacity C.size_t, length *C.size_t) Status) (string, error) {
	defer runtime.KeepAlive(t.session)
	text, err := readText(read)
	if err != nil {
		return "", t.session.failure(err.(Status))
	}
	return text, nil
}
