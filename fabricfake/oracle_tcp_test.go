package fabricfake

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
	"pgregory.net/rapid"
)

// judged is a rig of real machines that speak TCP, with taps in front of and behind every
// decision about their packets: what goes past one must be what the oracle let pass at the
// tap before it, and what it did not must be in the log of drops, for the reason that it
// names.
type judged struct {
	*rig
	taps  []*tap
	drops []verdict // that must be logged
	wrong string
	conns []*duo
	used  map[uint16]bool // ports from which a dial has reached a listener
	last  netfake.Flow    // that was dialled
}

// tap is what is to pass at a host, counted by its flow and flags.
type tap struct {
	x       *judged
	h       *rigHost
	out, in map[string]int
}

// duo is a connection, as the one who dialled and the one who listens have it.
type duo struct{ ends [2]net.Conn }

func newJudged(w *netfake.World) *judged {
	x := &judged{used: map[uint16]bool{}, rig: newRig(w, "all", "tcp", "tcp/80", "tcp/75-85")}
	for _, h := range x.hosts {
		h.SetConnectionTracking(ConnectionTracking{TCPEstablished: 60 * time.Second})
		h.history.cfg = h.tracker.timeouts
		p := &tap{x: x, h: h, out: map[string]int{}, in: map[string]int{}}
		x.taps = append(x.taps, p)
		guest := h.guest
		x.w.Do(func(time.Duration) {
			h.guest = &behind{p, guest}
			for _, addr := range h.addresses() {
				h.nics[addr].Remove()
				h.nics[addr] = h.instance.Plug(addr, MTU, &before{p})
			}
		})
		h.PhysicalHost().Wire().Insert(&between{p})
	}
	return x
}

func name(f netfake.Flow, flags uint8) string { return fmt.Sprint(f, " flags ", flags) }

// take has a packet pass that must be expected.
func (p *tap) take(expected map[string]int, what string) {
	if expected[what]--; expected[what] < 0 {
		p.x.wrong = fmt.Sprintf("%v passes at %v, and should not", what, p.h)
	}
	if expected[what] == 0 {
		delete(expected, what)
	}
}

// before is where a host's packets leave it.
type before struct{ *tap }

func (b *before) String() string { return "before" }
func (b *before) Step(p *netfake.Packet) netfake.Next {
	if to := b.x.at(p.Flow.Dst.Addr()); to == nil {
		b.x.wrong = fmt.Sprintf("%v is for nobody", p.Flow)
	} else if v, _ := b.x.leaves(b.h, to, p.Flow, p.TCPFlags(), p.At()); v != "" {
		b.x.drops = append(b.x.drops, v)
	} else {
		b.out[name(p.Flow, p.TCPFlags())]++
	}
	return p.To(b.h.Out())
}

// between is where frames leave a host, and come to it.
type between struct{ *tap }

func (b *between) String() string { return "between" }
func (b *between) Step(p *netfake.Packet) netfake.Next {
	frame, err := ParseFrame(p.Bytes())
	if err != nil {
		b.x.wrong = err.Error()
		return p.Onward()
	}
	f, flags := segmentIn(frame.Inner)
	if frame.From == b.h.device.addr {
		b.take(b.out, name(f, flags))
		return p.Onward()
	}
	from := b.x.at(f.Src.Addr())
	v := b.x.enters(from.subnet, b.h, f, flags, frame.Source == from.id, p.At())
	if v != "" {
		b.x.drops = append(b.x.drops, v)
	} else {
		b.in[name(f, flags)]++
	}
	return p.Onward()
}

// segmentIn reads the flow and the flags of a TCP segment without options of IP.
func segmentIn(ip []byte) (netfake.Flow, uint8) {
	src, dst, tcp := ip[12:16], ip[16:20], ip[20:]
	if ip[0]>>4 == 6 {
		src, dst, tcp = ip[8:24], ip[24:40], ip[40:]
	}
	at := func(addr, port []byte) netip.AddrPort {
		a, _ := netip.AddrFromSlice(addr)
		return netip.AddrPortFrom(a, uint16(port[0])<<8|uint16(port[1]))
	}
	return netfake.Flow{Proto: netfake.TCP, Src: at(src, tcp), Dst: at(dst, tcp[2:])}, tcp[13]
}

// behind is where packets come to a host.
type behind struct {
	*tap
	guest netfake.Node
}

func (b *behind) String() string { return "behind" }
func (b *behind) Step(p *netfake.Packet) netfake.Next {
	b.take(b.in, name(p.Flow, p.TCPFlags()))
	return p.To(b.guest)
}

// at returns the host that has an address.
func (x *judged) at(addr netip.Addr) *rigHost {
	for _, h := range x.hosts {
		if h.owns(addr) {
			return h
		}
	}
	return nil
}

// check compares what has happened since the last time with what should have.
func (x *judged) check(t netfake.TB) {
	x.w.Sleep(time.Millisecond)
	var logged []verdict
	drops := x.w.Drops()
	for _, d := range drops {
		if v := verdictOf(d.Hop); v != "" {
			logged = append(logged, v)
		}
	}
	wrong := ""
	x.w.Do(func(time.Duration) {
		x.compare(logged, len(drops) == 64) // the log has no more
		wrong = x.wrong
	})
	if wrong != "" {
		t.Fatalf("%s\n%v", wrong, drops)
	}
}

// compare looks for what should have passed and has not, and compares why packets were
// dropped, of which only the last may be known.
func (x *judged) compare(logged []verdict, last bool) {
	for _, p := range x.taps {
		if len(p.out)+len(p.in) > 0 {
			x.wrong = fmt.Sprintf("at %v %v should leave and %v arrive", p.h, p.out, p.in)
		}
	}
	if n := len(logged); last && n < len(x.drops) {
		x.drops = x.drops[len(x.drops)-n:]
	}
	if !slices.Equal(logged, x.drops) {
		x.wrong = fmt.Sprintf("dropped by %v, and should be by %v", logged, x.drops)
	}
}

// verdictOf returns the reason of a drop, "" for one that is not the fabric's.
func verdictOf(h netfake.Hop) verdict {
	switch h.By.(type) {
	case *SecurityGroup:
		if strings.HasPrefix(h.Rule, "no tracked connection") {
			return midway
		}
		return byGroup
	case *NetworkACL:
		return byACL
	case *RouteTable:
		return byRoute
	}
	return ""
}

// opens is what the oracle says of the first segment of a flow from one host to another, and
// of the answer.
func (x *judged) opens(from, to *rigHost, f netfake.Flow, now time.Duration) (there, back verdict) {
	histories := [2]*history{from.history, to.history}
	from.history, to.history = histories[0].clone(), histories[1].clone()
	defer func() { from.history, to.history = histories[0], histories[1] }()
	v, known := x.leaves(from, to, f, syn, now)
	if v == "" {
		v = x.enters(from.subnet, to, f, syn, known, now)
	}
	if v != "" {
		return v, ""
	}
	if v, known = x.leaves(to, from, f.Reverse(), synAck, now); v == "" {
		v = x.enters(to.subnet, from, f.Reverse(), synAck, known, now)
	}
	return "", v
}

func (h *history) clone() *history {
	c := &history{h.cfg, map[netfake.Flow][]step{}}
	for f, packets := range h.packets {
		c.packets[f] = packets[:len(packets):len(packets)]
	}
	return c
}

// draw draws whom a host dials, from one of a few ports.
func (x *judged) draw(t *rapid.T) netfake.Flow {
	a, family := rapid.IntRange(0, 2).Draw(t, "from"), rapid.IntRange(0, 1).Draw(t, "family")
	from, to := x.hosts[a], x.hosts[(a+rapid.IntRange(1, 2).Draw(t, "to"))%3]
	return netfake.Flow{
		Proto: netfake.TCP,
		Src:   netip.AddrPortFrom(from.addresses()[family], uint16(2000+rapid.IntRange(0, 3).Draw(t, "source port"))),
		Dst:   netip.AddrPortFrom(to.addresses()[family], pickOf[uint16](t, "port", listens, listens, 81)),
	}
}

// dial dials, and it ends as the oracle says. A source port of which the server may still know
// something is replaced by another; one that was refused or never came there is not, of which
// only groups do.
func (x *judged) dial(t netfake.TB, f netfake.Flow) {
	for x.used[f.Src.Port()] {
		f.Src = netip.AddrPortFrom(f.Src.Addr(), f.Src.Port()+1)
	}
	x.last = f
	from, to, src, dst := x.at(f.Src.Addr()), x.at(f.Dst.Addr()), f.Src, f.Dst
	var there, back verdict
	x.w.Do(func(now time.Duration) { there, back = x.opens(from, to, f, now) })
	x.used[src.Port()] = there == "" && (back != "" || dst.Port() == listens)
	var l net.Listener
	if dst.Port() == listens {
		var err error
		if l, err = to.instance.Listen("tcp", dst.String()); err != nil {
			t.Fatalf("%v", err)
		}
		defer l.Close()
	}
	d := netfake.Dialer{Host: from.instance.Host, LocalAddr: src, Timeout: 500 * time.Millisecond}
	c, err := d.Dial("tcp", dst.String())
	var timeout net.Error
	switch {
	case there+back != "" && errors.As(err, &timeout) && timeout.Timeout():
	case there+back == "" && l == nil && errors.Is(err, syscall.ECONNREFUSED):
	case there+back == "" && l != nil && err == nil:
		x.w.Sleep(time.Millisecond)
		s, err := l.Accept()
		if err != nil {
			t.Fatalf("%v", err)
		}
		x.conns = append(x.conns, &duo{[2]net.Conn{c, s}})
	default:
		t.Fatalf("%v to %v: %v, and there it should be %q and back %q", src, dst, err, there, back)
	}
}

// listens is the port at which somebody listens while he is dialled.
const listens = 80

// say has one end of a connection say a word, and reports whether the other heard it within
// a second.
func (c *duo) say(end int) bool {
	c.ends[end].Write([]byte("word"))
	c.ends[1-end].SetReadDeadline(time.Now().Add(time.Second))
	_, err := io.ReadFull(c.ends[1-end], make([]byte, 4))
	return err == nil
}

// A living world, with all that it remembers, does with every segment of TCP what an oracle
// says that looks at everything anew: dials succeed, are refused and time out as it says,
// connections go on or not as it says, and what is dropped is dropped for its reason, in both
// families. What is judged is dials and words.
func TestTCPAgainstOracle(t *testing.T) {
	cases(t, manyCases, func(t *rapid.T, done func()) {
		rapid.SyncTest(t, func(t *rapid.T) {
			x := newJudged(netfake.New(t, netfake.Config{Seed: 1, KeepAlive: -1}))
			for range rapid.IntRange(1, 30).Draw(t, "steps") {
				switch rapid.IntRange(0, 7).Draw(t, "act") {
				case 0, 1:
					x.change(t)
				case 2:
					done()
					x.dial(t, x.draw(t))
				case 3:
					if x.last.Src.IsValid() {
						done()
						x.dial(t, x.last)
					}
				case 4, 5:
					if len(x.conns) > 0 {
						done()
						x.conns[rapid.IntRange(0, len(x.conns)-1).Draw(t, "connection")].say(rapid.IntRange(0, 1).Draw(t, "end"))
					}
				case 6:
					if n := len(x.conns); n > 0 {
						x.conns[n-1].ends[rapid.IntRange(0, 1).Draw(t, "closes")].Close()
					}
				case 7:
					x.w.Sleep(time.Duration(pickOf(t, "seconds", 5, 9, 10, 59, 60, 119, 120)) * time.Second)
				}
				x.check(t)
			}
			x.w.Close()
		})
	})
}

// What that property compares is of every kind. A connection that is tracked goes on when its
// rule is revoked, one that is not does not, and nobody gets a new one; and each is dropped for
// another reason. In both families.
func TestTCPOracleTellsApart(t *testing.T) {
	for family := range 2 {
		netfake.RunConfig(t, netfake.Config{Seed: 1, KeepAlive: -1}, func(t *testing.T, w *netfake.World) {
			x := newJudged(w)
			flow := func(from, to int, src, port uint16) netfake.Flow {
				return netfake.Flow{
					Proto: netfake.TCP,
					Src:   netip.AddrPortFrom(x.hosts[from].addresses()[family], src), Dst: netip.AddrPortFrom(x.hosts[to].addresses()[family], port),
				}
			}
			want := func(what string, drops ...verdict) {
				t.Helper()
				x.w.Sleep(time.Second)
				var seen []verdict
				x.w.Do(func(time.Duration) { seen = slices.Compact(slices.Clone(x.drops)) })
				if x.check(t); !slices.Equal(seen, drops) {
					t.Errorf("%s: dropped by %v, want %v", what, seen, drops)
				}
			}
			x.dial(t, flow(2, 0, 2000, listens)) // to the group that leaves it untracked
			x.dial(t, flow(2, 1, 2001, listens))
			x.dial(t, flow(2, 1, 2002, 81)) // where nobody listens
			want("all open")
			for _, peer := range []Peer{CIDR("10.0.0.0/16"), CIDR("2001:db8:7::/56"), Anywhere, AnywhereIPv6} {
				for _, g := range x.groups[:2] {
					r, _ := parseRule("tcp/75-85", peer)
					if g.ingress.find(r) >= 0 {
						g.RevokeIngress("tcp/75-85", peer)
					}
				}
			}
			if !x.conns[1].say(0) || !x.conns[1].say(1) {
				t.Error("a tracked connection does not outlive its rule")
			}
			want("a tracked connection")
			x.dial(t, flow(2, 1, 2003, listens))
			want("a new one", byGroup)
			if x.conns[0].say(0) {
				t.Error("an untracked connection outlives its rule")
			}
			want("an untracked connection", byGroup)
			w.Sleep(60 * time.Second)
			if x.conns[1].say(1) {
				t.Error("a connection that has idled out goes on")
			}
			want("one that has idled out", byGroup, midway)
		})
	}
}
