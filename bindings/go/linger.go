package wtgram

// #cgo noescape bridge_linger
// #cgo nocallback bridge_linger
// #include "bridge.h"
import "C"

import (
	"runtime"
	"time"
)

// linger says what a goroutine waits for inside the library before it waits in Go, and how long.
//
// While data flows without a pause, a wait ends within microseconds. To sleep and wake in Go costs
// more than that: descriptor, network poller, pump, and two or three threads that look for work.
// Inside the library, the lane wakes the thread directly. That keeps a thread and one of Go's
// processors busy, so only a few goroutines linger at a time, always fewer than there are
// processors, and not for long.
type linger struct {
	what uint32 // 0: only for the time to pass
	time time.Duration
}

var (
	whileReadable = []linger{{C.WTGRAM_READY_READABLE, 200 * time.Microsecond}}
	// Waits until half of the datagrams have left, not only the first: a goroutine that is woken
	// for each place does little else. The water marks count datagrams. If bytes fill the queue, a
	// short sleep works as well. If it takes longer, Go waits for the next place.
	whileFull = []linger{{C.WTGRAM_READY_LOW_WATER, 5 * time.Millisecond}, {0, 500 * time.Microsecond}}
)

const maxLingerers = 4

// lingerPollers has one poller for each goroutine that may linger.
func lingerPollers() (chan C.wtgram_poller, error) {
	count := min(runtime.GOMAXPROCS(0)-1, maxLingerers)
	pollers := make(chan C.wtgram_poller, count)
	for range count {
		var poller C.wtgram_poller
		if err := check(C.wtgram_poller_new(&poller)); err != nil {
			return nil, err
		}
		pollers <- poller
	}
	return pollers, nil
}

// linger reports whether the object became ready, or the time to wait has passed.
func (p *pump) linger(object C.uint64_t, l linger) bool {
	select {
	case poller := <-p.lingering:
		ready := C.bridge_linger(poller, object, C.uint32_t(l.what), inMicroseconds(l.time))
		p.lingering <- poller
		return bool(ready) || l.what == 0
	default:
		return false
	}
}
