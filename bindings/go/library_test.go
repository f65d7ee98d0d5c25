package wtgram_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/wtgram"
)

// lanes returns the number of the library's threads that run the protocol.
func lanes(t *testing.T) (count int) {
	for _, file := range must[[]string](t)(filepath.Glob("/proc/self/task/*/comm")) {
		name, err := os.ReadFile(file)
		if err == nil && strings.HasPrefix(string(name), "wtgram-") && strings.Trim(string(name), "wtgram-0123456789\n") == "" {
			count++
		}
	}
	return count
}

// The runtime can be configured only once, before anything else. So this test uses its own process.
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
