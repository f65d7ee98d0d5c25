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
	"time"
	"unicode/utf8"
)

// Transport sends and receives the datagrams of a session, with options, batches, settings and statistics. It ends with
// its session.
type Transport struct {
	session *Session
}

// Transport is the session's transport.
func (s *Session) Transport() *Transport { return &Transport{s} }

// Session is the transport's session.
func (t *Transport) Session() *Session { return t.session }

// done gives the error of a call into the library and keeps the handle alive until the call is over.
func (t *Transport) done(status C.wtgram_status) error {
	defer runtime.KeepAlive(t.session)
	if status == C.WTGRAM_OK {
		return nil
	}
	return t.session.failure(Status(status))
}

// Send queues a datagram. If the queue is full, its policy decides what happens; under FullWait,
// Send waits for space until ctx ends, or until the TTL passes (ErrTimedOut). If ctx ends first,
// the datagram was not taken: it is not counted and has no outcome.
func (t *Transport) Send(ctx context.Context, data []byte, options SendOptions) error {
	defer runtime.KeepAlive(t.session)
	return t.session.send(ctx, data, options)
}

// TrySend is Send that never waits: where that would have to, the error is ErrWouldBlock.
func (t *Transport) TrySend(data []byte, options SendOptions) error {
	defer runtime.KeepAlive(t.session)
	return t.session.result(t.session.trySend(data, attempt{SendOptions: options}))
}

// SendBatch queues many datagrams with few crossings into C; under FullWait it waits for room. The
// errors are nil if all were accepted, else one for each datagram, nil where it was accepted.
func (t *Transport) SendBatch(ctx context.Context, datagrams [][]byte, options SendOptions) (accepted int, errs []error) {
	defer runtime.KeepAlive(t.session)
	accepted = t.session.sendBatch(ctx, datagrams, options, intoSlice(len(datagrams), &errs))
	return accepted, errs
}

// TrySendBatch is SendBatch that never waits: where that would have to, the error is ErrWouldBlock.
func (t *Transport) TrySendBatch(datagrams [][]byte, options SendOptions) (accepted int, errs []error) {
	defer runtime.KeepAlive(t.session)
	accepted = t.session.sendBatch(nil, datagrams, options, intoSlice(len(datagrams), &errs))
	return accepted, errs
}

// SendJSON sends v as JSON; a json.RawMessage is checked strictly and sent without its white space.
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

// Receive waits for the next datagram.
func (t *Transport) Receive(ctx context.Context) ([]byte, error) {
	defer runtime.KeepAlive(t.session)
	return t.session.receive(ctx)
}

// TryReceive is Receive that never waits: ErrWouldBlock where nothing is there.
func (t *Transport) TryReceive() ([]byte, error) {
	defer runtime.KeepAlive(t.session)
	data, status := t.session.tryReceive(nil, false)
	if status != 0 {
		return nil, t.session.failure(status)
	}
	return data, nil
}

// ReceiveBatch waits for the first datagram, then takes what is there, up to into.Max.
func (t *Transport) ReceiveBatch(ctx context.Context, into *Batch) (int, error) {
	defer runtime.KeepAlive(t.session)
	into.count = 0
	if into.Max < 0 {
		return 0, ErrInvalidArgument
	}
	err := t.session.waitFor(ctx, &t.session.readable, func() Status { return into.fill(t.session.datagrams.get()) })
	return into.count, err
}

// Metadata is what is known about a datagram that was received.
type Metadata struct {
	Timestamp time.Time     // when it arrived
	Size      int           // bytes
	Sequence  uint64        // place in the order of arrival, from 0; gaps are datagrams dropped after arrival
	Age       time.Duration // between arriving and being received
	Waited    time.Duration // how long the call waited; 0 where the datagram was there
	Checksum  string        // first 8 hex digits of the SHA-256, if asked for
}

// ReceiveWithMetadata waits for the next datagram and says what is known about it.
func (t *Transport) ReceiveWithMetadata(ctx context.Context, withChecksum bool) (data []byte, metadata Metadata, err error) {
	defer runtime.KeepAlive(t.session)
	var c C.wtgram_datagram_metadata
	start, tries := time.Now(), 0
	err = t.session.waitFor(ctx, &t.session.readable, func() (status Status) {
		data, status = t.session.tryReceive(&c, withChecksum)
		tries++
		return status
	})
	if err != nil {
		return nil, Metadata{}, err
	}
	metadata = Metadata{Timestamp: time.UnixMicro(int64(c.timestamp_us)), Size: int(c.size), Sequence: uint64(c.sequence),
		Age: microseconds(c.age_us), Checksum: C.GoString(&c.checksum[0])}
	if tries > 1 {
		metadata.Waited = time.Since(start)
	}
	return data, metadata, nil
}

// ReceiveJSON waits for the next datagram and decodes it into v. Where it is not acceptable JSON
// (UTF-8 throughout, no lone surrogates, at most 127 levels) or does not fit v, the error is
// ErrSerialization and the datagram is gone: it would block all that follow.
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

// strictJSON refuses what encoding/json repairs in silence, and what the library does not send.
func strictJSON(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("not UTF-8")
	}
	if !json.Valid(text) {
		return errors.New("not JSON")
	}
	const maxDepth = 127
	depth, inString := 0, false
	high := -1 // where a low surrogate must follow
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

// OutcomeKind is what became of a datagram.
type OutcomeKind uint32

const (
	OutcomeSent     OutcomeKind = C.WTGRAM_OUTCOME_SENT      // to QUIC; whether it arrives nobody knows
	OutcomeExpired  OutcomeKind = C.WTGRAM_OUTCOME_EXPIRED   // too old before it could be sent
	OutcomeEvicted  OutcomeKind = C.WTGRAM_OUTCOME_EVICTED   // made room for a newer one
	OutcomeRejected OutcomeKind = C.WTGRAM_OUTCOME_REJECTED  // no room for it
	OutcomeTooLarge OutcomeKind = C.WTGRAM_OUTCOME_TOO_LARGE // for the path
	OutcomeFailed   OutcomeKind = C.WTGRAM_OUTCOME_FAILED    // QUIC refused it
	OutcomeCleared  OutcomeKind = C.WTGRAM_OUTCOME_CLEARED   // by ClearSendBuffer
	OutcomeClosed   OutcomeKind = C.WTGRAM_OUTCOME_CLOSED    // the transport closed first
)

// Outcome is what became of a datagram that was sent with a ReportID.
type Outcome struct {
	ReportID uint64
	Kind     OutcomeKind
}

// NextOutcome waits for the outcome of a datagram that was sent with a ReportID; they come in the
// order in which they happened, each once. When QueueOptions.OutcomeCapacity of them are unfetched,
// sending with a ReportID is ErrLimitReached.
func (t *Transport) NextOutcome(ctx context.Context) (Outcome, error) {
	defer runtime.KeepAlive(t.session)
	var c C.wtgram_outcome
	err := t.session.waitFor(ctx, &t.session.outcomes, func() Status {
		return Status(C.wtgram_transport_next_outcome(t.session.datagrams.get(), 0, &c))
	})
	return Outcome{uint64(c.report_id), OutcomeKind(c.kind)}, err
}

// NextOutcomes waits for the first outcome, then takes what is there, up to len(into), and says how many.
func (t *Transport) NextOutcomes(ctx context.Context, into []Outcome) (int, error) {
	defer runtime.KeepAlive(t.session)
	if len(into) == 0 {
		return 0, ErrInvalidArgument
	}
	outcomes := make([]C.wtgram_outcome, min(len(into), 1024))
	var count C.size_t
	err := t.session.waitFor(ctx, &t.session.outcomes, func() Status {
		return Status(C.wtgram_transport_next_outcomes(t.session.datagrams.get(), 0, &outcomes[0], C.size_t(len(outcomes)), &count))
	})
	for i, c := range outcomes[:count] {
		into[i] = Outcome{uint64(c.report_id), OutcomeKind(c.kind)}
	}
	return int(count), err
}

// MaxDatagramSize is the largest datagram that can be sent now, in bytes; it may change with the path.
func (t *Transport) MaxDatagramSize() (int, error) {
	var bytes C.size_t
	err := t.done(C.wtgram_transport_get_max_datagram_size(t.session.datagrams.get(), &bytes))
	return int(bytes), err
}

// WaitSizeChange waits until MaxDatagramSize is another than known, and returns it.
func (t *Transport) WaitSizeChange(ctx context.Context, known int) (size int, err error) {
	defer runtime.KeepAlive(t.session)
	err = t.session.waitFor(ctx, &t.session.resized, func() Status {
		var bytes C.size_t
		status := Status(C.wtgram_transport_get_max_datagram_size(t.session.datagrams.get(), &bytes))
		if size = int(bytes); status == 0 && size == known {
			return ErrWouldBlock
		}
		return status
	})
	return size, err
}

// WaitLowWater waits until the outgoing queue is not above its water marks: see OutgoingWaterMarks.
func (t *Transport) WaitLowWater(ctx context.Context) error {
	defer runtime.KeepAlive(t.session)
	asked := false
	return t.session.waitFor(ctx, &t.session.lowWater, func() Status {
		var closed C.bool
		if status := Status(C.wtgram_transport_is_closed(t.session.datagrams.get(), &closed)); status != 0 {
			return status
		}
		if closed {
			return ErrClosed
		}
		if !asked { // only the poller knows
			asked = true
			return ErrWouldBlock
		}
		return 0
	})
}

// IsClosed says whether the transport or its session is closed; what has arrived can still be received.
func (t *Transport) IsClosed() bool {
	var closed C.bool
	err := t.done(C.wtgram_transport_is_closed(t.session.datagrams.get(), &closed))
	return err != nil || bool(closed)
}

// IsReadable says whether the receiving side is open, or holds datagrams.
func (t *Transport) IsReadable() bool {
	var readable C.bool
	err := t.done(C.wtgram_transport_is_readable(t.session.datagrams.get(), &readable))
	return err == nil && bool(readable)
}

// IsWritable says whether the sending side is open.
func (t *Transport) IsWritable() bool {
	var writable C.bool
	err := t.done(C.wtgram_transport_is_writable(t.session.datagrams.get(), &writable))
	return err == nil && bool(writable)
}

// SessionID is that of the session: of its CONNECT stream.
func (t *Transport) SessionID() (id uint64, err error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_get_session_id(t.session.datagrams.get(), into)
	})
}

// SendSequence is how many datagrams were handed in so far.
func (t *Transport) SendSequence() (uint64, error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_get_send_sequence(t.session.datagrams.get(), into)
	})
}

// ReceiveSequence is how many datagrams arrived so far.
func (t *Transport) ReceiveSequence() (uint64, error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_get_receive_sequence(t.session.datagrams.get(), into)
	})
}

func (t *Transport) count(read func(into *C.uint64_t) C.wtgram_status) (uint64, error) {
	var value C.uint64_t
	err := t.done(read(&value))
	return uint64(value), err
}

// Close ends the datagrams; the session lives on. What waits for being sent is dropped and counted as failed. A second
// Close does nothing.
func (t *Transport) Close() error {
	if err := t.done(C.wtgram_transport_close(t.session.datagrams.get())); err != nil && !errors.Is(err, ErrClosed) {
		return err
	}
	return nil
}
