package fabricfake

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/internal/talk"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// segment returns a TCP packet with flags. It is called inside the scheduler.
func segment(t netfake.TB, w *netfake.World, src, dst string, flags uint8) *netfake.Packet {
	t.Helper()
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	p := w.NewPacket(wire.IPv4HeaderLen+wire.TCPHeaderLen, 0, 0)
	ip := wire.IPv4{TTL: 64, Proto: wire.ProtoTCP, Src: from.Addr(), Dst: to.Addr()}
	ip.Put(p.Bytes(), wire.TCPHeaderLen)
	head := wire.TCP{SrcPort: from.Port(), DstPort: to.Port(), Flags: flags}
	head.Put(p.Bytes()[wire.IPv4HeaderLen:])
	if err := p.Decode(); err != nil {
		t.Fatalf("%v", err)
	}
	return p
}

// A connection has the precedent of those between the same addresses to the same port, as
// long as nothing changes, and so has the answer, if it is to a port that is treated alike.
func TestPrecedentIsFound(t *testing.T) {
	const src, dst = "10.0.1.4:40000", "10.0.2.4:80"
	for _, row := range []struct {
		name     string
		src, dst string
		flags    uint8
		later    uint64 // changes
		want     bool
	}{
		{"the same connection", src, dst, flagSYN, 0, true},
		{"one from another port", "10.0.1.4:40001", dst, flagSYN, 0, true},
		{"from another address", "10.0.1.5:40000", dst, flagSYN, 0, false},
		{"to another address", src, "10.0.2.5:80", flagSYN, 0, false},
		{"to another port", src, "10.0.2.4:81", flagSYN, 0, false},
		{"what follows", src, dst, flagACK, 0, false},
		{"after a change", src, dst, flagSYN, 1, false},
		{"the same answer", dst, src, flagSYN | flagACK, 0, true},
		{"one to another port", dst, "10.0.1.4:40009", flagSYN | flagACK, 0, true},
		{"one to the last port that is treated alike", dst, "10.0.1.4:40010", flagSYN | flagACK, 0, true},
		{"one to the first that is not", dst, "10.0.1.4:40011", flagSYN | flagACK, 0, false},
		{"one to a port before those", dst, "10.0.1.4:39999", flagSYN | flagACK, 0, false},
		{"an answer to another address", dst, "10.0.1.5:40000", flagSYN | flagACK, 0, false},
		{"from another address", "10.0.2.5:80", src, flagSYN | flagACK, 0, false},
		{"from another port", "10.0.2.4:81", src, flagSYN | flagACK, 0, false},
		{"an answer the other way", src, dst, flagSYN | flagACK, 0, false},
		{"what follows it", dst, src, flagACK, 0, false},
		{"a refusal", dst, src, flagRST | flagACK, 0, false},
		{"an answer after a change", dst, src, flagSYN | flagACK, 1, false},
	} {
		w := netfake.New(t, netfake.Config{})
		w.Do(func(time.Duration) {
			var c precedents
			first, answer := segment(t, w, src, dst, flagSYN), segment(t, w, dst, src, flagSYN|flagACK)
			c.put(first, &passage{flow: first.Flow, changes: w.Changes() - row.later})
			c.put(answer, &passage{flow: answer.Flow, changes: w.Changes() - row.later, alike: portSpan{40000, 40010}})
			if got := c.find(segment(t, w, row.src, row.dst, row.flags)); (got != nil) != row.want {
				t.Errorf("%s: %v, want one: %v", row.name, got, row.want)
			}
		})
	}
}

// Who follows a precedent is counted and tracked as the first was; who may not goes through
// the stages.
func TestPrecedentIsFollowed(t *testing.T) {
	const begins, answers = flagSYN, flagSYN | flagACK
	tracked := func(f *Interface, _ *passage, k *trackKey) { f.tracker.insert(k, 0) }
	nothing := func(*Interface, *passage, *trackKey) {}
	untracked := func(_ *Interface, m *passage, _ *trackKey) { m.tracked = nil }
	for _, row := range []struct {
		name    string
		flags   uint8
		change  func(f *Interface, m *passage, key *trackKey)
		follows bool
	}{
		{"a tracked connection", begins, nothing, true},
		{"an untracked one", begins, untracked, true},
		{"one that is tracked already", begins, tracked, false},
		{"one that was reset", begins, func(f *Interface, _ *passage, k *trackKey) { f.tracker.insert(k, 0).reset = true }, true},
		{"with an allowance", begins, func(f *Interface, _ *passage, _ *trackKey) { f.instance.conntrack.most = 9 }, false},
		{"an untracked one with an allowance", begins, func(f *Interface, m *passage, _ *trackKey) { m.tracked, f.instance.conntrack.most = nil, 9 }, true},
		{"a way too narrow", begins, func(_ *Interface, m *passage, _ *trackKey) { m.next.MTU = 20 }, false},
		{"the answer in a tracked connection", answers, tracked, true},
		{"one in none", answers, nothing, false},
		{"one in one that has idled out", answers, func(f *Interface, _ *passage, k *trackKey) { f.tracker.insert(k, -tcpOpening) }, false},
		{"one in an untracked one", answers, untracked, true},
		{"one in a tracked one where the first was in none", answers, func(f *Interface, m *passage, k *trackKey) { tracked(f, m, k); m.tracked = nil }, false},
		{"one in a tracked one with an allowance", answers, func(f *Interface, m *passage, k *trackKey) { tracked(f, m, k); f.instance.conntrack.most = 9 }, true},
	} {
		w := netfake.New(t, netfake.Config{})
		w.Do(func(time.Duration) {
			f := &Interface{tracker: newTracker(ConnectionTracking{}), instance: &Instance{}}
			p := segment(t, w, "10.0.1.4:40000", "10.0.2.4:80", row.flags)
			key := trackKeyOf(p, netfake.Egress)
			like := &passage{tracked: &connection{}, opening: &Rule{}, entry: &ACLEntry{}, changes: w.Changes()}
			row.change(f, like, &key)
			var c passages
			m := c.follow(like, f, p, netfake.Egress)
			if (m != nil) != row.follows || !row.follows {
				if row.follows != (m != nil) {
					t.Errorf("%s: %v, want one: %v", row.name, m, row.follows)
				}
				return
			}
			if like.opening.Hits != 1 || like.entry.Hits != 1 {
				t.Errorf("%s: %d hits of the rule, %d of the entry", row.name, like.opening.Hits, like.entry.Hits)
			}
			if tracked := f.tracker.lookup(&key, flagACK, 0); tracked != m.tracked || (tracked != nil) != (like.tracked != nil) {
				t.Errorf("%s: tracked as %v, the passage has %v", row.name, tracked, m.tracked)
			}
			if c.of[p.FlowHash()%uint64(len(c.of))] != m || m.flow != p.Flow {
				t.Errorf("%s: the passage is not where it is looked for", row.name)
			}
		})
	}
}

func countPassages(all []*passage) (n int) {
	for _, m := range all {
		if m != nil {
			n++
		}
	}
	return n
}

// To every port of a span goes the same rule and the same entry.
func TestTreatsAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := netfake.New(t, netfake.Config{Seed: 1})
		defer w.Close()
		vpc := NewVPC(w, "prod", "10.0.0.0/16")
		g, acl := vpc.SecurityGroup("web").RestrictEgress(), vpc.NetworkACL("web")
		perm := rapid.Custom(func(t *rapid.T) string {
			from := rapid.IntRange(0, 40).Draw(t, "from")
			return fmt.Sprintf("%s/%d-%d", rapid.SampledFrom([]string{"tcp", "tcp", "udp"}).Draw(t, "proto"), from, rapid.IntRange(from, 40).Draw(t, "to"))
		})
		for i, r := range rapid.SliceOfNDistinct(perm, 0, 5, rapid.ID).Draw(t, "rules") {
			g.AllowEgress(r, Anywhere)
			acl.DenyEgress(i+1, rapid.SampledFrom([]string{r, "tcp/0", "tcp/65535", "all"}).Draw(t, "entry"), "0.0.0.0/0")
		}
		s := vpc.Subnet("web", "10.0.1.0/24", "a").UseACL(acl)
		f := s.Instance("web", InstanceConfig{Groups: Groups{g}}).Interface()
		answer := func(port int) *netfake.Packet {
			return segment(t, w, "10.0.1.4:80", netip.AddrPortFrom(netip.MustParseAddr("10.0.2.4"), uint16(port)).String(), flagSYN|flagACK)
		}
		w.Do(func(time.Duration) {
			port := rapid.SampledFrom([]int{0, 7, 20, 40, 41, maxPort}).Draw(t, "port")
			p := answer(port)
			span := f.treatsAlike(p, netfake.Egress)
			if !span.has(uint16(port)) {
				t.Fatalf("%v is without %d", span, port)
			}
			rule, entry := checkGroups(f.groups, netfake.Egress, p.Flow, 0, 0, nil).rule, acl.check(netfake.Egress, p.Flow, 0, 0).entry
			for other := max(int(span.first), port-50); other <= min(int(span.last), port+50); other++ {
				flow := answer(other).Flow
				if got := checkGroups(f.groups, netfake.Egress, flow, 0, 0, nil).rule; got != rule {
					t.Fatalf("in %v rule %v for %d, %v for %d", span, rule, port, got, other)
				}
				if got := acl.check(netfake.Egress, flow, 0, 0).entry; got != entry {
					t.Fatalf("in %v entry %v for %d, %v for %d", span, entry, port, got, other)
				}
			}
			if opening := segment(t, w, "10.0.2.4:80", "10.0.1.4:80", flagSYN); f.treatsAlike(opening, netfake.Egress) != everyPort {
				t.Fatal("to a SYN's port it matters")
			}
		})
	})
}

// Of what TestPassagesAreInvisible compares precedents are taken, on the way out and on the
// way in, and of what is recorded none. A segment of a connection that is tracked already,
// whatever the rules say, makes none.
func TestPrecedentsAreTaken(t *testing.T) {
	for _, recorded := range []bool{false, true} {
		netfake.RunConfig(t, netfake.Config{Seed: 1}, func(t *testing.T, w *netfake.World) {
			l := newLife(t, w, recorded)
			l.do(talk.Act{Kind: 13, Which: 2}) // another call from ha
			for _, h := range l.hosts {
				for way, cache := range map[string]*precedents{"out": &h.iface.sent.precedents, "in": &h.iface.device.came.precedents} {
					openings, answers := countPassages(cache.openings[:]), countPassages(cache.answers[:])
					if want := map[bool]int{false: 1, true: 0}[recorded]; openings != want || answers != want {
						t.Errorf("recorded %v: %v, %s: %d precedents of openings, %d of answers; want %d", recorded, h, way, openings, answers, want)
					}
				}
			}
		})
	}
	var c passages
	w := netfake.New(t, netfake.Config{})
	w.Do(func(time.Duration) {
		p := segment(t, w, "10.0.1.4:40000", "10.0.2.4:80", flagSYN)
		c.put(p, &passage{tracked: &connection{}})
		if c.precedents.find(p) != nil {
			t.Error("a precedent that was not judged")
		}
		c.put(p, &passage{tracked: &connection{}, begins: true})
		if c.precedents.find(p) == nil {
			t.Error("no precedent of a connection that was judged")
		}
	})
}

// door is a gateway of one host, and notes from whom the last packet was.
type door struct {
	edge    *Edge
	outside *netfake.Host
	from    *Interface
}

func (d *door) String() string                      { return "door" }
func (d *door) Step(p *netfake.Packet) netfake.Next { return d.edge.Enter(p) }
func (d *door) Leave(p *netfake.Packet, from *Interface) netfake.Next {
	d.from = from
	return p.To(d.outside)
}

// Edges follow precedents of openings and of answers, and take passages of what comes then, on
// the way out and on the way in: one that is tampered with leads astray what comes after it.
func TestEdgesFollowPrecedents(t *testing.T) {
	openings := func(c *passages) []*passage { return c.precedents.openings[:] }
	answers := func(c *passages) []*passage { return c.precedents.answers[:] }
	data := func(c *passages) []*passage { return c.of[:] }
	for _, row := range []struct {
		name    string
		inward  bool // the one outside dials
		leaving bool // what follows
		find    func(*passages) []*passage
		writes  bool // instead of dialling again
	}{
		{"openings out", false, true, openings, false},
		{"answers in", false, false, answers, false},
		{"openings in", true, false, openings, false},
		{"answers out", true, true, answers, false},
		{"data out", false, true, data, true},
		{"data in", true, false, data, true},
	} {
		for _, s := range settings[:2] {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				(&doored{setting: s, inward: row.inward}).test(t, w, func(x *doored) {
					cache := &x.edge.entered
					if row.leaving {
						cache = &x.edge.came
					}
					for _, m := range row.find(cache) {
						if m != nil {
							m.from, m.header = x.other, header{}
						}
					}
					err := x.conn.SetDeadline(time.Now().Add(time.Second))
					if row.writes {
						x.conn.Write([]byte("more"))
						w.Sleep(50 * time.Millisecond)
					} else {
						_, err = x.dial()
					}
					strays := err != nil || row.writes
					if row.leaving && x.from != x.other || !row.leaving && (!strays || len(w.Alarms()) == 0) {
						t.Errorf("%s, %s: nothing that was remembered was taken: %v, from %v, %v", row.name, s.name, err, x.from, w.Alarms())
					}
				})
			})
		}
	}
}

// doored is a VPC with a door, and a connection through it.
type doored struct {
	setting
	inward bool // the one outside dials
	*door
	other *Interface // that has nothing to do with it
	conn  net.Conn
	dial  func() (net.Conn, error)
}

// test makes connections through the door, of which all is well, before it goes on.
func (x *doored) test(t *testing.T, w *netfake.World, then func(*doored)) {
	v := NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("2001:db8:7::/56")
	x.door = &door{outside: w.NewHost("client", netfake.Place{})}
	x.outside.AddNIC(netip.MustParseAddr(map[bool]string{false: "203.0.113.5", true: "2001:db8:5::5"}[x.six]), 1500, x.door)
	x.edge = NewEdge(v, "door", x.door)
	subnet := v.Subnet("s", "10.0.1.0/24", "a").AddIPv6("2001:db8:7:1::/64").Route(string(x.anywhere()), &movable{next: NextHop{Edge: x.edge}})
	open := Groups{v.SecurityGroup("open").AllowIngress("all", x.anywhere())}
	web := subnet.Instance("web", InstanceConfig{Groups: open, IPv6AddressCount: 1})
	x.other = subnet.Instance("other", InstanceConfig{}).Interface()
	from, to, at := web.Host, x.outside, x.outside.Addr()
	if x.six {
		at = x.outside.Addr6()
	}
	if x.inward {
		from, to, at = to, from, x.addr(web)
	}
	if _, err := to.Listen("tcp", ":80"); err != nil {
		t.Fatal(err)
	}
	x.dial = func() (net.Conn, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		return from.DialContext(ctx, "tcp", netip.AddrPortFrom(at, 80).String())
	}
	_, first := x.dial()
	c, second := x.dial()
	if first != nil || second != nil || x.from != web.Interface() || len(w.Alarms()) > 0 {
		t.Fatalf("%v, %v, from %v, %v", first, second, x.from, w.Alarms())
	}
	x.conn = c
	c.Write([]byte("something"))
	w.Sleep(50 * time.Millisecond)
	if x.from != web.Interface() || len(w.Alarms()) > 0 {
		t.Fatalf("after something was said: from %v, %v", x.from, w.Alarms())
	}
	then(x)
}
