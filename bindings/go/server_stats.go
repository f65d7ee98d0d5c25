package wtgram

// #include "bridge.h"
import "C"

import (
	"runtime"
	"time"
)

// ServerStats are what a server has counted since it listens.
type ServerStats struct {
	Connections uint64 // now, half-open ones included
	HalfOpen    uint64 // connections now whose session is not established yet
	Established uint64 // sessions
	NotAccepted uint64 // sessions that ended because they were not accepted in time
	Retries     uint64 // times that a client had to prove its address first
	Ignored     uint64 // first packets dropped because too many waited to be looked at; clients send them again

	// Connections refused, by the limit: WithMaxSessions, and those of ServerLimits.
	RefusedSessions, RefusedAddress, RefusedRate, RefusedMemory uint64
	// Requests refused by the rules: WithAllowedOrigins, WithAllowedAuthorities, WithAllowedPaths.
	RefusedOrigin, RefusedAuthority, RefusedPath uint64
	// Requests refused by the limits of paths and header fields, and by WithAcceptBacklog.
	RefusedPathLength, RefusedHeaders, RefusedBacklog uint64
	// Requests that the program rejected, or left unanswered.
	Rejected       uint64
	RefusedStopped uint64 // connections and requests after StopListening

	// Handshakes that failed: they took too long; TLS failed, for example because the client does not
	// trust the certificate; the client closed the connection or was lost; it broke the protocol or
	// does not speak WebTransport; they ended because of MaxHalfOpen.
	FailedTimedOut, FailedTLS, FailedLost, FailedProtocol, FailedEvicted uint64
	FailedClientCertificate                                              uint64 // the client showed none that is accepted

	// Time from the first packet of a client to its session: the sum over all sessions, and the
	// longest. It includes the program's time to answer the request. After a Retry, the packet that
	// proves the address counts as the first.
	HandshakeTime, LongestHandshake time.Duration

	// Datagrams dropped, by the limit: DatagramsPerSecond or BytesPerSecond, and MaxMemoryBytes.
	DatagramsOverRate, DatagramsOverMemory uint64
	MemoryBytes                            uint64 // that clients make the server hold now
}

// Stats returns what the server has counted since it listens.
func (s *Server) Stats() (ServerStats, error) {
	defer runtime.KeepAlive(s)
	var c C.wtgram_server_stats
	C.wtgram_server_stats_init(&c)
	if err := s.failure(C.wtgram_server_get_stats(s.handle.get(), &c)); err != nil {
		return ServerStats{}, err
	}
	return ServerStats{
		Connections: uint64(c.connections), HalfOpen: uint64(c.half_open), Established: uint64(c.established),
		NotAccepted: uint64(c.not_accepted), Retries: uint64(c.retries), Ignored: uint64(c.ignored),
		RefusedSessions: uint64(c.refused_sessions), RefusedAddress: uint64(c.refused_address),
		RefusedRate: uint64(c.refused_rate), RefusedMemory: uint64(c.refused_memory),
		RefusedOrigin: uint64(c.refused_origin), RefusedAuthority: uint64(c.refused_authority),
		RefusedPath: uint64(c.refused_path), RefusedPathLength: uint64(c.refused_path_length),
		RefusedHeaders: uint64(c.refused_headers), RefusedBacklog: uint64(c.refused_backlog),
		Rejected: uint64(c.rejected), RefusedStopped: uint64(c.refused_stopped),
		FailedTimedOut: uint64(c.failed_timed_out), FailedTLS: uint64(c.failed_tls), FailedLost: uint64(c.failed_lost),
		FailedProtocol: uint64(c.failed_protocol), FailedEvicted: uint64(c.failed_evicted),
		FailedClientCertificate: uint64(c.failed_client_certificate),
		HandshakeTime:           microseconds(c.handshake_time_us), LongestHandshake: microseconds(c.longest_handshake_us),
		DatagramsOverRate: uint64(c.datagrams_over_rate), DatagramsOverMemory: uint64(c.datagrams_over_memory),
		MemoryBytes: uint64(c.memory_bytes),
	}, nil
}

// Prometheus returns the statistics of the server as OpenMetrics 1.0 text, labelled with the address
// of the server. Serve it as "application/openmetrics-text; version=1.0.0; charset=utf-8".
func (s *Server) Prometheus() (string, error) {
	defer runtime.KeepAlive(s)
	text, err := readText(func(text *C.char, capacity C.size_t, length *C.size_t) Status {
		return Status(C.wtgram_server_get_prometheus(s.handle.get(), text, capacity, length))
	})
	if err == ErrInvalidHandle {
		err = ErrClosed
	}
	return text, err
}

func (s *Server) failure(status C.wtgram_status) error {
	if status == C.WTGRAM_ERROR_INVALID_HANDLE {
		return ErrClosed
	}
	return check(status)
}
