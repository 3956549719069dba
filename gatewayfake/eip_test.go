package gatewayfake_test

import (
	"strings"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// The quota of elastic IPs is a region's; raising it, and releasing one, makes room.
func TestElasticIPQuota(t *testing.T) {
	netfake.Run(t, func(t *testing.T, _ *netfake.World) {
		tb := faketb.New(t)
		w := netfake.New(tb, netfake.Config{})
		vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
		gatewayfake.NewInternetGateway(vpc, "igw")
		app := vpc.Subnet("public", "10.0.0.0/24", "a").Instance("app", fabricfake.InstanceConfig{})
		var held []*gatewayfake.ElasticIP
		allocate := func() { held = append(held, gatewayfake.NewElasticIP(vpc)) }
		for range gatewayfake.ElasticIPQuota {
			if refused := tb.Try(allocate); refused != "" {
				t.Fatal(refused)
			}
		}
		for _, row := range []struct {
			name string
			do   func()
			want string // "": accepted
		}{
			// fact: code.quota.eip
			{"one more", allocate, "AddressLimitExceeded"},
			{"a quota that cannot be", func() { gatewayfake.SetElasticIPQuota(vpc.Region(), -1) }, "InvalidParameterValue"},
			{"a quota beyond all", func() { gatewayfake.SetElasticIPQuota(vpc.Region(), 4097) }, "InvalidParameterValue"},
			{"a higher quota", func() { gatewayfake.SetElasticIPQuota(vpc.Region(), 6) }, ""},
			{"one more then", allocate, ""},
			{"and another", allocate, "AddressLimitExceeded"},
			{"using one", func() { held[0].Associate(app.Interface()) }, ""},
			{"releasing what is in use", func() { held[0].Release() }, "InvalidIPAddress.InUse"},
			{"taking it back", func() { held[0].Disassociate() }, ""},
			{"releasing it", func() { held[0].Release() }, ""},
			{"releasing it again", func() { held[0].Release() }, "InvalidAllocationID.NotFound"},
			{"using what was released", func() { held[0].Associate(app.Interface()) }, "InvalidAllocationID.NotFound"},
			{"one in its place", allocate, ""},
			{"and another in no place", allocate, "AddressLimitExceeded"},
		} {
			got := tb.Try(row.do)
			if (row.want == "") != (got == "") || !strings.Contains(got, row.want) {
				t.Errorf("%s: got %q, want %q", row.name, got, row.want)
			}
		}
		if last := held[len(held)-1]; last.Addr() == held[0].Addr() {
			t.Errorf("%v is given out again", last)
		}
	})
}
