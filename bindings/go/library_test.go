package wtgram_test

import (
	"bytes"
	"errors"
	"fmt"
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

// exchange sends a datagram there and one back, again if one is lost on the way.
func exchange(t *testing.T, client, accepted *wtgram.Session) {
	t.Helper()
	for range 60 {
		if err := client.SendDatagram([]byte("there")); err != nil {
			t.Fatal(err)
		}
		if _, err := accepted.ReceiveDatagram(within(t, time.Second)); err != nil {
			continue
		}
		if err := accepted.SendDatagram([]byte("back")); err != nil {
			t.Fatal(err)
		}
		if _, err := client.ReceiveDatagram(within(t, time.Second)); err == nil {
			return
		}
	}
	t.Fatal("no datagram comes back")
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
	for _, wrong := range []wtgram.RuntimeOptions{
		{LaneCPUs: []uint32{1024}}, {LanePriority: 1}, {LaneScheduling: wtgram.SchedulingFIFO}, {LaneScheduling: 77}} {
		if err := wtgram.ConfigureRuntime(wrong); !errors.Is(err, wtgram.ErrInvalidArgument) {
			t.Fatal(wrong, err)
		}
	}
	options := wtgram.RuntimeOptions{Lanes: 3, NoLead: true, Spin: -1, LaneCPUs: []uint32{0}}
	if err := wtgram.ConfigureRuntime(options); err != nil {
		t.Fatal(err)
	}
	if _, err := wtgram.Listen("127.0.0.1:0", wtgram.WithLanes(4)); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
	if _, err := wtgram.Listen("127.0.0.1:0", wtgram.WithServerID(make([]byte, 12), 0)); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
	server, url, hash := listen(t, wtgram.WithLanes(2), wtgram.WithServerID([]byte{1, 2}, 6))
	if count := lanes(t); count != 2 {
		t.Fatalf("%d lanes for a server with two", count)
	}
	// Each client has an address of its own, from which the system chooses the lane.
	for i := range 200 {
		client := must[*wtgram.Session](t)(wtgram.Dial(within(t, patience), url, wtgram.WithCertificateHash(hash),
			wtgram.WithTimeout(patience), wtgram.WithBindHost(fmt.Sprintf("127.0.0.%d", 2+i))))
		accepted := must[*wtgram.Session](t)(server.Accept(within(t, patience)))
		exchange(t, client, accepted)
	}
	if count := lanes(t); count != 3 {
		t.Fatalf("%d lanes for clients on all", count)
	}
	// Clients behind a NAT that forgets them, so that the system gives their packets to other lanes.
	address, rebind := link(t, server.Addr())
	var clients, accepted []*wtgram.Session
	for range 20 {
		clients = append(clients, must[*wtgram.Session](t)(wtgram.Dial(within(t, patience), "https://"+address+"/",
			wtgram.WithCertificateHash(hash), wtgram.WithTimeout(patience))))
		accepted = append(accepted, must[*wtgram.Session](t)(server.Accept(within(t, patience))))
	}
	for range 10 {
		rebind()
		for i := range clients {
			exchange(t, clients[i], accepted[i])
		}
	}
	if err := wtgram.ConfigureRuntime(wtgram.RuntimeOptions{}); !errors.Is(err, wtgram.ErrInvalidState) {
		t.Fatal(err)
	}
}
