//go:build !wtgram_static && !wtgram_dev

package wtgram

// #cgo pkg-config: wtgram
import "C"
