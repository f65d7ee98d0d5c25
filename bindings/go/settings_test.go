package wtgram_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"example.com/wtgram"
)

func TestLessThanAMicrosecondIsNotNone(t *testing.T) {
	client, _ := pair(t)
	if err := client.Transport().SetOutgoingMaxAge(1); err != nil {
		t.Fatal(err)
	}
	if age := must[time.Duration](t)(client.Transport().OutgoingMaxAge()); age != time.Microsecond {
		t.Fatal(age)
	}
}

func TestSettingsCanBeReadBack(t *testing.T) {
	client, _ := pair(t)
	transport := client.Transport()
	for name, set := range map[string]func() (got, want any, err error){
		"outgoing age": func() (any, any, error) {
			err := transport.SetOutgoingMaxAge(3 * time.Second)
			return must[time.Duration](t)(transport.OutgoingMaxAge()), 3 * time.Second, err
		},
		"incoming age": func() (any, any, error) {
			err := transport.SetIncomingMaxAge(4 * time.Second)
			return must[time.Duration](t)(transport.IncomingMaxAge()), 4 * time.Second, err
		},
		"outgoing limits": func() (any, any, error) {
			err := transport.SetOutgoingLimits(wtgram.Limits{Datagrams: 7, Bytes: 7000})
			return must[wtgram.Limits](t)(transport.OutgoingLimits()), wtgram.Limits{Datagrams: 7, Bytes: 7000}, err
		},
		"incoming limits": func() (any, any, error) {
			err := transport.SetIncomingLimits(wtgram.Limits{Datagrams: 8, Bytes: 8000})
			return must[wtgram.Limits](t)(transport.IncomingLimits()), wtgram.Limits{Datagrams: 8, Bytes: 8000}, err
		},
		"full policy": func() (any, any, error) {
			err := transport.SetOutgoingFullPolicy(wtgram.FullReject)
			return must[wtgram.FullPolicy](t)(transport.OutgoingFullPolicy()), wtgram.FullReject, err
		},
		"drop policy": func() (any, any, error) {
			err := transport.SetIncomingDropPolicy(wtgram.DropNewest)
			return must[wtgram.DropPolicy](t)(transport.IncomingDropPolicy()), wtgram.DropNewest, err
		},
		"water marks": func() (any, any, error) {
			marks := wtgram.WaterMarks{HighDatagrams: 6, LowDatagrams: 2, HighBytes: 600, LowBytes: 200}
			err := transport.SetOutgoingWaterMarks(marks)
			return must[wtgram.WaterMarks](t)(transport.OutgoingWaterMarks()), marks, err
		},
	} {
		if got, want, err := set(); err != nil || got != want {
			t.Errorf("%s: %v instead of %v: %v", name, got, want, err)
		}
	}
	if err := transport.SetOutgoingHighWaterMark(5); err != nil {
		t.Fatal(err)
	}
	if mark := must[uint64](t)(transport.OutgoingHighWaterMark()); mark != 5 {
		t.Fatal(mark)
	}
	if err := transport.SetOutgoingMaxAge(-time.Second); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
	if err := transport.SetOutgoingLimits(wtgram.Limits{}); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
}

func TestClearingSizesAndSequences(t *testing.T) {
	client, accepted := pair(t)
	in := accepted.Transport()
	for i := range 5 {
		if err := client.SendDatagram(fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "not all arrived", func() bool { return must[uint64](t)(in.ReceiveSequence()) == 5 })
	receive(t, accepted)
	if size := must[uint64](t)(in.ReceiveBufferSize()); size != 4 {
		t.Fatal(size)
	}
	if cleared := must[uint64](t)(in.ClearReceiveBuffer()); cleared != 4 {
		t.Fatal(cleared)
	}
	if sent := must[uint64](t)(client.Transport().SendSequence()); sent != 5 {
		t.Fatal(sent)
	}
	if err := client.Transport().WaitLowWater(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	must[uint64](t)(client.Transport().ClearSendBuffer())
	if size := must[uint64](t)(client.Transport().SendBufferSize()); size != 0 {
		t.Fatal(size)
	}
	if stats := must[wtgram.QueueStats](t)(in.QueueStats()); stats.IncomingLimits.Datagrams != 4096 || stats.IncomingDatagrams != 0 {
		t.Fatalf("%+v", stats)
	}
	if id, other := must[uint64](t)(in.SessionID()), must[uint64](t)(client.Transport().SessionID()); id != other {
		t.Fatal(id, other)
	}
	size := must[int](t)(in.MaxDatagramSize())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if other, err := in.WaitSizeChange(ctx, size); err == nil && other == size || err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(other, err)
	}
	if other, err := in.WaitSizeChange(t.Context(), 1); err != nil || other < 1000 {
		t.Fatal(other, err)
	}
}
