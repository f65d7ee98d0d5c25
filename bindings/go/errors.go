package wtgram

// #include "bridge.h"
import "C"

import (
	"fmt"
	"net"
	"os"
)

// Status is an error of the library. Its values are those of the C interface.
type Status int32

const (
	ErrInvalidHandle           Status = C.WTGRAM_ERROR_INVALID_HANDLE
	ErrInvalidArgument         Status = C.WTGRAM_ERROR_INVALID_ARGUMENT
	ErrTimedOut                Status = C.WTGRAM_ERROR_TIMED_OUT
	ErrWouldBlock              Status = C.WTGRAM_ERROR_WOULD_BLOCK
	ErrClosed                  Status = C.WTGRAM_ERROR_CLOSED // wraps net.ErrClosed
	ErrTooLarge                Status = C.WTGRAM_ERROR_TOO_LARGE
	ErrUnsupported             Status = C.WTGRAM_ERROR_UNSUPPORTED
	errBufferTooSmall          Status = C.WTGRAM_ERROR_BUFFER_TOO_SMALL // the package provides the buffers itself
	ErrQueueFull               Status = C.WTGRAM_ERROR_QUEUE_FULL
	ErrLimitReached            Status = C.WTGRAM_ERROR_LIMIT_REACHED
	ErrInvalidState            Status = C.WTGRAM_ERROR_INVALID_STATE
	ErrForked                  Status = C.WTGRAM_ERROR_FORKED
	ErrInternal                Status = C.WTGRAM_ERROR_INTERNAL
	ErrIO                      Status = C.WTGRAM_ERROR_IO
	ErrInvalidURL              Status = C.WTGRAM_ERROR_INVALID_URL
	ErrNameNotResolved         Status = C.WTGRAM_ERROR_NAME_NOT_RESOLVED
	ErrConnectTimeout          Status = C.WTGRAM_ERROR_CONNECT_TIMEOUT // also if no server listens
	ErrConnectionRefused       Status = C.WTGRAM_ERROR_CONNECTION_REFUSED
	ErrCertificateUntrusted    Status = C.WTGRAM_ERROR_CERTIFICATE_UNTRUSTED
	ErrCertificateExpired      Status = C.WTGRAM_ERROR_CERTIFICATE_EXPIRED
	ErrCertificateNameMismatch Status = C.WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH
	ErrCertificateHashMismatch Status = C.WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH
	ErrTLS                     Status = C.WTGRAM_ERROR_TLS
	ErrRejected                Status = C.WTGRAM_ERROR_REJECTED
	ErrProtocol                Status = C.WTGRAM_ERROR_PROTOCOL
	ErrIdentity                Status = C.WTGRAM_ERROR_IDENTITY
	ErrKeyMismatch             Status = C.WTGRAM_ERROR_KEY_MISMATCH
	ErrClientCertificate       Status = C.WTGRAM_ERROR_CLIENT_CERTIFICATE
	ErrSerialization           Status = C.WTGRAM_ERROR_SERIALIZATION   // not acceptable JSON, or an object that does not serialize
	ErrUnknownType             Status = C.WTGRAM_ERROR_UNKNOWN_TYPE    // not in the registry
	ErrDeserialization         Status = C.WTGRAM_ERROR_DESERIALIZATION // a structured datagram that does not decode
	ErrTruncated               Status = C.WTGRAM_ERROR_TRUNCATED       // a structured datagram without a whole type id
)

// Error returns the library's text for the status.
func (s Status) Error() string {
	return "wtgram: " + C.GoString(C.wtgram_status_message(C.int32_t(s)))
}

// String returns the name of the C constant.
func (s Status) String() string { return C.GoString(C.wtgram_status_name(C.int32_t(s))) }

// Timeout makes Status a net.Error.
func (s Status) Timeout() bool { return s == ErrTimedOut || s == ErrConnectTimeout }

// Temporary makes Status a net.Error. It is deprecated there, and always returns false here.
func (s Status) Temporary() bool { return false }

// Unwrap returns the standard library's error for the status, if there is one.
func (s Status) Unwrap() error {
	switch s {
	case ErrClosed:
		return net.ErrClosed
	case ErrTimedOut, ErrConnectTimeout:
		return os.ErrDeadlineExceeded
	}
	return nil
}

var _ net.Error = ErrClosed

// Error is a status with details. Listen and SendJSON return it, and a DialError wraps it.
type Error struct {
	Op     string
	Status Status
	Detail string
}

// Error returns the operation and the details, or the library's text for the status.
func (e *Error) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("wtgram: %s: %s", e.Op, C.GoString(C.wtgram_status_message(C.int32_t(e.Status))))
	}
	return fmt.Sprintf("wtgram: %s: %s", e.Op, e.Detail)
}

// Unwrap returns the status, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Status }

// Timeout makes *Error a net.Error.
func (e *Error) Timeout() bool { return e.Status.Timeout() }

// Temporary makes *Error a net.Error.
func (e *Error) Temporary() bool { return false }

// SessionErrorCode is a code of the application's choice for a close.
type SessionErrorCode uint32

// SessionError says how a session ended. errors.Is finds ErrClosed and net.ErrClosed in it.
type SessionError struct {
	Remote    bool // the peer closed it
	ErrorCode SessionErrorCode
	Message   string
	// TransportError is the QUIC or HTTP/3 error code of a connection that broke without a close.
	// Broken is then true.
	TransportError uint64
	Broken         bool
}

// Error says how the session ended, with code and message.
func (e *SessionError) Error() string {
	switch {
	case e.Broken:
		return fmt.Sprintf("wtgram: the connection broke (code %#x): %q", e.TransportError, e.Message)
	case e.Remote:
		return fmt.Sprintf("wtgram: session closed by the peer: code %d, %q", e.ErrorCode, e.Message)
	}
	return fmt.Sprintf("wtgram: session closed: code %d, %q", e.ErrorCode, e.Message)
}

// Unwrap returns ErrClosed.
func (e *SessionError) Unwrap() error { return ErrClosed }

// check turns a status of the library into an error.
func check[T ~int32](status T) error {
	if status == C.WTGRAM_OK {
		return nil
	}
	return Status(status)
}
