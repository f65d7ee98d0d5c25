package wtgram

// #include "bridge.h"
import "C"

import (
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// pump is the process's one poller of the library and the goroutine that reads its events. The poller's descriptor is
// watched by Go's network poller, so that nobody's waiting costs a thread.
type pump struct {
	poller  C.wtgram_poller
	file    *os.File
	mu      sync.Mutex
	sources map[uint64]*source // by cookie
	next    uint64
	dead    bool       // the library was shut down
	calls   sync.Mutex // around changes of what is watched

	lingering chan C.wtgram_poller
}

var thePump = sync.OnceValues(startPump)

func startPump() (*pump, error) {
	if versionMismatch != nil {
		return nil, versionMismatch
	}
	p := &pump{sources: make(map[uint64]*source)}
	if err := check(C.wtgram_poller_new(&p.poller)); err != nil {
		return nil, err
	}
	var err error
	if p.lingering, err = lingerPollers(); err != nil {
		return nil, err
	}
	var fd C.int
	if err := check(C.wtgram_poller_get_fd(p.poller, &fd)); err != nil {
		return nil, err
	}
	// The library owns fd; ours is a duplicate, which Go may close. Both share the non-blocking mode.
	own, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return nil, fmt.Errorf("wtgram: duplicating the poller's descriptor: %w", errno)
	}
	if err := syscall.SetNonblock(int(own), true); err != nil {
		return nil, fmt.Errorf("wtgram: the poller's descriptor: %w", err)
	}
	p.file = os.NewFile(own, "wtgram-poller")
	raw, err := p.file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("wtgram: the poller's descriptor: %w", err)
	}
	go p.run(raw)
	return p, nil
}

func (p *pump) run(raw syscall.RawConn) {
	events := make([]C.wtgram_event, 256)
	// Go's poller is edge-triggered: it may sleep only after the library said that nothing is ready. From then
	// on, each object that becomes ready makes the descriptor readable again.
	_ = raw.Read(func(uintptr) bool {
		for {
			count := C.bridge_poller_wait(p.poller, &events[0], C.size_t(len(events)))
			if count == C.WTGRAM_ERROR_WOULD_BLOCK || count == C.WTGRAM_ERROR_TIMED_OUT {
				return false
			}
			if count < 0 {
				return true
			}
			for _, event := range events[:count] {
				p.mu.Lock()
				s := p.sources[uint64(event.cookie)]
				p.mu.Unlock()
				if s != nil {
					s.fired(uint32(event.ready))
				}
			}
		}
	})
	p.mu.Lock()
	p.dead = true
	left := p.sources
	p.sources = make(map[uint64]*source)
	p.mu.Unlock()
	for _, s := range left {
		s.ready(C.WTGRAM_READY_CLOSED)
	}
}

// source is one object in the poller. It is reported once for each time it is armed: an object that
// is ready while nobody wants to know costs nothing.
type source struct {
	pump   *pump
	object C.uint64_t
	cookie uint64
	ready  func(what uint32) // called by the pump; must not block

	mu    sync.Mutex
	armed uint32
	added bool // to the poller
}

func (p *pump) source(object C.uint64_t, ready func(what uint32)) *source {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	s := &source{pump: p, object: object, cookie: p.next, ready: ready}
	if !p.dead {
		p.sources[s.cookie] = s
	}
	return s
}

// arm asks for one report of `what`. The end of the object is reported in any case; if that is past, at once.
func (s *source) arm(what uint32) {
	s.mu.Lock()
	if s.armed|what == s.armed {
		s.mu.Unlock()
		return
	}
	err := s.tell(s.armed | what)
	s.mu.Unlock()
	if err != nil {
		s.ready(C.WTGRAM_READY_CLOSED)
	}
}

// tell says to the poller what is wanted now. A thousand goroutines may want to at once: they queue
// here, as goroutines, and not in the library, as threads.
func (s *source) tell(wanted uint32) error {
	s.pump.calls.Lock()
	defer s.pump.calls.Unlock()
	interest := C.uint32_t(wanted | C.WTGRAM_READY_ONE_SHOT)
	var err error
	if s.added {
		err = check(C.wtgram_poller_modify(s.pump.poller, s.object, interest, C.uint64_t(s.cookie)))
	} else {
		err = check(C.wtgram_poller_add(s.pump.poller, s.object, interest, C.uint64_t(s.cookie)))
	}
	if err == nil {
		s.armed, s.added = wanted, true
	}
	return err
}

func (s *source) fired(what uint32) {
	s.mu.Lock()
	left := s.armed &^ what
	s.armed = 0
	if left != 0 && what&C.WTGRAM_READY_CLOSED == 0 && s.tell(left) != nil {
		what |= C.WTGRAM_READY_CLOSED
	}
	s.mu.Unlock()
	s.ready(what)
}

// forget takes the object out for good; before its handle is freed.
func (s *source) forget() {
	s.pump.mu.Lock()
	delete(s.pump.sources, s.cookie)
	s.pump.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.added {
		s.pump.calls.Lock()
		defer s.pump.calls.Unlock()
		_ = C.wtgram_poller_remove(s.pump.poller, s.object) // it may have left by itself
	}
}

// waitQueue holds the goroutines that wait for one kind of readiness of one object, first come, first served.
type waitQueue struct {
	source  *source
	what    uint32
	lingers []linger

	mu      sync.Mutex
	waiters []chan struct{}
	ended   bool // no one waits: every try has its final answer
}

// until calls try until it says something else than "would block", and waits in between.
func (q *waitQueue) until(ctx context.Context, try func() (blocked bool)) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !try() {
			q.next()
			return nil
		}
		for _, l := range q.lingers {
			if !q.linger(l) {
				break
			}
			if !try() {
				q.next()
				return nil
			}
		}
		wake, ended := q.join()
		if ended {
			// What came in between the try and the end decides.
			if !try() {
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

// linger says whether it is worth trying again, after lingering. Nobody lingers who would overtake others.
func (q *waitQueue) linger(l linger) bool {
	q.mu.Lock()
	alone := len(q.waiters) == 0 && !q.ended
	q.mu.Unlock()
	return alone && q.source.pump.linger(q.source.object, l)
}

func (q *waitQueue) join() (wake chan struct{}, ended bool) {
	q.mu.Lock()
	if q.ended {
		q.mu.Unlock()
		return nil, true
	}
	wake = make(chan struct{}, 1)
	q.waiters = append(q.waiters, wake)
	q.mu.Unlock()
	// After joining: what became ready since the try is reported at once.
	q.next()
	return wake, false
}

// leave gives up. Who was woken meanwhile hands the wake-up on.
func (q *waitQueue) leave(wake chan struct{}) {
	q.mu.Lock()
	for i, waiter := range q.waiters {
		if waiter == wake {
			q.waiters = append(q.waiters[:i], q.waiters[i+1:]...)
			q.mu.Unlock()
			return
		}
	}
	q.mu.Unlock()
	q.next()
}

// next sees to it that the others hear of what is left, if anything is.
func (q *waitQueue) next() {
	q.mu.Lock()
	waiting := len(q.waiters) > 0
	q.mu.Unlock()
	if waiting {
		q.source.arm(q.what)
	}
}

func (q *waitQueue) wakeOne() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiters) > 0 {
		q.waiters[0] <- struct{}{}
		q.waiters = q.waiters[1:]
	}
}

// wakeAll is for news that concern everybody who waits.
func (q *waitQueue) wakeAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, waiter := range q.waiters {
		waiter <- struct{}{}
	}
	q.waiters = nil
}

func (q *waitQueue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	for _, waiter := range q.waiters {
		waiter <- struct{}{}
	}
	q.waiters = nil
}
