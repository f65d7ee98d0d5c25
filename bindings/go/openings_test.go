package wtgram_test

import (
	"errors"
	"testing"
	"time"

	"example.com/wtgram"
)

func TestHowLongALayerTriesIsAnOption(t *testing.T) {
	one, _ := pair(t) // nobody acknowledges
	layer := must[*wtgram.Reliability](t)(one.Transport().OpenReliability(
		wtgram.ReliabilityOptions{AckTimeout: 50 * time.Millisecond, MaxRetries: 2}))
	if err := layer.SendReported(t.Context(), []byte("x"), 1); err != nil {
		t.Fatal(err)
	}
	outcome := must[wtgram.ReliabilityOutcome](t)(layer.NextOutcome(within(t, patience)))
	if outcome.Kind != wtgram.MessageGaveUp || outcome.Elapsed < 150*time.Millisecond || outcome.Transmissions < 3 {
		t.Fatalf("%+v", outcome)
	}
}

func TestCloseShutsABroadcasterDown(t *testing.T) {
	client, accepted := pair(t)
	all := must[*wtgram.Broadcaster](t)(wtgram.NewBroadcaster(wtgram.BroadcasterOptions{}))
	if err := all.Add(client); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := all.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := all.Add(accepted); !errors.Is(err, wtgram.ErrClosed) || all.Len() != 0 {
		t.Fatal(err, all.Len())
	}
	if err := client.SendDatagram([]byte("lives on")); err != nil {
		t.Fatal(err)
	}
	if data := receive(t, accepted); string(data) != "lives on" {
		t.Fatalf("%q", data)
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
