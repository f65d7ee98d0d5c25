package wtgram

// #cgo noescape bridge_send_obj
// #cgo nocallback bridge_send_obj
// #cgo noescape bridge_send_objects
// #cgo nocallback bridge_send_objects
// #cgo noescape bridge_receive_objects
// #cgo nocallback bridge_receive_objects
// #cgo noescape bridge_receive_object
// #cgo nocallback bridge_receive_object
// #include "bridge.h"
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// Structured is a structured transport: it sends and receives Go values. Each value is one datagram
// or one message, which begins with the id of the value's type.
type Structured struct {
	*structured
	below any // keeps the object below from being garbage collected
}

// structured is the part of a Structured that the pump refers to. It does not refer to the
// Structured, so an unused Structured can be garbage collected.
type structured struct {
	handle   held[C.wtgram_structured]
	owner    *session
	source   *source
	types    registered
	codec    Codec
	readable waitQueue
	writable waitQueue
}

// StructuredOptions are options of a structured transport.
type StructuredOptions struct {
	Codec          Codec  // nil for JSON
	QueueDatagrams uint64 // over a session: limit of values that wait to be received; 0 means the default of 100
}

// OpenStructured opens a structured transport beside the other readers of the session. Datagrams
// that begin with a registered id go to its own queue. All others stay with the session. Closing it
// does not close the session.
func (s *Session) OpenStructured(registry *Registry, options StructuredOptions) (*Structured, error) {
	return openStructured(C.BRIDGE_OVER_SESSION, s.handle.get().id, s, s, registry, options)
}

// OpenStructured opens a structured transport that receives all datagrams of the transport, so
// other goroutines should not receive from the transport. Closing it closes the transport.
func (t *Transport) OpenStructured(registry *Registry, options StructuredOptions) (*Structured, error) {
	return openStructured(C.BRIDGE_OVER_TRANSPORT, t.session.datagrams.get().id, t.session, t.session, registry, options)
}

// OpenStructured opens a structured transport over the layer: each value arrives once. It receives
// what the layer receives, and closing it closes the layer. The layer's NextOutcome returns the
// outcome of a value with a ReportID.
func (r *Reliability) OpenStructured(registry *Registry, options StructuredOptions) (*Structured, error) {
	return openStructured(C.BRIDGE_OVER_RELIABILITY, r.handle.get().id, r.session, r, registry, options)
}

func openStructured(over C.int, id C.uint64_t, session *Session, below any, registry *Registry,
	options StructuredOptions) (*Structured, error) {
	defer runtime.KeepAlive(below)
	if options.Codec == nil {
		options.Codec = JSON
	}
	kind := C.uint32_t(C.WTGRAM_SERIALIZER_CUSTOM)
	if native, ok := options.Codec.(libraryCodec); ok {
		kind = C.uint32_t(native)
	}
	s := &structured{owner: session.session, types: registry.snapshot(), codec: options.Codec}
	types := make([]C.wtgram_object_type, 0, len(s.types.byID)+1)
	for _, one := range s.types.byID {
		types = append(types, C.wtgram_object_type{type_id: C.uint32_t(one.id), max_bytes: C.uint64_t(one.maxBytes)})
	}
	count := C.size_t(len(types))
	status := Status(C.bridge_structured_open(over, id, &types[:1][0], count, kind, C.uint64_t(options.QueueDatagrams),
		&s.handle.h))
	if status != 0 {
		return nil, session.failure(status)
	}
	s.source = session.state.pump.source(s.handle.get().id, s.ready)
	s.readable = waitQueue{source: s.source, what: C.WTGRAM_READY_READABLE, patience: whileReadable}
	s.writable = waitQueue{source: s.source, what: C.WTGRAM_READY_WRITABLE}
	result := &Structured{s, below}
	runtime.AddCleanup(result, func(s *structured) { s.free() }, s)
	return result, nil
}

func (s *structured) ready(what uint32) {
	for _, queue := range []*waitQueue{&s.readable, &s.writable} {
		queue.ready(what)
	}
}

func (s *structured) free() {
	s.source.forget()
	C.wtgram_structured_free(s.handle.get())
}

// Send sends a value of a registered type, or a pointer to one. It waits only if the object below
// waits for space. It returns ErrUnknownType if the type is not registered, ErrSerialization if the
// codec refuses the value, and ErrTooLarge if the value has more bytes than its type or the path
// allows.
func (s *Structured) Send(ctx context.Context, value any) error {
	return s.SendWith(ctx, value, SendOptions{})
}

// SendWith is Send with options.
func (s *Structured) SendWith(ctx context.Context, value any, options SendOptions) error {
	defer runtime.KeepAlive(s)
	id, data, err := s.serialize(value)
	if err != nil {
		return err
	}
	return s.owner.waitForRoom(ctx, &s.writable, options, options.expires(),
		func(one attempt) Status { return s.trySend(id, data, one) })
}

// TrySend is SendWith, but never waits: it returns ErrWouldBlock instead.
func (s *Structured) TrySend(value any, options SendOptions) error {
	defer runtime.KeepAlive(s)
	id, data, err := s.serialize(value)
	if err != nil {
		return err
	}
	return s.owner.result(s.trySend(id, data, attempt{SendOptions: options}))
}

// SendBatch sends many values with few crossings into C. It waits when Send would wait. It returns
// how many were accepted. The errors are nil if all were; otherwise there is one for each value,
// nil if it was accepted.
func (s *Structured) SendBatch(ctx context.Context, values []any, options SendOptions) (accepted int, errs []error) {
	defer runtime.KeepAlive(s)
	accepted = s.owner.sendAll(ctx, &s.writable, len(values), options,
		func(i int) (C.uint32_t, []byte, error) { return s.serialize(values[i]) },
		func(box *outbox, one attempt) C.int32_t {
			return C.bridge_send_objects(s.handle.get(), (*C.uint8_t)(pointer(box.arena[:])), &box.lengths[0],
				&box.types[0], C.size_t(box.count), C.int32_t(one.Priority), inMicroseconds(one.TTL), one.wait,
				C.uint64_t(one.ReportID), &box.results[0])
		}, intoSlice(len(values), &errs))
	return accepted, errs
}

func (s *structured) serialize(value any) (id C.uint32_t, data []byte, err error) {
	one, target := s.types.of(value)
	if one == nil {
		return 0, nil, fmt.Errorf("%w: %T", ErrUnknownType, value)
	}
	data, err = s.codec.Marshal(target)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrSerialization, err)
	}
	return C.uint32_t(one.id), data, nil
}

func (s *structured) trySend(id C.uint32_t, data []byte, one attempt) Status {
	return Status(C.bridge_send_obj(s.handle.get(), id, (*C.uint8_t)(pointer(data)), C.size_t(len(data)),
		C.int32_t(one.Priority), inMicroseconds(one.TTL), one.wait, C.uint64_t(one.ReportID)))
}

// Receive waits for the next value. The value has the registered type, so use a type switch. A
// datagram that is not a value is dropped and reported with ErrTruncated, ErrUnknownType,
// ErrTooLarge or ErrDeserialization. The next call continues with the next datagram.
func (s *Structured) Receive(ctx context.Context) (any, error) {
	defer runtime.KeepAlive(s)
	var id C.uint32_t
	var data []byte
	err := s.owner.waitInside(ctx, &s.readable, func(patience C.int64_t) (status Status) {
		id, data, status = s.tryReceive(patience)
		return status
	})
	if err != nil {
		return nil, err
	}
	return s.value(id, data)
}

// TryReceive is Receive, but never waits: it returns ErrWouldBlock if nothing is there.
func (s *Structured) TryReceive() (any, error) {
	defer runtime.KeepAlive(s)
	id, data, status := s.tryReceive(0)
	if status != 0 {
		return nil, s.owner.failure(status)
	}
	return s.value(id, data)
}

func (s *structured) tryReceive(patience C.int64_t) (id C.uint32_t, data []byte, status Status) {
	room := slabs.Get().(*slab)
	defer slabs.Put(room)
	buffer := room.arena[:]
	for {
		var length C.size_t
		status = Status(C.bridge_receive_object(s.handle.get(), patience, (*C.uint8_t)(pointer(buffer)),
			C.size_t(len(buffer)), &id, &length))
		if status == errBufferTooSmall { // as JSON, some values are longer than on the wire
			buffer = make([]byte, length)
			continue
		}
		if status != 0 {
			return 0, nil, status
		}
		return id, copied(buffer[:length]), 0
	}
}

// Received is a received value, or the error of a datagram that is not a value.
type Received struct {
	Value     any
	Err       error     // why the datagram is not a value; see Structured.Receive
	Sequence  uint64    // the datagram's place in the order of arrival
	Timestamp time.Time // when the datagram arrived
}

// ReceiveBatch waits for the first value. Then it takes all that are there, up to len(into), and
// returns their number. A datagram that is not a value takes a place with its error.
func (s *Structured) ReceiveBatch(ctx context.Context, into []Received) (count int, err error) {
	defer runtime.KeepAlive(s)
	if len(into) == 0 {
		return 0, ErrInvalidArgument
	}
	err = s.owner.waitInside(ctx, &s.readable, func(patience C.int64_t) (status Status) {
		count, status = s.tryReceiveBatch(into, patience)
		return status
	})
	return count, err
}

func (s *structured) tryReceiveBatch(into []Received, patience C.int64_t) (int, Status) {
	room := slabs.Get().(*slab)
	defer slabs.Put(room)
	arena := room.arena[:]
	received := make([]C.wtgram_received_object, min(len(into), C.BRIDGE_BATCH))
	take := func() C.int64_t {
		return C.bridge_receive_objects(s.handle.get(), patience, (*C.uint8_t)(pointer(arena)), C.size_t(len(arena)),
			&received[0], C.size_t(len(received)))
	}
	count := take()
	for count == C.WTGRAM_ERROR_BUFFER_TOO_SMALL { // as JSON, some values are longer than on the wire
		arena = make([]byte, received[0].length)
		count = take()
	}
	if count < 0 {
		return 0, Status(count)
	}
	for i := range received[:count] {
		c := &received[i]
		into[i] = Received{Sequence: uint64(c.sequence), Timestamp: time.UnixMicro(int64(c.timestamp_us))}
		if c.status != C.WTGRAM_OK {
			into[i] = Received{Err: Status(c.status)}
			continue
		}
		into[i].Value, into[i].Err = s.value(c.type_id, arena[c.offset:c.offset+c.length])
	}
	return int(count), 0
}

func (s *structured) value(id C.uint32_t, data []byte) (any, error) {
	one := s.types.byID[uint16(id)]
	if one == nil {
		return nil, ErrUnknownType
	}
	value, err := one.decode(s.codec, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDeserialization, err)
	}
	return value, nil
}

// StructuredStats are the counters of a structured transport.
type StructuredStats struct {
	Sent, SendUnknownType, SendNotSerialized, SendTooLarge, SendFailed     uint64
	Received, ReceiveUnknownType, ReceiveTruncated, ReceiveNotDeserialized uint64
	ReceiveTooLarge, ReceiveDroppedFull, ReceiveQueued                     uint64
}

// Stats returns the current counters. They do not include values that a Codec of the program
// refused.
func (s *Structured) Stats() (StructuredStats, error) {
	defer runtime.KeepAlive(s)
	var c C.wtgram_structured_stats
	C.wtgram_structured_stats_init(&c)
	if status := C.wtgram_structured_get_stats(s.handle.get(), &c); status != C.WTGRAM_OK {
		return StructuredStats{}, s.owner.failure(Status(status))
	}
	return StructuredStats{
		Sent: uint64(c.sent), SendUnknownType: uint64(c.send_unknown_type),
		SendNotSerialized: uint64(c.send_not_serialized), SendTooLarge: uint64(c.send_too_large),
		SendFailed: uint64(c.send_failed), Received: uint64(c.received),
		ReceiveUnknownType: uint64(c.receive_unknown_type), ReceiveTruncated: uint64(c.receive_truncated),
		ReceiveNotDeserialized: uint64(c.receive_not_deserialized), ReceiveTooLarge: uint64(c.receive_too_large),
		ReceiveDroppedFull: uint64(c.receive_dropped_full), ReceiveQueued: uint64(c.receive_queued),
	}, nil
}

// IsClosed reports whether the structured transport is closed for sending. Values that have arrived
// can still be received.
func (s *Structured) IsClosed() bool {
	defer runtime.KeepAlive(s)
	var closed C.bool
	return C.wtgram_structured_is_closed(s.handle.get(), &closed) != C.WTGRAM_OK || bool(closed)
}

// Close closes the structured transport, and the transport or layer below if it was opened over
// one. Values that have arrived can still be received until the Structured is garbage collected. A
// second Close has no effect.
func (s *Structured) Close() error {
	defer runtime.KeepAlive(s)
	_ = C.wtgram_structured_close(s.handle.get()) // after Shutdown it is closed anyway
	s.readable.end()
	s.writable.end()
	return nil
}
