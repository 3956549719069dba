package gatewayfake_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// An instance with an elastic IP in a subnet whose default route leads to a NAT gateway takes
// what comes, and answers another way: the NAT gateway knows no such connection, and says so in
// the trace. What the instance opens itself comes through.
func TestAnswersByAnotherWay(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		open := x.vpc.SecurityGroup("open").AllowIngress("tcp/9", fabricfake.Anywhere)
		odd := x.private.Instance("odd", fabricfake.InstanceConfig{Groups: fabricfake.Groups{open}})
		swallow(t, odd.Host)
		eip := gatewayfake.NewElasticIP(x.vpc)
		eip.Associate(odd.Interface())
		if got := get(t, odd.Host, "http://203.0.113.80/"); got != "hello" || x.site.LastPeer() != x.nat.PublicIP() {
			t.Errorf("the way out: %q, from %v", got, x.site.LastPeer())
		}
		const why = "the answer to a connection that did not come through the gateway; answered with RST"
		if got := x.site.Probe(eip.TCP(9)).String(); !strings.Contains(got, "nat egress           DROP   "+why) {
			t.Errorf("the trace lacks %q:\n%s", why, got)
		}
		d := netfake.Dialer{Host: x.site, Timeout: time.Second}
		var timeout net.Error
		if _, err := d.DialContext(t.Context(), "tcp", eip.String()+":9"); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("the way in: %v, want a timeout", err)
		}
		x.private.RouteTable().ReplaceRoute("0.0.0.0/0", x.igw)
		if _, err := d.DialContext(t.Context(), "tcp", eip.String()+":9"); err != nil {
			t.Errorf("with the way back where it came: %v", err)
		}
	})
}
