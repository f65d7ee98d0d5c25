package wtgram

import (
	"context"
	"testing"
)

func TestServeGoesOnWhenARequestWasOneTooMany(t *testing.T) {
	answers := []error{ErrLimitReached, ErrLimitReached, ErrClosed}
	next := func(context.Context) (*Request, error) {
		err := answers[0]
		answers = answers[1:]
		return nil, err
	}
	server := &Server{&listener{}}
	if err := server.serveEach(t.Context(), nil, next); err != ErrClosed || len(answers) != 0 {
		t.Fatal(err, answers)
	}
}
