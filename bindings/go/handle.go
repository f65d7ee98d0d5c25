package wtgram

// held is a handle of the library in a Go value, whose cleanup frees the handle. The tag
// wtgram_gcstress collects garbage at every read. So the tests find a value that is not kept alive
// while its handle is in use.
type held[H any] struct{ h H }

func (h *held[H]) get() H {
	value := h.h
	collect() // after the last look at h, which would keep its owner alive
	return value
}
