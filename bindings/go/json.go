package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"unicode/utf8"
)

// SendJSON sends v as JSON. It checks a json.RawMessage strictly and sends it without its white
// space.
func (t *Transport) SendJSON(ctx context.Context, v any, options SendOptions) error {
	defer runtime.KeepAlive(t.session)
	text, raw := v.(json.RawMessage)
	if !raw {
		var err error
		if text, err = json.Marshal(v); err != nil {
			return fmt.Errorf("%w: %w", ErrSerialization, err)
		}
	}
	detail := make([]byte, 256)
	err := t.session.waitForRoom(ctx, &t.session.writable, options, options.expires(), func(one attempt) Status {
		return Status(C.bridge_send_json(t.session.datagrams.get(), (*C.char)(pointer(text)), C.size_t(len(text)),
			C.int32_t(one.Priority), inMicroseconds(one.TTL), one.wait, C.uint64_t(one.ReportID),
			(*C.char)(pointer(detail)), C.size_t(len(detail))))
	})
	if err == ErrSerialization {
		return &Error{"send JSON", ErrSerialization, detailOf(detail)}
	}
	return err
}

// ReceiveJSON waits for the next datagram and decodes it into v. If the datagram is not acceptable
// JSON (all UTF-8, no lone surrogates, at most 127 levels) or does not fit v, ReceiveJSON returns
// ErrSerialization and drops the datagram, because it would block all later ones.
func (t *Transport) ReceiveJSON(ctx context.Context, v any) error {
	data, err := t.Receive(ctx)
	if err != nil {
		return err
	}
	err = strictJSON(data)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSerialization, err)
	}
	return nil
}

// strictJSON refuses text that encoding/json would repair silently. The library does not send such
// text.
func strictJSON(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("not UTF-8")
	}
	if !json.Valid(text) {
		return errors.New("not JSON")
	}
	const maxDepth = 127
	depth, inString := 0, false
	high := -1 // the place at which a low surrogate must follow, or -1
	for i := 0; i < len(text); i++ {
		if high >= 0 && i == high && text[i] != '\\' {
			return errors.New("lone surrogate")
		}
		switch c := text[i]; {
		case !inString && (c == '[' || c == '{'):
			if depth++; depth > maxDepth {
				return errors.New("too deep")
			}
		case !inString && (c == ']' || c == '}'):
			depth--
		case c == '"':
			inString = !inString
		case c == '\\':
			escape := text[i+1]
			if escape != 'u' {
				if high == i {
					return errors.New("lone surrogate")
				}
				i++
				continue
			}
			var unit [2]byte
			if _, err := hex.Decode(unit[:], text[i+2:i+6]); err != nil {
				return err
			}
			isHigh, isLow := unit[0]&0xfc == 0xd8, unit[0]&0xfc == 0xdc
			if isLow != (high == i) {
				return errors.New("lone surrogate")
			}
			i += 5
			high = -1
			if isHigh {
				high = i + 1
			}
		}
	}
	return nil
}
