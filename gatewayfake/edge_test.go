package gatewayfake_test

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// inspector is a middlebox that lets everything pass and counts it by direction.
type inspector struct {
	iface   *fabricfake.Interface
	in, out int
}

func (i *inspector) String() string { return "inspector" }

func (i *inspector) Step(p *netfake.Packet) netfake.Next {
	if p.Traced() {
		p.Passed(netfake.Hop{Place: "inspector", By: i, Rule: "inspected"})
	}
	if !p.Probing() {
		if p.Flow.Src.Addr().IsPrivate() {
			i.out++
		} else {
			i.in++
		}
	}
	return p.To(i.iface.Out())
}

// A route table of the internet gateway takes what comes from the internet through an
// appliance, and the table of the subnet what goes there: each way by itself.
// fact: rtb.gateway.targets, rtb.gateway.public, rtb.gateway.symmetry
func TestInspectionOfInternetTraffic(t *testing.T) { netfake.Run(t, testInspectionOfInternetTraffic) }

func testInspectionOfInternetTraffic(t *testing.T, w *netfake.World) {
	client := w.Internet().HostAt(netfake.Sydney, "client", "203.0.113.5")
	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	igw := gatewayfake.NewInternetGateway(vpc, "igw")
	subnet := vpc.Subnet("web", "10.0.1.0/24", "a").Route("0.0.0.0/0", igw)
	inspection := vpc.Subnet("inspection", "10.0.2.0/24", "b").Route("0.0.0.0/0", igw)
	groups := fabricfake.Groups{vpc.SecurityGroup("web").AllowIngress("tcp/80", fabricfake.Anywhere)}
	web := subnet.Instance("web", fabricfake.InstanceConfig{Groups: groups})
	address := gatewayfake.NewElasticIP(vpc)
	address.Associate(web.Interface())
	hello := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "hello") })
	web.ServeHTTP(":80", hello)
	fw := &inspector{}
	fw.iface = inspection.Appliance("fw", fw)
	to := netfake.Endpoint{Proto: netfake.TCP, Addr: netip.AddrPortFrom(address.Addr(), 80)}
	url := fmt.Sprintf("http://%v/", address.Addr())

	check := func(what string, in, out bool) {
		t.Helper()
		fw.in, fw.out = 0, 0
		if got := get(t, client, url); got != "hello" {
			t.Errorf("%s: got %q", what, got)
		}
		client.HTTPClient().CloseIdleConnections()
		r := client.Probe(to)
		if r.Forward.Passed(fw) != in || r.Return.Passed(fw) != out || (fw.in > 0) != in || (fw.out > 0) != out {
			t.Errorf("%s: %d packets in and %d out were inspected\n%v", what, fw.in, fw.out, r)
		}
	}
	check("without an edge table", false, false)

	edge := vpc.RouteTable("edge").Route("10.0.1.0/24", fw.iface)
	igw.Associate(edge)
	r := client.Probe(to)
	if b := r.Blocker(); b == nil || b.Code != "INGRESS_RTB_NO_PUBLIC_IP" {
		t.Errorf("to an appliance without a public address:\n%v", r)
	}
	public := gatewayfake.NewElasticIP(vpc)
	public.Associate(fw.iface)
	check("in alone", true, false)
	subnet.RouteTable().ReplaceRoute("0.0.0.0/0", fw.iface)
	check("both ways", true, true)
	igw.Disassociate()
	check("out alone", false, true)
	igw.Associate(edge)
	if igw.RouteTable() != edge {
		t.Errorf("the gateway has %v", igw.RouteTable())
	}

	// What the instance begins is inspected as well, and what the gateway's table does not
	// speak of is not: the appliance's own subnet.
	client.ServeHTTP(":80", hello)
	fw.in, fw.out = 0, 0
	if got := get(t, web.Host, "http://203.0.113.5/"); got != "hello" || fw.in == 0 || fw.out == 0 {
		t.Errorf("from the instance: %q, %d in and %d out", got, fw.in, fw.out)
	}

	// An appliance that fails takes the traffic with it: the route still wins.
	fw.iface.PhysicalHost().Fail()
	if r := client.Probe(to); r.Outcome != netfake.Silence || r.Blocker().Code != "BAD_STATE" {
		t.Errorf("with a dead appliance:\n%v", r)
	}
}
