package wtgram

// #include "bridge.h"
import "C"

import (
	"crypto/x509"
	"runtime"
)

// Identity is a certificate chain with its private key: how to get it, or how to make it. The zero
// value makes a self-signed certificate, as SelfSigned does.
type Identity struct {
	source                   uint32
	certificateFile, keyFile string
	certificatePEM, keyPEM   []byte
	names                    []string
}

// SelfSigned makes a new self-signed certificate for these names. Browsers accept it by its hash. It
// is valid for 14 days, and renews itself after 12: Server.NextCertificateHash. Without names it is
// for the name under which the server shows it. If it has none, it is for localhost, 127.0.0.1 and
// ::1.
func SelfSigned(names ...string) Identity {
	return Identity{source: C.WTGRAM_IDENTITY_SELF_SIGNED, names: names}
}

// CertificateFiles takes the certificate chain, leaf first, and the key from PEM files.
func CertificateFiles(certificate, key string) Identity {
	return Identity{source: C.WTGRAM_IDENTITY_PEM_FILES, certificateFile: certificate, keyFile: key}
}

// CertificatePEM takes the certificate chain, leaf first, and the key as PEM.
func CertificatePEM(certificate, key []byte) Identity {
	return Identity{source: C.WTGRAM_IDENTITY_PEM_BYTES, certificatePEM: certificate, keyPEM: key}
}

// c returns the identity for C. What it refers to stays where it is until the pinner unpins.
func (i Identity) c(pinner *runtime.Pinner) (c C.wtgram_identity_options, err error) {
	C.wtgram_identity_options_init(&c)
	c.identity = C.uint32_t(i.source)
	if c.certificate_file, err = pinnedText(pinner, i.certificateFile); err != nil {
		return c, err
	}
	if c.private_key_file, err = pinnedText(pinner, i.keyFile); err != nil {
		return c, err
	}
	c.certificate_pem, c.certificate_pem_length = pinnedBytes(pinner, i.certificatePEM)
	c.private_key_pem, c.private_key_pem_length = pinnedBytes(pinner, i.keyPEM)
	names := make([]*C.char, len(i.names))
	for n, name := range i.names {
		if names[n], err = pinnedText(pinner, name); err != nil {
			return c, err
		}
	}
	c.self_signed_names, c.self_signed_names_count = pinnedArray(pinner, names)
	return c, nil
}

// namedIdentity is an identity for clients that ask for a name.
type namedIdentity struct {
	serverName string
	identity   Identity
}

// setTLS sets identities, client certificates and the key log in C's options.
func (l *listenConfig) setTLS(pinner *runtime.Pinner, c *C.wtgram_listen_options) error {
	var identity Identity
	if l.identity != nil {
		identity = *l.identity
	}
	own, err := identity.c(pinner)
	if err != nil {
		return err
	}
	c.identity = own.identity
	c.certificate_file, c.private_key_file = own.certificate_file, own.private_key_file
	c.certificate_pem, c.certificate_pem_length = own.certificate_pem, own.certificate_pem_length
	c.private_key_pem, c.private_key_pem_length = own.private_key_pem, own.private_key_pem_length
	c.self_signed_names, c.self_signed_names_count = own.self_signed_names, own.self_signed_names_count
	named := make([]C.wtgram_named_identity, len(l.named))
	for n, one := range l.named {
		identity, err := one.identity.c(pinner)
		if err != nil {
			return err
		}
		named[n].identity, _ = pinnedArray(pinner, []C.wtgram_identity_options{identity})
		if named[n].server_name, err = pinnedText(pinner, one.serverName); err != nil {
			return err
		}
	}
	c.named_identities, c.named_identities_count = pinnedArray(pinner, named)
	c.client_certificates = C.uint32_t(l.clientCertificates)
	c.client_ca_pem, c.client_ca_pem_length = pinnedBytes(pinner, l.clientCAPEM)
	if c.client_ca_file, err = pinnedText(pinner, l.clientCAFile); err != nil {
		return err
	}
	c.key_log_file, err = pinnedText(pinner, l.keyLogFile)
	return err
}

// setTLS sets the client's identity and the key log in C's options.
func (d *dialConfig) setTLS(pinner *runtime.Pinner, c *C.wtgram_connect_options) (err error) {
	if c.key_log_file, err = pinnedText(pinner, d.keyLogFile); err != nil || d.identity == nil {
		return err
	}
	identity, err := d.identity.c(pinner)
	c.identity, _ = pinnedArray(pinner, []C.wtgram_identity_options{identity})
	return err
}

// PeerCertificates returns the certificates that the peer has shown: its own first, then those of
// the authorities above it. There are none of a client that showed none.
func (s *Session) PeerCertificates() ([]*x509.Certificate, error) {
	defer runtime.KeepAlive(s)
	var count C.size_t
	if status := C.wtgram_session_get_peer_certificate_count(s.handle.get(), &count); status != C.WTGRAM_OK {
		return nil, s.failure(Status(status))
	}
	certificates := make([]*x509.Certificate, count)
	for i := range certificates {
		var length C.size_t
		C.wtgram_session_get_peer_certificate(s.handle.get(), C.size_t(i), nil, 0, &length)
		der := make([]byte, length)
		status := C.wtgram_session_get_peer_certificate(s.handle.get(), C.size_t(i), (*C.uint8_t)(pointer(der)), length, &length)
		if status != C.WTGRAM_OK {
			return nil, s.failure(Status(status))
		}
		var err error
		if certificates[i], err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
	}
	return certificates, nil
}

// CertificateHashes returns the hashes for clients that ask for the host serverName: that of the
// current certificate and, if it is self-signed, that of the next one. "" stands for the default
// identity.
func (s *Server) CertificateHashes(serverName string) ([]CertificateHash, error) {
	defer runtime.KeepAlive(s)
	name, err := optionalText(serverName)
	if err != nil {
		return nil, err
	}
	hashes := make([]CertificateHash, 2)
	var count C.size_t
	status := C.wtgram_server_get_certificate_hashes(s.handle.get(), (*C.char)(pointer(name)),
		(*C.uint8_t)(pointer(hashes[0][:])), C.size_t(len(hashes)), &count)
	if status == C.WTGRAM_ERROR_INVALID_HANDLE {
		return nil, ErrClosed
	}
	return hashes[:count], check(status)
}

// NextCertificateHash returns the hash of the certificate that will take the place of a self-signed
// one. A self-signed certificate is shown for 12 days, and this one for the 12 days after. Give
// clients both hashes. It returns ErrInvalidState if the default identity is not self-signed.
func (s *Server) NextCertificateHash() (CertificateHash, error) {
	defer runtime.KeepAlive(s)
	var hash CertificateHash
	status := C.wtgram_server_get_next_certificate_hash(s.handle.get(), (*C.uint8_t)(pointer(hash[:])))
	if status == C.WTGRAM_ERROR_INVALID_HANDLE {
		return hash, ErrClosed
	}
	return hash, check(status)
}

// SetIdentity changes the default identity of the server. New connections get it at once; running
// sessions go on. If the identity cannot be used, nothing changes, and the error says why.
func (s *Server) SetIdentity(identity Identity) error { return s.setIdentity("", identity) }

// SetIdentityFor changes or adds the identity that is shown to clients that ask for serverName
// (SNI), a DNS name, for example "game.example" or "*.game.example". Clients that ask for no name
// that is known get the default identity.
func (s *Server) SetIdentityFor(serverName string, identity Identity) error {
	if serverName == "" {
		return ErrInvalidArgument
	}
	return s.setIdentity(serverName, identity)
}

// RemoveIdentity removes the identity for serverName. It returns ErrInvalidState if there is none.
func (s *Server) RemoveIdentity(serverName string) error {
	defer runtime.KeepAlive(s)
	name, err := texts(serverName)
	if err != nil {
		return err
	}
	status := C.wtgram_server_remove_identity(s.handle.get(), (*C.char)(pointer(name)))
	if status == C.WTGRAM_ERROR_INVALID_HANDLE {
		return ErrClosed
	}
	return check(status)
}

func (s *Server) setIdentity(serverName string, identity Identity) error {
	defer runtime.KeepAlive(s)
	var pinner runtime.Pinner
	defer pinner.Unpin()
	options, err := identity.c(&pinner)
	if err != nil {
		return err
	}
	name, err := pinnedText(&pinner, serverName)
	if err != nil {
		return err
	}
	detail := make([]byte, 256)
	status := C.wtgram_server_set_identity(s.handle.get(), name, &options, (*C.char)(pointer(detail)), C.size_t(len(detail)))
	switch status {
	case C.WTGRAM_OK:
		return nil
	case C.WTGRAM_ERROR_INVALID_HANDLE:
		return ErrClosed
	}
	return &Error{"set identity", Status(status), detailOf(detail)}
}
