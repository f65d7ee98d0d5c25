package wtgram

// #include "bridge.h"
import "C"

import "time"

// OutgoingMaxAge is the age at which a datagram is dropped instead of sent; 0 for none.
func (t *Transport) OutgoingMaxAge() (time.Duration, error) {
	var us C.int64_t
	err := t.done(C.wtgram_transport_get_outgoing_max_age(t.session.datagrams.get(), &us))
	return microseconds(us), err
}

// SetOutgoingMaxAge sets it; what is queued and too old is dropped at once.
func (t *Transport) SetOutgoingMaxAge(age time.Duration) error {
	return t.done(C.wtgram_transport_set_outgoing_max_age(t.session.datagrams.get(), inMicroseconds(age)))
}

// IncomingMaxAge is the age at which a datagram is dropped instead of delivered; 0 for none.
func (t *Transport) IncomingMaxAge() (time.Duration, error) {
	var us C.int64_t
	err := t.done(C.wtgram_transport_get_incoming_max_age(t.session.datagrams.get(), &us))
	return microseconds(us), err
}

// SetIncomingMaxAge sets it; what is queued and too old is dropped at once.
func (t *Transport) SetIncomingMaxAge(age time.Duration) error {
	return t.done(C.wtgram_transport_set_incoming_max_age(t.session.datagrams.get(), inMicroseconds(age)))
}

// Limits are the limits of a queue.
type Limits struct {
	Datagrams uint64 // at least 1
	Bytes     uint64 // of payload
}

// OutgoingLimits are how much may wait for being sent.
func (t *Transport) OutgoingLimits() (Limits, error) {
	var datagrams, bytes C.uint64_t
	err := t.done(C.wtgram_transport_get_outgoing_limits(t.session.datagrams.get(), &datagrams, &bytes))
	return Limits{uint64(datagrams), uint64(bytes)}, err
}

// SetOutgoingLimits sets them. Under FullEvict what is too much now is evicted at once.
func (t *Transport) SetOutgoingLimits(limits Limits) error {
	return t.done(C.wtgram_transport_set_outgoing_limits(t.session.datagrams.get(), C.uint64_t(limits.Datagrams),
		C.uint64_t(limits.Bytes)))
}

// IncomingLimits are how much may wait for being received.
func (t *Transport) IncomingLimits() (Limits, error) {
	var datagrams, bytes C.uint64_t
	err := t.done(C.wtgram_transport_get_incoming_limits(t.session.datagrams.get(), &datagrams, &bytes))
	return Limits{uint64(datagrams), uint64(bytes)}, err
}

// SetIncomingLimits sets them. Under DropOldest what is too much now is dropped at once.
func (t *Transport) SetIncomingLimits(limits Limits) error {
	return t.done(C.wtgram_transport_set_incoming_limits(t.session.datagrams.get(), C.uint64_t(limits.Datagrams),
		C.uint64_t(limits.Bytes)))
}

// OutgoingFullPolicy is what happens to a datagram for which the outgoing queue has no room.
func (t *Transport) OutgoingFullPolicy() (FullPolicy, error) {
	var policy C.uint32_t
	err := t.done(C.wtgram_transport_get_outgoing_full_policy(t.session.datagrams.get(), &policy))
	return FullPolicy(policy), err
}

// SetOutgoingFullPolicy sets it; who waits for room is judged by the new one.
func (t *Transport) SetOutgoingFullPolicy(policy FullPolicy) error {
	err := t.done(C.wtgram_transport_set_outgoing_full_policy(t.session.datagrams.get(), C.uint32_t(policy)))
	t.session.writable.wakeAll()
	return err
}

// IncomingDropPolicy is which datagram goes when the incoming queue is full.
func (t *Transport) IncomingDropPolicy() (DropPolicy, error) {
	var policy C.uint32_t
	err := t.done(C.wtgram_transport_get_incoming_drop_policy(t.session.datagrams.get(), &policy))
	return DropPolicy(policy), err
}

// SetIncomingDropPolicy sets it, for what arrives from now on.
func (t *Transport) SetIncomingDropPolicy(policy DropPolicy) error {
	return t.done(C.wtgram_transport_set_incoming_drop_policy(t.session.datagrams.get(), C.uint32_t(policy)))
}

// NoMark is a water mark that is never reached.
const NoMark = ^uint64(0)

// WaterMarks of the outgoing queue: it is above them from when a high one was reached until both
// have come down to their low ones.
type WaterMarks struct {
	HighDatagrams, LowDatagrams uint64
	HighBytes, LowBytes         uint64 // NoMark for none
}

// OutgoingWaterMarks are the marks; Transport.WaitLowWater waits for the low ones.
func (t *Transport) OutgoingWaterMarks() (WaterMarks, error) {
	var c C.wtgram_water_marks
	C.wtgram_water_marks_init(&c)
	err := t.done(C.wtgram_transport_get_outgoing_water_marks(t.session.datagrams.get(), &c))
	if err != nil {
		return WaterMarks{}, err
	}
	return WaterMarks{uint64(c.high_datagrams), uint64(c.low_datagrams), uint64(c.high_bytes), uint64(c.low_bytes)}, nil
}

// SetOutgoingWaterMarks sets them; the queue is judged by them at once.
func (t *Transport) SetOutgoingWaterMarks(marks WaterMarks) error {
	var c C.wtgram_water_marks
	C.wtgram_water_marks_init(&c)
	c.high_datagrams, c.low_datagrams = C.uint64_t(marks.HighDatagrams), C.uint64_t(marks.LowDatagrams)
	c.high_bytes, c.low_bytes = C.uint64_t(marks.HighBytes), C.uint64_t(marks.LowBytes)
	return t.done(C.wtgram_transport_set_outgoing_water_marks(t.session.datagrams.get(), &c))
}

// OutgoingHighWaterMark is the high mark in datagrams.
func (t *Transport) OutgoingHighWaterMark() (uint64, error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_get_outgoing_high_water_mark(t.session.datagrams.get(), into)
	})
}

// SetOutgoingHighWaterMark sets it; the low one is half of it, and bytes have none.
func (t *Transport) SetOutgoingHighWaterMark(datagrams uint64) error {
	return t.done(C.wtgram_transport_set_outgoing_high_water_mark(t.session.datagrams.get(), C.uint64_t(datagrams)))
}

// ClearSendBuffer drops what waits for being sent, and says how much that was.
func (t *Transport) ClearSendBuffer() (uint64, error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_clear_send_buffer(t.session.datagrams.get(), into)
	})
}

// ClearReceiveBuffer drops what waits for being received, and says how much that was.
func (t *Transport) ClearReceiveBuffer() (uint64, error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_clear_receive_buffer(t.session.datagrams.get(), into)
	})
}

// SendBufferSize is how many datagrams wait for being sent.
func (t *Transport) SendBufferSize() (uint64, error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_get_send_buffer_size(t.session.datagrams.get(), into)
	})
}

// ReceiveBufferSize is how many datagrams wait for being received.
func (t *Transport) ReceiveBufferSize() (uint64, error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_get_receive_buffer_size(t.session.datagrams.get(), into)
	})
}

// inMicroseconds rounds away from 0: less than a microsecond is not none.
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

func microseconds(us C.int64_t) time.Duration { return time.Duration(us) * time.Microsecond }

// fraction is for means, which are less than a microsecond, mostly.
func fraction(us C.double) time.Duration {
	return time.Duration(float64(us) * float64(time.Microsecond))
}
