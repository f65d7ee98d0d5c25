package wtgram_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wtgram"
)

// smallAndWaiting is a queue in which most of a batch has to wait.
func smallAndWaiting() wtgram.Option {
	return wtgram.WithQueues(wtgram.QueueOptions{OutgoingMaxDatagrams: 4, WhenOutgoingFull: wtgram.FullWait})
}

func TestABatchWaitsForRoomAndNoneOfItIsLost(t *testing.T) {
	client, accepted := pair(t, smallAndWaiting())
	var datagrams [][]byte
	for i := range 300 {
		datagrams = append(datagrams, fmt.Appendf(make([]byte, 0, 500), "%d", i)[:500])
	}
	sent := make(chan error, 1)
	go func() {
		count, errs := client.Transport().SendBatch(context.Background(), datagrams, wtgram.SendOptions{})
		err := errors.Join(errs...)
		if err == nil && count != len(datagrams) {
			err = fmt.Errorf("%d accepted", count)
		}
		sent <- err
	}()
	seen := make(map[string]bool)
	for range datagrams {
		seen[string(receive(t, accepted))] = true
	}
	if err := <-sent; err != nil || len(seen) != len(datagrams) {
		t.Fatal(len(seen), err)
	}
	stats := must[wtgram.TransportStats](t)(client.Transport().Stats())
	if stats.HandedIn != uint64(len(datagrams)) || stats.SendEvicted+stats.SendRejected != 0 {
		t.Fatalf("%+v", stats)
	}
}

// darkLink is a relay of UDP packets between one client and a server that can stop carrying any.
type darkLink struct {
	port int
	dark atomic.Bool
}

func newDarkLink(t *testing.T, server net.Addr) *darkLink {
	t.Helper()
	near := must[*net.UDPConn](t)(net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))
	far := must[*net.UDPConn](t)(net.DialUDP("udp4", nil, server.(*net.UDPAddr)))
	t.Cleanup(func() { near.Close(); far.Close() })
	link := &darkLink{port: near.LocalAddr().(*net.UDPAddr).Port}
	var client atomic.Pointer[netip.AddrPort]
	go func() {
		for packet := make([]byte, 65536); ; {
			size, from, err := near.ReadFromUDPAddrPort(packet)
			if err != nil {
				return
			}
			client.Store(&from)
			if !link.dark.Load() {
				_, _ = far.Write(packet[:size])
			}
		}
	}()
	go func() {
		for packet := make([]byte, 65536); ; {
			size, err := far.Read(packet)
			if err != nil {
				return
			}
			if to := client.Load(); !link.dark.Load() && to != nil {
				_, _ = near.WriteToUDPAddrPort(packet[:size], *to)
			}
		}
	}()
	return link
}

// stuck is a transport that waits for room nearly always: its link has gone dark, and only QUIC's probes, which come
// less and less often, make some. `fill` takes that.
func stuck(t *testing.T) (out *wtgram.Transport, fill func()) {
	server, _, hash := listen(t)
	link := newDarkLink(t, server.Addr())
	client := must[*wtgram.Session](t)(wtgram.Dial(within(t, patience), fmt.Sprintf("https://127.0.0.1:%d/", link.port),
		wtgram.WithCertificateHash(hash), smallAndWaiting()))
	t.Cleanup(func() { client.Close() })
	link.dark.Store(true)
	out = client.Transport()
	return out, func() {
		if _, err := out.ClearSendBuffer(); err != nil { // of what has a TTL: it would make room when that is over
			t.Fatal(err)
		}
		for out.TrySend(make([]byte, 1000), wtgram.SendOptions{}) == nil {
		}
	}
}

func TestWhatFindsNoRoomReturnsWithItsContextOrItsTTL(t *testing.T) {
	out, fill := stuck(t)
	values := must[*wtgram.Structured](t)(out.Session().OpenStructured(registry(t), wtgram.StructuredOptions{}))
	for name, send := range map[string]func(context.Context, wtgram.SendOptions) error{
		"send": func(ctx context.Context, options wtgram.SendOptions) error {
			return out.Send(ctx, make([]byte, 1000), options)
		},
		"JSON": func(ctx context.Context, options wtgram.SendOptions) error {
			return out.SendJSON(ctx, "x", options)
		},
		"value": func(ctx context.Context, options wtgram.SendOptions) error {
			return values.SendWith(ctx, chat{}, options)
		},
		"batch": func(ctx context.Context, options wtgram.SendOptions) error {
			accepted, errs := out.SendBatch(ctx, [][]byte{{1}, {2}}, options)
			if accepted == 2 {
				return nil
			}
			return errs[1] // the last to find room
		},
		"values": func(ctx context.Context, options wtgram.SendOptions) error {
			accepted, errs := values.SendBatch(ctx, []any{chat{}, chat{}}, options)
			if accepted == 2 {
				return nil
			}
			return errs[1]
		},
	} {
		ends := func(what string, want error, send func() error) {
			eventually(t, name+" always finds room", func() bool {
				fill()
				err := send()
				if err != nil && !errors.Is(err, want) {
					t.Fatalf("%s with a %s: %v", name, what, err)
				}
				return err != nil
			})
		}
		ends("TTL", wtgram.ErrTimedOut, func() error {
			return send(within(t, patience), wtgram.SendOptions{TTL: 20 * time.Millisecond})
		})
		ends("context", context.DeadlineExceeded, func() error {
			return send(within(t, 20*time.Millisecond), wtgram.SendOptions{TTL: time.Hour})
		})
	}
	eventually(t, "a batch that never waits always finds room", func() bool {
		accepted, errs := out.TrySendBatch([][]byte{{1}, {2}}, wtgram.SendOptions{})
		return accepted == 0 && errors.Is(errs[0], wtgram.ErrWouldBlock) && errors.Is(errs[1], wtgram.ErrWouldBlock)
	})
	eventually(t, "a value that never waits always finds room", func() bool {
		return errors.Is(values.TrySend(chat{}, wtgram.SendOptions{}), wtgram.ErrWouldBlock)
	})
}

func TestWhatExpiresWhileItWaitsForRoomIsCountedAndHasItsOutcome(t *testing.T) {
	out, fill := stuck(t)
	values := must[*wtgram.Structured](t)(out.Session().OpenStructured(registry(t), wtgram.StructuredOptions{}))
	one := func(err error) []error { return []error{err} }
	id := uint64(0)
	for name, send := range map[string]func(context.Context, wtgram.SendOptions) []error{
		"send":  func(ctx context.Context, o wtgram.SendOptions) []error { return one(out.Send(ctx, []byte("x"), o)) },
		"JSON":  func(ctx context.Context, o wtgram.SendOptions) []error { return one(out.SendJSON(ctx, "x", o)) },
		"value": func(ctx context.Context, o wtgram.SendOptions) []error { return one(values.SendWith(ctx, chat{}, o)) },
		"batch": func(ctx context.Context, o wtgram.SendOptions) []error {
			_, errs := out.SendBatch(ctx, [][]byte{{1}, {2}, {3}}, o)
			return errs
		},
		"values": func(ctx context.Context, o wtgram.SendOptions) []error {
			_, errs := values.SendBatch(ctx, []any{chat{}, chat{}, chat{}}, o)
			return errs
		},
	} {
		eventually(t, name+" always finds room", func() bool {
			fill()
			id++
			timedOut := 0
			for _, err := range send(within(t, patience), wtgram.SendOptions{TTL: 5 * time.Millisecond, ReportID: id}) {
				if err != nil && !errors.Is(err, wtgram.ErrTimedOut) {
					t.Fatalf("%s: %v", name, err)
				}
				if err != nil {
					timedOut++
				}
			}
			for left := timedOut; left > 0; {
				outcome, err := out.NextOutcome(within(t, patience))
				if err != nil {
					t.Fatalf("%s: %d without an outcome: %v", name, left, err)
				}
				if outcome == (wtgram.Outcome{ReportID: id, Kind: wtgram.OutcomeExpired}) {
					left--
				}
			}
			return timedOut > 0
		})
	}
	stats := must[wtgram.TransportStats](t)(out.Session().Transport().Stats())
	if stats.SendExpired < 5 || stats.HandedIn != stats.Sent+stats.SendExpired+stats.SendEvicted+stats.SendRejected+
		stats.SendTooLarge+stats.SendFailed+stats.SendCleared+stats.SendQueued {
		t.Fatalf("%+v", stats)
	}
}

func TestTheTTLOfABatchBeginsWithTheCall(t *testing.T) {
	out, fill := stuck(t)
	eventually(t, "a batch always finds room", func() bool {
		fill()
		// 200 crossings: with a TTL of its own for each, the context would end first.
		accepted, errs := out.SendBatch(within(t, patience), make([][]byte, 200*64), wtgram.SendOptions{TTL: 400 * time.Millisecond})
		for _, err := range errs {
			if err != nil && !errors.Is(err, wtgram.ErrTimedOut) {
				t.Fatal(err)
			}
		}
		return accepted == 0
	})
	if stats := must[wtgram.TransportStats](t)(out.Session().Transport().Stats()); stats.SendExpired < 200*64 {
		t.Fatalf("%+v", stats)
	}
}

func TestNothingIsLeftOfABatchWhoseCodecPanicked(t *testing.T) {
	client, accepted := pair(t)
	codec := wtgram.CodecFuncs(func(value any) ([]byte, error) {
		if value.(*chat).Text == "" {
			panic("no text")
		}
		return json.Marshal(value)
	}, json.Unmarshal)
	values := must[*wtgram.Structured](t)(client.OpenStructured(registry(t), wtgram.StructuredOptions{Codec: codec}))
	func() {
		defer func() { _ = recover() }()
		values.SendBatch(within(t, patience), []any{chat{"a", "lost"}, chat{}}, wtgram.SendOptions{})
	}()
	mine := [][]byte{[]byte("mine")}
	if count, errs := client.Transport().SendBatch(t.Context(), mine, wtgram.SendOptions{}); errs != nil || count != 1 {
		t.Fatal(count, errs)
	}
	if got := receive(t, accepted); string(got) != "mine" {
		t.Fatalf("%q", got)
	}
}

func TestWhatWaitsIsCountedByItsPriority(t *testing.T) {
	out, fill := stuck(t)
	eventually(t, "never do three priorities wait", func() bool {
		fill()
		must[uint64](t)(out.ClearSendBuffer()) // QUIC is as full as before
		for i, priority := range []int{0, 1, 2, 2} {
			if err := out.TrySend(make([]byte, 10*(i+1)), wtgram.SendOptions{Priority: priority}); err != nil {
				t.Fatal(err)
			}
		}
		stats := must[wtgram.QueueStats](t)(out.QueueStats())
		for i := range stats.OutgoingPriorityDatagrams {
			stats.OutgoingDatagrams -= stats.OutgoingPriorityDatagrams[i]
			stats.OutgoingBytes -= stats.OutgoingPriorityBytes[i]
		}
		if stats.OutgoingDatagrams != 0 || stats.OutgoingBytes != 0 {
			t.Fatalf("%+v", stats)
		}
		return stats.OutgoingPriorityDatagrams == [3]uint64{1, 1, 2} && stats.OutgoingPriorityBytes == [3]uint64{10, 20, 70}
	})
}

func TestABatchReturnsWithItsContext(t *testing.T) {
	client, _ := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	accepted, errs := client.Transport().SendBatch(ctx, [][]byte{{1}, {2}}, wtgram.SendOptions{})
	if accepted != 0 || !errors.Is(errs[0], context.Canceled) || !errors.Is(errs[1], context.Canceled) {
		t.Fatal(accepted, errs)
	}
}

func TestValuesGoInBatches(t *testing.T) {
	for _, codec := range []wtgram.Codec{wtgram.JSON, wtgram.MessagePack} {
		one, two := pair(t)
		options := wtgram.StructuredOptions{Codec: codec}
		client := must[*wtgram.Structured](t)(one.Transport().OpenStructured(registry(t), options))
		accepted := must[*wtgram.Structured](t)(two.Transport().OpenStructured(registry(t), options))
		values := []any{chat{"a", "0"}, 5, &move{1, 2}}
		for i := range 80 { // more than one crossing
			values = append(values, &chat{"b", fmt.Sprint(i)})
		}
		sent, errs := client.SendBatch(within(t, patience), values, wtgram.SendOptions{Priority: 1})
		if sent != len(values)-1 || len(errs) != len(values) || errs[0] != nil || !errors.Is(errs[1], wtgram.ErrUnknownType) {
			t.Fatal(sent, errs)
		}
		chats, moves := make(map[chat]bool), 0
		for into := make([]wtgram.Received, 7); len(chats)+moves < sent; {
			count := must[int](t)(accepted.ReceiveBatch(within(t, patience), into))
			for _, got := range into[:count] {
				if got.Err != nil || time.Since(got.Timestamp) > time.Minute {
					t.Fatalf("%+v", got)
				}
				switch value := got.Value.(type) {
				case chat:
					chats[value] = true
				case *move:
					moves++
				default:
					t.Fatalf("%#v", value)
				}
			}
		}
		if len(chats) != 81 || moves != 1 || !chats[chat{"a", "0"}] || !chats[chat{"b", "79"}] {
			t.Fatal(chats, moves)
		}
		// What is no value takes a place, and the next one comes with it or after it.
		for _, data := range []string{"\x00", "\x00\x09{}"} {
			if err := one.SendDatagram([]byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		bad := make(map[error]int)
		for into := make([]wtgram.Received, 2); bad[wtgram.ErrTruncated]+bad[wtgram.ErrUnknownType] < 2; {
			for _, got := range into[:must[int](t)(accepted.ReceiveBatch(within(t, patience), into))] {
				if got.Value != nil {
					t.Fatalf("%#v", got)
				}
				bad[got.Err]++
			}
		}
		if bad[wtgram.ErrTruncated] != 1 || bad[wtgram.ErrUnknownType] != 1 {
			t.Fatal(bad)
		}
		if _, err := accepted.ReceiveBatch(t.Context(), nil); !errors.Is(err, wtgram.ErrInvalidArgument) {
			t.Fatal(err)
		}
		accepted.Close()
		if _, err := accepted.ReceiveBatch(within(t, patience), make([]wtgram.Received, 1)); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		if err := client.TrySend(chat{"c", ""}, wtgram.SendOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := client.TrySend(5, wtgram.SendOptions{}); !errors.Is(err, wtgram.ErrUnknownType) {
			t.Fatal(err)
		}
	}
}

func TestAValueLargerAsJSONThanOnTheWireComesInABatch(t *testing.T) {
	one, two := pair(t)
	options := wtgram.StructuredOptions{Codec: wtgram.MessagePack}
	client := must[*wtgram.Structured](t)(one.OpenStructured(registry(t), options))
	accepted := must[*wtgram.Structured](t)(two.OpenStructured(registry(t), options))
	// A control character is one byte on the wire and six in JSON; eleven such values are more than a slab.
	text := string(make([]byte, 1000))
	for range 12 {
		if err := client.Send(within(t, patience), chat{"a", text}); err != nil {
			t.Fatal(err)
		}
	}
	for got, into := 0, make([]wtgram.Received, 64); got < 12; {
		for _, one := range into[:must[int](t)(accepted.ReceiveBatch(within(t, patience), into))] {
			if one.Err != nil || one.Value != (chat{"a", text}) {
				t.Fatal(one.Err)
			}
			got++
		}
	}
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
