package echo

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"
)

const (
	window             = 32
	attempts           = 10
	quiet              = 250 * time.Millisecond
	payloadRangeBytes  = 992
	markerBytes        = 6
	askClose           = "please close"
	askLarge           = "large?"
	answerLarge        = "large!"
	timeToLeave        = 500 * time.Millisecond // for a close message that is on its way
	attemptsToBeClosed = 10
)

func payload(number int) []byte {
	data := make([]byte, 8+number*37%payloadRangeBytes)
	for i := range data {
		data[i] = byte(number*31 + i)
	}
	binary.BigEndian.PutUint32(data, uint32(number))
	return data
}

func large(marker string, number, size int) []byte {
	data := make([]byte, max(size, markerBytes+4))
	for i := range data {
		data[i] = byte(size*31 + i)
	}
	copy(data, marker)
	binary.BigEndian.PutUint32(data[markerBytes:], uint32(number))
	return data
}

// receive returns nil and no error if nothing arrived in time.
func receive(ctx context.Context, session Session, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	data, err := session.Receive(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, nil
	}
	if err == nil && data == nil {
		data = []byte{}
	}
	return data, err
}

func client(ctx context.Context, peer Peer, arguments *Arguments) error {
	session, err := peer.Connect(ctx, arguments)
	if err != nil {
		return err
	}
	Say("session", "version", arguments.Version, "protocol", session.Protocol())
	if err := exchange(ctx, session, arguments.count, arguments.limit); err != nil {
		return err
	}
	exchangeExtremes(ctx, session)
	if !arguments.serverCloses {
		err := session.Close(uint32(arguments.closeCode), arguments.closeReason)
		Say("closed", "by", "local")
		time.Sleep(timeToLeave)
		return err
	}
	for range attemptsToBeClosed {
		_ = session.Send([]byte(askClose)) // the close may have arrived meanwhile
		select {
		case <-session.Ended():
			sayClosed(session.Closed(), 0)
			return nil
		case <-time.After(2 * quiet):
		}
	}
	return fmt.Errorf("the server was asked to close, and no close was seen")
}

// exchange returns nil if each payload came back byte for byte, within a bounded number of re-sends.
func exchange(ctx context.Context, session Session, wanted int, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	outstanding := map[int][]byte{}
	returned := map[int]bool{}
	next, resent, duplicates := 0, 0, 0
	for len(returned) < wanted {
		for ; next < wanted && len(outstanding) < window; next++ {
			outstanding[next] = payload(next)
			if err := session.Send(outstanding[next]); err != nil {
				return err
			}
		}
		data, err := receive(ctx, session, quiet)
		if err != nil {
			return err
		}
		if time.Now().After(deadline) || resent > 50*wanted {
			return fmt.Errorf("out of time or of re-sends: %d of %d came back", len(returned), wanted)
		}
		if data == nil {
			for _, data := range outstanding {
				if err := session.Send(data); err != nil {
					return err
				}
				resent++
			}
			continue
		}
		number := wanted
		if len(data) >= 4 {
			number = int(binary.BigEndian.Uint32(data))
		}
		if sent, ok := outstanding[number]; ok && bytes.Equal(sent, data) {
			delete(outstanding, number)
			returned[number] = true
		} else if returned[number] {
			duplicates++
		} else {
			return fmt.Errorf("a datagram of %d bytes that was never sent", len(data))
		}
	}
	Say("echoes", "wanted", wanted, "returned", len(returned), "resent", resent, "duplicates", duplicates, "problem", nil)
	return nil
}

// exchangeExtremes exchanges the largest and the smallest datagram that there can be, each way.
func exchangeExtremes(ctx context.Context, session Session) {
	sent, received, err := ask(ctx, session,
		func() []byte { return large(askLarge, 0, session.Largest()) },
		func(question, answer []byte) bool {
			return bytes.Equal(answer, large(answerLarge, len(question), len(answer)))
		})
	Say("largest", "sent", sent, "received", received, "problem", problem(err))
	_, _, err = ask(ctx, session, func() []byte { return nil }, func(_, answer []byte) bool { return len(answer) == 0 })
	Say("empty", "problem", problem(err))
}

// ask sends what question returns until the answer comes, and returns the size of both.
func ask(
	ctx context.Context, session Session, question func() []byte, isAnswer func(question, answer []byte) bool,
) (int, int, error) {
	for range attempts {
		asked := question()
		if err := session.Send(asked); err != nil {
			return 0, 0, err
		}
		for {
			answer, err := receive(ctx, session, quiet)
			if err != nil {
				return 0, 0, err
			}
			if answer == nil {
				break
			}
			if isAnswer(asked, answer) {
				return len(asked), len(answer), nil
			}
		}
	}
	return 0, 0, fmt.Errorf("no answer to %d datagrams", attempts)
}

func problem(err error) any {
	if err == nil {
		return nil
	}
	return err.Error()
}

// serve answers until one side closes the session.
func serve(ctx context.Context, session Session, path string, arguments *Arguments) {
	Say("session", "path", path, "protocol", session.Protocol())
	for echoed := 0; ; echoed++ {
		data, err := session.Receive(ctx)
		if err != nil {
			<-session.Ended()
			sayClosed(session.Closed(), echoed)
			return
		}
		switch {
		case bytes.HasPrefix(data, []byte(askClose)):
			err = session.Close(uint32(arguments.closeCode), arguments.closeReason)
			Say("closed", "by", "local", "echoed", echoed)
			if err != nil {
				Say("error", "message", err.Error())
			}
			return
		case bytes.HasPrefix(data, []byte(askLarge)):
			if !bytes.Equal(data, large(askLarge, 0, len(data))) {
				Say("error", "message", fmt.Sprintf("a large datagram of %d bytes arrived changed", len(data)))
			}
			err = session.Send(large(answerLarge, len(data), session.Largest()))
		default:
			err = session.Send(data)
		}
		if err != nil {
			Say("error", "message", err.Error())
			return
		}
	}
}

func sayClosed(closed Closed, echoed int) {
	by, code := "transport", any(nil)
	if closed.ByPeer {
		by, code = "peer", closed.Code
	}
	Say("closed", "by", by, "code", code, "reason", closed.Reason, "echoed", echoed)
}
