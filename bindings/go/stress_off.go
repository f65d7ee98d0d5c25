//go:build !wtgram_gcstress

package wtgram

// collect does nothing without the tag wtgram_gcstress.
func collect() {}
