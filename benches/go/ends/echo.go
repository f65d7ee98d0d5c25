package ends

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"
)

// Session is what the loops need of a session.
type Session interface {
	SendDatagram(data []byte) error
	// ReceiveDatagram returns the context's error when that ends the wait.
	ReceiveDatagram(ctx context.Context) ([]byte, error)
}

// Echo sends back what arrives, until `closed` says that an error is the end of the session.
func Echo(session Session, closed func(error) bool) {
	echoed := 0
	for {
		data, err := session.ReceiveDatagram(context.Background())
		if err == nil {
			err = session.SendDatagram(data)
		}
		if closed(err) {
			break
		}
		echoed++
	}
	Report(map[string]any{"echoed": echoed})
}

// answered waits up to a second for the answer. It ignores late answers to earlier pings.
func answered(session Session, payload []byte) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for {
		data, err := session.ReceiveDatagram(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			return false
		}
		Check(err)
		if bytes.Equal(data, payload) {
			return true
		}
	}
}

func percentile(sorted []time.Duration, percent int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[(len(sorted)-1)*percent/100].Nanoseconds()) / 1000
}

// Ping measures round trips to a session that echoes.
func Ping(session Session, target Target) {
	data := Payload(target.SizeBytes)
	var trips []time.Duration
	lost := 0
	// An additional tenth of the time is for warming up.
	warm := time.Now().Add(target.Duration / 10)
	until := warm.Add(target.Duration)
	for ping := uint64(1); time.Now().Before(until); ping++ {
		PutSequence(data, ping)
		asked := time.Now()
		Check(session.SendDatagram(data))
		if !answered(session, data) {
			lost++
		} else if !asked.Before(warm) {
			trips = append(trips, time.Since(asked))
		}
	}
	slices.Sort(trips)
	Report(map[string]any{"round_trips": len(trips), "lost": lost, "p50_us": percentile(trips, 50),
		"p90_us": percentile(trips, 90), "p99_us": percentile(trips, 99)})
}
