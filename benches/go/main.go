// Wtgram_bench_go is the Go program of `make bench`. It measures the Go package; each end runs in
// its own process. It takes the same commands as the C program in benches/c, and counts in the same
// way.
//
//	wtgram_bench_go receive batch|single                     prints LISTENING <port> <hash>, then one line of JSON
//	wtgram_bench_go send batch|single <port> <hash> <size_bytes> <seconds>
//	wtgram_bench_go echo-server
//	wtgram_bench_go echo-client <port> <hash> <size_bytes> <seconds>
package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"example.com/wtgram"
)

const (
	sequenceBytes     = 8
	datagramsPerStamp = 64 // reading the clock takes a tenth of the time that a datagram takes
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("wtgram_bench_go: ")
	arguments := os.Args[1:]
	command := ""
	if len(arguments) > 0 {
		command = arguments[0]
	}
	batch := len(arguments) > 1 && arguments[1] == "batch"
	form := batch || len(arguments) > 1 && arguments[1] == "single"
	switch {
	case command == "receive" && len(arguments) == 2 && form:
		receive(batch)
	case command == "send" && len(arguments) == 6 && form:
		send(batch, parseTarget(arguments[2:]))
	case command == "echo-server" && len(arguments) == 1:
		echoServer()
	case command == "echo-client" && len(arguments) == 5:
		echoClient(parseTarget(arguments[1:]))
	default:
		fmt.Fprintln(os.Stderr, "usage: wtgram_bench_go receive batch|single")
		fmt.Fprintln(os.Stderr, "       wtgram_bench_go send batch|single <port> <hash> <size_bytes> <seconds>")
		fmt.Fprintln(os.Stderr, "       wtgram_bench_go echo-server")
		fmt.Fprintln(os.Stderr, "       wtgram_bench_go echo-client <port> <hash> <size_bytes> <seconds>")
		os.Exit(2)
	}
}

type target struct {
	port, hash string
	sizeBytes  int
	duration   time.Duration
}

func parseTarget(arguments []string) target {
	size, err := strconv.Atoi(arguments[2])
	check(err)
	seconds, err := strconv.ParseFloat(arguments[3], 64)
	check(err)
	if size < sequenceBytes || seconds <= 0 {
		log.Fatal("a datagram carries an 8-byte sequence number, and the time is positive")
	}
	return target{arguments[0], arguments[1], size, time.Duration(seconds * float64(time.Second))}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// closed reports whether the session has ended. Any other error is fatal.
func closed(err error) bool {
	if !errors.Is(err, wtgram.ErrClosed) {
		check(err)
	}
	return err != nil
}

func report(figures map[string]any) { check(json.NewEncoder(os.Stdout).Encode(figures)) }

func payload(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = 0xa5
	}
	return data
}

func putSequence(payload []byte, sequence uint64) { binary.BigEndian.PutUint64(payload, sequence) }
func getSequence(payload []byte) uint64           { return binary.BigEndian.Uint64(payload) }
