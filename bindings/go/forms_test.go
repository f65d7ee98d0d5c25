package wtgram_test

import (
	"errors"
	"testing"
	"time"

	"example.com/wtgram"
)

// Priority, TTL and report of a value or a broadcast, in each form: over a transport, a session, a layer.
func TestATTLEndsWhatIsNotSentInEachForm(t *testing.T) {
	client, accepted := pair(t)
	shortLived := func(ttl time.Duration, reportID uint64) wtgram.SendOptions {
		return wtgram.SendOptions{Priority: 1, TTL: ttl, ReportID: reportID}
	}
	over := func(form string, values *wtgram.Structured, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		// Again and again: QUIC may take a value within its microsecond.
		eventually(t, form+": none expires", func() bool {
			err := values.SendWith(t.Context(), chat{"a", "b"}, shortLived(time.Microsecond, 7))
			if err != nil && !errors.Is(err, wtgram.ErrTimedOut) {
				t.Fatal(err)
			}
			outcome := must[wtgram.Outcome](t)(client.Transport().NextOutcome(within(t, patience)))
			return outcome.ReportID == 7 && outcome.Kind == wtgram.OutcomeExpired
		})
	}
	values, err := client.OpenStructured(registry(t), wtgram.StructuredOptions{})
	over("session", values, err)
	values, err = client.Transport().OpenStructured(registry(t), wtgram.StructuredOptions{})
	over("transport", values, err)
	// Nothing goes before a layer answers, and none does.
	layer := must[*wtgram.Reliability](t)(accepted.Transport().OpenReliability(
		wtgram.ReliabilityOptions{Negotiation: wtgram.NegotiationRequired}))
	expired := func(reportID uint64) {
		t.Helper()
		outcome := must[wtgram.ReliabilityOutcome](t)(layer.NextOutcome(within(t, patience)))
		if outcome.ReportID != reportID || outcome.Kind != wtgram.MessageExpired {
			t.Fatalf("%+v", outcome)
		}
	}
	values = must[*wtgram.Structured](t)(layer.OpenStructured(registry(t), wtgram.StructuredOptions{}))
	// One that is collected closes its layer.
	t.Cleanup(func() { values.Close() })
	if err := values.SendWith(t.Context(), chat{"a", "b"}, shortLived(time.Millisecond, 8)); err != nil {
		t.Fatal(err)
	}
	expired(8)
	all := must[*wtgram.Broadcaster](t)(wtgram.NewBroadcaster(wtgram.BroadcasterOptions{}))
	if err := all.Add(layer); err != nil {
		t.Fatal(err)
	}
	if _, _, err := all.Broadcast([]byte("x"), shortLived(time.Millisecond, 9)); err != nil {
		t.Fatal(err)
	}
	expired(9)
}
