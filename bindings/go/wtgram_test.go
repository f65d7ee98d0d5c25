package wtgram_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/wtgram"
)

// patience is a guard against hanging, not a measure of speed.
const patience = time.Minute

func within(t testing.TB, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func listen(t testing.TB, options ...wtgram.ListenOption) (*wtgram.Server, string, wtgram.CertificateHash) {
	t.Helper()
	options = append([]wtgram.ListenOption{wtgram.WithHandshakeTimeout(patience)}, options...)
	server, err := wtgram.Listen("127.0.0.1:0", options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	hash, err := server.CertificateHash()
	if err != nil {
		t.Fatal(err)
	}
	return server, fmt.Sprintf("https://%s/test", reachable(t, server.Addr())), hash
}

// pair connects a client to a server of its own.
func pair(t testing.TB, options ...wtgram.Option) (client, accepted *wtgram.Session) {
	t.Helper()
	var listenOptions []wtgram.ListenOption
	for _, option := range options {
		listenOptions = append(listenOptions, option)
	}
	server, url, hash := listen(t, listenOptions...)
	dialOptions := []wtgram.DialOption{wtgram.WithCertificateHash(hash), wtgram.WithTimeout(patience)}
	for _, option := range options {
		dialOptions = append(dialOptions, option)
	}
	client, err := wtgram.Dial(within(t, patience), url, dialOptions...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	accepted, err = server.Accept(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return client, accepted
}

func receive(t testing.TB, session *wtgram.Session) []byte {
	t.Helper()
	data, err := session.ReceiveDatagram(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

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

func TestBatchesGoOverWholeAndInOrder(t *testing.T) {
	client, accepted := pair(t)
	var datagrams [][]byte
	for i := range 90 { // more than one crossing
		datagrams = append(datagrams, fmt.Appendf(nil, "datagram %02d", i))
	}
	taken, errs := client.Transport().SendBatch(t.Context(), datagrams, wtgram.SendOptions{})
	if errs != nil || taken != len(datagrams) {
		t.Fatalf("%d accepted: %v", taken, errs)
	}
	var batch wtgram.Batch
	got := []string{string(receive(t, accepted))}
	for len(got) < len(datagrams) {
		count, err := accepted.Transport().ReceiveBatch(within(t, patience), &batch)
		if err != nil || count == 0 || count != batch.Len() {
			t.Fatalf("%d of %d received: %v", len(got), len(datagrams), err)
		}
		for i := range count {
			if age := time.Since(batch.Received(i)); age < -time.Minute {
				t.Fatalf("arrived in the future: %v", age)
			}
			got = append(got, string(batch.At(i)))
		}
	}
	for i, text := range asSent(got) {
		if text != string(datagrams[i]) {
			t.Fatalf("%d is %q", i, text)
		}
	}
}

func TestABatchSendsTheRestOfAFailedOne(t *testing.T) {
	client, accepted := pair(t)
	datagrams := [][]byte{[]byte("a"), make([]byte, 70000), make([]byte, 60000), []byte("d")}
	count, errs := client.Transport().SendBatch(t.Context(), datagrams, wtgram.SendOptions{})
	if count != 2 || errs[0] != nil || !errors.Is(errs[1], wtgram.ErrTooLarge) || !errors.Is(errs[2], wtgram.ErrTooLarge) || errs[3] != nil {
		t.Fatalf("%d accepted: %v", count, errs)
	}
	if got := asSent([]string{string(receive(t, accepted)), string(receive(t, accepted))}); got[0] != "a" || got[1] != "d" {
		t.Fatal(got)
	}
}

func TestTheLargestPassesAndLargerIsRefused(t *testing.T) {
	client, accepted := pair(t)
	limit, err := client.Transport().MaxDatagramSize()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.SendDatagram(make([]byte, limit)); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, accepted); len(got) != limit {
		t.Fatalf("%d came as %d", limit, len(got))
	}
	if err := client.SendDatagram(make([]byte, 70000)); !errors.Is(err, wtgram.ErrTooLarge) {
		t.Fatal(err)
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

func TestAddressesPathAndStats(t *testing.T) {
	server, _, hash := listen(t)
	// Not over a link, which would be between these addresses.
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

func TestDialErrorsSayWhatWasWrong(t *testing.T) {
	_, url, hash := listen(t)
	wrong := hash
	wrong[0] ^= 1
	for _, test := range []struct {
		url     string
		options []wtgram.DialOption
		want    error
	}{
		{"no url", nil, wtgram.ErrInvalidURL},
		{"https://a\x00b/", nil, wtgram.ErrInvalidArgument},
		{url, []wtgram.DialOption{wtgram.WithCertificateHash(wrong)}, wtgram.ErrCertificateHashMismatch},
		{url, nil, wtgram.ErrCertificateUntrusted},
	} {
		session, err := wtgram.Dial(within(t, patience), test.url, test.options...)
		if session != nil || !errors.Is(err, test.want) {
			t.Fatalf("%q: %v instead of %v", test.url, err, test.want)
		}
	}
	session, err := wtgram.Dial(within(t, patience), url, wtgram.WithInsecureSkipVerify(), wtgram.WithHeader("x-test", "1"),
		wtgram.WithKeepAlive(time.Second), wtgram.WithIdleTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	session.Close()
}

// silent is an address that never answers: a bound UDP socket that nobody reads.
func silent(t testing.TB) string {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return fmt.Sprintf("https://%s/", socket.LocalAddr())
}

func TestDialTimesOutAsANetError(t *testing.T) {
	_, err := wtgram.Dial(t.Context(), silent(t), wtgram.WithInsecureSkipVerify(), wtgram.WithTimeout(200*time.Millisecond))
	var netError net.Error
	if !errors.Is(err, wtgram.ErrConnectTimeout) || !errors.As(err, &netError) || !netError.Timeout() {
		t.Fatalf("%#v", err)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestDialReturnsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	_, err := wtgram.Dial(ctx, silent(t), wtgram.WithInsecureSkipVerify(), wtgram.WithTimeout(time.Hour))
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestACancelledDialKeepsNobodyFromDialling(t *testing.T) {
	_, url, hash := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan error)
	for range 32 {
		go func() {
			_, err := wtgram.Dial(ctx, silent(t), wtgram.WithInsecureSkipVerify(), wtgram.WithTimeout(2*patience))
			cancelled <- err
		}()
	}
	time.Sleep(100 * time.Millisecond) // from here into the library
	cancel()
	for range 32 {
		if err := <-cancelled; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	client, err := wtgram.Dial(within(t, patience), url, wtgram.WithCertificateHash(hash))
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
}

func TestWaitsReturnWithTheirContext(t *testing.T) {
	client, _ := pair(t)
	server, _, _ := listen(t)
	for name, wait := range map[string]func(context.Context) error{
		"receive": func(ctx context.Context) error { _, err := client.ReceiveDatagram(ctx); return err },
		"batch": func(ctx context.Context) error {
			_, err := client.Transport().ReceiveBatch(ctx, new(wtgram.Batch))
			return err
		},
		"accept": func(ctx context.Context) error { _, err := server.Accept(ctx); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := wait(ctx)
		cancel()
		var netError net.Error
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &netError) || !netError.Timeout() {
			t.Fatalf("%s: %v", name, err)
		}
		if err := wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%s with an ended context: %v", name, err)
		}
	}
}

func TestServerCloseWakesAcceptAndEndsSessions(t *testing.T) {
	server, url, hash := listen(t)
	client, err := wtgram.Dial(within(t, patience), url, wtgram.WithCertificateHash(hash))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := server.Accept(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		_, err := server.Accept(context.Background())
		failed <- err
	}()
	time.Sleep(50 * time.Millisecond)
	for range 2 {
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	select {
	case <-client.Context().Done():
	case <-time.After(patience):
		t.Fatal("the client's session lives on")
	}
}

func TestListenErrors(t *testing.T) {
	server, _, _ := listen(t)
	for addr, want := range map[string]error{
		"nonsense":             wtgram.ErrInvalidArgument,
		"127.0.0.1:99999":      wtgram.ErrInvalidArgument,
		"not-an-address:0":     wtgram.ErrInvalidArgument,
		server.Addr().String(): wtgram.ErrIO,
	} {
		if _, err := wtgram.Listen(addr); !errors.Is(err, want) {
			t.Fatalf("%s: %v", addr, err)
		}
	}
}

func TestAFullQueueRejectsOrWaits(t *testing.T) {
	data := make([]byte, 1000)
	client, _ := pair(t, wtgram.WithQueues(wtgram.QueueOptions{OutgoingMaxDatagrams: 4, WhenOutgoingFull: wtgram.FullReject}))
	var err error
	for i := 0; i < 2_000_000 && err == nil; i++ {
		err = client.SendDatagram(data)
	}
	if !errors.Is(err, wtgram.ErrQueueFull) {
		t.Fatal(err)
	}
	client, accepted := pair(t, wtgram.WithQueues(wtgram.QueueOptions{OutgoingMaxDatagrams: 4, WhenOutgoingFull: wtgram.FullWait}))
	go func() {
		for {
			if _, err := accepted.ReceiveDatagram(context.Background()); err != nil {
				return
			}
		}
	}()
	for range 20_000 {
		if err := client.Transport().Send(within(t, patience), data, wtgram.SendOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if stats, err := client.Transport().Stats(); err != nil || stats.SendEvicted != 0 || stats.Sent+stats.SendQueued != 20_000 {
		t.Fatalf("%+v %v", stats, err)
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
	// Everything is accounted for: what the queue evicted under load is counted, the rest must come out.
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
