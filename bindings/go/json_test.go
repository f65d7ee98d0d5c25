package wtgram_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"example.com/wtgram"
)

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
		// The library refuses the same texts.
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
