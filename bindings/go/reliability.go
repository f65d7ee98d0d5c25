package wtgram

// #cgo noescape bridge_receive_message
// #cgo nocallback bridge_receive_message
// #cgo noescape bridge_send_message
// #cgo nocallback bridge_send_message
// #include "bridge.h"
import "C"

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// Reliability is a layer over a transport. It carries messages that are acknowledged, retransmitted
// and delivered at most once, in any order.
type Reliability struct {
	*reliability
	session *Session
}

// reliability is the part of a Reliability that the pump refers to. It does not refer to the
// Reliability, so an unused Reliability can be garbage collected.
type reliability struct {
	handle   held[C.wtgram_reliability]
	owner    *session
	source   *source
	readable waitQueue
	writable waitQueue
	outcomes waitQueue
	settled  waitQueue
	draining atomic.Bool
}

// ReliabilityOptions are options of a reliability layer. Zero fields keep the library's defaults.
type ReliabilityOptions struct {
	// A message is given up after AckTimeout × (MaxRetries + 1) at the earliest. The default is 2
	// s.
	AckTimeout time.Duration
	// A message is given up after this many retransmissions by timer at the earliest. The default
	// is 5; a negative value means none.
	MaxRetries int32
	// Limits of messages without an outcome. Sending waits when one is reached.
	WindowMessages, WindowBytes uint64
	// Limit of messages that arrived and are not yet received. The peer keeps further ones.
	InboundMessages uint64
	// Limit of the payload bytes of those.
	InboundBytes uint64
	// First sequence number on a session that had no layer before.
	FirstSequence uint32
	// Which protocol the layer uses.
	Negotiation Negotiation
}

// Negotiation says which protocol a layer uses, and whether it takes plain frames: datagrams in
// pywebtransport's form of a frame.
type Negotiation uint32

const (
	// NegotiationAuto works with every peer. The layer takes plain frames until the peer's layer
	// has answered.
	NegotiationAuto Negotiation = C.WTGRAM_NEGOTIATION_AUTO
	// NegotiationRequired works only with a layer that negotiates. The layer never takes plain
	// frames.
	NegotiationRequired Negotiation = C.WTGRAM_NEGOTIATION_REQUIRED
	// NegotiationOff uses only pywebtransport's protocol. The layer always takes plain frames.
	NegotiationOff Negotiation = C.WTGRAM_NEGOTIATION_OFF
)

func (o *ReliabilityOptions) c() (c C.wtgram_reliability_options) {
	C.wtgram_reliability_options_init(&c)
	if o.AckTimeout != 0 {
		c.ack_timeout_us = inMicroseconds(o.AckTimeout)
	}
	if o.MaxRetries != 0 {
		c.max_retries = C.uint32_t(max(0, o.MaxRetries))
	}
	c.negotiation = C.uint32_t(o.Negotiation)
	setUnlessZero(&c.window_messages, o.WindowMessages)
	setUnlessZero(&c.window_bytes, o.WindowBytes)
	setUnlessZero(&c.inbound_messages, o.InboundMessages)
	setUnlessZero(&c.inbound_bytes, o.InboundBytes)
	c.first_sequence = C.uint32_t(o.FirstSequence)
	return c
}

// OpenReliability opens a layer over the transport. From then on, the transport does not deliver
// the layer's frames to its other readers. A transport carries one layer at a time.
func (t *Transport) OpenReliability(options ReliabilityOptions) (*Reliability, error) {
	c := options.c()
	return t.session.openReliability(func(layer *C.wtgram_reliability) C.wtgram_status {
		return C.wtgram_reliability_open_over_transport(t.session.datagrams.get(), &c, layer)
	})
}

// OpenReliabilityWith opens a layer with the parameters of pywebtransport 0.6.1's factory. Their
// defaults there are 1 s and 3.
func (t *Transport) OpenReliabilityWith(ackTimeout time.Duration, maxRetries uint32) (*Reliability, error) {
	return t.session.openReliability(func(layer *C.wtgram_reliability) C.wtgram_status {
		return C.wtgram_reliability_open_with(t.session.datagrams.get(), inMicroseconds(ackTimeout), C.uint32_t(maxRetries),
			layer)
	})
}

func (s *Session) openReliability(open func(layer *C.wtgram_reliability) C.wtgram_status) (*Reliability, error) {
	defer runtime.KeepAlive(s)
	l := &reliability{owner: s.session}
	if status := open(&l.handle.h); status != C.WTGRAM_OK {
		return nil, s.failure(Status(status))
	}
	l.source = s.state.pump.source(l.handle.get().id, l.ready)
	l.readable = waitQueue{source: l.source, what: C.WTGRAM_READY_READABLE, patience: whileReadable}
	l.writable = waitQueue{source: l.source, what: C.WTGRAM_READY_WRITABLE}
	l.outcomes = waitQueue{source: l.source, what: C.WTGRAM_READY_OUTCOME}
	l.settled = waitQueue{source: l.source, what: C.WTGRAM_READY_SETTLED}
	layer := &Reliability{l, s}
	runtime.AddCleanup(layer, func(l *reliability) { l.free() }, l)
	return layer, nil
}

func (l *reliability) queues() []*waitQueue {
	return []*waitQueue{&l.readable, &l.writable, &l.outcomes, &l.settled}
}

func (l *reliability) ready(what uint32) {
	for _, queue := range l.queues() {
		queue.ready(what)
	}
}

func (l *reliability) free() {
	l.source.forget()
	C.wtgram_reliability_free(l.handle.get())
}

// Session returns the session of the layer.
func (r *Reliability) Session() *Session { return r.session }

// Send submits a message for delivery. It waits while the window is full.
func (r *Reliability) Send(ctx context.Context, data []byte) error {
	return r.SendWith(ctx, data, SendOptions{})
}

// SendWith is Send with options. Messages of the highest Priority are transmitted and retransmitted
// first. A message whose TTL passes is not transmitted again; its outcome is MessageExpired. If it
// was still waiting for space, SendWith returns ErrTimedOut and there is no outcome.
func (r *Reliability) SendWith(ctx context.Context, data []byte, options SendOptions) error {
	defer runtime.KeepAlive(r)
	return r.owner.waitForRoom(ctx, &r.writable, options, options.expires(),
		func(one attempt) Status { return r.trySend(data, one) })
}

// SendReported is Send with a report id. NextOutcome returns the outcome. With 0, there is no
// report.
func (r *Reliability) SendReported(ctx context.Context, data []byte, reportID uint64) error {
	return r.SendWith(ctx, data, SendOptions{ReportID: reportID})
}

// TrySend is SendWith, but never waits: it returns ErrWouldBlock if the window is full.
func (r *Reliability) TrySend(data []byte, options SendOptions) error {
	defer runtime.KeepAlive(r)
	return r.owner.result(r.trySend(data, attempt{SendOptions: options}))
}

func (l *reliability) trySend(data []byte, one attempt) Status {
	if l.draining.Load() {
		return ErrClosed
	}
	return Status(C.bridge_send_message(l.handle.get(), (*C.uint8_t)(pointer(data)), C.size_t(len(data)),
		C.int32_t(one.Priority), inMicroseconds(one.TTL), one.wait, C.uint64_t(one.ReportID)))
}

// Receive waits for the next message. After the layer is closed, it first returns the messages that
// had arrived.
func (r *Reliability) Receive(ctx context.Context) (data []byte, err error) {
	defer runtime.KeepAlive(r)
	err = r.owner.waitInside(ctx, &r.readable, func(patience C.int64_t) (status Status) {
		data, status = r.tryReceive(patience)
		return status
	})
	return data, err
}

// TryReceive is Receive, but never waits: it returns ErrWouldBlock if nothing is there.
func (r *Reliability) TryReceive() ([]byte, error) {
	defer runtime.KeepAlive(r)
	data, status := r.tryReceive(0)
	if status != 0 {
		return nil, r.owner.failure(status)
	}
	return data, nil
}

func (l *reliability) tryReceive(patience C.int64_t) ([]byte, Status) {
	room := slabs.Get().(*slab)
	defer slabs.Put(room)
	var length C.size_t
	status := C.bridge_receive_message(l.handle.get(), patience, (*C.uint8_t)(pointer(room.arena[:])),
		C.size_t(len(room.arena)), &length)
	if status != C.WTGRAM_OK {
		return nil, Status(status)
	}
	return copied(room.arena[:length]), 0
}

// MaxMessageSize returns the size of the largest message that can be sent now, in bytes.
func (r *Reliability) MaxMessageSize() (int, error) {
	defer runtime.KeepAlive(r)
	var bytes C.size_t
	if status := C.wtgram_reliability_get_max_message_size(r.handle.get(), &bytes); status != C.WTGRAM_OK {
		return 0, r.owner.failure(Status(status))
	}
	return int(bytes), nil
}

// IsClosed reports whether the layer or its transport is closed. Messages that have arrived can
// still be received.
func (r *Reliability) IsClosed() bool {
	defer runtime.KeepAlive(r)
	var closed C.bool
	return C.wtgram_reliability_is_closed(r.handle.get(), &closed) != C.WTGRAM_OK || bool(closed)
}

// ReliabilityOutcomeKind says what became of a message.
type ReliabilityOutcomeKind uint32

const (
	// MessageAcknowledged: the message lies in the inbound queue of the peer's layer.
	MessageAcknowledged ReliabilityOutcomeKind = C.WTGRAM_RELIABILITY_ACKNOWLEDGED
	// MessageGaveUp: it was not acknowledged in time. If it was transmitted, it may have been
	// delivered.
	MessageGaveUp ReliabilityOutcomeKind = C.WTGRAM_RELIABILITY_GAVE_UP
	// MessageTooLarge: it no longer fitted the path when it was to be transmitted.
	MessageTooLarge ReliabilityOutcomeKind = C.WTGRAM_RELIABILITY_TOO_LARGE
	// MessageClosed: the layer closed first.
	MessageClosed ReliabilityOutcomeKind = C.WTGRAM_RELIABILITY_CLOSED
	// MessageExpired: its TTL passed first.
	MessageExpired ReliabilityOutcomeKind = C.WTGRAM_RELIABILITY_EXPIRED
)

// ReliabilityOutcome is the outcome of a message.
type ReliabilityOutcome struct {
	ReportID      uint64
	Kind          ReliabilityOutcomeKind
	Elapsed       time.Duration // since it was accepted
	Transmissions uint32
}

// NextOutcome waits for the next outcome of a message that was sent with a report id.
func (r *Reliability) NextOutcome(ctx context.Context) (ReliabilityOutcome, error) {
	defer runtime.KeepAlive(r)
	var c C.wtgram_reliability_outcome
	err := r.owner.waitFor(ctx, &r.outcomes, func() Status {
		return Status(C.wtgram_reliability_next_outcome(r.handle.get(), 0, &c))
	})
	if err != nil {
		return ReliabilityOutcome{}, err
	}
	return reliabilityOutcome(&c), nil
}

// NextOutcomes waits for the first outcome. Then it takes all that are there, up to len(into), and
// returns their number.
func (r *Reliability) NextOutcomes(ctx context.Context, into []ReliabilityOutcome) (int, error) {
	defer runtime.KeepAlive(r)
	if len(into) == 0 {
		return 0, ErrInvalidArgument
	}
	outcomes := make([]C.wtgram_reliability_outcome, min(len(into), 1024))
	var count C.size_t
	err := r.owner.waitFor(ctx, &r.outcomes, func() Status {
		return Status(C.wtgram_reliability_next_outcomes(r.handle.get(), 0, &outcomes[0], C.size_t(len(outcomes)), &count))
	})
	for i := range outcomes[:count] {
		into[i] = reliabilityOutcome(&outcomes[i])
	}
	return int(count), err
}

func reliabilityOutcome(c *C.wtgram_reliability_outcome) ReliabilityOutcome {
	return ReliabilityOutcome{uint64(c.report_id), ReliabilityOutcomeKind(c.kind), microseconds(c.elapsed_us),
		uint32(c.transmissions)}
}

// ReliabilityStats are counters and current values of a layer.
type ReliabilityStats struct {
	// Submitted is always the sum of the six after it.
	Submitted, Acknowledged, GaveUp, TooLarge, Closed, Expired, Unresolved uint64
	UnresolvedBytes, Transmissions, BytesTransmitted                       uint64
	EarlyRetransmits, TimerRetransmits, SpuriousRetransmits                uint64
	Received, Delivered, Duplicates, RefusedFull, ReceiveQueued            uint64
	Malformed, PeerRestarts                                                uint64
	PlainTaken                                                             uint64 // datagrams in the form of plain frames that the layer took
	PlainLeft                                                              uint64 // those that it left to the transport's reader
	RTT, RTO                                                               time.Duration
	// Negotiated: both ends use more than pywebtransport's protocol.
	Negotiated bool
	// PeerFull: the peer says that its inbound queue is full.
	PeerFull bool
	// TakesPlain: the layer takes plain frames now.
	TakesPlain bool
}

// Stats returns the current figures of the layer as one consistent snapshot.
func (r *Reliability) Stats() (ReliabilityStats, error) {
	defer runtime.KeepAlive(r)
	var c C.wtgram_reliability_stats
	C.wtgram_reliability_stats_init(&c)
	if status := C.wtgram_reliability_get_stats(r.handle.get(), &c); status != C.WTGRAM_OK {
		return ReliabilityStats{}, r.owner.failure(Status(status))
	}
	return ReliabilityStats{
		Submitted: uint64(c.submitted), Acknowledged: uint64(c.acknowledged), GaveUp: uint64(c.gave_up),
		TooLarge: uint64(c.too_large), Closed: uint64(c.closed), Unresolved: uint64(c.unresolved),
		UnresolvedBytes: uint64(c.unresolved_bytes), Transmissions: uint64(c.transmissions),
		BytesTransmitted: uint64(c.bytes_transmitted), EarlyRetransmits: uint64(c.early_retransmits),
		TimerRetransmits: uint64(c.timer_retransmits), SpuriousRetransmits: uint64(c.spurious_retransmits),
		Received: uint64(c.received), Delivered: uint64(c.delivered), Duplicates: uint64(c.duplicates),
		RefusedFull: uint64(c.refused_full), ReceiveQueued: uint64(c.receive_queued), Malformed: uint64(c.malformed),
		PeerRestarts: uint64(c.peer_restarts), RTT: microseconds(c.rtt_us), RTO: microseconds(c.rto_us),
		Negotiated: c.negotiated != 0, PeerFull: c.peer_full != 0, Expired: uint64(c.expired),
		PlainTaken: uint64(c.plain_taken), PlainLeft: uint64(c.plain_left), TakesPlain: c.takes_plain != 0,
	}, nil
}

// Drain accepts no more messages, waits for the outcomes of those in progress, and closes the
// layer. If the context ends first, Drain returns its error, and closes the layer nevertheless.
func (r *Reliability) Drain(ctx context.Context) error {
	defer r.Close()
	r.draining.Store(true)
	var failed error
	inProgress := func() bool {
		var stats ReliabilityStats
		stats, failed = r.Stats()
		return failed == nil && stats.Unresolved > 0 && !r.IsClosed()
	}
	if !inProgress() {
		return failed
	}
	err := r.settled.until(ctx, inProgress)
	if err == nil || err == ErrClosed { // the layer may have closed meanwhile
		return failed
	}
	return err
}

// Close closes the layer. Messages in progress get the outcome MessageClosed. Messages that have
// arrived can still be received, and outcomes can still be fetched, until the Reliability is
// garbage collected. The session stays open. A second Close has no effect.
func (r *Reliability) Close() error {
	defer runtime.KeepAlive(r)
	r.draining.Store(true)
	// Messages without an outcome are no failure of Close, and after Shutdown the layer is closed
	// anyway.
	_ = C.wtgram_reliability_close(r.handle.get(), 0)
	for _, queue := range r.queues() {
		queue.end()
	}
	return nil
}
