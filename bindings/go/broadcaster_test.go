package wtgram_test

import (
	"errors"
	"testing"

	"example.com/wtgram"
)

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
	// A datagram that is too large closes no member.
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

// A member that the library removes because it is slow may be added again before Broadcast has updated its own list.
func TestAMemberThatIsAddedAgainDuringABroadcastStaysAMember(t *testing.T) {
	client, _ := pair(t, wtgram.WithQueues(wtgram.QueueOptions{OutgoingMaxBytes: 10, WhenOutgoingFull: wtgram.FullReject}))
	all := must[*wtgram.Broadcaster](t)(wtgram.NewBroadcaster(wtgram.BroadcasterOptions{SlowLimit: 1}))
	if err := all.Add(client); err != nil {
		t.Fatal(err)
	}
	tooMuch := make([]byte, 100) // more than its queue holds
	results := must[[]wtgram.BroadcastResult](t)(all.BroadcastWhile(tooMuch, func() {
		if err := all.Add(client); err != nil {
			t.Fatal(err)
		}
	}))
	if len(results) != 1 || !results[0].Removed || !errors.Is(results[0].Err, wtgram.ErrQueueFull) {
		t.Fatalf("%+v", results)
	}
	_, results, err := all.Broadcast([]byte("x"), wtgram.SendOptions{})
	if err != nil || len(results) != 1 || results[0].Err != nil || results[0].Member != client {
		t.Fatalf("%+v %v", results, err)
	}
	// Without another Add, it is gone for good.
	results = must[[]wtgram.BroadcastResult](t)(all.BroadcastWhile(tooMuch, func() {}))
	if len(results) != 1 || !results[0].Removed || all.Len() != 0 || all.Kept() != 0 {
		t.Fatalf("%+v %d %d", results, all.Len(), all.Kept())
	}
}
