package wtgram

// #cgo noescape bridge_try_send
// #cgo nocallback bridge_try_send
// #cgo noescape bridge_send_batch
// #cgo nocallback bridge_send_batch
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

// slab is what one crossing into the library fills. Slabs are reused by all sessions: a session holds one only while
// there is something in it.
type slab struct {
	arena    [64 * 1024]byte // no datagram is larger
	received [C.BRIDGE_BATCH]C.wtgram_received
	filled   time.Time
}

var slabs = sync.Pool{New: func() any { return new(slab) }}

// fill takes what has arrived, up to the slab's size.
func (b *slab) fill(datagrams C.wtgram_transport) C.int64_t {
	b.filled = time.Now()
	return C.bridge_receive_batch(datagrams, (*C.uint8_t)(pointer(b.arena[:])), C.size_t(len(b.arena)),
		&b.received[0], C.size_t(len(b.received)))
}

func (b *slab) at(i int) []byte {
	one := &b.received[i]
	return b.arena[one.offset : one.offset+one.length : one.offset+one.length]
}

// batch is a slab that is being handed out datagram by datagram.
type batch struct {
	batchMu     sync.Mutex
	slab        *slab
	next, count int
}

// pending says whether a datagram can be had without asking the library.
func (b *batch) pending() bool {
	b.batchMu.Lock()
	defer b.batchMu.Unlock()
	return b.slab != nil
}

// take copies the next datagram; the status is 0 or why there is none. metadata may be nil.
func (b *batch) take(datagrams C.wtgram_transport, metadata *Metadata) (data []byte, status Status) {
	b.batchMu.Lock()
	defer b.batchMu.Unlock()
	if b.slab == nil {
		filled := slabs.Get().(*slab)
		count := filled.fill(datagrams)
		if count <= 0 {
			slabs.Put(filled)
			return nil, Status(count)
		}
		b.slab, b.next, b.count = filled, 0, int(count)
	}
	data = append([]byte{}, b.slab.at(b.next)...)
	if metadata != nil {
		one := &b.slab.received[b.next]
		arrived := time.UnixMicro(int64(one.timestamp_us))
		// By the wall clock until it left the library, by the monotonic one since.
		*metadata = Metadata{Timestamp: arrived, Sequence: uint64(one.sequence),
			Age: max(0, b.slab.filled.Sub(arrived)) + time.Since(b.slab.filled)}
	}
	b.next++
	if b.next == b.count {
		slabs.Put(b.slab)
		b.slab = nil
	}
	return data, 0
}

// left is how many datagrams wait here; drop forgets them.
func (b *batch) left() int {
	b.batchMu.Lock()
	defer b.batchMu.Unlock()
	if b.slab == nil {
		return 0
	}
	return b.count - b.next
}

func (b *batch) drop() int {
	b.batchMu.Lock()
	defer b.batchMu.Unlock()
	if b.slab == nil {
		return 0
	}
	dropped := b.count - b.next
	slabs.Put(b.slab)
	b.slab = nil
	return dropped
}

// takeAll fills `into` with what is left here, or with what the library has.
func (b *batch) takeAll(datagrams C.wtgram_transport, into *Batch) Status {
	b.batchMu.Lock()
	defer b.batchMu.Unlock()
	if b.slab != nil {
		into.slab, into.first, into.count = *b.slab, b.next, b.count-b.next
		slabs.Put(b.slab)
		b.slab = nil
		return 0
	}
	count := into.slab.fill(datagrams)
	if count <= 0 {
		into.count = 0
		return Status(count)
	}
	into.first, into.count = 0, int(count)
	return 0
}

// waitFor calls try until it says something else than ErrWouldBlock, and gives the error of what it said.
func (s *session) waitFor(ctx context.Context, queue *waitQueue, try func() Status) error {
	var status Status
	err := queue.until(ctx, func() bool {
		status = try()
		return status == ErrWouldBlock
	})
	switch {
	case err == ErrClosed:
		return s.failure(ErrClosed)
	case err != nil:
		return err
	case status != 0:
		return s.failure(status)
	}
	return nil
}

// waitForRoom is waitFor for what is sent with a TTL, which runs while it waits: each try gets what is left of it.
func (s *session) waitForRoom(ctx context.Context, queue *waitQueue, options SendOptions,
	try func(left SendOptions) Status) error {
	if options.TTL <= 0 {
		return s.waitFor(ctx, queue, func() Status { return try(options) })
	}
	expires := time.Now().Add(options.TTL)
	limited, cancel := context.WithDeadline(ctx, expires)
	defer cancel()
	err := s.waitFor(limited, queue, func() Status {
		if options.TTL = time.Until(expires); options.TTL < time.Microsecond {
			return ErrTimedOut // not 0, which would be no TTL at all
		}
		return try(options)
	})
	if err == context.DeadlineExceeded && ctx.Err() == nil {
		return ErrTimedOut
	}
	return err
}

// ReceiveDatagram waits for the next datagram. What arrived before the peer closed the session is still received; then
// the error is a *SessionError.
func (s *Session) ReceiveDatagram(ctx context.Context) (data []byte, err error) {
	defer runtime.KeepAlive(s)
	err = s.waitFor(ctx, &s.readable, func() (status Status) {
		data, status = s.take(s.datagrams.get(), nil)
		return status
	})
	return data, err
}

// Batch is room for many datagrams, allocated once and filled again and again.
type Batch struct {
	slab         slab
	first, count int
}

// Len is how many datagrams the last ReceiveDatagrams brought.
func (b *Batch) Len() int { return b.count }

// At is one of them; good until the batch is filled again.
func (b *Batch) At(i int) []byte {
	if i < 0 || i >= b.count {
		panic("wtgram: index out of range of the batch")
	}
	return b.slab.at(b.first + i)
}

// Received is when datagram i arrived.
func (b *Batch) Received(i int) time.Time {
	return time.UnixMicro(int64(b.slab.received[b.first+i].timestamp_us))
}

// ReceiveDatagrams waits for the first datagram, then takes what is there, up to 64.
func (s *Session) ReceiveDatagrams(ctx context.Context, into *Batch) (int, error) {
	defer runtime.KeepAlive(s)
	into.count = 0
	err := s.waitFor(ctx, &s.readable, func() Status { return s.takeAll(s.datagrams.get(), into) })
	return into.count, err
}

// SendOptions of one datagram.
type SendOptions struct {
	Priority int           // 0 (the default) to 2
	TTL      time.Duration // what could not be sent by then is dropped; 0 = none
	ReportID uint64        // report what becomes of it under this number, in Transport.NextOutcome; 0 = do not
}

// SendDatagram queues a datagram. It does not wait, except for room where the queue was configured with FullWait; a TTL
// that passes meanwhile is ErrTimedOut.
func (s *Session) SendDatagram(data []byte) error {
	return s.SendDatagramContext(context.Background(), data, SendOptions{})
}

// SendDatagramContext is SendDatagram with options, and with a context for the wait that FullWait asks for.
func (s *Session) SendDatagramContext(ctx context.Context, data []byte, options SendOptions) error {
	defer runtime.KeepAlive(s)
	if err := ctx.Err(); err != nil {
		return err
	}
	status := s.trySend(data, options)
	if status == ErrWouldBlock { // only under FullWait
		return s.waitForRoom(ctx, &s.writable, options, func(left SendOptions) Status { return s.trySend(data, left) })
	}
	if status != 0 {
		return s.failure(status)
	}
	return nil
}

func (s *session) trySend(data []byte, options SendOptions) Status {
	return Status(C.bridge_try_send(s.datagrams.get(), (*C.uint8_t)(pointer(data)), C.size_t(len(data)),
		C.int32_t(options.Priority), inMicroseconds(options.TTL), C.uint64_t(options.ReportID)))
}

// SendDatagrams queues many datagrams with few crossings into C. Like SendDatagram it waits only where the queue was
// configured with FullWait. It returns how many were accepted, and the error of the first that was not.
func (s *Session) SendDatagrams(datagrams [][]byte) (int, error) {
	return s.SendDatagramsContext(context.Background(), datagrams, SendOptions{})
}

// SendDatagramsContext is SendDatagrams with options for each, and with a context for the wait that FullWait asks for.
func (s *Session) SendDatagramsContext(ctx context.Context, datagrams [][]byte, options SendOptions) (int, error) {
	defer runtime.KeepAlive(s)
	var first error
	accepted := s.sendBatch(ctx, datagrams, options, func(_ int, err error) {
		if first == nil {
			first = err
		}
	})
	return accepted, first
}

// sendBatch waits for room unless ctx is nil, and tells failed of each datagram that was not accepted.
func (s *session) sendBatch(ctx context.Context, datagrams [][]byte, options SendOptions,
	failed func(i int, err error)) (accepted int) {
	return s.sendAll(ctx, &s.writable, len(datagrams), options,
		func(i int) (C.uint32_t, []byte, error) { return 0, datagrams[i], nil },
		func(box *outbox, options SendOptions) C.int32_t {
			return C.bridge_send_batch(s.datagrams.get(), (*C.uint8_t)(pointer(box.arena[:])), &box.lengths[0],
				C.size_t(box.count), C.int32_t(options.Priority), inMicroseconds(options.TTL),
				C.uint64_t(options.ReportID), &box.results[0])
		}, failed)
}

// MaxDatagramSize is the largest datagram that can be sent now, in bytes; it may change with the path.
func (s *Session) MaxDatagramSize() (int, error) {
	defer runtime.KeepAlive(s)
	var bytes C.size_t
	if status := C.wtgram_transport_max_datagram_size(s.datagrams.get(), &bytes); status != C.WTGRAM_OK {
		return 0, s.failure(Status(status))
	}
	return int(bytes), nil
}

// DatagramStats account for every datagram: each one handed in is in exactly one of the outgoing figures, each one
// received in exactly one of the incoming.
type DatagramStats struct {
	HandedIn, Sent, SentBytes, SendExpired, SendEvicted, SendRejected, SendTooLarge, SendFailed, SendCleared uint64
	SendQueued, SendQueuedBytes, SentDroppedByQUIC                                                           uint64
	Received, ReceivedBytes, Delivered, DeliveredBytes, ReceiveExpired, ReceiveDroppedFull, ReceiveCleared   uint64
	ReceiveQueued, ReceiveQueuedBytes, ReceiveDroppedByQUIC, ReceiveForeign                                  uint64
}

// DatagramStats are the counters, now.
func (s *Session) DatagramStats() (DatagramStats, error) {
	defer runtime.KeepAlive(s)
	var c C.wtgram_transport_statistics
	C.wtgram_transport_statistics_init(&c)
	if status := C.wtgram_transport_stats(s.datagrams.get(), &c); status != C.WTGRAM_OK {
		return DatagramStats{}, s.failure(Status(status))
	}
	return datagramStats(&c), nil
}

func datagramStats(c *C.wtgram_transport_statistics) DatagramStats {
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
