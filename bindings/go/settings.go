package wtgram

// #include "bridge.h"
import "C"

import "time"

// OutgoingMaxAge returns the age at which a datagram is dropped instead of sent; 0 means none.
func (t *Transport) OutgoingMaxAge() (time.Duration, error) {
	var us C.int64_t
	err := t.done(C.wtgram_transport_get_outgoing_max_age(t.session.datagrams.get(), &us))
	return microseconds(us), err
}

// SetOutgoingMaxAge sets the age at which a datagram is dropped instead of sent. Queued datagrams
// that are too old are dropped at once.
func (t *Transport) SetOutgoingMaxAge(age time.Duration) error {
	return t.done(C.wtgram_transport_set_outgoing_max_age(t.session.datagrams.get(), inMicroseconds(age)))
}

// IncomingMaxAge returns the age at which a datagram is dropped instead of delivered; 0 means none.
func (t *Transport) IncomingMaxAge() (time.Duration, error) {
	var us C.int64_t
	err := t.done(C.wtgram_transport_get_incoming_max_age(t.session.datagrams.get(), &us))
	return microseconds(us), err
}

// SetIncomingMaxAge sets the age at which a datagram is dropped instead of delivered. Queued
// datagrams that are too old are dropped at once.
func (t *Transport) SetIncomingMaxAge(age time.Duration) error {
	return t.done(C.wtgram_transport_set_incoming_max_age(t.session.datagrams.get(), inMicroseconds(age)))
}

// Limits are the limits of a queue.
type Limits struct {
	Datagrams uint64 // at least 1
	Bytes     uint64 // of payload
}

// OutgoingLimits returns the limits of the outgoing queue.
func (t *Transport) OutgoingLimits() (Limits, error) {
	var datagrams, bytes C.uint64_t
	err := t.done(C.wtgram_transport_get_outgoing_limits(t.session.datagrams.get(), &datagrams, &bytes))
	return Limits{uint64(datagrams), uint64(bytes)}, err
}

// SetOutgoingLimits sets the limits of the outgoing queue. Under FullEvict, datagrams above the new
// limits are evicted at once.
func (t *Transport) SetOutgoingLimits(limits Limits) error {
	return t.done(C.wtgram_transport_set_outgoing_limits(t.session.datagrams.get(), C.uint64_t(limits.Datagrams),
		C.uint64_t(limits.Bytes)))
}

// IncomingLimits returns the limits of the incoming queue.
func (t *Transport) IncomingLimits() (Limits, error) {
	var datagrams, bytes C.uint64_t
	err := t.done(C.wtgram_transport_get_incoming_limits(t.session.datagrams.get(), &datagrams, &bytes))
	return Limits{uint64(datagrams), uint64(bytes)}, err
}

// SetIncomingLimits sets the limits of the incoming queue. Under DropOldest, datagrams above the
// new limits are dropped at once.
func (t *Transport) SetIncomingLimits(limits Limits) error {
	return t.done(C.wtgram_transport_set_incoming_limits(t.session.datagrams.get(), C.uint64_t(limits.Datagrams),
		C.uint64_t(limits.Bytes)))
}

// OutgoingFullPolicy returns what happens to a datagram when the outgoing queue is full.
func (t *Transport) OutgoingFullPolicy() (FullPolicy, error) {
	var policy C.uint32_t
	err := t.done(C.wtgram_transport_get_outgoing_full_policy(t.session.datagrams.get(), &policy))
	return FullPolicy(policy), err
}

// SetOutgoingFullPolicy sets what happens to a datagram when the outgoing queue is full. It also
// applies to calls that wait for space now.
func (t *Transport) SetOutgoingFullPolicy(policy FullPolicy) error {
	err := t.done(C.wtgram_transport_set_outgoing_full_policy(t.session.datagrams.get(), C.uint32_t(policy)))
	t.session.writable.wakeAll()
	return err
}

// IncomingDropPolicy returns which datagram is dropped when the incoming queue is full.
func (t *Transport) IncomingDropPolicy() (DropPolicy, error) {
	var policy C.uint32_t
	err := t.done(C.wtgram_transport_get_incoming_drop_policy(t.session.datagrams.get(), &policy))
	return DropPolicy(policy), err
}

// SetIncomingDropPolicy sets which datagram is dropped when the incoming queue is full. It applies
// to datagrams that arrive from now on.
func (t *Transport) SetIncomingDropPolicy(policy DropPolicy) error {
	return t.done(C.wtgram_transport_set_incoming_drop_policy(t.session.datagrams.get(), C.uint32_t(policy)))
}

// NoMark is a water mark that is never reached.
const NoMark = ^uint64(0)

// WaterMarks are sizes of the outgoing queue. The queue is above its water marks from the time when
// it reaches a high one until its datagrams and its bytes are both down to their low ones.
type WaterMarks struct {
	HighDatagrams, LowDatagrams uint64
	HighBytes, LowBytes         uint64 // NoMark for none
}

// OutgoingWaterMarks returns the water marks of the outgoing queue. Transport.WaitLowWater waits
// for the low ones.
func (t *Transport) OutgoingWaterMarks() (WaterMarks, error) {
	var c C.wtgram_water_marks
	C.wtgram_water_marks_init(&c)
	err := t.done(C.wtgram_transport_get_outgoing_water_marks(t.session.datagrams.get(), &c))
	if err != nil {
		return WaterMarks{}, err
	}
	return WaterMarks{uint64(c.high_datagrams), uint64(c.low_datagrams), uint64(c.high_bytes), uint64(c.low_bytes)}, nil
}

// SetOutgoingWaterMarks sets the water marks of the outgoing queue. They apply at once.
func (t *Transport) SetOutgoingWaterMarks(marks WaterMarks) error {
	var c C.wtgram_water_marks
	C.wtgram_water_marks_init(&c)
	c.high_datagrams, c.low_datagrams = C.uint64_t(marks.HighDatagrams), C.uint64_t(marks.LowDatagrams)
	c.high_bytes, c.low_bytes = C.uint64_t(marks.HighBytes), C.uint64_t(marks.LowBytes)
	return t.done(C.wtgram_transport_set_outgoing_water_marks(t.session.datagrams.get(), &c))
}

// OutgoingHighWaterMark returns the high-water mark in datagrams.
func (t *Transport) OutgoingHighWaterMark() (uint64, error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_get_outgoing_high_water_mark(t.session.datagrams.get(), into)
	})
}

// SetOutgoingHighWaterMark sets the high-water mark in datagrams, and the low one to half of it.
// Bytes then have no marks.
func (t *Transport) SetOutgoingHighWaterMark(datagrams uint64) error {
	return t.done(C.wtgram_transport_set_outgoing_high_water_mark(t.session.datagrams.get(), C.uint64_t(datagrams)))
}

// ClearSendBuffer drops the datagrams in the outgoing queue, and returns their number.
func (t *Transport) ClearSendBuffer() (uint64, error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_clear_send_buffer(t.session.datagrams.get(), into)
	})
}

// ClearReceiveBuffer drops the datagrams in the incoming queue, and returns their number.
func (t *Transport) ClearReceiveBuffer() (uint64, error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_clear_receive_buffer(t.session.datagrams.get(), into)
	})
}

// SendBufferSize returns the number of datagrams in the outgoing queue.
func (t *Transport) SendBufferSize() (uint64, error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_get_send_buffer_size(t.session.datagrams.get(), into)
	})
}

// ReceiveBufferSize returns the number of datagrams in the incoming queue.
func (t *Transport) ReceiveBufferSize() (uint64, error) {
	return t.count(func(into *C.uint64_t) C.wtgram_status {
		return C.wtgram_transport_get_receive_buffer_size(t.session.datagrams.get(), into)
	})
}
