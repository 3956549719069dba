package dnsfake

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// A VPC's resolver answers instances of any of its blocks at all of its addresses, from
// the one that was asked, over either family.
func TestVPCResolver(t *testing.T) { instant(t, testVPCResolver) }

func testVPCResolver(t *testing.T, w *netfake.World, sys *System) {
	zone := sys.HostedZone("example.com")
	sys.Register("example.com", zone)
	zone.A("www.example.com", 0, addr("203.0.113.10"))
	v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	sys.VPCResolver(v)
	v.AddCIDR("100.64.0.0/16").AddIPv6("")
	for _, block := range []string{"10.0.1.0/24", "100.64.1.0/24"} {
		i := v.Subnet(block, block, "a").AddIPv6("").Instance("in "+block, fabricfake.InstanceConfig{IPv6AddressCount: 1})
		for _, at := range []string{"10.0.0.2", "169.254.169.253", "fd00:ec2::253"} {
			wantReply(t, dig(t, i.Host, addr(at), "www.example.com", A), "NOERROR", "www.example.com. 0 IN A 203.0.113.10")
		}
		if got, err := i.LookupHost(t.Context(), "www.example.com"); err != nil || !slices.Equal(got, []string{"203.0.113.10"}) {
			t.Errorf("in %s: %v, %v", block, got, err)
		}
	}
}

// A VPC's resolver knows the host names of its instances, and no other VPC's; it is no
// secret, but nobody else answers for them.
// fact: dns.names.public
func TestVPCHostnames(t *testing.T) { instant(t, testVPCHostnames) }

func testVPCHostnames(t *testing.T, w *netfake.World, sys *System) {
	v, other := fabricfake.NewVPC(w, "prod", "10.0.0.0/16"), fabricfake.NewVPC(w, "test", "10.1.0.0/16")
	sys.VPCResolver(v)
	sys.VPCResolver(other)
	i := v.Subnet("app", "10.0.1.0/24", "a").Instance("app", fabricfake.InstanceConfig{PrivateIP: "10.0.1.5"})
	stranger := other.Subnet("app", "10.1.1.0/24", "a").Instance("stranger", fabricfake.InstanceConfig{})
	i.Interface().SetPublicIP(netip.MustParseAddr("203.0.113.25"))
	const (
		private = "ip-10-0-1-5.ap-southeast-2.compute.internal"
		public  = "ec2-203-0-113-25.ap-southeast-2.compute.amazonaws.com"
	)
	for _, row := range []struct {
		rule   string
		change func()
		from   *fabricfake.Instance
		name   string
		want   []string
	}{
		{"the private name", nil, i, private, []string{"10.0.1.5"}},
		{"its first label, which the domain of the DHCP options completes", nil, i, "ip-10-0-1-5", []string{"10.0.1.5"}},
		{"of nobody", nil, i, "ip-10-0-1-6.ap-southeast-2.compute.internal", nil},
		{"of another region", nil, i, "ip-10-0-1-5.ec2.internal", nil},
		{"in another VPC", nil, stranger, private, nil},
		{"a public name without enableDnsHostnames", nil, i, public, nil},
		{"a public name, which has the private address inside", func() { v.EnableDNSHostnames() }, i, public, []string{"10.0.1.5"}},
		{"the private name all the same", func() { v.DisableDNSHostnames() }, i, private, []string{"10.0.1.5"}},
		{"nothing without enableDnsSupport", func() { v.DisableDNSSupport() }, i, private, nil},
		{"until it is back", func() { v.EnableDNSSupport() }, i, private, []string{"10.0.1.5"}},
	} {
		if row.change != nil {
			row.change()
		}
		if got, err := row.from.LookupHost(t.Context(), row.name); !slices.Equal(got, row.want) || (err == nil) != (row.want != nil) {
			t.Errorf("%s: %v, %v; want %v", row.rule, got, err, row.want)
		}
	}
	if r := dig(t, i.Host, addr("10.0.0.2"), private, AAAA); r.String() != "NOERROR" {
		t.Errorf("AAAA: %v", r)
	}
}
