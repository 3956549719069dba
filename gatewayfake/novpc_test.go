package gatewayfake_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// Without a VPC there is no test to fail, nor is there with a nil receiver: what would make or
// change something panics, and says whose fault it is.
func TestNoVPC(t *testing.T) {
	var eip *gatewayfake.ElasticIP
	var igw *gatewayfake.InternetGateway
	var nat *gatewayfake.NATGateway
	var pcx *gatewayfake.Peering
	const noEIP, noIGW, noNAT = "gatewayfake: a method of a nil *ElasticIP", "gatewayfake: a method of a nil *InternetGateway", "gatewayfake: a method of a nil *NATGateway"
	const noPeering = "gatewayfake: a method of a nil *Peering"
	for _, row := range []struct {
		want  string
		build func()
	}{
		{"gatewayfake: NewInternetGateway of no VPC", func() { gatewayfake.NewInternetGateway(nil, "igw") }},
		{"gatewayfake: NewElasticIP of no VPC", func() { gatewayfake.NewElasticIP(nil) }},
		{"gatewayfake: NewNATGateway of no subnet", func() { gatewayfake.NewNATGateway(nil, "nat", nil) }},
		{"gatewayfake: NewPeering of no VPC", func() { gatewayfake.NewPeering(nil, nil, "pcx") }},
		{"gatewayfake: NewDefaultVPC of no region", func() { gatewayfake.NewDefaultVPC(nil) }},
		{"gatewayfake: SetElasticIPQuota of no region", func() { gatewayfake.SetElasticIPQuota(nil, 5) }},
		{"fabricfake: NewEdge of no VPC", func() { fabricfake.NewEdge(nil, "edge", nil) }},
		{noEIP, func() { eip.Associate(nil) }},
		{noEIP, func() { eip.AssociateTo(nil, netip.Addr{}) }},
		{noEIP, eip.Disassociate},
		{noEIP, eip.Release},
		{noIGW, func() { igw.Associate(nil) }},
		{noIGW, igw.Disassociate},
		{noIGW, igw.Detach},
		{noNAT, nat.Delete},
		{noPeering, func() { pcx.Accept() }},
		{noPeering, pcx.Reject},
		{noPeering, pcx.Delete},
		{noPeering, func() { pcx.Status() }},
	} {
		func() {
			defer func() {
				if got := recover(); got != row.want {
					t.Errorf("got %v, want %s", got, row.want)
				}
			}()
			row.build()
		}()
	}
}

// What is nil, where there is a test, fails it.
func TestNilArguments(t *testing.T) {
	for _, row := range []struct {
		do   func(x *world)
		want string
	}{
		{func(x *world) { x.eip.Associate(nil) }, "InvalidNetworkInterfaceID.NotFound"},
		{func(x *world) { x.eip.AssociateTo(nil, netip.Addr{}) }, "InvalidNetworkInterfaceID.NotFound"},
		{func(x *world) { x.igw.Associate(nil) }, "InvalidParameterValue"},
		{func(x *world) { gatewayfake.NewNATGateway(x.public, "n", nil) }, "InvalidAllocationID.NotFound"},
		{func(x *world) { gatewayfake.NewNATGateway(nil, "n", x.eip) }, "InvalidSubnetID.NotFound"},
		{func(x *world) { x.private.Route("203.0.113.0/24", (*gatewayfake.NATGateway)(nil)) }, "InvalidParameterValue"},
		{func(x *world) { x.private.Route("203.0.113.0/24", (*gatewayfake.Peering)(nil)) }, "InvalidParameterValue"},
		{func(x *world) { x.private.Route("203.0.113.0/24", (*gatewayfake.InternetGateway)(nil)) }, "InvalidParameterValue"},
	} {
		failure := faketb.Fatal(t, func(tb *faketb.TB) { row.do(build(netfake.New(tb, netfake.Config{Instant: true}))) })
		if !strings.Contains(failure, row.want) {
			t.Errorf("fails with %q, want %q", failure, row.want)
		}
	}
}
