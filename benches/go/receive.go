package main

import (
	"context"
	"time"

	"example.com/wtgram"
)

type arrivals struct {
	first, lastStamp                                                 time.Time
	stamped, delivered, bytes, highestSequence, reordered, malformed uint64
}

func (a *arrivals) count(payload []byte) {
	if len(payload) < sequenceBytes {
		a.malformed++
		return
	}
	sequence := getSequence(payload)
	if a.delivered > 0 && sequence <= a.highestSequence {
		a.reordered++
	} else {
		a.highestSequence = sequence
	}
	a.delivered++
	a.bytes += uint64(len(payload))
	if a.delivered%datagramsPerStamp == 1 {
		a.lastStamp, a.stamped = time.Now(), a.delivered
		if a.delivered == 1 {
			a.first = a.lastStamp
		}
	}
}

func receiveBatches(session *wtgram.Session, arrivals *arrivals) {
	var batch wtgram.Batch
	for {
		count, err := session.Transport().ReceiveBatch(context.Background(), &batch)
		if closed(err) {
			return
		}
		for i := range count {
			arrivals.count(batch.At(i))
		}
	}
}

func receiveSingly(session *wtgram.Session, arrivals *arrivals) {
	for {
		data, err := session.ReceiveDatagram(context.Background())
		if closed(err) {
			return
		}
		arrivals.count(data)
	}
}

func receive(batch bool) {
	server, session := acceptOne()
	var arrivals arrivals
	if batch {
		receiveBatches(session, &arrivals)
	} else {
		receiveSingly(session, &arrivals)
	}
	stats, err := session.Transport().Stats()
	check(err)
	quic, err := session.Stats()
	check(err)
	report(map[string]any{
		"delivered": arrivals.delivered, "bytes": arrivals.bytes, "window_datagrams": max(arrivals.stamped, 1) - 1,
		"window_s": arrivals.lastStamp.Sub(arrivals.first).Seconds(), "reordered": arrivals.reordered,
		"malformed": arrivals.malformed, "dropped_full": stats.ReceiveDroppedFull,
		"dropped_by_quic": stats.ReceiveDroppedByQUIC, "frames": quic.DatagramFramesReceived,
	})
	check(server.Close())
}
