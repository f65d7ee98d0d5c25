// Package ends has what the ends of `make bench` in Go share, whatever carries their datagrams. Each
// end runs in a process of its own. They take the same commands as the C program in benches/c, and
// count in the same way:
//
//	receive FORM                                    prints LISTENING <port> <hash>, then one line of JSON
//	send FORM <port> <hash> <size_bytes> <seconds>
//	echo-server
//	echo-client <port> <hash> <size_bytes> <seconds>
package ends

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	sequenceBytes     = 8
	datagramsPerStamp = 64 // reading the clock takes a tenth of the time that a datagram takes
)

// Program is a program of `make bench`.
type Program struct {
	Name       string
	Forms      []string // of Receive and Send
	Receive    func(form string)
	Send       func(form string, target Target)
	EchoServer func()
	EchoClient func(target Target)
}

// Main runs the program.
func (p Program) Main() {
	log.SetFlags(0)
	log.SetPrefix(p.Name + ": ")
	arguments := os.Args[1:]
	command, form := "", ""
	if len(arguments) > 0 {
		command, arguments = arguments[0], arguments[1:]
	}
	if (command == "receive" || command == "send") && len(arguments) > 0 && slices.Contains(p.Forms, arguments[0]) {
		form, arguments = arguments[0], arguments[1:]
	}
	switch {
	case command == "receive" && form != "" && len(arguments) == 0:
		p.Receive(form)
	case command == "send" && form != "" && len(arguments) == 4:
		p.Send(form, parseTarget(arguments))
	case command == "echo-server" && len(arguments) == 0:
		p.EchoServer()
	case command == "echo-client" && len(arguments) == 4:
		p.EchoClient(parseTarget(arguments))
	default:
		forms := strings.Join(p.Forms, "|")
		fmt.Fprintf(os.Stderr, "usage: %s receive %s\n", p.Name, forms)
		fmt.Fprintf(os.Stderr, "       %s send %s <port> <hash> <size_bytes> <seconds>\n", p.Name, forms)
		fmt.Fprintf(os.Stderr, "       %s echo-server\n", p.Name)
		fmt.Fprintf(os.Stderr, "       %s echo-client <port> <hash> <size_bytes> <seconds>\n", p.Name)
		os.Exit(2)
	}
}

// Target says where to connect, and what to send.
type Target struct {
	Port      string
	Hash      [32]byte // of the server's certificate
	SizeBytes int
	Duration  time.Duration
}

func parseTarget(arguments []string) Target {
	size, err := strconv.Atoi(arguments[2])
	Check(err)
	seconds, err := strconv.ParseFloat(arguments[3], 64)
	Check(err)
	if size < sequenceBytes || seconds <= 0 {
		log.Fatal("a datagram carries an 8-byte sequence number, and the time is positive")
	}
	target := Target{Port: arguments[0], SizeBytes: size, Duration: time.Duration(seconds * float64(time.Second))}
	if count, err := hex.Decode(target.Hash[:], []byte(arguments[1])); err != nil || count != len(target.Hash) {
		log.Fatal("a certificate hash is 64 hexadecimal digits")
	}
	return target
}

// Listening says where the server listens.
func Listening(port int, certificateHash [32]byte) {
	fmt.Printf("LISTENING %d %x\n", port, certificateHash)
}

// Check ends the program if there is an error.
func Check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Report prints the line that the runner reads.
func Report(figures map[string]any) { Check(json.NewEncoder(os.Stdout).Encode(figures)) }

// Payload returns a datagram to send.
func Payload(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = 0xa5
	}
	return data
}

// PutSequence numbers a datagram.
func PutSequence(payload []byte, sequence uint64) { binary.BigEndian.PutUint64(payload, sequence) }

func getSequence(payload []byte) uint64 { return binary.BigEndian.Uint64(payload) }
