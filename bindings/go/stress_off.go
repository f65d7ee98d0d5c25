//go:build !wtgram_gcstress

package wtgram

// collect does nothing: see the tag wtgram_gcstress.
func collect() {}
