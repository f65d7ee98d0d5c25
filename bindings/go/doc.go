// Package wtgram sends and receives WebTransport datagrams.
//
//	session, err := wtgram.Dial(ctx, "https://example.com:4433/chat")
//	...
//	err = session.SendDatagram([]byte("hello"))
//	data, err := session.ReceiveDatagram(ctx)
//	session.CloseWithError(0, "bye")
//
// It is a thin layer over libwtgram, reached through cgo. [Dial] and [Listen] with [Server.Accept]
// give a [Session], whose methods are those of other WebTransport packages for Go.
// [Session.Datagrams] gives its [Transport]: all that can be set, asked and counted, priorities,
// TTLs and outcomes. Above stand [Reliability] for messages that are acknowledged, [Structured] for
// values of Go types, [Broadcaster] for one datagram to many sessions and [Monitor] for alerts.
//
// All methods may be called from any goroutine. Close is idempotent everywhere. Objects that are
// garbage collected are closed.
//
// # Sending
//
// Sending queues a datagram and does not wait. [QueueOptions] say how much may be queued, and what
// happens beyond: by default the oldest of the lowest priority makes room; under [FullWait] sending
// waits, for as long as its context and the datagram's TTL allow. Batches ([Session.SendDatagrams],
// [Session.ReceiveDatagrams], [Structured.SendBatch]) share the crossings into C among their
// datagrams: with small ones, about twice as many a second.
//
// # Waiting
//
// A goroutine that waits, wherever a method takes a context, holds no operating-system thread: one
// poller of the library stands for all objects of the process, its descriptor is watched by Go's
// own network poller, and one goroutine hands out wake-ups. Three things do hold a thread, and are
// bounded: Dial (16 at a time, more wait; one that is cancelled gives its place back at once, and
// its thread when the library's own time-out ends), [Transport.ThroughputTest] (4), and the first
// moments of a wait, which up to 4 goroutines, always fewer than GOMAXPROCS, spend inside the
// library, at most 0.2 ms to receive and 6 ms to send. Contexts end a wait within that time.
// [Reliability.Drain] looks for the end of what is under way, at most every 20 ms. [Shutdown] holds
// its thread.
//
// # Errors
//
// What the library reports is a [Status], wrapped in an [*Error] that may say more: errors.Is(err, wtgram.ErrTooLarge).
// Whatever ends with its session is a [*SessionError]; it is ErrClosed, and net.ErrClosed, to errors.Is. A context that
// ends a wait gives its own error. Timeouts satisfy net.Error.
//
// # The library
//
// [ConfigureRuntime] says how many threads run the protocol, before anything else is called;
// [ConfigureLog] sends log lines to a [log/slog.Logger]; [Prometheus] is the figures of the
// process; [Shutdown] ends everything and tells the peers.
//
// By default the package asks pkg-config for wtgram. Two build tags change that: wtgram_static links the static archive
// (found by pkg-config too), wtgram_dev takes header and library from the source tree that this package lies in.
package wtgram
