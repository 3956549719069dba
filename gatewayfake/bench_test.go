package gatewayfake_test

import (
	"net"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/loopback"
	"github.com/netspec-go/netspec/netfake"
)

// BenchmarkVsLoopback compares a private instance that talks to a host on the internet,
// through a NAT gateway and an internet gateway, with the kernel's loopback.
func BenchmarkVsLoopback(b *testing.B) {
	loopback.Compare(b, func(b *testing.B) loopback.Network {
		w := netfake.New(b, netfake.Config{Instant: true})
		site := w.Internet().Host("site", "203.0.113.80")
		vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
		public := vpc.Subnet("public", "10.0.0.0/24", "a")
		private := vpc.Subnet("private", "10.0.1.0/24", "a")
		public.Route("0.0.0.0/0", gatewayfake.NewInternetGateway(vpc, "igw"))
		private.Route("0.0.0.0/0", gatewayfake.NewNATGateway(public, "nat", gatewayfake.NewElasticIP(vpc)))
		app := private.Instance("app", fabricfake.InstanceConfig{})
		return loopback.Network{
			Listen: func() (net.Listener, error) { return site.Listen("tcp", "203.0.113.80:80") },
			Dial:   func(addr string) (net.Conn, error) { return app.Dial("tcp", addr) },
		}
	})
}
