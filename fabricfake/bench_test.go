package fabricfake_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/loopback"
	"github.com/netspec-go/netspec/netfake"
)

// BenchmarkVsLoopback compares two instances with the kernel's loopback. They are in
// different subnets on different physical hosts, so that every packet passes groups,
// ACLs, a route and the mapping service, and crosses the substrate as bytes.
func BenchmarkVsLoopback(b *testing.B) {
	loopback.Compare(b, func(b *testing.B) loopback.Network {
		w := netfake.New(b, netfake.Config{Instant: true})
		vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
		sg := vpc.SecurityGroup("web").AllowIngress("tcp/80", fabricfake.Anywhere)
		web := vpc.Subnet("web", "10.0.1.0/24", "a").Instance("web", fabricfake.InstanceConfig{Groups: fabricfake.Groups{sg}})
		app := vpc.Subnet("app", "10.0.2.0/24", "b").Instance("app", fabricfake.InstanceConfig{})
		return loopback.Network{
			Listen: func() (net.Listener, error) { return web.Listen("tcp", web.Addr().String()+":80") },
			Dial:   func(addr string) (net.Conn, error) { return app.Dial("tcp", addr) },
		}
	})
}

// BenchmarkManyRules is BenchmarkVsLoopback with as many rules as a VPC has by default:
// five groups of 60 on either side, of which the last rule admits, ACLs of 20 entries in
// each direction, and 50 routes.
func BenchmarkManyRules(b *testing.B) {
	loopback.Compare(b, func(b *testing.B) loopback.Network {
		w := netfake.New(b, netfake.Config{Instant: true})
		vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
		front, back := vpc.Subnet("front", "10.0.1.0/24", "a"), vpc.Subnet("back", "10.0.2.0/24", "b")
		groups := manyGroups(vpc)
		web := back.Instance("web", fabricfake.InstanceConfig{Groups: groups})
		app := front.Instance("app", fabricfake.InstanceConfig{Groups: groups})
		router := front.Instance("router", fabricfake.InstanceConfig{SourceDestCheck: fabricfake.SourceDestCheckOff})
		for i, s := range []*fabricfake.Subnet{front, back} {
			acl := vpc.NetworkACL(fmt.Sprint("acl", i))
			for n := range 19 {
				acl.DenyIngress(n+1, "tcp/22", fmt.Sprintf("192.0.2.%d/32", n)).DenyEgress(n+1, "udp", fmt.Sprintf("192.0.2.%d/32", n))
			}
			s.UseACL(acl.AllowIngress(100, "all", "0.0.0.0/0").AllowEgress(100, "all", "0.0.0.0/0"))
		}
		for n := range 49 {
			vpc.MainRouteTable().Route(fmt.Sprintf("172.16.%d.0/24", n), &throughInterface{router.Interface()})
		}
		return loopback.Network{
			Listen: func() (net.Listener, error) { return web.Listen("tcp", web.Addr().String()+":80") },
			Dial:   func(addr string) (net.Conn, error) { return app.Dial("tcp", addr) },
		}
	})
}

// manyGroups returns five groups of 60 rules in each direction. The last rule of the last
// one admits everything.
func manyGroups(vpc *fabricfake.VPC) (groups fabricfake.Groups) {
	for i := range 5 {
		g := vpc.SecurityGroup(fmt.Sprint("group", i)).RestrictEgress()
		for n := range 60 {
			perm, peer := fmt.Sprintf("tcp/%d", 1000+n), fabricfake.CIDR(fmt.Sprintf("10.%d.%d.0/24", 100+i, n))
			if i == 4 && n == 59 {
				perm, peer = "all", "0.0.0.0/0"
			}
			g.AllowIngress(perm, peer).AllowEgress(perm, peer)
		}
		groups = append(groups, g)
	}
	return groups
}

// throughInterface is a target that leads to an interface.
type throughInterface struct{ f *fabricfake.Interface }

func (t *throughInterface) String() string { return t.f.ID() }
func (t *throughInterface) Attached() bool { return true }
func (t *throughInterface) NextHop() fabricfake.NextHop {
	return fabricfake.NextHop{Interface: t.f}
}
