package wtgram

// #cgo noescape bridge_receive_batch
// #cgo nocallback bridge_receive_batch
// #include "bridge.h"
import "C"

import (
	"context"
	"iter"
	"sync"
	"time"
)

// Batch is a buffer for many datagrams. Allocate it once and reuse it, or get it from
// Transport.Batches.
type Batch struct {
	// Max is the most datagrams that one call stores; 0 means 64, which is also the limit.
	Max int

	slab   slab
	count  int
	pooled bool // Release gives it back
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

// All returns an iterator over the datagrams and their places, which At takes.
func (b *Batch) All() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for i := range b.count {
			if !yield(i, b.At(i)) {
				return
			}
		}
	}
}

// Received returns the time at which datagram i arrived.
func (b *Batch) Received(i int) time.Time {
	return time.UnixMicro(int64(b.slab.received[i].timestamp_us))
}

var batches = sync.Pool{New: func() any { return new(Batch) }}

// Release gives a batch of Transport.Batches back, for a later one. Then neither the batch nor its
// datagrams may be used. A batch that is not released is garbage collected. Release does nothing
// for any other batch.
func (b *Batch) Release() {
	if b.pooled {
		b.Max, b.pooled, b.count = 0, false, 0
		batches.Put(b)
	}
}

// Batches returns an iterator that waits for datagrams, and takes all that are there, up to 64, for
// each turn of a loop:
//
//	for batch, err := range transport.Batches(ctx) {
//		if err != nil {
//			return err
//		}
//		for _, data := range batch.All() {
//			use(data)
//		}
//		batch.Release()
//	}
//
// The batch belongs to the loop, which may pass it to another goroutine. It comes from a pool, to
// which Release gives it back. The loop ends after an error, which is that of ReceiveBatch. A loop
// that ends before leaves what it has not got to other readers.
func (t *Transport) Batches(ctx context.Context) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		for {
			batch := batches.Get().(*Batch)
			batch.pooled = true
			if _, err := t.ReceiveBatch(ctx, batch); err != nil {
				batch.Release()
				yield(nil, err)
				return
			}
			if !yield(batch, nil) {
				return
			}
		}
	}
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
