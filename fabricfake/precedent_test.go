package fabricfake

import (
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/talk"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// segment returns a TCP packet with flags. It is called inside the scheduler.
func segment(t *testing.T, w *netfake.World, src, dst string, flags uint8) *netfake.Packet {
	t.Helper()
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	p := w.NewPacket(wire.IPv4HeaderLen+wire.TCPHeaderLen, 0, 0)
	ip := wire.IPv4{TTL: 64, Proto: wire.ProtoTCP, Src: from.Addr(), Dst: to.Addr()}
	ip.Put(p.Bytes(), wire.TCPHeaderLen)
	head := wire.TCP{SrcPort: from.Port(), DstPort: to.Port(), Flags: flags}
	head.Put(p.Bytes()[wire.IPv4HeaderLen:])
	if err := p.Decode(); err != nil {
		t.Fatal(err)
	}
	return p
}

// A connection has the precedent of those between the same addresses to the same port, as
// long as nothing changes.
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
		{"an answer", src, dst, flagSYN | flagACK, 0, false},
		{"what follows", src, dst, flagACK, 0, false},
		{"after a change", src, dst, flagSYN, 1, false},
	} {
		w := netfake.New(t, netfake.Config{})
		w.Do(func(time.Duration) {
			var c precedents
			first := segment(t, w, src, dst, flagSYN)
			c.put(&passage{flow: first.Flow, changes: w.Changes() - row.later})
			if got := c.find(segment(t, w, row.src, row.dst, row.flags)); (got != nil) != row.want {
				t.Errorf("%s: %v, want one: %v", row.name, got, row.want)
			}
		})
	}
}

// Who follows a precedent is counted and tracked as the first was; who may not goes through
// the stages.
func TestPrecedentIsFollowed(t *testing.T) {
	for _, row := range []struct {
		name    string
		change  func(f *Interface, m *passage, key *trackKey)
		follows bool
	}{
		{"a tracked connection", func(*Interface, *passage, *trackKey) {}, true},
		{"an untracked one", func(_ *Interface, m *passage, _ *trackKey) { m.tracked = nil }, true},
		{"one that is tracked already", func(f *Interface, _ *passage, k *trackKey) { f.tracker.insert(k, 0) }, false},
		{"one that was reset", func(f *Interface, _ *passage, k *trackKey) { f.tracker.insert(k, 0).reset = true }, true},
		{"with an allowance", func(f *Interface, _ *passage, _ *trackKey) { f.instance.conntrack.most = 9 }, false},
		{"an untracked one with an allowance", func(f *Interface, m *passage, _ *trackKey) { m.tracked, f.instance.conntrack.most = nil, 9 }, true},
		{"a target that has gone", func(_ *Interface, m *passage, _ *trackKey) { m.target = &movable{gone: true} }, false},
		{"a target that leads elsewhere", func(_ *Interface, m *passage, _ *trackKey) { m.target = &movable{next: NextHop{Tracks: true}} }, false},
		{"a target that stays", func(_ *Interface, m *passage, _ *trackKey) { m.target = &movable{} }, true},
		{"a way too narrow", func(_ *Interface, m *passage, _ *trackKey) { m.next.MTU = 20 }, false},
	} {
		w := netfake.New(t, netfake.Config{})
		w.Do(func(time.Duration) {
			f := &Interface{tracker: newTracker(ConnectionTracking{}), instance: &Instance{}}
			p := segment(t, w, "10.0.1.4:40000", "10.0.2.4:80", flagSYN)
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

// Of what TestPassagesAreInvisible compares precedents are taken, on the way out and on the
// way in, and of what is recorded none. A segment of a connection that is tracked already,
// whatever the rules say, makes none.
func TestPrecedentsAreTaken(t *testing.T) {
	for _, recorded := range []bool{false, true} {
		netfake.RunConfig(t, netfake.Config{Seed: 1}, func(t *testing.T, w *netfake.World) {
			l := newLife(t, w, recorded)
			l.do(talk.Act{Kind: 13, Which: 2}) // another call from ha
			out, in := 0, 0
			for _, m := range l.hosts[0].iface.sent.precedents {
				if m != nil {
					out++
				}
			}
			for _, m := range l.hosts[1].iface.device.came.precedents {
				if m != nil {
					in++
				}
			}
			if want := map[bool]int{false: 1, true: 0}[recorded]; out != want || in != want {
				t.Errorf("recorded %v: %d precedents of those who call, %d of those who are called; want %d", recorded, out, in, want)
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
