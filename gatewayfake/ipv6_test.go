package gatewayfake_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

func brieflyContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// six is a VPC of both families with an internet gateway, and a site on the internet.
type six struct {
	vpc    *fabricfake.VPC
	subnet *fabricfake.Subnet
	igw    *gatewayfake.InternetGateway
	group  *fabricfake.SecurityGroup
	app    *fabricfake.Instance
	site   *netfake.Host
}

func buildSix(w *netfake.World) *six {
	x := &six{site: w.Internet().HostAt(netfake.Singapore, "site", "2001:db8:5::80")}
	x.vpc = fabricfake.NewVPC(w, "six", "10.0.0.0/16").AddIPv6("")
	x.subnet = x.vpc.Subnet("s", "10.0.0.0/24", "a").AddIPv6("")
	x.igw = gatewayfake.NewInternetGateway(x.vpc, "igw")
	x.subnet.Route("::/0", x.igw)
	x.group = x.vpc.SecurityGroup("app").AllowIngress("tcp/9", fabricfake.AnywhereIPv6)
	x.app = x.subnet.Instance("app", fabricfake.InstanceConfig{IPv6AddressCount: 1, Groups: fabricfake.Groups{x.group}})
	return x
}

// IPv6 passes an internet gateway untranslated, both ways, and groups, ACLs and routes
// decide about it.
func TestInternetGatewayIPv6(t *testing.T) {
	for _, row := range []struct {
		name    string
		change  func(x *six)
		out, in netfake.Code // "": answered
	}{
		{"let through", func(*six) {}, "", ""},
		{"the group lets nobody in", func(x *six) { x.group.RevokeIngress("tcp/9", fabricfake.AnywhereIPv6) }, "", "SG_HAS_NO_RULES"},
		{"the ACL refuses the way out", func(x *six) { x.vpc.DefaultNetworkACL().DenyEgress(50, "tcp/9", "::/0") }, "SUBNET_ACL_RESTRICTION", ""},
		{"no route", func(x *six) { x.subnet.RouteTable().DeleteRoute("::/0") }, "NO_ROUTE_TO_DESTINATION", "NO_ROUTE_TO_DESTINATION"},
		{"no address of IPv6", func(x *six) { x.app.Interface().Unassign(x.app.Interface().IPv6()) }, "-", "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS"},
		{"detached", func(x *six) { x.igw.Detach() }, "BAD_STATE_ROUTE", "NO_ROUTE_TO_DESTINATION"},
		{"its instance has left", func(x *six) {
			x.app.Terminate()
			x.app.Await(fabricfake.Terminated)
		}, "-", "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := buildSix(w)
			addr := x.app.Interface().IPv6()
			swallow(t, x.app.Host)
			swallow(t, x.site)
			row.change(x)
			at := func(a netip.Addr) netfake.Endpoint {
				return netfake.Endpoint{Proto: netfake.TCP, Addr: netip.AddrPortFrom(a, 9)}
			}
			if row.out != "-" {
				wantCode(t, row.name+", out", x.app.Probe(at(x.site.Addr())), row.out)
			}
			wantCode(t, row.name+", in", x.site.Probe(at(addr)), row.in)
		})
	}
}

func wantCode(t *testing.T, name string, r *netfake.Reach, want netfake.Code) {
	t.Helper()
	code := netfake.Code("")
	if b := r.Blocker(); b != nil {
		code = b.Code
	}
	if code != want || (want == "") != (r.Outcome == netfake.Answered) {
		t.Errorf("%s: %v, %s, want code %q\n%v", name, r.Outcome, code, want, r)
	}
}

// Each end sees the other's own address, and what is too big for the gateway is answered by
// the VPC's router: a bulk transfer gets through with packets of 9001 bytes to begin with.
func TestBulkIPv6(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := buildSix(w)
		other := fabricfake.NewVPC(w, "other", "10.1.0.0/16").AddIPv6("")
		s := other.Subnet("s", "10.1.0.0/24", "a").AddIPv6("")
		s.Route("::/0", gatewayfake.NewInternetGateway(other, "igw"))
		front := s.Instance("front", fabricfake.InstanceConfig{IPv6AddressCount: 1})
		front.Interface().SetGroups(fabricfake.Groups{other.SecurityGroup("out")})
		came := swallow(t, x.app.Host)
		c, err := front.Dial("tcp", net.JoinHostPort(x.app.Interface().IPv6().String(), "9"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(make([]byte, 100_000)); err != nil {
			t.Error(err)
		}
		c.Close()
		if n := <-came; n != 100_000 || x.app.LastPeer() != front.Interface().IPv6() {
			t.Errorf("%d bytes from %v", n, x.app.LastPeer())
		}
		if got := front.PathMTU(x.app.Interface().IPv6()); got != 1500 {
			t.Errorf("the path carries %d", got)
		}
	})
}
