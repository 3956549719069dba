package fabricfake

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

const (
	syn    = flagSYN
	synAck = flagSYN | flagACK
	ack    = flagACK
	finAck = flagFIN | flagACK
	rst    = flagRST
)

// A step is a packet at an interface: when, since the packet before it, and whether
// the connection was found.
type step struct {
	after time.Duration
	dir   netfake.Direction
	flags uint8
	found bool
}

// play sends a packet through a tracker whose rules admit everything.
func play(tr *tracker, dir netfake.Direction, f netfake.Flow, flags uint8, now time.Duration) (found bool) {
	if c := tr.lookup(key(dir, f), flags, now); c != nil {
		tr.observe(c, dir, flags, now)
		return true
	}
	if admits(f, flags) {
		tr.insert(key(dir, f), now)
	}
	return false
}

func TestTracker(t *testing.T) {
	const in, out = netfake.Ingress, netfake.Egress
	const day = 24 * time.Hour
	handshake := []step{{0, out, syn, false}, {0, in, synAck, true}, {0, out, ack, true}}
	after := func(before []step, more ...step) []step { return append(before[:len(before):len(before)], more...) }
	for _, row := range []struct {
		rule  string
		proto netfake.Protocol
		cfg   ConnectionTracking
		steps []step
	}{
		// fact: ct.tcp
		{"an established TCP connection is kept for 432000 s of idleness", netfake.TCP, ConnectionTracking{},
			after(handshake, step{5*day - 1, in, ack, true}, step{5*day - 1, out, ack, true}, step{5 * day, out, ack, false})},
		// fact: ct.tcp.range
		{"or for what the interface says", netfake.TCP, ConnectionTracking{TCPEstablished: 60 * time.Second},
			after(handshake, step{60*time.Second - 1, in, ack, true}, step{60 * time.Second, in, ack, false})},
		// fact: ct.midstream
		{"after that, a segment without SYN opens nothing", netfake.TCP, ConnectionTracking{},
			after(handshake, step{5 * day, out, ack, false}, step{0, out, ack, false}, step{0, in, ack, false}, step{0, out, syn, false}, step{0, in, synAck, true})},
		// fact: ct.midstream
		{"nor does a SYN-ACK or a RST", netfake.TCP, ConnectionTracking{},
			[]step{{0, in, synAck, false}, {0, out, ack, false}, {0, in, rst, false}, {0, in, rst | syn, false}, {0, out, ack, false}}},
		{"a SYN that nobody answers is kept for 120 s", netfake.TCP, ConnectionTracking{},
			[]step{{0, out, syn, false}, {120*time.Second - 1, out, syn, true}, {120 * time.Second, in, synAck, false}}},
		{"and so is half a handshake", netfake.TCP, ConnectionTracking{},
			[]step{{0, out, syn, false}, {0, in, synAck, true}, {120 * time.Second, out, ack, false}}},
		{"a half-closed connection goes on", netfake.TCP, ConnectionTracking{},
			after(handshake, step{0, out, finAck, true}, step{4 * day, in, ack, true}, step{4 * day, in, finAck, true})},
		{"one that both ends have closed lingers for 120 s", netfake.TCP, ConnectionTracking{},
			after(handshake, step{0, out, finAck, true}, step{0, in, finAck, true}, step{120*time.Second - 1, out, ack, true}, step{120 * time.Second, in, ack, false})},
		{"a reset one for 10 s", netfake.TCP, ConnectionTracking{},
			after(handshake, step{0, in, rst, true}, step{10*time.Second - 1, in, ack, true}, step{10 * time.Second, in, ack, false})},
		{"a SYN for an ended connection is judged as a new one", netfake.TCP, ConnectionTracking{},
			after(handshake, step{0, in, rst, true}, step{0, out, syn, false}, step{0, in, synAck, true}, step{0, out, ack, true}, step{day, in, ack, true})},
		{"a SYN for one that lives is not", netfake.TCP, ConnectionTracking{}, after(handshake, step{0, out, syn, true})},

		// fact: ct.udp
		{"UDP without a reply is kept for 30 s", netfake.UDP, ConnectionTracking{},
			[]step{{0, out, 0, false}, {30*time.Second - 1, out, 0, true}, {30 * time.Second, in, 0, false}}},
		// fact: ct.udp
		{"and so with one", netfake.UDP, ConnectionTracking{},
			[]step{{0, in, 0, false}, {0, out, 0, true}, {30*time.Second - 1, out, 0, true}, {30 * time.Second, out, 0, false}}},
		{"and with a second request", netfake.UDP, ConnectionTracking{},
			[]step{{0, in, 0, false}, {0, out, 0, true}, {0, in, 0, true}, {30 * time.Second, in, 0, false}}},
		// fact: ct.udp.stream
		{"from the second response on for 180 s", netfake.UDP, ConnectionTracking{},
			[]step{{0, in, 0, false}, {0, out, 0, true}, {0, in, 0, true}, {0, out, 0, true}, {180*time.Second - 1, in, 0, true}, {180 * time.Second, in, 0, false}}},
		{"however many follow", netfake.UDP, ConnectionTracking{},
			append([]step{{0, in, 0, false}}, append(slices.Repeat([]step{{0, out, 0, true}, {0, in, 0, true}}, 128), step{180*time.Second - 1, in, 0, true})...)},
		// fact: ct.udp.range, ct.udp.stream.range
		{"or for what the interface says", netfake.UDP, ConnectionTracking{UDPSingle: 60 * time.Second, UDPStream: 61 * time.Second},
			[]step{{0, in, 0, false}, {60*time.Second - 1, out, 0, true}, {0, in, 0, true}, {0, out, 0, true}, {61*time.Second - 1, in, 0, true}, {61 * time.Second, in, 0, false}}},

		// fact: ct.icmp
		{"ICMP is kept for 600 s", netfake.ICMP, ConnectionTracking{},
			[]step{{0, out, 0, false}, {600*time.Second - 1, in, 0, true}, {600 * time.Second, in, 0, false}}},
		// fact: ct.others
		{"and so are other protocols", 50, ConnectionTracking{},
			[]step{{0, out, 0, false}, {600*time.Second - 1, in, 0, true}, {600 * time.Second, in, 0, false}}},
	} {
		tr, now := newTracker(row.cfg), time.Duration(0)
		f := flow(row.proto, "10.0.1.5:40000", "142.250.70.206:443")
		for i, s := range row.steps {
			now += s.after
			packet := f
			if s.dir == netfake.Ingress {
				packet = f.Reverse()
			}
			if found := play(tr, s.dir, packet, s.flags, now); found != s.found {
				t.Errorf("%s: packet %d %v: found %v, want %v", row.rule, i, s, found, s.found)
			}
		}
	}
}

// Connections differ by every part of the flow and by the side that it crosses.
func TestTrackerTellsFlowsApart(t *testing.T) {
	tr := newTracker(ConnectionTracking{})
	f := flow(netfake.UDP, "10.0.1.5:40000", "10.0.2.9:53")
	tr.insert(key(netfake.Egress, f), 0)
	for _, other := range []netfake.Flow{
		flow(netfake.UDP, "10.0.1.5:40001", "10.0.2.9:53"),
		flow(netfake.UDP, "10.0.1.5:40000", "10.0.2.9:54"),
		flow(netfake.UDP, "10.0.1.6:40000", "10.0.2.9:53"),
		flow(netfake.UDP, "10.0.1.5:40000", "10.0.2.8:53"),
		flow(netfake.TCP, "10.0.1.5:40000", "10.0.2.9:53"),
		f.Reverse(),
	} {
		if tr.lookup(key(netfake.Egress, other), 0, 0) != nil {
			t.Errorf("%v was taken for %v", other, f)
		}
	}
	if tr.lookup(key(netfake.Ingress, f), 0, 0) != nil {
		t.Error("a packet that comes in was taken for one that a router's interface sends on")
	}
	if tr.lookup(key(netfake.Egress, f), 0, 0) == nil || tr.lookup(key(netfake.Ingress, f.Reverse()), 0, 0) == nil {
		t.Error("the connection was not found in both directions")
	}
}

// An ICMP error is related to the connection whose packet it quotes.
// fact: mtu.related
func TestTrackerRelated(t *testing.T) {
	tr := newTracker(ConnectionTracking{})
	sent := flow(netfake.UDP, "10.0.1.5:40000", "10.0.2.9:53")
	tr.insert(key(netfake.Egress, sent), 0)
	if tr.related(netfake.Ingress, sent, 0) == nil {
		t.Error("an error about a packet that was sent is not related to it")
	}
	if tr.related(netfake.Egress, sent.Reverse(), 0) == nil {
		t.Error("an error about a packet that came is not related to it")
	}
	if tr.related(netfake.Ingress, sent.Reverse(), 0) != nil {
		t.Error("an error that quotes a packet which was never sent is related")
	}
	if tr.related(netfake.Ingress, sent, 30*time.Second) != nil {
		t.Error("an error is related to what has idled out")
	}
}

// An ICMP error that quotes an echo is related to it, whichever side asked.
func TestTrackerRelatedEcho(t *testing.T) {
	tr := newTracker(ConnectionTracking{})
	tr.insert(key(netfake.Egress, flow(netfake.ICMP, "10.0.1.5:7", "10.0.2.9:0")), 0)
	tr.insert(key(netfake.Ingress, flow(netfake.ICMP, "10.0.3.3:8", "10.0.1.5:0")), 0)
	for _, row := range []struct {
		name  string
		quote netfake.Flow
		want  bool
	}{
		{"a request that was sent", flow(netfake.ICMP, "10.0.1.5:7", "10.0.2.9:7"), true},
		{"a reply that was sent", flow(netfake.ICMP, "10.0.1.5:8", "10.0.3.3:8"), true},
		{"another identifier", flow(netfake.ICMP, "10.0.1.5:9", "10.0.2.9:9"), false},
		{"another destination", flow(netfake.ICMP, "10.0.1.5:7", "10.0.2.8:7"), false},
	} {
		if got := tr.relatedEcho(netfake.Ingress, row.quote, 0); got != row.want {
			t.Errorf("%s: %t, want %t", row.name, got, row.want)
		}
	}
}

func TestConnectionTrackingRanges(t *testing.T) {
	s := time.Second
	for _, row := range []struct {
		c    ConnectionTracking
		code string
	}{
		{ConnectionTracking{}, ""},
		{ConnectionTracking{TCPEstablished: 60 * s, UDPStream: 60 * s, UDPSingle: 30 * s}, ""},
		{ConnectionTracking{TCPEstablished: 432000 * s, UDPStream: 180 * s, UDPSingle: 60 * s}, ""},
		// fact: ct.tcp.range
		{ConnectionTracking{TCPEstablished: 59 * s}, codeParameterValue},
		// fact: ct.tcp.range
		{ConnectionTracking{TCPEstablished: 432001 * s}, codeParameterValue},
		// fact: ct.udp.stream.range
		{ConnectionTracking{UDPStream: 59 * s}, codeParameterValue},
		// fact: ct.udp.stream.range
		{ConnectionTracking{UDPStream: 181 * s}, codeParameterValue},
		// fact: ct.udp.range
		{ConnectionTracking{UDPSingle: 29 * s}, codeParameterValue},
		// fact: ct.udp.range
		{ConnectionTracking{UDPSingle: 61 * s}, codeParameterValue},
		{ConnectionTracking{UDPSingle: -1}, codeParameterValue},
	} {
		wantCode(t, fmt.Sprint(row.c), row.c.check(), row.code)
	}
}

// What has idled out is cleared away, and only that.
func TestTrackerSweeps(t *testing.T) {
	tr := newTracker(ConnectionTracking{})
	nth := func(n int) netfake.Flow {
		return flow(netfake.UDP, fmt.Sprintf("10.0.%d.%d:40000", n/250, n%250), "10.0.2.9:53")
	}
	const perSecond = 100
	for n := range 60 * perSecond {
		tr.insert(key(netfake.Ingress, nth(n)), time.Duration(n)*time.Second/perSecond)
	}
	live := 30 * perSecond
	if got := len(tr.table); got < live || got > 2*live+smallestSweep {
		t.Errorf("%d connections are kept, of which %d live", got, live)
	}
	now := 60 * time.Second
	for n := range 60 * perSecond {
		found := tr.lookup(key(netfake.Ingress, nth(n)), 0, now) != nil
		if want := time.Duration(n)*time.Second/perSecond > 30*time.Second; found != want {
			t.Fatalf("connection %d: found %v, want %v", n, found, want)
		}
	}
}

// Two flows with one hash do not disturb each other.
func TestTrackerCollision(t *testing.T) {
	f, g := flow(netfake.UDP, "10.0.1.5:40000", "10.0.2.9:53"), flow(netfake.UDP, "10.0.1.6:40000", "10.0.2.9:53")
	collide := func() *tracker {
		tr := newTracker(ConnectionTracking{})
		tr.insert(key(netfake.Egress, f), 0)
		head := tr.table[f.Hash()]
		head.next = &connection{flow: g, idle: time.Hour} // as if g had f's hash
		return tr
	}
	tr := collide()
	if c := tr.find(key(netfake.Egress, f)); c == nil || c.flow != f {
		t.Errorf("found %v", c)
	}
	tr.insert(key(netfake.Egress, f), 31*time.Second) // in place of the old one
	if c := tr.find(key(netfake.Egress, f)); c == nil || c.next == nil || c.next.flow != g {
		t.Error("a renewed connection lost the one behind it")
	}
	tr.remove(key(netfake.Egress, f))
	if c := tr.table[f.Hash()]; c == nil || c.flow != g || c.next != nil {
		t.Errorf("left %v", c)
	}
	tr = collide()
	tr.sweep(31 * time.Second)
	if c := tr.table[f.Hash()]; c == nil || c.flow != g || c.next != nil {
		t.Errorf("the sweep left %v", c)
	}
	tr.sweep(time.Hour)
	if len(tr.table) != 0 {
		t.Errorf("the sweep left %d connections", len(tr.table))
	}
}

// Removing a rule does not end a tracked connection: its packets are found here and
// not judged by rules, while a new connection is judged.
// fact: ct.revoke.tracked
func TestTrackedConnectionOutlivesItsRule(t *testing.T) {
	g := &SecurityGroup{name: "web"}
	r, err := parseRule("tcp/80", CIDR("203.0.113.0/24"))
	if err != nil {
		t.Fatal(err)
	}
	tr := newTracker(ConnectionTracking{})
	admitted := func(f netfake.Flow, flags uint8) bool {
		if c := tr.lookup(key(netfake.Ingress, f), flags, 0); c != nil {
			tr.observe(c, netfake.Ingress, flags, 0)
			return true
		}
		d := checkGroups([]*SecurityGroup{g}, netfake.Ingress, f, 0, 0, nil)
		if d.allowed && d.tracked && admits(f, flags) {
			tr.insert(key(netfake.Ingress, f), 0)
		}
		return d.allowed
	}
	first, second := flow(netfake.TCP, "203.0.113.5:40000", "10.0.2.9:80"), flow(netfake.TCP, "203.0.113.5:40001", "10.0.2.9:80")
	if err := g.ingress.add(r); err != nil {
		t.Fatal(err)
	}
	if !admitted(first, syn) {
		t.Fatal("the rule does not admit the connection")
	}
	if err := g.ingress.remove(r); err != nil {
		t.Fatal(err)
	}
	if !admitted(first, ack) {
		t.Error("the tracked connection ended with its rule")
	}
	if admitted(second, syn) {
		t.Error("a new connection was let in without a rule")
	}
}

func BenchmarkTrackerEstablished(b *testing.B) {
	tr := newTracker(ConnectionTracking{})
	for n := range 1000 {
		tr.insert(key(netfake.Egress, flow(netfake.TCP, fmt.Sprintf("10.0.1.5:%d", 1000+n), "10.0.2.9:80")), 0)
	}
	f := flow(netfake.TCP, "10.0.2.9:80", "10.0.1.5:1500")
	b.ReportAllocs()
	for b.Loop() {
		c := tr.lookup(key(netfake.Ingress, f), ack, 0)
		if c == nil {
			b.Fatal("not found")
		}
		tr.observe(c, netfake.Ingress, ack, 0)
	}
}

func BenchmarkTrackerInsert(b *testing.B) {
	tr := newTracker(ConnectionTracking{})
	f, n := flow(netfake.UDP, "10.0.1.5:1000", "10.0.2.9:80"), 0
	flows := make([]netfake.Flow, 50000)
	for i := range flows {
		flows[i] = flow(netfake.UDP, fmt.Sprintf("10.0.1.5:%d", 1000+i), f.Dst.String())
	}
	b.ReportAllocs()
	for b.Loop() {
		tr.insert(key(netfake.Egress, flows[n%len(flows)]), time.Duration(n)*time.Millisecond)
		n++
	}
}

// key is keyFor for a method that takes its address.
func key(dir netfake.Direction, f netfake.Flow) *trackKey {
	k := keyFor(dir, f)
	return &k
}
