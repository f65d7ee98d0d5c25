package wtgram

// #cgo noescape bridge_linger
// #cgo nocallback bridge_linger
// #include "bridge.h"
import "C"

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// The first moments of a wait are spent inside the library.
//
// While data flows without a pause, a wait ends within microseconds. To sleep and wake in Go costs
// more than that: descriptor, network poller, pump, and two or three threads that look for work.
// Inside the library, a goroutine's thread leads the lane as a thread of C does: it does the work
// that it waits for, and no other thread has to wake it. That keeps a thread and one of Go's
// processors busy, so only a few goroutines have a seat inside at a time, always fewer than there
// are processors, and not for long.

// whileReadable is how long a call that receives may wait inside the library. It is longer than a
// tick of most kernels, which then need not program a timer for each wait that ends within
// microseconds.
const whileReadable = 5 * time.Millisecond

// linger says what a goroutine waits for before it tries to send again, and how long.
type linger struct {
	what uint32 // 0: only for the time to pass
	time time.Duration
}

// whileFull waits until half of the datagrams have left, not only the first: a goroutine that is
// woken for each place does little else. The water marks count datagrams. If bytes fill the queue,
// a short sleep works as well. If it takes longer, Go waits for the next place.
var whileFull = []linger{{C.WTGRAM_READY_LOW_WATER, 5 * time.Millisecond}, {0, 500 * time.Microsecond}}

const maxSeats = 4

// seats are the places inside the library.
type seats struct {
	free    atomic.Int32
	pollers chan C.wtgram_poller // one for each seat, for those who linger
}

func (s *seats) prepare() error {
	count := min(runtime.GOMAXPROCS(0)-1, maxSeats)
	s.pollers = make(chan C.wtgram_poller, count)
	for range count {
		var poller C.wtgram_poller
		if err := check(C.wtgram_poller_new(&poller)); err != nil {
			return err
		}
		s.pollers <- poller
	}
	s.free.Store(int32(count))
	return nil
}

func (s *seats) take() bool {
	for free := s.free.Load(); free > 0; free = s.free.Load() {
		if s.free.CompareAndSwap(free, free-1) {
			return true
		}
	}
	return false
}

func (s *seats) leave() { s.free.Add(1) }

// linger reports whether the object became ready, or the time to wait has passed. The caller has a
// seat.
func (s *seats) linger(object C.uint64_t, l linger) bool {
	poller := <-s.pollers
	ready := C.bridge_linger(poller, object, C.uint32_t(l.what), inMicroseconds(l.time))
	s.pollers <- poller
	return bool(ready) || l.what == 0
}

// inside waits inside the library, if there is a seat and no other goroutine would be overtaken.
// It reports whether try is still blocked.
func (q *waitQueue) inside(ctx context.Context, try func(patience C.int64_t) (blocked bool)) (blocked bool) {
	if q.patience == 0 && q.lingers == nil || q.waiting.Load() > 0 {
		return true
	}
	seats := &q.source.pump.seats
	if !seats.take() {
		return true
	}
	defer func() {
		seats.leave()
		q.yield()
	}()
	if q.patience > 0 {
		patience := q.patience
		if deadline, ok := ctx.Deadline(); ok {
			patience = min(patience, time.Until(deadline))
		}
		return try(max(0, inMicroseconds(patience)))
	}
	for _, l := range q.lingers {
		if !seats.linger(q.source.object, l) {
			return true
		}
		if !try(0) {
			return false
		}
	}
	return true
}

// yieldEvery is less than the 10 ms after which Go's monitor takes the processor of a goroutine that
// was not scheduled again. The monitor then wakes every 20 µs for a while, which costs a program
// that does little else than send or receive up to a tenth of its time.
const yieldEvery = 5 * time.Millisecond

// yield lets other goroutines run, now and then.
func (q *waitQueue) yield() {
	if now := int64(time.Since(started)); now-q.yielded.Load() > int64(yieldEvery) {
		q.yielded.Store(now)
		runtime.Gosched()
	}
}

// started gives times of Go's monotonic clock.
var started = time.Now()
