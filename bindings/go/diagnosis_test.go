package wtgram_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"example.com/wtgram"
)

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
