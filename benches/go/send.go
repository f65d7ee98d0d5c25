package main

import (
	"context"
	"errors"
	"time"

	"example.com/wtgram"
)

func sendBatches(session *wtgram.Session, sizeBytes int, until time.Time) (sent uint64) {
	batch := make([][]byte, 64)
	for i := range batch {
		batch[i] = payload(sizeBytes)
	}
	for time.Now().Before(until) {
		for i := range batch {
			putSequence(batch[i], sent+uint64(i))
		}
		accepted, errs := session.Transport().SendBatch(context.Background(), batch, wtgram.SendOptions{})
		check(errors.Join(errs...))
		sent += uint64(accepted)
	}
	return sent
}

func sendSingly(session *wtgram.Session, sizeBytes int, until time.Time) (sent uint64) {
	data := payload(sizeBytes)
	for sent%datagramsPerStamp != 0 || time.Now().Before(until) {
		putSequence(data, sent)
		check(session.SendDatagram(data))
		sent++
	}
	return sent
}

func send(batch bool, target target) {
	session := connectTo(target)
	until := time.Now().Add(target.duration)
	how := sendSingly
	if batch {
		how = sendBatches
	}
	sent := how(session, target.sizeBytes, until)
	finish(session)
	stats, err := session.Transport().Stats()
	check(err)
	quic, err := session.Stats()
	check(err)
	report(map[string]any{"sent": sent, "dropped_by_quic": stats.SentDroppedByQUIC, "frames": quic.DatagramFramesSent})
	closeAndShutDown(session)
}
