package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"example.com/wtgram"
)

func echoServer() {
	server, session := acceptOne()
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
	report(map[string]any{"echoed": echoed})
	check(server.Close())
}

// answered waits up to a second for the answer. It ignores late answers to earlier pings.
func answered(session *wtgram.Session, payload []byte) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for {
		data, err := session.ReceiveDatagram(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			return false
		}
		check(err)
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

func echoClient(target target) {
	session := connectTo(target)
	data := payload(target.sizeBytes)
	var trips []time.Duration
	lost := 0
	// An additional tenth of the time is for warming up.
	warm := time.Now().Add(target.duration / 10)
	until := warm.Add(target.duration)
	for ping := uint64(1); time.Now().Before(until); ping++ {
		putSequence(data, ping)
		asked := time.Now()
		check(session.SendDatagram(data))
		if !answered(session, data) {
			lost++
		} else if !asked.Before(warm) {
			trips = append(trips, time.Since(asked))
		}
	}
	slices.Sort(trips)
	report(map[string]any{"round_trips": len(trips), "lost": lost, "p50_us": percentile(trips, 50),
		"p90_us": percentile(trips, 90), "p99_us": percentile(trips, 99)})
	closeAndShutDown(session)
}
