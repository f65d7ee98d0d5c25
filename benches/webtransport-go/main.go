// Webtransport_go_bench is webtransport-go as an end of `make bench`, beside the Go package. Package
// ends says what it takes and prints. Its only form is `single`: it has no batches. It counts no
// datagrams that it drops.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"

	"example.com/wtgram/benches/ends"
)

func main() {
	ends.Program{
		Name:  "webtransport_go_bench",
		Forms: []string{"single"},
		Receive: func(string) {
			serve(func(session *webtransport.Session) {
				var arrivals ends.Arrivals
				arrivals.ReceiveSingly(session, closedBy(session))
				arrivals.Report(nil)
			})
		},
		Send: func(_ string, target ends.Target) {
			session := connectTo(target)
			sent := ends.SendSingly(session, target)
			time.Sleep(300 * time.Millisecond) // so that the last datagrams arrive
			ends.Report(map[string]any{"sent": sent})
			closeSession(session)
		},
		EchoServer: func() {
			serve(func(session *webtransport.Session) { ends.Echo(session, closedBy(session)) })
		},
		EchoClient: func(target ends.Target) {
			session := connectTo(target)
			ends.Ping(session, target)
			closeSession(session)
		},
	}.Main()
}

// closedBy returns a function that reports whether an error is the end of the session, and ends the
// program for any other error.
func closedBy(session *webtransport.Session) func(error) bool {
	return func(err error) bool {
		if err != nil && session.Context().Err() == nil {
			// The stream of the session may end just before the session does.
			select {
			case <-session.Context().Done():
			case <-time.After(5 * time.Second):
				ends.Check(err)
			}
		}
		return err != nil
	}
}

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ends.Check(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ends.Check(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serve accepts one session, and returns when `handle` does.
func serve(handle func(session *webtransport.Session)) {
	own := certificate()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	ends.Check(err)
	mux := http.NewServeMux()
	config := &tls.Config{NextProtos: []string{"h3"}, Certificates: []tls.Certificate{own}}
	server := webtransport.Server{H3: &http3.Server{TLSConfig: config, Handler: mux}}
	done := make(chan struct{})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		session, err := server.Upgrade(w, r)
		ends.Check(err)
		handle(session)
		close(done)
	})
	go func() {
		err := server.Serve(conn)
		select {
		case <-done: // closed below
		default:
			ends.Check(err)
		}
	}()
	ends.Listening(conn.LocalAddr().(*net.UDPAddr).Port, sha256.Sum256(own.Certificate[0]))
	<-done
	ends.Check(server.Close())
}

func connectTo(target ends.Target) *webtransport.Session {
	config := &tls.Config{
		NextProtos:         []string{"h3"},
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if sha256.Sum256(state.PeerCertificates[0].Raw) != target.Hash {
				return errors.New("another certificate")
			}
			return nil
		},
	}
	at, err := url.Parse("https://127.0.0.1:" + target.Port + "/")
	ends.Check(err)
	// Not Transport.Dial, which ends the connection before the close of the session has left.
	conn, err := quic.DialAddr(context.Background(), at.Host, config,
		&quic.Config{EnableDatagrams: true, EnableStreamResetPartialDelivery: true})
	ends.Check(err)
	var transport webtransport.Transport
	client, err := transport.NewClientConn(conn)
	ends.Check(err)
	_, session, err := client.Dial(context.Background(), at.String(), nil)
	ends.Check(err)
	return session
}

func closeSession(session *webtransport.Session) {
	ends.Check(session.CloseWithError(0, "done"))
	time.Sleep(300 * time.Millisecond) // for a close message that is on its way
}
