//go:build wtgram_dev

package wtgram

// build/release/lib is where CMake puts the library with its links, target/release where cargo alone does.

// #cgo CFLAGS: -I${SRCDIR}/../../include
// #cgo LDFLAGS: -L${SRCDIR}/../../build/release/lib -L${SRCDIR}/../../target/release -lwtgram
// #cgo LDFLAGS: -Wl,-rpath,${SRCDIR}/../../build/release/lib -Wl,-rpath,${SRCDIR}/../../target/release
import "C"
