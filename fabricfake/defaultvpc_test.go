package fabricfake

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// The default VPC, by
// https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html
// fact: dns.hostnames, default.block
func TestDefaultVPC(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		v := NewDefaultVPC(DefaultRegion(w))
		if v.CIDR() != netip.MustParsePrefix("172.31.0.0/16") || !v.IsDefault() {
			t.Errorf("%v, default %v", v.CIDR(), v.IsDefault())
		}
		for zone, block := range map[string]string{"a": "172.31.0.0/20", "b": "172.31.16.0/20", "c": "172.31.32.0/20"} {
			s := v.DefaultSubnet(zone)
			if s.CIDR().String() != block || s.Zone() != zone || s.Name() != "default-"+zone {
				t.Errorf("subnet %v of zone %s has %v", s, zone, s.CIDR())
			}
			if n := s.FreeAddresses(); n != 4091 {
				t.Errorf("subnet %v has %d addresses, want 4091", s, n)
			}
		}
		for _, zone := range []string{"a", "b", "c"} {
			f := v.DefaultSubnet(zone).Instance("app in "+zone, InstanceConfig{}).Interface()
			if !f.PublicIP().IsValid() || f.PublicDNSName() == "" {
				t.Errorf("zone %s: public address %v, host name %q", zone, f.PublicIP(), f.PublicDNSName())
			}
		}
		if NewVPC(w, "prod", "10.0.0.0/16").IsDefault() {
			t.Error("another VPC is the default one too")
		}
	})
}

// A region has one default VPC, another region one of its own.
// fact: default.once
func TestDefaultVPCAlreadyExists(t *testing.T) {
	for _, row := range []struct {
		region string
		want   string
	}{{"ap-southeast-2", "DefaultVpcAlreadyExists"}, {"us-east-1", ""}} {
		got := faketb.Fatal(t, func(tb *faketb.TB) {
			w := netfake.New(tb, netfake.Config{Instant: true})
			first := DefaultRegion(w)
			NewDefaultVPC(first)
			if row.region == first.Name() {
				NewDefaultVPC(first)
				return
			}
			NewDefaultVPC(NewRegion(w, row.region, netfake.Singapore))
		})
		if !strings.Contains(got, row.want) || (got == "") != (row.want == "") {
			t.Errorf("%s: %q, want %q", row.region, got, row.want)
		}
	}
}
