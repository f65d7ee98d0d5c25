package wtgram

// #cgo noescape bridge_linger
// #cgo nocallback bridge_linger
// #include "bridge.h"
import "C"

import (
	"runtime"
	"time"
)

// linger is what a goroutine waits for inside the library, and how long, before it waits in Go.
//
// Where data flows without end a wait is over within microseconds, and to sleep and wake in Go
// costs more than what is waited for: descriptor, network poller, pump, and two or three threads
// that look for work. Inside the library the lane wakes the thread directly. That keeps a thread
// and one of Go's processors busy, so only a few goroutines linger at a time, always fewer than
// there are processors, and not for long.
type linger struct {
	what uint32 // 0: for nothing but the time to pass
	time time.Duration
}

var (
	whileReadable = []linger{{C.WTGRAM_READY_READABLE, 200 * time.Microsecond}}
	// Not until the first datagram has left, but until half of them have: who is woken for each
	// place alone does little else than being woken. Where the water marks know nothing of what is
	// full, as they do not of bytes, a nap is as good. Where it takes longer, places are what
	// counts, and Go waits for the next one.
	whileFull = []linger{{C.WTGRAM_READY_LOW_WATER, 5 * time.Millisecond}, {0, 500 * time.Microsecond}}
)

const maxLingerers = 4

// lingerPollers are one poller for each goroutine that may linger.
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

// linger says whether the object became ready, or the time has passed that was waited for.
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
