package wtgram

// held is a handle of the library in a Go value whose cleanup frees it. The tag wtgram_gcstress
// collects garbage at every read, so that a value that is not kept alive for as long as its handle
// is in use is found out by the tests.
type held[H any] struct{ h H }

func (h *held[H]) get() H {
	value := h.h
	collect() // after the last look at h, which would keep its owner alive
	return value
}
