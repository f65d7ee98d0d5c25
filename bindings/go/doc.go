// Package wtgram sends and receives WebTransport datagrams.
//
// A client that sends two datagrams to an echo server and prints the answers:
//
//	func echo(ctx context.Context, url string, hash wtgram.CertificateHash) error {
//		session, err := wtgram.Dial(ctx, url, wtgram.WithCertificateHash(hash))
//		if err != nil {
//			return err
//		}
//		defer session.CloseWithError(0, "bye")
//		if err := session.SendDatagram([]byte("hello")); err != nil {
//			return err
//		}
//		options := wtgram.SendOptions{Priority: 2, TTL: time.Second}
//		if err := session.Transport().Send(ctx, []byte("urgent"), options); err != nil {
//			return err
//		}
//		for range 2 {
//			answer, err := session.ReceiveDatagram(ctx)
//			if err != nil {
//				return err
//			}
//			fmt.Printf("%s\n", answer)
//		}
//		return nil
//	}
//
// The package is a thin layer over the library libwtgram and calls it through cgo. [Dial], and
// [Listen] with [Server.Accept], return a [Session]. Its methods are those of other WebTransport
// packages for Go. [Session.Transport] returns its [Transport], which has options, batches,
// outcomes, settings and statistics. [Reliability] carries messages that are acknowledged.
// [Structured] carries values of Go types. [Broadcaster] sends one datagram to many sessions.
// [Monitor] raises alerts.
//
// All methods may be called from any goroutine. Close may be called more than once. Objects that
// are garbage collected are closed.
//
// # Installation
//
// The module has no public home yet. In go.mod, replace it with its folder in the source tree:
//
//	require example.com/wtgram v0.0.0
//	replace example.com/wtgram => /path/to/wtgram/bindings/go
//
// By default the package finds the library with pkg-config, under the name wtgram. Two build tags
// change that. wtgram_static links the static archive, which pkg-config finds, too. wtgram_dev
// takes header and library from the source tree of this package.
//
// # Who may connect
//
// By default a [Server] refuses web pages of other hosts, and accepts everybody else, within
// [ServerLimits]. [WithAllowedOrigins], [WithAllowedAuthorities] and [WithAllowedPaths] are its rules.
// A program that decides by itself opens the server with [WithRequests]. It then calls
// [Server.NextRequest], and answers each [Request]. Or it calls [Server.Serve] with an http.Handler,
// such as an http.ServeMux with middleware, in which [Upgrade] accepts a request. [Server.Stats]
// counts each refusal by its reason.
//
// # Sending
//
// Sending queues a datagram and does not wait. [QueueOptions] limit the queue and say what happens
// when it is full: by default the oldest datagram of the lowest priority is evicted. Under
// [FullWait] sending waits, until its context ends or the datagram's TTL passes. Batches
// ([Transport.SendBatch], [Transport.ReceiveBatch], [Structured.SendBatch]) need fewer calls into
// C; small datagrams are then about twice as fast.
//
// # Receiving
//
// [Session.ReceiveDatagram] and [Transport.Receive] return a slice that belongs to the program. At
// high rates these slices are most of the cost. [Transport.ReceiveInto] fills a buffer of the
// program instead, and [Transport.ReceiveBatch] a [Batch] of up to 64 datagrams in one call into C.
// [Transport.Batches] is an iterator over batches from a pool.
//
// # Waiting
//
// A goroutine that waits in a method with a context holds no operating-system thread. The process
// has one poller of the library. Go's network poller watches its descriptor, and one goroutine
// distributes wake-ups. These do hold a thread:
//
//   - [Transport.ThroughputTest]: 4 at a time, others wait.
//   - The first moments of a wait: up to 4 goroutines, always fewer than GOMAXPROCS, spend them in
//     the library, at most 5 ms to receive and 6 ms to send. A goroutine that waits there to receive
//     does the work of the library that brings the datagram, so no other thread has to wake it. A
//     deadline of its context is kept, and a cancellation ends the wait within that time.
//   - [Shutdown].
//
// # Errors
//
// An error of the library is a [Status], or an [*Error] with details that wraps one. Compare with
// errors.Is(err, wtgram.ErrTooLarge). [Dial] returns a [*DialError], which says whether to try again
// and has the HTTP status of a rejection. Calls that fail because the session ended return a
// [*SessionError]; errors.Is finds ErrClosed and net.ErrClosed in it. A context that ends a wait
// returns its own error. Timeouts satisfy net.Error.
//
// # The library
//
// [ConfigureRuntime] sets options of the library before the first [Dial] or [Listen].
// [ConfigureLog] sends log lines to a [log/slog.Logger]. [Prometheus] returns the figures of the
// process. [Shutdown] closes everything and notifies the peers.
package wtgram
