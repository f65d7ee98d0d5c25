package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"sync"
)

// outbox holds the datagrams or values of one crossing into the library. All sessions reuse
// outboxes.
type outbox struct {
	arena   [arenaBytes]byte
	lengths [C.BRIDGE_BATCH]C.size_t
	types   [C.BRIDGE_BATCH]C.uint32_t // of values
	places  [C.BRIDGE_BATCH]int        // in the caller's slice
	results [C.BRIDGE_BATCH]C.int32_t
	used    int
	count   int
}

var outboxes = sync.Pool{New: func() any { return new(outbox) }}

func (b *outbox) fits(data []byte) bool {
	return b.count < len(b.lengths) && len(data) <= len(b.arena)-b.used
}

func (b *outbox) add(place int, id C.uint32_t, data []byte) {
	copy(b.arena[b.used:], data)
	b.used += len(data)
	b.lengths[b.count], b.types[b.count], b.places[b.count] = C.size_t(len(data)), id, place
	b.results[b.count] = C.WTGRAM_ERROR_WOULD_BLOCK
	b.count++
}

// status is ErrWouldBlock while a datagram in the box waits for space.
func (b *outbox) status() Status {
	for _, result := range b.results[:b.count] {
		if result == C.WTGRAM_ERROR_WOULD_BLOCK {
			return ErrWouldBlock
		}
	}
	return 0
}

// sendAll sends `count` items in as few crossings as possible, and returns how many were accepted.
// It calls failed for each of the others. It waits for space until ctx ends; without a ctx, it does
// not wait. `send` sends the items of the box with the result WOULD_BLOCK, and returns how many
// were accepted.
func (s *session) sendAll(ctx context.Context, queue *waitQueue, count int, options SendOptions,
	item func(i int) (id C.uint32_t, data []byte, err error), send func(*outbox, attempt) C.int32_t,
	failed func(i int, err error)) (accepted int) {
	box := outboxes.Get().(*outbox)
	defer outboxes.Put(box)
	box.used, box.count = 0, 0 // a codec that panicked may have left items in it
	expires := options.expires()
	try := func(one attempt) Status {
		accepted += int(send(box, one))
		return box.status()
	}
	flush := func() {
		var ended error
		if ctx != nil {
			ended = ctx.Err()
		}
		if ended == nil && box.count > 0 && try(options.until(expires)) == ErrWouldBlock && ctx != nil {
			ended = s.waitForRoom(ctx, queue, options, expires, try)
		}
		for i, status := range box.results[:box.count] {
			switch {
			case status == C.WTGRAM_OK:
			case status == C.WTGRAM_ERROR_WOULD_BLOCK && ended != nil:
				failed(box.places[i], ended)
			default:
				failed(box.places[i], s.failure(Status(status)))
			}
		}
		box.used, box.count = 0, 0
	}
	for i := range count {
		id, data, err := item(i)
		if err == nil && len(data) > len(box.arena) {
			err = ErrTooLarge
		}
		if err != nil {
			flush() // so that failed is called in order
			failed(i, err)
			continue
		}
		if !box.fits(data) {
			flush()
		}
		box.add(i, id, data)
	}
	flush()
	return accepted
}

// intoSlice returns a function that collects the errors of `count` items. Without an error, errs
// stays nil.
func intoSlice(count int, errs *[]error) func(i int, err error) {
	return func(i int, err error) {
		if *errs == nil {
			*errs = make([]error, count)
		}
		(*errs)[i] = err
	}
}
