package wtgram_test

import (
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

func TestMetadataSaysWhatWasReceived(t *testing.T) {
	client, accepted := pair(t)
	for _, text := range []string{"abc", "abc"} {
		if err := client.Transport().TrySend([]byte(text), wtgram.SendOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	transport := accepted.Transport()
	for sequence := range uint64(2) {
		data, metadata, err := transport.ReceiveWithMetadata(within(t, patience), true)
		if err != nil || string(data) != "abc" || metadata.Size != 3 || metadata.Sequence != sequence {
			t.Fatalf("%q %+v %v", data, metadata, err)
		}
		if metadata.Checksum != "ba7816bf" { // the SHA-256 of "abc", FIPS 180-2
			t.Fatal(metadata.Checksum)
		}
		if metadata.Age < 0 || metadata.Age > patience || time.Since(metadata.Timestamp) > patience {
			t.Fatalf("%+v", metadata)
		}
	}
	if _, err := transport.TryReceive(); !errors.Is(err, wtgram.ErrWouldBlock) {
		t.Fatal(err)
	}
}

func TestEachDatagramHasOneReader(t *testing.T) {
	client, accepted := layers(t)
	if err := client.SendReported(t.Context(), []byte("message"), 1); err != nil {
		t.Fatal(err)
	}
	if data := must[[]byte](t)(accepted.Receive(within(t, patience))); string(data) != "message" {
		t.Fatalf("%q", data)
	}
	must[wtgram.ReliabilityOutcome](t)(client.NextOutcome(within(t, patience)))
	empty(t, accepted.Session().Transport())
	empty(t, client.Session().Transport())
	if err := client.Session().SendDatagram([]byte("plain")); err != nil {
		t.Fatal(err)
	}
	if data := receive(t, accepted.Session()); string(data) != "plain" {
		t.Fatalf("%q", data)
	}
	if data, err := accepted.TryReceive(); !errors.Is(err, wtgram.ErrWouldBlock) {
		t.Fatalf("%q %v", data, err)
	}
}

func TestADatagramThatIsTooOldIsNeverReceived(t *testing.T) {
	in := holdsTen(t)
	const age = 20 * time.Millisecond
	time.Sleep(age)
	if err := in.SetIncomingMaxAge(age); err != nil {
		t.Fatal(err)
	}
	if data, err := in.TryReceive(); !errors.Is(err, wtgram.ErrWouldBlock) {
		t.Fatalf("%q: %v", data, err)
	}
	stats := must[wtgram.TransportStats](t)(in.Stats())
	if stats.Received != 10 || stats.Delivered != 1 || stats.ReceiveExpired != 9 || stats.ReceiveQueued != 0 {
		t.Fatalf("%+v", stats)
	}
}

func TestADatagramCountsAsDeliveredWhenItIsReceived(t *testing.T) {
	in := holdsTen(t)
	stats := must[wtgram.TransportStats](t)(in.Stats())
	if stats.Delivered != 1 || stats.ReceiveQueued != 9 || must[uint64](t)(in.ReceiveBufferSize()) != 9 {
		t.Fatalf("%+v", stats)
	}
	if cleared := must[uint64](t)(in.ClearReceiveBuffer()); cleared != 9 {
		t.Fatal(cleared)
	}
	if stats := must[wtgram.TransportStats](t)(in.Stats()); stats.Delivered != 1 || stats.ReceiveCleared != 9 {
		t.Fatalf("%+v", stats)
	}
}

func TestWhatNobodyReceivedIsThereForAStructuredOpenedLater(t *testing.T) {
	client, accepted := pair(t)
	values := must[*wtgram.Structured](t)(client.OpenStructured(registry(t), wtgram.StructuredOptions{}))
	send := func(text string) {
		if err := values.Send(within(t, patience), chat{"a", text}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		send(fmt.Sprint(i))
	}
	arrived(t, accepted.Transport(), 3)
	receive(t, accepted)
	// Beside the other readers it takes datagrams that arrive from now on.
	beside := must[*wtgram.Structured](t)(accepted.OpenStructured(registry(t), wtgram.StructuredOptions{}))
	send("3")
	if value := must[any](t)(beside.Receive(within(t, patience))); value != (chat{"a", "3"}) {
		t.Fatal(value)
	}
	beside.Close()
	// Over the transport it also takes datagrams that wait there.
	over := must[*wtgram.Structured](t)(accepted.Transport().OpenStructured(registry(t), wtgram.StructuredOptions{}))
	got := []string{}
	for range 2 {
		got = append(got, must[any](t)(over.Receive(within(t, patience))).(chat).Text)
	}
	if os.Getenv("WTGRAM_LINK_SIMULATOR") == "" && (got[0] != "1" || got[1] != "2") {
		t.Fatal(got)
	}
}

// clockAnHourBehind is a library that sets back the wall clock by an hour for C code. So the
// library's time stamps are an hour older than the time in Go, as if the clock had been set
// meanwhile.
const clockAnHourBehind = `#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec -= 3600;
    return failed;
}
`

func TestAnAgeIsThatOfTheMonotonicClockWhateverHappensToTheWallClock(t *testing.T) {
	if os.Getenv("WTGRAM_TEST_CLOCK") == "" {
		dir := t.TempDir()
		source, library := filepath.Join(dir, "clock.c"), filepath.Join(dir, "clock.so")
		if err := os.WriteFile(source, []byte(clockAnHourBehind), 0o600); err != nil {
			t.Fatal(err)
		}
		if output, err := exec.Command("cc", "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		child.Env = append(os.Environ(), "WTGRAM_TEST_CLOCK=1", "LD_PRELOAD="+library)
		if output, err := child.CombinedOutput(); err != nil || !strings.Contains(string(output), "--- PASS: "+t.Name()) {
			t.Fatalf("%v\n%s", err, output)
		}
		return
	}
	client, accepted := pair(t)
	if err := client.SendDatagram([]byte("x")); err != nil {
		t.Fatal(err)
	}
	arrived(t, accepted.Transport(), 1)
	const waits = 30 * time.Millisecond
	time.Sleep(waits)
	_, metadata, err := accepted.Transport().ReceiveWithMetadata(within(t, patience), false)
	if err != nil {
		t.Fatal(err)
	}
	if apart := time.Since(metadata.Timestamp); apart < 59*time.Minute {
		t.Fatalf("the clocks are %v apart", apart)
	}
	if metadata.Age < waits || metadata.Age > 30*time.Minute || metadata.Waited != 0 {
		t.Fatalf("%+v", metadata)
	}
}
