package wtgram_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// notNeeded has the functions of the header that the package does not need, and why.
var notNeeded = map[string]string{
	"wtgram_broadcaster_add_session":       "Add: a session is added by its transport, which is the same member",
	"wtgram_broadcaster_remove_session":    "Remove: as above",
	"wtgram_poller_wake":                   "its goroutine is woken by Go's network poller",
	"wtgram_reliability_open_over_session": "the same as over the transport",
	"wtgram_reliability_try_receive":       "wtgram_reliability_receive with no time to wait",
	"wtgram_reliability_try_send":          "wtgram_reliability_send with no time to wait",
	"wtgram_request_get_header":            "Header has all of them",
	"wtgram_request_get_origin":            "it is in the header",
	"wtgram_request_get_query":             "it is a part of the path",
	"wtgram_server_close":                  "wtgram_server_close_with with code 0",
	"wtgram_server_get_local_port":         "Addr has it",
	"wtgram_session_connect":               "Dial starts, and waits in Go",
	"wtgram_session_drain_and_close":       "DrainAndClose starts it, and waits in Go",
	"wtgram_session_get_header":            "Header has all of them",
	"wtgram_session_wait_closed":           "Context is done",
	"wtgram_structured_try_receive":        "wtgram_structured_receive with no time to wait",
	"wtgram_structured_try_send":           "wtgram_structured_send with no time to wait",
	"wtgram_transport_receive_json":        "ReceiveJSON decodes what Receive got, as strictly",
	"wtgram_transport_get_session":         "a Transport has its Session",
	"wtgram_transport_try_receive":         "wtgram_transport_receive with no time to wait",
}

// source returns the source of the package without tests and comments.
func source(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "bridge.h") {
		if !strings.HasSuffix(file, "_test.go") {
			all.WriteString(withoutComments(must[[]byte](t)(os.ReadFile(file))))
		}
	}
	return all.String()
}

func withoutComments(text []byte) string {
	return string(regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`).ReplaceAll(text, nil))
}

func TestEveryFunctionOfTheHeaderIsCalledOrNotNeeded(t *testing.T) {
	header := withoutComments(must[[]byte](t)(os.ReadFile("../../include/wtgram.h")))
	called := make(map[string]bool)
	calls := regexp.MustCompile(`\b(wtgram_\w+)\(`)
	for _, call := range calls.FindAllStringSubmatch(source(t), -1) {
		called[call[1]] = true
	}
	functions := calls.FindAllStringSubmatch(header, -1)
	if len(functions) < 100 {
		t.Fatalf("only %d functions found", len(functions))
	}
	for _, function := range functions {
		name := function[1]
		if strings.HasSuffix(name, "_init_sized") {
			continue // the inline function without _sized calls it
		}
		if _, excused := notNeeded[name]; excused == called[name] {
			t.Errorf("%s: called %v, excused %v", name, called[name], excused)
		}
		delete(notNeeded, name)
	}
	for name := range notNeeded {
		t.Errorf("%s is excused and not in the header", name)
	}
}

// unusedFields has the fields of the header's structs that the package does not need, and why.
var unusedFields = map[string]string{
	"wtgram_datagram_metadata.waited_us": "the waiting is Go's",
	"wtgram_serializer.free_bytes":       "there is nothing to free",
}

func TestEveryFieldOfTheHeadersStructsIsSetOrRead(t *testing.T) {
	header := withoutComments(must[[]byte](t)(os.ReadFile("../../include/wtgram.h")))
	used := make(map[string]bool)
	for _, name := range regexp.MustCompile(`\.(\w+)|\b(\w+):`).FindAllStringSubmatch(source(t), -1) {
		used[name[1]+name[2]] = true
	}
	structs := regexp.MustCompile(`(?s)typedef struct \{([^}]*)\} (wtgram_\w+);`).FindAllStringSubmatch(header, -1)
	if len(structs) < 30 {
		t.Fatalf("only %d structs found", len(structs))
	}
	for _, one := range structs {
		for _, field := range regexp.MustCompile(`(\w+)(?:\[\w+\])?;`).FindAllStringSubmatch(one[1], -1) {
			name := field[1]
			if _, excused := unusedFields[one[2]+"."+name]; excused || name == "struct_size" || strings.HasPrefix(name, "reserved") {
				continue
			}
			if !used[name] {
				t.Errorf("%s.%s is neither set nor read", one[2], name)
			}
		}
	}
}
