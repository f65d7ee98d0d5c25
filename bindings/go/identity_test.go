package wtgram_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/wtgram"
)

// authority signs certificates for tests.
type authority struct {
	pem         []byte
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "wtgram test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	certificate := must[*x509.Certificate](t)(x509.ParseCertificate(der))
	return &authority{inPEM("CERTIFICATE", der), certificate, key}
}

// sign returns certificate and key, in PEM.
func (a *authority) sign(t testing.TB, names ...string) (certificate, privateKey []byte) {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "wtgram test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key))
	keyDER := must[[]byte](t)(x509.MarshalPKCS8PrivateKey(key))
	return inPEM("CERTIFICATE", der), inPEM("PRIVATE KEY", keyDER)
}

func (a *authority) identity(t testing.TB, names ...string) wtgram.Identity {
	return wtgram.CertificatePEM(a.sign(t, names...))
}

func inPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// attempt connects to the server at this host, without the simulated link, and closes again.
func attempt(t testing.TB, server *wtgram.Server, host string, options ...wtgram.DialOption) error {
	t.Helper()
	_, port, err := net.SplitHostPort(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	session, err := wtgram.Dial(within(t, patience), fmt.Sprintf("https://%s:%s/identity", host, port), options...)
	if err == nil {
		session.Close()
	}
	return err
}

func TestANewIdentityIsForNewConnectionsAndTheRunningSessionGoesOn(t *testing.T) {
	server, url, hash := listen(t)
	client := must[*wtgram.Session](t)(wtgram.Dial(within(t, patience), url, wtgram.WithCertificateHash(hash)))
	defer client.Close()
	accepted := must[*wtgram.Session](t)(server.Accept(within(t, patience)))
	authority := newAuthority(t)
	certificate, key := authority.sign(t)
	folder := t.TempDir()
	files := [2]string{filepath.Join(folder, "chain.pem"), filepath.Join(folder, "key.pem")}
	for i, data := range [][]byte{certificate, key} {
		if err := os.WriteFile(files[i], data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, identity := range []wtgram.Identity{{}, wtgram.SelfSigned("a.example", "b.example"), wtgram.CertificateFiles(files[0], files[1]),
		wtgram.SelfSigned(), wtgram.CertificatePEM(certificate, key)} {
		if err := server.SetIdentity(identity); err != nil {
			t.Fatal(err)
		}
		old := hash
		if hash = must[wtgram.CertificateHash](t)(server.CertificateHash()); hash == old {
			t.Fatal("the hash is the same")
		}
		if err := attempt(t, server, "127.0.0.1", wtgram.WithCertificateHash(old)); !errors.Is(err, wtgram.ErrCertificateHashMismatch) {
			t.Fatal(err)
		}
		if err := attempt(t, server, "127.0.0.1", wtgram.WithCertificateHash(old), wtgram.WithCertificateHash(hash)); err != nil {
			t.Fatal(err)
		}
		if err := client.SendDatagram([]byte("still here")); err != nil {
			t.Fatal(err)
		}
		receive(t, accepted)
	}
	if err := attempt(t, server, "127.0.0.1", wtgram.WithRootCAPEM(authority.pem)); err != nil {
		t.Fatal(err)
	}
}

func TestABadIdentityChangesNothingAndSaysWhy(t *testing.T) {
	server, _, hash := listen(t)
	authority := newAuthority(t)
	certificate, key := authority.sign(t, "localhost")
	_, otherKey := authority.sign(t, "localhost")
	for _, bad := range []struct {
		name     string
		identity wtgram.Identity
		want     error
		text     string
	}{
		{"", wtgram.CertificatePEM(certificate, otherKey), wtgram.ErrKeyMismatch, "public key"},
		{"", wtgram.CertificateFiles("/no/such/file.pem", "key.pem"), wtgram.ErrIdentity, "/no/such/file.pem"},
		{"other.example", wtgram.CertificatePEM(certificate, key), wtgram.ErrCertificateNameMismatch, "other.example"},
		{"127.0.0.1", wtgram.CertificatePEM(certificate, key), wtgram.ErrInvalidArgument, "address"},
		{"", wtgram.SelfSigned("a\x00b"), wtgram.ErrInvalidArgument, "NUL"},
	} {
		var err error
		if bad.name == "" {
			err = server.SetIdentity(bad.identity)
		} else {
			err = server.SetIdentityFor(bad.name, bad.identity)
		}
		if !errors.Is(err, bad.want) || !strings.Contains(err.Error(), bad.text) {
			t.Fatalf("%v, not %v", err, bad.want)
		}
	}
	if err := server.SetIdentityFor("", wtgram.SelfSigned()); !errors.Is(err, wtgram.ErrInvalidArgument) {
		t.Fatal(err)
	}
	if now := must[wtgram.CertificateHash](t)(server.CertificateHash()); now != hash {
		t.Fatal("the hash has changed")
	}
	server.Close()
	if err := server.SetIdentity(wtgram.SelfSigned()); !errors.Is(err, wtgram.ErrClosed) {
		t.Fatal(err)
	}
}

func TestAClientIsShownTheIdentityOfTheNameThatItAsksFor(t *testing.T) {
	server, _, _ := listen(t)
	authority := newAuthority(t)
	trust := wtgram.WithRootCAPEM(authority.pem)
	if err := server.SetIdentityFor("localhost", authority.identity(t, "localhost")); err != nil {
		t.Fatal(err)
	}
	if err := attempt(t, server, "localhost", trust); err != nil {
		t.Fatal(err)
	}
	if err := attempt(t, server, "127.0.0.1", trust); !errors.Is(err, wtgram.ErrCertificateUntrusted) {
		t.Fatal(err)
	}
	if err := server.RemoveIdentity("localhost"); err != nil {
		t.Fatal(err)
	}
	if err := attempt(t, server, "localhost", trust); !errors.Is(err, wtgram.ErrCertificateUntrusted) {
		t.Fatal(err)
	}
	if err := server.RemoveIdentity("localhost"); !errors.Is(err, wtgram.ErrInvalidState) {
		t.Fatal(err)
	}
}

func TestIdentitiesByNameAreThereFromTheStart(t *testing.T) {
	authority := newAuthority(t)
	trust := wtgram.WithRootCAPEM(authority.pem)
	server, _, hash := listen(t, wtgram.WithSelfSigned("first.example", "second.example"),
		wtgram.WithIdentityFor("localhost", authority.identity(t, "localhost")),
		wtgram.WithIdentityFor("*.other.example", wtgram.SelfSigned()))
	if err := attempt(t, server, "localhost", trust); err != nil {
		t.Fatal(err)
	}
	if err := attempt(t, server, "127.0.0.1", trust); !errors.Is(err, wtgram.ErrCertificateUntrusted) {
		t.Fatal(err)
	}
	hashes := func(name string) []wtgram.CertificateHash {
		return must[[]wtgram.CertificateHash](t)(server.CertificateHashes(name))
	}
	next := must[wtgram.CertificateHash](t)(server.NextCertificateHash())
	if !slices.Equal(hashes(""), []wtgram.CertificateHash{hash, next}) || !slices.Equal(hashes("127.0.0.1"), hashes("")) {
		t.Fatal(hashes(""))
	}
	if len(hashes("localhost")) != 1 || len(hashes("a.other.example")) != 2 || slices.Equal(hashes("a.other.example"), hashes("")) {
		t.Fatal(hashes("localhost"), hashes("a.other.example"))
	}
	other := wtgram.WithIdentityFor("other.example", authority.identity(t, "localhost"))
	if _, err := wtgram.Listen("127.0.0.1:0", other); !errors.Is(err, wtgram.ErrCertificateNameMismatch) {
		t.Fatal(err)
	}
}

func TestTheNextCertificateHashIsKnownInAdvance(t *testing.T) {
	server, _, hash := listen(t)
	next := must[wtgram.CertificateHash](t)(server.NextCertificateHash())
	if again := must[wtgram.CertificateHash](t)(server.NextCertificateHash()); next == hash || again != next {
		t.Fatal(hash, next, again)
	}
	if err := server.SetIdentity(newAuthority(t).identity(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := server.NextCertificateHash(); !errors.Is(err, wtgram.ErrInvalidState) {
		t.Fatal(err)
	}
}
