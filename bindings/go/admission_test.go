package wtgram_test

import (
	"errors"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/wtgram"
)

// client makes connections to one server.
type client struct {
	t    testing.TB
	base string
	hash wtgram.CertificateHash
}

// clientOf opens a server and returns it with a client that trusts it.
func clientOf(t testing.TB, options ...wtgram.ListenOption) (*wtgram.Server, client) {
	t.Helper()
	server, address, hash := listen(t, options...)
	return server, client{t, strings.TrimSuffix(address, "/test"), hash}
}

func (c client) dial(path string, options ...wtgram.DialOption) (*wtgram.Session, error) {
	options = append(options, wtgram.WithCertificateHash(c.hash), wtgram.WithTimeout(patience))
	session, err := wtgram.Dial(within(c.t, patience), c.base+path, options...)
	if err == nil {
		c.t.Cleanup(func() { session.Close() })
	}
	return session, err
}

var httpStatus = regexp.MustCompile(`HTTP status (\d+)`)

// status returns the HTTP status with which the server refuses; 200 if it does not.
func (c client) status(path string, options ...wtgram.DialOption) int {
	c.t.Helper()
	_, err := c.dial(path, options...)
	if err == nil {
		return http.StatusOK
	}
	found := httpStatus.FindStringSubmatch(err.Error())
	if !errors.Is(err, wtgram.ErrRejected) || found == nil {
		c.t.Errorf("%s: %v", path, err)
		return 0
	}
	return must[int](c.t)(strconv.Atoi(found[1]))
}

// start dials in a goroutine, because the dial waits for the answer to its request.
func (c client) start(path string, options ...wtgram.DialOption) <-chan dialled {
	done := make(chan dialled, 1)
	go func() {
		session, err := c.dial(path, options...)
		done <- dialled{session, err}
	}()
	return done
}

type dialled struct {
	session *wtgram.Session
	err     error
}

func origin(value string) wtgram.DialOption { return wtgram.WithHeader("Origin", value) }

func TestRulesDecideAndAreCounted(t *testing.T) {
	server, byDefault := clientOf(t)
	for value, want := range map[string]int{"https://127.0.0.1:8443": 200, "https://evil.example": 403, "http://localhost": 403} {
		if got := byDefault.status("/", origin(value)); got != want {
			t.Errorf("%s: %d", value, got)
		}
	}
	if stats := must[wtgram.ServerStats](t)(server.Stats()); stats.RefusedOrigin != 2 || stats.Established != 1 {
		t.Errorf("%+v", stats)
	}
	server, rules := clientOf(t, wtgram.WithAllowedOrigins("https://a.example", "https://b.example"),
		wtgram.WithAllowedPaths("/chat", "/rooms/*"), wtgram.WithAllowedAuthorities("127.0.0.1"))
	for _, one := range []struct {
		path, origin string
		want         int
	}{
		{"/chat?name=a", "https://b.example", 200}, {"/rooms/7", "https://a.example", 200},
		{"/chat", "https://127.0.0.1", 403}, {"/", "https://a.example", 404},
	} {
		if got := rules.status(one.path, origin(one.origin)); got != one.want {
			t.Errorf("%v: %d", one, got)
		}
	}
	if stats := must[wtgram.ServerStats](t)(server.Stats()); stats.RefusedOrigin != 1 || stats.RefusedPath != 1 {
		t.Errorf("%+v", stats)
	}
	server, elsewhere := clientOf(t, wtgram.WithAllowedAuthorities("other.example"))
	if got := elsewhere.status("/"); got != 421 {
		t.Error(got)
	}
	if stats := must[wtgram.ServerStats](t)(server.Stats()); stats.RefusedAuthority != 1 {
		t.Errorf("%+v", stats)
	}
	_, all := clientOf(t, wtgram.WithAllowedOrigins("*"))
	if got := all.status("/", origin("https://evil.example")); got != 200 {
		t.Error(got)
	}
}

func TestRulesThatMeanNothingAreRefused(t *testing.T) {
	for _, option := range []wtgram.ListenOption{
		wtgram.WithAllowedOrigins("a.example"), wtgram.WithAllowedOrigins(""), wtgram.WithAllowedAuthorities("https://a"),
		wtgram.WithAllowedPaths("chat"), wtgram.WithAllowedPaths("/a\x00b"), wtgram.WithSubprotocols("a", "a"),
		wtgram.WithServerLimits(wtgram.ServerLimits{MaxHalfOpen: -1}),
	} {
		if _, err := wtgram.Listen("127.0.0.1:0", option); !errors.Is(err, wtgram.ErrInvalidArgument) {
			t.Error(err)
		}
	}
	if _, err := wtgram.Listen("127.0.0.1:0", wtgram.WithAllowedOrigins("a.example")); !strings.Contains(err.Error(), "a.example") {
		t.Error(err)
	}
}

func TestBothEndsKnowTheRequestAndTheSubprotocol(t *testing.T) {
	server, client := clientOf(t, wtgram.WithSubprotocols("v2", "v1"))
	one := must[*wtgram.Session](t)(client.dial("/room?id=7", origin("https://127.0.0.1"), wtgram.WithHeader("x-a", "1"),
		wtgram.WithHeader("x-a", "a: b"), wtgram.WithSubprotocols("v1", "v2")))
	other := must[*wtgram.Session](t)(server.Accept(within(t, patience)))
	for _, end := range []*wtgram.Session{one, other} {
		for _, getter := range []struct {
			get  func() (string, error)
			want string
		}{
			{end.Path, "/room?id=7"}, {end.Authority, strings.TrimPrefix(client.base, "https://")},
			{end.Origin, "https://127.0.0.1"}, {end.Subprotocol, "v2"},
		} {
			if got := must[string](t)(getter.get()); got != getter.want {
				t.Errorf("%q instead of %q", got, getter.want)
			}
		}
	}
	if header := must[http.Header](t)(other.Header()); !reflect.DeepEqual(header["X-A"], []string{"1", "a: b"}) {
		t.Error(header)
	}
	if header := must[http.Header](t)(one.Header()); header.Get("WT-Protocol") != `"v2"` {
		t.Error(header)
	}
	if _, err := client.dial("/", wtgram.WithSubprotocols("grün")); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Error(err)
	}
}

func TestLimitsHoldAndAreCounted(t *testing.T) {
	server, client := clientOf(t, wtgram.WithMaxSessions(2), wtgram.WithServerLimits(wtgram.ServerLimits{
		MaxSessionsPerAddress: 1, ConnectionsPerSecondPerAddress: -1, MaxHalfOpen: 10, RetryAboveHalfOpen: -1,
		MaxHeaderBytes: 1000, MaxHeaderFields: 2, MaxPathBytes: 10, DatagramsPerSecond: 1, BytesPerSecond: 1000,
		AcceptTimeout: -1, MaxMemoryBytes: 1 << 20}))
	// Without a simulated link, behind which all clients have one address.
	client.base = "https://" + server.Addr().String()
	stats := func() wtgram.ServerStats { return must[wtgram.ServerStats](t)(server.Stats()) }
	gone := func() { eventually(t, "the rejected one stays", func() bool { return stats().Connections == 0 }) }
	if got := client.status("/0123456789"); got != 414 {
		t.Error(got)
	}
	gone()
	x := wtgram.WithHeader("x", "1")
	if got := client.status("/", x, x, x); got != 431 {
		t.Error(got)
	}
	gone()
	must[*wtgram.Session](t)(client.dial("/", wtgram.WithBindHost("127.0.0.1")))
	for _, one := range []struct {
		host string
		want error
	}{{"127.0.0.1", wtgram.ErrConnectionRefused}, {"127.0.0.2", nil}, {"127.0.0.3", wtgram.ErrConnectionRefused}} {
		if _, err := client.dial("/", wtgram.WithBindHost(one.host)); !errors.Is(err, one.want) {
			t.Errorf("%s: %v", one.host, err)
		}
	}
	got := stats()
	if got.RefusedPathLength != 1 || got.RefusedHeaders != 1 || got.RefusedAddress != 1 || got.RefusedSessions != 1 ||
		got.Retries != 4 || got.Established != 2 || got.Connections != 2 || got.MemoryBytes != 2*40*1024 {
		t.Errorf("%+v", got)
	}
	if got.HandshakeTime < got.LongestHandshake || got.LongestHandshake <= 0 || got.LongestHandshake > patience {
		t.Errorf("%+v", got)
	}
	text := must[string](t)(server.Prometheus())
	line := "wtgram_server_refused_total{server=\"" + server.Addr().String() + "\",reason=\"path_length\"} 1\n"
	if !strings.Contains(text, line) {
		t.Errorf("%s is not in\n%s", line, text)
	}
	server.Close()
	if _, err := server.Stats(); err != wtgram.ErrClosed {
		t.Error(err)
	}
	if _, err := server.Prometheus(); err != wtgram.ErrClosed {
		t.Error(err)
	}
}

func TestASessionThatNobodyAcceptsEnds(t *testing.T) {
	server, client := clientOf(t, wtgram.WithServerLimits(wtgram.ServerLimits{AcceptTimeout: 100 * time.Millisecond}))
	session := must[*wtgram.Session](t)(client.dial("/"))
	select {
	case <-session.Context().Done():
	case <-time.After(patience):
		t.Fatal("it lives on")
	}
	if stats := must[wtgram.ServerStats](t)(server.Stats()); stats.NotAccepted != 1 {
		t.Errorf("%+v", stats)
	}
}
