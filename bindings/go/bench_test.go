package wtgram_test

import (
	"testing"

	"example.com/wtgram"
)

// What one crossing into C and back costs, which batches share.
func BenchmarkCrossing(b *testing.B) {
	for b.Loop() {
		wtgram.VersionNumber()
	}
}
