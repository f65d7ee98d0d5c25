package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"runtime"
	"time"
)

// Monitor takes samples of a transport and raises alerts.
type Monitor struct {
	*monitor
	session *Session
}

// monitor is the pump's part. It does not refer to the Monitor, which can therefore be collected.
type monitor struct {
	handle     held[C.wtgram_monitor]
	owner      *session
	source     *source
	alerts     waitQueue
	maxSamples int
	maxAlerts  int
}

// MonitorOptions are options of a monitor. Zero fields keep the library's defaults; if 0 itself
// makes sense, a negative value stands for it.
type MonitorOptions struct {
	Interval             time.Duration // between samples; default 5 s, at least 10 ms
	MaxSamples           int           // that are kept; default 100
	MaxAlerts            int           // that are kept, and that may wait; default 50
	QueueSizeThreshold   float64       // of the high-water mark; default 0.9, negative for 0: any queue is high
	SuccessRateThreshold float64       // default 0.8, negative for 0: none is low
	TrendWindow          uint64        // the fewest samples that make a trend; default 10
	RTTRise              time.Duration // the least that alerts; default 10 ms, negative for 0
	LossRise             float64       // the least that alerts, as a part of all packets; default 0.01, negative for 0
	Silence              time.Duration // alert when nothing arrived from the peer for this long; default 15 s, negative for never
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

// OpenMonitor starts to watch the transport. The first sample comes after one interval.
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

func (m *monitor) ready(what uint32) {
	if what&C.WTGRAM_READY_CLOSED != 0 {
		m.alerts.end()
		return
	}
	m.alerts.wakeOne()
}

func (m *monitor) free() {
	m.source.forget()
	C.wtgram_monitor_free(m.handle.get())
}

// Sample is one look at a transport. Counts are totals since the transport was created.
type Sample struct {
	Timestamp                            time.Time
	DatagramsSent, DatagramsReceived     uint64
	BytesSent, BytesReceived             uint64
	SendSuccessRate                      float64 // 1 with no attempts
	AvgSendTime                          time.Duration
	OutgoingQueueSize, IncomingQueueSize uint64 // datagrams
	Evicted, Expired, InboundDropped     uint64
	RTT                                  time.Duration
	PacketsSent, PacketsLost             uint64
	Loss                                 float64 // of the packets since the previous sample, 0 to 1
	Silence                              time.Duration
}

// Samples returns the newest samples, oldest first; a limit of 0 returns all that are kept. It
// works also after the end.
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

// AlertKind is what an alert is about.
type AlertKind uint32

const (
	AlertHighQueueSize      AlertKind = C.WTGRAM_ALERT_HIGH_QUEUE_SIZE      // the figure: datagrams
	AlertLowSuccessRate     AlertKind = C.WTGRAM_ALERT_LOW_SUCCESS_RATE     // a part of 1
	AlertIncreasingSendTime AlertKind = C.WTGRAM_ALERT_INCREASING_SEND_TIME // seconds
	AlertEvictions          AlertKind = C.WTGRAM_ALERT_EVICTIONS            // since the previous sample
	AlertExpiries           AlertKind = C.WTGRAM_ALERT_EXPIRIES             // since the previous sample
	AlertInboundDrops       AlertKind = C.WTGRAM_ALERT_INBOUND_DROPS        // since the previous sample
	AlertRTTRise            AlertKind = C.WTGRAM_ALERT_RTT_RISE             // seconds
	AlertLossRise           AlertKind = C.WTGRAM_ALERT_LOSS_RISE            // a part of 1
	AlertSilentPeer         AlertKind = C.WTGRAM_ALERT_SILENT_PEER          // seconds
)

// Alert reports that a condition started or ended.
type Alert struct {
	Timestamp time.Time
	Kind      AlertKind
	Began     bool
	Value     float64 // the figure that Kind is about
	Threshold float64 // what it was compared with
	Missed    uint64  // of NextAlert only: alerts before this one that nobody fetched in time
	Message   string
}

func alert(c *C.wtgram_alert) Alert {
	return Alert{time.UnixMicro(int64(c.timestamp_us)), AlertKind(c.kind), c.began != 0, float64(c.value),
		float64(c.threshold), uint64(c.missed), C.GoString(&c.message[0])}
}

// Alerts returns the newest alerts, oldest first, whether NextAlert returned them or not; a limit
// of 0 returns all that are kept. It works also after the end.
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

// NextAlert waits for the next alert that was not fetched.
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

// IsMonitoring reports whether the monitor takes samples: neither it nor its transport is closed.
func (m *Monitor) IsMonitoring() bool {
	defer runtime.KeepAlive(m)
	var monitoring C.bool
	return C.wtgram_monitor_is_monitoring(m.handle.get(), &monitoring) == C.WTGRAM_OK && bool(monitoring)
}

// Session returns the session of the monitored transport.
func (m *Monitor) Session() *Session { return m.session }

// Close stops taking samples. Samples and alerts can still be read, until the Monitor is garbage
// collected. A second Close has no effect.
func (m *Monitor) Close() error {
	defer runtime.KeepAlive(m)
	_ = C.wtgram_monitor_close(m.handle.get()) // after the library's end it is closed anyhow
	m.alerts.end()
	return nil
}
