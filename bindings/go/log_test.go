package wtgram_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"example.com/wtgram"
)

// lines is a writer whose text can be read at any time.
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
	refused := func() { // the server logs the cause
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
