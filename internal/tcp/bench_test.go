package tcp

import (
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// wireEnd is an end of a link without latency that keeps its memory.
type wireEnd struct {
	conn  *Conn
	queue []segment // on their way to the other end
	spare [][]byte
}

type segment struct {
	h    wire.TCP
	data []byte
}

func (e *wireEnd) Send(h *wire.TCP, data []byte) {
	var b []byte
	if n := len(e.spare); n > 0 {
		b, e.spare = e.spare[n-1][:0], e.spare[:n-1]
	}
	e.queue = append(e.queue, segment{*h, append(b, data...)})
}

// deliver hands what is on its way to the other end.
func (e *wireEnd) deliver(to *wireEnd, now time.Duration) {
	for i := range e.queue {
		s := &e.queue[i]
		to.conn.Receive(&s.h, s.data, now)
		e.spare = append(e.spare, s.data)
	}
	e.queue = e.queue[:0]
}

// settle delivers until nothing is on its way.
func settle(a, b *wireEnd, now time.Duration) {
	for len(a.queue)+len(b.queue) > 0 {
		a.deliver(b, now)
		b.deliver(a, now)
	}
}

func connect(tb testing.TB) (a, b *wireEnd) {
	var pool BufferPool
	a, b = &wireEnd{}, &wireEnd{}
	cfg := Config{MTU: 9001, Pool: &pool}
	a.conn = Dial(cfg, a, 1)
	b.conn = Accept(cfg, b, &a.queue[0].h, 1)
	a.queue = a.queue[:0]
	settle(a, b, 1)
	if a.conn.State() != Established || b.conn.State() != Established {
		tb.Fatalf("%v, %v", a.conn.State(), b.conn.State())
	}
	return a, b
}

// bulk writes 64 KiB and reads them at the other end.
func bulk(a, b *wireEnd, in, out []byte, now time.Duration) {
	a.conn.Write(in, now)
	settle(a, b, now)
	for b.conn.Buffered() > 0 {
		b.conn.Read(out, now)
	}
	settle(a, b, now)
}

func roundtrip(a, b *wireEnd, msg []byte, now time.Duration) {
	a.conn.Write(msg, now)
	settle(a, b, now)
	b.conn.Read(msg, now)
	b.conn.Write(msg, now)
	settle(a, b, now)
	a.conn.Read(msg, now)
}

func BenchmarkBulk(b *testing.B) {
	x, y := connect(b)
	in, out := make([]byte, 64<<10), make([]byte, 64<<10)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for i := range b.N {
		bulk(x, y, in, out, time.Duration(i+2))
	}
}

// BenchmarkBulkCopy is what the same bytes cost without TCP: into the send buffer,
// onto the link, into the receive buffer, out.
func BenchmarkBulkCopy(b *testing.B) {
	var stages [5][]byte
	for i := range stages {
		stages[i] = make([]byte, 64<<10)
	}
	b.SetBytes(64 << 10)
	for range b.N {
		for i := range stages[1:] {
			for at := 0; at < 64<<10; at += 8961 {
				copy(stages[i+1][at:min(at+8961, 64<<10)], stages[i][at:])
			}
		}
	}
}

func BenchmarkRoundtrip(b *testing.B) {
	x, y := connect(b)
	msg := make([]byte, 100)
	b.ReportAllocs()
	for i := range b.N {
		roundtrip(x, y, msg, time.Duration(i+2))
	}
}

// BenchmarkHandshake opens and aborts a connection.
func BenchmarkHandshake(b *testing.B) {
	b.ReportAllocs()
	for range b.N {
		x, y := connect(b)
		x.conn.Abort(2)
		settle(x, y, 2)
	}
}

// TestNoAllocations says that an established connection lives from its pool.
func TestNoAllocations(t *testing.T) {
	x, y := connect(t)
	in, out := make([]byte, 64<<10), make([]byte, 64<<10)
	now := time.Duration(1)
	if n := testing.AllocsPerRun(50, func() { now++; bulk(x, y, in, out, now) }); n != 0 {
		t.Errorf("%v allocations for 64 KiB", n)
	}
	if n := testing.AllocsPerRun(50, func() { now++; roundtrip(x, y, in[:100], now) }); n != 0 {
		t.Errorf("%v allocations for a round trip", n)
	}
}
