package wtgram

// #include "bridge.h"
import "C"

import (
	"os"
	"time"
)

// CertificateHash is the SHA-256 of a certificate. Browsers take it in serverCertificateHashes.
type CertificateHash [C.WTGRAM_CERTIFICATE_HASH_LENGTH]byte

// FullPolicy says what happens to a datagram when the outgoing queue is full.
type FullPolicy uint32

const (
	FullEvict  FullPolicy = C.WTGRAM_FULL_EVICT  // the oldest datagram of the lowest priority is evicted (the default)
	FullReject FullPolicy = C.WTGRAM_FULL_REJECT // sending fails with ErrQueueFull
	FullWait   FullPolicy = C.WTGRAM_FULL_WAIT   // sending waits
)

// DropPolicy says which datagram is dropped when the incoming queue is full.
type DropPolicy uint32

const (
	DropOldest DropPolicy = C.WTGRAM_DROP_OLDEST // the oldest one in the queue (the default)
	DropNewest DropPolicy = C.WTGRAM_DROP_NEWEST // the one that arrives
)

// QueueOptions are options of a session's queues. Zero fields keep the library's defaults.
type QueueOptions struct {
	OutgoingMaxDatagrams, OutgoingMaxBytes uint64
	OutgoingMaxAge                         time.Duration
	IncomingMaxDatagrams, IncomingMaxBytes uint64
	IncomingMaxAge                         time.Duration
	WhenOutgoingFull                       FullPolicy
	WhenIncomingFull                       DropPolicy
	OutgoingHighWaterMark                  uint64 // in datagrams; the low-water mark is half of it
	OutcomeCapacity                        uint64 // how many outcomes may be pending or not fetched
}

type commonConfig struct {
	identity     *Identity
	connection   C.wtgram_connection_options
	transport    C.wtgram_transport_options
	subprotocols []string
	keyLogFile   string
}

func (c *commonConfig) init() {
	C.wtgram_connection_options_init(&c.connection)
	C.wtgram_transport_options_init(&c.transport)
}

type dialConfig struct {
	commonConfig
	timeout          time.Duration
	trust            uint32
	caFile, bindHost string
	caPEM, hashes    []byte
	headers          []string // name, value, name, value
}

type listenConfig struct {
	commonConfig
	named              []namedIdentity
	clientCertificates ClientCertificates
	clientCAFile       string
	clientCAPEM        []byte
	handshakeTimeout   time.Duration
	acceptBacklog      uint32
	maxSessions        int64 // negative: the default
	socket             *os.File
	lanes              uint32
	serverID           []byte
	serverIDRotation   uint32
	admissionConfig
}

// DialOption is an option of Dial.
type DialOption interface{ dial(*dialConfig) }

// ListenOption is an option of Listen.
type ListenOption interface{ listen(*listenConfig) }

// Option is an option of both Dial and Listen.
type Option interface {
	DialOption
	ListenOption
}

type dialOption func(*dialConfig)

func (o dialOption) dial(c *dialConfig) { o(c) }

type listenOption func(*listenConfig)

func (o listenOption) listen(c *listenConfig) { o(c) }

type option func(*commonConfig)

func (o option) dial(c *dialConfig)     { o(&c.commonConfig) }
func (o option) listen(c *listenConfig) { o(&c.commonConfig) }

// WithCertificateHash trusts the certificate with this hash instead of the system's roots. It may
// be used several times.
func WithCertificateHash(hash CertificateHash) DialOption {
	return dialOption(func(c *dialConfig) {
		c.trust = C.WTGRAM_TRUST_CERTIFICATE_HASHES
		c.hashes = append(c.hashes, hash[:]...)
	})
}

// WithRootCAFile trusts the CAs of a PEM file instead of the system's roots.
func WithRootCAFile(path string) DialOption {
	return dialOption(func(c *dialConfig) { c.trust, c.caFile = C.WTGRAM_TRUST_CA, path })
}

// WithRootCAPEM trusts the CAs in this PEM text instead of the system's roots.
func WithRootCAPEM(pem []byte) DialOption {
	return dialOption(func(c *dialConfig) { c.trust, c.caPEM = C.WTGRAM_TRUST_CA, pem })
}

// WithInsecureSkipVerify does not verify the server's certificate. Use it only in tests.
func WithInsecureSkipVerify() DialOption {
	return dialOption(func(c *dialConfig) { c.trust = C.WTGRAM_TRUST_INSECURE_NO_VERIFICATION })
}

// WithTimeout limits the time of Dial (default 10 s). The context's deadline applies, too.
func WithTimeout(timeout time.Duration) DialOption {
	return dialOption(func(c *dialConfig) { c.timeout = timeout })
}

// WithHeader adds a header field to the request. It may be used several times.
func WithHeader(name, value string) DialOption {
	return dialOption(func(c *dialConfig) { c.headers = append(c.headers, name, value) })
}

// WithBindHost sets the local IP address to connect from.
func WithBindHost(address string) DialOption {
	return dialOption(func(c *dialConfig) { c.bindHost = address })
}

// WithIdentity sets certificate and key. A server that is given none makes a self-signed one. A
// client shows its identity only to servers that ask for it; it must not be self-signed.
func WithIdentity(identity Identity) Option {
	return option(func(c *commonConfig) { c.identity = &identity })
}

// ClientCertificates says whether a server asks clients for a certificate (mutual TLS).
type ClientCertificates uint32

const (
	ClientCertificatesOff      ClientCertificates = C.WTGRAM_CLIENT_CERTIFICATES_OFF      // it does not ask (the default)
	ClientCertificatesOptional ClientCertificates = C.WTGRAM_CLIENT_CERTIFICATES_OPTIONAL // a client may show one, but no bad one
	ClientCertificatesRequired ClientCertificates = C.WTGRAM_CLIENT_CERTIFICATES_REQUIRED // a client must show a good one
)

// WithClientCAFile asks clients for a certificate that a CA of this PEM file has signed.
func WithClientCAFile(wanted ClientCertificates, path string) ListenOption {
	return listenOption(func(c *listenConfig) { c.clientCertificates, c.clientCAFile = wanted, path })
}

// WithClientCAPEM asks clients for a certificate that a CA in this PEM text has signed.
func WithClientCAPEM(wanted ClientCertificates, pem []byte) ListenOption {
	return listenOption(func(c *listenConfig) { c.clientCertificates, c.clientCAPEM = wanted, pem })
}

// WithIdentityFor adds an identity for clients that ask for serverName (SNI), a DNS name, for example
// "game.example" or "*.game.example". It may be used several times. Clients that ask for none of the
// names get the identity of WithIdentity.
func WithIdentityFor(serverName string, identity Identity) ListenOption {
	return listenOption(func(c *listenConfig) { c.named = append(c.named, namedIdentity{serverName, identity}) })
}

// WithSelfSigned creates a self-signed certificate for these names. It is the default, for
// localhost and its addresses.
func WithSelfSigned(names ...string) ListenOption { return WithIdentity(SelfSigned(names...)) }

// WithCertificateFiles takes the certificate chain, leaf first, and the key from PEM files.
func WithCertificateFiles(certificate, key string) ListenOption {
	return WithIdentity(CertificateFiles(certificate, key))
}

// WithCertificatePEM takes the certificate chain, leaf first, and the key as PEM.
func WithCertificatePEM(certificate, key []byte) ListenOption {
	return WithIdentity(CertificatePEM(certificate, key))
}

// WithHandshakeTimeout sets the deadline of each client for TLS handshake, SETTINGS and CONNECT
// together, and with WithRequests for the program's answer, too (default 10 s).
func WithHandshakeTimeout(timeout time.Duration) ListenOption {
	return listenOption(func(c *listenConfig) { c.handshakeTimeout = timeout })
}

// WithAcceptBacklog sets how many established sessions may wait for Accept (default 128). With
// WithRequests it is how many requests may wait for an answer, also those that NextRequest has
// returned and that handlers of Serve have.
func WithAcceptBacklog(sessions uint32) ListenOption {
	return listenOption(func(c *listenConfig) { c.acceptBacklog = sessions })
}

// WithMaxSessions limits the number of connections of the server, including handshakes in progress
// (default 16384); 0 means no limit.
func WithMaxSessions(sessions uint32) ListenOption {
	return listenOption(func(c *listenConfig) { c.maxSessions = int64(sessions) })
}

// WithSocket lets the server use a UDP socket that is bound already, for example by systemd
// (os.NewFile(3, "socket")) or to a privileged port. The address of Listen must then be empty. The
// server uses a duplicate: the file stays yours, and you may close it after Listen. Only one server
// at a time can use a socket.
func WithSocket(socket *os.File) ListenOption {
	return listenOption(func(c *listenConfig) { c.socket = socket })
}

// WithLanes says on how many lanes the server's sessions are, each with a socket on the same port;
// 0, the default, means all of RuntimeOptions.Lanes, or one with WithSocket.
func WithLanes(count uint32) ListenOption {
	return listenOption(func(c *listenConfig) { c.lanes = count })
}

// WithServerID sets the server's id for a load balancer that reads connection ids in the plaintext
// form of draft-ietf-quic-load-balancers: 1 to 11 bytes. The rotation is the number of the
// balancers' configuration, 0 to 6.
func WithServerID(id []byte, rotation uint32) ListenOption {
	return listenOption(func(c *listenConfig) { c.serverID, c.serverIDRotation = id, rotation })
}

// WithKeyLogFile appends the TLS secrets of each connection to a file, so that Wireshark can decrypt
// what was captured. No environment variable does that. Whoever reads the file can read and forge
// the traffic: use it to debug, and delete it.
func WithKeyLogFile(path string) Option {
	return option(func(c *commonConfig) { c.keyLogFile = path })
}

// WithKeepAlive sets the interval of keep-alive packets (default 10 s; 0 = none).
func WithKeepAlive(interval time.Duration) Option {
	return option(func(c *commonConfig) { c.connection.keep_alive_us = inMicroseconds(interval) })
}

// WithIdleTimeout ends the connection when nothing arrives for this long (default 30 s; 0 = never).
func WithIdleTimeout(timeout time.Duration) Option {
	return option(func(c *commonConfig) { c.connection.idle_timeout_us = inMicroseconds(timeout) })
}

// WithSocketBuffers sets the requested sizes of the UDP socket's buffers, in bytes; 0 requests 4
// MiB. The system may grant less.
func WithSocketBuffers(receive, send uint64) Option {
	return option(func(c *commonConfig) {
		c.connection.socket_receive_buffer_bytes, c.connection.socket_send_buffer_bytes = C.uint64_t(receive), C.uint64_t(send)
	})
}

// CongestionController is an algorithm of congestion control.
type CongestionController uint32

const (
	CongestionCUBIC   CongestionController = C.WTGRAM_CONGESTION_CUBIC    // RFC 9438 (the default)
	CongestionBBR     CongestionController = C.WTGRAM_CONGESTION_BBR      // experimental
	CongestionNewReno CongestionController = C.WTGRAM_CONGESTION_NEW_RENO // RFC 9002
)

// WithCongestionController sets the congestion control algorithm.
func WithCongestionController(which CongestionController) Option {
	return option(func(c *commonConfig) { c.connection.congestion_controller = C.uint32_t(which) })
}

// WithQueues sets the options of each session's queues.
func WithQueues(queues QueueOptions) Option {
	return option(func(c *commonConfig) {
		setUnlessZero(&c.transport.outgoing_max_datagrams, queues.OutgoingMaxDatagrams)
		setUnlessZero(&c.transport.outgoing_max_bytes, queues.OutgoingMaxBytes)
		setUnlessZero(&c.transport.incoming_max_datagrams, queues.IncomingMaxDatagrams)
		setUnlessZero(&c.transport.incoming_max_bytes, queues.IncomingMaxBytes)
		setUnlessZero(&c.transport.outgoing_high_water_mark, queues.OutgoingHighWaterMark)
		setUnlessZero(&c.transport.outcome_capacity, queues.OutcomeCapacity)
		c.transport.outgoing_max_age_us = inMicroseconds(queues.OutgoingMaxAge)
		c.transport.incoming_max_age_us = inMicroseconds(queues.IncomingMaxAge)
		c.transport.outgoing_full_policy = C.uint32_t(queues.WhenOutgoingFull)
		c.transport.incoming_drop_policy = C.uint32_t(queues.WhenIncomingFull)
	})
}

// setUnlessZero keeps the library's default if value is zero.
func setUnlessZero(to *C.uint64_t, value uint64) {
	if value != 0 {
		*to = C.uint64_t(value)
	}
}

// setOrZero keeps the library's default if value is zero. A negative value sets 0.
func setOrZero[T C.double | C.int64_t](to *T, value T) {
	if value != 0 {
		*to = max(0, value)
	}
}
