// Package wtgram sends and receives WebTransport datagrams.
//
//	session, err := wtgram.Dial(ctx, "https://example.com:4433/chat")
//	...
//	err = session.SendDatagram([]byte("hello"))
//	data, err := session.ReceiveDatagram(ctx)
//	session.CloseWithError(0, "bye")
//
// It is a thin layer over libwtgram, reached through cgo. A goroutine that waits (in [Session.ReceiveDatagram],
// [Server.Accept], or for room to send) holds no operating-system thread: one poller of the library stands for all
// objects of the process, its descriptor is watched by Go's own network poller, and one goroutine hands out wake-ups.
//
// # Linking
//
// By default the package asks pkg-config for wtgram. Two build tags change that: wtgram_static links the static archive
// (found by pkg-config too), wtgram_dev takes header and library from the source tree that this package lies in.
//
// # Errors
//
// What the library reports is a [Status], wrapped in an [*Error] that may say more: errors.Is(err, wtgram.ErrTooLarge).
// Whatever ends with its session is a [*SessionError]; it is ErrClosed, and net.ErrClosed, to errors.Is. A context that
// ends a wait gives its own error. Timeouts satisfy net.Error.
package wtgram
