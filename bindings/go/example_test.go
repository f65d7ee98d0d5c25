package wtgram_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"example.com/wtgram"
)

// A server that sends every datagram back, and its client.
func Example() {
	ctx := context.Background()
	server, err := wtgram.Listen("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			session, err := server.Accept(ctx)
			if err != nil {
				return // the server was closed
			}
			go func() {
				for {
					data, err := session.ReceiveDatagram(ctx)
					if err != nil {
						return // the session has ended
					}
					if err := session.SendDatagram(data); err != nil {
						return
					}
				}
			}()
		}
	}()

	hash, err := server.CertificateHash() // because the certificate is self-signed
	if err != nil {
		log.Fatal(err)
	}
	session, err := wtgram.Dial(ctx, fmt.Sprintf("https://%s/echo", server.Addr()), wtgram.WithCertificateHash(hash))
	if err != nil {
		log.Fatal(err)
	}
	defer session.CloseWithError(0, "bye")
	if err := session.SendDatagram([]byte("hello")); err != nil {
		log.Fatal(err)
	}
	data, err := session.ReceiveDatagram(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", data)
	// Output: hello
}

// connected returns both ends of a session, in this process.
func connected(ctx context.Context) (client, accepted *wtgram.Session, done func()) {
	server, err := wtgram.Listen("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	hash, err := server.CertificateHash()
	if err != nil {
		log.Fatal(err)
	}
	client, err = wtgram.Dial(ctx, fmt.Sprintf("https://%s/", server.Addr()), wtgram.WithCertificateHash(hash))
	if err != nil {
		log.Fatal(err)
	}
	accepted, err = server.Accept(ctx)
	if err != nil {
		log.Fatal(err)
	}
	return client, accepted, func() { // this also keeps both from being collected, which would close them
		client.Close()
		accepted.Close()
		server.Close()
	}
}

// Read the outcome of a datagram, and the metadata of a datagram that arrived.
func ExampleTransport() {
	ctx := context.Background()
	client, accepted, done := connected(ctx)
	defer done()

	out := client.Transport()
	if err := out.SetOutgoingFullPolicy(wtgram.FullReject); err != nil {
		log.Fatal(err)
	}
	options := wtgram.SendOptions{Priority: 2, TTL: time.Second, ReportID: 1}
	if err := out.Send(ctx, []byte("hello"), options); err != nil {
		log.Fatal(err)
	}
	outcome, err := out.NextOutcome(ctx)
	if err != nil {
		log.Fatal(err)
	}
	data, metadata, err := accepted.Transport().ReceiveWithMetadata(ctx, true)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(outcome.Kind == wtgram.OutcomeSent, string(data), metadata.Size, metadata.Checksum)
	// Output: true hello 5 2cf24dba
}

// Send and receive many datagrams with few crossings into C.
func ExampleTransport_SendBatch() {
	ctx := context.Background()
	client, accepted, done := connected(ctx)
	defer done()

	datagrams := [][]byte{[]byte("a"), []byte("b"), []byte("c")}
	if _, errs := client.Transport().SendBatch(ctx, datagrams, wtgram.SendOptions{}); errs != nil {
		log.Fatal(errs)
	}
	var batch wtgram.Batch // allocated once, filled again and again
	for received := 0; received < 3; received += batch.Len() {
		if _, err := accepted.Transport().ReceiveBatch(ctx, &batch); err != nil {
			log.Fatal(err)
		}
		for i := range batch.Len() {
			fmt.Printf("%s\n", batch.At(i))
		}
	}
	// Unordered output:
	// a
	// b
	// c
}

// Find out that a session ended, and how.
func ExampleSessionError() {
	ctx := context.Background()
	client, accepted, done := connected(ctx)
	defer done()

	accepted.CloseWithError(7, "enough")
	_, err := client.ReceiveDatagram(ctx)
	var ended *wtgram.SessionError
	if errors.As(err, &ended) {
		fmt.Println(ended.Remote, ended.ErrorCode, ended.Message)
	}
	fmt.Println(errors.Is(err, net.ErrClosed))
	// Output:
	// true 7 enough
	// true
}

// Write the library's log lines to the program's own log.
func ExampleConfigureLog() {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := wtgram.ConfigureLog(logger); err != nil {
		log.Fatal(err)
	}
	// Output:
}

// Send messages that are acknowledged.
func ExampleReliability() {
	ctx := context.Background()
	client, accepted, done := connected(ctx)
	defer done()

	sender, err := client.Transport().OpenReliability(wtgram.ReliabilityOptions{})
	if err != nil {
		log.Fatal(err)
	}
	receiver, err := accepted.Transport().OpenReliability(wtgram.ReliabilityOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if err := sender.Send(ctx, []byte("important")); err != nil {
		log.Fatal(err)
	}
	data, err := receiver.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := sender.Drain(limited); err != nil { // returns when all messages are acknowledged
		log.Fatal(err)
	}
	fmt.Printf("%s\n", data)
	// Output: important
}

// Send one datagram to all sessions.
func ExampleBroadcaster() {
	ctx := context.Background()
	client, accepted, done := connected(ctx)
	defer done()

	room, err := wtgram.NewBroadcaster(wtgram.BroadcasterOptions{SlowLimit: 20})
	if err != nil {
		log.Fatal(err)
	}
	defer room.Close()
	if err := room.Add(accepted); err != nil {
		log.Fatal(err)
	}
	reached, results, err := room.Broadcast([]byte("news"), wtgram.SendOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(reached, "reached")
	for _, result := range results {
		fmt.Println(result.Member == accepted, result.Err)
	}
	data, err := client.ReceiveDatagram(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", data)
	// Output:
	// 1 reached
	// true <nil>
	// news
}

// Get an alert when a problem starts, and when it ends.
func ExampleMonitor() {
	ctx := context.Background()
	client, _, done := connected(ctx)
	defer done()

	monitor, err := client.Transport().OpenMonitor(wtgram.MonitorOptions{
		Interval: 10 * time.Millisecond, SuccessRateThreshold: 0.9})
	if err != nil {
		log.Fatal(err)
	}
	defer monitor.Close()
	_ = client.SendDatagram(make([]byte, 60000)) // too large: the only attempt fails
	alert, err := monitor.NextAlert(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(alert.Kind == wtgram.AlertLowSuccessRate, alert.Began, alert.Threshold)
	// Output: true true 0.9
}

// Send values of Go types as MessagePack.
func ExampleStructured() {
	type position struct {
		X float64 `json:"x"`
		Y float64 `json:"y"`
	}
	ctx := context.Background()
	client, accepted, done := connected(ctx)
	defer done()

	types := wtgram.NewRegistry() // both sides use the same ids
	if err := wtgram.Register[position](types, 1); err != nil {
		log.Fatal(err)
	}
	options := wtgram.StructuredOptions{Codec: wtgram.MessagePack}
	sender, err := client.OpenStructured(types, options)
	if err != nil {
		log.Fatal(err)
	}
	receiver, err := accepted.OpenStructured(types, options)
	if err != nil {
		log.Fatal(err)
	}
	if err := sender.Send(ctx, position{1.5, 2}); err != nil {
		log.Fatal(err)
	}
	value, err := receiver.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	switch value := value.(type) {
	case position:
		fmt.Println(value.X, value.Y)
	}
	// Output: 1.5 2
}

// A server whose handlers are those of net/http: a mux chooses the room, and middleware checks the
// token.
func ExampleUpgrade() {
	ctx := context.Background()
	server, err := wtgram.Listen("127.0.0.1:0", wtgram.WithRequests())
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/rooms/{room}", func(w http.ResponseWriter, r *http.Request) {
		session, err := wtgram.Upgrade(w, r, "chat-v2", "chat-v1")
		if err != nil {
			return // Upgrade has answered
		}
		_ = session.SendDatagram([]byte("welcome to " + r.PathValue("room")))
	})
	withToken := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "a token is missing", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
	go server.Serve(ctx, withToken)

	hash, err := server.CertificateHash()
	if err != nil {
		log.Fatal(err)
	}
	url := fmt.Sprintf("https://%s/rooms/green", server.Addr())
	_, err = wtgram.Dial(ctx, url, wtgram.WithCertificateHash(hash))
	fmt.Println(errors.Is(err, wtgram.ErrRejected))
	session, err := wtgram.Dial(ctx, url, wtgram.WithCertificateHash(hash),
		wtgram.WithHeader("Authorization", "Bearer secret"), wtgram.WithSubprotocols("chat-v1"))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	data, err := session.ReceiveDatagram(ctx)
	if err != nil {
		log.Fatal(err)
	}
	subprotocol, err := session.Subprotocol()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s (%s)\n", data, subprotocol)
	// Output:
	// true
	// welcome to green (chat-v1)
}
