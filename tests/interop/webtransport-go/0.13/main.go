// webtransport-go 0.13, which speaks draft 15, as one end of the echo test (../echo has its command line).
package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"
	"wtgram.test/echo"
)

func main() {
	echo.Main(echo.Peer{Module: "github.com/quic-go/webtransport-go", Connect: connect, Serve: serve})
}

type session struct{ *webtransport.Session }

func (s session) Send(data []byte) error                      { return s.SendDatagram(data) }
func (s session) Receive(ctx context.Context) ([]byte, error) { return s.ReceiveDatagram(ctx) }
func (s session) Ended() <-chan struct{}                      { return s.Context().Done() }
func (s session) Protocol() string                            { return s.SessionState().ApplicationProtocol }
func (s session) Close(code uint32, reason string) error {
	return s.CloseWithError(webtransport.SessionErrorCode(code), reason)
}

// Largest: only the error for a datagram that is too large says how large one may be; the quarter stream id, 0 in one
// byte, is part of it.
func (s session) Largest() int {
	var tooLarge *quic.DatagramTooLargeError
	if errors.As(s.SendDatagram(make([]byte, 65000)), &tooLarge) {
		return int(tooLarge.MaxDatagramPayloadSize) - 1
	}
	return 0
}

// Closed: the session keeps the error to itself, and returns it from every call that opens or accepts a stream.
func (s session) Closed() echo.Closed {
	_, err := s.AcceptStream(context.Background())
	var closed *webtransport.SessionError
	if errors.As(err, &closed) && closed.Remote {
		return echo.Closed{ByPeer: true, Code: uint32(closed.ErrorCode), Reason: closed.Message}
	}
	return echo.Closed{Reason: err.Error()}
}

func connect(ctx context.Context, arguments *echo.Arguments) (echo.Session, error) {
	parsed, err := url.Parse(arguments.URL)
	if err != nil {
		return nil, err
	}
	// Not Transport.Dial: it closes the QUIC connection as soon as the session is closed, mostly before the message with
	// code and reason has left, also with its own server. Here the end of the program closes the connection.
	config := &quic.Config{EnableDatagrams: true, EnableStreamResetPartialDelivery: true}
	quicConn, err := quic.DialAddr(ctx, parsed.Host, arguments.ClientTLS(), config)
	if err != nil {
		return nil, err
	}
	transport := webtransport.Transport{ApplicationProtocols: arguments.Protocols}
	conn, err := transport.NewClientConn(quicConn)
	if err != nil {
		return nil, err
	}
	response, dialed, err := conn.Dial(ctx, arguments.URL, nil)
	return session{dialed}, echo.RefusedIf(err, response)
}

func serve(ctx context.Context, arguments *echo.Arguments, handle func(echo.Session, string)) error {
	config, err := arguments.ServerTLS()
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	server := webtransport.Server{H3: &http3.Server{TLSConfig: config, Handler: mux}}
	if arguments.Protocol != "" {
		server.ApplicationProtocols = []string{arguments.Protocol}
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == echo.RefusedPath {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		accepted, err := server.Upgrade(w, r)
		if err != nil {
			echo.Say("error", "message", err.Error())
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		handle(session{accepted}, r.URL.Path)
	})
	echo.Say("listening", "port", conn.LocalAddr().(*net.UDPAddr).Port, "version", arguments.Version)
	context.AfterFunc(ctx, func() { server.Close() })
	return server.Serve(conn)
}
