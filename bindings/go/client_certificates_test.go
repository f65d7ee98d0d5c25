package wtgram_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/wtgram"
)

// dialAs connects to the server without the simulated link, as somebody who is accepted, and
// returns both ends.
func dialAs(t *testing.T, server *wtgram.Server, options ...wtgram.DialOption) (client, accepted *wtgram.Session) {
	t.Helper()
	_, port, _ := net.SplitHostPort(server.Addr().String())
	client, err := wtgram.Dial(within(t, patience), fmt.Sprintf("https://127.0.0.1:%s/player", port), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	accepted = must[*wtgram.Session](t)(server.Accept(within(t, patience)))
	t.Cleanup(func() { accepted.Close() })
	return client, accepted
}

func TestAServerReadsTheCertificatesOfItsClients(t *testing.T) {
	authority := newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, authority.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	certificate, key := authority.sign(t, "player")
	player := wtgram.WithIdentity(wtgram.CertificatePEM(append(certificate, authority.pem...), key))
	trust := wtgram.WithRootCAPEM(authority.pem)
	for _, wanted := range []wtgram.ListenOption{
		wtgram.WithClientCAFile(wtgram.ClientCertificatesRequired, file),
		wtgram.WithClientCAPEM(wtgram.ClientCertificatesOptional, authority.pem)} {
		server, _, _ := listen(t, wanted, wtgram.WithIdentity(authority.identity(t, "server")))
		client, accepted := dialAs(t, server, trust, player)
		chain := must[[]*x509.Certificate](t)(accepted.PeerCertificates())
		if len(chain) != 2 || chain[0].DNSNames[0] != "player" || !chain[1].Equal(authority.certificate) {
			t.Fatal(chain)
		}
		chain = must[[]*x509.Certificate](t)(client.PeerCertificates())
		if len(chain) != 1 || chain[0].DNSNames[0] != "server" {
			t.Fatal(chain)
		}
	}
}

func TestAHandlerSeesTheCertificateOfItsClient(t *testing.T) {
	authority := newAuthority(t)
	certificate, key := authority.sign(t, "player")
	player := wtgram.WithIdentity(wtgram.CertificatePEM(append(certificate, authority.pem...), key))
	shown := make(chan []*x509.Certificate, 1)
	server, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown <- r.TLS.PeerCertificates
		w.WriteHeader(http.StatusForbidden)
	}), wtgram.WithClientCAPEM(wtgram.ClientCertificatesOptional, authority.pem), wtgram.WithIdentity(authority.identity(t, "127.0.0.1")))
	trust := wtgram.WithRootCAPEM(authority.pem)
	if err := attempt(t, server, "127.0.0.1", trust, player); !errors.Is(err, wtgram.ErrRejected) {
		t.Fatal(err)
	}
	if chain := <-shown; len(chain) != 2 || chain[0].DNSNames[0] != "player" || !chain[1].Equal(authority.certificate) {
		t.Fatal(chain)
	}
	if err := attempt(t, server, "127.0.0.1", trust); !errors.Is(err, wtgram.ErrRejected) {
		t.Fatal(err)
	}
	if chain := <-shown; len(chain) != 0 {
		t.Fatal(chain)
	}
}

func TestAClientWithoutACertificateIsRefusedIfOneIsRequired(t *testing.T) {
	authority := newAuthority(t)
	trust := wtgram.WithRootCAPEM(authority.pem)
	identity := wtgram.WithIdentity(authority.identity(t, "server"))
	server, _, _ := listen(t, identity, wtgram.WithClientCAPEM(wtgram.ClientCertificatesRequired, authority.pem))
	err := attempt(t, server, "127.0.0.1", trust)
	if !errors.Is(err, wtgram.ErrClientCertificate) || !strings.Contains(err.Error(), "requires") {
		t.Fatal(err)
	}
	stranger := wtgram.WithIdentity(newAuthority(t).identity(t, "player"))
	if err := attempt(t, server, "127.0.0.1", trust, stranger); !errors.Is(err, wtgram.ErrClientCertificate) {
		t.Fatal(err)
	}
	selfSigned := wtgram.WithIdentity(wtgram.SelfSigned())
	if err := attempt(t, server, "127.0.0.1", trust, selfSigned); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
	server, _, _ = listen(t, identity, wtgram.WithClientCAPEM(wtgram.ClientCertificatesOptional, authority.pem))
	_, accepted := dialAs(t, server, trust)
	if chain := must[[]*x509.Certificate](t)(accepted.PeerCertificates()); len(chain) != 0 {
		t.Fatal(chain)
	}
}
