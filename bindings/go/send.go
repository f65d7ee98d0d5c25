package wtgram

// #cgo noescape wtgram_transport_try_send
// #cgo nocallback wtgram_transport_try_send
// #cgo noescape bridge_send
// #cgo nocallback bridge_send
// #cgo noescape bridge_send_batch
// #cgo nocallback bridge_send_batch
// #include "bridge.h"
import "C"

import (
	"context"
	"runtime"
	"time"
)

// attempt is one call that sends. Under FullWait, Go waits and the library does not. But the
// library counts and reports expired datagrams. So the last attempt, after the TTL has passed,
// waits in the library until the datagram expires.
type attempt struct {
	SendOptions
	wait C.int64_t // microseconds
}

// lastWait is 1 s: longer than many datagrams with a TTL of 1 µs each take to expire, even on a
// busy machine.
const lastWait = 1_000_000

// expires returns the time at which the TTL of a datagram that is submitted now passes; the zero
// time means never.
func (o SendOptions) expires() time.Time {
	if o.TTL <= 0 {
		return time.Time{}
	}
	return time.Now().Add(o.TTL)
}

// until returns an attempt with the rest of the TTL.
func (o SendOptions) until(expires time.Time) attempt {
	one := attempt{SendOptions: o}
	if !expires.IsZero() {
		if one.TTL = time.Until(expires); one.TTL < time.Microsecond {
			one.TTL, one.wait = time.Microsecond, lastWait // a TTL of 0 would be none
		}
	}
	return one
}

// waitForRoom is waitFor for datagrams with a TTL. The TTL runs during the wait.
func (s *session) waitForRoom(ctx context.Context, queue *waitQueue, options SendOptions, expires time.Time,
	try func(attempt) Status) error {
	limited := ctx
	if !expires.IsZero() {
		var cancel context.CancelFunc
		limited, cancel = context.WithDeadline(ctx, expires)
		defer cancel()
	}
	once := func() Status { return try(options.until(expires)) }
	err := s.waitFor(limited, queue, once)
	if err == context.DeadlineExceeded && ctx.Err() == nil {
		return s.result(once())
	}
	return err
}

// SendOptions are options of a datagram.
type SendOptions struct {
	Priority int           // 0 (the default) to 2
	TTL      time.Duration // a datagram not sent by then is dropped and counted as expired; 0 = no limit
	ReportID uint64        // Transport.NextOutcome reports the outcome under this number; 0 = no report
}

// SendDatagram queues a datagram with default options; see Transport.Send. It waits only if the
// queue is full and its policy is FullWait.
func (s *Session) SendDatagram(data []byte) error {
	defer runtime.KeepAlive(s)
	return s.send(context.Background(), data, SendOptions{})
}

func (s *session) send(ctx context.Context, data []byte, options SendOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if options == (SendOptions{}) {
		if status := s.trySendPlain(data); status != ErrWouldBlock {
			return s.result(status)
		}
	}
	expires := options.expires()
	status := s.trySend(data, attempt{SendOptions: options})
	if status == ErrWouldBlock { // only under FullWait
		return s.waitForRoom(ctx, &s.writable, options, expires, func(one attempt) Status { return s.trySend(data, one) })
	}
	return s.result(status)
}

// trySendPlain is trySend with default options, which saves a tenth of the time of a send.
func (s *session) trySendPlain(data []byte) Status {
	return Status(C.wtgram_transport_try_send(s.datagrams.get(), (*C.uint8_t)(pointer(data)), C.size_t(len(data)), nil))
}

func (s *session) trySend(data []byte, one attempt) Status {
	return Status(C.bridge_send(s.datagrams.get(), (*C.uint8_t)(pointer(data)), C.size_t(len(data)),
		C.int32_t(one.Priority), inMicroseconds(one.TTL), one.wait, C.uint64_t(one.ReportID)))
}

// sendBatch waits for space unless ctx is nil. It calls failed for each datagram that was not
// accepted.
func (s *session) sendBatch(ctx context.Context, datagrams [][]byte, options SendOptions,
	failed func(i int, err error)) (accepted int) {
	return s.sendAll(ctx, &s.writable, len(datagrams), options,
		func(i int) (C.uint32_t, []byte, error) { return 0, datagrams[i], nil },
		func(box *outbox, one attempt) C.int32_t {
			return C.bridge_send_batch(s.datagrams.get(), (*C.uint8_t)(pointer(box.arena[:])), &box.lengths[0],
				C.size_t(box.count), C.int32_t(one.Priority), inMicroseconds(one.TTL), one.wait,
				C.uint64_t(one.ReportID), &box.results[0])
		}, failed)
}

// Send queues a datagram. If the queue is full, its policy decides what happens; under FullWait,
// Send waits for space until ctx ends, or until the TTL passes (ErrTimedOut). If ctx ends first,
// the datagram was not taken: it is not counted and has no outcome.
func (t *Transport) Send(ctx context.Context, data []byte, options SendOptions) error {
	defer runtime.KeepAlive(t.session)
	return t.session.send(ctx, data, options)
}

// TrySend is Send, but never waits: it returns ErrWouldBlock instead.
func (t *Transport) TrySend(data []byte, options SendOptions) error {
	defer runtime.KeepAlive(t.session)
	return t.session.result(t.session.trySend(data, attempt{SendOptions: options}))
}

// SendBatch queues many datagrams with few crossings into C, and returns how many were accepted.
// Under FullWait it waits for space. The errors are nil if all were accepted; otherwise there is
// one for each datagram, nil if it was accepted.
func (t *Transport) SendBatch(ctx context.Context, datagrams [][]byte, options SendOptions) (accepted int, errs []error) {
	defer runtime.KeepAlive(t.session)
	accepted = t.session.sendBatch(ctx, datagrams, options, intoSlice(len(datagrams), &errs))
	return accepted, errs
}

// TrySendBatch is SendBatch, but never waits: the error is ErrWouldBlock instead.
func (t *Transport) TrySendBatch(datagrams [][]byte, options SendOptions) (accepted int, errs []error) {
	defer runtime.KeepAlive(t.session)
	accepted = t.session.sendBatch(nil, datagrams, options, intoSlice(len(datagrams), &errs))
	return accepted, errs
}
