package netfake

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// rough is a link on which much goes wrong.
var rough = Faults{Loss: 0.1, Duplicate: 0.05, Reorder: 0.1, ReorderBy: 5 * time.Millisecond}

// speech is one direction of a conversation.
type speech struct {
	key    uint64
	length int
	chunk  int // bytes of a Write at most
	got    []byte
}

// bytes returns what is sent.
func (s *speech) bytes() []byte {
	b := make([]byte, s.length)
	rng := rand.NewChaCha8([32]byte{byte(s.key), byte(s.key >> 8), byte(s.key >> 16)})
	rng.Read(b)
	return b
}

// send writes it in chunks and closes it.
func (s *speech) send(t TB, c net.Conn) {
	for b := s.bytes(); len(b) > 0; {
		n, err := c.Write(b[:min(len(b), s.chunk)])
		if err != nil {
			t.Errorf("write: %v", err)
			return
		}
		b = b[n:]
	}
	if err := c.(*TCPConn).CloseWrite(); err != nil {
		t.Errorf("CloseWrite: %v", err)
	}
}

func (s *speech) receive(t TB, c net.Conn) {
	var err error
	if s.got, err = io.ReadAll(c); err != nil {
		t.Errorf("read: %v", err)
	}
}

// converse has both ends send at once, and reports the connection's links.
func converse(t TB, w *World, from string, faults Faults, there, back *speech) (up, down LinkStats) {
	server := w.Internet().HostAt(Sydney, "server", "203.0.113.10")
	client := w.Internet().HostAt(Melbourne, "client", from)
	server.Uplink().Link().SetFaults(faults)
	client.Uplink().Link().SetFaults(faults)
	l, err := server.Listen("tcp", ":7777")
	if err != nil {
		t.Fatalf("%v", err)
	}
	c, err := client.Dial("tcp", "203.0.113.10:7777")
	if err != nil {
		t.Fatalf("%v", err)
	}
	var group sync.WaitGroup
	group.Go(func() { there.send(t, c) }) // the handshake's last ACK may be lost: data ends it too
	group.Go(func() { back.receive(t, c) })
	s, err := l.Accept()
	if err != nil {
		t.Fatalf("%v", err)
	}
	group.Go(func() { back.send(t, s) })
	group.Go(func() { there.receive(t, s) })
	group.Wait()
	c.Close()
	s.Close()
	for _, s := range []*speech{there, back} {
		if !bytes.Equal(s.got, s.bytes()) {
			t.Errorf("%d bytes were sent, %d arrived, not the same", s.length, len(s.got))
		}
	}
	return client.Uplink().Link().Stats(), server.Uplink().Link().Stats()
}

// often returns how often a test does something, unless NETSPEC_STRESS says more: a tenth
// as often where tests are to be short.
func often(n int) int {
	if more, err := strconv.Atoi(os.Getenv("NETSPEC_STRESS")); err == nil {
		return more
	}
	if testing.Short() {
		return n / 10
	}
	return n
}

// Whatever the links do, both streams of a connection arrive whole and in order, a thousand
// times. NETSPEC_STRESS=10000 go test -run '^TestStress$' ./netfake does it more often.
func TestStress(t *testing.T) {
	var sum LinkStats
	for i := range often(1000) {
		rng := rand.New(rand.NewPCG(uint64(i), 0))
		draw := func() *speech {
			return &speech{key: rng.Uint64(), length: rng.IntN(1 << (4 + rng.IntN(17))), chunk: 1 << (4 + rng.IntN(17))}
		}
		there, back := draw(), draw()
		there.chunk, back.chunk = max(there.chunk, there.length/1000), max(back.chunk, back.length/1000)
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			RunConfig(t, Config{Seed: uint64(i) + 1}, func(t *testing.T, w *World) {
				up, down := converse(t, w, "198.51.100.20", rough, there, back)
				sum.Carried += up.Carried + down.Carried
				sum.Lost += up.Lost + down.Lost
				sum.Duplicated += up.Duplicated + down.Duplicated
				sum.Reordered += up.Reordered + down.Reordered
			})
		})
	}
	t.Logf("%+v", sum)
	if sum.Lost == 0 || sum.Duplicated == 0 || sum.Reordered == 0 {
		t.Errorf("the links did too little: %+v", sum)
	}
}
