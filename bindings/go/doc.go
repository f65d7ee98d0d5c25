// Package wtgram sends and receives WebTransport datagrams.
//
//	session, err := wtgram.Dial(ctx, "https://example.com:4433/chat")
//	...
//	err = session.SendDatagram([]byte("hello"))
//	data, err := session.ReceiveDatagram(ctx)
//	session.CloseWithError(0, "bye")
//
// It is a thin layer over libwtgram, called through cgo. [Dial], and [Listen] with [Server.Accept],
// give a [Session]. Its methods are those of other WebTransport packages for Go.
// [Session.Transport] gives its [Transport], which has options, batches, outcomes, settings and
// statistics. [Reliability] carries messages that are acknowledged, [Structured] values of Go
// types; [Broadcaster] sends one datagram to many sessions; [Monitor] raises alerts.
//
// All methods may be called from any goroutine. Close may be called more than once. Objects that
// are garbage collected are closed.
//
// The module has no public home yet. In go.mod, replace it by its folder in the source tree:
//
//	require example.com/wtgram v0.0.0
//	replace example.com/wtgram => /path/to/wtgram/bindings/go
//
// # Sending
//
// Sending queues a datagram and does not wait. [QueueOptions] limit the queue and say what happens
// when it is full: by default the oldest datagram of the lowest priority is dropped. Under
// [FullWait] sending waits, until its context ends or the datagram's TTL passes. Batches
// ([Transport.SendBatch], [Transport.ReceiveBatch], [Structured.SendBatch]) need fewer calls into
// C; small datagrams are then about twice as fast.
//
// # Waiting
//
// A goroutine that waits in a method with a context holds no operating-system thread. The process
// has one poller of the library; Go's network poller watches its descriptor, and one goroutine
// distributes wake-ups. Three things do hold a thread, and are bounded: [Dial] (16 at a time,
// others wait; a cancelled one gives its place back at once, and its thread when the library's own
// timeout ends), [Transport.ThroughputTest] (4), and the first moments of a wait, which up to 4
// goroutines, always fewer than GOMAXPROCS, spend in the library: at most 0.2 ms to receive and 6
// ms to send. A context ends a wait within that time. [Reliability.Drain] checks for its end at
// most every 20 ms. [Shutdown] holds its thread.
//
// # Errors
//
// An error of the library is a [Status], or an [*Error] with details that wraps one: errors.Is(err,
// wtgram.ErrTooLarge). Calls that fail because the session ended return a [*SessionError];
// errors.Is finds ErrClosed and net.ErrClosed in it. A context that ends a wait returns its own
// error. Timeouts satisfy net.Error.
//
// # The library
//
// [ConfigureRuntime] sets options of the library before anything else is called. [ConfigureLog] sends log lines to a
// [log/slog.Logger]. [Prometheus] returns the figures of the process. [Shutdown] closes everything and tells the peers.
//
// By default the package asks pkg-config for wtgram. Two build tags change that: wtgram_static links the static archive
// (found by pkg-config, too), and wtgram_dev takes header and library from the source tree of this package.
package wtgram
