// Package echo is the echo test for peers in Go (../../echo_test.py says what both ends do): command line, both loops,
// and the reports as one JSON object a line.
//
//	PEER server --certificate FILE --key FILE [--close-code N] [--close-reason TEXT] [--protocol NAME] [--seconds S]
//	PEER client URL --hash HEX [--count N] [--closer client|server] [--close-code N] [--close-reason TEXT]
//	     [--protocols A,B] [--seconds S]
package echo

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// RefusedPath is the path of requests that a server refuses with status 404.
const RefusedPath = "/missing"

// Session is what the loops need of a peer's session.
type Session interface {
	Send(data []byte) error
	// Receive returns an error when the context ends or the session.
	Receive(ctx context.Context) ([]byte, error)
	// Largest returns the size of the largest datagram that can be sent now.
	Largest() int
	Close(code uint32, reason string) error
	// Ended is closed when the session has ended. Then Closed says how.
	Ended() <-chan struct{}
	Closed() Closed
	Protocol() string
}

// Closed is the end of a session: by the peer with a code, or for another reason.
type Closed struct {
	ByPeer bool
	Code   uint32
	Reason string
}

// Refused is the error of a client that got no session. Status is 0 if there was no HTTP answer.
type Refused struct {
	Status int
	Err    error
}

func (r *Refused) Error() string { return r.Err.Error() }

// Arguments are the command line of both roles.
type Arguments struct {
	URL, Hash, Certificate, Key, Protocol string
	Protocols                             []string
	Version                               string

	isServer, serverCloses bool
	count                  int
	closeCode              uint
	closeReason            string
	limit                  time.Duration
}

// Peer is a program: a client connects, a server calls handle for each session.
type Peer struct {
	// Module is the path of the module that it tests.
	Module  string
	Connect func(ctx context.Context, arguments *Arguments) (Session, error)
	Serve   func(ctx context.Context, arguments *Arguments, handle func(session Session, path string)) error
}

// Main runs the program and exits.
func Main(peer Peer) {
	arguments, err := parse(os.Args[1:])
	if err == nil {
		arguments.Version = versionOf(peer.Module)
		err = run(peer, arguments)
	}
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		var status any
		if refused.Status != 0 {
			status = refused.Status
		}
		Say("refused", "version", arguments.Version, "status", status, "message", refused.Error())
		os.Exit(1)
	}
	if err != nil {
		Say("error", "message", err.Error())
		os.Exit(1)
	}
}

func run(peer Peer, arguments *Arguments) error {
	ctx, cancel := context.WithTimeout(context.Background(), arguments.limit+20*time.Second)
	defer cancel()
	if !arguments.isServer {
		return client(ctx, peer, arguments)
	}
	return peer.Serve(ctx, arguments, func(session Session, path string) { serve(ctx, session, path, arguments) })
}

func parse(words []string) (*Arguments, error) {
	if len(words) == 0 || words[0] != "server" && (words[0] != "client" || len(words) < 2) {
		return nil, errors.New("usage: peer server|client URL [options]")
	}
	arguments := &Arguments{isServer: words[0] == "server"}
	words = words[1:]
	if !arguments.isServer {
		arguments.URL, words = words[0], words[1:]
	}
	flags := flag.NewFlagSet("peer", flag.ContinueOnError)
	flags.StringVar(&arguments.Hash, "hash", "", "SHA-256 of the server's certificate")
	flags.StringVar(&arguments.Certificate, "certificate", "", "PEM file")
	flags.StringVar(&arguments.Key, "key", "", "PEM file")
	flags.StringVar(&arguments.Protocol, "protocol", "", "subprotocol that a server selects")
	protocols := flags.String("protocols", "", "subprotocols that a client offers")
	closer := flags.String("closer", "client", "client or server")
	flags.IntVar(&arguments.count, "count", 1000, "payloads")
	flags.UintVar(&arguments.closeCode, "close-code", 0, "code of the session's close")
	flags.StringVar(&arguments.closeReason, "close-reason", "", "its reason")
	seconds := flags.Float64("seconds", 60, "longest time")
	err := flags.Parse(words)
	if *protocols != "" {
		arguments.Protocols = strings.Split(*protocols, ",")
	}
	arguments.serverCloses = *closer == "server"
	arguments.limit = time.Duration(*seconds * float64(time.Second))
	return arguments, err
}

func versionOf(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return strings.TrimPrefix(dependency.Version, "v")
			}
		}
	}
	return ""
}

// ClientTLS trusts the certificate with the hash.
func (a *Arguments) ClientTLS() *tls.Config {
	return &tls.Config{
		NextProtos:         []string{"h3"},
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if hash := sha256.Sum256(state.PeerCertificates[0].Raw); hex.EncodeToString(hash[:]) != a.Hash {
				return errors.New("another certificate")
			}
			return nil
		},
	}
}

// ServerTLS has the certificate of the command line.
func (a *Arguments) ServerTLS() (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(a.Certificate, a.Key)
	return &tls.Config{NextProtos: []string{"h3"}, Certificates: []tls.Certificate{certificate}}, err
}

// RefusedIf returns a Refused with the status of the answer, if there is one, when err is an error.
func RefusedIf(err error, response *http.Response) error {
	if err == nil {
		return nil
	}
	refused := &Refused{Err: err}
	if response != nil {
		refused.Status = response.StatusCode
	}
	return refused
}

// Say prints a report.
func Say(event string, namesAndValues ...any) {
	line := map[string]any{"event": event}
	for i := 0; i < len(namesAndValues); i += 2 {
		line[namesAndValues[i].(string)] = namesAndValues[i+1]
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}
