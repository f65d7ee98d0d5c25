package wtgram

import "testing"

func TestANegativeValueStandsForZeroAndZeroForTheDefault(t *testing.T) {
	layer, monitor := ReliabilityOptions{MaxRetries: -1}, MonitorOptions{QueueSizeThreshold: -1, SuccessRateThreshold: -1,
		RTTRise: -1, LossRise: -1, Silence: -1}
	r, m := layer.c(), monitor.c()
	if r.max_retries != 0 || m.queue_size_threshold != 0 || m.success_rate_threshold != 0 || m.rtt_rise_us != 0 ||
		m.loss_rise != 0 || m.silence_us != 0 {
		t.Fatalf("%+v %+v", r, m)
	}
	r, m = new(ReliabilityOptions).c(), new(MonitorOptions).c()
	if r.max_retries != 5 || m.queue_size_threshold != 0.9 || m.success_rate_threshold != 0.8 || m.rtt_rise_us != 10_000 ||
		m.loss_rise != 0.01 || m.silence_us != 15_000_000 || m.max_samples != 100 || m.max_alerts != 50 ||
		m.trend_window != 10 || m.interval_us != 5_000_000 {
		t.Fatalf("%+v %+v", r, m)
	}
}
