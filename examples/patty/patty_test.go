// Package patty is the first thing that people build in a VPC: a private instance that
// reaches the internet, and that nothing on the internet reaches.
//
// What breaks in production: a network ACL without the ephemeral ports. The request
// leaves, the server answers, and the answer dies at the border of the subnet; the
// application sees a timeout, and security groups, which are stateful, look fine.
//
// What the tests prove: the request passes the group, the ACL, the route table, the NAT
// gateway and the internet gateway, the reply comes home through each in reverse, the
// outside sees the NAT gateway's address alone; and when the ACL kills the reply, the
// failure says so.
package patty

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/dnsfake"
	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

// world is the VPC of the example and a site on the internet.
type world struct {
	site            *netfake.Host
	public, private *fabricfake.Subnet
	igw             *gatewayfake.InternetGateway
	nat             *gatewayfake.NATGateway
	group           *fabricfake.SecurityGroup
	app             *fabricfake.Instance
}

func build(w *netfake.World) *world {
	names := dnsfake.New(w)
	zone := names.HostedZone("google.com")
	names.Register("google.com", zone)
	site := w.Internet().HostAt(netfake.Sydney, "google.com", "142.250.70.206")
	zone.A("google.com", 5*time.Minute, site.Addr())
	site.ServeHTTP(":443", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		io.WriteString(rw, "hello")
	}))

	vpc := fabricfake.NewVPC(w, "prod", "10.142.0.0/16")
	names.VPCResolver(vpc)
	public := vpc.Subnet("public-a", "10.142.0.0/24", "a")
	private := vpc.Subnet("private-a", "10.142.13.0/24", "a")

	igw := gatewayfake.NewInternetGateway(vpc, "igw")
	nat := gatewayfake.NewNATGateway(public, "nat-a", gatewayfake.NewElasticIP(vpc))
	public.Route("0.0.0.0/0", igw)
	private.Route("0.0.0.0/0", nat)

	group := vpc.SecurityGroup("app").RestrictEgress().AllowEgress("tcp/443", fabricfake.Anywhere)
	app := private.Instance("app", fabricfake.InstanceConfig{PrivateIP: "10.142.13.13", Groups: fabricfake.Groups{group}})
	return &world{site, public, private, igw, nat, group, app}
}

func get(h *netfake.Host, timeout time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://google.com:443/", nil)
	if err != nil {
		return "", err
	}
	resp, err := h.HTTPClient().Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// A private instance reaches the internet through its NAT gateway, and nothing reaches
// it.
func TestPatty(t *testing.T) { netfake.Run(t, testPatty) }

func testPatty(t *testing.T, w *netfake.World) {
	x := build(w)
	body, err := get(x.app.Host, 10*time.Second)
	if err != nil || body != "hello" {
		t.Fatalf("got %q, %v", body, err)
	}
	assert.Reachable(t, x.app, x.site.TCP(443), assert.Through(x.group, x.nat, x.igw))
	assert.Equal(t, x.site.LastPeer(), x.nat.PublicIP())

	// From outside there is no way in: not to the private address, which the internet
	// does not carry, and not to the NAT gateway's, behind which nobody waits.
	assert.Unreachable(t, x.site, x.app.TCP(22), assert.BlockedBy(w.Internet()))
	nat := netfake.Endpoint{Proto: netfake.TCP, Addr: netip.AddrPortFrom(x.nat.PublicIP(), 22)}
	assert.Unreachable(t, x.site, nat, assert.BlockedBy(x.nat))
}

// The reply comes home through every stage that the request left by.
func TestReplyComesHome(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		x := build(w)
		r := x.app.Probe(x.site.TCP(443))
		internet, mapping := w.Internet(), x.private.VPC().Region().Mapping()
		out := []netfake.Component{
			x.group, x.private.NetworkACL(), x.private.RouteTable(), // the instance
			mapping, x.public.NetworkACL(), x.nat, x.public.NetworkACL(), x.public.RouteTable(), // the NAT gateway
			x.igw, internet, x.site,
		}
		home := []netfake.Component{
			internet, x.igw, mapping, x.public.NetworkACL(), x.nat, x.public.NetworkACL(), x.public.RouteTable(),
			mapping, x.private.NetworkACL(), x.group, x.app.Host,
		}
		assert.Equal(t, path(r.Forward), names(out))
		assert.Equal(t, path(r.Return), names(home))
		// Each is translated twice: private address, NAT gateway, elastic IP.
		nat := x.nat.Interface().PrivateIP()
		assert.Equal(t, sources(r.Forward), fmt.Sprintf("%v %v %v", x.app.Addr(), nat, x.nat.PublicIP()))
	})
}

func path(t *netfake.Trace) string { return names(t.Path()) }

func names(path []netfake.Component) string {
	var b strings.Builder
	for _, c := range path {
		fmt.Fprintf(&b, "%v, ", c)
	}
	return b.String()
}

// sources returns the source addresses that a packet had on its way.
func sources(t *netfake.Trace) string {
	var all []string
	for _, h := range t.Hops {
		if src := h.Flow.Src.Addr().String(); len(all) == 0 || all[len(all)-1] != src {
			all = append(all, src)
		}
	}
	return strings.Join(all, " ")
}

// The ACL lets the request out and kills the reply.
func TestForgottenEphemeralPorts(t *testing.T) { netfake.Run(t, testForgottenEphemeralPorts) }

func testForgottenEphemeralPorts(t *testing.T, w *netfake.World) {
	x := build(w)
	acl := x.private.VPC().NetworkACL("private").AllowEgress(100, "tcp/443", "0.0.0.0/0")
	x.private.UseACL(acl)
	if _, err := get(x.app.Host, 5*time.Second); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the application sees %v, want a timeout", err)
	}
	assert.Unreachable(t, x.app, x.site.TCP(443), assert.OnTheWayBack(), assert.BlockedBy(acl), assert.WithCode("SUBNET_ACL_RESTRICTION"))
	if text := x.app.Probe(x.site.TCP(443)).String(); !strings.Contains(text, "BLOCKED at acl private (ingress)") {
		t.Errorf("the explanation does not name the ACL:\n%s", text)
	}

	acl.AllowIngress(100, "tcp/1024-65535", "0.0.0.0/0")
	if body, err := get(x.app.Host, 5*time.Second); err != nil || body != "hello" {
		t.Errorf("with the ephemeral ports open: got %q, %v", body, err)
	}
}

// The same seed gives the same packets, in the same order, at the same time.
func TestRepeats(t *testing.T) {
	run := func() (trace, capture string) {
		netfake.RunConfig(t, netfake.Config{Seed: 7}, func(t *testing.T, w *netfake.World) {
			x := build(w)
			w.Internet().Between(netfake.Sydney, netfake.Ashburn).SetLoss(0.1)
			var pcap bytes.Buffer
			file, rec := w.Capture(&pcap, nil), w.Record(nil)
			if _, err := get(x.app.Host, time.Minute); err != nil {
				t.Fatal(err)
			}
			w.Sleep(time.Second)
			if err := file.Stop(); err != nil {
				t.Fatal(err)
			}
			trace, capture = rec.String(), pcap.String()
		})
		return trace, capture
	}
	trace, capture := run()
	again, captureAgain := run()
	if trace != again {
		t.Error("two runs, two traces")
	}
	if capture != captureAgain {
		t.Error("two runs, two captures")
	}
	if len(capture) < 1000 || !strings.Contains(trace, "nat-a") {
		t.Errorf("there is nothing to compare: %d bytes captured", len(capture))
	}
}
