package wtgram_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/wtgram"
)

// serve opens a server whose requests the handler answers.
func serve(t testing.TB, handler http.Handler, options ...wtgram.ListenOption) (*wtgram.Server, client) {
	t.Helper()
	server, client := clientOf(t, append(options, wtgram.WithRequests())...)
	done := make(chan error)
	go func() { done <- server.Serve(context.Background(), handler) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; err != wtgram.ErrClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	return server, client
}

// echo upgrades, and sends back what arrives until the session ends.
func echo(w http.ResponseWriter, r *http.Request) {
	session, err := wtgram.Upgrade(w, r)
	if err != nil {
		return
	}
	for {
		data, err := session.ReceiveDatagram(r.Context())
		if err != nil {
			return
		}
		_ = session.SendDatagram(append([]byte(r.PathValue("room")+" "), data...))
	}
}

func TestAMuxRoutesRequestsByItsPatterns(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("CONNECT /rooms/{room}", echo)
	mux.HandleFunc("GET /page", echo)
	mux.HandleFunc("/forbidden", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "go away", http.StatusForbidden) })
	mux.HandleFunc("/tree/", echo)
	mux.HandleFunc("/nothing", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/page-without-session", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello") })
	mux.HandleFunc("/odd", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "7")
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusConflict)
	})
	mux.HandleFunc("/bad-field", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["no name"] = []string{"x"}
		w.WriteHeader(http.StatusTeapot)
	})
	server, client := serve(t, mux)
	for path, want := range map[string]int{"/": 404, "/page": 405, "/forbidden": 403, "/nothing": 404,
		"/page-without-session": 404, "/odd": 418, "/bad-field": 500, "/%zz": 400} {
		if got := client.status(path); got != want {
			t.Errorf("%s: %d instead of %d", path, got, want)
		}
	}
	if got := client.status("/tree"); got/100 != 3 {
		t.Errorf("%d is no redirection", got)
	}
	session := must[*wtgram.Session](t)(client.dial("/rooms/green%20one?x=1"))
	if err := session.SendDatagram([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, session); string(got) != "green one hello" {
		t.Fatalf("%q", got)
	}
	if stats := must[wtgram.ServerStats](t)(server.Stats()); stats.Established != 1 || stats.Rejected != 9 {
		t.Errorf("%+v", stats)
	}
}

func TestAHandlerGetsARealRequest(t *testing.T) {
	seen := make(chan *http.Request, 1)
	_, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		w.WriteHeader(http.StatusNotFound)
		w.WriteHeader(http.StatusForbidden)
	}))
	if got := client.status("/a/b?c=d", origin("https://a.example"), wtgram.WithHeader("cookie", "e=f"),
		wtgram.WithSubprotocols("v1")); got != 404 {
		t.Fatal(got)
	}
	r := <-seen
	cookie := must[*http.Cookie](t)(r.Cookie("e"))
	if r.Method != http.MethodConnect || r.URL.Path != "/a/b" || r.URL.Query().Get("c") != "d" || r.RequestURI != "/a/b?c=d" ||
		r.Host != strings.TrimPrefix(client.base, "https://") || !strings.HasPrefix(r.RemoteAddr, "127.0.0.1:") ||
		r.Header.Get("Origin") != "https://a.example" || cookie.Value != "f" || !r.ProtoAtLeast(3, 0) || r.TLS == nil ||
		!reflect.DeepEqual(wtgram.Subprotocols(r), []string{"v1"}) {
		t.Fatalf("%+v", r)
	}
	if _, err := http.NewRequest(r.Method, r.RequestURI, r.Body); err != nil {
		t.Fatal(err)
	}
}

// recorder is middleware that notes the status, as those that log do.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

type userKey struct{}

func TestUpgradeWorksInMiddleware(t *testing.T) {
	sessions, statuses := make(chan *wtgram.Session, 1), make(chan int, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-User", r.Context().Value(userKey{}).(string))
		if session, err := wtgram.Upgrade(w, r, "v3", "v2", "v1"); err == nil {
			sessions <- session
		}
	})
	_, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, ok := r.BasicAuth()
		if !ok {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		recorded := &recorder{w, 0}
		handler.ServeHTTP(recorded, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
		statuses <- recorded.status
	}))
	if got := client.status("/"); got != 401 {
		t.Fatal(got)
	}
	auth := wtgram.WithHeader("Authorization", "Basic YW5uYTpzZWNyZXQ=")
	session := must[*wtgram.Session](t)(client.dial("/", auth, wtgram.WithSubprotocols("v1", "v2")))
	if got := must[string](t)(session.Subprotocol()); got != "v2" {
		t.Error(got)
	}
	if header := must[http.Header](t)(session.Header()); header.Get("X-User") != "anna" {
		t.Error(header)
	}
	if status := <-statuses; status != 200 {
		t.Error(status)
	}
	accepted := <-sessions // it lives on when the handler has returned
	if err := accepted.SendDatagram([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	receive(t, session)
	if got := client.status("/", auth, origin("https://evil.example")); got != 403 {
		t.Error("a page of another host got", got)
	}
	if status := <-statuses; status != 403 {
		t.Error(status)
	}
}

func TestUpgradeAnswersWhenItFails(t *testing.T) {
	errs := make(chan error, 3)
	upgrade := func(w http.ResponseWriter, r *http.Request) error {
		session, err := wtgram.Upgrade(w, r)
		if session != nil && err != nil {
			t.Error("a session and an error", err)
		}
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/bad", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X", "a\nb")
		errs <- upgrade(w, r)
	})
	mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusGone)
		errs <- upgrade(w, r)
	})
	mux.HandleFunc("/twice", func(w http.ResponseWriter, r *http.Request) {
		if err := upgrade(w, r); err != nil {
			t.Error(err)
		}
		errs <- upgrade(w, r)
	})
	mux.HandleFunc("/panic", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { errs <- upgrade(w, r) })
	_, client := serve(t, mux, wtgram.WithAllowedOrigins("https://a.example"))
	for _, one := range []struct {
		path, origin string
		status       int
		err          error
	}{
		{"/bad", "https://a.example", 500, wtgram.ErrInvalidArgument}, {"/late", "https://a.example", 410, wtgram.ErrInvalidState},
		{"/twice", "https://a.example", 200, wtgram.ErrInvalidState}, {"/", "https://b.example", 403, wtgram.ErrRejected},
		{"/", "https://a.example", 200, nil},
	} {
		if got := client.status(one.path, origin(one.origin)); got != one.status {
			t.Errorf("%s: %d", one.path, got)
		}
		if err := <-errs; !errors.Is(err, one.err) {
			t.Errorf("%s: %v", one.path, err)
		}
	}
	if got := client.status("/panic"); got != 500 {
		t.Error(got)
	}
	other := httptest.NewRecorder() // of net/http's own server
	if err := upgrade(other, httptest.NewRequest(http.MethodGet, "/", nil)); !errors.Is(err, wtgram.ErrInvalidState) || other.Code != 400 {
		t.Error(err, other.Code)
	}
	if wtgram.Subprotocols(httptest.NewRequest(http.MethodGet, "/", nil)) != nil {
		t.Error("subprotocols of another request")
	}
}

func TestTheContextOfAHandlerEndsWithItsRequestOrSession(t *testing.T) {
	ends := make(chan context.Context, 1)
	entered := make(chan struct{}, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/waits", func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done() // the client is gone, or the server stops
		ends <- r.Context()
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		echo(w, r)
		ends <- r.Context()
	})
	mux.HandleFunc("/rejects", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		time.Sleep(50 * time.Millisecond)
		if err := r.Context().Err(); err != nil {
			t.Error("the handler's own answer ends its context", err)
		}
		ends <- r.Context()
	})
	ended := func() {
		t.Helper()
		select {
		case ctx := <-ends:
			<-ctx.Done() // at the latest when the handler returns
		case <-time.After(patience):
			t.Fatal("the handler goes on")
		}
	}
	server, client := serve(t, mux, wtgram.WithHandshakeTimeout(3*time.Second))
	connecting := client.start("/waits")
	<-entered
	ended()
	if err := (<-connecting).err; err == nil {
		t.Fatal("a session without an answer")
	}
	session := must[*wtgram.Session](t)(client.dial("/echo"))
	if err := session.SendDatagram([]byte("x")); err != nil {
		t.Fatal(err)
	}
	receive(t, session)
	session.Close()
	ended()
	if got := client.status("/rejects"); got != 403 {
		t.Fatal(got)
	}
	ended()

	ctx, cancel := context.WithCancel(t.Context())
	server, client = clientOf(t, wtgram.WithRequests())
	served := make(chan error)
	go func() { served <- server.Serve(ctx, mux) }()
	connecting = client.start("/waits")
	<-entered
	cancel()
	ended()
	if err := <-served; err != context.Canceled {
		t.Fatal(err)
	}
	rejected(t, connecting, "503")
	rules, _ := clientOf(t)
	if err := rules.Serve(t.Context(), nil); err != wtgram.ErrInvalidState {
		t.Fatal(err)
	}
}

var registerEcho = sync.OnceFunc(func() { http.HandleFunc("/wtgram-default", echo) })

func TestWithoutAHandlerTheDefaultMuxAnswers(t *testing.T) {
	registerEcho()
	_, client := serve(t, nil)
	must[*wtgram.Session](t)(client.dial("/wtgram-default"))
	if got := client.status("/other"); got != 404 {
		t.Fatal(got)
	}
}

func TestShutdownWaitsForRequestsAndHandlers(t *testing.T) {
	asked, decide := make(chan struct{}), make(chan struct{})
	server, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-decide
		echo(w, r)
	}))
	dialled := make(chan *wtgram.Session)
	go func() { dialled <- must[*wtgram.Session](t)(client.dial("/")) }()
	<-asked
	shut := make(chan error, 1)
	go func() { shut <- server.Shutdown(within(t, patience)) }()
	waits := func(what string) {
		select {
		case err := <-shut:
			t.Fatal(what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	waits("a handler decides")
	close(decide)
	session := <-dialled
	<-session.Draining()
	waits("a session lives")
	session.Close()
	if err := <-shut; err != nil {
		t.Fatal(err)
	}
}
