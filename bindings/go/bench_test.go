package wtgram_test

import (
	"testing"

	"example.com/wtgram"
)

// BenchmarkCrossing measures one crossing into C and back. A batch needs one for many datagrams.
func BenchmarkCrossing(b *testing.B) {
	for b.Loop() {
		wtgram.VersionNumber()
	}
}
