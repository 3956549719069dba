package fabricfake_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// What is written in pieces of any size on both ends at once is read as it was written,
// by several connections that share the world's packets and buffers.
func TestStreamsArriveAsWritten(t *testing.T) {
	w := netfake.New(t, netfake.Config{Instant: true})
	p := newPlace(t, w)
	p.webGroup.AllowIngress("tcp/81", fabricfake.Anywhere)
	l, err := p.web.Listen("tcp", ":81")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for i := range uint64(4) {
		c, err := p.app.Dial("tcp", p.web.Addr().String()+":81")
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		go func() { done <- writeStream(c, 2*i) }()
		go func() { done <- writeStream(s, 2*i+1) }()
		go func() { done <- readStream(t, c, 2*i+1) }()
		go func() { done <- readStream(t, s, 2*i) }()
	}
	for range 16 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

const streamSize = 6 << 20

func stream(seed uint64) []byte {
	b := make([]byte, streamSize)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	r.Read(b)
	return b
}

func writeStream(c net.Conn, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	scratch := make([]byte, 200_000)
	for b := stream(seed); len(b) > 0; {
		n := copy(scratch[:rng.IntN(len(scratch))+1], b)
		if _, err := c.Write(scratch[:n]); err != nil {
			return err
		}
		clear(scratch[:n]) // it is the caller's again
		b = b[n:]
	}
	return nil
}

func readStream(t *testing.T, c net.Conn, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 2))
	want, b := stream(seed), make([]byte, 150_000)
	for len(want) > 0 {
		n, err := c.Read(b[:rng.IntN(len(b))+1])
		if err != nil {
			return err
		}
		if n > len(want) || !bytes.Equal(b[:n], want[:n]) {
			t.Errorf("stream %d differs within %d bytes from %d", seed, n, streamSize-len(want))
			return io.ErrUnexpectedEOF
		}
		want = want[n:]
	}
	return nil
}
