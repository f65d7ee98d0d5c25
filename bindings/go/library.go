package wtgram

// #include "bridge.h"
import "C"

import (
	"fmt"
	"time"
	"unsafe"
)

// Version returns the version of the loaded library.
func Version() string { return C.GoString(C.wtgram_version()) }

// versionNumber is major<<16 | minor<<8 | patch.
func versionNumber() uint32 { return uint32(C.wtgram_version_number()) }

// versionMismatch is the error of all calls if the loaded library does not fit the header with
// which this package was compiled. Before 1.0, major and minor must agree.
var versionMismatch = func() error {
	runs, compiled := versionNumber(), uint32(C.WTGRAM_VERSION_MAJOR<<16|C.WTGRAM_VERSION_MINOR<<8)
	if runs>>8 == compiled>>8 {
		return nil
	}
	return fmt.Errorf("wtgram: the library is version %s, this program was compiled for %d.%d: %w",
		Version(), C.WTGRAM_VERSION_MAJOR, C.WTGRAM_VERSION_MINOR, ErrInvalidState)
}()

// RuntimeOptions say how the library runs.
type RuntimeOptions struct {
	// Lanes is the most threads that run the protocol, 1 (the default) to 256. Each starts when it
	// is first needed. A server's sessions are spread over its lanes (WithLanes), client sessions
	// over all. A session stays on its lane.
	Lanes uint32
	// NoLead leaves all work to the lanes. Without it, a thread that waits inside the library does
	// the work of its lane meanwhile, and a single datagram leaves on the thread that sends it.
	NoLead bool
	// Spin is how long a thread that waits inside the library polls for packets before it sleeps.
	// It polls only as long as this has shortened its waits. 0 means the default of 30 µs, a
	// negative value means never; the maximum is 1 ms.
	Spin time.Duration
	// LaneCPUs are the CPUs of the lanes: the first lane stays on the first CPU, and so on, and then
	// again from the first. None leaves the choice to the system. A lane that cannot be kept there
	// does not start: ErrIO from the call that needs it.
	LaneCPUs []uint32
	// LaneScheduling says how the system schedules lanes.
	LaneScheduling Scheduling
	// LanePriority is the priority for real-time scheduling, 1 to 99, otherwise 0.
	LanePriority uint32
}

// Scheduling says how the system schedules lanes (sched(7)). Real-time scheduling needs a privilege;
// without it a lane does not start: ErrIO from the call that needs it.
type Scheduling uint32

const (
	SchedulingInherited  Scheduling = C.WTGRAM_SCHEDULING_INHERITED   // as the thread that starts the lane (the default)
	SchedulingFIFO       Scheduling = C.WTGRAM_SCHEDULING_FIFO        // SCHED_FIFO
	SchedulingRoundRobin Scheduling = C.WTGRAM_SCHEDULING_ROUND_ROBIN // SCHED_RR
)

// ConfigureRuntime sets options of the library. Call it before the first Listen or Dial; later it
// returns ErrInvalidState.
func ConfigureRuntime(options RuntimeOptions) error {
	if versionMismatch != nil {
		return versionMismatch
	}
	spin := inMicroseconds(max(options.Spin, 0))
	if options.Spin == 0 {
		spin = -1
	}
	return check(C.bridge_runtime_configure(C.uint32_t(options.Lanes), C.bool(!options.NoLead), spin,
		(*C.uint32_t)(unsafe.SliceData(options.LaneCPUs)), C.size_t(len(options.LaneCPUs)),
		C.uint32_t(options.LaneScheduling), C.uint32_t(options.LanePriority)))
}

// Shutdown closes every session and server of the process, and waits until the peers were notified,
// at most for timeout. Every later call fails with ErrClosed.
func Shutdown(timeout time.Duration) error {
	return check(C.wtgram_shutdown(inMicroseconds(timeout)))
}

// readText returns the text that a function of the library writes. It enlarges the buffer if
// needed.
func readText(read func(text *C.char, capacity C.size_t, length *C.size_t) Status) (string, error) {
	buffer := make([]byte, 256)
	for {
		var length C.size_t
		status := read((*C.char)(pointer(buffer)), C.size_t(len(buffer)), &length)
		if status == errBufferTooSmall {
			buffer = make([]byte, int(length)+1)
			continue
		}
		return string(buffer[:length]), check(status)
	}
}
