package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"errors"
	"runtime"
)

// Transport sends and receives the datagrams of a session, with options, batches, settings and
// statistics. It ends with its session. All methods may be called from any goroutine.
type Transport struct {
	session *Session
}

// Transport returns the session's transport.
func (s *Session) Transport() *Transport { return &Transport{s} }

// Session returns the transport's session.
func (t *Transport) Session() *Session { return t.session }

// done returns the error of a call into the library, and keeps the handle alive until the call is
// over.
func (t *Transport) done(status C.wtgram_status) error {
	defer runtime.KeepAlive(t.session)
	if status == C.WTGRAM_OK {
		return nil
	}
	return t.session.failure(Status(status))
}

// MaxDatagramSize returns the size of the largest datagram that can be sent now, in bytes. It
// changes with the path.
func (t *Transport) MaxDatagramSize() (int, error) {
	var bytes C.size_t
	err := t.done(C.wtgram_transport_get_max_datagram_size(t.session.datagrams.get(), &bytes))
	return int(bytes), err
}

// WaitSizeChange waits until MaxDatagramSize differs from known, and returns the new size.
func (t *Transport) WaitSizeChange(ctx context.Context, known int) (size int, err error) {
	defer runtime.KeepAlive(t.session)
	err = t.session.waitFor(ctx, &t.session.resized, func() Status {
		var bytes C.size_t
		status := Status(C.wtgram_transport_get_max_datagram_size(t.session.datagrams.get(), &bytes))
		if size = int(bytes); status == 0 && size == known {
			return ErrWouldBlock
		}
		return status
	})
	return size, err
}

// WaitLowWater waits until the outgoing queue is not above its water marks; see OutgoingWaterMarks.
func (t *Transport) WaitLowWater(ctx context.Context) error {
	defer runtime.KeepAlive(t.session)
	asked := false
	return t.session.waitFor(ctx, &t.session.lowWater, func() Status {
		var closed C.bool
		if status := Status(C.wtgram_transport_is_closed(t.session.datagrams.get(), &closed)); status != 0 {
			return status
		}
		if closed {
			return ErrClosed
		}
		if !asked { // only the poller knows whether the queue is above its marks
			asked = true
			return ErrWouldBlock
		}
		return 0
	})
}

// IsClosed reports whether the transport or its session is closed. Datagrams that have arrived can
// still be received.
func (t *Transport) IsClosed() bool {
	var closed C.bool
	err := t.done(C.wtgram_transport_is_closed(t.session.datagrams.get(), &closed))
	return err != nil || bool(closed)
}

// IsReadable reports whether the transport is open or still has datagrams to receive.
func (t *Transport) IsReadable() bool {
	var readable C.bool
	err := t.done(C.wtgram_transport_is_readable(t.session.datagrams.get(), &readable))
	return err == nil && bool(readable)
}

// IsWritable reports whether the transport is open for sending.
func (t *Transport) IsWritable() bool {
	var writable C.bool
	err := t.done(C.wtgram_transport_is_writable(t.session.datagrams.get(), &writable))
	return err == nil && bool(writable)
}

// SessionID returns the id of the session.
func (t *Transport) SessionID() (id uint64, err error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_get_session_id(t.session.datagrams.get(), into)
	})
}

// SendSequence returns the number of datagrams submitted so far.
func (t *Transport) SendSequence() (uint64, error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_get_send_sequence(t.session.datagrams.get(), into)
	})
}

// ReceiveSequence returns the number of datagrams that arrived so far.
func (t *Transport) ReceiveSequence() (uint64, error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_get_receive_sequence(t.session.datagrams.get(), into)
	})
}

func (t *Transport) count(read func(into *C.uint64_t) C.wtgram_status) (uint64, error) {
	var value C.uint64_t
	err := t.done(read(&value))
	return uint64(value), err
}

// Close closes the transport but not its session. Queued datagrams are dropped and counted as
// failed. A second Close has no effect.
func (t *Transport) Close() error {
	if err := t.done(C.wtgram_transport_close(t.session.datagrams.get())); err != nil && !errors.Is(err, ErrClosed) {
		return err
	}
	return nil
}
