package wtgram_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"example.com/wtgram"
)

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
