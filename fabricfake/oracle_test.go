package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
	"pgregory.net/rapid"
)

// rig is a living VPC, of which an oracle says what becomes of each packet: two subnets with
// three machines, and a middlebox in a third.
type rig struct {
	w       *netfake.World
	perms   []string // that changes are about
	vpc     *VPC
	subnets []*Subnet
	hosts   []*rigHost
	groups  Groups
	lists   []*PrefixList
	targets []Target
}

// rigHost is an interface whose guest counts what arrives, with all that it ever sent and
// got, from which the oracle tells what it tracks.
type rigHost struct {
	*Interface
	got     arrivals
	history *history
}

// newRig makes a rig for what the last of the permissions admits, which is "all" at first and
// gets narrower.
func newRig(w *netfake.World, perms ...string) *rig {
	most := perms[len(perms)-1]
	x := &rig{w: w, perms: perms, vpc: NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("2001:db8:7::/56")}
	for n := range 3 {
		s := x.vpc.Subnet(fmt.Sprint("s", n), fmt.Sprintf("10.0.%d.0/24", n), "a").AddIPv6(fmt.Sprintf("2001:db8:7:%d::/64", n))
		s.Associate(x.vpc.RouteTable(s.name))
		x.subnets = append(x.subnets, s)
	}
	for _, s := range x.subnets[:2] {
		s.UseACL(x.vpc.NetworkACL(s.name).AllowIngress(100, "all", "0.0.0.0/0").AllowEgress(100, "all", "0.0.0.0/0").
			AllowIngress(101, "all", "::/0").AllowEgress(101, "all", "::/0"))
	}
	for n := range 3 {
		g := x.vpc.SecurityGroup(fmt.Sprint("g", n)).AllowIngress(most, CIDR("10.0.0.0/16")).AllowIngress(most, CIDR("2001:db8:7::/56"))
		if n == 0 { // whose conversations go untracked
			g.AllowIngress(most, Anywhere).AllowIngress(most, AnywhereIPv6)
		}
		x.groups = append(x.groups, g)
	}
	x.lists = []*PrefixList{x.vpc.region.PrefixList("l4", 4, "10.0.1.0/24"), x.vpc.region.PrefixList("l6", 4, "2001:db8:7::/64")}
	for n, s := range []*Subnet{x.subnets[0], x.subnets[0], x.subnets[1]} {
		f := s.Instance(fmt.Sprint("h", n), InstanceConfig{Groups: x.groups[n : n+1], IPv6AddressCount: 1}).iface
		x.hosts = append(x.hosts, &rigHost{Interface: f, history: &history{f.tracker.timeouts, map[netfake.Flow][]step{}}})
	}
	box := &passing{}
	box.iface = x.subnets[2].Appliance("box", box)
	x.targets = []Target{box.iface, &aTarget{name: "gone"}}
	return x
}

// newDatagramRig is a rig whose guests only count what arrives.
func newDatagramRig(w *netfake.World) *rig {
	x := newRig(w, "all", "udp", "udp/53", "udp/50-60")
	for _, h := range x.hosts {
		h.guest = &h.got
	}
	return x
}

// passing is a middlebox that lets everything pass.
type passing struct{ iface *Interface }

func (b *passing) String() string                      { return "box" }
func (b *passing) Step(p *netfake.Packet) netfake.Next { return p.To(b.iface.Out()) }

// change makes one change that a test's author may make.
func (x *rig) change(t *rapid.T) {
	perm := pickOf(t, "perm", x.perms...)
	block := pickOf(t, "block", "0.0.0.0/0", "::/0", "10.0.0.0/24", "10.0.0.4/32", "2001:db8:7:1::/64", "2001:db8:7::/64")
	dir := pickOf(t, "dir", netfake.Egress, netfake.Ingress)
	n := rapid.IntRange(0, 2).Draw(t, "n")
	switch rapid.IntRange(0, 8).Draw(t, "change") {
	case 0, 1, 2:
		peer := pickOf[Peer](t, "peer", CIDR(block), CIDR(block), x.groups[0], x.groups[1], x.lists[0], x.lists[1])
		x.toggleRule(x.groups[n], dir, perm, peer)
	case 3, 4:
		x.toggleEntry(x.subnets[n%2].acl, dir, rapid.IntRange(98, 102).Draw(t, "number"), pickOf(t, "action", Deny, Allow), perm, block)
	case 5:
		gs := Groups{x.groups[n]}
		if rapid.Bool().Draw(t, "two") {
			gs = append(gs, x.groups[(n+1)%3])
		}
		x.hosts[rapid.IntRange(0, 2).Draw(t, "host")].SetGroups(gs)
	case 6, 7:
		x.toggleRoute(x.subnets[n%2].table, x.subnets[1-n%2].CIDRs()[rapid.IntRange(0, 1).Draw(t, "family")], pickOf(t, "target", x.targets...))
	case 8:
		x.toggleBlock(x.lists[n%2], [][]string{{"10.0.0.0/24", "10.0.1.4/32"}, {"2001:db8:7:1::/64", "::/0"}}[n%2][rapid.IntRange(0, 1).Draw(t, "entry")])
	}
}

// pickOf draws one of some values by its index.
func pickOf[T any](t *rapid.T, what string, of ...T) T {
	return of[rapid.IntRange(0, len(of)-1).Draw(t, what)]
}

func (x *rig) toggleRule(g *SecurityGroup, dir netfake.Direction, perm string, peer Peer) {
	r, _ := parseRule(perm, peer)
	exists := g.side(dir).find(r) >= 0
	switch {
	case dir == netfake.Egress && exists:
		g.RevokeEgress(perm, peer)
	case dir == netfake.Egress:
		g.AllowEgress(perm, peer)
	case exists:
		g.RevokeIngress(perm, peer)
	default:
		g.AllowIngress(perm, peer)
	}
}

func (x *rig) toggleEntry(a *NetworkACL, dir netfake.Direction, number int, action ACLAction, perm, block string) {
	_, exists := a.find(dir, number)
	switch {
	case exists && action == Deny && dir == netfake.Egress:
		a.RemoveEgress(number)
	case exists && action == Deny:
		a.RemoveIngress(number)
	case exists && dir == netfake.Egress:
		a.ReplaceEgress(number, action, perm, block)
	case exists:
		a.ReplaceIngress(number, action, perm, block)
	default:
		a.edit(dir, ACLEntry{Number: number, Allow: action == Allow}, perm, block, (*NetworkACL).addEntry)
	}
}

func (x *rig) toggleRoute(rtb *RouteTable, dst netip.Prefix, target Target) {
	if rtb.own(dst) >= 0 {
		rtb.DeleteRoute(dst.String())
	} else if gone, ok := target.(*aTarget); ok {
		gone.gone = false
		rtb.Route(dst.String(), gone)
		gone.gone = true
	} else {
		rtb.Route(dst.String(), target)
	}
}

func (x *rig) toggleBlock(l *PrefixList, block string) {
	if slices.Contains(l.entries, netip.MustParsePrefix(block)) {
		l.Remove(block)
	} else {
		l.Add(block)
	}
}

// A verdict is what the oracle says of a packet at one side: "" if it passes, or where it ends.
type verdict string

const (
	byGroup verdict = "security group"
	midway  verdict = "security group: no connection" // of a segment in the middle of one
	byACL   verdict = "network ACL"
	byRoute verdict = "route table"
)

// says is what the oracle says of a datagram: whether it arrives. It looks at everything
// anew, and one thing after the other.
func (x *rig) says(from, to *rigHost, f netfake.Flow, now time.Duration) bool {
	v, known := x.leaves(from, to, f, 0, now)
	return v == "" && x.enters(from.subnet, to, f, 0, known, now) == ""
}

// leaves is what the oracle says of a packet at the sender's side, and whether the other side
// will know who sent it.
func (x *rig) leaves(from, to *rigHost, f netfake.Flow, flags uint8, now time.Duration) (v verdict, known bool) {
	if v := x.admits(from, netfake.Egress, f, flags, true, now); v != "" || from.subnet == to.subnet {
		return v, true
	}
	if !naiveACL(from.subnet.acl.egress, f.Dst.Addr(), f) {
		return byACL, false
	}
	target := naiveRoute(from.subnet.table.routes, f.Dst.Addr())
	if target == x.targets[1] {
		return byRoute, false
	}
	return "", target != x.targets[0]
}

// enters is what the oracle says of a packet at the receiver's side, which may know who sent
// it, from a subnet.
func (x *rig) enters(from *Subnet, to *rigHost, f netfake.Flow, flags uint8, known bool, now time.Duration) verdict {
	if from != to.subnet && !naiveACL(to.subnet.acl.ingress, f.Src.Addr(), f) {
		return byACL
	}
	return x.admits(to, netfake.Ingress, f, flags, known, now)
}

// admits is what the groups of an interface say, with what is tracked there.
func (x *rig) admits(h *rigHost, dir netfake.Direction, f netfake.Flow, flags uint8, known bool, now time.Duration) verdict {
	packets := h.history.packets[orient(dir, f)]
	begins := f.Proto != netfake.TCP || flags&syn != 0 && flags&(ack|rst) == 0
	if !h.history.alive(f.Proto, packets, now) || f.Proto == netfake.TCP && begins && h.history.ended(packets) {
		allowed, untracked := x.naiveGroups(h, dir, f, known)
		answers, open := x.naiveGroups(h, opposite(dir), f.Reverse(), known)
		switch {
		case !allowed:
			return byGroup
		case untracked, answers && open && (f.Proto != netfake.TCP || !begins):
			return ""
		case !begins:
			return midway
		}
	}
	h.history.play(dir, f, flags, now)
	return ""
}

// naiveGroups says whether a rule admits a packet, and whether its connection goes
// untracked.
func (x *rig) naiveGroups(h *rigHost, dir netfake.Direction, f netfake.Flow, known bool) (allowed, untracked bool) {
	peer := f.Src.Addr()
	if dir == netfake.Egress {
		peer = f.Dst.Addr()
	}
	everybody, back := false, false
	for _, g := range h.groups {
		for _, r := range g.side(dir).rules {
			if naiveMatches(r.Permission, f, 0, 0) && x.naivePeer(&r, peer, known) {
				allowed = true
				everybody = everybody || r.prefix.IsValid() && r.prefix.Bits() == 0
			}
		}
		for _, r := range g.side(opposite(dir)).rules {
			all := r.Permission == Permission{} || r.Permission == Permission{f.Proto, 0, 65535}
			back = back || all && r.prefix.IsValid() && r.prefix.Bits() == 0 && r.prefix.Contains(peer)
		}
	}
	return allowed, everybody && back
}

func (x *rig) naivePeer(r *Rule, peer netip.Addr, known bool) bool {
	switch {
	case r.list != nil:
		return slices.ContainsFunc(r.list.entries, func(p netip.Prefix) bool { return p.Contains(peer) })
	case r.group == nil:
		return r.prefix.Contains(peer)
	}
	return known && slices.ContainsFunc(x.hosts, func(h *rigHost) bool {
		return slices.Contains(h.groups, r.group) && slices.Contains(h.addresses(), peer)
	})
}

func naiveACL(entries []ACLEntry, peer netip.Addr, f netfake.Flow) bool {
	best := ACLEntry{Number: lastACLIPv6 + 1}
	for _, e := range entries {
		if e.Number < best.Number && e.CIDR.Contains(peer) && naiveMatches(e.Permission, f, 0, 0) {
			best = e
		}
	}
	return best.Allow
}

func naiveRoute(routes []Route, dst netip.Addr) (target Target) {
	bits := -1
	for _, r := range routes {
		if r.Destination.Contains(dst) && r.Destination.Bits() > bits {
			bits, target = r.Destination.Bits(), r.Target
		}
	}
	return target
}

// burst sends some datagrams of one flow at once and returns how many arrive, and how many
// the oracle says.
func (x *rig) burst(from, to *rigHost, f netfake.Flow, n int) (arrived, said int) {
	to.got.n = 0
	x.w.Do(func(now time.Duration) {
		for range n {
			if x.says(from, to, f, now) {
				said++
			}
			b := datagramOf(f.Src.Addr().String(), f.Dst.Addr().String())
			p := x.w.NewPacket(len(b)+1, from.id, 0)
			copy(p.Bytes(), b)
			putUDP(p.Bytes(), f)
			if err := p.Decode(); err != nil {
				panic(err)
			}
			x.w.Send(p, from.Out())
		}
	})
	x.w.Sleep(5 * time.Millisecond)
	return to.got.n, said
}

// putUDP makes the datagram of one byte that f is the flow of.
func putUDP(b []byte, f netfake.Flow) {
	udp := wire.UDP{SrcPort: f.Src.Port(), DstPort: f.Dst.Port()}
	if f.Src.Addr().Is4() {
		ip := wire.IPv4{TTL: 64, Proto: wire.ProtoUDP, Src: f.Src.Addr(), Dst: f.Dst.Addr()}
		ip.Put(b, wire.UDPHeaderLen+1)
		udp.Put(b[wire.IPv4HeaderLen:], 1)
		return
	}
	ip := wire.IPv6{HopLimit: 64, NextHeader: wire.ProtoUDP, Src: f.Src.Addr(), Dst: f.Dst.Addr()}
	ip.Put(b, wire.UDPHeaderLen+1)
	udp.Put(b[wire.IPv6HeaderLen:], 1)
}

// A living world, with all that it remembers, does with every datagram what an oracle says
// that looks at every rule, entry, route and packet anew: groups by block, list and
// reference, what they track, ACLs, routes to middleboxes and to nowhere, in both families.
func TestWorldAgainstOracle(t *testing.T) {
	cases(t, manyCases, func(t *rapid.T, judged func()) {
		rapid.SyncTest(t, func(t *rapid.T) {
			x := newDatagramRig(netfake.New(t, netfake.Config{Seed: 1}))
			for range rapid.IntRange(1, 60).Draw(t, "steps") {
				if rapid.IntRange(0, 3).Draw(t, "act") == 0 {
					x.change(t)
				}
				a := rapid.IntRange(0, 2).Draw(t, "from")
				from, to := x.hosts[a], x.hosts[(a+rapid.IntRange(1, 2).Draw(t, "to"))%3]
				i := rapid.IntRange(0, 1).Draw(t, "family")
				ports := pickOf(t, "ports", [2]uint16{53, 2000}, [2]uint16{2000, 53}, [2]uint16{55, 53})
				f := netfake.Flow{
					Proto: netfake.UDP,
					Src:   netip.AddrPortFrom(from.addresses()[i], ports[0]), Dst: netip.AddrPortFrom(to.addresses()[i], ports[1]),
				}
				n := rapid.IntRange(1, 5).Draw(t, "burst")
				got, said := x.burst(from, to, f, n)
				if got != said {
					t.Fatalf("of %d datagrams %v from %v to %v %d arrive, and %d should\n%v", n, f, from, to, got, said, x.w.Drops())
				}
				for range n {
					judged()
				}
				if rapid.IntRange(0, 3).Draw(t, "pause") == 0 {
					x.w.Sleep(time.Duration(pickOf(t, "seconds", 10, 29, 31, 100, 179, 181)) * time.Second)
				}
			}
			x.w.Close()
		})
	})
}

// What that property compares is of both kinds, and remembered: in a world that nobody has
// changed datagrams arrive, by passages from the second on, and none does of a conversation
// that goes untracked once its rule is gone.
func TestOracleTellsApart(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := newDatagramRig(w)
		from, to := x.hosts[2], x.hosts[0]
		f := netfake.Flow{Proto: netfake.UDP, Src: netip.AddrPortFrom(from.addr, 2000), Dst: netip.AddrPortFrom(to.addr, 53)}
		if got, said := x.burst(from, to, f, 5); got != 5 || said != 5 {
			t.Errorf("of 5 datagrams %d arrive, and the oracle says %d", got, said)
		}
		if from.sent.of[f.Hash()%uint64(len(from.sent.of))] == nil {
			t.Error("no passage is remembered")
		}
		for _, peer := range []Peer{Anywhere, CIDR("10.0.0.0/16")} {
			x.groups[0].RevokeIngress("udp/50-60", peer)
		}
		if got, said := x.burst(from, to, f, 5); got != 0 || said != 0 {
			t.Errorf("without a rule %d arrive, and the oracle says %d", got, said)
		}
	})
}
