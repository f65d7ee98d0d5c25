package wtgram

import (
	"math"
	"testing"
	"time"
)

func TestADurationIsRoundedAwayFromZero(t *testing.T) {
	for duration, want := range map[time.Duration]int64{0: 0, 1: 1, 1000: 1, 1001: 2, -1: -1, -1000: -1, -1001: -2,
		math.MaxInt64: math.MaxInt64/1000 + 1, math.MinInt64: math.MinInt64/1000 - 1} {
		if got := int64(inMicroseconds(duration)); got != want {
			t.Errorf("%d ns is %d µs instead of %d", int64(duration), got, want)
		}
	}
}
