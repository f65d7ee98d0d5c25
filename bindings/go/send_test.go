package wtgram_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wtgram"
)

func TestBatchesGoOverWholeAndInOrder(t *testing.T) {
	client, accepted := pair(t)
	var datagrams [][]byte
	for i := range 90 { // more than one crossing
		datagrams = append(datagrams, fmt.Appendf(nil, "datagram %02d", i))
	}
	taken, errs := client.Transport().SendBatch(t.Context(), datagrams, wtgram.SendOptions{})
	if errs != nil || taken != len(datagrams) {
		t.Fatalf("%d accepted: %v", taken, errs)
	}
	var batch wtgram.Batch
	got := []string{string(receive(t, accepted))}
	for len(got) < len(datagrams) {
		count, err := accepted.Transport().ReceiveBatch(within(t, patience), &batch)
		if err != nil || count == 0 || count != batch.Len() {
			t.Fatalf("%d of %d received: %v", len(got), len(datagrams), err)
		}
		for i := range count {
			if age := time.Since(batch.Received(i)); age < -time.Minute {
				t.Fatalf("arrived in the future: %v", age)
			}
			got = append(got, string(batch.At(i)))
		}
	}
	for i, text := range asSent(got) {
		if text != string(datagrams[i]) {
			t.Fatalf("%d is %q", i, text)
		}
	}
}

func TestABatchSendsTheRestOfAFailedOne(t *testing.T) {
	client, accepted := pair(t)
	datagrams := [][]byte{[]byte("a"), make([]byte, 70000), make([]byte, 60000), []byte("d")}
	count, errs := client.Transport().SendBatch(t.Context(), datagrams, wtgram.SendOptions{})
	if count != 2 || errs[0] != nil || !errors.Is(errs[1], wtgram.ErrTooLarge) || !errors.Is(errs[2], wtgram.ErrTooLarge) || errs[3] != nil {
		t.Fatalf("%d accepted: %v", count, errs)
	}
	if got := asSent([]string{string(receive(t, accepted)), string(receive(t, accepted))}); got[0] != "a" || got[1] != "d" {
		t.Fatal(got)
	}
}

func TestTheLargestPassesAndLargerIsRefused(t *testing.T) {
	client, accepted := pair(t)
	limit, err := client.Transport().MaxDatagramSize()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.SendDatagram(make([]byte, limit)); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, accepted); len(got) != limit {
		t.Fatalf("%d came as %d", limit, len(got))
	}
	if err := client.SendDatagram(make([]byte, 70000)); !errors.Is(err, wtgram.ErrTooLarge) {
		t.Fatal(err)
	}
}

func TestAFullQueueRejectsOrWaits(t *testing.T) {
	data := make([]byte, 1000)
	client, _ := pair(t, wtgram.WithQueues(wtgram.QueueOptions{OutgoingMaxDatagrams: 4, WhenOutgoingFull: wtgram.FullReject}))
	var err error
	for i := 0; i < 2_000_000 && err == nil; i++ {
		err = client.SendDatagram(data)
	}
	if !errors.Is(err, wtgram.ErrQueueFull) {
		t.Fatal(err)
	}
	client, accepted := pair(t, wtgram.WithQueues(wtgram.QueueOptions{OutgoingMaxDatagrams: 4, WhenOutgoingFull: wtgram.FullWait}))
	go func() {
		for {
			if _, err := accepted.ReceiveDatagram(context.Background()); err != nil {
				return
			}
		}
	}()
	for range 20_000 {
		if err := client.Transport().Send(within(t, patience), data, wtgram.SendOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if stats, err := client.Transport().Stats(); err != nil || stats.SendEvicted != 0 || stats.Sent+stats.SendQueued != 20_000 {
		t.Fatalf("%+v %v", stats, err)
	}
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

// darkLink relays UDP packets between one client and a server. It can stop carrying packets.
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

// stuck returns a transport whose queue is nearly always full, because its link carries nothing.
// Only QUIC's probes make space, at growing intervals. `fill` fills that space.
func stuck(t *testing.T) (out *wtgram.Transport, fill func()) {
	server, _, hash := listen(t)
	link := newDarkLink(t, server.Addr())
	client := must[*wtgram.Session](t)(wtgram.Dial(within(t, patience), fmt.Sprintf("https://127.0.0.1:%d/", link.port),
		wtgram.WithCertificateHash(hash), smallAndWaiting()))
	t.Cleanup(func() { client.Close() })
	link.dark.Store(true)
	out = client.Transport()
	return out, func() {
		if _, err := out.ClearSendBuffer(); err != nil { // because datagrams with a TTL make space when they expire
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
			return errs[1] // the last one for which there is space
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

func TestABatchReturnsWithItsContext(t *testing.T) {
	client, _ := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	accepted, errs := client.Transport().SendBatch(ctx, [][]byte{{1}, {2}}, wtgram.SendOptions{})
	if accepted != 0 || !errors.Is(errs[0], context.Canceled) || !errors.Is(errs[1], context.Canceled) {
		t.Fatal(accepted, errs)
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
