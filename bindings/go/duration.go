package wtgram

// #include "bridge.h"
import "C"

import "time"

// inMicroseconds rounds away from 0, because 0 often means none.
func inMicroseconds(d time.Duration) C.int64_t {
	us, rest := d.Microseconds(), d%time.Microsecond
	switch {
	case rest > 0:
		us++
	case rest < 0:
		us--
	}
	return C.int64_t(us)
}

// microseconds is the inverse of inMicroseconds.
func microseconds(us C.int64_t) time.Duration { return time.Duration(us) * time.Microsecond }

// fraction converts a mean, which is often less than a microsecond.
func fraction(us C.double) time.Duration {
	return time.Duration(float64(us) * float64(time.Microsecond))
}
