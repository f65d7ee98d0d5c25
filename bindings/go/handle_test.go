package wtgram_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"testing"
	"time"

	"example.com/wtgram"
)

// Each call is the last use of its value. With the tag wtgram_gcstress, the value is collected
// during the call, unless the call keeps it alive.
func TestAValueLivesAsLongAsACallOnIt(t *testing.T) {
	client, _ := pair(t)
	for range 5 {
		layer := must[*wtgram.Reliability](t)(client.Transport().OpenReliability(wtgram.ReliabilityOptions{}))
		must[int](t)(layer.MaxMessageSize())
		eventually(t, "no room for a layer", func() bool {
			next, err := client.Transport().OpenReliability(wtgram.ReliabilityOptions{})
			if err != nil {
				layer.Close()
				return false
			}
			return next.Close() == nil
		})
		monitor := must[*wtgram.Monitor](t)(client.Transport().OpenMonitor(wtgram.MonitorOptions{Interval: time.Hour}))
		must[[]wtgram.Sample](t)(monitor.Samples(0))
		all := must[*wtgram.Broadcaster](t)(wtgram.NewBroadcaster(wtgram.BroadcasterOptions{}))
		must[wtgram.BroadcasterStats](t)(all.Stats())
		values := must[*wtgram.Structured](t)(client.OpenStructured(registry(t), wtgram.StructuredOptions{}))
		must[wtgram.StructuredStats](t)(values.Stats())
	}
}

func TestNothingRunsOnForWhatIsClosed(t *testing.T) {
	pair(t) // the package's own goroutine runs from now on
	before := runtime.NumGoroutine()
	server := must[*wtgram.Server](t)(wtgram.Listen("127.0.0.1:0"))
	hash := must[wtgram.CertificateHash](t)(server.CertificateHash())
	failed := make(chan error)
	const sessions = 20
	for range sessions {
		client := must[*wtgram.Session](t)(wtgram.Dial(within(t, patience), "https://"+server.Addr().String()+"/",
			wtgram.WithCertificateHash(hash)))
		layer := must[*wtgram.Reliability](t)(client.Transport().OpenReliability(wtgram.ReliabilityOptions{}))
		monitor := must[*wtgram.Monitor](t)(client.Transport().OpenMonitor(wtgram.MonitorOptions{}))
		go func() { _, err := client.ReceiveDatagram(context.Background()); failed <- err }()
		go func() { _, err := layer.Receive(context.Background()); failed <- err }()
		go func() { _, err := monitor.NextAlert(context.Background()); failed <- err }()
	}
	go func() {
		for {
			if _, err := server.Accept(context.Background()); err != nil {
				failed <- err
				return
			}
		}
	}()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3*sessions + 1 {
		select {
		case err := <-failed:
			if !errors.Is(err, net.ErrClosed) {
				t.Fatal(err)
			}
		case <-time.After(patience):
			t.Fatal("somebody waits for what is closed")
		}
	}
	eventually(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= before })
	if _, err := server.CertificateHash(); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}
