package wtgram

// held is a handle of the library in a Go value. The value's cleanup frees the handle. With the tag
// wtgram_gcstress, every read of the handle collects garbage. So the tests find a value that is not
// kept alive while its handle is in use.
type held[H any] struct{ h H }

func (h *held[H]) get() H {
	value := h.h
	collect() // after the last look at h, which would keep its owner alive
	return value
}
