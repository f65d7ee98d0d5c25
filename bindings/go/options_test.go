package wtgram_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/wtgram"
)

// hasSocket reports whether this process has a socket with receive and send buffers of these sizes
// in bytes. (Linux includes its own bookkeeping and reports twice the size.)
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
