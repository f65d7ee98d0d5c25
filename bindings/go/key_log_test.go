package wtgram_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/wtgram"
)

// secrets returns the lines of a key log, sorted.
func secrets(t *testing.T, path string) []string {
	lines := strings.Split(strings.TrimSpace(string(must[[]byte](t)(os.ReadFile(path)))), "\n")
	slices.Sort(lines)
	return lines
}

func TestBothEndsLogTheSameSecrets(t *testing.T) {
	folder := t.TempDir()
	ofServer, ofClient := filepath.Join(folder, "server"), filepath.Join(folder, "client")
	server, _, hash := listen(t, wtgram.WithKeyLogFile(ofServer))
	dialAs(t, server, wtgram.WithCertificateHash(hash), wtgram.WithKeyLogFile(ofClient))
	lines := secrets(t, ofServer)
	if theirs := secrets(t, ofClient); !slices.Equal(lines, theirs) {
		t.Fatalf("%q %q", lines, theirs)
	}
	for _, label := range []string{"CLIENT_HANDSHAKE_TRAFFIC_SECRET ", "SERVER_TRAFFIC_SECRET_0 "} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, label) }) {
			t.Fatalf("no %s in %q", label, lines)
		}
	}
}

func TestAKeyLogThatCannotBeOpenedIsRefused(t *testing.T) {
	nowhere := wtgram.WithKeyLogFile("/no/such/folder/keys")
	_, listenError := wtgram.Listen("127.0.0.1:0", nowhere)
	_, dialError := wtgram.Dial(within(t, patience), "https://127.0.0.1:1/", nowhere)
	for _, err := range []error{listenError, dialError} {
		if !errors.Is(err, wtgram.ErrIO) || !strings.Contains(err.Error(), "/no/such/folder/keys") {
			t.Fatal(err)
		}
	}
}
