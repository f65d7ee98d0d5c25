package wtgram

import "C"

import (
	"fmt"
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
