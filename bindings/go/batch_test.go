package wtgram_test

import (
	"errors"
	"testing"

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
