package wtgram

// #include "bridge.h"
import "C"

import (
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
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

// pinnedTexts is pinnedText for several strings. Each ends with a NUL, also an empty one.
func pinnedTexts(pinner *runtime.Pinner, values []string) (**C.char, C.size_t, error) {
	elements := make([]*C.char, len(values))
	for i, value := range values {
		text, err := texts(value)
		if err != nil {
			return nil, 0, err
		}
		pinner.Pin(pointer(text))
		elements[i] = (*C.char)(pointer(text))
	}
	array, count := pinnedArray(pinner, elements)
	return array, count, nil
}

// pinnedHeader is pinnedText for header fields, sorted by name, with the values of a name in order.
func pinnedHeader(pinner *runtime.Pinner, header http.Header) (*C.wtgram_header, C.size_t, error) {
	var elements []C.wtgram_header
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			field, _, err := pinnedTexts(pinner, []string{name, value})
			if err != nil {
				return nil, 0, err
			}
			both := unsafe.Slice(field, 2)
			elements = append(elements, C.wtgram_header{name: both[0], value: both[1]})
		}
	}
	array, count := pinnedArray(pinner, elements)
	return array, count, nil
}

// headerOf returns the header fields that the library wrote, each as "name: value" and a line feed.
func headerOf(lines string) http.Header {
	header := make(http.Header)
	for line := range strings.Lines(lines) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		header.Add(name, value)
	}
	return header
}
