package wtgram_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"example.com/wtgram"
)

func TestEveryReportedDatagramHasOneOutcome(t *testing.T) {
	client, _ := pair(t)
	transport := client.Transport()
	for id := range uint64(3) {
		if err := transport.Send(t.Context(), []byte("x"), wtgram.SendOptions{ReportID: id + 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := transport.Send(t.Context(), make([]byte, 60000), wtgram.SendOptions{ReportID: 4}); !errors.Is(err, wtgram.ErrTooLarge) {
		t.Fatal(err)
	}
	seen := make(map[uint64]wtgram.OutcomeKind)
	first := must[wtgram.Outcome](t)(transport.NextOutcome(within(t, patience)))
	seen[first.ReportID] = first.Kind
	for into := make([]wtgram.Outcome, 10); len(seen) < 4; {
		count := must[int](t)(transport.NextOutcomes(within(t, patience), into))
		for _, outcome := range into[:count] {
			if _, twice := seen[outcome.ReportID]; twice {
				t.Fatalf("%d came twice", outcome.ReportID)
			}
			seen[outcome.ReportID] = outcome.Kind
		}
	}
	if seen[1] != wtgram.OutcomeSent || seen[3] != wtgram.OutcomeSent || seen[4] != wtgram.OutcomeTooLarge {
		t.Fatal(seen)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := transport.NextOutcome(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	client.Close()
	if _, err := transport.NextOutcome(within(t, patience)); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}
