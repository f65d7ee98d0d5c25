package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"runtime"
	"time"
)

// HeartbeatOptions are options of a heartbeat.
type HeartbeatOptions struct {
	Interval             time.Duration // at least 1 ms; 0 for the default of 30 s
	SilentAfterIntervals uint32        // after so many without a datagram the peer is silent; 0 = do not watch it
}

// StartHeartbeat sends a heartbeat of priority 1 now and in every interval, until StopHeartbeat or
// the end of the transport. Receivers get heartbeats like other datagrams; IsHeartbeat finds them.
func (t *Transport) StartHeartbeat(options HeartbeatOptions) error {
	var c C.wtgram_heartbeat_options
	C.wtgram_heartbeat_options_init(&c)
	if options.Interval != 0 {
		c.interval_us = inMicroseconds(options.Interval)
	}
	c.silent_after_intervals = C.uint32_t(options.SilentAfterIntervals)
	return t.done(C.wtgram_transport_start_heartbeat(t.session.datagrams.get(), &c))
}

// StopHeartbeat stops the heartbeat and no longer watches the peer.
func (t *Transport) StopHeartbeat() error {
	return t.done(C.wtgram_transport_stop_heartbeat(t.session.datagrams.get()))
}

// IsPeerSilent reports whether nothing has arrived for HeartbeatOptions.SilentAfterIntervals
// intervals.
func (t *Transport) IsPeerSilent() (bool, error) {
	var silent C.bool
	err := t.done(C.wtgram_transport_is_peer_silent(t.session.datagrams.get(), &silent))
	return bool(silent), err
}

// WaitPeerSilent waits until IsPeerSilent is true.
func (t *Transport) WaitPeerSilent(ctx context.Context) error {
	defer runtime.KeepAlive(t.session)
	return t.session.waitFor(ctx, &t.session.silent, func() Status {
		var silent, closed C.bool
		if status := Status(C.wtgram_transport_is_closed(t.session.datagrams.get(), &closed)); status != 0 {
			return status
		}
		if closed {
			return ErrClosed
		}
		if status := Status(C.wtgram_transport_is_peer_silent(t.session.datagrams.get(), &silent)); status != 0 {
			return status
		}
		if !silent {
			return ErrWouldBlock
		}
		return 0
	})
}

// NewHeartbeat returns the payload of a heartbeat: HEARTBEAT: and the Unix time in seconds.
func NewHeartbeat() ([]byte, error) {
	buffer := make([]byte, C.WTGRAM_HEARTBEAT_MAX_LENGTH)
	var length C.size_t
	err := check(C.wtgram_datagram_write_heartbeat((*C.uint8_t)(pointer(buffer)), C.size_t(len(buffer)), &length))
	return buffer[:length], err
}

// IsHeartbeat reports whether a payload starts as heartbeats do.
func IsHeartbeat(data []byte) bool {
	var heartbeat C.bool
	err := check(C.wtgram_datagram_is_heartbeat((*C.uint8_t)(pointer(data)), C.size_t(len(data)), &heartbeat))
	return err == nil && bool(heartbeat)
}
