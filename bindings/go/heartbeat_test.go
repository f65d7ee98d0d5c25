package wtgram_test

import (
	"errors"
	"testing"
	"time"

	"example.com/wtgram"
)

func TestHeartbeatsBeatAndTheirAbsenceIsNoticed(t *testing.T) {
	client, accepted := pair(t)
	beat := wtgram.HeartbeatOptions{Interval: 20 * time.Millisecond, SilentAfterIntervals: 3}
	if err := client.Transport().StartHeartbeat(beat); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if data := receive(t, accepted); !wtgram.IsHeartbeat(data) {
			t.Fatalf("%q", data)
		}
	}
	if err := client.Transport().WaitPeerSilent(within(t, patience)); err != nil { // accepted sends nothing
		t.Fatal(err)
	}
	if !must[bool](t)(client.Transport().IsPeerSilent()) {
		t.Fatal("not silent")
	}
	findings := must[[]wtgram.Finding](t)(client.Transport().Diagnose())
	if len(findings) != 1 || findings[0].Code != "silent_peer" || findings[0].Message == "" {
		t.Fatalf("%+v", findings)
	}
	if err := client.Transport().StopHeartbeat(); err != nil {
		t.Fatal(err)
	}
	own := must[[]byte](t)(wtgram.NewHeartbeat())
	if !wtgram.IsHeartbeat(own) || wtgram.IsHeartbeat([]byte("heart")) {
		t.Fatalf("%q", own)
	}
	if err := client.Transport().StartHeartbeat(wtgram.HeartbeatOptions{Interval: 1}); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
}
