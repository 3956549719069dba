package netfake

import (
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// wayEnd is where packets end.
type wayEnd struct{ got int }

func (s *wayEnd) String() string { return "end" }
func (s *wayEnd) Step(p *Packet) Next {
	s.got++
	return p.Delivered(Hop{})
}

// source sends over a link to a node.
type source struct {
	link *Link
	to   Node
}

func (s *source) String() string      { return "source" }
func (s *source) Step(p *Packet) Next { return p.Over(s.link, s.to) }

// noICMP is a stage that does not let ICMP through.
type noICMP struct{}

func (noICMP) String() string { return "no ICMP" }
func (noICMP) Step(p *Packet) Next {
	if p.Flow.Proto == ICMP {
		return p.Drop(Hop{})
	}
	return p.Onward()
}

// What is done to a link holds for the very next packet that it concerns, though those
// before found nothing in their way; and what is undone does not.
func TestClearWay(t *testing.T) {
	const never = time.Hour
	undo := func(f *Fault) func() { return f.Undo }
	for _, row := range []struct {
		name  string
		act   func(l *Link) (undo func())
		after int // what comes once it is undone and another packet was sent
	}{
		{"partition", func(l *Link) func() { return undo(l.Partition()) }, 1},
		{"partition of the way", func(l *Link) func() { return undo(l.Forth().Partition()) }, 1},
		{"hold", func(l *Link) func() { return undo(l.Hold()) }, 4},
		{"loss", func(l *Link) func() { return undo(l.SetLoss(1)) }, 1},
		{"jitter", func(l *Link) func() { return undo(l.SetFaults(Faults{Jitter: never})) }, 1},
		{"delay", func(l *Link) func() { return undo(l.Delay(never)) }, 1},
		{"latency", func(l *Link) func() { l.SetLatency(never); return func() { l.SetLatency(0) } }, 1},
		{"bandwidth", func(l *Link) func() {
			l.SetBandwidth(Bandwidth{Bits: 1})
			return func() { l.SetBandwidth(Bandwidth{}) }
		}, 0}, // the first is still on the line
		{"MTU", func(l *Link) func() { l.SetMTU(576); return func() { l.SetMTU(0) } }, 1},
		{"ICMP filter", func(l *Link) func() { return undo(l.DropICMP()) }, 1},
		{"refusal", func(l *Link) func() { return undo(l.Refuse(NetUnreachable)) }, 1},
		{"middlebox", func(l *Link) func() { return l.Insert(noICMP{}) }, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := New(t, Config{Instant: true})
			l, end := w.NewLink("link", 0), &wayEnd{}
			send := func(proto Protocol) int { // without a change of the world
				w.lock()
				w.Send(packetOf(w, proto), &source{l, end})
				w.unlock()
				w.lock()
				defer w.unlock()
				return end.got
			}
			if send(ICMP); send(ICMP) != 2 || l.Stats().Carried != 2 {
				t.Fatalf("%d of 2 packets come over a clear way; %+v", end.got, l.Stats())
			}
			undo := row.act(l)
			send(UDP)
			before := send(UDP)
			if came := send(ICMP) - before; came != 0 {
				t.Errorf("%d packets come", came)
			}
			undo()
			if came := send(ICMP) - before; came != row.after {
				t.Errorf("undone: %d packets come, want %d", came, row.after)
			}
		})
	}
}

// A fault that harms few packets or none is in the way of all: it counts them.
func TestFaultyWayIsNotClear(t *testing.T) {
	for _, act := range []func(l *Link) *Fault{
		func(l *Link) *Fault { return l.SetFaults(Faults{Corrupt: 1e-9}) },
		func(l *Link) *Fault { return l.Delay(0) },
	} {
		w := New(t, Config{Instant: true})
		l, end := w.NewLink("link", 0), &wayEnd{}
		f := act(l)
		w.Do(func(time.Duration) { w.Send(packetOf(w, UDP), &source{l, end}) })
		if end.got != 1 || l.forth.clear == w.changes {
			t.Errorf("%v: %d packets have come, and the way is clear: %t", f, end.got, l.forth.clear == w.changes)
		}
	}
}

// packetOf returns an echo request that is larger than the least MTU and must not be cut, or
// a small datagram.
func packetOf(w *World, proto Protocol) *Packet {
	a, b := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
	h := &Host{world: w}
	if proto == ICMP {
		return h.echoPacket(a, b, wire.ICMP{Type: wire.ICMPEchoRequest}, make([]byte, 1000), 1)
	}
	return h.udpPacket(Flow{UDP, netip.AddrPortFrom(a, 1), netip.AddrPortFrom(b, 1)}, nil, 1)
}
