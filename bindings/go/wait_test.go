package wtgram_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"example.com/wtgram"
)

func TestWaitsReturnWithTheirContext(t *testing.T) {
	client, _ := pair(t)
	server, _, _ := listen(t)
	for name, wait := range map[string]func(context.Context) error{
		"receive": func(ctx context.Context) error { _, err := client.ReceiveDatagram(ctx); return err },
		"batch": func(ctx context.Context) error {
			_, err := client.Transport().ReceiveBatch(ctx, new(wtgram.Batch))
			return err
		},
		"accept": func(ctx context.Context) error { _, err := server.Accept(ctx); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := wait(ctx)
		cancel()
		var netError net.Error
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &netError) || !netError.Timeout() {
			t.Fatalf("%s: %v", name, err)
		}
		if err := wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%s with an ended context: %v", name, err)
		}
	}
}
