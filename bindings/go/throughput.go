package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"runtime"
	"runtime/cgo"
	"sync/atomic"
	"time"
)

// ThroughputOptions are options of a throughput test.
type ThroughputOptions struct {
	Duration         time.Duration // at most a day; 0 for the default of 10 s
	DatagramSize     uint64        // bytes; 0 for the default of 1000
	Send             SendOptions   // its ReportID is ignored
	ProgressInterval time.Duration // 0 for the default of 1 s
	Progress         func(ThroughputReport)
}

// ThroughputReport is the result of a throughput test. The figures are the transport's. So they
// include datagrams that other goroutines sent during the test.
type ThroughputReport struct {
	Duration                         time.Duration
	DatagramsSent, BytesSent, Errors uint64
	DatagramsPerSecond               float64
	BitsPerSecond                    float64
	ErrorRate                        float64
	Cancelled                        bool // the context ended it early
}

// throughputLook is the interval at which a test checks its context.
const throughputLook = 20 * time.Millisecond

// throughputSlots limits the threads that tests hold, one for each running test.
var throughputSlots = make(chan struct{}, 4)

type throughputTest struct {
	cancelled atomic.Bool
	progress  chan ThroughputReport
}

// ThroughputTest sends as many datagrams as the path takes for options.Duration, and returns a
// report. It calls Progress on the calling goroutine. If the context ends the test early, it
// returns the context's error and the report up to then. Unlike most calls that wait, the test
// keeps a thread busy.
func (t *Transport) ThroughputTest(ctx context.Context, options ThroughputOptions) (ThroughputReport, error) {
	defer runtime.KeepAlive(t.session)
	if options.ProgressInterval <= 0 {
		options.ProgressInterval = time.Second
	}
	select {
	case throughputSlots <- struct{}{}:
	case <-ctx.Done():
		return ThroughputReport{}, ctx.Err()
	}
	test := &throughputTest{progress: make(chan ThroughputReport, 1)}
	defer test.cancelled.Store(true) // also if Progress panics
	context := cgo.NewHandle(test)
	type result struct {
		report ThroughputReport
		status Status
	}
	finished := make(chan result, 1)
	go func() {
		var c C.wtgram_throughput_report
		status := Status(C.bridge_throughput_test(t.session.datagrams.get(), inMicroseconds(options.Duration),
			C.uint64_t(options.DatagramSize), C.int32_t(options.Send.Priority), inMicroseconds(options.Send.TTL),
			inMicroseconds(throughputLook), C.uintptr_t(context), &c))
		context.Delete() // the library has called for the last time
		<-throughputSlots
		finished <- result{throughputReport(&c), status}
	}()
	done, next := ctx.Done(), options.ProgressInterval
	for {
		select {
		case r := <-finished:
			switch {
			case r.status != 0:
				return r.report, t.session.failure(r.status)
			case r.report.Cancelled:
				return r.report, ctx.Err()
			}
			return r.report, nil
		case report := <-test.progress:
			if options.Progress != nil && report.Duration >= next {
				next += options.ProgressInterval
				options.Progress(report)
			}
		case <-done:
			test.cancelled.Store(true)
			done = nil
		}
	}
}

func throughputReport(c *C.wtgram_throughput_report) ThroughputReport {
	return ThroughputReport{
		Duration: microseconds(c.duration_us), DatagramsSent: uint64(c.datagrams_sent), BytesSent: uint64(c.bytes_sent),
		Errors: uint64(c.errors), DatagramsPerSecond: float64(c.throughput_dps), BitsPerSecond: float64(c.throughput_bps),
		ErrorRate: float64(c.error_rate), Cancelled: c.cancelled != 0,
	}
}

// wtgramGoProgress runs on the library's callback thread, which other callbacks need, too. So it
// only stores the report.
//
//export wtgramGoProgress
func wtgramGoProgress(context C.uintptr_t, report *C.wtgram_throughput_report) C.bool {
	test := cgo.Handle(context).Value().(*throughputTest)
	select {
	case test.progress <- throughputReport(report):
	default: // the previous report has not been taken yet
	}
	return C.bool(!test.cancelled.Load())
}
