package fabricfake_test

import (
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
