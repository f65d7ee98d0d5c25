//go:build wtgram_gcstress

package wtgram

import (
	"runtime"
	"sync/atomic"
	"time"
)

var reads atomic.Uint64

// collect runs at every read of a handle. Whoever reads one and then lets its owner be collected
// before the library is done with it is found out: the owner's cleanup frees the handle right here.
// A collection takes a while, so those reads that come in thousands are sampled, and the rest of
// them only yields to cleanups that are due.
func collect() {
	if n := reads.Add(1); n < 2000 || n%64 == 0 {
		runtime.GC()
		time.Sleep(50 * time.Microsecond) // cleanups have a goroutine of their own
	}
	runtime.Gosched()
}
