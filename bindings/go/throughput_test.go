package wtgram_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"example.com/wtgram"
)

func TestAThroughputTestReportsAndCanBeEnded(t *testing.T) {
	client, _ := pair(t)
	calls := 0
	report, err := client.Transport().ThroughputTest(within(t, patience), wtgram.ThroughputOptions{
		Duration: 300 * time.Millisecond, DatagramSize: 100, ProgressInterval: 50 * time.Millisecond,
		Progress: func(wtgram.ThroughputReport) { calls++ }})
	if err != nil || report.DatagramsSent == 0 || report.BytesSent != 100*report.DatagramsSent || report.Cancelled || calls > 5 {
		t.Fatalf("%+v, %d calls: %v", report, calls, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	report, err = client.Transport().ThroughputTest(ctx, wtgram.ThroughputOptions{Duration: time.Hour,
		ProgressInterval: 20 * time.Millisecond, Progress: func(wtgram.ThroughputReport) { cancel() }})
	if !errors.Is(err, context.Canceled) || !report.Cancelled {
		t.Fatalf("%+v: %v", report, err)
	}
	// A test whose Progress panics ends, too, and gives its place to others.
	for range 5 {
		func() {
			defer func() { _ = recover() }()
			_, _ = client.Transport().ThroughputTest(within(t, patience), wtgram.ThroughputOptions{Duration: time.Hour,
				ProgressInterval: time.Millisecond, Progress: func(wtgram.ThroughputReport) { panic("no more") }})
			t.Error("it did not panic")
		}()
	}
	if _, err := client.Transport().ThroughputTest(within(t, patience), wtgram.ThroughputOptions{DatagramSize: 60000}); !errors.Is(err, wtgram.ErrTooLarge) {
		t.Fatal(err)
	}
}
