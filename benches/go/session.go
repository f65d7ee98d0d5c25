package main

import (
	"context"
	"net"
	"time"

	"example.com/wtgram"
	"example.com/wtgram/benches/ends"
)

func options() []wtgram.Option {
	const socketBufferBytes = 4 << 20
	return []wtgram.Option{
		wtgram.WithSocketBuffers(socketBufferBytes, socketBufferBytes),
		wtgram.WithQueues(wtgram.QueueOptions{OutgoingMaxDatagrams: 4096, WhenOutgoingFull: wtgram.FullWait}),
	}
}

// acceptOne prints where it listens, and accepts one session. The server lives as long as the
// process.
func acceptOne() (*wtgram.Server, *wtgram.Session) {
	var listenOptions []wtgram.ListenOption
	for _, option := range options() {
		listenOptions = append(listenOptions, option)
	}
	server, err := wtgram.Listen("127.0.0.1:0", listenOptions...)
	ends.Check(err)
	hash, err := server.CertificateHash()
	ends.Check(err)
	ends.Listening(server.Addr().(*net.UDPAddr).Port, hash)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	session, err := server.Accept(ctx)
	ends.Check(err)
	return server, session
}

func connectTo(target ends.Target) *wtgram.Session {
	dialOptions := []wtgram.DialOption{wtgram.WithCertificateHash(target.Hash)}
	for _, option := range options() {
		dialOptions = append(dialOptions, option)
	}
	session, err := wtgram.Dial(context.Background(), "https://127.0.0.1:"+target.Port+"/", dialOptions...)
	ends.Check(err)
	return session
}

// finish waits until the queue is empty and the last datagrams have had time to arrive.
func finish(session *wtgram.Session) {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		stats, err := session.Transport().Stats()
		ends.Check(err)
		if stats.SendQueued == 0 {
			break
		}
	}
	time.Sleep(300 * time.Millisecond)
}

func closeAndShutDown(session *wtgram.Session) {
	ends.Check(session.CloseWithError(0, "done"))
	ends.Check(wtgram.Shutdown(5 * time.Second))
}
