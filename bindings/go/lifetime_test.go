package wtgram_test

import (
	"testing"
	"time"

	"example.com/wtgram"
)

// Each call is the last use of its value: with the tag wtgram_gcstress it is collected inside, unless the call prevents it.
func TestAValueLivesAsLongAsACallOnIt(t *testing.T) {
	client, _ := pair(t)
	for range 5 {
		layer := must[*wtgram.Reliability](t)(client.OpenReliability(wtgram.ReliabilityOptions{}))
		must[int](t)(layer.MaxMessageSize())
		eventually(t, "no room for a layer", func() bool {
			next, err := client.OpenReliability(wtgram.ReliabilityOptions{})
			if err != nil {
				layer.Close()
				return false
			}
			return next.Close() == nil
		})
		monitor := must[*wtgram.Monitor](t)(client.Datagrams().OpenMonitor(wtgram.MonitorOptions{Interval: time.Hour}))
		must[[]wtgram.Sample](t)(monitor.Samples(0))
		all := must[*wtgram.Broadcaster](t)(wtgram.NewBroadcaster(wtgram.BroadcasterOptions{}))
		must[wtgram.BroadcasterStats](t)(all.Stats())
		values := must[*wtgram.Structured](t)(client.OpenStructured(registry(t), wtgram.StructuredOptions{}))
		must[wtgram.StructuredStats](t)(values.Stats())
	}
}
