package gatewayfake_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// Gateways and peerings keep a VPC and its subnets from being deleted, as long as there are any.
func TestDeleteVPCWithGateways(t *testing.T) {
	public := func(x *peerable) *fabricfake.Subnet { return x.a.Subnet("public", "10.3.0.0/24", "a") }
	nat := func(x *peerable) *gatewayfake.NATGateway {
		gatewayfake.NewInternetGateway(x.a, "igw")
		return gatewayfake.NewNATGateway(public(x), "nat", gatewayfake.NewElasticIP(x.a))
	}
	for _, row := range []struct {
		name string
		do   func(x *peerable)
		want string // "": accepted
	}{
		{"an internet gateway", func(x *peerable) { gatewayfake.NewInternetGateway(x.a, "igw"); x.a.Delete() }, "DependencyViolation: it still has the internet gateway igw"},
		{"that is detached", func(x *peerable) { gatewayfake.NewInternetGateway(x.a, "igw").Detach(); x.a.Delete() }, ""},
		{"of another VPC", func(x *peerable) { gatewayfake.NewInternetGateway(x.b, "igw"); x.a.Delete() }, ""},
		{"a NAT gateway", func(x *peerable) { nat(x).Interface().Subnet().Delete() }, "DependencyViolation: the interface of nat is in it"},
		{"that is deleted", func(x *peerable) {
			n := nat(x)
			n.Delete()
			n.Interface().Subnet().Delete()
		}, ""},

		// fact: vpc.delete.peering
		{"a peering", func(x *peerable) { gatewayfake.NewPeering(x.a, x.b, "pcx").Accept(); x.a.Delete() }, "DependencyViolation: it still has a peering with vpc b"},
		// fact: vpc.delete.request
		{"a request", func(x *peerable) { gatewayfake.NewPeering(x.a, x.b, "pcx"); x.a.Delete() }, ""},
		// fact: vpc.delete.requested
		{"a request of another", func(x *peerable) { gatewayfake.NewPeering(x.b, x.a, "pcx"); x.a.Delete() }, "it still has a peering with vpc b"},
		{"that is rejected", func(x *peerable) { gatewayfake.NewPeering(x.b, x.a, "pcx").Reject(); x.a.Delete() }, ""},
		{"that has expired", func(x *peerable) {
			gatewayfake.NewPeering(x.b, x.a, "pcx")
			x.w.Sleep(gatewayfake.PeeringLifetime)
			x.a.Delete()
		}, ""},
		{"a peering that is deleted", func(x *peerable) { gatewayfake.NewPeering(x.a, x.b, "pcx").Accept().Delete(); x.a.Delete() }, ""},
		{"one of two others", func(x *peerable) {
			gatewayfake.NewPeering(x.b, fabricfake.NewVPC(x.w, "c", "10.7.0.0/16"), "pcx").Accept()
			x.a.Delete()
		}, ""},

		// And when it is deleted there can be none.
		{"then an internet gateway", func(x *peerable) { x.a.Delete(); gatewayfake.NewInternetGateway(x.a, "igw") }, "InvalidVpcID.NotFound: vpc a was deleted"},
		// fact: eip.region
		{"then an elastic IP", func(x *peerable) { x.a.Delete(); gatewayfake.NewElasticIP(x.a) }, "gatewayfake: InvalidVpcID.NotFound: vpc a was deleted"},
		{"before it one, which is released", func(x *peerable) {
			eip := gatewayfake.NewElasticIP(x.a)
			x.a.Delete()
			eip.Release()
		}, ""},
		{"then a peering", func(x *peerable) { x.a.Delete(); gatewayfake.NewPeering(x.b, x.a, "pcx") }, "InvalidVpcID.NotFound: vpc a was deleted"},
		{"a NAT gateway in a subnet that is", func(x *peerable) {
			gatewayfake.NewInternetGateway(x.a, "igw")
			s := public(x)
			s.Delete()
			gatewayfake.NewNATGateway(s, "nat", gatewayfake.NewElasticIP(x.a))
		}, "InvalidSubnetID.NotFound: the subnet public of vpc a was deleted"},
	} {
		netfake.Run(t, func(t *testing.T, _ *netfake.World) {
			x := buildPeerable(t)
			x.want(t, row.name, row.want, func() { row.do(x) })
		})
	}
}

// A VPC that was taken down can be built anew under the same names, and the one before it is in
// nobody's way.
func TestVPCAnew(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		site := w.Internet().HostAt(netfake.Sydney, "site", "203.0.113.80")
		app := ""
		site.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, app) }))
		for _, app = range []string{"first", "second"} {
			vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("2001:db8::/56")
			public, private := vpc.Subnet("public", "10.0.0.0/24", "a"), vpc.Subnet("private", "10.0.1.0/24", "a")
			igw := gatewayfake.NewInternetGateway(vpc, "igw")
			public.Route("0.0.0.0/0", igw)
			eip := gatewayfake.NewElasticIP(vpc)
			nat := gatewayfake.NewNATGateway(public, "nat", eip)
			private.Route("0.0.0.0/0", nat)
			i := private.Instance(app, fabricfake.InstanceConfig{})
			if got := get(t, i.Host, "http://203.0.113.80/"); got != app || site.LastPeer() != eip.Addr() {
				t.Errorf("%s: %q, the site sees %v, want %v", app, got, site.LastPeer(), eip)
			}
			i.ForceTerminate()
			nat.Delete()
			eip.Release()
			for _, s := range []*fabricfake.Subnet{public, private} {
				own := s.RouteTable()
				s.Delete()
				own.Delete()
			}
			igw.Detach()
			vpc.Delete()
		}
		if alarms := w.Alarms(); len(alarms) > 0 {
			t.Errorf("alarms: %v", alarms)
		}
	})
}

// A request that waits goes with the VPC that has made it, and nobody can accept it any more.
// fact: vpc.delete.request
func TestRequestsOfADeletedVPC(t *testing.T) {
	netfake.Run(t, func(t *testing.T, _ *netfake.World) {
		x := buildPeerable(t)
		c := fabricfake.NewVPC(x.w, "c", "10.7.0.0/16")
		waits, other := gatewayfake.NewPeering(x.a, x.b, "pcx"), gatewayfake.NewPeering(c, x.b, "other")
		x.a.Delete()
		if got, want := waits.Status(), gatewayfake.PeeringDeleted; got != want {
			t.Errorf("the request is %v, want %v", got, want)
		}
		x.want(t, "accepting it", "InvalidStateTransition: the peering pcx is deleted and cannot be accepted", func() { waits.Accept() })
		x.want(t, "accepting another", "", func() { other.Accept() })
		x.want(t, "its name in another one's place", "", func() { gatewayfake.NewPeering(fabricfake.NewVPC(x.w, "a", "10.3.0.0/16"), x.b, "pcx").Accept() })
		x.w.Sleep(gatewayfake.PeeringLifetime)
		if got, want := waits.Status(), gatewayfake.PeeringDeleted; got != want {
			t.Errorf("long afterwards the request is %v, want %v", got, want)
		}
	})
}
