package fabricfake_test

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// A secondary block is routed locally by every table, and subnets lie in it.
// fact: vpc.secondary, vpc.secondary.local
func TestSecondaryBlock(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
		first := v.Subnet("first", "10.0.1.0/24", "a")
		own := v.RouteTable("own")
		first.Associate(own)
		v.AddCIDR("100.64.0.0/16")
		second := v.Subnet("second", "100.64.1.0/24", "b")
		all := v.SecurityGroup("all").AllowIngress("all", fabricfake.Anywhere)
		a := first.Instance("a", fabricfake.InstanceConfig{})
		b := second.Instance("b", fabricfake.InstanceConfig{Groups: fabricfake.Groups{all}})
		if _, err := a.Ping(t.Context(), b.Addr()); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(own.Routes(), v.MainRouteTable().Routes(), v.CIDRs(), v.Contains(b.Addr())); got !=
			"[10.0.0.0/16 → local 100.64.0.0/16 → local] [10.0.0.0/16 → local 100.64.0.0/16 → local] [10.0.0.0/16 100.64.0.0/16] true" {
			t.Error(got)
		}
		if got := second.FreeAddresses(); got != 256-5-1 {
			t.Errorf("%d addresses are free", got)
		}
		v.AddCIDR("100.65.0.0/16").RemoveCIDR("100.65.0.0/16")
		if got := len(own.Routes()); got != 2 {
			t.Errorf("%d routes when a block has left", got)
		}
	})
}

func TestBlockRefusals(t *testing.T) {
	for _, row := range []struct {
		do   func(v *fabricfake.VPC, s *fabricfake.Subnet)
		want string // "": accepted
	}{
		// Five blocks, of which the first stays.
		// fact: vpc.secondary.quota
		{func(v *fabricfake.VPC, _ *fabricfake.Subnet) {
			for n := range 5 {
				v.AddCIDR(fmt.Sprintf("100.%d.0.0/16", 64+n))
			}
		}, "CidrLimitExceeded: a VPC has 5 IPv4 blocks at most (vpc prod)"},
		// fact: vpc.secondary.primary
		{func(v *fabricfake.VPC, _ *fabricfake.Subnet) { v.RemoveCIDR("10.0.0.0/16") }, "OperationNotPermitted: 10.0.0.0/16 is the primary block"},
		{func(v *fabricfake.VPC, _ *fabricfake.Subnet) { v.RemoveCIDR("10.1.0.0/16") }, "InvalidVpcCidrBlockAssociationID.NotFound"},
		{func(v *fabricfake.VPC, _ *fabricfake.Subnet) {
			v.AddCIDR("100.64.0.0/16").Subnet("x", "100.64.0.0/24", "a")
			v.RemoveCIDR("100.64.0.0/16")
		}, "InvalidCidrBlock.InUse: the subnet x lies in 100.64.0.0/16"},
		// No overlap, no block beside those that exclude it, none as large as a route.
		// fact: vpc.secondary.overlap
		{func(v *fabricfake.VPC, _ *fabricfake.Subnet) { v.AddCIDR("10.0.128.0/17") }, "InvalidVpcRange: 10.0.128.0/17 overlaps"},
		// fact: vpc.mix.10
		{func(v *fabricfake.VPC, _ *fabricfake.Subnet) { v.AddCIDR("192.168.0.0/16") }, "InvalidVpcRange: 192.168.0.0/16 lies in 192.168.0.0/16"},
		// fact: vpc.secondary.routes
		{func(v *fabricfake.VPC, s *fabricfake.Subnet) {
			s.Route("100.64.0.0/24", fabricfake.Local)
			v.AddCIDR("100.64.0.0/24")
		}, "InvalidVpcRange: 100.64.0.0/24 is as large as the destination"},
		// fact: vpc.secondary.size
		{func(v *fabricfake.VPC, _ *fabricfake.Subnet) { v.AddCIDR("100.64.0.0/29") }, "InvalidVpcRange: 100.64.0.0/29"},
		// IPv6: /44 to /60 for a VPC, /44 to /64 for a subnet, in steps of four.
		// fact: vpc.ipv6.size
		{func(v *fabricfake.VPC, _ *fabricfake.Subnet) { v.AddIPv6("2001:db8::/43") }, "InvalidVpcRange: 2001:db8::/43: an IPv6 block is between /44 and /60"},
		// fact: vpc.ipv6.size
		{func(v *fabricfake.VPC, _ *fabricfake.Subnet) { v.AddIPv6("2001:db8::/64") }, "InvalidVpcRange: 2001:db8::/64"},
		// fact: vpc.ipv6.size
		{func(v *fabricfake.VPC, _ *fabricfake.Subnet) { v.AddIPv6("2001:db8::/57") }, "in steps of 4"},
		// fact: vpc.ipv6.size
		{func(v *fabricfake.VPC, _ *fabricfake.Subnet) {
			for n, bits := range []int{44, 48, 52, 56, 60} {
				v.AddIPv6(fmt.Sprintf("2001:db8:%x::/%d", 16*n, bits))
			}
		}, ""},
		{func(v *fabricfake.VPC, _ *fabricfake.Subnet) { v.AddIPv6("10.0.0.0/16") }, "is not an IPv6 CIDR block"},
		// fact: subnet.ipv6.size
		{func(v *fabricfake.VPC, s *fabricfake.Subnet) { v.AddIPv6("2001:db8::/56"); s.AddIPv6("2001:db8::/65") }, "InvalidSubnet.Range"},
		// fact: subnet.ipv6.size
		{func(v *fabricfake.VPC, s *fabricfake.Subnet) { v.AddIPv6("2001:db8::/56"); s.AddIPv6("2001:db8::/62") }, "InvalidSubnet.Range"},
		// fact: subnet.ipv6.size
		{func(v *fabricfake.VPC, s *fabricfake.Subnet) { v.AddIPv6("2001:db8::/44"); s.AddIPv6("2001:db8::/44") }, ""},
		// fact: subnet.ipv6.size
		{func(v *fabricfake.VPC, s *fabricfake.Subnet) { v.AddIPv6("2001:db8::/44"); s.AddIPv6("2001:db8::/64") }, ""},
		{func(v *fabricfake.VPC, s *fabricfake.Subnet) {
			v.AddIPv6("2001:db8::/56")
			s.AddIPv6("2001:db8:1::/64")
		}, "InvalidSubnet.Range: 2001:db8:1::/64 is not inside"},
		{func(v *fabricfake.VPC, s *fabricfake.Subnet) { s.AddIPv6("") }, "InvalidSubnet.Range: no /64 is free"},
		{func(v *fabricfake.VPC, s *fabricfake.Subnet) { v.AddIPv6(""); s.AddIPv6("").AddIPv6("") }, "Resource.AlreadyAssociated: the subnet has 2001:db8:f000::/64"},
		// fact: subnet.overlap, subnet.ipv6.size
		{func(v *fabricfake.VPC, s *fabricfake.Subnet) {
			v.AddIPv6("2001:db8::/56")
			s.AddIPv6("2001:db8:0:10::/60")
			v.Subnet("x", "10.0.2.0/24", "a").AddIPv6("2001:db8:0:1f::/64")
		}, "InvalidSubnet.Conflict: 2001:db8:0:1f::/64 overlaps"},
		{func(v *fabricfake.VPC, s *fabricfake.Subnet) {
			v.AddIPv6("")
			s.AddIPv6("")
			v.RemoveCIDR("2001:db8:f000::/56")
		}, "InvalidCidrBlock.InUse"},
		// fact: vpc.ipv6.quota
		{func(v *fabricfake.VPC, _ *fabricfake.Subnet) {
			for range 6 {
				v.AddIPv6("")
			}
		}, "CidrLimitExceeded: a VPC has 5 IPv6 blocks at most"},
		// fact: vpc.ipv6.unique
		{func(v *fabricfake.VPC, _ *fabricfake.Subnet) {
			v.AddIPv6("2001:db8::/56")
			fabricfake.NewVPC(v.World(), "other", "10.0.0.0/16").AddIPv6("2001:db8::/60")
		}, "InvalidVpc.Conflict: 2001:db8::/60 overlaps 2001:db8::/56 of vpc prod, and IPv6 addresses are unique"},
		// Addresses: the first four and the last are reserved.
		// fact: subnet.ipv6.reserved
		{address("2001:db8::3"), "InvalidParameterValue: 2001:db8::3 is reserved"},
		// fact: subnet.ipv6.reserved
		{address("2001:db8::ffff:ffff:ffff:ffff"), "is reserved"},
		// fact: subnet.ipv6.reserved
		{address("2001:db8::"), "InvalidParameterValue: 2001:db8:: is reserved"},
		// fact: subnet.ipv6.reserved
		{address("2001:db8::4"), ""},
		// fact: subnet.ipv6.reserved
		{address("2001:db8::ffff:ffff:ffff:fffe"), ""},
		{address("2001:db8:1::4"), "InvalidParameterValue: 2001:db8:1::4 is not in the subnet's 2001:db8::/64"},
		{address("10.0.1.9"), `"10.0.1.9" is no IPv6 address`},
		// fact: eni.secondary.ipv6
		{func(v *fabricfake.VPC, s *fabricfake.Subnet) {
			v.AddIPv6("2001:db8::/56")
			s.AddIPv6("")
			s.Instance("one", fabricfake.InstanceConfig{IPv6Addresses: []string{"2001:db8::9"}})
			s.Instance("two", fabricfake.InstanceConfig{IPv6Addresses: []string{"2001:db8::9"}})
		}, "InvalidIPAddress.InUse: 2001:db8::9 is in use"},
		// fact: eni.secondary.ipv6
		{func(v *fabricfake.VPC, s *fabricfake.Subnet) {
			v.AddIPv6("2001:db8::/56")
			s.AddIPv6("")
			one := s.Instance("one", fabricfake.InstanceConfig{IPv6Addresses: []string{"2001:db8::9"}}).Interface()
			one.Unassign(netip.MustParseAddr("2001:db8::9"))
			s.Instance("two", fabricfake.InstanceConfig{IPv6Addresses: []string{"2001:db8::9"}})
		}, ""},
		{func(v *fabricfake.VPC, s *fabricfake.Subnet) {
			s.Instance("one", fabricfake.InstanceConfig{IPv6AddressCount: 1})
		}, "the subnet has no IPv6 block"},
	} {
		failure := fatal(t, func(w *netfake.World) {
			v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
			row.do(v, v.Subnet("s", "10.0.1.0/24", "a"))
		})
		if (row.want == "") != (failure == "") || !strings.Contains(failure, row.want) {
			t.Errorf("fails with %q, want %q", failure, row.want)
		}
	}
}

// address launches an instance with an IPv6 address in 2001:db8::/64.
func address(addr string) func(*fabricfake.VPC, *fabricfake.Subnet) {
	return func(v *fabricfake.VPC, s *fabricfake.Subnet) {
		v.AddIPv6("2001:db8::/56")
		s.AddIPv6("2001:db8::/64")
		s.Instance("i", fabricfake.InstanceConfig{IPv6Addresses: []string{addr}})
	}
}

// Two instances talk over IPv6, in one subnet and across, and groups, ACLs and routes
// decide about it.
func TestIPv6(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(p *pair)
		works  bool
	}{
		{"let through", func(*pair) {}, true},
		{"the group lets IPv4 in alone", func(p *pair) { p.group.RevokeIngress("tcp/22", fabricfake.AnywhereIPv6) }, false},
		{"the ACL has no entry for it", func(p *pair) {
			p.b.UseACL(p.vpc.NetworkACL("four").AllowIngress(100, "all", "0.0.0.0/0").AllowEgress(100, "all", "0.0.0.0/0"))
		}, false},
		{"the ACL has one", func(p *pair) {
			p.b.UseACL(p.vpc.NetworkACL("six").AllowIngress(100, "all", "::/0").AllowEgress(100, "all", "::/0"))
		}, true},
		{"the sender's ACL denies what the default lets through", func(p *pair) { p.vpc.DefaultNetworkACL().DenyEgress(50, "all", "::/0") }, false},
		{"a group of the VPC's IPv6 block", func(p *pair) {
			p.group.RevokeIngress("tcp/22", fabricfake.AnywhereIPv6).AllowIngress("tcp/22", fabricfake.CIDR(p.vpc.CIDRs()[1].String()))
		}, true},
		{"a reference", func(p *pair) {
			p.group.RevokeIngress("tcp/22", fabricfake.AnywhereIPv6).AllowIngress("tcp/22", p.vpc.DefaultSecurityGroup())
		}, true},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("")
			p := &pair{w: w, vpc: v, a: v.Subnet("a", "10.0.1.0/24", "a").AddIPv6(""), b: v.Subnet("b", "10.0.2.0/24", "b").AddIPv6("")}
			p.group = v.SecurityGroup("two").AllowIngress("tcp/22", fabricfake.Anywhere).AllowIngress("tcp/22", fabricfake.AnywhereIPv6)
			p.one = p.a.Instance("one", fabricfake.InstanceConfig{IPv6AddressCount: 1})
			p.two = p.b.Instance("two", fabricfake.InstanceConfig{IPv6AddressCount: 1, Groups: fabricfake.Groups{p.group}})
			if err := serve(w, p.two.Host, 22); err != nil {
				t.Fatal(err)
			}
			row.change(p)
			to := netip.AddrPortFrom(p.two.Interface().IPv6(), 22)
			reached := p.one.Probe(netfake.Endpoint{Proto: netfake.TCP, Addr: to, Host: p.two.Host}).Outcome == netfake.Answered
			c, err := p.one.Dialer().DialContext(timeout(t, 2*time.Second), "tcp6", to.String())
			if (err == nil) != row.works || reached != row.works {
				t.Errorf("%s: error %v, the probe says %v", row.name, err, reached)
			}
			if err == nil {
				io.WriteString(c, "hello")
				if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
					t.Errorf("%s: %v", row.name, err)
				}
				if src := c.LocalAddr().String(); !strings.HasPrefix(src, "["+p.one.Interface().IPv6().String()+"]") {
					t.Errorf("sent from %s", src)
				}
			}
		})
	}
}

// Blocks that Amazon provides differ, and one that is given back is not given again.
// fact: vpc.ipv6.provided, vpc.ipv6.unique
func TestProvidedIPv6(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		one, two := fabricfake.NewVPC(w, "one", "10.0.0.0/16").AddIPv6(""), fabricfake.NewVPC(w, "two", "10.0.0.0/16").AddIPv6("")
		had := one.CIDRs()[1]
		one.RemoveCIDR(had.String()).AddIPv6("")
		if a, b := one.CIDRs()[1], two.CIDRs()[1]; a == had || a == b || a.Bits() != 56 {
			t.Errorf("had %v, then %v; the other %v", had, a, b)
		}
		// A subnet's is the first /64 that is free.
		s, u := one.Subnet("s", "10.0.0.0/24", "a").AddIPv6(""), one.Subnet("u", "10.0.1.0/24", "a").AddIPv6("")
		if a, b := s.CIDRs()[1], u.CIDRs()[1]; a.Addr() != one.CIDRs()[1].Addr() || a.Overlaps(b) || b.Bits() != 64 {
			t.Errorf("subnets have %v and %v", a, b)
		}
		i := s.Instance("i", fabricfake.InstanceConfig{IPv6AddressCount: 2})
		if got := i.Interface().Addresses(); len(got) != 3 || !strings.HasSuffix(got[1].String(), "::4") || !strings.HasSuffix(got[2].String(), "::5") {
			t.Errorf("addresses %v", got)
		}
	})
}

// A secondary address is answered like the first; one that moves is answered by who has
// it now, who knows nothing of the connections of the one before.
// fact: eni.secondary, eni.secondary.move, ct.other.eni
func TestSecondaryAddress(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPair(t, w)
		three := p.b.Instance("three", fabricfake.InstanceConfig{Groups: fabricfake.Groups{p.group}})
		if err := serve(w, three.Host, 22); err != nil {
			t.Fatal(err)
		}
		vip := p.two.Interface().AssignPrivateIP("172.31.32.100")
		c, err := p.one.Dial("tcp", "172.31.32.100:22")
		if err != nil {
			t.Fatal(err)
		}
		echo := func() error {
			c.SetDeadline(time.Now().Add(10 * time.Second))
			io.WriteString(c, "hello")
			_, err := io.ReadFull(c, make([]byte, 5))
			return err
		}
		if err := echo(); err != nil {
			t.Error(err)
		}
		if got := three.Interface().MovePrivateIP(vip.String()); got != vip {
			t.Errorf("moved %v", got)
		}
		// The group lets the segments of such a connection in untracked, and the new owner
		// answers them with RST: it knows no such connection.
		if err := echo(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the old connection: %v", err)
		}
		d, err := p.one.Dial("tcp", "172.31.32.100:22")
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
		if a, b := p.two.Interface().Addresses(), three.Interface().Addresses(); len(a) != 1 || !slices.Contains(b, vip) {
			t.Errorf("two has %v, three %v", a, b)
		}
		three.Interface().Unassign(vip)
		if _, err := p.one.Dialer().DialContext(timeout(t, time.Second), "tcp", "172.31.32.100:22"); err == nil {
			t.Error("an address that nobody has answers")
		}
		if again := p.two.Interface().AssignPrivateIP(vip.String()); again != vip {
			t.Errorf("given again: %v", again)
		}
	})
}

func TestSecondaryAddressRefusals(t *testing.T) {
	for _, row := range []struct {
		do   func(a, b *fabricfake.Interface)
		want string
	}{
		// fact: eni.secondary.taken
		{func(a, b *fabricfake.Interface) { a.AssignPrivateIP(b.PrivateIP().String()) }, "InvalidIPAddress.InUse"},
		{func(a, b *fabricfake.Interface) { a.AssignPrivateIP("10.0.1.1") }, "10.0.1.1 is reserved"},
		{func(a, b *fabricfake.Interface) { a.AssignPrivateIP("moon") }, `"moon" is no IP address`},
		{func(a, b *fabricfake.Interface) { a.MovePrivateIP("moon") }, `"moon" is no IP address`},
		// fact: eni.secondary.move
		{func(a, b *fabricfake.Interface) { a.MovePrivateIP("10.0.1.77") }, "no interface of the subnet s has 10.0.1.77"},
		{func(a, b *fabricfake.Interface) { a.MovePrivateIP(b.PrivateIP().String()) }, "is no secondary IPv4 address of b"},
		{func(a, b *fabricfake.Interface) { a.Unassign(a.PrivateIP()) }, "is no secondary address of a"},
		{func(a, b *fabricfake.Interface) {
			for range 50 {
				a.AssignPrivateIP("")
			}
		}, "PrivateIpAddressLimitExceeded: a has 50 addresses"},
	} {
		failure := fatal(t, func(w *netfake.World) {
			s := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").Subnet("s", "10.0.1.0/24", "a")
			row.do(s.Instance("a", fabricfake.InstanceConfig{}).Interface(), s.Instance("b", fabricfake.InstanceConfig{}).Interface())
		})
		if !strings.Contains(failure, row.want) {
			t.Errorf("fails with %q, want %q", failure, row.want)
		}
	}
}
