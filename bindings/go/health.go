package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"time"
)

// TransportStats are everything that is counted, as one consistent snapshot.
type TransportStats struct {
	DatagramStats
	SessionID                                                            uint64
	Created                                                              time.Time
	HandedInBytes, SendExpiredBytes, SendEvictedBytes, SendRejectedBytes uint64
	SendTooLargeBytes, SendFailedBytes, SendClearedBytes                 uint64
	ReceiveExpiredBytes, ReceiveDroppedFullBytes, ReceiveClearedBytes    uint64
	ReceiveRouted, ReceiveRoutedBytes                                    uint64 // to layers above
	DatagramsSent, BytesSent, SendFailures, SendDrops                    uint64
	DatagramsReceived, BytesReceived, ReceiveDrops, ReceiveErrors        uint64
	TotalSendTime, MaxSendTime, TotalReceiveTime, MaxReceiveTime         time.Duration
	MinDatagramSize, MaxDatagramSize, TotalDatagramSize                  uint64
	AvgDatagramSize                                                      float64
	AvgSendTime, AvgReceiveTime                                          time.Duration
	SendSuccessRate, ReceiveSuccessRate                                  float64 // 1 with no attempts
	OutcomesWaiting                                                      uint64
	Silence, RTT                                                         time.Duration
	CongestionWindowBytes, PacketsSent, PacketsLost                      uint64
}

// Stats are the counters, now.
func (t *Transport) Stats() (TransportStats, error) {
	var c C.wtgram_transport_stats
	C.wtgram_transport_stats_init(&c)
	if err := t.done(C.wtgram_transport_get_stats(t.session.datagrams.get(), &c)); err != nil {
		return TransportStats{}, err
	}
	return TransportStats{
		DatagramStats: datagramStats(&c),
		SessionID:     uint64(c.session_id), Created: time.UnixMicro(int64(c.created_at_us)),
		HandedInBytes: uint64(c.handed_in_bytes), SendExpiredBytes: uint64(c.send_expired_bytes),
		SendEvictedBytes: uint64(c.send_evicted_bytes), SendRejectedBytes: uint64(c.send_rejected_bytes),
		SendTooLargeBytes: uint64(c.send_too_large_bytes), SendFailedBytes: uint64(c.send_failed_bytes),
		SendClearedBytes: uint64(c.send_cleared_bytes), ReceiveExpiredBytes: uint64(c.receive_expired_bytes),
		ReceiveDroppedFullBytes: uint64(c.receive_dropped_full_bytes),
		ReceiveClearedBytes:     uint64(c.receive_cleared_bytes),
		ReceiveRouted:           uint64(c.receive_routed), ReceiveRoutedBytes: uint64(c.receive_routed_bytes),
		DatagramsSent: uint64(c.datagrams_sent), BytesSent: uint64(c.bytes_sent),
		SendFailures: uint64(c.send_failures), SendDrops: uint64(c.send_drops),
		DatagramsReceived: uint64(c.datagrams_received), BytesReceived: uint64(c.bytes_received),
		ReceiveDrops: uint64(c.receive_drops), ReceiveErrors: uint64(c.receive_errors),
		TotalSendTime: microseconds(c.total_send_time_us), MaxSendTime: microseconds(c.max_send_time_us),
		TotalReceiveTime: microseconds(c.total_receive_time_us), MaxReceiveTime: microseconds(c.max_receive_time_us),
		MinDatagramSize: uint64(c.min_datagram_size), MaxDatagramSize: uint64(c.max_datagram_size),
		TotalDatagramSize: uint64(c.total_datagram_size), AvgDatagramSize: float64(c.avg_datagram_size),
		AvgSendTime: fraction(c.avg_send_time_us), AvgReceiveTime: fraction(c.avg_receive_time_us),
		SendSuccessRate: float64(c.send_success_rate), ReceiveSuccessRate: float64(c.receive_success_rate),
		OutcomesWaiting: uint64(c.outcomes_waiting), Silence: microseconds(c.silence_us), RTT: microseconds(c.rtt_us),
		CongestionWindowBytes: uint64(c.congestion_window_bytes), PacketsSent: uint64(c.packets_sent),
		PacketsLost: uint64(c.packets_lost),
	}, nil
}

// QueueStats are what waits in both queues of the library, and their limits, as one consistent snapshot.
type QueueStats struct {
	OutgoingDatagrams, OutgoingBytes                 uint64
	OutgoingLimits                                   Limits
	OutgoingPriorityDatagrams, OutgoingPriorityBytes [3]uint64
	IncomingDatagrams, IncomingBytes                 uint64
	IncomingLimits                                   Limits
}

// QueueStats says what waits now.
func (t *Transport) QueueStats() (QueueStats, error) {
	var c C.wtgram_queue_stats
	C.wtgram_queue_stats_init(&c)
	if err := t.done(C.wtgram_transport_get_queue_stats(t.session.datagrams.get(), &c)); err != nil {
		return QueueStats{}, err
	}
	stats := QueueStats{
		OutgoingDatagrams: uint64(c.outgoing_datagrams), OutgoingBytes: uint64(c.outgoing_bytes),
		OutgoingLimits:    Limits{uint64(c.outgoing_max_datagrams), uint64(c.outgoing_max_bytes)},
		IncomingDatagrams: uint64(c.incoming_datagrams), IncomingBytes: uint64(c.incoming_bytes),
		IncomingLimits: Limits{uint64(c.incoming_max_datagrams), uint64(c.incoming_max_bytes)},
	}
	for i := range stats.OutgoingPriorityDatagrams {
		stats.OutgoingPriorityDatagrams[i] = uint64(c.outgoing_priority_datagrams[i])
		stats.OutgoingPriorityBytes[i] = uint64(c.outgoing_priority_bytes[i])
	}
	return stats, nil
}

// HeartbeatOptions are options of a heartbeat.
type HeartbeatOptions struct {
	Interval             time.Duration // at least 1 ms; 0 for the default of 30 s
	SilentAfterIntervals uint32        // without any datagram, until the peer counts as silent; 0 watches nothing
}

// StartHeartbeat sends a heartbeat of priority 1 now and in every interval, until StopHeartbeat or
// the end. Receivers get heartbeats like any datagram: IsHeartbeat tells.
func (t *Transport) StartHeartbeat(options HeartbeatOptions) error {
	var c C.wtgram_heartbeat_options
	C.wtgram_heartbeat_options_init(&c)
	if options.Interval != 0 {
		c.interval_us = inMicroseconds(options.Interval)
	}
	c.silent_after_intervals = C.uint32_t(options.SilentAfterIntervals)
	return t.done(C.wtgram_transport_start_heartbeat(t.session.datagrams.get(), &c))
}

// StopHeartbeat ends heartbeat and watch.
func (t *Transport) StopHeartbeat() error {
	return t.done(C.wtgram_transport_stop_heartbeat(t.session.datagrams.get()))
}

// IsPeerSilent says whether the heartbeat's watch has heard nothing from the peer for as long as it was told.
func (t *Transport) IsPeerSilent() (bool, error) {
	var silent C.bool
	err := t.done(C.wtgram_transport_is_peer_silent(t.session.datagrams.get(), &silent))
	return bool(silent), err
}

// WaitPeerSilent waits until IsPeerSilent.
func (t *Transport) WaitPeerSilent(ctx context.Context) error {
	defer runtime.KeepAlive(t.session)
	return t.session.waitFor(ctx, &t.session.silent, func() Status {
		var silent, closed C.bool
		if status := Status(C.wtgram_transport_is_closed(t.session.datagrams.get(), &closed)); status != 0 {
			return status
		}
		if closed {
			return ErrClosed
		}
		if status := Status(C.wtgram_transport_is_peer_silent(t.session.datagrams.get(), &silent)); status != 0 {
			return status
		}
		if !silent {
			return ErrWouldBlock
		}
		return 0
	})
}

// NewHeartbeat is a heartbeat's payload: HEARTBEAT: and the Unix time in seconds.
func NewHeartbeat() ([]byte, error) {
	buffer := make([]byte, C.WTGRAM_HEARTBEAT_MAX_LENGTH)
	var length C.size_t
	err := check(C.wtgram_datagram_write_heartbeat((*C.uint8_t)(pointer(buffer)), C.size_t(len(buffer)), &length))
	return buffer[:length], err
}

// IsHeartbeat says whether a payload begins like a heartbeat.
func IsHeartbeat(data []byte) bool {
	var heartbeat C.bool
	err := check(C.wtgram_datagram_is_heartbeat((*C.uint8_t)(pointer(data)), C.size_t(len(data)), &heartbeat))
	return err == nil && bool(heartbeat)
}

// Finding is something that looks wrong.
type Finding struct {
	Code    string  `json:"code"` // stable
	Message string  `json:"message"`
	Figure  float64 `json:"figure"`
}

// Diagnose says what looks wrong; nothing, if nothing does.
func (t *Transport) Diagnose() ([]Finding, error) {
	text, err := t.text(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
		return Status(C.wtgram_transport_diagnose(t.session.datagrams.get(), text, capacity, length))
	})
	if err != nil {
		return nil, err
	}
	var findings []Finding
	if err := json.Unmarshal([]byte(text), &findings); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInternal, err)
	}
	return findings, nil
}

// DebugState is everything there is to see, as JSON for people.
func (t *Transport) DebugState() (json.RawMessage, error) {
	text, err := t.text(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
		return Status(C.wtgram_transport_get_debug_state(t.session.datagrams.get(), text, capacity, length))
	})
	return json.RawMessage(text), err
}

// Prometheus is the figures of the transport and its path as OpenMetrics text 1.0.
func (t *Transport) Prometheus() (string, error) {
	return t.text(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
		return Status(C.wtgram_transport_get_prometheus(t.session.datagrams.get(), text, capacity, length))
	})
}

// Prometheus is the same for all transports that this process has and had together; an HTTP server gives it out as
// application/openmetrics-text; version=1.0.0; charset=utf-8.
func Prometheus() (string, error) {
	return readText(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
		return Status(C.wtgram_process_get_prometheus(text, capacity, length))
	})
}

func (t *Transport) text(read func(text *C.char, capacity C.size_t, length *C.size_t) Status) (string, error) {
	defer runtime.KeepAlive(t.session)
	text, err := readText(read)
	if err != nil {
		return "", t.session.failure(err.(Status))
	}
	return text, nil
}
