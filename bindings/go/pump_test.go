package wtgram_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"example.com/wtgram"
)

const (
	waiting    = 1000
	maxThreads = 50
)

// threads returns the number of threads of this process.
func threads(t testing.TB) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := bytes.Cut(status, []byte("\nThreads:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	count, err := strconv.Atoi(string(bytes.TrimSpace(line)))
	if !found || err != nil {
		t.Fatalf("no thread count in /proc/self/status: %v", err)
	}
	return count
}

type wait func(context.Context) error

func receiving(session *wtgram.Session) wait {
	return func(ctx context.Context) error { _, err := session.ReceiveDatagram(ctx); return err }
}

func receivingMessages(layer *wtgram.Reliability) wait {
	return func(ctx context.Context) error { _, err := layer.Receive(ctx); return err }
}

func receivingValues(values *wtgram.Structured) wait {
	return func(ctx context.Context) error { _, err := values.Receive(ctx); return err }
}

// blockAll starts a thousand goroutines that wait, each in the next of the waits. It counts threads
// while they wait, then cancels them one by one.
func blockAll(t *testing.T, waits ...wait) {
	t.Helper()
	var cancels [waiting]context.CancelFunc
	var returned [waiting]chan error
	var started sync.WaitGroup
	for i := range waiting {
		ctx, cancel := context.WithCancel(t.Context())
		cancels[i], returned[i] = cancel, make(chan error, 1)
		started.Add(1)
		go func() {
			started.Done()
			returned[i] <- waits[i%len(waits)](ctx)
		}()
	}
	started.Wait()
	time.Sleep(300 * time.Millisecond) // time to get into the wait
	if count := threads(t); count >= maxThreads {
		t.Errorf("%d threads while %d goroutines wait", count, waiting)
	} else {
		t.Logf("%d threads while %d goroutines wait", count, waiting)
	}
	for i := range waiting {
		cancels[i]()
		select {
		case err := <-returned[i]:
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("%d: %v", i, err)
			}
		case <-time.After(patience):
			t.Fatalf("%d did not return", i)
		}
	}
}

func TestAThousandReceiversOfOneSessionHoldNoThreads(t *testing.T) {
	client, accepted := pair(t)
	blockAll(t, receiving(accepted))
	// No canceled wait has taken a wake-up: the next datagram still wakes a receiver.
	if err := client.SendDatagram([]byte("after")); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, accepted); string(got) != "after" {
		t.Fatalf("%q", got)
	}
}

func TestAThousandWaitersOfOneObjectHoldNoThreads(t *testing.T) {
	client, accepted := layers(t)
	one, other := pair(t)
	values := must[*wtgram.Structured](t)(other.OpenStructured(registry(t), wtgram.StructuredOptions{}))
	sender := must[*wtgram.Structured](t)(one.OpenStructured(registry(t), wtgram.StructuredOptions{}))
	server, url, hash := listen(t)
	asking, _ := clientOf(t, wtgram.WithRequests())
	for name, wait := range map[string]wait{
		"messages": receivingMessages(accepted),
		"outcomes": func(ctx context.Context) error { _, err := client.NextOutcome(ctx); return err },
		"values":   receivingValues(values),
		"sessions": func(ctx context.Context) error { _, err := server.Accept(ctx); return err },
		"requests": func(ctx context.Context) error { _, err := asking.NextRequest(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) { blockAll(t, wait) })
	}
	// The next message, outcome, value and session are still received.
	if err := client.SendReported(t.Context(), []byte("message"), 1); err != nil {
		t.Fatal(err)
	}
	must[[]byte](t)(accepted.Receive(within(t, patience)))
	must[wtgram.ReliabilityOutcome](t)(client.NextOutcome(within(t, patience)))
	if err := sender.Send(t.Context(), chat{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	must[any](t)(values.Receive(within(t, patience)))
	dialled := must[*wtgram.Session](t)(wtgram.Dial(within(t, patience), url, wtgram.WithCertificateHash(hash)))
	defer dialled.Close()
	must[*wtgram.Session](t)(server.Accept(within(t, patience))).Close()
}

func TestAThousandReceiversOfOneSessionAllGetTheirs(t *testing.T) {
	client, accepted := pair(t, smallAndWaiting())
	var all sync.WaitGroup
	got := make(chan string, waiting)
	for range waiting {
		all.Add(1)
		go func() {
			defer all.Done()
			data, err := accepted.ReceiveDatagram(within(t, patience))
			if err != nil {
				t.Error(err)
			}
			got <- string(data)
		}()
	}
	time.Sleep(100 * time.Millisecond)
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	// Send more datagrams than there are receivers if needed: on a busy machine a socket's buffer
	// overflows.
	for i := 0; ; i++ {
		if err := client.SendDatagram(fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
		if i < waiting {
			continue
		}
		select {
		case <-done:
		case <-time.After(time.Millisecond):
			continue
		}
		break
	}
	close(got)
	seen := make(map[string]bool)
	for text := range got {
		seen[text] = true
	}
	if len(seen) != waiting {
		t.Fatalf("%d different datagrams", len(seen))
	}
}

func TestAThousandReceiversOfAThousandSessionsHoldNoThreads(t *testing.T) {
	// All of them have one address, and connect as fast as they can.
	limits := wtgram.ServerLimits{MaxSessionsPerAddress: -1, ConnectionsPerSecondPerAddress: -1, MaxHalfOpen: 2 * waiting}
	server, url, hash := listen(t, wtgram.WithAcceptBacklog(2*waiting), wtgram.WithServerLimits(limits))
	clients, accepted := make([]*wtgram.Session, waiting), make([]*wtgram.Session, 0, waiting)
	var dialling sync.WaitGroup
	for i := range clients {
		dialling.Add(1)
		go func() {
			defer dialling.Done()
			client, err := wtgram.Dial(within(t, 5*patience), url, wtgram.WithCertificateHash(hash),
				wtgram.WithTimeout(patience))
			if err != nil {
				t.Error(err)
				return
			}
			clients[i] = client
			t.Cleanup(func() { client.Close() })
		}()
	}
	for range clients {
		session, err := server.Accept(within(t, 5*patience))
		if err != nil {
			t.Fatal(err)
		}
		accepted = append(accepted, session)
		t.Cleanup(func() { session.Close() })
	}
	dialling.Wait()
	if t.Failed() {
		return
	}
	var datagrams, messages, values []wait
	for _, session := range accepted {
		datagrams = append(datagrams, receiving(session))
		messages = append(messages, receivingMessages(must[*wtgram.Reliability](t)(session.Transport().OpenReliability(wtgram.ReliabilityOptions{}))))
		values = append(values, receivingValues(must[*wtgram.Structured](t)(session.OpenStructured(registry(t), wtgram.StructuredOptions{}))))
	}
	t.Run("datagrams", func(t *testing.T) { blockAll(t, datagrams...) })
	t.Run("messages", func(t *testing.T) { blockAll(t, messages...) })
	t.Run("values", func(t *testing.T) { blockAll(t, values...) })
	// Each session still works.
	for _, client := range clients {
		if err := client.SendDatagram([]byte("to you")); err != nil {
			t.Fatal(err)
		}
	}
	for _, session := range accepted {
		if got := receive(t, session); string(got) != "to you" {
			t.Fatalf("%q", got)
		}
	}
}
