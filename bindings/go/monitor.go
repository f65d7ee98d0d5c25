package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"runtime"
	"time"
)

// Monitor takes samples of a transport at intervals, and raises alerts.
type Monitor struct {
	*monitor
	session *Session
}

// monitor is the part of a Monitor that the pump refers to. It does not refer to the Monitor, so an
// unused Monitor can be garbage collected.
type monitor struct {
	handle     held[C.wtgram_monitor]
	owner      *session
	source     *source
	alerts     waitQueue
	maxSamples int
	maxAlerts  int
}

// MonitorOptions are options of a monitor. Zero fields keep the library's defaults. Where 0 itself
// makes sense, a negative value sets it.
type MonitorOptions struct {
	Interval   time.Duration // time between samples; default 5 s, at least 10 ms
	MaxSamples int           // number of samples kept; default 100
	MaxAlerts  int           // number of alerts kept, and of alerts that may wait; default 50
	// An alert is raised when the outgoing queue is above this part of the high-water mark. The
	// default is 0.9. A negative value sets 0: every queue is high.
	QueueSizeThreshold float64
	// An alert is raised when the success rate is below this. The default is 0.8. A negative value
	// sets 0: no rate is low.
	SuccessRateThreshold float64
	TrendWindow          uint64        // least number of samples for a trend; default 10
	RTTRise              time.Duration // least rise for an alert; default 10 ms, negative for 0
	LossRise             float64       // the same, as a part of all packets; default 0.01, negative for 0
	// An alert is raised when nothing arrives from the peer for this long. The default is 15 s; a
	// negative value means never.
	Silence time.Duration
}

func (o *MonitorOptions) c() (c C.wtgram_monitor_options) {
	C.wtgram_monitor_options_init(&c)
	if o.Interval != 0 {
		c.interval_us = inMicroseconds(o.Interval)
	}
	setUnlessZero(&c.max_samples, uint64(o.MaxSamples))
	setUnlessZero(&c.max_alerts, uint64(o.MaxAlerts))
	setUnlessZero(&c.trend_window, o.TrendWindow)
	setOrZero(&c.queue_size_threshold, C.double(o.QueueSizeThreshold))
	setOrZero(&c.success_rate_threshold, C.double(o.SuccessRateThreshold))
	setOrZero(&c.rtt_rise_us, inMicroseconds(o.RTTRise))
	setOrZero(&c.loss_rise, C.double(o.LossRise))
	setOrZero(&c.silence_us, inMicroseconds(o.Silence))
	return c
}

// OpenMonitor opens a monitor of the transport. It takes the first sample after one interval.
func (t *Transport) OpenMonitor(options MonitorOptions) (*Monitor, error) {
	defer runtime.KeepAlive(t.session)
	if options.MaxSamples < 0 || options.MaxAlerts < 0 {
		return nil, ErrInvalidArgument
	}
	c := options.c()
	m := &monitor{owner: t.session.session, maxSamples: int(c.max_samples), maxAlerts: int(c.max_alerts)}
	if status := C.wtgram_monitor_open(t.session.datagrams.get(), &c, &m.handle.h); status != C.WTGRAM_OK {
		return nil, t.session.failure(Status(status))
	}
	m.source = t.session.state.pump.source(m.handle.get().id, m.ready)
	m.alerts = waitQueue{source: m.source, what: C.WTGRAM_READY_ALERT}
	result := &Monitor{m, t.session}
	runtime.AddCleanup(result, func(m *monitor) { m.free() }, m)
	return result, nil
}

func (m *monitor) ready(what uint32) { m.alerts.ready(what) }

func (m *monitor) free() {
	m.source.forget()
	C.wtgram_monitor_free(m.handle.get())
}

// Sample has the figures of a transport at one time. Counts are totals since the transport was
// created.
type Sample struct {
	Timestamp                            time.Time
	DatagramsSent, DatagramsReceived     uint64
	BytesSent, BytesReceived             uint64
	SendSuccessRate                      float64 // 1 if nothing was attempted
	AvgSendTime                          time.Duration
	OutgoingQueueSize, IncomingQueueSize uint64 // datagrams
	Evicted, Expired, InboundDropped     uint64
	RTT                                  time.Duration
	PacketsSent, PacketsLost             uint64
	Loss                                 float64 // of the packets since the previous sample, 0 to 1
	Silence                              time.Duration
}

// Samples returns the newest samples, the oldest of them first, at most limit; 0 means all that are
// kept. It also works after the monitor or its transport is closed.
func (m *Monitor) Samples(limit int) ([]Sample, error) {
	defer runtime.KeepAlive(m)
	if limit <= 0 || limit > m.maxSamples {
		limit = m.maxSamples
	}
	all := make([]C.wtgram_sample, limit)
	var count C.size_t
	if status := C.wtgram_monitor_get_samples(m.handle.get(), &all[0], C.size_t(limit), &count); status != C.WTGRAM_OK {
		return nil, m.owner.failure(Status(status))
	}
	samples := make([]Sample, min(int(count), limit))
	for i := range samples {
		c := &all[i]
		samples[i] = Sample{
			Timestamp: time.UnixMicro(int64(c.timestamp_us)), DatagramsSent: uint64(c.datagrams_sent),
			DatagramsReceived: uint64(c.datagrams_received), BytesSent: uint64(c.bytes_sent),
			BytesReceived: uint64(c.bytes_received), SendSuccessRate: float64(c.send_success_rate),
			AvgSendTime: fraction(c.avg_send_time_us), OutgoingQueueSize: uint64(c.outgoing_queue_size),
			IncomingQueueSize: uint64(c.incoming_queue_size), Evicted: uint64(c.evicted), Expired: uint64(c.expired),
			InboundDropped: uint64(c.inbound_dropped), RTT: microseconds(c.rtt_us), PacketsSent: uint64(c.packets_sent),
			PacketsLost: uint64(c.packets_lost), Loss: float64(c.loss), Silence: microseconds(c.silence_us),
		}
	}
	return samples, nil
}

// AlertKind is the condition that an alert reports. The comments say what Alert.Value is.
type AlertKind uint32

const (
	AlertHighQueueSize      AlertKind = C.WTGRAM_ALERT_HIGH_QUEUE_SIZE      // datagrams in the outgoing queue
	AlertLowSuccessRate     AlertKind = C.WTGRAM_ALERT_LOW_SUCCESS_RATE     // success rate, a part of 1
	AlertIncreasingSendTime AlertKind = C.WTGRAM_ALERT_INCREASING_SEND_TIME // mean send time in seconds
	AlertEvictions          AlertKind = C.WTGRAM_ALERT_EVICTIONS            // datagrams since the previous sample
	AlertExpiries           AlertKind = C.WTGRAM_ALERT_EXPIRIES             // datagrams since the previous sample
	AlertInboundDrops       AlertKind = C.WTGRAM_ALERT_INBOUND_DROPS        // datagrams since the previous sample
	AlertRTTRise            AlertKind = C.WTGRAM_ALERT_RTT_RISE             // round-trip time in seconds
	AlertLossRise           AlertKind = C.WTGRAM_ALERT_LOSS_RISE            // loss, a part of 1
	AlertSilentPeer         AlertKind = C.WTGRAM_ALERT_SILENT_PEER          // silence in seconds
)

// Alert reports that a condition started or ended.
type Alert struct {
	Timestamp time.Time
	Kind      AlertKind
	Began     bool
	Value     float64 // the figure; Kind says which
	Threshold float64 // the figure was compared with this
	Missed    uint64  // only from NextAlert: number of alerts before this one that were not fetched in time
	Message   string
}

func alert(c *C.wtgram_alert) Alert {
	return Alert{time.UnixMicro(int64(c.timestamp_us)), AlertKind(c.kind), c.began != 0, float64(c.value),
		float64(c.threshold), uint64(c.missed), C.GoString(&c.message[0])}
}

// Alerts returns the newest alerts, the oldest of them first, at most limit; 0 means all that are
// kept. It includes those that NextAlert returned. It also works after the monitor or its transport
// is closed.
func (m *Monitor) Alerts(limit int) ([]Alert, error) {
	defer runtime.KeepAlive(m)
	if limit <= 0 || limit > m.maxAlerts {
		limit = m.maxAlerts
	}
	all := make([]C.wtgram_alert, limit)
	var count C.size_t
	if status := C.wtgram_monitor_get_alerts(m.handle.get(), &all[0], C.size_t(limit), &count); status != C.WTGRAM_OK {
		return nil, m.owner.failure(Status(status))
	}
	alerts := make([]Alert, min(int(count), limit))
	for i := range alerts {
		alerts[i] = alert(&all[i])
	}
	return alerts, nil
}

// NextAlert waits for the next alert that it has not yet returned.
func (m *Monitor) NextAlert(ctx context.Context) (Alert, error) {
	defer runtime.KeepAlive(m)
	var c C.wtgram_alert
	err := m.owner.waitFor(ctx, &m.alerts, func() Status {
		return Status(C.wtgram_monitor_next_alert(m.handle.get(), 0, &c))
	})
	if err != nil {
		return Alert{}, err
	}
	return alert(&c), nil
}

// IsMonitoring reports whether the monitor takes samples. It does until it or its transport is
// closed.
func (m *Monitor) IsMonitoring() bool {
	defer runtime.KeepAlive(m)
	var monitoring C.bool
	return C.wtgram_monitor_is_monitoring(m.handle.get(), &monitoring) == C.WTGRAM_OK && bool(monitoring)
}

// Session returns the session of the monitored transport.
func (m *Monitor) Session() *Session { return m.session }

// Close closes the monitor, which then takes no more samples. Samples and alerts can still be read
// until the Monitor is garbage collected. A second Close has no effect.
func (m *Monitor) Close() error {
	defer runtime.KeepAlive(m)
	_ = C.wtgram_monitor_close(m.handle.get()) // after Shutdown it is closed anyway
	m.alerts.end()
	return nil
}
