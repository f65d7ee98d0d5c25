package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// waitFor calls try until its result is not ErrWouldBlock, and returns the error of that result.
func (s *session) waitFor(ctx context.Context, queue *waitQueue, try func() Status) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.waitOn(ctx, queue, try(), func(C.int64_t) Status { return try() })
}

// waitInside is waitFor for a try that may wait in the library, for so many microseconds.
func (s *session) waitInside(ctx context.Context, queue *waitQueue, try func(patience C.int64_t) Status) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.waitOn(ctx, queue, try(0), try)
}

// waitOn is waitInside after a first try, whose result was `status`.
func (s *session) waitOn(ctx context.Context, queue *waitQueue, status Status,
	try func(patience C.int64_t) Status) error {
	if status != ErrWouldBlock {
		queue.next()
		return s.result(status)
	}
	err := queue.untilInside(ctx, true, func(patience C.int64_t) bool {
		status = try(patience)
		return status == ErrWouldBlock
	})
	if err != nil && err != ErrClosed {
		return err
	}
	if err == ErrClosed {
		status = ErrClosed
	}
	return s.result(status)
}

// result is nil for 0.
func (s *session) result(status Status) error {
	if status == 0 {
		return nil
	}
	return s.failure(status)
}

// waitQueue holds the goroutines that wait for one kind of readiness of one object, in order of
// arrival.
type waitQueue struct {
	source   *source
	what     uint32
	patience time.Duration // how long a try may wait in the library
	lingers  []linger      // what to wait for before another try, for tries that cannot wait

	mu      sync.Mutex
	waiters []chan struct{}
	waiting atomic.Int32 // their number; read without the lock
	yielded atomic.Int64 // when a goroutine that was inside last let others run
	ended   bool         // no goroutine waits: every try has its final result
}

// until calls try until it does not block, and waits between the calls.
func (q *waitQueue) until(ctx context.Context, try func() (blocked bool)) error {
	return q.untilInside(ctx, false, func(C.int64_t) bool { return try() })
}

// untilInside is until for a try that may wait in the library, for so many microseconds. `blocked`
// says that a first try was blocked just now.
func (q *waitQueue) untilInside(ctx context.Context, blocked bool, try func(patience C.int64_t) (blocked bool)) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !blocked && !try(0) || !q.inside(ctx, try) {
			q.next()
			return nil
		}
		blocked = false
		wake, ended := q.join()
		if ended {
			// Try once more: something may have arrived between the previous try and the end.
			if !try(0) {
				return nil
			}
			return ErrClosed
		}
		select {
		case <-wake:
		case <-ctx.Done():
			q.leave(wake)
			return ctx.Err()
		}
	}
}

func (q *waitQueue) join() (wake chan struct{}, ended bool) {
	q.mu.Lock()
	if q.ended {
		q.mu.Unlock()
		return nil, true
	}
	wake = make(chan struct{}, 1)
	q.setWaiters(append(q.waiters, wake))
	q.mu.Unlock()
	// After joining: if the object became ready since the try, that is reported at once.
	q.next()
	return wake, false
}

// leave stops waiting. A goroutine that was woken meanwhile passes the wake-up on.
func (q *waitQueue) leave(wake chan struct{}) {
	q.mu.Lock()
	for i, waiter := range q.waiters {
		if waiter == wake {
			q.setWaiters(append(q.waiters[:i], q.waiters[i+1:]...))
			q.mu.Unlock()
			return
		}
	}
	q.mu.Unlock()
	q.next()
}

// next arms the source if goroutines wait, so that one of them is woken if anything is left.
func (q *waitQueue) next() {
	if q.waiting.Load() > 0 {
		q.source.arm(q.what)
	}
}

// setWaiters is called with the lock.
func (q *waitQueue) setWaiters(waiters []chan struct{}) {
	q.waiters = waiters
	q.waiting.Store(int32(len(waiters)))
}

// ready takes a report of the poller: it ends the waiting if the object has closed, and wakes one
// goroutine if what they wait for is reported.
func (q *waitQueue) ready(what uint32) {
	switch {
	case what&C.WTGRAM_READY_CLOSED != 0:
		q.end()
	case what&q.what != 0:
		q.wakeOne()
	}
}

func (q *waitQueue) wakeOne() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiters) > 0 {
		q.waiters[0] <- struct{}{}
		q.setWaiters(q.waiters[1:])
	}
}

// wakeAll wakes all goroutines, for a change that concerns all of them.
func (q *waitQueue) wakeAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, waiter := range q.waiters {
		waiter <- struct{}{}
	}
	q.setWaiters(nil)
}

func (q *waitQueue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	for _, waiter := range q.waiters {
		waiter <- struct{}{}
	}
	q.setWaiters(nil)
}
