package gatewayfake_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// masquerade is the kernel of a NAT instance: it sends on what clients send, under the
// instance's address and their own ports, which do not meet in this test.
type masquerade struct {
	instance *fabricfake.Instance
	clients  map[netip.AddrPort]netip.Addr // by what they speak to and their port
}

func (m *masquerade) String() string { return "masquerade of " + m.instance.Name() }

func (m *masquerade) Step(p *netfake.Packet) netfake.Next {
	src, dst := p.Flow.Src, p.Flow.Dst
	if !p.CountDown() {
		return p.Drop(netfake.Hop{Place: m.String(), By: m, Rule: "the TTL is used up"})
	}
	if dst.Addr() != m.instance.Addr() {
		m.clients[netip.AddrPortFrom(dst.Addr(), src.Port())] = src.Addr()
		p.SetSrc(netip.AddrPortFrom(m.instance.Addr(), src.Port()))
		return p.To(m.instance.Interface().Out())
	}
	client, ok := m.clients[netip.AddrPortFrom(src.Addr(), dst.Port())]
	if !ok {
		return p.To(m.instance.Host)
	}
	p.SetDst(netip.AddrPortFrom(client, dst.Port()))
	return p.To(m.instance.Interface().Out())
}

// A private subnet reaches the internet through a NAT instance, whose source and destination
// check is off; with the check on, or without the instance, it does not. It is what it is like
// without a NAT gateway, down to the groups that guard the instance.
// fact: eni.check.off, rtb.targets.instance, rtb.blackhole.instance
func TestNATInstance(t *testing.T) {
	for _, row := range []struct {
		name   string
		check  fabricfake.SourceDestCheck
		change func(nat *fabricfake.Instance, groups fabricfake.Groups)
		code   netfake.Code // of what blocks, "" for nothing
	}{
		{"with the check off", fabricfake.SourceDestCheckOff, nil, ""},
		{"with the check on", fabricfake.SourceDestCheckOn, nil, "ENI_SOURCE_DEST_CHECK_RESTRICTION"},
		{"with groups that let no client in", fabricfake.SourceDestCheckOff,
			func(nat *fabricfake.Instance, groups fabricfake.Groups) {
				groups[0].RevokeIngress("all", fabricfake.CIDR("10.0.0.0/16"))
			}, "SG_HAS_NO_RULES"},
		{"stopped", fabricfake.SourceDestCheckOff, func(nat *fabricfake.Instance, _ fabricfake.Groups) { nat.ForceStop() }, "BAD_STATE"},
		{"terminated", fabricfake.SourceDestCheckOff, func(nat *fabricfake.Instance, _ fabricfake.Groups) { nat.ForceTerminate() }, "BAD_STATE_ROUTE"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			site := w.Internet().Host("site", "203.0.113.80")
			l, err := site.Listen("tcp", ":443")
			if err != nil {
				t.Fatal(err)
			}
			vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
			public := vpc.Subnet("public", "10.0.0.0/24", "a").AutoAssignPublicIP(fabricfake.AutoAssignOn)
			private := vpc.Subnet("private", "10.0.1.0/24", "a")
			public.Route("0.0.0.0/0", gatewayfake.NewInternetGateway(vpc, "igw"))
			groups := fabricfake.Groups{vpc.SecurityGroup("nat").AllowIngress("all", fabricfake.CIDR("10.0.0.0/16"))}
			nat := public.Instance("nat", fabricfake.InstanceConfig{SourceDestCheck: row.check, Groups: groups})
			nat.Forward(&masquerade{nat, map[netip.AddrPort]netip.Addr{}})
			private.Route("0.0.0.0/0", nat)
			app := private.Instance("app", fabricfake.InstanceConfig{})
			if row.change != nil {
				row.change(nat, groups)
			}
			r := app.Probe(site.TCP(443))
			switch b := r.Blocker(); {
			case row.code == "" && r.Outcome != netfake.Answered:
				t.Errorf("%s: %v", row.name, r)
			case row.code != "" && (b == nil || b.Code != row.code):
				t.Errorf("%s: blocked by %v, want %s", row.name, b, row.code)
			}
			if row.code != "" {
				return
			}
			seen := nat.Interface().PublicIP()
			c, err := app.Dial("tcp", "203.0.113.80:443")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			at, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer at.Close()
			if got := at.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); got != seen {
				t.Errorf("%s: the site sees %v, want %v", row.name, got, seen)
			}
		})
	}
}
