package tcp

import (
	"bytes"
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// network is a link with two machines on it, and the clock. What it loses, repeats
// and reorders follows from its key alone.
type network struct {
	tb        failer
	now       time.Duration
	latency   time.Duration
	jitter    time.Duration // at most this is added to the latency: reorders
	loss, dup float64
	rng       *rand.Rand
	flights   flights
	sent      uint64
	trains    int
	events    int
	drop      func(from *end, h *wire.TCP, data []byte) bool // nil drops nothing more
	ends      [2]*end
	log       func(format string, args ...any) // if not nil, is told what is sent
}

// failer is what *testing.T and *rapid.T share.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func newNetwork(tb failer, key uint64) *network {
	n := &network{tb: tb, now: time.Second, latency: 10 * time.Millisecond}
	n.rng = rand.New(rand.NewPCG(key, 1))
	for i := range n.ends {
		n.ends[i] = &end{net: n}
	}
	n.ends[0].peer, n.ends[1].peer = n.ends[1], n.ends[0]
	return n
}

// dial opens a connection from end 0 to end 1.
func (n *network) dial(client, server Config) {
	n.ends[0].check.init(n.tb, client)
	n.ends[1].check.init(n.tb, server)
	n.ends[1].listen = &server
	n.ends[0].conn = Dial(client, n.ends[0], n.now)
}

// end is one side of a network, and the sender of the machine there.
type end struct {
	net    *network
	peer   *end
	conn   *Conn
	listen *Config // accepts the first SYN
	check  checker
	got    []byte
}

// Send puts a segment on the link, or one after the other those of a train.
func (e *end) Send(h *wire.TCP, data []byte) {
	if len(data) > 0 {
		segment, mss, flags := *h, e.conn.MSS(), h.Flags
		if len(data) > mss {
			e.net.trains++
		}
		for ; len(data) > mss; data = data[mss:] {
			segment.Flags = flags &^ (wire.FIN | wire.PSH)
			e.send(&segment, data[:mss])
			segment.Seq += uint32(mss)
		}
		segment.Flags = flags
		h = &segment
	}
	e.send(h, data)
}

func (e *end) send(h *wire.TCP, data []byte) {
	n := e.net
	if n.log != nil {
		n.log("%v %d: %v %x", n.now, len(e.got), h, data)
	}
	e.check.sent(h, data)
	if n.rng.Float64() < n.loss || (n.drop != nil && n.drop(e, h, data)) {
		return
	}
	copies := 1
	if n.rng.Float64() < n.dup {
		copies = 2
	}
	for range copies {
		at := n.now + n.latency
		if n.jitter > 0 {
			at += time.Duration(n.rng.Int64N(int64(n.jitter)))
		}
		n.sent++
		heap.Push(&n.flights, flight{at, n.sent, e.peer, *h, bytes.Clone(data)})
	}
}

// receive hands a segment to the machine, to the listener, or refuses it.
func (e *end) receive(h *wire.TCP, data []byte) {
	e.check.heard(h)
	switch {
	case e.conn != nil && !e.conn.Done():
		e.conn.Receive(h, data, e.net.now)
	case e.conn == nil && e.listen != nil && h.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN:
		e.conn = Accept(*e.listen, e, h, e.net.now)
	default:
		if out, ok := Reset(h, len(data)); ok {
			e.Send(&out, nil)
		}
	}
}

// read takes at most n bytes from the machine to got.
func (e *end) read(n int) int {
	b := make([]byte, n)
	n = e.conn.Read(b, e.net.now)
	e.got = append(e.got, b[:n]...)
	return n
}

// step does the next thing that happens, and reports false when nothing will. It does
// nothing after limit.
func (n *network) step(limit time.Duration) bool {
	at, who := limit+1, (*end)(nil)
	for _, e := range n.ends {
		if e.conn == nil {
			continue
		}
		if t, ok := e.conn.Timer(); ok && t < at {
			at, who = max(t, n.now), e
		}
	}
	if len(n.flights) > 0 && n.flights[0].at <= at {
		at, who = n.flights[0].at, nil
	}
	if at > limit {
		return false
	}
	n.events++
	n.now = at
	if who != nil {
		who.conn.Expire(n.now)
		return true
	}
	f := heap.Pop(&n.flights).(flight)
	f.to.receive(&f.h, f.data)
	return true
}

// run lets a time pass.
func (n *network) run(d time.Duration) {
	limit := n.now + d
	for n.step(limit) {
	}
	n.now = limit
}

// flight is a segment on its way.
type flight struct {
	at    time.Duration
	order uint64
	to    *end
	h     wire.TCP
	data  []byte
}

type flights []flight

func (f flights) Len() int { return len(f) }
func (f flights) Less(i, j int) bool {
	return f[i].at < f[j].at || (f[i].at == f[j].at && f[i].order < f[j].order)
}
func (f flights) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)   { *f = append(*f, x.(flight)) }
func (f *flights) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// checker watches one machine from outside: whatever it hears, what it sends obeys
// the rules.
type checker struct {
	tb     failer
	cfg    Config
	stream []byte // what it has sent, by offset from the first byte
	starts bool   // a SYN was sent
	isn    uint32

	acked   bool
	ack     uint32
	edge    uint32 // the right edge of the window that it has offered
	scale   uint8
	scaled  bool // both SYNs had the option
	heardS  bool // a SYN was heard
	mss     int
	peerWin uint32 // the right edge that it has been offered
	peerScl uint8
	offers  bool
	segs    int
}

func (c *checker) init(tb failer, cfg Config) {
	if cfg.MTU == 0 {
		cfg.MTU = 1500
	}
	*c = checker{tb: tb, cfg: cfg, isn: cfg.ISN}
}

// sent judges a segment of the machine.
func (c *checker) sent(h *wire.TCP, data []byte) {
	c.tb.Helper()
	c.segs++
	if h.Flags&wire.RST != 0 {
		return
	}
	if h.Flags&wire.SYN != 0 {
		c.sentSYN(h)
	} else if h.Flags&wire.ACK == 0 {
		c.tb.Fatalf("RFC 9293, 3.10.7.4: every segment but the first has ACK: %v", h)
	}
	if h.Flags&wire.ACK != 0 {
		c.sentACK(h)
	}
	if len(data) > 0 {
		c.sentData(h, data)
	}
}

func (c *checker) sentSYN(h *wire.TCP) {
	c.tb.Helper()
	if h.Seq != c.isn {
		c.tb.Fatalf("a SYN with sequence number %d, not the initial %d: %v", h.Seq, c.isn, h)
	}
	c.starts, c.scale = true, h.WindowScale
	c.scaled = h.HasScale
}

func (c *checker) sentACK(h *wire.TCP) {
	c.tb.Helper()
	win, unit := uint32(h.Window), uint32(1)
	if h.Flags&wire.SYN == 0 && c.scaled && c.peerScl != noScale {
		win <<= c.scale
		unit <<= c.scale
	}
	edge := h.Ack + win
	if c.acked && before(h.Ack, c.ack) {
		c.tb.Fatalf("the acknowledgement went back from %d: %v", c.ack, h)
	}
	// RFC 7323, 2.4: by less than a unit of the scale it may seem to.
	if c.acked && before(edge+unit-1, c.edge) {
		c.tb.Fatalf("RFC 9293, 3.8.6: the window shrank by %d from %d: %v", c.edge-edge, c.edge, h)
	}
	if c.acked {
		edge = maxSeq(edge, c.edge)
	}
	c.acked, c.ack, c.edge = true, h.Ack, edge
}

func (c *checker) sentData(h *wire.TCP, data []byte) {
	c.tb.Helper()
	if limit := max(48, min(c.mss, c.cfg.MTU-max(c.cfg.IPHeader, 20)-20)); len(data) > limit {
		c.tb.Fatalf("RFC 9293, 3.7.1: %d bytes where the maximum is %d: %v", len(data), limit, h)
	}
	end := h.Seq + uint32(len(data))
	if before(c.peerWin, end) {
		c.tb.Fatalf("RFC 9293, 3.8.6: data until %d, beyond the window's edge at %d: %v", end, c.peerWin, h)
	}
	at := int(h.Seq - c.isn - 1)
	if at > len(c.stream) {
		c.tb.Fatalf("data at offset %d, but only %d bytes were sent before: %v", at, len(c.stream), h)
	}
	known := c.stream[at:min(len(c.stream), at+len(data))]
	if !bytes.Equal(known, data[:len(known)]) {
		c.tb.Fatalf("a retransmission with other bytes: %v", h)
	}
	c.stream = append(c.stream, data[len(known):]...)
}

const noScale = 255

// heard notes what the machine is told.
func (c *checker) heard(h *wire.TCP) {
	if h.Flags&wire.RST != 0 {
		return
	}
	taken := h.Flags&wire.ACK == 0 || h.Ack == c.isn+1
	if h.Flags&wire.SYN != 0 && !c.heardS && taken {
		c.heardS, c.mss, c.peerScl = true, max(int(h.MSS), 48), noScale
		if h.MSS == 0 {
			c.mss = 536
			if c.cfg.IPHeader == wire.IPv6HeaderLen {
				c.mss = 1220
			}
		}
		if h.HasScale {
			c.peerScl = min(h.WindowScale, 14)
		}
	}
	if h.Flags&wire.ACK == 0 {
		if edge := c.isn + 1 + uint32(h.Window); h.Flags&wire.SYN != 0 && (!c.offers || before(c.peerWin, edge)) {
			c.peerWin, c.offers = edge, true
		}
		return
	}
	if h.Ack-c.isn > uint32(len(c.stream))+2 {
		return // it acknowledges what was never sent
	}
	win := uint32(h.Window)
	if h.Flags&wire.SYN == 0 && c.peerScl != noScale && c.scaled {
		win <<= c.peerScl
	}
	if edge := h.Ack + win; !c.offers || before(c.peerWin, edge) {
		c.peerWin, c.offers = edge, true
	}
}

// pattern returns n bytes of a stream whose every stretch tells where it comes from.
func pattern(from, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		at := uint32(from+i) * 2654435761
		b[i] = byte(at >> 24)
	}
	return b
}

// TestNetwork moves bytes over a good link: the harness works.
func TestNetwork(t *testing.T) {
	n := newNetwork(t, 1)
	n.dial(Config{ISN: 7}, Config{ISN: 9})
	n.run(time.Second)
	want := pattern(0, 100_000)
	n.ends[0].conn.Write(want, n.now)
	n.run(time.Second)
	n.ends[1].read(1 << 20)
	if !bytes.Equal(n.ends[1].got, want) {
		t.Fatalf("%d bytes arrived, want %d", len(n.ends[1].got), len(want))
	}
	n.ends[0].conn.Close(n.now)
	n.run(time.Second)
	n.ends[1].conn.Close(n.now)
	n.run(2 * time.Minute)
	for i, e := range n.ends {
		if !e.conn.Done() || e.conn.Err() != nil {
			t.Errorf("end %d: %v, error %v", i, e.conn.State(), e.conn.Err())
		}
	}
}
