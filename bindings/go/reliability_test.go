package wtgram_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"example.com/wtgram"
)

func layers(t *testing.T) (client, accepted *wtgram.Reliability) {
	one, other := pair(t)
	client = must[*wtgram.Reliability](t)(one.Transport().OpenReliability(wtgram.ReliabilityOptions{}))
	accepted = must[*wtgram.Reliability](t)(other.Transport().OpenReliability(wtgram.ReliabilityOptions{}))
	t.Cleanup(func() { client.Close(); accepted.Close() }) // this also keeps layers from being collected that a test does not use
	return client, accepted
}

func TestMessagesArriveAndAreAcknowledged(t *testing.T) {
	client, accepted := layers(t)
	const messages = 200
	go func() {
		for i := range messages {
			if err := client.SendReported(t.Context(), fmt.Appendf(nil, "%d", i), uint64(i+1)); err != nil {
				t.Error(err)
			}
		}
	}()
	seen := make(map[string]bool)
	for range messages {
		seen[string(must[[]byte](t)(accepted.Receive(within(t, patience))))] = true
	}
	if len(seen) != messages {
		t.Fatal(len(seen))
	}
	for range messages {
		outcome := must[wtgram.ReliabilityOutcome](t)(client.NextOutcome(within(t, patience)))
		if outcome.Kind != wtgram.MessageAcknowledged || outcome.Transmissions == 0 {
			t.Fatalf("%+v", outcome)
		}
	}
	if stats := must[wtgram.ReliabilityStats](t)(client.Stats()); stats.Acknowledged != messages || stats.Submitted != messages {
		t.Fatalf("%+v", stats)
	}
	if _, err := accepted.TryReceive(); !errors.Is(err, wtgram.ErrWouldBlock) {
		t.Fatal(err)
	}
	size := must[int](t)(client.MaxMessageSize())
	if err := client.TrySend(make([]byte, size+1), wtgram.SendOptions{}); !errors.Is(err, wtgram.ErrTooLarge) {
		t.Fatal(err)
	}
	if _, err := client.Session().Transport().OpenReliability(wtgram.ReliabilityOptions{}); !errors.Is(err, wtgram.ErrInvalidState) {
		t.Fatal(err)
	}
}

func TestSendWaitsForTheWindowAndReturnsWithItsContext(t *testing.T) {
	one, _ := pair(t) // the peer has no layer, so it does not acknowledge
	layer := must[*wtgram.Reliability](t)(one.Transport().OpenReliability(wtgram.ReliabilityOptions{WindowMessages: 2}))
	for id := range uint64(2) {
		if err := layer.SendReported(t.Context(), []byte("x"), id+1); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := layer.Send(ctx, []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := layer.TrySend([]byte("x"), wtgram.SendOptions{}); !errors.Is(err, wtgram.ErrWouldBlock) {
		t.Fatal(err)
	}
	if _, err := layer.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := layer.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || !layer.IsClosed() {
		t.Fatal(err)
	}
	for range 2 {
		if outcome := must[wtgram.ReliabilityOutcome](t)(layer.NextOutcome(within(t, patience))); outcome.Kind != wtgram.MessageClosed {
			t.Fatalf("%+v", outcome)
		}
	}
}

func TestALayerFromTheFactoryGivesUpAsItsParametersSay(t *testing.T) {
	one, _ := pair(t) // the peer has no layer, so it does not acknowledge
	another, _ := pair(t)
	longer := must[*wtgram.Reliability](t)(another.Transport().OpenReliability(wtgram.ReliabilityOptions{}))
	if err := longer.Send(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	layer := must[*wtgram.Reliability](t)(one.Transport().OpenReliabilityWith(100*time.Millisecond, 0))
	if err := layer.SendReported(t.Context(), []byte("x"), 1); err != nil {
		t.Fatal(err)
	}
	outcome := must[wtgram.ReliabilityOutcome](t)(layer.NextOutcome(within(t, patience)))
	if outcome.Kind != wtgram.MessageGaveUp || outcome.Elapsed < 100*time.Millisecond {
		t.Fatalf("%+v", outcome)
	}
	if stats := must[wtgram.ReliabilityStats](t)(longer.Stats()); stats.GaveUp != 0 {
		t.Fatalf("the one with the defaults gave up as early: %+v", stats)
	}
}

func TestATTLOverALayerIsKeptAndTheLayerHasTheOutcome(t *testing.T) {
	one, other := pair(t)
	options := wtgram.ReliabilityOptions{Negotiation: wtgram.NegotiationRequired}
	layer := must[*wtgram.Reliability](t)(one.Transport().OpenReliability(options)) // nothing is sent before the peer's layer answers
	late := wtgram.SendOptions{Priority: 2, TTL: time.Millisecond, ReportID: 7}
	if err := layer.SendWith(t.Context(), []byte("late"), late); err != nil {
		t.Fatal(err)
	}
	outcome := must[wtgram.ReliabilityOutcome](t)(layer.NextOutcome(within(t, patience)))
	if outcome.ReportID != 7 || outcome.Kind != wtgram.MessageExpired || outcome.Transmissions != 0 {
		t.Fatalf("%+v", outcome)
	}
	far := must[*wtgram.Reliability](t)(other.Transport().OpenReliability(options))
	if err := layer.Send(t.Context(), []byte("in time")); err != nil {
		t.Fatal(err)
	}
	if data := must[[]byte](t)(far.Receive(within(t, patience))); string(data) != "in time" {
		t.Fatalf("%q", data)
	}
	stats := must[wtgram.ReliabilityStats](t)(layer.Stats())
	if stats.Expired != 1 || stats.TakesPlain || !stats.Negotiated {
		t.Fatalf("%+v", stats)
	}
}

func TestDrainDeliversAndCloseWakes(t *testing.T) {
	client, accepted := layers(t)
	for range 50 {
		if err := client.Send(t.Context(), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	failed := make(chan error)
	go func() { _, err := client.Receive(context.Background()); failed <- err }()
	if err := client.Drain(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if err := client.Send(t.Context(), []byte("x")); !errors.Is(err, wtgram.ErrClosed) {
		t.Fatal(err)
	}
	for range 2 {
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if stats := must[wtgram.ReliabilityStats](t)(accepted.Stats()); stats.Received != 50 {
		t.Fatalf("%+v", stats)
	}
	if client.Session().Context().Err() != nil {
		t.Fatal("the session was closed too")
	}
}

func TestAForgottenLayerMakesRoomForAnother(t *testing.T) {
	one, _ := pair(t)
	must[*wtgram.Reliability](t)(one.Transport().OpenReliability(wtgram.ReliabilityOptions{}))
	eventually(t, "the forgotten layer lives on", func() bool {
		runtime.GC()
		_, err := one.Transport().OpenReliability(wtgram.ReliabilityOptions{})
		return err == nil
	})
}

func TestOutcomesOfMessagesComeInBatches(t *testing.T) {
	client, _ := layers(t)
	const messages = 100
	for id := range uint64(messages) {
		if err := client.SendReported(within(t, patience), []byte("x"), id+1); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(map[uint64]bool)
	for into := make([]wtgram.ReliabilityOutcome, 30); len(seen) < messages; {
		for _, outcome := range into[:must[int](t)(client.NextOutcomes(within(t, patience), into))] {
			if outcome.Kind != wtgram.MessageAcknowledged || seen[outcome.ReportID] {
				t.Fatalf("%+v", outcome)
			}
			seen[outcome.ReportID] = true
		}
	}
	if _, err := client.NextOutcomes(t.Context(), nil); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if count, err := client.NextOutcomes(ctx, make([]wtgram.ReliabilityOutcome, 1)); count != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(count, err)
	}
}

func TestHowLongALayerTriesIsAnOption(t *testing.T) {
	one, _ := pair(t) // the peer has no layer, so it does not acknowledge
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
