package wtgram_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"example.com/wtgram"
)

func TestAMonitorSamplesAndAlerts(t *testing.T) {
	client, _ := pair(t)
	monitor := must[*wtgram.Monitor](t)(client.Transport().OpenMonitor(wtgram.MonitorOptions{Interval: 10 * time.Millisecond}))
	if !monitor.IsMonitoring() {
		t.Fatal("it does not")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if alert, err := monitor.NextAlert(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(alert, err)
	}
	for range 10 {
		_ = client.SendDatagram(make([]byte, 60000)) // refused: the success rate falls
	}
	alert := must[wtgram.Alert](t)(monitor.NextAlert(within(t, patience)))
	if alert.Kind != wtgram.AlertLowSuccessRate || !alert.Began || alert.Value != 0 || alert.Threshold != 0.8 || alert.Message == "" {
		t.Fatalf("%+v", alert)
	}
	if alerts := must[[]wtgram.Alert](t)(monitor.Alerts(0)); len(alerts) != 1 || alerts[0].Kind != alert.Kind {
		t.Fatalf("%+v", alerts)
	}
	eventually(t, "no five samples", func() bool { return len(must[[]wtgram.Sample](t)(monitor.Samples(0))) >= 5 })
	samples := must[[]wtgram.Sample](t)(monitor.Samples(2))
	if len(samples) != 2 || samples[1].SendSuccessRate != 0 || !samples[1].Timestamp.After(samples[0].Timestamp) {
		t.Fatalf("%+v", samples)
	}
	failed := make(chan error)
	go func() { _, err := monitor.NextAlert(context.Background()); failed <- err }()
	for range 2 {
		if err := monitor.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-failed; !errors.Is(err, net.ErrClosed) || monitor.IsMonitoring() {
		t.Fatal(err)
	}
	if _, err := client.Transport().OpenMonitor(wtgram.MonitorOptions{Interval: -1}); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
}

func TestTheNewestSamplesAreKept(t *testing.T) {
	client, _ := pair(t)
	monitor := must[*wtgram.Monitor](t)(client.Transport().OpenMonitor(
		wtgram.MonitorOptions{Interval: 10 * time.Millisecond, MaxSamples: 3}))
	samples := func() []wtgram.Sample {
		t.Helper()
		return must[[]wtgram.Sample](t)(monitor.Samples(0))
	}
	eventually(t, "no sample", func() bool { return len(samples()) > 0 })
	first := samples()[0].Timestamp
	eventually(t, "the first is kept for ever", func() bool { return samples()[0].Timestamp.After(first) })
	if err := monitor.Close(); err != nil {
		t.Fatal(err)
	}
	if kept := samples(); len(kept) != 3 || !kept[2].Timestamp.After(kept[0].Timestamp) {
		t.Fatalf("%+v", kept)
	}
}
