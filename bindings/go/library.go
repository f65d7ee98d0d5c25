package wtgram

// #include "bridge.h"
import "C"

import (
	"fmt"
	"time"
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
	// Lanes is the number of threads that run the protocol, 1 (the default) to 256. A socket of a
	// server or client and its sessions belong to one lane.
	Lanes uint32
	// NoLead leaves all work to the lanes. Without it, a thread that waits inside the library does
	// the work of its lane meanwhile, and a single datagram leaves on the thread that sends it.
	NoLead bool
	// Spin is how long a thread that waits inside the library polls for packets before it sleeps.
	// It polls only as long as this has shortened its waits. 0 means the default of 30 µs, a
	// negative value means never; the maximum is 1 ms.
	Spin time.Duration
}

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
	return check(C.bridge_runtime_configure(C.uint32_t(options.Lanes), C.bool(!options.NoLead), spin))
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
