package wtgram_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
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

func TestAServerGivesEveryPeerItsCodeAndMessage(t *testing.T) {
	server, url, hash := listen(t)
	var clients []*wtgram.Session
	for range 3 {
		client := must[*wtgram.Session](t)(wtgram.Dial(within(t, patience), url, wtgram.WithCertificateHash(hash)))
		defer client.Close()
		clients = append(clients, client)
	}
	for _, message := range []string{strings.Repeat("x", 1025), "\xff"} {
		if err := server.CloseWithError(1, message); !errors.Is(err, wtgram.ErrInvalidArgument) {
			t.Fatal(err)
		}
	}
	if err := server.CloseWithError(503, "maintenance"); err != nil {
		t.Fatal(err)
	}
	for _, client := range clients {
		_, err := client.ReceiveDatagram(within(t, patience))
		var sessionError *wtgram.SessionError
		if !errors.As(err, &sessionError) || !sessionError.Remote || sessionError.ErrorCode != 503 || sessionError.Message != "maintenance" {
			t.Fatal(err)
		}
	}
}

func TestAServerStopsListeningAndItsSessionsGoOn(t *testing.T) {
	server, url, hash := listen(t)
	dial := func() (*wtgram.Session, error) {
		return wtgram.Dial(within(t, patience), url, wtgram.WithCertificateHash(hash), wtgram.WithTimeout(patience))
	}
	client := must[*wtgram.Session](t)(dial())
	defer client.Close()
	accepted := must[*wtgram.Session](t)(server.Accept(within(t, patience)))
	waiting := must[*wtgram.Session](t)(dial())
	defer waiting.Close()
	for range 2 {
		if err := server.StopListening(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := dial(); !errors.Is(err, wtgram.ErrConnectionRefused) {
		t.Fatal(err)
	}
	must[*wtgram.Session](t)(server.Accept(within(t, patience)))
	if _, err := server.Accept(context.Background()); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if err := client.SendDatagram([]byte("x")); err != nil {
		t.Fatal(err)
	}
	receive(t, accepted)
	server.Close()
	<-client.Context().Done()
	if err := server.StopListening(); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestShutdownAsksThePeersAndWaitsForThem(t *testing.T) {
	server, url, hash := listen(t)
	dial := func() *wtgram.Session {
		return must[*wtgram.Session](t)(wtgram.Dial(within(t, patience), url, wtgram.WithCertificateHash(hash), wtgram.WithTimeout(patience)))
	}
	clients := []*wtgram.Session{dial(), dial()}
	for range clients {
		must[*wtgram.Session](t)(server.Accept(within(t, patience)))
	}
	late := dial()
	defer late.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Shutdown(ended); err != context.Canceled {
		t.Fatal(err)
	}
	for i, client := range clients {
		<-client.Draining()
		if client.Context().Err() != nil {
			t.Fatal(i, "a session that the server waits for has ended")
		}
	}
	accepted := must[*wtgram.Session](t)(server.Accept(within(t, patience)))
	<-late.Draining() // a session that is accepted later is asked, too
	shut := make(chan error)
	go func() { shut <- server.Shutdown(within(t, patience)) }()
	for _, client := range append(clients, late) {
		select {
		case err := <-shut:
			t.Fatal("a session lives", err)
		case <-time.After(20 * time.Millisecond):
		}
		client.Close()
	}
	if err := <-shut; err != nil {
		t.Fatal(err)
	}
	if accepted.Context().Err() == nil {
		t.Fatal("a session lives on")
	}
	if err := server.Shutdown(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestShutdownLeavesSessionsThatWaitToAccept(t *testing.T) {
	server, url, hash := listen(t)
	client := must[*wtgram.Session](t)(wtgram.Dial(within(t, patience), url, wtgram.WithCertificateHash(hash), wtgram.WithTimeout(patience)))
	shut := make(chan error, 1)
	go func() { shut <- server.Shutdown(within(t, patience)) }()
	select {
	case err := <-shut:
		t.Fatal("a session waits to be accepted", err)
	case <-time.After(50 * time.Millisecond):
	}
	accepted := must[*wtgram.Session](t)(server.Accept(within(t, patience)))
	<-client.Draining()
	accepted.Close()
	if err := <-shut; err != nil {
		t.Fatal(err)
	}
}

func TestAServerListensOnASocketThatIsHandedIn(t *testing.T) {
	conn := must[*net.UDPConn](t)(net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))
	address := conn.LocalAddr().String()
	file := must[*os.File](t)(conn.File())
	conn.Close()
	if _, err := wtgram.Listen("127.0.0.1:0", wtgram.WithSocket(file)); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
	server := must[*wtgram.Server](t)(wtgram.Listen("", wtgram.WithSocket(file), wtgram.WithHandshakeTimeout(patience)))
	defer server.Close()
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if server.Addr().String() != address {
		t.Fatal(server.Addr(), address)
	}
	hash := must[wtgram.CertificateHash](t)(server.CertificateHash())
	client := must[*wtgram.Session](t)(wtgram.Dial(within(t, patience), "https://"+address+"/", wtgram.WithCertificateHash(hash)))
	defer client.Close()
	must[*wtgram.Session](t)(server.Accept(within(t, patience)))
	if _, err := wtgram.Listen("", wtgram.WithSocket(file)); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal("a closed file", err)
	}
	pipe, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer other.Close()
	if _, err := wtgram.Listen("", wtgram.WithSocket(pipe)); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
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
