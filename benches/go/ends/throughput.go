package ends

import (
	"context"
	"maps"
	"time"
)

// Arrivals counts the datagrams that have arrived.
type Arrivals struct {
	first, lastStamp                                                 time.Time
	stamped, delivered, bytes, highestSequence, reordered, malformed uint64
}

// Count counts one datagram.
func (a *Arrivals) Count(payload []byte) {
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

// Report prints the counts, and what the session counted.
func (a *Arrivals) Report(session map[string]any) {
	figures := map[string]any{
		"delivered": a.delivered, "bytes": a.bytes, "window_datagrams": max(a.stamped, 1) - 1,
		"window_s": a.lastStamp.Sub(a.first).Seconds(), "reordered": a.reordered, "malformed": a.malformed,
	}
	maps.Copy(figures, session)
	Report(figures)
}

// ReceiveSingly receives one datagram per call, until `closed` says that an error is the end of the
// session.
func (a *Arrivals) ReceiveSingly(session Session, closed func(error) bool) {
	for {
		data, err := session.ReceiveDatagram(context.Background())
		if closed(err) {
			return
		}
		a.Count(data)
	}
}

// SendSingly sends one datagram per call, for the time of the target.
func SendSingly(session Session, target Target) (sent uint64) {
	data := Payload(target.SizeBytes)
	until := time.Now().Add(target.Duration)
	for sent%datagramsPerStamp != 0 || time.Now().Before(until) {
		PutSequence(data, sent)
		Check(session.SendDatagram(data))
		sent++
	}
	return sent
}
