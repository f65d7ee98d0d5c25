package wtgram

// #include "bridge.h"
import "C"

import (
	"runtime"
	"sync"
)

// Broadcaster sends one datagram to many members: transports and reliability layers.
type Broadcaster struct {
	handle held[C.wtgram_broadcaster]

	mu      sync.RWMutex
	members map[uint64]*membership // by the id of transport or layer
}

// membership is one stay of a member. A member that leaves and is added again has another one.
type membership struct{ member Member }

// Member is a *Session, *Transport or *Reliability. A session and its transport are the same
// member. A broadcaster keeps its members from being garbage collected.
type Member interface {
	memberID() uint64
	enter(C.wtgram_broadcaster) C.wtgram_status
	quit(C.wtgram_broadcaster) C.wtgram_status
}

func (s *Session) memberID() uint64 { return uint64(s.datagrams.get().id) }

func (s *Session) enter(b C.wtgram_broadcaster) C.wtgram_status {
	return C.wtgram_broadcaster_add_transport(b, s.datagrams.get())
}

func (s *Session) quit(b C.wtgram_broadcaster) C.wtgram_status {
	return C.wtgram_broadcaster_remove_transport(b, s.datagrams.get())
}

func (t *Transport) memberID() uint64                             { return t.session.memberID() }
func (t *Transport) enter(b C.wtgram_broadcaster) C.wtgram_status { return t.session.enter(b) }
func (t *Transport) quit(b C.wtgram_broadcaster) C.wtgram_status  { return t.session.quit(b) }

func (r *Reliability) memberID() uint64 { return uint64(r.handle.get().id) }

func (r *Reliability) enter(b C.wtgram_broadcaster) C.wtgram_status {
	return C.wtgram_broadcaster_add_reliability(b, r.handle.get())
}

func (r *Reliability) quit(b C.wtgram_broadcaster) C.wtgram_status {
	return C.wtgram_broadcaster_remove_reliability(b, r.handle.get())
}

// BroadcasterOptions say what happens to a slow member. It misses the datagrams for which its queue
// has no space. If SlowLimit is not 0, it is removed after that many broadcasts in a row for which
// its queue dropped something.
type BroadcasterOptions struct {
	SlowLimit uint32
}

// NewBroadcaster creates a broadcaster without members.
func NewBroadcaster(options BroadcasterOptions) (*Broadcaster, error) {
	if versionMismatch != nil {
		return nil, versionMismatch
	}
	var c C.wtgram_broadcaster_options
	C.wtgram_broadcaster_options_init(&c)
	if options.SlowLimit > 0 {
		c.slow_policy, c.slow_limit = C.WTGRAM_SLOW_REMOVE, C.uint32_t(options.SlowLimit)
	}
	b := &Broadcaster{members: make(map[uint64]*membership)}
	if err := check(C.wtgram_broadcaster_new(&c, &b.handle.h)); err != nil {
		return nil, err
	}
	runtime.AddCleanup(b, func(handle C.wtgram_broadcaster) { C.wtgram_broadcaster_free(handle) }, b.handle.get())
	return b, nil
}

// Add adds a member. Adding it again has no effect. Add returns ErrClosed if the member or the
// broadcaster is closed.
func (b *Broadcaster) Add(member Member) error {
	defer runtime.KeepAlive(b)
	defer runtime.KeepAlive(member)
	b.mu.Lock()
	defer b.mu.Unlock()
	status := Status(member.enter(b.handle.get()))
	if status == ErrInvalidHandle { // the broadcaster's handle is valid, so the member is gone
		return ErrClosed
	}
	if status != 0 {
		return status
	}
	b.members[member.memberID()] = &membership{member}
	return nil
}

// Remove removes a member. It has no effect if the object is not a member.
func (b *Broadcaster) Remove(member Member) error {
	defer runtime.KeepAlive(b)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.members, member.memberID())
	return check(member.quit(b.handle.get()))
}

// Len returns the number of members that are open.
func (b *Broadcaster) Len() int {
	defer runtime.KeepAlive(b)
	var count C.size_t
	if C.wtgram_broadcaster_get_member_count(b.handle.get(), &count) != C.WTGRAM_OK {
		return 0
	}
	return int(count)
}

// BroadcastResult is the result of a broadcast for one member.
type BroadcastResult struct {
	Member  Member
	Err     error  // nil: queued; ErrQueueFull: dropped for this member; ErrTooLarge: for its path; ErrClosed; or another
	Evicted uint64 // older datagrams that its queue evicted for this one
	Removed bool   // no longer a member: it was closed, or slow too often
}

// Broadcast queues one datagram for every member and waits for none of them. It returns how many
// members queued it, and the result of each member. Members do not affect each other. The error is
// that of the broadcast itself.
func (b *Broadcaster) Broadcast(data []byte, options SendOptions) (accepted int, results []BroadcastResult, err error) {
	defer runtime.KeepAlive(b)
	accepted, results, removed, err := b.send(data, options)
	b.forget(removed)
	return accepted, results, err
}

// send broadcasts, and returns the members that the library has removed, too.
func (b *Broadcaster) send(data []byte, options SendOptions) (accepted int, results []BroadcastResult,
	removed map[uint64]*membership, err error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	all := make([]C.wtgram_broadcast_result, len(b.members)+1)
	var members, taken C.size_t
	status := Status(C.bridge_broadcast(b.handle.get(), (*C.uint8_t)(pointer(data)), C.size_t(len(data)),
		C.int32_t(options.Priority), inMicroseconds(options.TTL), C.uint64_t(options.ReportID), &all[0],
		C.size_t(len(all)), &members, &taken))
	if status != 0 {
		return 0, nil, nil, status
	}
	results = make([]BroadcastResult, min(int(members), len(all)))
	for i := range results {
		c := &all[i]
		results[i] = BroadcastResult{nil, check(c.status), uint64(c.evicted), c.removed != 0}
		kept := b.members[uint64(c.member)]
		if kept == nil {
			continue
		}
		results[i].Member = kept.member
		if results[i].Removed {
			if removed == nil {
				removed = make(map[uint64]*membership)
			}
			removed[uint64(c.member)] = kept
		}
	}
	return int(taken), results, removed, nil
}

// forget removes members that the library has removed, unless the program has added them again meanwhile.
func (b *Broadcaster) forget(removed map[uint64]*membership) {
	if len(removed) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, kept := range removed {
		if b.members[id] == kept {
			delete(b.members, id)
		}
	}
}

// BroadcasterStats are the counters of a broadcaster. Each member of each broadcast is in exactly
// one of Accepted, Dropped, TooLarge, Failed and Closed.
type BroadcasterStats struct {
	Broadcasts, Accepted, Dropped, TooLarge, Failed, Closed, RemovedSlow uint64
}

// Stats returns the current counters.
func (b *Broadcaster) Stats() (BroadcasterStats, error) {
	defer runtime.KeepAlive(b)
	var c C.wtgram_broadcaster_stats
	C.wtgram_broadcaster_stats_init(&c)
	if err := check(C.wtgram_broadcaster_get_stats(b.handle.get(), &c)); err != nil {
		return BroadcasterStats{}, err
	}
	return BroadcasterStats{uint64(c.broadcasts), uint64(c.accepted), uint64(c.dropped), uint64(c.too_large),
		uint64(c.failed), uint64(c.closed), uint64(c.removed_slow)}, nil
}

// Close closes the broadcaster and removes all members, which stay open. Add and Broadcast then
// return ErrClosed. A second Close has no effect.
func (b *Broadcaster) Close() error {
	defer runtime.KeepAlive(b)
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.members)
	_ = C.wtgram_broadcaster_close(b.handle.get()) // after Shutdown it is closed anyway
	return nil
}
