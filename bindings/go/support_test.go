package wtgram_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"example.com/wtgram"
)

// patience limits waits that hang. It does not measure speed.
const patience = time.Minute

// within returns a context that ends after the limit.
func within(t testing.TB, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// listen opens a server, and returns the URL and the certificate hash for its clients.
func listen(t testing.TB, options ...wtgram.ListenOption) (*wtgram.Server, string, wtgram.CertificateHash) {
	t.Helper()
	options = append([]wtgram.ListenOption{wtgram.WithHandshakeTimeout(patience)}, options...)
	server, err := wtgram.Listen("127.0.0.1:0", options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	hash, err := server.CertificateHash()
	if err != nil {
		t.Fatal(err)
	}
	return server, fmt.Sprintf("https://%s/test", reachable(t, server.Addr())), hash
}

// pair connects a client to a server of its own.
func pair(t testing.TB, options ...wtgram.Option) (client, accepted *wtgram.Session) {
	t.Helper()
	var listenOptions []wtgram.ListenOption
	for _, option := range options {
		listenOptions = append(listenOptions, option)
	}
	server, url, hash := listen(t, listenOptions...)
	dialOptions := []wtgram.DialOption{wtgram.WithCertificateHash(hash), wtgram.WithTimeout(patience)}
	for _, option := range options {
		dialOptions = append(dialOptions, option)
	}
	client, err := wtgram.Dial(within(t, patience), url, dialOptions...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	accepted, err = server.Accept(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return client, accepted
}

// receive returns the session's next datagram.
func receive(t testing.TB, session *wtgram.Session) []byte {
	t.Helper()
	data, err := session.ReceiveDatagram(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// smallAndWaiting returns options of a small queue, in which most of a batch has to wait.
func smallAndWaiting() wtgram.Option {
	return wtgram.WithQueues(wtgram.QueueOptions{OutgoingMaxDatagrams: 4, WhenOutgoingFull: wtgram.FullWait})
}

// must returns a function that returns the value, or fails the test if there is an error.
func must[T any](t testing.TB) func(value T, err error) T {
	t.Helper()
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// eventually waits until holds returns true, for example because the peer has done something.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// empty fails the test if the transport has a datagram for its reader.
func empty(t *testing.T, transport *wtgram.Transport) {
	t.Helper()
	if data, err := transport.TryReceive(); !errors.Is(err, wtgram.ErrWouldBlock) {
		t.Fatalf("%q %v", data, err)
	}
}

// reachable returns the address at which clients reach a server. It is the server's own. If
// WTGRAM_LINK_SIMULATOR names the program of the link simulator, it is that of a simulated link,
// whose conditions are the JSON object in WTGRAM_LINK_PROFILE.
func reachable(t testing.TB, server net.Addr) string {
	t.Helper()
	address, _ := link(t, server)
	return address
}

// link is reachable with a function that lets the link act like a NAT that has forgotten its
// clients: the server sees each of them under another port. Without a simulated link, it does
// nothing.
func link(t testing.TB, server net.Addr) (address string, rebind func()) {
	t.Helper()
	program := os.Getenv("WTGRAM_LINK_SIMULATOR")
	if program == "" {
		return server.String(), func() {}
	}
	child := exec.Command(program, server.String())
	child.Stderr = os.Stderr
	input, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close() // this ends the simulator
		if err := child.Wait(); err != nil {
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
	return fmt.Sprintf("127.0.0.1:%v", port), func() {
		t.Helper()
		if _, err := io.WriteString(input, `{"command":"rebind"}`+"\n"); err != nil {
			t.Fatal(err)
		}
		answer(t, answers, "rebound")
	}
}

// asSent returns numbered datagrams in the order in which they were sent. A link that is not
// simulated keeps the order.
func asSent(arrived []string) []string {
	if os.Getenv("WTGRAM_LINK_SIMULATOR") != "" {
		slices.Sort(arrived)
	}
	return arrived
}

// answer reads the simulator's next line, which must report this event.
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

// arrived waits until this number of datagrams has arrived.
func arrived(t testing.TB, transport *wtgram.Transport, datagrams uint64) {
	t.Helper()
	eventually(t, "not all arrived", func() bool { return must[uint64](t)(transport.ReceiveSequence()) == datagrams })
}

// holdsTen returns a transport at which ten datagrams have arrived. One of them was received.
func holdsTen(t *testing.T) *wtgram.Transport {
	client, accepted := pair(t)
	for i := range 10 {
		if err := client.SendDatagram(fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	arrived(t, accepted.Transport(), 10)
	receive(t, accepted)
	return accepted.Transport()
}
