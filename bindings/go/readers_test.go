package wtgram_test

import (
	"errors"
	"testing"

	"example.com/wtgram"
)

// empty fails if the transport has a datagram for its reader.
func empty(t *testing.T, transport *wtgram.Transport) {
	t.Helper()
	if data, err := transport.TryReceive(); !errors.Is(err, wtgram.ErrWouldBlock) {
		t.Fatalf("%q %v", data, err)
	}
}

func TestEachDatagramHasOneReader(t *testing.T) {
	client, accepted := layers(t)
	if err := client.SendReported(t.Context(), []byte("message"), 1); err != nil {
		t.Fatal(err)
	}
	if data := must[[]byte](t)(accepted.Receive(within(t, patience))); string(data) != "message" {
		t.Fatalf("%q", data)
	}
	must[wtgram.ReliabilityOutcome](t)(client.NextOutcome(within(t, patience)))
	empty(t, accepted.Session().Transport())
	empty(t, client.Session().Transport())
	if err := client.Session().SendDatagram([]byte("plain")); err != nil {
		t.Fatal(err)
	}
	if data := receive(t, accepted.Session()); string(data) != "plain" {
		t.Fatalf("%q", data)
	}
	if data, err := accepted.TryReceive(); !errors.Is(err, wtgram.ErrWouldBlock) {
		t.Fatalf("%q %v", data, err)
	}
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
	// A datagram sent after them may come before them.
	eventually(t, "three of five find the queue full", func() bool {
		return must[wtgram.StructuredStats](t)(to.Stats()).ReceiveDroppedFull == 3
	})
	for range 2 {
		must[any](t)(to.Receive(within(t, patience)))
	}
}

func TestCloseEndsWhatIsUnderItOrDetaches(t *testing.T) {
	client, accepted := pair(t)
	beside := must[*wtgram.Structured](t)(client.OpenStructured(registry(t), wtgram.StructuredOptions{}))
	if err := beside.Close(); err != nil || !beside.IsClosed() || client.Transport().IsClosed() {
		t.Fatal("closed too little, or too much", err)
	}
	// Over a transport it closes that, also for others that are over it.
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
