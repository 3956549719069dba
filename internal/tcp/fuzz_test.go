package tcp

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// fuzzed is a machine that a fuzzer plays with.
type fuzzed struct {
	script
	in []byte
}

func (f *fuzzed) byte() byte {
	if len(f.in) == 0 {
		return 0
	}
	b := f.in[0]
	f.in = f.in[1:]
	return b
}

// near returns a number that is mostly close to where things happen.
func (f *fuzzed) near(at uint32) uint32 {
	switch how := f.byte(); how % 4 {
	case 0:
		return at
	case 1:
		return at + uint32(int8(f.byte()))
	case 2:
		return at + uint32(int32(int16(f.byte())<<8))
	default:
		return binary.BigEndian.Uint32([]byte{f.byte(), f.byte(), f.byte(), how})
	}
}

// segment makes one up.
func (f *fuzzed) segment() (wire.TCP, []byte) {
	h := wire.TCP{Flags: f.byte(), Seq: f.near(f.conn.rcvNxt), Ack: f.near(f.conn.top), Window: uint16(f.byte()) << (f.byte() % 9)}
	if f.byte()%2 == 0 {
		h.Flags = wire.ACK // most segments are these
	}
	if h.Flags&wire.SYN != 0 {
		h.MSS = uint16(f.byte()) << (f.byte() % 9)
		h.WindowScale = f.byte()
		h.HasScale = h.WindowScale%2 == 0
		h.SACKPermitted = h.WindowScale%4 < 2
	}
	if f.conn.ts.on && f.byte()%8 != 0 {
		h.HasTimestamp, h.TSVal, h.TSEcr = true, f.near(f.conn.ts.recent), f.near(f.conn.clock(f.now))
	}
	if f.conn.sack && f.byte()%4 == 0 {
		for i := range h.SACK {
			h.SACK[i] = wire.SACKBlock{From: f.near(f.conn.una), To: f.near(f.conn.top)}
		}
	}
	return h, pattern(0, int(f.byte()))
}

// act does one thing to the machine.
func (f *fuzzed) act() {
	c := f.conn
	switch op := f.byte() % 24; op {
	case 0:
		c.Write(make([]byte, int(f.byte())*16), f.now)
	case 1:
		c.Read(make([]byte, f.byte()), f.now)
	case 2:
		f.now += time.Duration(f.byte()) * 10 * time.Millisecond
		c.Expire(f.now)
	case 3, 4:
		if at, ok := c.Timer(); ok {
			f.now = max(f.now, at)
			c.Expire(f.now)
		}
	case 5:
		c.CloseWrite(f.now)
	case 6:
		c.CloseRead(f.now)
	case 7:
		if f.byte()%4 == 0 {
			c.Close(f.now)
		}
	case 8:
		if f.byte()%16 == 0 {
			c.Abort(f.now)
		}
	case 9:
		c.SetMTU(int(f.byte())*16, f.now)
	case 10:
		c.SetKeepAlive(KeepAlive{Idle: time.Duration(f.byte()) * time.Second}, f.now)
	case 11:
		c.SetNagle(f.byte()%2 == 0)
	default:
		h, data := f.segment()
		f.check.heard(&h)
		c.Receive(&h, data, f.now)
	}
}

// holds checks what must always be true of the machine's inside.
func (f *fuzzed) holds() {
	c := f.conn
	f.tb.Helper()
	switch {
	case before(c.nxt, c.una) || before(c.top, c.nxt):
		f.Fatalf("una %d, nxt %d, top %d", c.una, c.nxt, c.top)
	case c.state.synchronized() && before(c.edge, c.rcvNxt):
		f.Fatalf("rcvNxt %d is beyond the edge %d", c.rcvNxt, c.edge)
	case c.recvBuf.len() > c.cfg.RecvBuffer:
		f.Fatalf("%d bytes in a receive buffer of %d", c.recvBuf.len(), c.cfg.RecvBuffer)
	case before(c.rcvNxt, c.lastACK) && c.state.synchronized():
		f.Fatalf("%d was acknowledged, only %d has come", c.lastACK, c.rcvNxt)
	case len(c.pieces) > c.maxPieces():
		f.Fatalf("%d pieces", len(c.pieces))
	case c.mss < minMSS-timestampLen || c.cwnd < minMSS-timestampLen:
		f.Fatalf("MSS %d, congestion window %d", c.mss, c.cwnd)
	case c.state.synchronized() && c.state != TimeWait && c.una != c.top && c.rexmitAt == 0:
		f.Fatalf("something is in flight and no timer runs: una %d, nxt %d, top %d", c.una, c.nxt, c.top)
	case c.state.synchronized() && c.una == c.top && c.pending() && c.persistAt == 0:
		f.Fatalf("something waits and no timer runs")
	}
	for i, b := range c.sacked {
		if !before(b.From, b.To) || before(b.From, c.una) || before(c.top, b.To) || i > 0 && !before(c.sacked[i-1].To, b.From) {
			f.Fatalf("reported: %v of %d to %d", c.sacked, c.una, c.top)
		}
	}
	if pipe := c.pipe(); pipe < 0 || pipe > int(c.top-c.una) {
		f.Fatalf("%d bytes are on their way, of %d", pipe, c.top-c.una)
	}
	memory := c.recvBuf.len()
	for _, p := range c.pieces {
		memory += len(p.data)
	}
	if memory > c.cfg.RecvBuffer {
		f.Fatalf("%d bytes in and out of order, the receive buffer is %d", memory, c.cfg.RecvBuffer)
	}
	if at, ok := c.Timer(); c.Done() && ok {
		f.Fatalf("a timer at %v after the end", at)
	}
	checkPieces(f, c)
}

// FuzzReceive plays with a machine in every state and with everything that it can be
// told: it must not panic, keep its promises and its memory.
func FuzzReceive(f *testing.F) {
	f.Add(uint32(0), []byte{})
	f.Add(uint32(1<<32-2), []byte{0, 12, 0, 0, 0, 5, 0, 1, 0, 0, 3, 3, 3, 3})
	f.Add(uint32(1<<31-2), []byte{1, 255, 12, 16, 0, 0, 9, 1, 1, 100, 12, 16, 0, 0, 9, 1, 1, 100, 5, 3, 3, 7, 0, 3})
	f.Fuzz(func(t *testing.T, isn uint32, in []byte) {
		m := &fuzzed{in: in[:min(len(in), 4000)]}
		how := m.byte()
		m.tb, m.now, m.line = t, time.Hour, "fuzz"
		m.cfg = Config{ISN: isn, Nagle: how&1 != 0, RecvBuffer: 1 << (how >> 4), SendBuffer: 5000}
		if how&2 != 0 {
			m.cfg.Congestion = NewReno
		}
		if isn&1 != 0 {
			m.cfg.IPHeader = wire.IPv6HeaderLen
		}
		m.check.init(m, m.cfg)
		syn := wire.TCP{Flags: wire.SYN, Seq: m.near(0), Window: uint16(m.byte()) << 8, HasScale: how&4 != 0, WindowScale: 3, HasTimestamp: how&1 != 0, SACKPermitted: how&4 != 0}
		if how&8 != 0 {
			m.conn = Dial(m.cfg, m, m.now)
		} else {
			m.check.heard(&syn)
			m.conn = Accept(m.cfg, m, &syn, m.now)
		}
		for len(m.in) > 0 {
			m.act()
			m.sent = m.sent[:0]
			m.holds()
		}
	})
}
