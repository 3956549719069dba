package fabricfake

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/internal/talk"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// life is two instances that talk while somebody changes what lies between them.
type life struct {
	*talk.Talk
	w      *netfake.World
	hosts  [2]*Instance
	faults []*netfake.Fault // that there have been
	groups Groups
	acl    *NetworkACL
}

func newLife(t netfake.TB, w *netfake.World, record bool) *life {
	vpc := NewVPC(w, "prod", "10.0.0.0/16")
	l := &life{Talk: &talk.Talk{}, w: w, acl: vpc.NetworkACL("back")}
	l.acl.AllowIngress(200, "all", "0.0.0.0/0").AllowEgress(200, "all", "0.0.0.0/0")
	l.groups = Groups{vpc.SecurityGroup("one"), vpc.SecurityGroup("two")}
	l.groups[0].AllowIngress("tcp/80", Anywhere).AllowIngress("udp", CIDR("10.0.0.0/16"))
	l.groups[0].RestrictEgress().AllowEgress("tcp/40000-40003", Anywhere).AllowEgress("all", Anywhere) // the first for some answers
	l.groups[1].AllowIngress("tcp", l.groups[0]).AllowIngress("udp/53", Anywhere).RestrictEgress().AllowEgress("tcp", Anywhere).AllowEgress("udp", CIDR("10.0.1.0/24"))
	for i, zone := range []string{"a", "b"} {
		s := vpc.Subnet("s"+zone, fmt.Sprintf("10.0.%d.0/24", i+1), zone)
		l.hosts[i] = s.Instance("h"+zone, InstanceConfig{Groups: Groups{l.groups[i]}})
		l.hosts[i].SetEphemeralPorts(40000, 40007)
		listener, err := l.hosts[i].Listen("tcp", ":80")
		if err != nil {
			t.Fatalf("%v", err)
		}
		w.Go(func(context.Context) { talk.Answer(listener) })
		if l.Sides[i].UDP, err = l.hosts[i].ListenPacket("udp", ":53"); err != nil {
			t.Fatalf("%v", err)
		}
		if i == 1 {
			s.UseACL(l.acl)
		}
	}
	for i := range l.Sides {
		s, other := &l.Sides[i], l.hosts[1-i]
		s.Dial, s.To, s.UDPTo = l.hosts[i].DialContext, other.TCP(80).Addr.String(), net.UDPAddrFromAddrPort(other.UDP(53).Addr)
	}
	if record {
		w.Record(nil)
	}
	l.Call(0)
	l.Call(1)
	return l
}

// kinds is how many kinds of acts there are.
const kinds = 19

// do lets something happen, and what comes of it within some milliseconds.
func (l *life) do(a talk.Act) {
	one, two := l.groups[0], l.groups[1]
	switch a.Kind {
	case 0, 1, 2, 3:
		l.Write(a.Which, 100+a.Which)
	case 4, 5, 6, 7:
		l.Datagram(a.Which)
	case 8:
		l.Toggle("rule", func() { one.RevokeIngress("tcp/80", Anywhere) }, func() { one.AllowIngress("tcp/80", Anywhere) })
	case 9:
		l.Toggle("rule by group", func() { two.RevokeIngress("tcp", one) }, func() { two.AllowIngress("tcp", one) })
	case 10:
		perm := []string{"tcp", "udp", "tcp/80", "udp/53", "tcp/40000-40003", "tcp/40003-40005"}[a.Which%6]
		l.Toggle("entry", func() { l.acl.DenyIngress(100, perm, "0.0.0.0/0") }, func() { l.acl.RemoveIngress(100) })
	case 11:
		f := l.hosts[0].Interface()
		l.Toggle("groups", func() { f.SetGroups(Groups{two}) }, func() { f.SetGroups(Groups{one}) })
	case 12:
		l.w.Sleep([]time.Duration{8 * time.Second, 25 * time.Second, 100 * time.Second, 3 * time.Hour}[a.Which%4])
	case 13:
		switch {
		case a.Which%3 == 0:
			failure := l.hosts[1].Interface().PhysicalHost().Fail()
			l.faults = append(l.faults, failure)
			l.w.Sleep(time.Second)
			failure.Undo()
		case a.Which%3 == 1 && l.Connections() > 1:
			l.Hangup()
		default:
			l.Call(a.Which)
		}
	case 14:
		mapping := l.hosts[0].Interface().VPC().Region().Mapping()
		l.Toggle("delay", func() { mapping.SetDelay(30 * time.Millisecond) }, func() { mapping.SetDelay(0) })
	case 15:
		mapping := l.hosts[0].Interface().VPC().Region().Mapping()
		if a.Which%2 == 0 {
			l.Toggle("mapping", func() { l.faults = append(l.faults, mapping.Fail()) }, mapping.Repair)
		} else {
			l.Toggle("ask", func() { mapping.SetMissPolicy(MissAsk) }, func() { mapping.SetMissPolicy(MissDrop) })
		}
	case 16, 17, 18:
		l.Call(a.Which)
	}
	l.w.Sleep(20 * time.Millisecond)
}

// seen is all that can be seen of a life.
func (l *life) seen() string {
	synctest.Wait() // for those who have just been woken to read, and wait again
	var b strings.Builder
	for _, g := range l.groups {
		for _, r := range append(g.IngressRules(), g.EgressRules()...) {
			fmt.Fprintf(&b, "%v %v %v: %d\n", g, r.Permission, r.Peer, r.Hits)
		}
	}
	for _, e := range append(l.acl.IngressEntries(), l.acl.EgressEntries()...) {
		fmt.Fprintf(&b, "acl %d: %d\n", e.Number, e.Hits)
	}
	for _, f := range l.faults {
		fmt.Fprintf(&b, "%v: %d\n", f, f.Hits())
	}
	for _, d := range l.w.Drops() {
		fmt.Fprintln(&b, d)
	}
	fmt.Fprintf(&b, "%v\n%+v\n%s", l.w.Alarms(), DefaultRegion(l.w).Link("a", "b").Stats(), l.w.Sockets())
	return b.String()
}

// Whatever happens, with passages all comes as it does when every packet goes through the
// stages, which those do that are recorded.
func TestPassagesAreInvisible(t *testing.T) {
	talk.Invisible(t, kinds, func(t *rapid.T, acts []talk.Act, recorded bool) string {
		l := newLife(t, netfake.New(t, netfake.Config{Seed: 1}), recorded)
		defer l.w.Close()
		for _, a := range acts {
			l.do(a)
		}
		if n := len(remembered(l)); recorded && n > 0 {
			t.Fatalf("%d passages of recorded packets", n)
		}
		return l.seen()
	})
}

// Of what that property compares passages are taken: of what is said each host remembers one
// on the way out and one on the way in, and of what is recorded none.
func TestPassagesAreTaken(t *testing.T) {
	for _, recorded := range []bool{false, true} {
		netfake.RunConfig(t, netfake.Config{Seed: 1}, func(t *testing.T, w *netfake.World) {
			l := newLife(t, w, recorded)
			for _, a := range []talk.Act{{Kind: 0, Which: 0}, {Kind: 4, Which: 0}, {Kind: 4, Which: 1}} {
				l.do(a)
			}
			places := map[string]bool{}
			for _, m := range remembered(l) {
				places[fmt.Sprint(m.flow.Proto, " from ", m.from, " to ", m.to)] = true
			}
			for _, place := range []string{"from ha to <nil>", "from <nil> to hb", "from hb to <nil>", "from <nil> to ha"} {
				for _, proto := range []string{"tcp ", "udp "} {
					if places[proto+place] == recorded {
						t.Errorf("recorded %v: passages %v", recorded, places)
					}
				}
			}
		})
	}
}

// remembered returns the passages of both hosts.
func remembered(l *life) (all []*passage) {
	for _, h := range l.hosts {
		for _, cache := range []*passages{&h.iface.sent, &h.iface.device.came} {
			for _, m := range slices.Concat(cache.of[:], cache.precedents.openings[:], cache.precedents.answers[:]) {
				if m != nil {
					all = append(all, m)
				}
			}
		}
	}
	return all
}

// movable is a target that can be taken away and lead elsewhere.
type movable struct {
	gone bool
	next NextHop
}

func (m *movable) String() string   { return "movable" }
func (m *movable) Attached() bool   { return !m.gone }
func (m *movable) NextHop() NextHop { return m.next }

// A passage holds until its connection has idled out, another one is opened, or the
// route's target has gone.
func TestPassageIsCurrent(t *testing.T) {
	for _, tt := range []struct {
		name   string
		m      passage
		change func(f *Interface, target *movable)
		want   bool
	}{
		{"nothing", passage{}, func(*Interface, *movable) {}, true},
		{"another connection", passage{}, func(f *Interface, _ *movable) { f.tracker.opened++ }, false},
		{"another connection, when its own is tracked", passage{tracked: &connection{idle: 11}}, func(f *Interface, _ *movable) { f.tracker.opened++ }, true},
		{"time", passage{tracked: &connection{idle: 10}}, func(*Interface, *movable) {}, false},
		{"not quite enough of it", passage{tracked: &connection{idle: 11}}, func(*Interface, *movable) {}, true},
		{"no target's absence", passage{}, func(_ *Interface, m *movable) { m.gone = true }, true},
		{"the target's absence", passage{target: &movable{}}, func(_ *Interface, m *movable) { m.gone = true }, false},
		{"the target's next hop", passage{target: &movable{}}, func(_ *Interface, m *movable) { m.next.Tracks = true }, false},
		{"a target that stays", passage{target: &movable{}}, func(*Interface, *movable) {}, true},
	} {
		f := &Interface{tracker: newTracker(ConnectionTracking{})}
		target, _ := tt.m.target.(*movable)
		if target == nil {
			target = &movable{}
		}
		tt.change(f, target)
		if got := tt.m.current(f, 10); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Passages are for packets in the middle of a conversation that nobody watches.
func TestMemorable(t *testing.T) {
	const fragment = 0x80 // a flag of TCP that nobody looks at
	for _, tt := range []struct {
		name  string
		proto netfake.Protocol
		flags uint8
		want  bool
	}{
		{"data", netfake.TCP, flagACK, true},
		{"a fragment of it", netfake.TCP, flagACK | fragment, false},
		{"the end", netfake.TCP, flagACK | flagFIN, true},
		{"the beginning", netfake.TCP, flagSYN, false},
		{"its answer", netfake.TCP, flagSYN | flagACK, false},
		{"a datagram", netfake.UDP, 0, true},
		{"a fragment of one", netfake.UDP, fragment, false},
		{"a message", netfake.ICMP, 0, false},
	} {
		w := netfake.New(t, netfake.Config{})
		src, dst := netip.MustParseAddr("10.0.1.4"), netip.MustParseAddr("10.0.2.4")
		b := make([]byte, wire.IPv4HeaderLen+wire.TCPHeaderLen)
		ip := wire.IPv4{Proto: uint8(tt.proto), MF: tt.flags&fragment != 0, Src: src, Dst: dst}
		ip.Put(b, wire.TCPHeaderLen)
		b[wire.IPv4HeaderLen+12], b[wire.IPv4HeaderLen+13] = 5<<4, tt.flags
		w.Do(func(time.Duration) {
			p := w.NewPacket(len(b), 0, 0)
			copy(p.Bytes(), b)
			if err := p.Decode(); err != nil {
				t.Fatal(err)
			}
			if got := memorable(p); got != tt.want {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		})
	}
}

// What a frame has put in front of one packet, its header puts in front of another as the
// frame itself would.
func TestHeader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Uint32()
		f := Frame{
			From: nthAddress(hostBlock, number.Draw(t, "from")%60000), To: nthAddress(hostBlock, number.Draw(t, "to")%60000),
			Entropy: uint16(number.Draw(t, "entropy")), VNI: number.Draw(t, "vni") % (1 << 24), Source: uint64(number.Draw(t, "source")),
			Inner: make([]byte, rapid.IntRange(1, 9001).Draw(t, "length")),
		}
		f.Inner[0] = rapid.SampledFrom([]byte{0x45, 0x60}).Draw(t, "version")
		h := header(f.Marshal())
		f.Inner = append(f.Inner[:1], make([]byte, rapid.IntRange(0, 9000).Draw(t, "other length"))...)
		want := f.Marshal()
		got := make([]byte, len(want))
		copy(got[frameHeaderLen:], f.Inner)
		h.put(got, len(f.Inner))
		if !bytes.Equal(got, want) {
			t.Fatalf("%x, want %x", got[:frameHeaderLen], want[:frameHeaderLen])
		}
	})
}
