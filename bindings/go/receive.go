package wtgram

// #cgo noescape bridge_receive
// #cgo nocallback bridge_receive
// #cgo noescape bridge_receive_with_metadata
// #cgo nocallback bridge_receive_with_metadata
// #include "bridge.h"
import "C"

import (
	"context"
	"io"
	"runtime"
	"sync"
	"time"
)

// slab is the memory that one crossing into the library fills. All sessions reuse slabs.
type slab struct {
	arena    [arenaBytes]byte
	received [C.BRIDGE_BATCH]C.wtgram_received_datagram
}

// arenaBytes is the size of an arena. A batch of datagrams for an Ethernet fits, and no datagram is
// larger than 64 KiB.
const arenaBytes = 96 * 1024

var slabs = sync.Pool{New: func() any { return new(slab) }}

// copied returns a copy, which belongs to the program. It is never nil.
func copied(data []byte) []byte {
	own := make([]byte, len(data)) // this form of a copy does not write the zeros first
	copy(own, data)
	return own
}

// tryReceive takes one datagram and no more: the others stay in the library's queue, where they
// age, are counted, and can be received by other readers. It waits as long as `patience` says. The
// status is 0, or says why there is no datagram.
func (s *session) tryReceive(patience C.int64_t) (data []byte, status Status) {
	room := slabs.Get().(*slab)
	length, status := s.tryReceiveInto(room.arena[:], patience)
	if status == 0 {
		data = copied(room.arena[:length])
	}
	slabs.Put(room)
	return data, status
}

// ReceiveDatagram waits for the next datagram. After the session is closed, it first returns the
// datagrams that had arrived, then a *SessionError.
func (s *Session) ReceiveDatagram(ctx context.Context) ([]byte, error) {
	defer runtime.KeepAlive(s)
	return s.receive(ctx)
}

func (s *session) receive(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, status := s.tryReceive(0)
	err := s.waitOn(ctx, &s.readable, status, func(patience C.int64_t) Status {
		data, status = s.tryReceive(patience)
		return status
	})
	return data, err
}

// Receive waits for the next datagram, as Session.ReceiveDatagram does.
func (t *Transport) Receive(ctx context.Context) ([]byte, error) {
	defer runtime.KeepAlive(t.session)
	return t.session.receive(ctx)
}

// ReceiveInto is Receive into the program's buffer, and returns the size of the datagram. It
// allocates nothing. If the buffer is too small, the error is io.ErrShortBuffer, the size is the
// one needed, and the datagram stays for the next call.
func (t *Transport) ReceiveInto(ctx context.Context, buffer []byte) (size int, err error) {
	defer runtime.KeepAlive(t.session)
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s := t.session.session
	size, status := s.tryReceiveInto(buffer, 0)
	err = s.waitOn(ctx, &s.readable, status, func(patience C.int64_t) Status {
		size, status = s.tryReceiveInto(buffer, patience)
		return status
	})
	if err == errBufferTooSmall {
		err = io.ErrShortBuffer
	}
	return size, err
}

func (s *session) tryReceiveInto(buffer []byte, patience C.int64_t) (int, Status) {
	var length C.size_t
	status := C.bridge_receive(s.datagrams.get(), patience, (*C.uint8_t)(pointer(buffer)), C.size_t(len(buffer)), &length)
	return int(length), Status(status)
}

// TryReceive is Receive, but never waits: it returns ErrWouldBlock if nothing is there.
func (t *Transport) TryReceive() ([]byte, error) {
	defer runtime.KeepAlive(t.session)
	data, status := t.session.tryReceive(0)
	if status != 0 {
		return nil, t.session.failure(status)
	}
	return data, nil
}

// ReceiveBatch waits for a datagram. Then it takes all that are there, at most into.Max, and
// returns their number.
func (t *Transport) ReceiveBatch(ctx context.Context, into *Batch) (int, error) {
	defer runtime.KeepAlive(t.session)
	into.count = 0
	if into.Max < 0 {
		return 0, ErrInvalidArgument
	}
	err := t.session.waitInside(ctx, &t.session.readable, func(patience C.int64_t) Status {
		return into.fill(t.session.datagrams.get(), patience)
	})
	return into.count, err
}

// Metadata describes a received datagram.
type Metadata struct {
	Timestamp time.Time     // when it arrived
	Size      int           // bytes
	Sequence  uint64        // its place in the order of arrival, from 0; a gap is a datagram that was dropped after arrival
	Age       time.Duration // time between arriving and being received
	Waited    time.Duration // how long the call waited; 0 if the datagram was already there
	Checksum  string        // first 8 hex digits of the SHA-256, if withChecksum was set
}

// ReceiveWithMetadata waits for the next datagram and returns it with its metadata.
func (t *Transport) ReceiveWithMetadata(ctx context.Context, withChecksum bool) (data []byte, metadata Metadata, err error) {
	defer runtime.KeepAlive(t.session)
	var c C.wtgram_datagram_metadata
	start, tries := time.Now(), 0
	err = t.session.waitInside(ctx, &t.session.readable, func(patience C.int64_t) Status {
		room := slabs.Get().(*slab)
		defer slabs.Put(room)
		status := C.bridge_receive_with_metadata(t.session.datagrams.get(), patience, C.bool(withChecksum),
			(*C.uint8_t)(pointer(room.arena[:])), C.size_t(len(room.arena)), &c)
		if status == C.WTGRAM_OK {
			data = copied(room.arena[:c.size])
		}
		tries++
		return Status(status)
	})
	if err != nil {
		return nil, Metadata{}, err
	}
	metadata = Metadata{Timestamp: time.UnixMicro(int64(c.timestamp_us)), Size: int(c.size), Sequence: uint64(c.sequence),
		Age: microseconds(c.age_us), Checksum: C.GoString(&c.checksum[0])}
	if tries > 1 {
		metadata.Waited = time.Since(start)
	}
	return data, metadata, nil
}
