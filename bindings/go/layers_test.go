package wtgram_test

import (
	"context"
	"encoding/binary"
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
	t.Cleanup(func() { client.Close(); accepted.Close() }) // nor is one collected that a test does not look at
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
	one, _ := pair(t) // nobody acknowledges
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
	one, _ := pair(t) // nobody acknowledges
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
	layer := must[*wtgram.Reliability](t)(one.Transport().OpenReliability(options)) // nothing goes before a layer answers
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

func TestABroadcastReachesEveryMember(t *testing.T) {
	one, a := pair(t)
	other, b := pair(t)
	layer, c := layers(t)
	all := must[*wtgram.Broadcaster](t)(wtgram.NewBroadcaster(wtgram.BroadcasterOptions{}))
	for _, member := range []wtgram.Member{one, one.Transport(), other.Transport(), layer} {
		if err := all.Add(member); err != nil {
			t.Fatal(err)
		}
	}
	if all.Len() != 3 {
		t.Fatal(all.Len())
	}
	accepted, results, err := all.Broadcast([]byte("to all"), wtgram.SendOptions{Priority: 1})
	if err != nil || accepted != 3 {
		t.Fatal(accepted, err)
	}
	for _, result := range results {
		if result.Err != nil || result.Removed || result.Member == nil {
			t.Fatalf("%+v", result)
		}
	}
	if len(results) != 3 || string(receive(t, a)) != "to all" || string(receive(t, b)) != "to all" {
		t.Fatal(results)
	}
	if data := must[[]byte](t)(c.Receive(within(t, patience))); string(data) != "to all" {
		t.Fatalf("%q", data)
	}
	// One that is too large is nobody's end.
	accepted, results, err = all.Broadcast(make([]byte, 60000), wtgram.SendOptions{})
	if err != nil || accepted != 0 || len(results) != 3 {
		t.Fatal(accepted, results, err)
	}
	for _, result := range results {
		if !errors.Is(result.Err, wtgram.ErrTooLarge) || result.Removed {
			t.Fatalf("%+v", result)
		}
	}
	if err := all.Remove(layer); err != nil {
		t.Fatal(err)
	}
	one.Close()
	<-one.Context().Done()
	if err := all.Add(one); !errors.Is(err, wtgram.ErrClosed) {
		t.Fatal(err)
	}
	accepted, results, err = all.Broadcast([]byte("x"), wtgram.SendOptions{})
	queued := 0
	for _, result := range results {
		if result.Err == nil {
			queued++
		} else if !result.Removed || !errors.Is(result.Err, wtgram.ErrClosed) {
			t.Fatalf("%+v", result)
		}
	}
	if err != nil || queued != 1 || accepted != 1 || all.Len() != 1 {
		t.Fatal(accepted, results, all.Len(), err)
	}
	if stats := must[wtgram.BroadcasterStats](t)(all.Stats()); stats.Broadcasts != 3 || stats.TooLarge != 3 || stats.Accepted != 4 {
		t.Fatalf("%+v", stats)
	}
	for range 2 {
		if err := all.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := all.Broadcast(nil, wtgram.SendOptions{}); !errors.Is(err, wtgram.ErrClosed) || all.Len() != 0 {
		t.Fatal(err)
	}
	if err := all.Add(other); !errors.Is(err, wtgram.ErrClosed) || other.Context().Err() != nil {
		t.Fatal(err)
	}
}

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

type chat struct {
	From string `json:"from"`
	Text string `json:"text"`
}

type move struct{ X, Y float64 }

// counter marshals itself, as generated code does.
type counter struct{ n uint32 }

func (c *counter) Marshal() ([]byte, error) { return binary.BigEndian.AppendUint32(nil, c.n), nil }
func (c *counter) Unmarshal(data []byte) error {
	if len(data) != 4 {
		return errors.New("not four bytes")
	}
	c.n = binary.BigEndian.Uint32(data)
	return nil
}

func registry(t *testing.T) *wtgram.Registry {
	types := wtgram.NewRegistry()
	for _, err := range []error{wtgram.Register[chat](types, 1), wtgram.RegisterLimited[*move](types, 2, 100)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return types
}

func TestValuesTravelWithTheirTypes(t *testing.T) {
	for name, codec := range map[string]wtgram.Codec{"default": nil, "JSON": wtgram.JSON, "MessagePack": wtgram.MessagePack} {
		for _, over := range []string{"session", "transport", "reliability"} {
			t.Run(name+" over "+over, func(t *testing.T) {
				open := func(session *wtgram.Session) *wtgram.Structured {
					options := wtgram.StructuredOptions{Codec: codec}
					switch over {
					case "session":
						return must[*wtgram.Structured](t)(session.OpenStructured(registry(t), options))
					case "transport":
						return must[*wtgram.Structured](t)(session.Transport().OpenStructured(registry(t), options))
					}
					layer := must[*wtgram.Reliability](t)(session.Transport().OpenReliability(wtgram.ReliabilityOptions{}))
					return must[*wtgram.Structured](t)(layer.OpenStructured(registry(t), options))
				}
				one, two := pair(t)
				client, accepted := open(one), open(two)
				for _, value := range []any{chat{"a", "hello"}, &chat{"b", "there"}} {
					if err := client.Send(within(t, patience), value); err != nil {
						t.Fatal(err)
					}
					got := must[any](t)(accepted.Receive(within(t, patience)))
					if pointer, is := value.(*chat); got != value && (!is || got != *pointer) {
						t.Fatalf("%#v", got)
					}
				}
				if err := client.Send(within(t, patience), &move{1.5, -2}); err != nil {
					t.Fatal(err)
				}
				if got, ok := must[any](t)(accepted.Receive(within(t, patience))).(*move); !ok || *got != (move{1.5, -2}) {
					t.Fatalf("%#v", got)
				}
				if stats := must[wtgram.StructuredStats](t)(accepted.Stats()); stats.Received != 3 {
					t.Fatalf("%+v", stats)
				}
				if err := client.Send(t.Context(), 1); !errors.Is(err, wtgram.ErrUnknownType) {
					t.Fatal(err)
				}
				if _, err := accepted.TryReceive(); !errors.Is(err, wtgram.ErrWouldBlock) {
					t.Fatal(err)
				}
				failed := make(chan error)
				go func() { _, err := accepted.Receive(context.Background()); failed <- err }()
				for range 2 {
					if err := accepted.Close(); err != nil {
						t.Fatal(err)
					}
				}
				if err := <-failed; !errors.Is(err, net.ErrClosed) || !accepted.IsClosed() {
					t.Fatal(err)
				}
				if closed := two.Transport().IsClosed(); closed != (over == "transport") {
					t.Fatalf("the transport is closed: %v", closed)
				}
			})
		}
	}
}

func TestWhatIsNoValueIsReportedAndTheNextComes(t *testing.T) {
	client, two := pair(t)
	accepted := must[*wtgram.Structured](t)(two.Transport().OpenStructured(registry(t), wtgram.StructuredOptions{}))
	for _, bad := range []struct {
		data string
		want error
	}{
		{"\x00", wtgram.ErrTruncated}, {"\x00\x09{}", wtgram.ErrUnknownType},
		{"\x00\x01{", wtgram.ErrDeserialization}, {"\x00\x01[1]", wtgram.ErrDeserialization},
	} {
		if err := client.SendDatagram([]byte(bad.data)); err != nil {
			t.Fatal(err)
		}
		if value, err := accepted.Receive(within(t, patience)); !errors.Is(err, bad.want) {
			t.Fatalf("%v, %v instead of %v", value, err, bad.want)
		}
	}
	if err := client.SendDatagram([]byte("\x00\x01{\"text\":\"ok\"}")); err != nil {
		t.Fatal(err)
	}
	if got := must[any](t)(accepted.Receive(within(t, patience))); got != (chat{Text: "ok"}) {
		t.Fatalf("%#v", got)
	}
}

func TestTypesThatMarshalThemselvesAndOwnCodecs(t *testing.T) {
	types := wtgram.NewRegistry()
	if err := wtgram.Register[*counter](types, 65535); err != nil {
		t.Fatal(err)
	}
	own := wtgram.CodecFuncs(
		func(value any) ([]byte, error) { return value.(*counter).Marshal() },
		func(data []byte, value any) error { return value.(*counter).Unmarshal(data) })
	for _, codec := range []wtgram.Codec{wtgram.Messages, own} {
		one, two := pair(t)
		options := wtgram.StructuredOptions{Codec: codec}
		client := must[*wtgram.Structured](t)(one.OpenStructured(types, options))
		accepted := must[*wtgram.Structured](t)(two.OpenStructured(types, options))
		if err := client.Send(t.Context(), &counter{7}); err != nil {
			t.Fatal(err)
		}
		if got, ok := must[any](t)(accepted.Receive(within(t, patience))).(*counter); !ok || got.n != 7 {
			t.Fatalf("%#v", got)
		}
		if err := one.SendDatagram([]byte("\xff\xff123")); err != nil {
			t.Fatal(err)
		}
		if _, err := accepted.Receive(within(t, patience)); !errors.Is(err, wtgram.ErrDeserialization) {
			t.Fatal(err)
		}
	}
	one, _ := pair(t)
	plain := must[*wtgram.Structured](t)(one.OpenStructured(registry(t), wtgram.StructuredOptions{Codec: wtgram.Messages}))
	if err := plain.Send(t.Context(), chat{}); !errors.Is(err, wtgram.ErrSerialization) {
		t.Fatal(err)
	}
}

func TestARegistryRefusesWhatIsAmbiguous(t *testing.T) {
	types := registry(t)
	for _, err := range []error{wtgram.Register[chat](types, 3), wtgram.Register[int](types, 1), wtgram.Register[error](types, 4)} {
		if !errors.Is(err, wtgram.ErrInvalidArgument) {
			t.Fatal(err)
		}
	}
}
