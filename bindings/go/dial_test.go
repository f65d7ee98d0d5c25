package wtgram_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"example.com/wtgram"
)

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

// silent returns an address that never answers: that of a bound UDP socket that is never read.
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

func TestAThousandDialsHoldNoThreads(t *testing.T) {
	_, url, hash := listen(t)
	nobody := silent(t)
	dial := func(ctx context.Context) error {
		_, err := wtgram.Dial(ctx, nobody, wtgram.WithInsecureSkipVerify(), wtgram.WithTimeout(time.Hour))
		return err
	}
	// The package's goroutine and the library's threads run from now on.
	pair(t)
	goroutines := runtime.NumGoroutine()
	blockAll(t, dial)
	eventually(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= goroutines })
	// Those that were cancelled keep nobody from connecting.
	client, err := wtgram.Dial(within(t, patience), url, wtgram.WithCertificateHash(hash))
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
}

func TestTheEndOfItsContextEndsTheAttempt(t *testing.T) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := wtgram.Dial(ctx, fmt.Sprintf("https://%s/", socket.LocalAddr()), wtgram.WithInsecureSkipVerify(),
			wtgram.WithTimeout(time.Hour))
		done <- err
	}()
	packet := make([]byte, 2000)
	if _, _, err := socket.ReadFrom(packet); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	// It says that it leaves, and is silent from then on. Otherwise it would send its first packet again one second
	// and three seconds after the first time.
	count := func(span time.Duration) (packets int) {
		for socket.SetReadDeadline(time.Now().Add(span)); ; packets++ {
			if _, _, err := socket.ReadFrom(packet); errors.Is(err, os.ErrDeadlineExceeded) {
				return packets
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	count(300 * time.Millisecond)
	if packets := count(3 * time.Second); packets > 1 { // on a busy machine, the last one may be late
		t.Fatalf("%d packets after the end", packets)
	}
}

func TestADialErrorSaysWhetherToTryAgain(t *testing.T) {
	_, url, hash := listen(t, wtgram.WithAcceptBacklog(1))
	client, err := wtgram.Dial(within(t, patience), url, wtgram.WithCertificateHash(hash))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, test := range []struct {
		url        string
		options    []wtgram.DialOption
		status     wtgram.Status
		httpStatus int
		retryable  bool
	}{
		{url, []wtgram.DialOption{wtgram.WithCertificateHash(hash)}, wtgram.ErrRejected, 503, true}, // the backlog is full
		{url, nil, wtgram.ErrCertificateUntrusted, 0, false},
		{silent(t), []wtgram.DialOption{wtgram.WithInsecureSkipVerify(), wtgram.WithTimeout(100 * time.Millisecond)},
			wtgram.ErrConnectTimeout, 0, true},
		{"no url", nil, wtgram.ErrInvalidURL, 0, false},
	} {
		_, err := wtgram.Dial(within(t, patience), test.url, test.options...)
		var failure *wtgram.DialError
		var general *wtgram.Error
		if !errors.As(err, &failure) || !errors.As(err, &general) || !errors.Is(err, test.status) {
			t.Fatalf("%s: %v", test.url, err)
		}
		if failure.Status != test.status || failure.HTTPStatus != test.httpStatus || failure.Retryable != test.retryable ||
			failure.RetryAfter != 0 || failure.URL != test.url || failure.Detail == "" || failure.Error() != general.Error() {
			t.Fatalf("%+v", failure)
		}
	}
}
