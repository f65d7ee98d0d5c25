package wtgram

// #cgo noescape bridge_send
// #cgo nocallback bridge_send
// #cgo noescape bridge_send_batch
// #cgo nocallback bridge_send_batch
// #cgo noescape bridge_try_receive
// #cgo nocallback bridge_try_receive
// #cgo noescape bridge_receive_batch
// #cgo nocallback bridge_receive_batch
// #include "bridge.h"
import "C"

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// slab is what one crossing into the library fills. Slabs are reused by all sessions.
type slab struct {
	arena    [64 * 1024]byte // no datagram is larger
	received [C.BRIDGE_BATCH]C.wtgram_received_datagram
}

var slabs = sync.Pool{New: func() any { return new(slab) }}

// tryReceive takes one datagram, and no others with it: what nobody has asked for stays in the
// library's queue, where it ages, is counted and can be read by others. The status is 0 or why
// there is none. metadata may be nil.
func (s *session) tryReceive(metadata *C.wtgram_datagram_metadata, withChecksum bool) ([]byte, Status) {
	room := slabs.Get().(*slab)
	var length C.size_t
	status := C.bridge_try_receive(s.datagrams.get(), (*C.uint8_t)(pointer(room.arena[:])), C.size_t(len(room.arena)),
		C.bool(withChecksum), metadata, &length)
	var data []byte
	if status == C.WTGRAM_OK {
		data = make([]byte, length)
		copy(data, room.arena[:length])
	}
	slabs.Put(room)
	return data, Status(status)
}

// waitFor calls try until it says something else than ErrWouldBlock, and gives the error of what it said.
func (s *session) waitFor(ctx context.Context, queue *waitQueue, try func() Status) error {
	var status Status
	err := queue.until(ctx, func() bool {
		status = try()
		return status == ErrWouldBlock
	})
	if err != nil && err != ErrClosed {
		return err
	}
	if err == ErrClosed {
		status = ErrClosed
	}
	return s.result(status)
}

// result is nil for 0.
func (s *session) result(status Status) error {
	if status == 0 {
		return nil
	}
	return s.failure(status)
}

// attempt is one call that sends. Under FullWait it is Go that waits, so the library is told not
// to; but it is the library that counts and reports what expires. The last attempt, when the TTL
// has passed, therefore waits there until that is so.
type attempt struct {
	SendOptions
	wait C.int64_t // microseconds
}

// lastWait is longer than what many with a TTL of 1 µs each take to expire, on a busy machine, too: 1 s.
const lastWait = 1_000_000

// expires is when the TTL of what is handed in now has passed; the zero time for never.
func (o SendOptions) expires() time.Time {
	if o.TTL <= 0 {
		return time.Time{}
	}
	return time.Now().Add(o.TTL)
}

// until is an attempt with what is left of the TTL.
func (o SendOptions) until(expires time.Time) attempt {
	one := attempt{SendOptions: o}
	if !expires.IsZero() {
		if one.TTL = time.Until(expires); one.TTL < time.Microsecond {
			one.TTL, one.wait = time.Microsecond, lastWait // a TTL of 0 would be none
		}
	}
	return one
}

// waitForRoom is waitFor for what is sent with a TTL, which runs while it waits.
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

// ReceiveDatagram waits for the next datagram. After the session is closed, it first returns what had arrived, then a
// *SessionError.
func (s *Session) ReceiveDatagram(ctx context.Context) ([]byte, error) {
	defer runtime.KeepAlive(s)
	return s.receive(ctx)
}

func (s *session) receive(ctx context.Context) (data []byte, err error) {
	err = s.waitFor(ctx, &s.readable, func() (status Status) {
		data, status = s.tryReceive(nil, false)
		return status
	})
	return data, err
}

// Batch is room for many datagrams, allocated once and filled again and again.
type Batch struct {
	// Max is how many datagrams a call puts into it at most; 0 for 64, which is all there is room for.
	Max int

	slab  slab
	count int
}

// Len is how many datagrams the last ReceiveBatch stored.
func (b *Batch) Len() int { return b.count }

// At is one of them; good until the batch is filled again.
func (b *Batch) At(i int) []byte {
	if i < 0 || i >= b.count {
		panic("wtgram: index out of range of the batch")
	}
	one := &b.slab.received[i]
	return b.slab.arena[one.offset : one.offset+one.length : one.offset+one.length]
}

// Received is when datagram i arrived.
func (b *Batch) Received(i int) time.Time {
	return time.UnixMicro(int64(b.slab.received[i].timestamp_us))
}

// fill takes what has arrived, up to the batch's size.
func (b *Batch) fill(datagrams C.wtgram_transport) Status {
	most := len(b.slab.received)
	if b.Max > 0 {
		most = min(most, b.Max)
	}
	count := C.bridge_receive_batch(datagrams, (*C.uint8_t)(pointer(b.slab.arena[:])), C.size_t(len(b.slab.arena)),
		&b.slab.received[0], C.size_t(most))
	if count <= 0 {
		return Status(count)
	}
	b.count = int(count)
	return 0
}

// SendOptions of one datagram.
type SendOptions struct {
	Priority int           // 0 (the default) to 2
	TTL      time.Duration // what could not be sent by then is dropped, and counted as expired; 0 = none
	ReportID uint64        // report what becomes of it under this number, in Transport.NextOutcome; 0 = do not
}

// SendDatagram queues a datagram with default options: see Transport.Send. It waits only if the queue is full and its
// policy is FullWait.
func (s *Session) SendDatagram(data []byte) error {
	defer runtime.KeepAlive(s)
	return s.send(context.Background(), data, SendOptions{})
}

func (s *session) send(ctx context.Context, data []byte, options SendOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	expires := options.expires()
	status := s.trySend(data, attempt{SendOptions: options})
	if status == ErrWouldBlock { // only under FullWait
		return s.waitForRoom(ctx, &s.writable, options, expires, func(one attempt) Status { return s.trySend(data, one) })
	}
	return s.result(status)
}

func (s *session) trySend(data []byte, one attempt) Status {
	return Status(C.bridge_send(s.datagrams.get(), (*C.uint8_t)(pointer(data)), C.size_t(len(data)),
		C.int32_t(one.Priority), inMicroseconds(one.TTL), one.wait, C.uint64_t(one.ReportID)))
}

// sendBatch waits for room unless ctx is nil, and tells failed of each datagram that was not accepted.
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

// DatagramStats account for every datagram: each one handed in is in exactly one of the outgoing figures, each one
// received in exactly one of the incoming.
type DatagramStats struct {
	HandedIn, Sent, SentBytes, SendExpired, SendEvicted, SendRejected, SendTooLarge, SendFailed, SendCleared uint64
	SendQueued, SendQueuedBytes, SentDroppedByQUIC                                                           uint64
	Received, ReceivedBytes, Delivered, DeliveredBytes, ReceiveExpired, ReceiveDroppedFull, ReceiveCleared   uint64
	ReceiveQueued, ReceiveQueuedBytes, ReceiveDroppedByQUIC, ReceiveForeign                                  uint64
}

func datagramStats(c *C.wtgram_transport_stats) DatagramStats {
	return DatagramStats{
		HandedIn: uint64(c.handed_in), Sent: uint64(c.sent), SentBytes: uint64(c.sent_bytes),
		SendExpired: uint64(c.send_expired), SendEvicted: uint64(c.send_evicted), SendRejected: uint64(c.send_rejected),
		SendTooLarge: uint64(c.send_too_large), SendFailed: uint64(c.send_failed), SendCleared: uint64(c.send_cleared),
		SendQueued: uint64(c.send_queued), SendQueuedBytes: uint64(c.send_queued_bytes),
		SentDroppedByQUIC: uint64(c.sent_dropped_by_quic),
		Received:          uint64(c.received), ReceivedBytes: uint64(c.received_bytes), Delivered: uint64(c.delivered),
		DeliveredBytes: uint64(c.delivered_bytes), ReceiveExpired: uint64(c.receive_expired),
		ReceiveDroppedFull: uint64(c.receive_dropped_full), ReceiveCleared: uint64(c.receive_cleared),
		ReceiveQueued: uint64(c.receive_queued), ReceiveQueuedBytes: uint64(c.receive_queued_bytes),
		ReceiveDroppedByQUIC: uint64(c.receive_dropped_by_quic), ReceiveForeign: uint64(c.receive_foreign),
	}
}
