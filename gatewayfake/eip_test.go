package gatewayfake_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

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
			{"taking that back", func() { held[0].Disassociate() }, "InvalidAllocationID.NotFound"},
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

// An elastic IP is the region's: it moves from an interface of one VPC to one of another, and
// stays when the first is deleted. What is for it goes to who has it at the time.
// fact: eip.region
func TestElasticIPMovesToAnotherVPC(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		client := w.Internet().HostAt(netfake.Sydney, "client", "203.0.113.80")
		var igws [2]*gatewayfake.InternetGateway
		var apps [2]*fabricfake.Instance
		for n, name := range []string{"blue", "green"} {
			vpc := fabricfake.NewVPC(w, name, "10.0.0.0/16")
			subnet := vpc.Subnet("public", "10.0.0.0/24", "a")
			igws[n] = gatewayfake.NewInternetGateway(vpc, "igw")
			subnet.Route("0.0.0.0/0", igws[n])
			open := vpc.SecurityGroup("open").AllowIngress("tcp/80", fabricfake.Anywhere)
			apps[n] = subnet.Instance(name, fabricfake.InstanceConfig{Groups: fabricfake.Groups{open}})
			apps[n].ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, name) }))
		}
		eip := gatewayfake.NewElasticIP(apps[0].Interface().VPC())
		for _, n := range []int{0, 1, 0, 1} {
			eip.Associate(apps[n].Interface())
			if got := get(t, client, "http://"+eip.String()+"/"); got != apps[n].Name() {
				t.Errorf("%s answers, and %s has the address", got, apps[n].Name())
			}
			if f, _ := eip.Interface(); f != apps[n].Interface() {
				t.Errorf("it belongs to %v, want %v", f, apps[n])
			}
			eip.Disassociate()
		}
		igws[0].Detach()
		eip.Associate(apps[1].Interface())
		if got := get(t, client, "http://"+eip.String()+"/"); got != "green" {
			t.Errorf("when the first VPC has no gateway any more %q answers", got)
		}
		if alarms := w.Alarms(); len(alarms) > 0 {
			t.Errorf("alarms: %v", alarms)
		}
	})
}

// An address of another region is none that could be given.
func TestElasticIPOfAnotherRegion(t *testing.T) {
	text := faketb.Fatal(t, func(tb *faketb.TB) {
		w := netfake.New(tb, netfake.Config{Instant: true})
		here, there := fabricfake.NewVPC(w, "here", "10.0.0.0/16"), fabricfake.NewRegion(w, "eu-central-1", netfake.Frankfurt).VPC("there", "10.0.0.0/16")
		gatewayfake.NewInternetGateway(here, "igw")
		i := here.Subnet("s", "10.0.0.0/24", "a").Instance("i", fabricfake.InstanceConfig{})
		gatewayfake.NewElasticIP(there).Associate(i.Interface())
	})
	if want := "InvalidAllocationID.NotFound: 198.18.0.10 is an address of region eu-central-1, i is in ap-southeast-2"; !strings.Contains(text, want) {
		t.Errorf("%q, want %q", text, want)
	}
}

// Until the gateway of the VPC that an address has moved to is told of it, what is for the
// address is lost there, and the trace says why: it does not go to who had it.
func TestElasticIPMovesBeforeItIsKnown(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		client := w.Internet().HostAt(netfake.Sydney, "client", "203.0.113.80")
		var apps [2]*fabricfake.Instance
		for n, name := range []string{"blue", "green"} {
			vpc := fabricfake.NewVPC(w, name, "10.0.0.0/16")
			subnet := vpc.Subnet("s", "10.0.0.0/24", "a").Route("0.0.0.0/0", gatewayfake.NewInternetGateway(vpc, "igw"))
			open := vpc.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)
			apps[n] = subnet.Instance(name, fabricfake.InstanceConfig{Groups: fabricfake.Groups{open}})
			swallow(t, apps[n].Host)
		}
		blue := apps[0].Interface()
		eip := gatewayfake.NewElasticIP(blue.VPC())
		eip.Associate(blue)
		blue.VPC().Region().Mapping().SetDelay(time.Second)
		eip.Disassociate()
		eip.Associate(apps[1].Interface())
		way := client.Probe(eip.TCP(9))
		wantCode(t, "before", way, "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS")
		if want := "igw edge has yet to be told where " + eip.String() + " is now"; !strings.Contains(way.String(), want) {
			t.Errorf("want %q in\n%s", want, way)
		}
		w.Sleep(time.Second)
		wantCode(t, "when it is known", client.Probe(eip.TCP(9)), "")
		wantCode(t, "from who had it", apps[0].Probe(client.TCP(9)), "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS")
	})
}
