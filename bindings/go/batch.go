package wtgram

// #cgo noescape bridge_receive_batch
// #cgo nocallback bridge_receive_batch
// #include "bridge.h"
import "C"

import "time"

// Batch is a buffer for many datagrams. Allocate it once and reuse it.
type Batch struct {
	// Max is the most datagrams that one call stores; 0 means 64, which is also the limit.
	Max int

	slab  slab
	count int
}

// Len returns how many datagrams the last ReceiveBatch stored.
func (b *Batch) Len() int { return b.count }

// At returns datagram i. It is valid until the batch is filled again. At panics if i is out of
// range.
func (b *Batch) At(i int) []byte {
	if i < 0 || i >= b.count {
		panic("wtgram: index out of range of the batch")
	}
	one := &b.slab.received[i]
	return b.slab.arena[one.offset : one.offset+one.length : one.offset+one.length]
}

// Received returns the time at which datagram i arrived.
func (b *Batch) Received(i int) time.Time {
	return time.UnixMicro(int64(b.slab.received[i].timestamp_us))
}

// fill takes the datagrams that have arrived, up to the batch's size. It waits for the first one as
// long as `patience` says.
func (b *Batch) fill(datagrams C.wtgram_transport, patience C.int64_t) Status {
	most := len(b.slab.received)
	if b.Max > 0 {
		most = min(most, b.Max)
	}
	count := C.bridge_receive_batch(datagrams, patience, (*C.uint8_t)(pointer(b.slab.arena[:])),
		C.size_t(len(b.slab.arena)), &b.slab.received[0], C.size_t(most))
	if count <= 0 {
		return Status(count)
	}
	b.count = int(count)
	return 0
}
