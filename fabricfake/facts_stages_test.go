package fabricfake_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// The stages of a packet, in their order. A probe goes on after what refuses, and names all
// of it; what ends a packet's way names nothing behind it.
func TestOrderOfStages(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(p *place)
		hops   string // who decides, and "!" for a drop
	}{
		// fact: order.egress, order.ingress, walk.lookup, fabric.mapping
		{"all let it through", func(*place) {}, "sg app, acl default, rtb main of prod, mapping, mapping, acl default, sg web, web"},
		// fact: order.egress
		{"the sender's stages refuse", func(p *place) {
			p.appGroup.RestrictEgress()
			p.front.UseACL(p.vpc.NetworkACL("shut"))
		}, "!sg app, !acl shut, rtb main of prod, mapping, mapping, acl default, sg web, web"},
		// fact: order.ingress
		{"the receiver's stages refuse", func(p *place) {
			p.webGroup.RevokeIngress("tcp/80", fabricfake.Anywhere)
			p.back.UseACL(p.vpc.NetworkACL("shut"))
		}, "sg app, acl default, rtb main of prod, mapping, mapping, !acl shut, !sg web, web"},
		// fact: order.samesubnet, walk.lookup
		{"inside a subnet", func(p *place) {
			p.app = p.back.Instance("neighbour", fabricfake.InstanceConfig{Groups: fabricfake.Groups{p.appGroup}})
		}, "sg app, mapping, mapping, sg web, web"},
		// fact: order.samesubnet.sg
		{"inside a subnet, where the groups refuse", func(p *place) {
			p.app = p.back.Instance("neighbour", fabricfake.InstanceConfig{Groups: fabricfake.Groups{p.appGroup}})
			p.appGroup.RestrictEgress()
			p.webGroup.RevokeIngress("tcp/80", fabricfake.Anywhere)
		}, "!sg app, mapping, mapping, !sg web, web"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPlace(t, w)
			allowWeb(p)
			row.change(p)
			var hops []string
			for _, h := range p.app.Probe(p.web.TCP(80)).Forward.Hops {
				mark := ""
				if h.Verdict == netfake.Drop {
					mark = "!"
				}
				hops = append(hops, mark+h.By.String())
			}
			if got := strings.Join(hops, ", "); got != row.hops {
				t.Errorf("%s: the stages are %s, want %s", row.name, got, row.hops)
			}
		})
	}
}

// All stages stand on the sender's host or on the receiver's, before the substrate and behind
// it: what else there is in the region may fail.
// fact: fabric.host.stages
func TestStagesStandOnTheHosts(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPlace(t, w)
		allowWeb(p)
		other := p.front.Instance("other", fabricfake.InstanceConfig{})
		other.Interface().PhysicalHost().Fail()
		p.vpc.Region().Zone("c").Fail()
		p.vpc.Region().Mapping().Fail()
		r := p.app.Probe(p.web.TCP(80))
		if r.Outcome != netfake.Answered || len(r.Forward.Hops) != 8 {
			t.Errorf("%v, %d hops, want 8:\n%v", r.Outcome, len(r.Forward.Hops), r.Forward)
		}
		for _, h := range r.Forward.Hops {
			sends, gets := h.Place == "app", h.Place == "web" || h.Place == "host of web"
			if !(sends && h.At == 0) && !(gets && h.At == fabricfake.LatencyZones) {
				t.Errorf("%v decides at %s after %v", h.By, h.Place, h.At)
			}
		}
	})
}

// An interface whose check is on sends as itself only, before its groups are asked, and
// takes what is for itself only, after they were. With the check off both are its own affair.
func TestSourceDestCheck(t *testing.T) {
	const sent, came = "10.0.4.4 sends to web as 10.9.9.9", "10.0.4.4 gets what is for web"
	shut := func(gs fabricfake.Groups) { gs[0].RestrictEgress().RevokeIngress("all", fabricfake.Anywhere) }
	open := func(fabricfake.Groups) {}
	for _, row := range []struct {
		name  string
		check fabricfake.SourceDestCheck
		rules func(fabricfake.Groups)
		what  string
		drop  string
	}{
		// fact: eni.check.egress, order.egress
		{"on, it sends", fabricfake.SourceDestCheckOn, open, sent, "middle egress ENI_SOURCE_DEST_CHECK_RESTRICTION"},
		// fact: order.egress
		{"on, it sends against its rules", fabricfake.SourceDestCheckOn, shut, sent, "middle egress ENI_SOURCE_DEST_CHECK_RESTRICTION"},
		// fact: eni.check.off
		{"off, it sends", fabricfake.SourceDestCheckOff, open, sent, ""},
		{"off, it sends against its rules", fabricfake.SourceDestCheckOff, shut, sent, "sg middle egress SG_HAS_NO_RULES"},
		// fact: eni.check.ingress, order.ingress, eni.promiscuous, isolation.delivery
		{"on, it gets", fabricfake.SourceDestCheckOn, open, came, "middle ingress ENI_SOURCE_DEST_CHECK_RESTRICTION"},
		// fact: order.ingress
		{"on, it gets against its rules", fabricfake.SourceDestCheckOn, shut, came, "sg middle ingress SG_HAS_NO_RULES"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPlace(t, w)
			p.webGroup.AllowIngress("all", fabricfake.Anywhere)
			groups := fabricfake.Groups{p.vpc.SecurityGroup("middle").AllowIngress("all", fabricfake.Anywhere)}
			s := p.vpc.Subnet("middle", "10.0.4.0/24", "a")
			middle := s.Instance("middle", fabricfake.InstanceConfig{Groups: groups, SourceDestCheck: row.check}).Interface()
			row.rules(groups)
			in, err := p.web.ListenPacket("udp", ":9")
			if err != nil {
				t.Fatal(err)
			}
			if row.what == sent {
				middle.Inject(datagram("10.9.9.9:1", "10.0.2.4:9", "x"))
			} else {
				p.front.Route("10.0.2.0/24", &appliance{iface: middle})
				p.app.Interface().Inject(datagram("10.0.1.4:1", "10.0.2.4:9", "x"))
			}
			if got, want := heard(in), row.drop == ""; got != want {
				t.Errorf("%s: web heard it: %v", row.name, got)
			}
			if got := dropsOf(w); got != row.drop {
				t.Errorf("%s: dropped by %q, want %q", row.name, got, row.drop)
			}
		})
	}
}

// heard reports whether a socket gets a datagram within a second.
func heard(c net.PacketConn) bool {
	c.SetReadDeadline(time.Now().Add(time.Second))
	_, _, err := c.ReadFrom(make([]byte, 1))
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// dropsOf returns what dropped packets, in one line.
func dropsOf(w *netfake.World) string {
	var all []string
	for _, d := range w.Drops() {
		all = append(all, blockerText(&d.Hop))
	}
	return strings.Join(all, "; ")
}

// What is not for one address reaches nobody: there is no broadcast, no multicast and no
// flooding, and who listens hears nothing of others.
func TestOnlyWhatIsAddressed(t *testing.T) {
	for _, row := range []struct {
		name, to string
		hear     []string
		drop     string
	}{
		// fact: eni.promiscuous, isolation.delivery
		{"one neighbour", "10.0.2.4", []string{"web"}, ""},
		// fact: eni.promiscuous, isolation.delivery
		{"the other", "10.0.2.5", []string{"other"}, ""},
		// fact: isolation.unknown
		{"an address that nobody has", "10.0.2.6", nil, "mapping NO_POSSIBLE_DESTINATION"},
		// fact: subnet.broadcast, eni.multicast, isolation.broadcast
		{"the subnet's broadcast", "10.0.2.255", nil, "mapping NO_POSSIBLE_DESTINATION"},
		// fact: eni.multicast, isolation.broadcast
		{"everybody", "255.255.255.255", nil, "rtb main of prod NO_ROUTE_TO_DESTINATION"},
		// fact: eni.multicast, isolation.broadcast
		{"a multicast group", "224.0.0.1", nil, "rtb main of prod NO_ROUTE_TO_DESTINATION"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPlace(t, w)
			p.webGroup.AllowIngress("all", fabricfake.Anywhere)
			gs := fabricfake.Groups{p.webGroup}
			rack := p.web.Interface().PhysicalHost()
			other := p.back.Instance("other", fabricfake.InstanceConfig{PrivateIP: "10.0.2.5", Groups: gs, On: rack})
			from := p.back.Instance("from", fabricfake.InstanceConfig{PrivateIP: "10.0.2.9", Groups: gs})
			var hear []string
			listeners := map[string]net.PacketConn{}
			for _, h := range []*fabricfake.Instance{p.web, other, p.app} {
				in, err := h.ListenPacket("udp", ":9")
				if err != nil {
					t.Fatal(err)
				}
				listeners[h.Name()] = in
			}
			from.Interface().Inject(datagram("10.0.2.9:1", row.to+":9", "x"))
			for _, name := range []string{"web", "other", "app"} {
				if heard(listeners[name]) {
					hear = append(hear, name)
				}
			}
			if got := dropsOf(w); !slices.Equal(hear, row.hear) || got != row.drop {
				t.Errorf("%s: %v hear it, dropped by %q; want %v and %q", row.name, hear, got, row.hear, row.drop)
			}
		})
	}
}

// Instances cannot name what is under them: an address of the substrate is one of the VPC,
// or none.
func TestSubstrateIsOutOfReach(t *testing.T) {
	for _, row := range []struct {
		name, cidr, subnet, addr string
		outcome                  netfake.Outcome
		blocker                  string
	}{
		// fact: isolation.substrate
		{"outside of the VPC's block", "10.0.0.0/16", "10.0.9.0/24", "", netfake.Silence, "rtb main of prod NO_ROUTE_TO_DESTINATION"},
		// fact: isolation.substrate
		{"inside of it, where nobody is", "192.168.0.0/16", "192.168.9.0/24", "", netfake.Silence, "mapping NO_POSSIBLE_DESTINATION"},
		// fact: isolation.substrate
		{"inside of it, where somebody is", "192.168.0.0/16", "192.168.0.0/24", "192.168.0.9", netfake.Answered, ""},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			v := fabricfake.NewVPC(w, "prod", row.cidr)
			open := fabricfake.Groups{v.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)}
			s := v.Subnet("s", row.subnet, "a")
			p := &place{w: w, vpc: v, app: s.Instance("app", fabricfake.InstanceConfig{Groups: open})}
			var host *fabricfake.PhysicalHost
			for i := 0; host == nil || host.Addr().String() != "192.168.0.9"; i++ {
				host = v.Region().PhysicalHost(fmt.Sprint("rack", i), "a")
			}
			web := s.Instance("web", fabricfake.InstanceConfig{PrivateIP: row.addr, Groups: open, On: host})
			if err := serve(w, web.Host, 80); err != nil {
				t.Fatal(err)
			}
			to := netfake.Endpoint{Proto: netfake.TCP, Addr: netip.AddrPortFrom(host.Addr(), 80)}
			p.wants(t, row.name, to, row.outcome, row.blocker)
		})
	}
}
