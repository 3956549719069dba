package gatewayfake_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// disguise is the kernel of an instance that sends on what comes in the name of somebody else.
type disguise struct {
	*fabricfake.Instance
	as netip.Addr
}

func (d disguise) Step(p *netfake.Packet) netfake.Next {
	p.SetSrc(netip.AddrPortFrom(d.as, p.Flow.Src.Port()))
	return p.To(d.Interface().Out())
}

// A NAT gateway remembers who may send, until something changes: of a client in whose name
// another one sends, so that nobody else on the way asks who that is.
func TestNATGatewayAsksAnewWhoSends(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(x *world, client *fabricfake.Instance) *netfake.Fault
		came   int // of three datagrams
		hits   uint64
	}{
		{"nothing changes", func(*world, *fabricfake.Instance) *netfake.Fault { return nil }, 3, 0},
		{"the client goes", func(_ *world, client *fabricfake.Instance) *netfake.Fault { client.ForceTerminate(); return nil }, 0, 0},
		{"the mapping service fails", func(x *world, _ *fabricfake.Instance) *netfake.Fault { return x.vpc.Region().Mapping().Fail() }, 3, 0},
		{"and the client has changed since", func(x *world, client *fabricfake.Instance) *netfake.Fault {
			failure := x.vpc.Region().Mapping().Fail()
			client.Interface().SetGroups(client.Interface().Groups())
			return failure
		}, 3, 3},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := build(w)
			open := fabricfake.Groups{x.vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)}
			box := x.private.Instance("box", fabricfake.InstanceConfig{SourceDestCheck: fabricfake.SourceDestCheckOff, Groups: open})
			box.Forward(disguise{box, x.app.Addr()})
			behind := x.vpc.Subnet("behind", "10.0.2.0/24", "a").Route("0.0.0.0/0", box).Instance("behind", fabricfake.InstanceConfig{})
			in, err := x.site.ListenPacket("udp", ":9")
			if err != nil {
				t.Fatal(err)
			}
			out, err := behind.ListenPacket("udp", ":9")
			if err != nil {
				t.Fatal(err)
			}
			// send returns how many of some datagrams come.
			send := func(n int) (came int) {
				for range n {
					out.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(x.site.UDP(9).Addr))
					in.SetReadDeadline(time.Now().Add(time.Second))
					if _, _, err := in.ReadFrom(make([]byte, 1)); err == nil {
						came++
					}
				}
				return came
			}
			if came := send(2); came != 2 {
				t.Fatalf("%s: %d come before, want 2\n%v", row.name, came, w.Drops())
			}
			failure := row.change(x, x.app)
			if came := send(3); came != row.came {
				t.Errorf("%s: %d come, want %d", row.name, came, row.came)
			}
			if failure != nil && failure.Hits() != row.hits {
				t.Errorf("%s: %d hits, want %d", row.name, failure.Hits(), row.hits)
			}
			refused := 0
			for _, d := range w.Drops() {
				if d.Hop.Code == "NGW_REQUIRES_SOURCE_IN_VPC" {
					refused++
				}
			}
			if refused != 3-row.came {
				t.Errorf("%s: %d are refused, want %d: %v", row.name, refused, 3-row.came, w.Drops())
			}
		})
	}
}
