package tcp

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/internal/wire"
)

// TestReassembly throws overlapping stretches of a stream at a machine in any order,
// and compares what can be read with an array that remembers what has come.
func TestReassembly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 400
		isn := rapid.Uint32().Draw(t, "ISN")
		c := Accept(Config{RecvBuffer: size}, discard{}, &wire.TCP{Flags: wire.SYN, Seq: isn}, 1)
		stream := pattern(0, size)
		var came [size]bool
		for range rapid.IntRange(1, 60).Draw(t, "segments") {
			from := rapid.IntRange(0, size-1).Draw(t, "from")
			to := min(size, from+rapid.IntRange(1, 50).Draw(t, "length"))
			h := wire.TCP{Flags: wire.ACK, Seq: isn + 1 + uint32(from), Ack: 1, Window: 1}
			c.Receive(&h, stream[from:to], 1)
			for i := from; i < to; i++ {
				came[i] = true
			}
			checkPieces(t, c)
		}
		want := 0
		for want < size && came[want] {
			want++
		}
		got := make([]byte, size)
		got = got[:c.Read(got, 1)]
		if !bytes.Equal(got, stream[:want]) {
			t.Fatalf("%d bytes can be read, want %d", len(got), want)
		}
	})
}

// checkPieces requires that pieces are sorted, without overlaps, apart from what is in
// order, and inside the window.
func checkPieces(t failer, c *Conn) {
	t.Helper()
	last := c.rcvNxt + 1
	for _, p := range c.pieces {
		if before(p.seq, last) || len(p.data) == 0 || before(c.edge, p.end()) {
			t.Fatalf("piece of %d bytes at %d, after %d, edge %d", len(p.data), p.seq, last, c.edge)
		}
		last = p.end()
	}
}

// discard is a sender of what nobody looks at.
type discard struct{}

func (discard) Send(*wire.TCP, []byte) {}

// TestPiecesAreBounded sends every second byte of a large window.
func TestPiecesAreBounded(t *testing.T) {
	const size = 1 << 16
	c := Accept(Config{RecvBuffer: size}, discard{}, &wire.TCP{Flags: wire.SYN}, 1)
	send := func(seq int) {
		c.Receive(&wire.TCP{Flags: wire.ACK, Seq: uint32(seq), Ack: 1, Window: 1}, []byte{byte(seq)}, 1)
	}
	for seq := 2; seq < size; seq += 2 {
		send(seq)
	}
	if got := len(c.pieces); got != c.maxPieces() || got > size/256 {
		t.Errorf("%d pieces are kept, at most %d may be", got, c.maxPieces())
	}
	// What was dropped comes again, and nothing is missing then.
	for seq := 1; seq < size; seq++ {
		send(seq)
	}
	if got := c.Buffered(); got != size-1 {
		t.Errorf("%d bytes can be read, want %d", got, size-1)
	}
}
