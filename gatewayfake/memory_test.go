package gatewayfake

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/talk"
	"github.com/netspec-go/netspec/netfake"
)

// life is two public instances and a site that talk through an internet gateway while somebody
// changes what lies between them.
type life struct {
	*talk.Talk
	w      *netfake.World
	site   *netfake.Host
	second *netfake.Host // of another address, remembered where the site's is
	vpc    *fabricfake.VPC
	public *fabricfake.Subnet
	hosts  []*fabricfake.Instance
	group  *fabricfake.SecurityGroup // of the instances
	igw    *InternetGateway
	table  *fabricfake.RouteTable // that leads through a middlebox what comes in
	box    *fabricfake.Instance
	faults []*netfake.Fault // that there have been
	all    fabricfake.CIDR  // every address of the family
}

// newLife returns a life of the family of all.
func newLife(t netfake.TB, w *netfake.World, all fabricfake.CIDR) *life {
	l := &life{Talk: &talk.Talk{}, w: w, all: all, site: w.Internet().Host("site", "203.0.113.80", "2001:db8:5::80")}
	l.second = w.Internet().Host("second", "203.0.113.144", "2001:db8:5::c0")
	answer(t, l.site)
	answer(t, l.second)
	l.vpc = fabricfake.NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("2001:db8:7::/56")
	l.public = l.vpc.Subnet("public", "10.0.0.0/24", "a").AddIPv6("2001:db8:7::/64")
	l.group = l.vpc.SecurityGroup("group").AllowIngress("tcp/80", all).AllowIngress("udp/53", all)
	for _, name := range []string{"web", "other"} {
		l.hosts = append(l.hosts, l.public.Instance(name, fabricfake.InstanceConfig{
			Groups: fabricfake.Groups{l.group}, IPv6AddressCount: 1, OnBoot: func(i *fabricfake.Instance) { answer(t, i.Host) },
		}))
	}
	beside := l.vpc.Subnet("beside", "10.0.2.0/24", "a").AddIPv6("2001:db8:7:2::/64")
	open := l.vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere).AllowIngress("all", fabricfake.AnywhereIPv6)
	l.box = beside.Instance("box", fabricfake.InstanceConfig{
		Groups: fabricfake.Groups{open}, SourceDestCheck: fabricfake.SourceDestCheckOff, IPv6AddressCount: 1,
	})
	l.box.Forward(passing{l.box.Interface()})
	l.table = l.vpc.RouteTable("edge")
	for _, block := range l.public.CIDRs() {
		l.table.Route(block.String(), l.box.Interface())
	}
	l.attach("igw")
	return l
}

// passing is the kernel of a middlebox that lets everything pass.
type passing struct{ *fabricfake.Interface }

func (b passing) Step(p *netfake.Packet) netfake.Next { return p.To(b.Out()) }

// attach gives the VPC an internet gateway, and the public subnet a route to it.
func (l *life) attach(name string) {
	l.igw = NewInternetGateway(l.vpc, name)
	l.lead(l.public, l.igw)
}

// lead has the subnet's way out lead to a target, or nowhere if that has gone.
func (l *life) lead(s *fabricfake.Subnet, to fabricfake.Target) {
	t, all := s.RouteTable(), string(l.all)
	if slices.ContainsFunc(t.Routes(), func(r fabricfake.Route) bool { return r.Destination.String() == all }) {
		t.DeleteRoute(all)
	}
	if to.Attached() {
		s.Route(all, to)
	}
}

// aroundKinds is how many kinds of acts there are around whatever gateways: the first ones.
const aroundKinds = commonKinds + 6

// quietKinds are those of them that change nothing.
var quietKinds = append(commonQuiet, commonKinds+1)

// around lets something happen that can in either family.
func (l *life) around(a talk.Act) {
	h := l.hosts[a.Which%len(l.hosts)]
	switch a.Kind - commonKinds {
	case 0:
		site := netip.MustParseAddr("203.0.113.80")
		if l.all == fabricfake.AnywhereIPv6 {
			site = netip.MustParseAddr("2001:db8:5::80")
		}
		l.Toggle("site", func() { l.site.Uplink().Withdraw(site) }, func() { l.site.Uplink().Announce(site) })
	case 1:
		l.w.Sleep([]time.Duration{8 * time.Second, 349 * time.Second, 351 * time.Second}[a.Which%3])
	case 2:
		perm := []string{"tcp/80", "udp/53"}[a.Which%2]
		l.Toggle(perm, func() { l.group.RevokeIngress(perm, l.all) }, func() { l.group.AllowIngress(perm, l.all) })
	case 3:
		acl := l.vpc.DefaultNetworkACL()
		if a.Which%2 == 0 {
			l.Toggle("acl in", func() { acl.DenyIngress(1, "tcp", string(l.all)) }, func() { acl.RemoveIngress(1) })
		} else {
			l.Toggle("acl out", func() { acl.DenyEgress(1, "udp", string(l.all)) }, func() { acl.RemoveEgress(1) })
		}
	case 4:
		if a.Which%3 == 0 {
			l.Toggle("restart "+h.Name(), h.ForceStop, h.Start)
		} else {
			l.Toggle("table", func() { l.igw.Associate(l.table) }, func() { l.igw.Disassociate() })
		}
	case 5:
		switch f := h.Interface(); a.Which / 3 % 3 {
		case 0:
			l.Toggle("check "+h.Name(), func() { f.SetSourceDestCheck(fabricfake.SourceDestCheckOff) }, func() { f.SetSourceDestCheck(fabricfake.SourceDestCheckOn) })
		case 1:
			l.Toggle("route", func() { l.lead(l.public, (*NATGateway)(nil)) }, func() { l.lead(l.public, l.igw) })
		case 2:
			none := fabricfake.Groups{l.vpc.DefaultSecurityGroup()}
			l.Toggle("groups "+h.Name(), func() { f.SetGroups(none) }, func() { f.SetGroups(fabricfake.Groups{l.group}) })
		}
	default:
		common(l.Talk, a, l.vpc.Region().Mapping(), &l.faults)
	}
}

// seen is all that can be seen of a life.
func (l *life) seen() string {
	l.w.Sleep(7 * time.Millisecond) // to an instant at which nothing is under way
	synctest.Wait()                 // for those who have just been woken to read, and wait again
	var b strings.Builder
	for _, r := range append(l.group.IngressRules(), l.group.EgressRules()...) {
		fmt.Fprintln(&b, r.Permission, r.Peer, r.Hits)
	}
	acl := l.vpc.DefaultNetworkACL()
	for _, e := range append(acl.IngressEntries(), acl.EgressEntries()...) {
		fmt.Fprintln(&b, e.Number, e.CIDR, e.Hits)
	}
	for _, f := range l.faults {
		fmt.Fprintln(&b, f, f.Hits())
	}
	for _, d := range l.w.Drops() {
		fmt.Fprintln(&b, d)
	}
	fmt.Fprintf(&b, "%v\n%+v\n%+v\n%s", l.w.Alarms(), l.site.Uplink().Link().Stats(), l.igw.Uplink().Link().Stats(), l.w.Sockets())
	return b.String()
}

// natLife is a life over IPv4, in which a private instance talks through a NAT gateway.
type natLife struct {
	*life
	private *fabricfake.Subnet
	nats    []*NATGateway // that there have been
	eip     *ElasticIP    // of a public instance
	floats  *ElasticIP    // of an address that is one of theirs, and remembered where eip is
	own     *ElasticIP    // of the NAT gateway
}

func newNATLife(t netfake.TB, w *netfake.World, record bool) *natLife {
	l := &natLife{life: newLife(t, w, fabricfake.Anywhere)}
	l.private = l.vpc.Subnet("private", "10.0.1.0/24", "a")
	SetElasticIPQuota(l.vpc.Region(), 100)
	l.own, l.eip, l.floats = NewElasticIP(l.vpc), NewElasticIP(l.vpc), NewElasticIP(l.vpc)
	for !samePlace(l.eip.Addr(), l.floats.Addr()) {
		l.floats = NewElasticIP(l.vpc)
	}
	l.translate()
	NewElasticIP(l.vpc).Associate(l.box.Interface())
	l.eip.Associate(l.hosts[0].Interface())
	l.floats.AssociateTo(l.hosts[0].Interface(), l.hosts[0].Interface().AssignPrivateIP("10.0.0.68"))
	app := l.private.Instance("app", fabricfake.InstanceConfig{Groups: fabricfake.Groups{l.group}})
	l.hosts = append(l.hosts, app)
	for _, s := range []struct {
		from *netfake.Host
		to   netip.Addr
	}{{app.Host, l.site.Addr()}, {l.hosts[0].Host, l.site.Addr()}, {l.hosts[0].Host, l.second.Addr()}, {l.hosts[1].Host, l.site.Addr()}, {l.site, l.eip.Addr()}, {l.site, l.floats.Addr()}} {
		l.Sides = append(l.Sides, sideOf(t, s.from, s.to))
	}
	begin(w, l.Talk, record)
	return l
}

// samePlace reports whether the counterparts of two addresses have one place.
func samePlace(a, b netip.Addr) bool {
	x, y := a.As16(), b.As16()
	return x[14] == y[14] && (x[15]^y[15])%64 == 0
}

// translate puts a NAT gateway in front of the private subnet.
func (l *natLife) translate() {
	l.nats = append(l.nats, NewNATGateway(l.public, fmt.Sprint("nat", len(l.nats)), l.own))
	l.lead(l.private, l.nat())
}

// nat returns the latest NAT gateway.
func (l *natLife) nat() *NATGateway { return l.nats[len(l.nats)-1] }

// natKinds is how many kinds of acts there are.
const natKinds = aroundKinds + 3

// do lets something happen, and what comes of it within some milliseconds.
func (l *natLife) do(a talk.Act) {
	web, other := l.hosts[0].Interface(), l.hosts[1].Interface()
	switch a.Kind - aroundKinds {
	case 0:
		if a.Which%3 == 0 {
			l.Toggle("elastic IP", l.eip.Disassociate, func() { l.eip.Associate(web) })
			break
		}
		l.Toggle("elastic IP", func() { l.eip.Disassociate(); l.eip.Associate(other) }, func() { l.eip.Disassociate(); l.eip.Associate(web) })
	case 1:
		l.Toggle("address", func() { other.MovePrivateIP("10.0.0.68") }, func() { web.MovePrivateIP("10.0.0.68") })
	case 2:
		if a.Which%4 == 0 {
			l.Toggle("NAT gateway", func() { l.nat().Delete() }, l.translate)
		} else {
			l.Toggle("private route", func() { l.lead(l.private, l.igw) }, func() { l.lead(l.private, l.nat()) })
		}
	default:
		l.around(a)
	}
	l.w.Sleep(20 * time.Millisecond)
}

func (l *natLife) seen() string {
	s := l.life.seen()
	for _, n := range l.nats {
		s += fmt.Sprintf("\n%+v", n.Stats())
	}
	return s
}

// sixLife is a life over IPv6, in which one internet gateway may come after another.
type sixLife struct {
	*life
	gateways int        // that there have been
	floats   netip.Addr // one of theirs, and remembered where the other's own is
}

func newSixLife(t netfake.TB, w *netfake.World, record bool) *sixLife {
	l := &sixLife{life: newLife(t, w, fabricfake.AnywhereIPv6), gateways: 1}
	floats := l.hosts[1].Addr6().As16()
	floats[15] ^= 64
	l.floats = l.hosts[0].Interface().AssignIPv6(netip.AddrFrom16(floats).String())
	for i, from := range []*netfake.Host{l.hosts[0].Host, l.hosts[1].Host, l.hosts[0].Host, l.site, l.site} {
		l.Sides = append(l.Sides, sideOf(t, from, []netip.Addr{l.site.Addr6(), l.site.Addr6(), l.second.Addr6(), l.hosts[1].Addr6(), l.floats}[i]))
	}
	begin(w, l.Talk, record)
	return l
}

// sixKinds is how many kinds of acts there are.
const sixKinds = aroundKinds + 2

// do lets something happen, and what comes of it within some milliseconds.
func (l *sixLife) do(a talk.Act) {
	web, other := l.hosts[0].Interface(), l.hosts[1].Interface()
	switch a.Kind - aroundKinds {
	case 0:
		if a.Which%2 == 0 {
			l.Toggle("gateway", l.igw.Detach, func() { l.gateways++; l.attach(fmt.Sprint("igw", l.gateways)) })
		}
	case 1:
		move := func(from, to *fabricfake.Interface) func() {
			return func() { from.Unassign(l.floats); to.AssignIPv6(l.floats.String()) }
		}
		l.Toggle("address", move(web, other), move(other, web))
	default:
		l.around(a)
	}
	l.w.Sleep(20 * time.Millisecond)
}

// Whatever happens, all comes as it does to packets that are recorded, of which gateways, their
// edges and the internet remember nothing.
func TestMemoryIsInvisible(t *testing.T) {
	talk.Invisible(t, talk.Kinds{N: natKinds, Quiet: quietKinds}, func(t *rapid.T, acts []talk.Act, recorded bool) string {
		l := newNATLife(t, netfake.New(t, netfake.Config{Seed: 1}), recorded)
		defer l.w.Close()
		for _, a := range acts {
			l.do(a)
		}
		return l.seen()
	})
}

// TestMemoryIsInvisible over IPv6.
func TestMemoryOfIPv6IsInvisible(t *testing.T) {
	talk.Invisible(t, talk.Kinds{N: sixKinds, Quiet: quietKinds}, func(t *rapid.T, acts []talk.Act, recorded bool) string {
		l := newSixLife(t, netfake.New(t, netfake.Config{Seed: 1}), recorded)
		defer l.w.Close()
		for _, a := range acts {
			l.do(a)
		}
		return l.seen()
	})
}

// Of what these properties compare something is remembered: who may send through the NAT
// gateway, and the counterparts of addresses both ways.
func TestGatewaysRemember(t *testing.T) {
	counts := func(l *life) [2]int {
		var n [2]int
		for i := range l.igw.leaving {
			n[0] += int(min(l.igw.leaving[i].changes, 1))
			n[1] += int(min(l.igw.entering[i].changes, 1))
		}
		return n
	}
	netfake.RunConfig(t, netfake.Config{Seed: 1}, func(t *testing.T, w *netfake.World) {
		l := newNATLife(t, w, false)
		for side := range l.Sides {
			l.do(talk.Act{Kind: 6, Which: side})
		}
		var senders uint64
		l.nat().out.each(func(t *translation) { senders += min(t.sender, 1) })
		// Two addresses of web have one place, and so have the site and the second.
		if n := counts(l.life); senders != 2 || n != [2]int{2, 2} {
			t.Errorf("%d senders are remembered, and addresses that leave and enter: %v; want 2, and 2 each", senders, n)
		}
	})
	netfake.RunConfig(t, netfake.Config{Seed: 1}, func(t *testing.T, w *netfake.World) {
		l := newSixLife(t, w, false)
		for side := range l.Sides {
			l.do(talk.Act{Kind: 6, Which: side})
		}
		if n := counts(l.life); n != [2]int{2, 2} {
			t.Errorf("over IPv6 addresses that leave and enter: %v, want 2 each", n)
		}
	})
}
