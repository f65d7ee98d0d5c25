package wtgram_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"example.com/wtgram"
)

// ask dials, and returns the request that arrives at the server.
func ask(t testing.TB, server *wtgram.Server, client client, path string, options ...wtgram.DialOption) (<-chan dialled, *wtgram.Request) {
	t.Helper()
	connecting := client.start(path, options...)
	return connecting, must[*wtgram.Request](t)(server.NextRequest(within(t, patience)))
}

// over fails the test if the request does not end.
func over(t testing.TB, request *wtgram.Request) {
	t.Helper()
	select {
	case <-request.Context().Done():
		if cause := context.Cause(request.Context()); !errors.Is(cause, net.ErrClosed) {
			t.Fatal(cause)
		}
	case <-time.After(patience):
		t.Fatal("the request is not over")
	}
}

func rejected(t testing.TB, connecting <-chan dialled, status string) {
	t.Helper()
	if err := (<-connecting).err; !errors.Is(err, wtgram.ErrRejected) || !strings.Contains(err.Error(), status) {
		t.Fatalf("%v instead of %s", err, status)
	}
}

func TestTheProgramSeesARequestAndAcceptsIt(t *testing.T) {
	server, client := clientOf(t, wtgram.WithRequests())
	if _, err := server.Accept(t.Context()); err != wtgram.ErrInvalidState {
		t.Fatal(err)
	}
	connecting, request := ask(t, server, client, "/room?id=7&id=8", origin("https://evil.example"),
		wtgram.WithHeader("x-token", "secret"), wtgram.WithHeader("X-Token", ""), wtgram.WithSubprotocols("a", "b"))
	host, _, err := net.SplitHostPort(request.RemoteAddr().String())
	if request.Path() != "/room?id=7&id=8" || request.Query() != "id=7&id=8" || request.Origin() != "https://evil.example" ||
		request.Authority() != strings.TrimPrefix(client.base, "https://") || host != "127.0.0.1" || err != nil ||
		!reflect.DeepEqual(request.Header()["X-Token"], []string{"secret", ""}) ||
		!reflect.DeepEqual(request.Subprotocols(), []string{"a", "b"}) || request.Refusal() != 403 {
		t.Fatalf("%+v", request)
	}
	for _, answer := range []func() error{
		func() error { _, err := request.Accept(nil, "c"); return err },
		func() error { _, err := request.Accept(nil, "a\x00"); return err },
		func() error { _, err := request.Accept(http.Header{"Connection": {"close"}}, ""); return err },
		func() error { _, err := request.Accept(http.Header{"X": {"a\x00b"}}, ""); return err },
		func() error { return request.Reject(200, nil) },
		func() error { return request.Reject(404, http.Header{"no name": {""}}) },
	} {
		if err := answer(); !errors.Is(err, wtgram.ErrInvalidArgument) {
			t.Fatal(err)
		}
	}
	if err := request.Context().Err(); err != nil {
		t.Fatal("it still waits", err)
	}
	accepted := must[*wtgram.Session](t)(request.Accept(http.Header{"X-Answer": {"yes", "indeed"}}, "b"))
	defer accepted.Close()
	over(t, request)
	one := <-connecting
	if one.err != nil {
		t.Fatal(one.err)
	}
	header := must[http.Header](t)(one.session.Header())
	if got := must[string](t)(one.session.Subprotocol()); got != "b" || !reflect.DeepEqual(header["X-Answer"], []string{"yes", "indeed"}) {
		t.Fatal(got, header)
	}
	if err := one.session.SendDatagram([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, accepted); string(got) != "hello" {
		t.Fatalf("%q", got)
	}
	if _, err := request.Accept(nil, ""); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if err := request.Reject(404, nil); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if stats := must[wtgram.ServerStats](t)(server.Stats()); stats.Established != 1 || stats.Rejected != 0 {
		t.Fatalf("%+v", stats)
	}
}

func TestTheProgramRejectsARequestOrForgetsIt(t *testing.T) {
	server, client := clientOf(t, wtgram.WithRequests())
	connecting, request := ask(t, server, client, "/")
	if err := request.Reject(http.StatusTooManyRequests, http.Header{"Retry-After": {"3"}}); err != nil {
		t.Fatal(err)
	}
	rejected(t, connecting, "429")
	over(t, request)
	connecting = client.start("/")
	must[*wtgram.Request](t)(server.NextRequest(within(t, patience)))
	collected := time.NewTicker(10 * time.Millisecond)
	defer collected.Stop()
	for waits := true; waits; {
		select {
		case <-collected.C:
			runtime.GC()
		case one := <-connecting:
			if !errors.Is(one.err, wtgram.ErrRejected) || !strings.Contains(one.err.Error(), "503") {
				t.Fatal(one.err)
			}
			waits = false
		}
	}
	if stats := must[wtgram.ServerStats](t)(server.Stats()); stats.Rejected != 2 {
		t.Fatalf("%+v", stats)
	}
}

func TestARequestEndsWithItsClientAndWithItsServer(t *testing.T) {
	server, client := clientOf(t, wtgram.WithRequests(), wtgram.WithHandshakeTimeout(3*time.Second))
	connecting, request := ask(t, server, client, "/")
	over(t, request) // it was not answered in time
	if err := (<-connecting).err; err == nil {
		t.Fatal("a session without an answer")
	}
	if _, err := request.Accept(nil, ""); err != wtgram.ErrClosed {
		t.Fatal(err)
	}
	if stats := must[wtgram.ServerStats](t)(server.Stats()); stats.FailedTimedOut != 1 || stats.Rejected != 0 {
		t.Fatalf("%+v", stats)
	}
	server, client = clientOf(t, wtgram.WithRequests())
	connecting, request = ask(t, server, client, "/")
	failed := make(chan error)
	go func() {
		_, err := server.NextRequest(context.Background())
		failed <- err
	}()
	time.Sleep(50 * time.Millisecond)
	server.Close()
	over(t, request)
	if err := <-failed; err != wtgram.ErrClosed {
		t.Fatal(err)
	}
	if err := (<-connecting).err; err == nil {
		t.Fatal("a session of a closed server")
	}
	if err := request.Reject(404, nil); err != wtgram.ErrClosed {
		t.Fatal(err)
	}
	rules, _ := clientOf(t)
	if _, err := rules.NextRequest(t.Context()); err != wtgram.ErrInvalidState {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	server, _ = clientOf(t, wtgram.WithRequests())
	if _, err := server.NextRequest(ctx); err != context.DeadlineExceeded {
		t.Fatal(err)
	}
}
