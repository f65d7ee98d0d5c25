//go:build wtgram_static && !wtgram_dev

package wtgram

// The archive comes first and resolves everything; the -lwtgram that pkg-config adds is then not needed by anybody.

// #cgo LDFLAGS: -l:libwtgram.a -Wl,--as-needed
// #cgo pkg-config: --static wtgram
import "C"
