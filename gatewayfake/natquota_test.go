package gatewayfake_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// The quota of NAT gateways is a zone's, whichever VPCs they are in; raising it, and deleting
// one, makes room.
func TestNATGatewayQuota(t *testing.T) {
	netfake.Run(t, func(t *testing.T, _ *netfake.World) {
		tb := faketb.New(t)
		w := netfake.New(tb, netfake.Config{})
		vpc, other := fabricfake.NewVPC(w, "prod", "10.0.0.0/16"), fabricfake.NewVPC(w, "other", "10.0.0.0/16")
		gatewayfake.NewInternetGateway(vpc, "igw")
		gatewayfake.NewInternetGateway(other, "igw")
		gatewayfake.SetElasticIPQuota(vpc.Region(), 20)
		here, there := vpc.Subnet("a", "10.0.0.0/24", "a"), vpc.Subnet("b", "10.0.1.0/24", "b")
		theirs := other.Subnet("a", "10.0.0.0/24", "a")
		var nats []*gatewayfake.NATGateway
		in := func(s *fabricfake.Subnet) func() {
			return func() {
				nats = append(nats, gatewayfake.NewNATGateway(s, fmt.Sprint("nat-", len(nats)), gatewayfake.NewElasticIP(s.VPC())))
			}
		}
		for n := range 5 {
			s := here
			if n == 4 {
				s = theirs
			}
			if refused := tb.Try(in(s)); refused != "" {
				t.Fatal(refused)
			}
		}
		for _, row := range []struct {
			name string
			do   func()
			want string // "": accepted
		}{
			// fact: code.quota.nat
			{"one more", in(here), "NatGatewayLimitExceeded: zone a of region ap-southeast-2 has 5 NAT gateways"},
			// fact: code.quota.nat
			{"one more of the other VPC", in(theirs), "NatGatewayLimitExceeded"},
			{"one in another zone", in(there), ""},
			{"deleting one", func() { nats[0].Delete() }, ""},
			{"deleting it again", func() { nats[0].Delete() }, ""},
			{"one in its place", in(here), ""},
			{"and another in no place", in(here), "NatGatewayLimitExceeded"},
			{"a higher quota", func() { vpc.Region().SetQuotas(fabricfake.Quotas{NATGatewaysPerZone: 6}) }, ""},
			{"one more then", in(here), ""},
			{"and another", in(theirs), "has 6 NAT gateways"},
			{"a quota that cannot be", func() { vpc.Region().SetQuotas(fabricfake.Quotas{NATGatewaysPerZone: -1}) }, "NATGatewaysPerZone is -1"},
		} {
			got := tb.Try(row.do)
			if (row.want == "") != (got == "") || !strings.Contains(got, row.want) {
				t.Errorf("%s: got %q, want %q", row.name, got, row.want)
			}
		}
	})
}
