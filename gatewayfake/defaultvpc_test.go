package gatewayfake_test

import (
	"net/netip"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// An instance of the default VPC is on the internet, with nothing else to be made; its
// default group lets nobody in.
// fact: default.gateway
func TestDefaultVPC(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		site := w.Internet().HostAt(netfake.Singapore, "site", "203.0.113.80")
		vpc, igw := gatewayfake.NewDefaultVPC(fabricfake.DefaultRegion(w))
		app := vpc.DefaultSubnet("b").Instance("app", fabricfake.InstanceConfig{})
		for _, h := range []*netfake.Host{site, app.Host} {
			if _, err := h.Listen("tcp", ":80"); err != nil {
				t.Fatal(err)
			}
		}
		if r := app.Probe(site.TCP(80)); r.Outcome != netfake.Answered || !igw.Attached() {
			t.Errorf("%v", r)
		}
		in := app.TCP(80)
		in.Addr = netip.AddrPortFrom(app.Interface().PublicIP(), 80)
		if r := site.Probe(in); r.Outcome != netfake.Silence {
			t.Errorf("%v", r)
		}
		vpc.DefaultSecurityGroup().AllowIngress("tcp/80", fabricfake.Anywhere)
		if r := site.Probe(in); r.Outcome != netfake.Answered {
			t.Errorf("%v", r)
		}
	})
}
