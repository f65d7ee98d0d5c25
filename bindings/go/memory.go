package wtgram

// #include "bridge.h"
import "C"

import (
	"fmt"
	"runtime"
	"strings"
	"unsafe"
)

// pointer returns a pointer to the first byte, or nil if there is none.
func pointer(data []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(data)) }

// texts joins strings for C. Each ends with a NUL.
func texts(values ...string) ([]byte, error) {
	var all []byte
	for _, value := range values {
		if strings.ContainsRune(value, 0) {
			return nil, fmt.Errorf("%w: %q contains a NUL", ErrInvalidArgument, value)
		}
		all = append(append(all, value...), 0)
	}
	return all, nil
}

// optionalText is texts for one string, but returns nil for "".
func optionalText(value string) ([]byte, error) {
	if value == "" {
		return nil, nil
	}
	return texts(value)
}

// detailOf returns the text that the library wrote into a detail buffer.
func detailOf(buffer []byte) string {
	text, _, _ := strings.Cut(string(buffer), "\x00")
	return text
}

// pinnedText returns a string for a C struct, or nil for "". It stays where it is until the pinner
// unpins.
func pinnedText(pinner *runtime.Pinner, value string) (*C.char, error) {
	text, err := optionalText(value)
	if text == nil {
		return nil, err
	}
	pinner.Pin(pointer(text))
	return (*C.char)(pointer(text)), nil
}

// pinnedBytes is pinnedText for bytes.
func pinnedBytes(pinner *runtime.Pinner, data []byte) (*C.uint8_t, C.size_t) {
	if len(data) > 0 {
		pinner.Pin(pointer(data))
	}
	return (*C.uint8_t)(pointer(data)), C.size_t(len(data))
}

// pinnedArray is pinnedText for elements that refer only to what is pinned, too.
func pinnedArray[T any](pinner *runtime.Pinner, elements []T) (*T, C.size_t) {
	if len(elements) == 0 {
		return nil, 0
	}
	pinner.Pin(&elements[0])
	return &elements[0], C.size_t(len(elements))
}
