//go:build wtgram_static && !wtgram_dev

package wtgram

// The archive comes first and resolves everything, so the -lwtgram that pkg-config adds is not
// needed.

// #cgo LDFLAGS: -l:libwtgram.a -Wl,--as-needed
// #cgo pkg-config: --static wtgram
import "C"
