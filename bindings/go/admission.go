package wtgram

// #include "bridge.h"
import "C"

import (
	"math"
	"runtime"
	"time"
)

// ServerLimits say what the clients of a server may use up. The defaults suit a server on the
// internet, and leave enough for many clients behind one address. Zero fields keep the library's
// defaults. A negative value stands for 0: no limit, if nothing else is said. Server.Stats counts
// each refusal by its reason.
type ServerLimits struct {
	// Connections of one address: an IPv4 address, or an IPv6 network of 64 bits. Default 2048.
	MaxSessionsPerAddress int
	// Connections that one address may open in a second, and five times as many at once after a
	// quiet time. Clients above it must prove their address, and are refused if they are too fast
	// then, too. Default 200.
	ConnectionsPerSecondPerAddress int
	// Connections whose session is not established yet, at least 1. When there are more, the one
	// that has waited longest ends. Default 1024.
	MaxHalfOpen int
	// With so many of them, clients must prove their address before they cost memory (Retry, RFC 9000
	// section 8.1.2), which takes one more round trip; negative: always. Default 64.
	RetryAboveHalfOpen int
	// Bytes of header fields in a request, counted as RFC 9114 section 4.2.2 says, at least 1.
	// Clients above it get HTTP status 431. Default 16384; more than 65536 has no effect.
	MaxHeaderBytes int
	// Header fields in a request. Clients above it get HTTP status 431. Negative: none is allowed.
	// Default 100; more than 123 has no effect.
	MaxHeaderFields int
	// Length of a path with its query, in bytes, at least 1. Clients above it get HTTP status 414.
	// Default 4096.
	MaxPathBytes int
	// Datagrams, and bytes of payload, that one session may send to the server in a second. Those
	// above it are dropped and counted. By default there is no limit.
	DatagramsPerSecond, BytesPerSecond int64
	// How long an established session may wait for Accept. Default 30 s.
	AcceptTimeout time.Duration
	// Memory that clients may make the server hold, in bytes: datagrams that wait to be received, and
	// an estimate of 40 KiB for each connection. Above it, clients are refused, and datagrams are
	// dropped instead of a queue growing. Default 1 GiB.
	MaxMemoryBytes int64
}

func (l ServerLimits) c() (c C.wtgram_server_limits) {
	C.wtgram_server_limits_init(&c)
	setCount(&c.max_sessions_per_address, l.MaxSessionsPerAddress)
	setCount(&c.connections_per_second_per_address, l.ConnectionsPerSecondPerAddress)
	setCount(&c.max_half_open, l.MaxHalfOpen)
	setCount(&c.retry_above_half_open, l.RetryAboveHalfOpen)
	setCount(&c.max_header_bytes, l.MaxHeaderBytes)
	setCount(&c.max_header_fields, l.MaxHeaderFields)
	setCount(&c.max_path_bytes, l.MaxPathBytes)
	setUnlessZero(&c.datagrams_per_second, uint64(max(0, l.DatagramsPerSecond)))
	setUnlessZero(&c.bytes_per_second, uint64(max(0, l.BytesPerSecond)))
	setOrZero(&c.accept_timeout_us, inMicroseconds(l.AcceptTimeout))
	if l.MaxMemoryBytes != 0 {
		c.max_memory_bytes = C.uint64_t(max(0, l.MaxMemoryBytes))
	}
	return c
}

// setCount keeps the library's default if value is zero. A negative value sets 0.
func setCount(to *C.uint32_t, value int) {
	if value != 0 {
		*to = C.uint32_t(min(max(0, int64(value)), math.MaxUint32))
	}
}

// admissionConfig says whom a server lets in.
type admissionConfig struct {
	allowedOrigins, allowedAuthorities, allowedPaths []string
	limits                                           ServerLimits
	asks                                             bool
}

// WithAllowedOrigins sets the origins of the web pages that may connect, each as scheme, host and
// port, for example "https://example.com:8443"; "*" allows all. Pages of other origins get HTTP
// status 403. By default pages of the host that the request is for may connect, from any port.
// (localhost and 127.0.0.1 are two hosts.) Clients that send no origin, as programs other than
// browsers do, are not affected.
func WithAllowedOrigins(origins ...string) ListenOption {
	return listenOption(func(c *listenConfig) { c.allowedOrigins = origins })
}

// WithAllowedAuthorities sets the hosts that clients may ask for, each with or without a port. Other
// requests get HTTP status 421. By default all are allowed.
func WithAllowedAuthorities(hosts ...string) ListenOption {
	return listenOption(func(c *listenConfig) { c.allowedAuthorities = hosts })
}

// WithAllowedPaths sets the paths that clients may ask for, without query; with * at the end, all
// that begin like this. Other requests get HTTP status 404. By default all are allowed.
func WithAllowedPaths(paths ...string) ListenOption {
	return listenOption(func(c *listenConfig) { c.allowedPaths = paths })
}

// WithSubprotocols sets the names of subprotocols, the best first. A client offers them. A server
// picks the first one that the client offers, or none; after WithRequests, Request.Accept or Upgrade
// picks instead. Session.Subprotocol returns what was picked.
func WithSubprotocols(names ...string) Option {
	return option(func(c *commonConfig) { c.subprotocols = names })
}

// WithServerLimits sets what clients may use up.
func WithServerLimits(limits ServerLimits) ListenOption {
	return listenOption(func(c *listenConfig) { c.limits = limits })
}

// WithRequests lets the program decide about each client. It gets their requests from
// Server.NextRequest or Server.Serve, and no sessions from Server.Accept.
func WithRequests() ListenOption {
	return listenOption(func(c *listenConfig) { c.asks = true })
}

// setAdmission sets the fields about admission in C's options. What they refer to stays where it is
// until the pinner unpins.
func (l *listenConfig) setAdmission(pinner *runtime.Pinner, c *C.wtgram_listen_options) (err error) {
	for _, list := range []struct {
		texts []string
		to    ***C.char
		count *C.size_t
	}{
		{l.allowedOrigins, &c.allowed_origins, &c.allowed_origins_count},
		{l.allowedAuthorities, &c.allowed_authorities, &c.allowed_authorities_count},
		{l.allowedPaths, &c.allowed_paths, &c.allowed_paths_count},
		{l.subprotocols, &c.subprotocols, &c.subprotocols_count},
	} {
		if *list.to, *list.count, err = pinnedTexts(pinner, list.texts); err != nil {
			return err
		}
	}
	c.limits, _ = pinnedArray(pinner, []C.wtgram_server_limits{l.limits.c()})
	if l.asks {
		c.admission = C.WTGRAM_ADMISSION_REQUESTS
	}
	return nil
}
