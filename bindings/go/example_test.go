package wtgram_test

import (
	"context"
	"fmt"
	"log"

	"example.com/wtgram"
)

// A server that sends every datagram back, and a client of it.
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
