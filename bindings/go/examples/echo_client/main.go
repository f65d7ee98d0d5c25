// Echo_client sends numbered datagrams to an echo server, and compares the echoes byte for byte.
//
//	echo_client --url URL --hash HEX [--seconds S] [--rate PER_SECOND] [--size BYTES]
//
// Its exit codes are those of examples/echo_client.c: 0 if echoes arrived and all were right, 1 if
// something failed, 2 for wrong usage, 3 if no echo arrived, or one that was not sent.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"example.com/wtgram"
)

func main() {
	url := flag.String("url", "", "of the server")
	hash := flag.String("hash", "", "SHA-256 of its certificate, 64 hexadecimal digits")
	seconds := flag.Float64("seconds", 5, "how long to send")
	rate := flag.Float64("rate", 1000, "datagrams a second")
	size := flag.Int("size", 64, "bytes of each, at least 8")
	flag.Parse()
	digest, err := hex.DecodeString(*hash)
	if err != nil || len(digest) != len(wtgram.CertificateHash{}) || *url == "" || *size < 8 || *rate**seconds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	log.SetFlags(0)
	log.SetPrefix("echo_client: ")

	// Echoes have a second to arrive after the last datagram was sent.
	duration := time.Duration(*seconds * float64(time.Second))
	ctx, cancel := context.WithTimeout(context.Background(), duration+time.Second)
	defer cancel()
	session, err := wtgram.Dial(ctx, *url, wtgram.WithCertificateHash(wtgram.CertificateHash(digest)))
	if err != nil {
		log.Fatal(err)
	}
	sentAt := make([]atomic.Int64, int(*rate**seconds)) // by number; 0: not yet sent, or its echo has arrived
	start := time.Now()
	go func() {
		for number := range sentAt {
			time.Sleep(time.Until(start.Add(time.Duration(float64(number) / *rate * float64(time.Second)))))
			sentAt[number].Store(int64(time.Since(start)) + 1)
			if err := session.SendDatagram(payload(*size, uint64(number))); err != nil {
				log.Fatal(err)
			}
		}
	}()
	var rtts []time.Duration
	corrupt := 0
	for len(rtts) < len(sentAt) {
		data, err := session.ReceiveDatagram(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			break
		} else if err != nil {
			log.Fatal(err)
		}
		number := uint64(len(sentAt))
		if len(data) == *size {
			number = binary.LittleEndian.Uint64(data)
		}
		if number >= uint64(len(sentAt)) || !bytes.Equal(data, payload(*size, number)) {
			corrupt++
		} else if at := sentAt[number].Swap(0); at != 0 { // else it is a second copy
			rtts = append(rtts, time.Since(start)-time.Duration(at))
		}
	}
	session.CloseWithError(0, "done")
	if err := wtgram.Shutdown(time.Second); err != nil { // waits until the server was notified
		log.Fatal(err)
	}
	slices.Sort(rtts)
	fmt.Printf("total: sent %d  echoed %d  corrupt %d", len(sentAt), len(rtts), corrupt)
	for _, percent := range []int{50, 90, 99} {
		if len(rtts) > 0 {
			fmt.Printf("  p%d %d us", percent, rtts[len(rtts)*percent/100].Microseconds())
		}
	}
	fmt.Println()
	if len(rtts) == 0 || corrupt > 0 {
		os.Exit(3)
	}
}

// payload returns a number and bytes computed from it. So the number determines the whole datagram.
func payload(size int, number uint64) []byte {
	data := binary.LittleEndian.AppendUint64(make([]byte, 0, size), number)
	for i := uint64(len(data)); i < uint64(size); i++ {
		data = append(data, byte((number+i)*167>>3))
	}
	return data
}
