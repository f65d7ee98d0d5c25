package wtgram_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// reachable is the address at which clients reach a server: its own, or, where
// WTGRAM_LINK_SIMULATOR names the link simulator's program, that of a link of which
// WTGRAM_LINK_PROFILE gives the conditions, as a JSON object.
func reachable(t testing.TB, server net.Addr) string {
	t.Helper()
	program := os.Getenv("WTGRAM_LINK_SIMULATOR")
	if program == "" {
		return server.String()
	}
	link := exec.Command(program, server.String())
	link.Stderr = os.Stderr
	input, err := link.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := link.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := link.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close() // which ends it
		if err := link.Wait(); err != nil {
			t.Errorf("the link simulator: %v", err)
		}
	})
	answers := bufio.NewReader(output)
	port := answer(t, answers, "listening")["port"]
	conditions := map[string]any{"command": "set", "direction": "both"}
	if err := json.Unmarshal([]byte(os.Getenv("WTGRAM_LINK_PROFILE")), &conditions); err != nil {
		t.Fatalf("WTGRAM_LINK_PROFILE: %v", err)
	}
	command, err := json.Marshal(conditions)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(input, "%s\n", command); err != nil {
		t.Fatal(err)
	}
	answer(t, answers, "set")
	return fmt.Sprintf("127.0.0.1:%v", port)
}

// asSent is numbered datagrams in the order in which they were sent; a link that is not simulated keeps it.
func asSent(arrived []string) []string {
	if os.Getenv("WTGRAM_LINK_SIMULATOR") != "" {
		slices.Sort(arrived)
	}
	return arrived
}

func answer(t testing.TB, from *bufio.Reader, event string) map[string]any {
	t.Helper()
	line, err := from.ReadBytes('\n')
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(line, &fields); err != nil || fields["event"] != event {
		t.Fatalf("the link simulator says %q instead of %q", line, event)
	}
	return fields
}
