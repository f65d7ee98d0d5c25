package wtgram_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"example.com/wtgram"
)

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

func TestEveryFigureOfTheReferenceIsCounted(t *testing.T) {
	client, accepted := pair(t, wtgram.WithQueues(wtgram.QueueOptions{IncomingMaxDatagrams: 2}))
	out, in := client.Transport(), accepted.Transport()
	send := func(size int) {
		t.Helper()
		if err := out.TrySend(make([]byte, size), wtgram.SendOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	stats := func(transport *wtgram.Transport) wtgram.TransportStats {
		t.Helper()
		return must[wtgram.TransportStats](t)(transport.Stats())
	}
	send(400)
	must[[]byte](t)(in.Receive(within(t, patience)))
	send(100)
	must[[]byte](t)(in.Receive(within(t, patience)))
	if err := out.TrySend(make([]byte, 60000), wtgram.SendOptions{}); !errors.Is(err, wtgram.ErrTooLarge) {
		t.Fatal(err)
	}
	for range 4 {
		send(100)
	}
	eventually(t, "nothing is dropped at the other end", func() bool { return stats(in).ReceiveDrops == 2 })
	if err := out.SetOutgoingMaxAge(time.Microsecond); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is dropped on its way out", func() bool {
		send(100)
		must[uint64](t)(out.ClearSendBuffer())
		return stats(out).SendDrops > 0
	})
	sent, received := stats(out), stats(in)
	if sent.SessionID != must[uint64](t)(out.SessionID()) || sent.Created.Before(time.Unix(1_600_000_000, 0)) {
		t.Fatalf("%+v", sent)
	}
	if sent.SendFailures != 1 || sent.DatagramsSent != sent.Sent || sent.DatagramsSent < 6 || sent.BytesSent != sent.SentBytes {
		t.Fatalf("%+v", sent)
	}
	// (The longest time may be less than a microsecond.)
	if sent.TotalSendTime < sent.MaxSendTime || sent.AvgSendTime <= 0 {
		t.Fatalf("%+v", sent)
	}
	if sent.SendSuccessRate <= 0.5 || sent.SendSuccessRate >= 1 {
		t.Fatalf("%+v", sent)
	}
	if received.DatagramsReceived != 2 || received.BytesReceived != 500 || received.TotalDatagramSize != 500 ||
		received.MinDatagramSize != 100 || received.MaxDatagramSize != 400 || math.Abs(received.AvgDatagramSize-250) > 0.1 {
		t.Fatalf("%+v", received)
	}
	if received.TotalReceiveTime < received.MaxReceiveTime || received.AvgReceiveTime > received.TotalReceiveTime {
		t.Fatalf("%+v", received)
	}
	// Datagrams of other sessions would be errors. Dropped datagrams are no failures.
	if received.ReceiveErrors != 0 || received.ReceiveSuccessRate != 1 {
		t.Fatalf("%+v", received)
	}
}

func TestTheTimeInTheCallIsCounted(t *testing.T) {
	client, accepted := pair(t)
	// On a busy machine the call may begin after the pause. Then the pause gets longer.
	for pause := 50 * time.Millisecond; ; pause *= 2 {
		time.AfterFunc(pause, func() { _ = client.SendDatagram([]byte("late")) })
		_, metadata, err := accepted.Transport().ReceiveWithMetadata(within(t, patience), false)
		if err != nil || metadata.Age > metadata.Waited && metadata.Waited > 0 {
			t.Fatalf("%+v %v", metadata, err)
		}
		if metadata.Waited >= pause/2 {
			return
		}
		if pause > patience {
			t.Fatalf("%v of %v", metadata.Waited, pause)
		}
	}
}
