package wtgram_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/wtgram"
)

func TestDatagramsGoBothWays(t *testing.T) {
	client, accepted := pair(t)
	for _, size := range []int{0, 1, 100, 1100} {
		data := bytes.Repeat([]byte{byte(size)}, size)
		if err := client.SendDatagram(data); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, accepted); !bytes.Equal(got, data) {
			t.Fatalf("%d bytes came as %d", size, len(got))
		}
		if err := accepted.Transport().Send(t.Context(), data, wtgram.SendOptions{Priority: 2, TTL: time.Minute}); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, client); !bytes.Equal(got, data) {
			t.Fatalf("%d bytes came back as %d", size, len(got))
		}
	}
	stats, err := client.Transport().Stats()
	if err != nil {
		t.Fatal(err)
	}
	if stats.Sent != 4 || stats.Delivered != 4 || stats.HandedIn != 4 {
		t.Fatalf("%+v", stats)
	}
}

func TestCodeAndMessageReachThePeer(t *testing.T) {
	client, accepted := pair(t)
	if err := accepted.SendDatagram([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	if data := receive(t, client); string(data) != "last words" {
		t.Fatalf("%q", data)
	}
	if err := accepted.CloseWithError(4711, "enough"); err != nil {
		t.Fatal(err)
	}
	_, err := client.ReceiveDatagram(within(t, patience))
	var sessionError *wtgram.SessionError
	if !errors.As(err, &sessionError) || !sessionError.Remote || sessionError.ErrorCode != 4711 || sessionError.Message != "enough" {
		t.Fatalf("%#v", err)
	}
	if !errors.Is(err, wtgram.ErrClosed) || !errors.Is(err, net.ErrClosed) {
		t.Fatalf("%v is not closed", err)
	}
	select {
	case <-client.Context().Done():
	case <-time.After(patience):
		t.Fatal("the session's context lives on")
	}
	if !errors.As(context.Cause(client.Context()), &sessionError) || sessionError.ErrorCode != 4711 {
		t.Fatal(context.Cause(client.Context()))
	}
	<-accepted.Context().Done()
	if !errors.As(context.Cause(accepted.Context()), &sessionError) || sessionError.Remote || sessionError.ErrorCode != 4711 {
		t.Fatalf("%#v", context.Cause(accepted.Context()))
	}
	if err := client.SendDatagram([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestWhatArrivedIsReceivedAfterThePeersClose(t *testing.T) {
	client, accepted := pair(t)
	for _, text := range []string{"1", "2"} {
		if err := client.SendDatagram([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		stats, err := accepted.Transport().Stats()
		if err != nil || time.Now().After(deadline) {
			t.Fatal(stats, err)
		}
		if stats.ReceiveQueued == 2 {
			break
		}
	}
	client.CloseWithError(1, "")
	<-accepted.Context().Done()
	if got := asSent([]string{string(receive(t, accepted)), string(receive(t, accepted))}); got[0] != "1" || got[1] != "2" {
		t.Fatal(got)
	}
	if _, err := accepted.ReceiveDatagram(within(t, patience)); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestThePeerIsAskedToEndSoonAndTheSessionGoesOn(t *testing.T) {
	client, accepted := pair(t)
	for range 2 {
		if err := accepted.Drain(); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-client.Draining():
	case <-time.After(patience):
		t.Fatal("the client does not hear of it")
	}
	if client.State() != wtgram.SessionDraining || accepted.State() != wtgram.SessionConnected {
		t.Fatal(client.State(), accepted.State())
	}
	select {
	case <-accepted.Draining():
		t.Fatal("nobody asked the server")
	case <-client.Context().Done():
		t.Fatal("the session has ended")
	default:
	}
	if err := client.SendDatagram([]byte("x")); err != nil {
		t.Fatal(err)
	}
	receive(t, accepted)
	client.CloseWithError(3, "")
	<-accepted.Context().Done()
	<-accepted.Draining() // so that nobody waits for ever
	var sessionError *wtgram.SessionError
	if err := accepted.Drain(); !errors.As(err, &sessionError) || sessionError.ErrorCode != 3 {
		t.Fatal(err)
	}
}

func TestWhatIsQueuedLeavesBeforeTheClose(t *testing.T) {
	server, _, hash := listen(t)
	// Without a simulated link, on which the close could overtake datagrams.
	client := must[*wtgram.Session](t)(wtgram.Dial(within(t, patience), fmt.Sprintf("https://%s/test", server.Addr()),
		wtgram.WithCertificateHash(hash), wtgram.WithQueues(wtgram.QueueOptions{OutgoingMaxDatagrams: 1000})))
	accepted := must[*wtgram.Session](t)(server.Accept(within(t, patience)))
	defer accepted.Close()
	for i := range 300 {
		if err := client.SendDatagram(fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.DrainAndClose(within(t, patience), 17, "all sent"); err != nil {
		t.Fatal(err)
	}
	var sessionError *wtgram.SessionError
	<-accepted.Context().Done()
	if !errors.As(context.Cause(accepted.Context()), &sessionError) || sessionError.ErrorCode != 17 || sessionError.Message != "all sent" {
		t.Fatal(context.Cause(accepted.Context()))
	}
	for i := range 300 {
		if _, err := accepted.ReceiveDatagram(within(t, patience)); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := client.DrainAndClose(t.Context(), 1, ""); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestAContextEndsTheWaitForWhatIsQueued(t *testing.T) {
	client, accepted := pair(t)
	if err := client.DrainAndClose(t.Context(), 1, "\xff"); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	// With nothing queued, either may be first.
	if err := client.DrainAndClose(ended, 18, "given up"); err != nil && err != context.Canceled {
		t.Fatal(err)
	}
	var sessionError *wtgram.SessionError
	<-accepted.Context().Done()
	if !errors.As(context.Cause(accepted.Context()), &sessionError) || sessionError.ErrorCode != 18 {
		t.Fatal(context.Cause(accepted.Context()))
	}
}

func TestCloseTwiceAndBadCloses(t *testing.T) {
	client, _ := pair(t)
	for _, message := range []string{strings.Repeat("x", 1025), "\xff"} {
		if err := client.CloseWithError(1, message); !errors.Is(err, wtgram.ErrInvalidArgument) {
			t.Fatal(err)
		}
	}
	if client.Context().Err() != nil {
		t.Fatal("a refused close closed the session")
	}
	for range 2 {
		if err := client.CloseWithError(1, "bye"); err != nil {
			t.Fatal(err)
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
	}
	<-client.Context().Done()
	if _, err := client.ReceiveDatagram(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if _, err := client.Stats(); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestAForgottenSessionIsClosed(t *testing.T) {
	server, url, hash := listen(t)
	func() {
		if _, err := wtgram.Dial(within(t, patience), url, wtgram.WithCertificateHash(hash)); err != nil {
			t.Fatal(err)
		}
	}()
	accepted, err := server.Accept(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); accepted.Context().Err() == nil; time.Sleep(10 * time.Millisecond) {
		runtime.GC()
		if time.Now().After(deadline) {
			t.Fatal("nobody has the session, and it lives on")
		}
	}
}

func TestManyReceiversAndSendersLoseNothing(t *testing.T) {
	client, accepted := pair(t)
	const senders, each = 8, 500
	var lock sync.Mutex
	seen := make(map[string]bool)
	var receivers, sending sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range 16 {
		receivers.Add(1)
		go func() {
			defer receivers.Done()
			for {
				data, err := accepted.ReceiveDatagram(ctx)
				if err != nil {
					return
				}
				lock.Lock()
				if seen[string(data)] {
					t.Errorf("%q came twice", data)
				}
				seen[string(data)] = true
				lock.Unlock()
			}
		}()
	}
	for sender := range senders {
		sending.Add(1)
		go func() {
			defer sending.Done()
			for i := range each {
				if err := client.SendDatagram(fmt.Appendf(nil, "%d/%d", sender, i)); err != nil {
					t.Error(err)
				}
				if i%20 == 0 {
					time.Sleep(time.Millisecond) // the default queue keeps a hundred
				}
			}
		}()
	}
	sending.Wait()
	// All datagrams are accounted for: those evicted under load are counted, the others must
	// arrive.
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		out, err := client.Transport().Stats()
		in, err2 := accepted.Transport().Stats()
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		lock.Lock()
		got := len(seen)
		lock.Unlock()
		lost := int(out.SendEvicted + out.SentDroppedByQUIC + in.ReceiveDroppedFull + in.ReceiveDroppedByQUIC)
		if got+lost == senders*each && got > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d received, %d counted as lost", got, senders*each, lost)
		}
	}
	cancel()
	receivers.Wait()
}

func TestASessionSaysWhereItIsInItsLife(t *testing.T) {
	client, accepted := pair(t)
	if client.State() != wtgram.SessionConnected || must[uint64](t)(client.ID()) != must[uint64](t)(accepted.ID()) {
		t.Fatal(client.State())
	}
	client.Close()
	<-accepted.Context().Done()
	if client.State() != wtgram.SessionClosed || accepted.State() != wtgram.SessionClosed {
		t.Fatal(client.State(), accepted.State())
	}
}

func TestAddressesPathAndStats(t *testing.T) {
	server, _, hash := listen(t)
	// Without a simulated link, which would change these addresses.
	client := must[*wtgram.Session](t)(wtgram.Dial(within(t, patience), fmt.Sprintf("https://%s/test", server.Addr()),
		wtgram.WithCertificateHash(hash)))
	defer client.Close()
	accepted := must[*wtgram.Session](t)(server.Accept(within(t, patience)))
	defer accepted.Close()
	if client.RemoteAddr().String() != accepted.LocalAddr().String() {
		t.Fatalf("%v, %v", client.RemoteAddr(), accepted.LocalAddr())
	}
	if client.LocalAddr().(*net.UDPAddr).Port != accepted.RemoteAddr().(*net.UDPAddr).Port {
		t.Fatalf("%v, %v", client.LocalAddr(), accepted.RemoteAddr())
	}
	if path, err := accepted.Path(); err != nil || path != "/test" {
		t.Fatal(path, err)
	}
	if stats, err := client.Stats(); err != nil || stats.RTT <= 0 {
		t.Fatal(stats, err)
	}
}
