//go:build wtgram_dev

package wtgram

// CMake puts the library and its links into build/release/lib; cargo alone puts it into
// target/release.

// #cgo CFLAGS: -I${SRCDIR}/../../include
// #cgo LDFLAGS: -L${SRCDIR}/../../build/release/lib -L${SRCDIR}/../../target/release -lwtgram
// #cgo LDFLAGS: -Wl,-rpath,${SRCDIR}/../../build/release/lib -Wl,-rpath,${SRCDIR}/../../target/release
import "C"
