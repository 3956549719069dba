package gatewayfake_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// The ACL of a NAT gateway's subnet judges four times: clients' packets as they come in, the
// translated ones as they leave, and the answers to both. Each entry but one lets all through.
func TestACLOfTheNATSubnet(t *testing.T) {
	const client, site = "10.0.1.0/24", "203.0.113.80/32"
	for _, row := range []struct {
		name   string
		change func(a *fabricfake.NetworkACL)
		works  bool
	}{
		{"nothing is denied", func(*fabricfake.NetworkACL) {}, true},
		// fact: order.nat.acl
		{"clients' packets in", func(a *fabricfake.NetworkACL) { a.DenyIngress(50, "tcp/80", client) }, false},
		// fact: order.nat.acl
		{"the gateway's packets out", func(a *fabricfake.NetworkACL) { a.DenyEgress(50, "tcp/80", site) }, false},
		// fact: order.nat.acl
		{"answers in", func(a *fabricfake.NetworkACL) { a.DenyIngress(50, "tcp", site) }, false},
		// fact: order.nat.acl
		{"answers out", func(a *fabricfake.NetworkACL) { a.DenyEgress(50, "tcp", client) }, false},
		// fact: acl.ephemeral.nat
		{"answers in, to the ports that the gateway uses", func(a *fabricfake.NetworkACL) { a.DenyIngress(50, "tcp/1024-65535", site) }, false},
		// fact: acl.ephemeral.nat
		{"answers in, to the ports below", func(a *fabricfake.NetworkACL) { a.DenyIngress(50, "tcp/0-1023", site) }, true},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := build(w)
			row.change(x.vpc.DefaultNetworkACL())
			acl := x.vpc.NetworkACL("private").AllowIngress(100, "all", "0.0.0.0/0").AllowEgress(100, "all", "0.0.0.0/0")
			x.private.UseACL(acl)
			d := netfake.Dialer{Host: x.app.Host, Timeout: 2500 * time.Millisecond}
			_, err := d.DialContext(t.Context(), "tcp", "203.0.113.80:80")
			if (err == nil) != row.works {
				t.Errorf("%s: %v", row.name, err)
			}
			if r := x.app.Probe(x.site.TCP(80)); (r.Outcome == netfake.Answered) != row.works {
				t.Errorf("%s: the probe says %v", row.name, r.Outcome)
			}
		})
	}
}

// Behind an internet gateway ACL and groups see private addresses, and so does who asks why
// a packet was dropped.
func TestPrivateAddressesBehindTheGateway(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(x *world, g *fabricfake.SecurityGroup)
		by     string // what drops the packet; "" if it arrives
	}{
		{"all let it in", func(*world, *fabricfake.SecurityGroup) {}, ""},
		// fact: order.gateway
		{"the ACL does not", func(x *world, _ *fabricfake.SecurityGroup) { x.public.UseACL(x.vpc.NetworkACL("shut")) }, "acl shut"},
		// fact: order.gateway
		{"the group does not", func(_ *world, g *fabricfake.SecurityGroup) { g.RevokeIngress("all", fabricfake.Anywhere) }, "sg open"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := build(w)
			front, eip, open := x.openFront()
			if _, err := front.Listen("tcp", ":80"); err != nil {
				t.Fatal(err)
			}
			row.change(x, open)
			r := x.site.Probe(netfake.Endpoint{Proto: netfake.TCP, Addr: netip.AddrPortFrom(eip.Addr(), 80)})
			by, to := "", netip.Addr{}
			if b := r.Blocker(); b != nil {
				by, to = b.By.String(), b.Flow.Dst.Addr()
			}
			if by != row.by || by != "" && to != front.Addr() {
				t.Errorf("%s: dropped by %q on its way to %v, want %q and %v", row.name, by, to, row.by, front.Addr())
			}
		})
	}
}

// A traceroute needs an entry that lets time exceeded in, if ICMP is not let in altogether.
func TestTracerouteThroughAnACL(t *testing.T) {
	for _, row := range []struct {
		name  string
		entry string
		heard bool
	}{
		// fact: acl.traceroute
		{"type 11 code 0", "icmp/11/0", true},
		// fact: acl.traceroute
		{"port unreachable alone", "icmp/3", false},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := build(w)
			front := x.public.Instance("front", fabricfake.InstanceConfig{})
			gatewayfake.NewElasticIP(x.vpc).Associate(front.Interface())
			acl := x.vpc.NetworkACL("some").AllowIngress(100, row.entry, "0.0.0.0/0").AllowIngress(200, "icmp/3/3", "0.0.0.0/0")
			x.public.UseACL(acl.AllowEgress(100, "all", "0.0.0.0/0"))
			silence, site := netip.Addr{}, x.site.Addr()
			region, far := x.igw.Uplink().RouterAddr(), x.site.Uplink().RouterAddr()
			if !row.heard {
				region, far = silence, silence
			}
			wantHops(t, front.Host, site, silence, region, far, site)
		})
	}
}
