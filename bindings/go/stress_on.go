//go:build wtgram_gcstress

package wtgram

import (
	"runtime"
	"sync/atomic"
	"time"
)

var reads atomic.Uint64

// collect runs at every read of a handle. It exposes code that lets the owner of a handle be
// collected while the library uses it: the owner's cleanup frees the handle right here. A
// collection takes time, so after thousands of reads only some of them collect, and the others
// yield to cleanups that are due.
func collect() {
	if n := reads.Add(1); n < 2000 || n%64 == 0 {
		runtime.GC()
		time.Sleep(50 * time.Microsecond) // cleanups have a goroutine of their own
	}
	runtime.Gosched()
}
