package wtgram

// #include "bridge.h"
import "C"

import "time"

// TransportStats are all figures of a transport, as one consistent snapshot.
type TransportStats struct {
	DatagramStats
	SessionID                                                            uint64
	Created                                                              time.Time
	HandedInBytes, SendExpiredBytes, SendEvictedBytes, SendRejectedBytes uint64
	SendTooLargeBytes, SendFailedBytes, SendClearedBytes                 uint64
	ReceiveExpiredBytes, ReceiveDroppedFullBytes, ReceiveClearedBytes    uint64
	ReceiveRouted, ReceiveRoutedBytes                                    uint64 // to readers above the transport
	DatagramsSent, BytesSent, SendFailures, SendDrops                    uint64
	DatagramsReceived, BytesReceived, ReceiveDrops, ReceiveErrors        uint64
	TotalSendTime, MaxSendTime, TotalReceiveTime, MaxReceiveTime         time.Duration
	MinDatagramSize, MaxDatagramSize, TotalDatagramSize                  uint64
	AvgDatagramSize                                                      float64
	AvgSendTime, AvgReceiveTime                                          time.Duration
	SendSuccessRate, ReceiveSuccessRate                                  float64 // 1 if nothing was attempted
	OutcomesWaiting                                                      uint64
	Silence, RTT                                                         time.Duration
	CongestionWindowBytes, PacketsSent, PacketsLost                      uint64
}

// Stats returns the current figures of the transport.
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

// QueueStats are the current sizes of both queues, and their limits, as one consistent snapshot.
type QueueStats struct {
	OutgoingDatagrams, OutgoingBytes                 uint64
	OutgoingLimits                                   Limits
	OutgoingPriorityDatagrams, OutgoingPriorityBytes [3]uint64
	IncomingDatagrams, IncomingBytes                 uint64
	IncomingLimits                                   Limits
}

// QueueStats returns the current sizes and limits of both queues.
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

// DatagramStats count every datagram exactly once: each one submitted is in one of the outgoing
// figures, each one received in one of the incoming figures.
type DatagramStats struct {
	HandedIn, Sent, SentBytes, SendExpired, SendEvicted, SendRejected, SendTooLarge, SendFailed, SendCleared uint64
	SendQueued, SendQueuedBytes, SentDroppedByQUIC                                                           uint64
	Received, ReceivedBytes, Delivered, DeliveredBytes, ReceiveExpired, ReceiveDroppedFull, ReceiveCleared   uint64
	ReceiveQueued, ReceiveQueuedBytes, ReceiveDroppedByQUIC, ReceiveForeign, ReceiveOverRate                 uint64
}

func datagramStats(c *C.wtgram_transport_stats) DatagramStats {
	return DatagramStats{
		HandedIn: uint64(c.handed_in), Sent: uint64(c.sent), SentBytes: uint64(c.sent_bytes),
		SendExpired: uint64(c.send_expired), SendEvicted: uint64(c.send_evicted), SendRejected: uint64(c.send_rejected),
		SendTooLarge: uint64(c.send_too_large), SendFailed: uint64(c.send_failed), SendCleared: uint64(c.send_cleared),
		SendQueued: uint64(c.send_queued), SendQueuedBytes: uint64(c.send_queued_bytes),
		SentDroppedByQUIC: uint64(c.sent_dropped_by_quic),
		Received:          uint64(c.received), ReceivedBytes: uint64(c.received_bytes), Delivered: uint64(c.delivered),
		DeliveredBytes: uint64(c.delivered_bytes), ReceiveExpired: uint64(c.receive_expired),
		ReceiveDroppedFull: uint64(c.receive_dropped_full), ReceiveCleared: uint64(c.receive_cleared),
		ReceiveQueued: uint64(c.receive_queued), ReceiveQueuedBytes: uint64(c.receive_queued_bytes),
		ReceiveDroppedByQUIC: uint64(c.receive_dropped_by_quic), ReceiveForeign: uint64(c.receive_foreign),
		ReceiveOverRate: uint64(c.receive_over_rate),
	}
}
