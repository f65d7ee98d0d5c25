package wtgram_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"example.com/wtgram"
)

type chat struct {
	From string `json:"from"`
	Text string `json:"text"`
}

type move struct{ X, Y float64 }

// counter marshals itself, as types of generated code do.
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
		// A datagram that is not a value takes a place. The next value comes with it or after it.
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
	// A control character is one byte on the wire and six in JSON. Eleven such values exceed a
	// slab.
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

func TestCloseEndsWhatIsUnderItOrDetaches(t *testing.T) {
	client, accepted := pair(t)
	beside := must[*wtgram.Structured](t)(client.OpenStructured(registry(t), wtgram.StructuredOptions{}))
	if err := beside.Close(); err != nil || !beside.IsClosed() || client.Transport().IsClosed() {
		t.Fatal("closed too little, or too much", err)
	}
	// Over a transport it closes the transport, also for other objects over it.
	over := func() *wtgram.Structured {
		return must[*wtgram.Structured](t)(client.Transport().OpenStructured(registry(t), wtgram.StructuredOptions{}))
	}
	one, other := over(), over()
	if err := one.Close(); err != nil || !other.IsClosed() || !client.Transport().IsClosed() || client.Context().Err() != nil {
		t.Fatal("closed too little, or too much", err)
	}
	layer := must[*wtgram.Reliability](t)(accepted.Transport().OpenReliability(wtgram.ReliabilityOptions{}))
	above := must[*wtgram.Structured](t)(layer.OpenStructured(registry(t), wtgram.StructuredOptions{}))
	if err := above.Close(); err != nil || !layer.IsClosed() || accepted.Transport().IsClosed() {
		t.Fatal("closed too little, or too much", err)
	}
}

// Priority, TTL and report of a value or a broadcast, over a transport, a session and a layer.
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
		// Repeat, because QUIC may take a value within its microsecond.
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
	// Nothing is sent before the peer's layer answers, and the peer has none.
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
	// A Structured that is garbage collected closes its layer.
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

func TestASmallQueueDropsWhatComesWhileItIsFull(t *testing.T) {
	client, accepted := pair(t)
	from := must[*wtgram.Structured](t)(client.OpenStructured(registry(t), wtgram.StructuredOptions{}))
	to := must[*wtgram.Structured](t)(accepted.OpenStructured(registry(t), wtgram.StructuredOptions{QueueDatagrams: 2}))
	for range 5 {
		if err := from.Send(t.Context(), chat{"a", "b"}); err != nil {
			t.Fatal(err)
		}
	}
	// A datagram that was sent later may arrive earlier.
	eventually(t, "three of five find the queue full", func() bool {
		return must[wtgram.StructuredStats](t)(to.Stats()).ReceiveDroppedFull == 3
	})
	for range 2 {
		must[any](t)(to.Receive(within(t, patience)))
	}
}
