package gatewayfake_test

import (
	"io"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// peers is a VPC whose app talks to the db of another one, which a third is beside, with routes
// of all of them to all of them. Every instance takes what comes to TCP port 9.
type peers struct {
	w                     *netfake.World
	shop, data, audit     *fabricfake.VPC
	pcx, far              *gatewayfake.Peering // shop–data, data–audit
	front, back, office   *fabricfake.Subnet
	app, db, clerk        *fabricfake.Instance
	apps, stores, offices *fabricfake.SecurityGroup
}

func buildPeers(t *testing.T, w *netfake.World) *peers {
	x := &peers{w: w}
	x.shop, x.data, x.audit = fabricfake.NewVPC(w, "shop", "10.0.0.0/16"), fabricfake.NewVPC(w, "data", "10.1.0.0/16"), fabricfake.NewVPC(w, "audit", "10.2.0.0/16")
	x.pcx = gatewayfake.NewPeering(x.shop, x.data, "pcx").Accept()
	x.far = gatewayfake.NewPeering(x.data, x.audit, "far").Accept()
	x.front = x.shop.Subnet("front", "10.0.1.0/24", "a").Route("10.1.0.0/16", x.pcx).Route("10.2.0.0/16", x.pcx)
	x.back = x.data.Subnet("back", "10.1.1.0/24", "b").Route("10.0.0.0/16", x.pcx).Route("10.2.0.0/16", x.far)
	x.office = x.audit.Subnet("office", "10.2.1.0/24", "c").Route("10.1.0.0/16", x.far).Route("10.0.0.0/16", x.far)
	x.apps = x.shop.SecurityGroup("apps")
	x.stores = x.data.SecurityGroup("stores").AllowIngress("tcp/9", x.apps)
	x.offices = x.audit.SecurityGroup("offices").AllowIngress("tcp/9", fabricfake.Anywhere)
	x.app = x.front.Instance("app", fabricfake.InstanceConfig{Groups: fabricfake.Groups{x.apps}})
	x.db = x.back.Instance("db", fabricfake.InstanceConfig{Groups: fabricfake.Groups{x.stores}})
	x.clerk = x.office.Instance("clerk", fabricfake.InstanceConfig{Groups: fabricfake.Groups{x.offices}})
	for _, i := range []*fabricfake.Instance{x.app, x.db, x.clerk} {
		swallow(t, i.Host)
	}
	return x
}

// What passes a peering, and what does not, each with what names the decision.
func TestPeering(t *testing.T) {
	type to = func(x *peers) (*netfake.Host, netfake.Endpoint)
	appToDB := func(x *peers) (*netfake.Host, netfake.Endpoint) { return x.app.Host, x.db.TCP(9) }
	dbToApp := func(x *peers) (*netfake.Host, netfake.Endpoint) { return x.db.Host, x.app.TCP(9) }
	dbToClerk := func(x *peers) (*netfake.Host, netfake.Endpoint) { return x.db.Host, x.clerk.TCP(9) }
	appToClerk := func(x *peers) (*netfake.Host, netfake.Endpoint) { return x.app.Host, x.clerk.TCP(9) }
	none := func(*peers) {}
	for _, row := range []struct {
		name   string
		change func(x *peers)
		way    to
		code   netfake.Code // "": answered
	}{
		// fact: rtb.targets.pcx, sg.reference.peer
		{"by a rule that names the peer's group", none, appToDB, ""},
		// fact: sg.reference.peer
		{"and not without it", func(x *peers) {
			x.app.Interface().SetGroups(fabricfake.Groups{x.shop.DefaultSecurityGroup()})
		}, appToDB, "ENI_SG_RULES_MISMATCH"},
		{"a group of the same name is another", func(x *peers) {
			x.stores.RevokeIngress("tcp/9", x.apps).AllowIngress("tcp/9", x.data.SecurityGroup("apps"))
		}, appToDB, "ENI_SG_RULES_MISMATCH"},
		{"out, by a rule that names the peer's group", func(x *peers) { x.apps.RestrictEgress().AllowEgress("tcp/9", x.stores) }, appToDB, ""},
		{"out, by a rule that names another of its groups", func(x *peers) {
			x.apps.RestrictEgress().AllowEgress("tcp/9", x.data.SecurityGroup("others"))
		}, appToDB, "ENI_SG_RULES_MISMATCH"},
		{"the other way, by a block", func(x *peers) { x.apps.AllowIngress("tcp/9", fabricfake.CIDR("10.1.1.0/24")) }, dbToApp, ""},
		{"the other way, with nothing that lets it in", none, dbToApp, "SG_HAS_NO_RULES"},

		// Network ACLs of both subnets.
		{"the ACL of the sender", func(x *peers) { x.front.UseACL(x.shop.NetworkACL("shut")) }, appToDB, "SUBNET_ACL_RESTRICTION"},
		{"the ACL of the receiver", func(x *peers) { x.data.DefaultNetworkACL().DenyIngress(50, "tcp/9", "10.0.0.0/16") }, appToDB, "SUBNET_ACL_RESTRICTION"},
		{"an entry for a neighbour", func(x *peers) { x.data.DefaultNetworkACL().DenyIngress(50, "tcp/9", "10.2.0.0/16") }, appToDB, ""},

		// Both sides need routes, which may be narrower than the VPC.
		// fact: pcx.routes
		{"no route there", func(x *peers) { x.front.RouteTable().DeleteRoute("10.1.0.0/16") }, appToDB, "NO_ROUTE_TO_DESTINATION"},
		// fact: pcx.routes
		{"no route back", func(x *peers) { x.back.RouteTable().DeleteRoute("10.0.0.0/16") }, appToDB, "NO_ROUTE_TO_DESTINATION"},
		// fact: pcx.routes.narrow
		{"a route to the address alone", func(x *peers) {
			x.front.RouteTable().DeleteRoute("10.1.0.0/16").Route(x.db.Addr().String()+"/32", x.pcx)
		}, appToDB, ""},
		{"a route to its neighbour alone", func(x *peers) {
			x.front.RouteTable().DeleteRoute("10.1.0.0/16").Route("10.1.1.250/32", x.pcx)
		}, appToDB, "NO_ROUTE_TO_DESTINATION"},

		// A peer of a peer is no peer.
		// fact: pcx.transitive
		{"the peer to its own", none, dbToClerk, ""},
		// fact: pcx.transitive, pcx.address
		{"through the peer to its own", none, appToClerk, "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR"},
		// fact: pcx.norpf
		{"back by another way, to where the table leads", func(x *peers) {
			x.back.RouteTable().ReplaceRoute("10.0.0.0/16", x.far)
		}, appToDB, "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR"},

		// In no other status but active.
		// fact: pcx.delete
		{"deleted", func(x *peers) { x.pcx.Delete() }, appToDB, "BAD_STATE_ROUTE"},
		{"another one is deleted", func(x *peers) { x.far.Delete() }, appToDB, ""},
		{"deleted, and made anew", func(x *peers) {
			x.pcx.Delete()
			x.pcx = gatewayfake.NewPeering(x.data, x.shop, "pcx").Accept()
			x.front.RouteTable().ReplaceRoute("10.1.0.0/16", x.pcx)
			x.back.RouteTable().ReplaceRoute("10.0.0.0/16", x.pcx)
		}, appToDB, ""},
		// fact: pcx.routes.pending
		{"requested anew, and not accepted", func(x *peers) {
			x.pcx.Delete()
			x.pcx = gatewayfake.NewPeering(x.data, x.shop, "pcx")
			x.front.RouteTable().ReplaceRoute("10.1.0.0/16", x.pcx)
		}, appToDB, "BAD_STATE_ROUTE"},
		{"nobody has the address", func(x *peers) { x.db.Terminate(); x.db.Await(fabricfake.Terminated) }, func(x *peers) (*netfake.Host, netfake.Endpoint) {
			return x.app.Host, netfake.Endpoint{Proto: netfake.TCP, Addr: netip.MustParseAddrPort("10.1.1.4:9")}
		}, "NO_POSSIBLE_DESTINATION"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := buildPeers(t, w)
			row.change(x)
			from, to := row.way(x)
			wantCode(t, row.name, from.Probe(to), row.code)
			d := netfake.Dialer{Host: from, Timeout: 2500 * time.Millisecond}
			if c, err := d.DialContext(t.Context(), "tcp", to.Addr.String()); (err == nil) != (row.code == "") {
				t.Errorf("%s: dialled: %v", row.name, err)
			} else if err == nil {
				c.Close()
			}
			for _, i := range []*fabricfake.Instance{x.app, x.db, x.clerk} {
				if h := i.Interface().PhysicalHost(); h != nil && h.Rejected() > 0 {
					t.Errorf("%s: %v has taken %d frames for forged", row.name, h, h.Rejected())
				}
			}
		})
	}
}

// From a peer nothing leads out of a VPC: neither its internet gateway nor its NAT gateway serve
// anybody else. Its own instances they do.
// fact: pcx.edge
func TestPeeringIsNoWayOut(t *testing.T) {
	for _, row := range []struct {
		name string
		peer bool
		code netfake.Code
	}{
		{"an instance of the VPC", false, ""},
		{"one of the peer", true, "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := build(w)
			other := fabricfake.NewVPC(w, "other", "10.1.0.0/16")
			pcx := gatewayfake.NewPeering(other, x.vpc, "pcx").Accept()
			x.private.Route("10.1.0.0/16", pcx)
			x.public.Route("10.1.0.0/16", pcx)
			guest := other.Subnet("s", "10.1.1.0/24", "a").Route("0.0.0.0/0", pcx).Instance("guest", fabricfake.InstanceConfig{})
			from := x.app.Host
			if row.peer {
				from = guest.Host
			}
			wantCode(t, row.name, from.Probe(x.site.TCP(80)), row.code)
		})
	}
}

// A VPC's resolver answers its own instances, and no peer's.
// fact: service.dns.peers
func TestPeeringIsNoWayToTheResolver(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := buildPeers(t, w)
		resolver := w.NewHost("resolver", x.data.Place())
		x.data.AttachResolver(resolver)
		swallow(t, resolver)
		to := netfake.Endpoint{Proto: netfake.TCP, Addr: netip.MustParseAddrPort("10.1.0.2:9")}
		wantCode(t, "its own", x.db.Probe(to), "")
		wantCode(t, "a peer's", x.app.Probe(to), "NO_POSSIBLE_DESTINATION")
	})
}

// A NAT gateway sends to a peer under its private address.
// fact: pcx.nat
func TestNATGatewayTowardPeer(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		other := fabricfake.NewVPC(w, "other", "10.1.0.0/16")
		pcx := gatewayfake.NewPeering(x.vpc, other, "pcx").Accept()
		x.public.Route("10.1.0.0/16", pcx)
		inside := other.Subnet("s", "10.1.1.0/24", "a").Route("10.0.0.0/24", pcx)
		group := other.SecurityGroup("s").AllowIngress("tcp/9", fabricfake.CIDR(x.nat.Interface().PrivateIP().String()+"/32"))
		server := inside.Instance("server", fabricfake.InstanceConfig{Groups: fabricfake.Groups{group}})
		swallow(t, server.Host)
		assert.Reachable(t, x.app, server.TCP(9), assert.Through(x.nat, pcx))
		other.DefaultNetworkACL().DenyIngress(50, "all", "10.0.0.0/24")
		assert.Unreachable(t, x.app, server.TCP(9), assert.BlockedBy(other.DefaultNetworkACL()))
	})
}

// A connection over a peering stands still while the peering is gone, whatever has been
// remembered of it, and goes on over the one that takes its place.
// fact: pcx.delete
func TestPeeringGoesAway(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := buildPeers(t, w)
		l, err := x.db.Listen("tcp", ":7")
		if err != nil {
			t.Fatal(err)
		}
		go echo(l)
		x.stores.AllowIngress("tcp/7", x.apps)
		c, err := x.app.DialContext(t.Context(), "tcp", x.db.TCP(7).Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		say := func(works bool) {
			t.Helper()
			c.SetReadDeadline(time.Now().Add(20 * time.Second))
			_, err := c.Write([]byte("hello"))
			if err == nil {
				_, err = io.ReadFull(c, make([]byte, 5))
			}
			if (err == nil) != works {
				t.Errorf("at %v: %v", w.Now(), err)
			}
		}
		say(true)
		say(true)
		x.pcx.Delete()
		say(false)
		pcx := gatewayfake.NewPeering(x.data, x.shop, "pcx").Accept()
		x.front.RouteTable().ReplaceRoute("10.1.0.0/16", pcx)
		x.back.RouteTable().ReplaceRoute("10.0.0.0/16", pcx)
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err = io.ReadFull(c, make([]byte, 5)); err != nil {
			t.Error(err)
		}
		say(true)
	})
}

// A packet as large as any that an instance sends passes a peering.
// fact: mtu.peering
func TestPeeringMTU(t *testing.T) {
	for cut, whole := range []bool{true, false} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := buildPeers(t, w)
			x.stores.AllowIngress("udp/9", x.apps)
			in, err := x.db.ListenPacket("udp", ":9")
			if err != nil {
				t.Fatal(err)
			}
			out, err := x.app.Dial("udp", x.db.UDP(9).Addr.String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := out.Write(make([]byte, fabricfake.MTU-28+cut)); err != nil {
				t.Fatal(err)
			}
			in.SetReadDeadline(time.Now().Add(time.Second))
			n, _, err := in.ReadFrom(make([]byte, 10_000))
			if got := x.app.FragmentStats(); err != nil || n != fabricfake.MTU-28+cut || (got.Cut == 0) != whole {
				t.Errorf("%d bytes arrive: %v, %+v", n, err, got)
			}
		})
	}
}

// Flow records call the way through a peering 4.
// fact: log.path.peering
func TestPeeringFlowLog(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := buildPeers(t, w)
		cfg := fabricfake.FlowLogConfig{Format: "${srcaddr} ${flow-direction} ${traffic-path}", Window: fabricfake.NitroFlowWindow}
		here, there := x.app.Interface().FlowLog("here", cfg), x.db.Interface().FlowLog("there", cfg)
		if _, err := x.app.DialContext(t.Context(), "tcp", x.db.TCP(9).Addr.String()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Minute)
		app, db := x.app.Addr().String(), x.db.Addr().String()
		for _, row := range []struct {
			log  *fabricfake.FlowLog
			want []string
		}{
			{here, []string{app + " egress 4", db + " ingress -"}},
			{there, []string{app + " ingress -", db + " egress 4"}},
		} {
			got := row.log.Lines()
			slices.Sort(got)
			got = slices.Compact(got)
			slices.Sort(row.want)
			if !slices.Equal(got, row.want) {
				t.Errorf("%v, want %v", got, row.want)
			}
		}
	})
}

// IPv6 crosses a peering like IPv4, by routes of its own.
func TestPeeringIPv6(t *testing.T) {
	for _, row := range []struct {
		name  string
		route bool
		code  netfake.Code
	}{
		{"with a route back", true, ""},
		{"without", false, "NO_ROUTE_TO_DESTINATION"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := buildPeers(t, w)
			x.shop.AddIPv6("2001:db8:1::/56")
			x.data.AddIPv6("2001:db8:2::/56")
			x.front.AddIPv6("2001:db8:1::/64").Route("2001:db8:2::/56", x.pcx)
			x.back.AddIPv6("2001:db8:2::/64")
			if row.route {
				x.back.Route("2001:db8:1::/56", x.pcx)
			}
			x.app.Interface().AssignIPv6("")
			x.apps.AllowEgress("tcp/8", x.stores)
			x.stores.AllowIngress("tcp/8", x.apps)
			x.db.Interface().AssignIPv6("")
			x.stores.AllowEgress("all", fabricfake.AnywhereIPv6)
			if _, err := x.db.Listen("tcp6", ":8"); err != nil {
				t.Fatal(err)
			}
			to := netfake.Endpoint{Proto: netfake.TCP, Addr: netip.AddrPortFrom(x.db.Interface().IPv6(), 8)}
			wantCode(t, row.name, x.app.Probe(to), row.code)
		})
	}
}

// A peering takes what is from an address of the VPC that it leads from, forwarded or not, and
// nothing that somebody forwards from elsewhere.
func TestPeeringCarriesNoForeignSources(t *testing.T) {
	for _, row := range []struct {
		name, source string
		code         netfake.Code // "": it arrives
	}{
		{"of the sender", "", ""},
		{"of another in its VPC", "10.0.1.77", ""},
		{"of the far VPC", "10.1.1.77", "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR"},
		{"of nobody's VPC", "192.168.7.7", "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := buildPeers(t, w)
			x.stores.AllowIngress("udp/9", fabricfake.Anywhere)
			in, err := x.db.ListenPacket("udp", ":9")
			if err != nil {
				t.Fatal(err)
			}
			x.app.Interface().SetSourceDestCheck(fabricfake.SourceDestCheckOff)
			src := x.app.Addr()
			if row.source != "" {
				src = netip.MustParseAddr(row.source)
			}
			x.app.Interface().Inject(datagram(src, x.db.Addr()))
			in.SetReadDeadline(time.Now().Add(time.Second))
			_, _, err = in.ReadFrom(make([]byte, 10))
			drops := w.Drops()
			if (err == nil) != (row.code == "") || len(w.Alarms()) != 0 ||
				row.code != "" && (len(drops) != 1 || drops[0].Hop.Code != row.code || drops[0].Hop.By != netfake.Component(x.pcx)) {
				t.Errorf("from an address %s: %v, drops %v, alarms %v", row.name, err, drops, w.Alarms())
			}
		})
	}
}
