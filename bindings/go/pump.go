package wtgram

// #include "bridge.h"
import "C"

import (
	"fmt"
	"os"
	"sync"
	"syscall"
)

// pump is the process's only poller of the library, and the goroutine that reads its events. Go's
// network poller watches its descriptor, so that a waiting goroutine holds no thread.
type pump struct {
	poller  C.wtgram_poller
	file    *os.File
	mu      sync.Mutex
	sources map[uint64]*source // by cookie
	next    uint64
	dead    bool       // the library was shut down
	calls   sync.Mutex // held while the set of watched objects changes

	seats seats
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
	if err := p.seats.prepare(); err != nil {
		return nil, err
	}
	var fd C.int
	if err := check(C.wtgram_poller_get_fd(p.poller, &fd)); err != nil {
		return nil, err
	}
	// The library owns fd. This is a duplicate, which Go may close. Both share the non-blocking
	// mode.
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
	// Go's poller is edge-triggered: the pump may sleep only after the library said that nothing is
	// ready. From then on, each object that becomes ready makes the descriptor readable again.
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

// source is one object in the poller. It is reported once each time it is armed, so an object that
// is ready costs nothing while no goroutine waits for it.
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

// arm requests one report of `what`. The end of the object is reported in any case, at once if it
// has ended.
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

// tell sets the present interest in the poller. If a thousand goroutines call it at once, they wait
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

// forget removes the object. Call it before the handle is freed.
func (s *source) forget() {
	s.pump.mu.Lock()
	delete(s.pump.sources, s.cookie)
	s.pump.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.added {
		s.pump.calls.Lock()
		defer s.pump.calls.Unlock()
		_ = C.wtgram_poller_remove(s.pump.poller, s.object) // it may be gone already
	}
}
