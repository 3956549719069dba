package fabricfake_test

import (
	"net/netip"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// appliance is a middlebox in a subnet of its own, and the target of routes to it. It sends
// on what it gets.
type appliance struct {
	iface *fabricfake.Interface
	gone  bool
	seen  int // packets, those of probes not counted
}

func newAppliance(v *fabricfake.VPC) *appliance {
	a := &appliance{}
	a.iface = v.Subnet("middle", "10.0.3.0/24", "a").Associate(v.RouteTable("middle")).Appliance("middlebox", a)
	return a
}

func (a *appliance) String() string              { return "middlebox" }
func (a *appliance) Attached() bool              { return !a.gone }
func (a *appliance) NextHop() fabricfake.NextHop { return fabricfake.NextHop{Interface: a.iface} }
func (a *appliance) Step(p *netfake.Packet) netfake.Next {
	if !p.Probing() {
		a.seen++
	}
	return p.To(a.iface.Out())
}

// A subnet's block may be routed to an appliance. What comes from there has lost the groups
// of its sender, and what stays in the subnet does not come there.
func TestRouteToAnAppliance(t *testing.T) {
	fromFront := fabricfake.CIDR("10.0.1.0/24")
	for _, row := range []struct {
		name    string
		peer    fabricfake.Peer // whom web lets in; nil for the group of app
		change  func(p *place, a *appliance)
		outcome netfake.Outcome
		blocker string
		seen    int
	}{
		// fact: sg.reference
		{"straight", nil, func(*place, *appliance) {}, netfake.Answered, "", 0},
		// fact: rtb.targets.eni, sg.reference.middlebox.cidr, rtb.specific
		{"by the appliance, to who lets the subnet in", fromFront, func(p *place, a *appliance) { p.front.Route("10.0.2.0/24", a) },
			netfake.Answered, "", 1},
		// fact: sg.reference.middlebox
		{"by the appliance, to who lets the group in", nil, func(p *place, a *appliance) { p.front.Route("10.0.2.0/24", a) },
			netfake.Silence, "sg web ingress SG_REFERENCES_NOT_PRESERVED", 1},
		// fact: rtb.local.replace
		{"by the appliance, in the place of local", fromFront, func(p *place, a *appliance) {
			p.front.Associate(p.vpc.RouteTable("front").ReplaceRoute("10.0.0.0/16", a))
		}, netfake.Answered, "", 1},
		// fact: rtb.samesubnet
		{"inside the subnet", nil, func(p *place, a *appliance) {
			p.app = p.back.Instance("neighbour", fabricfake.InstanceConfig{Groups: fabricfake.Groups{p.appGroup}})
			p.back.Route("10.0.2.0/24", a)
		}, netfake.Answered, "", 0},
		// fact: rtb.blackhole
		{"by an appliance that has gone", fromFront, func(p *place, a *appliance) { p.front.Route("10.0.2.0/24", a); a.gone = true },
			netfake.Silence, "rtb front BAD_STATE_ROUTE", 0},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPlace(t, w)
			a := newAppliance(p.vpc)
			if row.peer == nil {
				row.peer = p.appGroup
			}
			p.webGroup.AllowIngress("udp/80", row.peer)
			row.change(p, a)
			p.wants(t, row.name, p.web.UDP(80), row.outcome, row.blocker)
			if a.seen != row.seen {
				t.Errorf("%s: the appliance saw %d packets, want %d", row.name, a.seen, row.seen)
			}
		})
	}
}

// wants checks what app sees of an endpoint, and what a probe says.
func (p *place) wants(t *testing.T, name string, to netfake.Endpoint, outcome netfake.Outcome, blocker string) {
	t.Helper()
	r := p.app.Probe(to)
	saw, first, err := call(p.w, p.app.Host, to)
	if saw != outcome || r.Outcome != outcome || err != nil {
		t.Errorf("%s: saw %v (%v), the probe says %v, want %v\n%v", name, saw, err, r.Outcome, outcome, r.Forward)
	}
	if a, b := blockerText(first), blockerText(r.Blocker()); a != blocker || b != blocker {
		t.Errorf("%s: blocked by %q, the probe by %q, want %q", name, a, b, blocker)
	}
}

// A subnet has one table: the main one, until it is associated with another, which may serve
// several. What the others lead to does not count.
func TestTableOfASubnet(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(p *place, own *fabricfake.RouteTable, a *appliance)
		seen   int // by the appliance
	}{
		// fact: rtb.main
		{"the main table leads there", func(p *place, own *fabricfake.RouteTable, a *appliance) {
			p.vpc.MainRouteTable().Route("10.0.2.0/24", a)
		}, 1},
		// fact: rtb.one
		{"its own leads there, the main one does not", func(p *place, own *fabricfake.RouteTable, a *appliance) {
			p.front.Associate(own.Route("10.0.2.0/24", a))
		}, 1},
		// fact: rtb.one
		{"the main one leads there, its own does not", func(p *place, own *fabricfake.RouteTable, a *appliance) {
			p.vpc.MainRouteTable().Route("10.0.2.0/24", a)
			p.front.Associate(own)
		}, 0},
		// fact: rtb.one
		{"that of both subnets leads there, forth and back", func(p *place, own *fabricfake.RouteTable, a *appliance) {
			own.Route("10.0.2.0/24", a).Route("10.0.1.0/24", a)
			p.front.Associate(own)
			p.back.Associate(own)
		}, 2},
		// fact: rtb.one
		{"another in the place of what led there", func(p *place, own *fabricfake.RouteTable, a *appliance) {
			p.front.Associate(own.Route("10.0.2.0/24", a)).Associate(p.vpc.RouteTable("last"))
		}, 0},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPlace(t, w)
			a := newAppliance(p.vpc)
			p.webGroup.AllowIngress("udp/80", fabricfake.CIDR("10.0.0.0/16"))
			row.change(p, p.vpc.RouteTable("own"), a)
			p.wants(t, row.name, p.web.UDP(80), netfake.Answered, "")
			if a.seen != row.seen {
				t.Errorf("%s: the appliance saw %d packets, want %d", row.name, a.seen, row.seen)
			}
		})
	}
}

// The router and the network are addresses that nobody can ping, as instances can be.
func TestPingTheRouter(t *testing.T) {
	for _, row := range []struct {
		name, addr string
		outcome    netfake.Outcome
		blocker    string
	}{
		{"an instance", "10.0.2.4", netfake.Answered, ""},
		// fact: walk.ping.router
		{"one's own router", "10.0.1.1", netfake.Silence, "mapping NO_POSSIBLE_DESTINATION"},
		// fact: walk.ping.router
		{"another subnet's router", "10.0.2.1", netfake.Silence, "mapping NO_POSSIBLE_DESTINATION"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPlace(t, w)
			p.webGroup.AllowIngress("icmp/8", fabricfake.Anywhere)
			to := netfake.Endpoint{Proto: netfake.ICMP, Addr: netip.AddrPortFrom(netip.MustParseAddr(row.addr), 0)}
			p.wants(t, row.name, to, row.outcome, row.blocker)
		})
	}
}

// A subnet has one ACL: the default one, until it is given another in its place.
func TestACLOfASubnet(t *testing.T) {
	for _, row := range []struct {
		name    string
		change  func(p *place)
		outcome netfake.Outcome
		blocker string
	}{
		// fact: acl.subnet
		{"the default one", func(*place) {}, netfake.Answered, ""},
		// fact: acl.subnet
		{"the default one, which denies", func(p *place) { p.vpc.DefaultNetworkACL().DenyIngress(50, "all", "0.0.0.0/0") },
			netfake.Silence, "acl default ingress SUBNET_ACL_RESTRICTION"},
		// fact: acl.subnet
		{"others in its place", func(p *place) {
			p.vpc.DefaultNetworkACL().DenyIngress(50, "all", "0.0.0.0/0")
			open := p.vpc.NetworkACL("open").AllowIngress(100, "all", "0.0.0.0/0").AllowEgress(100, "all", "0.0.0.0/0")
			p.back.UseACL(open)
			p.front.UseACL(open)
		}, netfake.Answered, ""},
		// fact: acl.subnet
		{"the default one again", func(p *place) {
			p.back.UseACL(p.vpc.NetworkACL("shut")).UseACL(p.vpc.DefaultNetworkACL())
		}, netfake.Answered, ""},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPlace(t, w)
			allowWeb(p)
			row.change(p)
			p.wants(t, row.name, p.web.TCP(80), row.outcome, row.blocker)
		})
	}
}
