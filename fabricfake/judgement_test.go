package fabricfake

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// rulePool returns groups of as many rules as are remembered, for ports around those that
// are asked about.
func rulePool(t *rapid.T, w *netfake.World) Groups {
	groups := Groups{newSecurityGroup(w, "v", "one"), newSecurityGroup(w, "v", "two")}
	for _, g := range groups {
		g.RestrictEgress()
		for range 50 {
			addRandomRule(t, g, groups)
		}
	}
	return groups
}

func addRandomRule(t *rapid.T, g *SecurityGroup, groups Groups) {
	first := rapid.IntRange(0, 65535).Draw(t, "first")
	if rapid.Bool().Draw(t, "low") {
		first %= 8
	}
	p := Permission{
		Proto: rapid.SampledFrom([]netfake.Protocol{netfake.TCP, netfake.TCP, netfake.UDP}).Draw(t, "protocol"),
		From:  first, To: min(65535, first+rapid.SampledFrom([]int{0, 0, 1, 3, 65535}).Draw(t, "width")),
	}
	switch rapid.IntRange(0, 9).Draw(t, "special") {
	case 0:
		p = Permission{Proto: netfake.ICMP, From: rapid.SampledFrom([]int{-1, 0, 8}).Draw(t, "type"), To: anyICMP}
	case 1:
		p = Permission{Proto: 50}
	}
	var peer Peer = CIDR(rapid.SampledFrom([]string{"0.0.0.0/0", "10.0.0.0/30", "10.0.0.1/32", "10.0.0.2/32"}).Draw(t, "peer"))
	if rapid.IntRange(0, 3).Draw(t, "by group") == 0 {
		peer = rapid.SampledFrom([]*SecurityGroup(groups)).Draw(t, "group")
	}
	if rapid.Bool().Draw(t, "egress") {
		allow(t, g, g.egress.add, p, peer)
	} else {
		allow(t, g, g.ingress.add, p, peer)
	}
}

// allow adds a rule; one that is there already, or that is one too many, is left out.
func allow(t *rapid.T, g *SecurityGroup, add func(Rule) error, p Permission, peer Peer) {
	r, err := parseRule(p.String(), peer)
	if err != nil {
		t.Fatal(err)
	}
	g.world.Do(func(time.Duration) { add(r) })
}

// packetTo makes a packet between two low addresses and ports.
func packetTo(t *rapid.T, w *netfake.World) *netfake.Packet {
	addr := func(name string) netip.Addr {
		return netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(0, 5).Draw(t, name))})
	}
	proto := rapid.SampledFrom([]netfake.Protocol{netfake.TCP, netfake.UDP, netfake.ICMP, 50, 51}).Draw(t, "packet")
	b := make([]byte, wire.IPv4HeaderLen+wire.TCPHeaderLen)
	ip := wire.IPv4{Proto: uint8(proto), Src: addr("from"), Dst: addr("to")}
	ip.Put(b, wire.TCPHeaderLen)
	port := rapid.SampledFrom([]uint16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1000, 40000, 65534, 65535})
	binary.BigEndian.PutUint16(b[wire.IPv4HeaderLen:], port.Draw(t, "source port"))
	binary.BigEndian.PutUint16(b[wire.IPv4HeaderLen+2:], port.Draw(t, "port"))
	if proto == netfake.ICMP {
		b[wire.IPv4HeaderLen] = rapid.SampledFrom([]byte{0, 3, 8}).Draw(t, "type")
	}
	p := w.NewPacket(len(b), 0, 0)
	copy(p.Bytes(), b)
	if err := p.Decode(); err != nil {
		t.Fatal(err)
	}
	return p
}

// What is remembered of the groups is what they say, also after a change.
func TestJudgementsAgainstGroups(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			w := netfake.New(t, netfake.Config{})
			f := &Interface{groups: rulePool(t, w)}
			ids := members{"10.0.0.1": f.groups[:1], "10.0.0.2": f.groups}
			for range 4 {
				w.Do(func(time.Duration) {
					for range 40 {
						p, dir := packetTo(t, w), drawDirection.Draw(t, "direction")
						var known identities
						if rapid.Bool().Draw(t, "known") {
							known = ids
						}
						typ, code := p.ICMPType()
						want := checkGroups(f.groups, dir, p.Flow, typ, code, known)
						if got := f.judge(p, dir, p.Flow, known); got != want {
							t.Fatalf("%v %v: remembered %+v, the groups say %+v", dir, p.Flow, got, want)
						}
					}
				})
				addRandomRule(t, f.groups[0], f.groups)
			}
		})
	})
}

// Of many rules what is remembered lets pass what a rule matches, and nothing else, the first
// time and those that follow.
func TestJudgementsAllowAndRefuse(t *testing.T) {
	w := netfake.New(t, netfake.Config{})
	g := newSecurityGroup(w, "v", "g")
	f := &Interface{groups: Groups{g}}
	for port := range fewRules + 1 {
		g.AllowIngress(fmt.Sprint("tcp/", 2*port), Anywhere)
	}
	w.Do(func(time.Duration) {
		for range 2 {
			for port := range uint16(2 * fewRules) {
				flow := netfake.Flow{Proto: netfake.TCP, Src: netip.MustParseAddrPort("10.0.0.1:1"), Dst: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), port)}
				if d := f.judge(w.NewPacket(40, 0, 0), netfake.Ingress, flow, nil); d.allowed != (port%2 == 0) {
					t.Errorf("port %d: allowed %v", port, d.allowed)
				}
			}
		}
	})
}

// Few rules are tried one by one; of many, what was said is remembered by the ports that
// rules tell apart.
func TestJudgementsAreFew(t *testing.T) {
	w := netfake.New(t, netfake.Config{})
	g := newSecurityGroup(w, "v", "g")
	f := &Interface{groups: Groups{g}}
	ask := func() int {
		w.Do(func(time.Duration) {
			for port := range uint16(1000) {
				flow := netfake.Flow{Proto: netfake.TCP, Src: netip.MustParseAddrPort("10.0.0.1:1"), Dst: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), port)}
				f.judge(w.NewPacket(40, 0, 0), netfake.Ingress, flow, nil)
			}
		})
		return len(f.judged[netfake.Ingress].known)
	}
	g.AllowIngress("tcp/10-20", Anywhere)
	if n := ask(); n != 0 {
		t.Errorf("%d judgements are remembered of one rule", n)
	}
	for port := range 59 {
		g.AllowIngress(Permission{Proto: netfake.TCP, From: 500 + port, To: 500 + port}.String(), Anywhere)
	}
	if n := ask(); n != 3+59+1 { // below, in and above the range; each port; above them
		t.Errorf("%d judgements are remembered", n)
	}
}

// Who asks where somebody is learns of his groups too, and judges by them what has waited for
// the answer, though a moment before he judged by those of which he had been told.
func TestJudgementsWaitForAnswers(t *testing.T) {
	for _, row := range []struct {
		name     string
		stays    bool // in the group that may send
		recorded bool // and nothing remembered
		want     int  // datagrams
	}{
		{"who has left the group", false, false, 0},
		{"who has left the group, recorded", false, true, 0},
		{"who is still in it", true, false, 1},
		{"who is still in it, recorded", true, true, 1},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			if row.recorded {
				w.Record(nil)
			}
			vpc := NewVPC(w, "prod", "10.0.0.0/16")
			friends, others := vpc.SecurityGroup("friends"), vpc.SecurityGroup("others")
			guarded := vpc.SecurityGroup("guarded").AllowIngress("udp/53", friends)
			for n := range fewRules {
				guarded.AllowIngress(fmt.Sprint("udp/", 3000+n), Anywhere)
			}
			s := vpc.Subnet("s", "10.0.1.0/24", "a")
			near := s.Instance("near", InstanceConfig{Groups: Groups{guarded}})
			far := s.Instance("far", InstanceConfig{Groups: Groups{friends}})
			from, err := far.ListenPacket("udp", ":53")
			if err != nil {
				t.Fatal(err)
			}
			to, err := near.ListenPacket("udp", ":53")
			if err != nil {
				t.Fatal(err)
			}
			mapping := vpc.Region().Mapping()
			mapping.SetDelay(time.Second)
			mapping.SetMissPolicy(MissAsk)
			far.Interface().SetGroups(map[bool]Groups{true: {friends, others}, false: {others}}[row.stays])

			// The datagram comes to near's host while that waits for an answer about far.
			from.WriteTo([]byte("in"), net.UDPAddrFromAddrPort(near.UDP(53).Addr))
			w.Sleep(LatencyZone + LatencyLookup/2)
			to.WriteTo([]byte("out"), net.UDPAddrFromAddrPort(far.UDP(54).Addr))
			w.Sleep(10 * time.Millisecond)
			came := 0
			to.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, _, err := to.ReadFrom(make([]byte, 9)); err == nil {
				came++
			}
			if came != row.want {
				t.Errorf("%s: %d datagrams came, want %d\n%v", row.name, came, row.want, w.Drops())
			}
		})
	}
}
