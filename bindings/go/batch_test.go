package wtgram_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"example.com/wtgram"
)

func TestABatchBringsNoMoreThanItsMax(t *testing.T) {
	in := holdsTen(t)
	batch := wtgram.Batch{Max: 4}
	for _, want := range []int{4, 4, 1} {
		if count := must[int](t)(in.ReceiveBatch(within(t, patience), &batch)); count != want || batch.Len() != want {
			t.Fatalf("%d instead of %d", count, want)
		}
	}
	batch.Max = -1
	if _, err := in.ReceiveBatch(within(t, patience), &batch); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
}

func TestALoopOverBatchesGetsEachDatagramOnce(t *testing.T) {
	in := holdsTen(t)
	ctx, cancel := context.WithCancel(within(t, patience))
	defer cancel()
	got := make(map[string]bool)
	for batch, err := range in.Batches(ctx) {
		if err != nil {
			if !errors.Is(err, context.Canceled) || batch != nil {
				t.Fatal(batch, err)
			}
			break
		}
		for i, data := range batch.All() {
			if string(data) != string(batch.At(i)) || time.Since(batch.Received(i)) > patience {
				t.Fatalf("%d is %q", i, data)
			}
			got[string(data)] = true
		}
		batch.Release()
		if len(got) == 9 {
			cancel()
		}
	}
	empty(t, in)
}

func TestALoopThatEndsLeavesTheOtherBatchesToOtherReaders(t *testing.T) {
	client, accepted := pair(t)
	in := accepted.Transport()
	for round := range 3 {
		for i := range 10 {
			if err := client.SendDatagram([]byte{byte(round), byte(i)}); err != nil {
				t.Fatal(err)
			}
		}
		arrived(t, in, uint64(10*round+10))
		left := 10
		for batch, err := range in.Batches(within(t, patience)) {
			if err != nil {
				t.Fatal(err)
			}
			left -= batch.Len()
			batch.Release()
			batch.Release() // no effect
			break
		}
		for range left {
			receive(t, accepted)
		}
		empty(t, in)
	}
}

func TestABatchThatIsNotReleasedStaysTheLoops(t *testing.T) {
	client, accepted := pair(t)
	if err := client.SendDatagram([]byte{0}); err != nil {
		t.Fatal(err)
	}
	var kept []*wtgram.Batch
	for batch, err := range accepted.Transport().Batches(within(t, patience)) {
		if err != nil {
			t.Fatal(err)
		}
		if kept = append(kept, batch); len(kept) == 4 {
			break
		}
		if err := client.SendDatagram([]byte{byte(len(kept))}); err != nil {
			t.Fatal(err)
		}
	}
	for i, batch := range kept {
		if batch.Len() != 1 || batch.At(0)[0] != byte(i) {
			t.Fatalf("%d: %v", i, batch.At(0))
		}
		batch.Release()
	}
}

func TestOneDatagramIntoABuffer(t *testing.T) {
	client, accepted := pair(t)
	in := accepted.Transport()
	if err := client.SendDatagram([]byte("four")); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 4)
	if size, err := in.ReceiveInto(within(t, patience), buffer[:3]); err != io.ErrShortBuffer || size != 4 {
		t.Fatal(size, err)
	}
	if size, err := in.ReceiveInto(within(t, patience), buffer); err != nil || string(buffer[:size]) != "four" {
		t.Fatalf("%q %v", buffer[:size], err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := in.ReceiveInto(soon, buffer); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := client.SendDatagram(nil); err != nil {
		t.Fatal(err)
	}
	if size, err := in.ReceiveInto(within(t, patience), nil); err != nil || size != 0 {
		t.Fatal(size, err)
	}
	accepted.Close()
	if _, err := in.ReceiveInto(within(t, patience), buffer); !errors.Is(err, wtgram.ErrClosed) {
		t.Fatal(err)
	}
}
