package gatewayfake_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// What flow logs show of a connection through a NAT gateway: at the gateway's interface
// the flow has the gateway's own private address on its side, and pkt- the packet's.
// Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-records-examples.html
// fact: log.nat.eni, log.nat.client, log.instance, log.path.igw, log.local.public
func TestFlowLogNAT(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		format := "${srcaddr} ${dstaddr} ${pkt-srcaddr} ${pkt-dstaddr} ${flow-direction} ${traffic-path} ${instance-id}"
		cfg := fabricfake.FlowLogConfig{Format: format, Window: fabricfake.NitroFlowWindow}
		client, nat := x.private.FlowLog("client", cfg), x.public.FlowLog("nat", cfg)
		if _, err := x.app.Ping(t.Context(), x.site.Addr()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Minute)

		app, gateway, site := x.app.Addr().String(), x.nat.Interface().PrivateIP().String(), x.site.Addr().String()
		want := []string{
			app + " " + site + " " + app + " " + site + " egress 1 " + x.app.ID(),
			site + " " + app + " " + site + " " + app + " ingress - " + x.app.ID(),
		}
		if diff := cmp.Diff(want, client.Lines()); diff != "" {
			t.Errorf("at the client (-want +got):\n%s", diff)
		}
		want = []string{
			app + " " + gateway + " " + app + " " + site + " ingress - -",
			gateway + " " + site + " " + gateway + " " + site + " egress 2 -",
			site + " " + gateway + " " + site + " " + gateway + " ingress - -",
			gateway + " " + app + " " + site + " " + app + " egress 1 -",
		}
		got := nat.Lines()
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("at the NAT gateway (-want +got):\n%s", diff)
		}
	})
}

// An instance on Nitro reaches the internet by path 8.
// fact: log.path.igw
func TestFlowLogInternetGateway(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		host := x.public.Instance("host", fabricfake.InstanceConfig{})
		gatewayfake.NewElasticIP(x.vpc).Associate(host.Interface())
		log := host.Interface().FlowLog("log", fabricfake.FlowLogConfig{Format: "${traffic-path}"})
		if _, err := host.Ping(t.Context(), x.site.Addr()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Minute)
		if got := log.Lines(); !slices.Equal(got, []string{"8", "-"}) {
			t.Errorf("paths %v", got)
		}
	})
}
