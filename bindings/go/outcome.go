package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"runtime"
)

// OutcomeKind says what became of a datagram.
type OutcomeKind uint32

const (
	OutcomeSent     OutcomeKind = C.WTGRAM_OUTCOME_SENT      // given to QUIC; it may still be lost
	OutcomeExpired  OutcomeKind = C.WTGRAM_OUTCOME_EXPIRED   // dropped because its TTL or the maximum age passed
	OutcomeEvicted  OutcomeKind = C.WTGRAM_OUTCOME_EVICTED   // dropped to make space for a newer one
	OutcomeRejected OutcomeKind = C.WTGRAM_OUTCOME_REJECTED  // rejected because the queue was full
	OutcomeTooLarge OutcomeKind = C.WTGRAM_OUTCOME_TOO_LARGE // dropped because it is larger than the path carries
	OutcomeFailed   OutcomeKind = C.WTGRAM_OUTCOME_FAILED    // refused by QUIC
	OutcomeCleared  OutcomeKind = C.WTGRAM_OUTCOME_CLEARED   // dropped by ClearSendBuffer
	OutcomeClosed   OutcomeKind = C.WTGRAM_OUTCOME_CLOSED    // the transport closed first
)

// Outcome is the outcome of a datagram that was sent with a ReportID.
type Outcome struct {
	ReportID uint64
	Kind     OutcomeKind
}

// NextOutcome waits for the next outcome of a datagram that was sent with a ReportID. Outcomes come
// once, in the order in which they happened. When QueueOptions.OutcomeCapacity of them are pending
// or not fetched, sending with a ReportID fails with ErrLimitReached.
func (t *Transport) NextOutcome(ctx context.Context) (Outcome, error) {
	defer runtime.KeepAlive(t.session)
	var c C.wtgram_outcome
	err := t.session.waitFor(ctx, &t.session.outcomes, func() Status {
		return Status(C.wtgram_transport_next_outcome(t.session.datagrams.get(), 0, &c))
	})
	return Outcome{uint64(c.report_id), OutcomeKind(c.kind)}, err
}

// NextOutcomes waits for the first outcome. Then it takes all that are there, up to len(into), and
// returns their number.
func (t *Transport) NextOutcomes(ctx context.Context, into []Outcome) (int, error) {
	defer runtime.KeepAlive(t.session)
	if len(into) == 0 {
		return 0, ErrInvalidArgument
	}
	outcomes := make([]C.wtgram_outcome, min(len(into), 1024))
	var count C.size_t
	err := t.session.waitFor(ctx, &t.session.outcomes, func() Status {
		return Status(C.wtgram_transport_next_outcomes(t.session.datagrams.get(), 0, &outcomes[0], C.size_t(len(outcomes)), &count))
	})
	for i, c := range outcomes[:count] {
		into[i] = Outcome{uint64(c.report_id), OutcomeKind(c.kind)}
	}
	return int(count), err
}
