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

// versionMismatch is set when the library that runs does not fit the header this package was compiled with: before 1.0,
// major and minor must agree.
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
	// Lanes are threads that run the protocol, 1 (the default) to 256. A server or client socket
	// and its sessions live in one.
	Lanes uint32
	// NoLead keeps threads that wait inside the library from doing the work of their lane
	// meanwhile, and lone datagrams from leaving on the calling thread.
	NoLead bool
	// Spin is how long such a thread looks for packets before it sleeps, as long as that has paid
	// lately: 0 for the default, 30 µs, negative for never, and at most a millisecond.
	Spin time.Duration
}

// ConfigureRuntime sets options of the library. Call it before anything listens or dials; later it fails with
// ErrInvalidState.
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

// Shutdown closes every session and server of the process and waits until the peers were told, at most for timeout.
// Afterwards every call fails with ErrClosed.
func Shutdown(timeout time.Duration) error {
	return check(C.wtgram_shutdown(inMicroseconds(timeout)))
}

// readText calls one of the library's functions that write a text.
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
