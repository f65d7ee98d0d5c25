package wtgram_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"example.com/wtgram"
)

func TestATransportClosesWithoutItsSession(t *testing.T) {
	client, _ := pair(t)
	transport := client.Transport()
	if transport.IsClosed() || !transport.IsReadable() || !transport.IsWritable() || transport.Session() != client {
		t.Fatal("an open transport is not")
	}
	failed := make(chan error)
	go func() { _, err := transport.Receive(context.Background()); failed <- err }()
	time.Sleep(20 * time.Millisecond)
	for range 2 {
		if err := transport.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	// The receive half ends when the lane has taken the datagrams that had arrived.
	eventually(t, "it is still readable", func() bool { return !transport.IsReadable() })
	if !transport.IsClosed() || transport.IsWritable() || client.Context().Err() != nil {
		t.Fatal("closed too little, or too much")
	}
}

// narrowable returns the address of a path to the server. Once narrow is set, it carries no large
// packets.
func narrowable(t *testing.T, server net.Addr) (address string, narrow *atomic.Bool) {
	narrow = new(atomic.Bool)
	front := must[net.PacketConn](t)(net.ListenPacket("udp", "127.0.0.1:0"))
	back := must[net.Conn](t)(net.Dial("udp", server.String()))
	t.Cleanup(func() { front.Close(); back.Close() })
	var client atomic.Value
	go func() {
		for packet := make([]byte, 2048); ; {
			n, from, err := front.ReadFrom(packet)
			if err != nil {
				return
			}
			client.Store(from)
			if n <= 1250 || !narrow.Load() {
				_, _ = back.Write(packet[:n])
			}
		}
	}()
	go func() {
		for packet := make([]byte, 2048); ; {
			n, err := back.Read(packet)
			if err != nil {
				return
			}
			if to, ok := client.Load().(net.Addr); ok {
				_, _ = front.WriteTo(packet[:n], to)
			}
		}
	}()
	return front.LocalAddr().String(), narrow
}

func TestWaitSizeChangeHearsOfAChangeWhateverElseIsWaitedFor(t *testing.T) {
	server, _, hash := listen(t)
	address, narrow := narrowable(t, server.Addr())
	client, err := wtgram.Dial(within(t, patience), "https://"+address+"/", wtgram.WithCertificateHash(hash), wtgram.WithTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted := must[*wtgram.Session](t)(server.Accept(within(t, patience)))
	transport := client.Transport()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	go func() { // receives from the transport all the time
		for ctx.Err() == nil {
			_, _ = transport.Receive(ctx)
		}
	}()
	known := must[int](t)(transport.MaxDatagramSize())
	narrow.Store(true)
	go func() {
		for ctx.Err() == nil {
			_ = accepted.Transport().Send(ctx, []byte("x"), wtgram.SendOptions{})
			_ = transport.Send(ctx, []byte("x"), wtgram.SendOptions{})
			_ = transport.Send(ctx, make([]byte, known), wtgram.SendOptions{})
			time.Sleep(2 * time.Millisecond)
		}
	}()
	// QUIC may still find that the path carries more before it finds that it carries less.
	for size := known; size >= known; {
		if size, err = transport.WaitSizeChange(ctx, size); err != nil {
			t.Fatal(known, size, err)
		}
	}
}
