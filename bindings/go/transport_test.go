package wtgram_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"example.com/wtgram"
)

func must[T any](t testing.TB) func(value T, err error) T {
	t.Helper()
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// eventually is for what the other side must come to.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

func TestLessThanAMicrosecondIsNotNone(t *testing.T) {
	client, _ := pair(t)
	if err := client.Transport().SetOutgoingMaxAge(1); err != nil {
		t.Fatal(err)
	}
	if age := must[time.Duration](t)(client.Transport().OutgoingMaxAge()); age != time.Microsecond {
		t.Fatal(age)
	}
}

func TestSettingsCanBeReadBack(t *testing.T) {
	client, _ := pair(t)
	transport := client.Transport()
	for name, set := range map[string]func() (got, want any, err error){
		"outgoing age": func() (any, any, error) {
			err := transport.SetOutgoingMaxAge(3 * time.Second)
			return must[time.Duration](t)(transport.OutgoingMaxAge()), 3 * time.Second, err
		},
		"incoming age": func() (any, any, error) {
			err := transport.SetIncomingMaxAge(4 * time.Second)
			return must[time.Duration](t)(transport.IncomingMaxAge()), 4 * time.Second, err
		},
		"outgoing limits": func() (any, any, error) {
			err := transport.SetOutgoingLimits(wtgram.Limits{Datagrams: 7, Bytes: 7000})
			return must[wtgram.Limits](t)(transport.OutgoingLimits()), wtgram.Limits{Datagrams: 7, Bytes: 7000}, err
		},
		"incoming limits": func() (any, any, error) {
			err := transport.SetIncomingLimits(wtgram.Limits{Datagrams: 8, Bytes: 8000})
			return must[wtgram.Limits](t)(transport.IncomingLimits()), wtgram.Limits{Datagrams: 8, Bytes: 8000}, err
		},
		"full policy": func() (any, any, error) {
			err := transport.SetOutgoingFullPolicy(wtgram.FullReject)
			return must[wtgram.FullPolicy](t)(transport.OutgoingFullPolicy()), wtgram.FullReject, err
		},
		"drop policy": func() (any, any, error) {
			err := transport.SetIncomingDropPolicy(wtgram.DropNewest)
			return must[wtgram.DropPolicy](t)(transport.IncomingDropPolicy()), wtgram.DropNewest, err
		},
		"water marks": func() (any, any, error) {
			marks := wtgram.WaterMarks{HighDatagrams: 6, LowDatagrams: 2, HighBytes: 600, LowBytes: 200}
			err := transport.SetOutgoingWaterMarks(marks)
			return must[wtgram.WaterMarks](t)(transport.OutgoingWaterMarks()), marks, err
		},
	} {
		if got, want, err := set(); err != nil || got != want {
			t.Errorf("%s: %v instead of %v: %v", name, got, want, err)
		}
	}
	if err := transport.SetOutgoingHighWaterMark(5); err != nil {
		t.Fatal(err)
	}
	if mark := must[uint64](t)(transport.OutgoingHighWaterMark()); mark != 5 {
		t.Fatal(mark)
	}
	if err := transport.SetOutgoingMaxAge(-time.Second); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
	if err := transport.SetOutgoingLimits(wtgram.Limits{}); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
}

func TestMetadataSaysWhatWasReceived(t *testing.T) {
	client, accepted := pair(t)
	for _, text := range []string{"abc", "abc"} {
		if err := client.Transport().TrySend([]byte(text), wtgram.SendOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	transport := accepted.Transport()
	for sequence := range uint64(2) {
		data, metadata, err := transport.ReceiveWithMetadata(within(t, patience), true)
		if err != nil || string(data) != "abc" || metadata.Size != 3 || metadata.Sequence != sequence {
			t.Fatalf("%q %+v %v", data, metadata, err)
		}
		if metadata.Checksum != "ba7816bf" { // the SHA-256 of "abc", FIPS 180-2
			t.Fatal(metadata.Checksum)
		}
		if metadata.Age < 0 || metadata.Age > patience || time.Since(metadata.Timestamp) > patience {
			t.Fatalf("%+v", metadata)
		}
	}
	if _, err := transport.TryReceive(); !errors.Is(err, wtgram.ErrWouldBlock) {
		t.Fatal(err)
	}
}

func TestJSONIsStrictInBothDirections(t *testing.T) {
	client, accepted := pair(t)
	type point struct{ X, Y int }
	ctx := within(t, patience)
	if err := client.Transport().SendJSON(ctx, point{1, 2}, wtgram.SendOptions{}); err != nil {
		t.Fatal(err)
	}
	var got point
	if err := accepted.Transport().ReceiveJSON(ctx, &got); err != nil || got != (point{1, 2}) {
		t.Fatal(got, err)
	}
	var detailed *wtgram.Error
	err := client.Transport().SendJSON(ctx, json.RawMessage(`{"a":nan}`), wtgram.SendOptions{})
	if !errors.Is(err, wtgram.ErrSerialization) || !errors.As(err, &detailed) || detailed.Detail == "" {
		t.Fatal(err)
	}
	values := must[*wtgram.Structured](t)(client.OpenStructured(registry(t), wtgram.StructuredOptions{}))
	for _, number := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if err := values.Send(ctx, &move{number, 0}); !errors.Is(err, wtgram.ErrSerialization) {
			t.Fatal(err)
		}
		if err := client.Transport().SendJSON(ctx, number, wtgram.SendOptions{}); !errors.Is(err, wtgram.ErrSerialization) {
			t.Fatal(err)
		}
	}
	if err := client.Transport().SendJSON(ctx, func() {}, wtgram.SendOptions{}); !errors.Is(err, wtgram.ErrSerialization) {
		t.Fatal(err)
	}
	for _, bad := range []string{"{", "\"\xff\"", `"\ud800"`, `"\ud800x"`, `"\ud800\n"`, `"\udc00"`, `"\ud800\ud800"`,
		strings.Repeat("[", 128) + strings.Repeat("]", 128)} {
		if err := client.SendDatagram([]byte(bad)); err != nil {
			t.Fatal(err)
		}
		var value any
		if err := accepted.Transport().ReceiveJSON(ctx, &value); !errors.Is(err, wtgram.ErrSerialization) {
			t.Fatalf("%q: %v", bad, err)
		}
		// The library refuses the same.
		if err := client.Transport().SendJSON(ctx, json.RawMessage(bad), wtgram.SendOptions{}); !errors.Is(err, wtgram.ErrSerialization) {
			t.Fatalf("%q: %v", bad, err)
		}
	}
	for _, good := range []string{`"\ud83d\ude00"`, `"\\ud800"`, `"["`, strings.Repeat("[", 127) + strings.Repeat("]", 127)} {
		if err := client.Transport().SendJSON(ctx, json.RawMessage(good), wtgram.SendOptions{}); err != nil {
			t.Fatalf("%q: %v", good, err)
		}
		var value any
		if err := accepted.Transport().ReceiveJSON(ctx, &value); err != nil {
			t.Fatalf("%q: %v", good, err)
		}
	}
}

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

func TestABatchSaysWhatFailed(t *testing.T) {
	client, _ := pair(t)
	accepted, errs := client.Transport().SendBatch(t.Context(), [][]byte{nil, make([]byte, 70000), make([]byte, 60000), {1}},
		wtgram.SendOptions{Priority: 1})
	if accepted != 2 || len(errs) != 4 || errs[0] != nil || errs[3] != nil ||
		!errors.Is(errs[1], wtgram.ErrTooLarge) || !errors.Is(errs[2], wtgram.ErrTooLarge) {
		t.Fatal(accepted, errs)
	}
	client.Close()
	<-client.Context().Done()
	accepted, errs = client.Transport().TrySendBatch([][]byte{{1}, {2}}, wtgram.SendOptions{})
	if accepted != 0 || len(errs) != 2 || !errors.Is(errs[0], net.ErrClosed) || !errors.Is(errs[1], net.ErrClosed) {
		t.Fatal(accepted, errs)
	}
}

func TestClearingSizesAndSequences(t *testing.T) {
	client, accepted := pair(t)
	in := accepted.Transport()
	for i := range 5 {
		if err := client.SendDatagram(fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "not all arrived", func() bool { return must[uint64](t)(in.ReceiveSequence()) == 5 })
	receive(t, accepted)
	if size := must[uint64](t)(in.ReceiveBufferSize()); size != 4 {
		t.Fatal(size)
	}
	if cleared := must[uint64](t)(in.ClearReceiveBuffer()); cleared != 4 {
		t.Fatal(cleared)
	}
	if sent := must[uint64](t)(client.Transport().SendSequence()); sent != 5 {
		t.Fatal(sent)
	}
	if err := client.Transport().WaitLowWater(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	must[uint64](t)(client.Transport().ClearSendBuffer())
	if size := must[uint64](t)(client.Transport().SendBufferSize()); size != 0 {
		t.Fatal(size)
	}
	if stats := must[wtgram.QueueStats](t)(in.QueueStats()); stats.IncomingLimits.Datagrams != 4096 || stats.IncomingDatagrams != 0 {
		t.Fatalf("%+v", stats)
	}
	if id, other := must[uint64](t)(in.SessionID()), must[uint64](t)(client.Transport().SessionID()); id != other {
		t.Fatal(id, other)
	}
	size := must[int](t)(in.MaxDatagramSize())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if other, err := in.WaitSizeChange(ctx, size); err == nil && other == size || err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(other, err)
	}
	if other, err := in.WaitSizeChange(t.Context(), 1); err != nil || other < 1000 {
		t.Fatal(other, err)
	}
}

func TestATransportClosesWithoutItsSession(t *testing.T) {
	client, _ := pair(t)
	transport := client.Transport()
	if transport.IsClosed() || !transport.IsReadable() || !transport.IsWritable() || transport.Session() != client {
		t.Fatal("an open transport is not")
	}
	failed := make(chan error)
	go func() { _, err := transport.Receive(context.Background()); failed <- err }()
	time.Sleep(20 * time.Millisecond)
	for range 2 {
		if err := transport.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	// The receiving side ends when the lane has taken what had arrived.
	eventually(t, "it is still readable", func() bool { return !transport.IsReadable() })
	if !transport.IsClosed() || transport.IsWritable() || client.Context().Err() != nil {
		t.Fatal("closed too little, or too much")
	}
}

func TestHeartbeatsBeatAndTheirAbsenceIsNoticed(t *testing.T) {
	client, accepted := pair(t)
	beat := wtgram.HeartbeatOptions{Interval: 20 * time.Millisecond, SilentAfterIntervals: 3}
	if err := client.Transport().StartHeartbeat(beat); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if data := receive(t, accepted); !wtgram.IsHeartbeat(data) {
			t.Fatalf("%q", data)
		}
	}
	if err := client.Transport().WaitPeerSilent(within(t, patience)); err != nil { // accepted says nothing
		t.Fatal(err)
	}
	if !must[bool](t)(client.Transport().IsPeerSilent()) {
		t.Fatal("not silent")
	}
	findings := must[[]wtgram.Finding](t)(client.Transport().Diagnose())
	if len(findings) != 1 || findings[0].Code != "silent_peer" || findings[0].Message == "" {
		t.Fatalf("%+v", findings)
	}
	if err := client.Transport().StopHeartbeat(); err != nil {
		t.Fatal(err)
	}
	own := must[[]byte](t)(wtgram.NewHeartbeat())
	if !wtgram.IsHeartbeat(own) || wtgram.IsHeartbeat([]byte("heart")) {
		t.Fatalf("%q", own)
	}
	if err := client.Transport().StartHeartbeat(wtgram.HeartbeatOptions{Interval: 1}); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
}

func TestStateAndFiguresCanBeRead(t *testing.T) {
	client, accepted := pair(t)
	if err := client.SendDatagram([]byte("four")); err != nil {
		t.Fatal(err)
	}
	receive(t, accepted)
	stats := must[wtgram.TransportStats](t)(client.Transport().Stats())
	if stats.DatagramsSent != 1 || stats.BytesSent != 4 || stats.SendSuccessRate != 1 || stats.HandedIn != 1 ||
		time.Since(stats.Created) > time.Minute || stats.MinDatagramSize != 4 {
		t.Fatalf("%+v", stats)
	}
	var state map[string]any
	if err := json.Unmarshal(must[json.RawMessage](t)(client.Transport().DebugState()), &state); err != nil || state["queues"] == nil {
		t.Fatal(state, err)
	}
	for _, text := range []string{must[string](t)(client.Transport().Prometheus()), must[string](t)(wtgram.Prometheus())} {
		if !strings.Contains(text, "wtgram_") || !strings.HasSuffix(text, "# EOF\n") {
			t.Fatal(text)
		}
	}
}

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
	// One whose Progress panics ends, too, and leaves its place to others.
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
