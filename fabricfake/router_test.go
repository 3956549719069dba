package fabricfake

import (
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// narrow is a target that leads back into the VPC through something narrow.
type narrow struct{}

func (narrow) String() string   { return "narrow" }
func (narrow) Attached() bool   { return true }
func (narrow) NextHop() NextHop { return NextHop{MTU: 1400} }

// The VPC's router tells a sender of either family what its route takes. Security groups
// let that in if they track what it is about, network ACLs if they let ICMP in.
// fact: mtu.ipv6, acl.pmtud.ipv6
func TestRouterTellsOfMTU(t *testing.T) {
	for _, row := range []struct {
		rule string
		to   string
		icmp string // what the ACL lets in beside UDP
		want int
	}{
		{"IPv4", "192.0.2.9", "icmp", 1400},
		{"IPv6", "2001:db8:9::9", "icmpv6", 1400},
		{"IPv4 under an ACL without ICMP", "192.0.2.9", "udp/1", MTU},
		{"IPv6 under an ACL without ICMPv6", "2001:db8:9::9", "udp/1", MTU},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			v := NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("")
			acl := v.NetworkACL("narrow").AllowEgress(1, "all", "0.0.0.0/0").AllowEgress(2, "all", "::/0")
			acl.AllowIngress(1, "udp/53", "0.0.0.0/0").AllowIngress(2, "udp/53", "::/0")
			from := "0.0.0.0/0"
			if row.icmp == "icmpv6" {
				from = "::/0"
			}
			acl.AllowIngress(3, row.icmp, from)
			s := v.Subnet("app", "10.0.1.0/24", "a").AddIPv6("").UseACL(acl)
			s.Route("0.0.0.0/0", narrow{}).Route("::/0", narrow{})
			g := v.SecurityGroup("udp").RestrictEgress().AllowEgress("udp/9", CIDR("192.0.2.0/24")).AllowEgress("udp/9", CIDR("2001:db8:9::/48"))
			i := s.Instance("app", InstanceConfig{Groups: Groups{g}, IPv6AddressCount: 1})
			to := netip.AddrPortFrom(netip.MustParseAddr(row.to), 9)
			c, err := i.Dial("udp", to.String())
			if err != nil {
				t.Fatal(err)
			}
			head := 28
			if to.Addr().Is6() {
				head = 48
			}
			c.Write(make([]byte, 1400-head))
			w.Sleep(time.Second)
			if got := i.PathMTU(to.Addr()); got != MTU {
				t.Errorf("%s: the path's MTU is %d after 1400 bytes", row.rule, got)
			}
			c.Write(make([]byte, 1400-head+1))
			w.Sleep(time.Second)
			if got := i.PathMTU(to.Addr()); got != row.want {
				t.Errorf("%s: the path's MTU is %d, want %d", row.rule, got, row.want)
			}
		})
	}
}
