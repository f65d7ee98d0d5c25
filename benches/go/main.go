// Wtgram_bench_go is the Go program of `make bench`: it measures the Go package. Package ends says
// what it takes and prints. Forms are `batch`, `single`
// with a slice of its own for each datagram received, and `into`, which is `single` into a buffer.
package main

import (
	"context"
	"errors"
	"time"

	"example.com/wtgram"
	"example.com/wtgram/benches/ends"
)

func main() {
	ends.Program{
		Name:       "wtgram_bench_go",
		Forms:      []string{"batch", "single", "into"},
		Receive:    receive,
		Send:       send,
		EchoServer: echoServer,
		EchoClient: echoClient,
	}.Main()
}

// closed reports whether the session has ended. Any other error is fatal.
func closed(err error) bool {
	if !errors.Is(err, wtgram.ErrClosed) {
		ends.Check(err)
	}
	return err != nil
}

func echoServer() {
	server, session := acceptOne()
	ends.Echo(session, closed)
	ends.Check(server.Close())
}

func echoClient(target ends.Target) {
	session := connectTo(target)
	ends.Ping(session, target)
	closeAndShutDown(session)
}

func receiveBatches(session *wtgram.Session, arrivals *ends.Arrivals) {
	var batch wtgram.Batch
	for {
		count, err := session.Transport().ReceiveBatch(context.Background(), &batch)
		if closed(err) {
			return
		}
		for i := range count {
			arrivals.Count(batch.At(i))
		}
	}
}

func receiveInto(session *wtgram.Session, arrivals *ends.Arrivals) {
	buffer := make([]byte, 2048)
	for {
		size, err := session.Transport().ReceiveInto(context.Background(), buffer)
		if closed(err) {
			return
		}
		arrivals.Count(buffer[:size])
	}
}

func receive(form string) {
	server, session := acceptOne()
	var arrivals ends.Arrivals
	switch form {
	case "batch":
		receiveBatches(session, &arrivals)
	case "into":
		receiveInto(session, &arrivals)
	default:
		arrivals.ReceiveSingly(session, closed)
	}
	stats, err := session.Transport().Stats()
	ends.Check(err)
	quic, err := session.Stats()
	ends.Check(err)
	arrivals.Report(map[string]any{"dropped_full": stats.ReceiveDroppedFull,
		"dropped_by_quic": stats.ReceiveDroppedByQUIC, "frames": quic.DatagramFramesReceived})
	ends.Check(server.Close())
}

func sendBatches(session *wtgram.Session, target ends.Target) (sent uint64) {
	batch := make([][]byte, 64)
	for i := range batch {
		batch[i] = ends.Payload(target.SizeBytes)
	}
	for until := time.Now().Add(target.Duration); time.Now().Before(until); {
		for i := range batch {
			ends.PutSequence(batch[i], sent+uint64(i))
		}
		accepted, errs := session.Transport().SendBatch(context.Background(), batch, wtgram.SendOptions{})
		ends.Check(errors.Join(errs...))
		sent += uint64(accepted)
	}
	return sent
}

func send(form string, target ends.Target) {
	session := connectTo(target)
	var sent uint64
	if form == "batch" {
		sent = sendBatches(session, target)
	} else {
		sent = ends.SendSingly(session, target)
	}
	finish(session)
	stats, err := session.Transport().Stats()
	ends.Check(err)
	quic, err := session.Stats()
	ends.Check(err)
	ends.Report(map[string]any{"sent": sent, "dropped_by_quic": stats.SentDroppedByQUIC, "frames": quic.DatagramFramesSent})
	closeAndShutDown(session)
}
