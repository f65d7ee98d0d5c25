package wtgram_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
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
	time.Sleep(100 * time.Millisecond) // time to get into the library
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
