package wtgram_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/wtgram"
)

// lanes are the library's threads that run the protocol.
func lanes(t *testing.T) (count int) {
	for _, file := range must[[]string](t)(filepath.Glob("/proc/self/task/*/comm")) {
		name, err := os.ReadFile(file)
		if err == nil && strings.HasPrefix(string(name), "wtgram-") && strings.Trim(string(name), "wtgram-0123456789\n") == "" {
			count++
		}
	}
	return count
}

// The runtime is configured once, before anything else: in a process of its own.
func TestTheRuntimeHasAsManyLanesAsAskedFor(t *testing.T) {
	if os.Getenv("WTGRAM_TEST_LANES") == "" {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		child.Env = append(os.Environ(), "WTGRAM_TEST_LANES=1")
		if output, err := child.CombinedOutput(); err != nil || !bytes.Contains(output, []byte("--- PASS: "+t.Name())) {
			t.Fatalf("%v\n%s", err, output)
		}
		return
	}
	if err := wtgram.ConfigureRuntime(wtgram.RuntimeOptions{Lanes: 1000}); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
	if err := wtgram.ConfigureRuntime(wtgram.RuntimeOptions{Spin: time.Second}); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
	if err := wtgram.ConfigureRuntime(wtgram.RuntimeOptions{Lanes: 3, NoLead: true, Spin: -1}); err != nil {
		t.Fatal(err)
	}
	client, accepted := pair(t)
	if err := client.SendDatagram([]byte("x")); err != nil {
		t.Fatal(err)
	}
	receive(t, accepted)
	if count := lanes(t); count != 3 {
		t.Fatalf("%d lanes", count)
	}
	if err := wtgram.ConfigureRuntime(wtgram.RuntimeOptions{}); !errors.Is(err, wtgram.ErrInvalidState) {
		t.Fatal(err)
	}
}

// lines is a writer that may be read at any time.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(data)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestLogLinesGoToTheLogger(t *testing.T) {
	var all, warnings lines
	logger := func(to *lines, level slog.Level) *slog.Logger {
		return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: level}))
	}
	t.Cleanup(func() { wtgram.ConfigureLog(nil) })
	refused := func() { // the server says so, for those who look for a cause
		_, url, hash := listen(t)
		hash[0] ^= 1
		if _, err := wtgram.Dial(within(t, patience), url, wtgram.WithCertificateHash(hash)); err == nil {
			t.Fatal("a wrong hash was trusted")
		}
	}
	if err := wtgram.ConfigureLog(logger(&all, slog.LevelDebug)); err != nil {
		t.Fatal(err)
	}
	refused()
	eventually(t, "no line about the handshake", func() bool {
		return strings.Contains(all.String(), `level=DEBUG msg="a handshake failed`) && strings.Contains(all.String(), " target=wtgram::")
	})
	if err := wtgram.ConfigureLog(logger(&all, wtgram.LevelTrace)); err != nil {
		t.Fatal(err)
	}
	refused()
	eventually(t, "no line about packets", func() bool { return strings.Contains(all.String(), "level=DEBUG-4") })
	if err := wtgram.ConfigureLog(logger(&warnings, slog.LevelWarn)); err != nil {
		t.Fatal(err)
	}
	refused()
	if err := wtgram.ConfigureLog(nil); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(warnings.String(), "DEBUG") {
		t.Fatal(warnings.String())
	}
}

// hasSocket says whether this process has a socket with a receive and a send buffer of so many
// bytes. (Linux counts its own bookkeeping in, and says the double.)
func hasSocket(t *testing.T, receive, send int) bool {
	for _, name := range must[[]string](t)(filepath.Glob("/proc/self/fd/*")) {
		link, err := os.Readlink(name)
		if err != nil || !strings.HasPrefix(link, "socket:") {
			continue
		}
		fd := 0
		for _, digit := range filepath.Base(name) {
			fd = 10*fd + int(digit-'0')
		}
		in, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF)
		out, err2 := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF)
		if err == nil && err2 == nil && in == 2*receive && out == 2*send {
			return true
		}
	}
	return false
}

func TestSocketBuffersAreAsLargeAsAskedFor(t *testing.T) {
	const receive, send = 77_000, 66_000
	if hasSocket(t, receive, send) {
		t.Fatal("there is such a socket already")
	}
	listen(t, wtgram.WithSocketBuffers(receive, send))
	if !hasSocket(t, receive, send) {
		t.Fatal("there is no such socket")
	}
}

func TestEveryCongestionControllerCarriesDatagrams(t *testing.T) {
	for _, which := range []wtgram.CongestionController{
		wtgram.CongestionCUBIC, wtgram.CongestionBBR, wtgram.CongestionNewReno} {
		client, accepted := pair(t, wtgram.WithCongestionController(which))
		if err := client.SendDatagram([]byte("x")); err != nil {
			t.Fatal(err)
		}
		receive(t, accepted)
	}
	for _, option := range []wtgram.ListenOption{
		wtgram.WithCongestionController(77), wtgram.WithHandshakeTimeout(-time.Second)} {
		if _, err := wtgram.Listen("127.0.0.1:0", option); !errors.Is(err, wtgram.ErrInvalidArgument) {
			t.Fatal(err)
		}
	}
}
