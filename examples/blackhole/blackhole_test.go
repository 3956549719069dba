// Package blackhole is a service behind a network ACL that lets nothing but TCP through,
// and a customer whose provider tunnels packets, so that only 1,400 bytes fit in one.
//
// What breaks in production: health checks are green, logins work, and reports hang for
// some customers. A router on their side says "fragmentation needed", the ACL drops the
// message, and the server sends the same 1,500 bytes again and again.
//
// What the tests prove: small answers pass whatever the ACL, large ones hang, and the ACL
// is to blame; with an entry and a rule for ICMP type 3 code 4 they arrive, the first with
// the delay that discovering the path's MTU costs.
package blackhole

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/gatewayfake"
	"github.com/netspec-go/netspec/netfake"
)

const tunnel = 1400 // bytes that the customer's provider carries

var report = bytes.Repeat([]byte("all is well\n"), 10_000)

// world is the service and its customer.
type world struct {
	acl      *fabricfake.NetworkACL
	web      *fabricfake.SecurityGroup
	server   *fabricfake.Instance
	customer *netfake.Host
	public   *gatewayfake.ElasticIP
}

func build(w *netfake.World) *world {
	vpc := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	public := vpc.Subnet("public", "10.0.0.0/24", "a")
	igw := gatewayfake.NewInternetGateway(vpc, "igw")
	public.Route("0.0.0.0/0", igw)
	acl := vpc.NetworkACL("tcp only").AllowIngress(100, "tcp", "0.0.0.0/0").AllowEgress(100, "tcp", "0.0.0.0/0")
	public.UseACL(acl)

	web := vpc.SecurityGroup("web").AllowIngress("tcp/80", fabricfake.Anywhere)
	server := public.Instance("server", fabricfake.InstanceConfig{Groups: fabricfake.Groups{web}})
	eip := gatewayfake.NewElasticIP(vpc)
	eip.Associate(server.Interface())
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "ok") })
	mux.HandleFunc("/report", func(rw http.ResponseWriter, r *http.Request) { rw.Write(report) })
	server.ServeHTTP(":80", mux)

	customer := w.Internet().HostAt(netfake.Singapore, "customer", "203.0.113.9")
	customer.Uplink().Link().SetMTU(tunnel)
	return &world{acl, web, server, customer, eip}
}

// get returns a page and how long it took.
func (x *world) get(path string) (body []byte, took time.Duration, err error) {
	client := x.customer.HTTPClient()
	client.Timeout = time.Minute
	began := x.customer.World().Now()
	resp, err := client.Get("http://" + x.public.Addr().String() + path)
	if err == nil {
		defer resp.Body.Close()
		body, err = io.ReadAll(resp.Body)
	}
	return body, x.customer.World().Now() - began, err
}

func TestBlackHole(t *testing.T) { netfake.Run(t, testBlackHole) }

func testBlackHole(t *testing.T, w *netfake.World) {
	x := build(w)
	body, _, err := x.get("/health")
	assert.Equal(t, err, nil)
	assert.Equal(t, string(body), "ok")

	// Every probe of reachability is content, and the report hangs.
	assert.Reachable(t, x.customer, x.public.TCP(80))
	_, took, err := x.get("/report")
	assert.Equal(t, errors.Is(err, context.DeadlineExceeded), true)
	assert.Equal(t, took, time.Minute)
	blamed := false
	for _, d := range w.Drops() {
		blamed = blamed || d.Hop.By == netfake.Component(x.acl) && d.Flow.Proto == netfake.ICMP
	}
	assert.Equal(t, blamed, true)
}

func TestDiscovery(t *testing.T) { netfake.Run(t, testDiscovery) }

func testDiscovery(t *testing.T, w *netfake.World) {
	x := build(w)
	x.acl.AllowIngress(110, "icmp/3/4", "0.0.0.0/0")
	// The group must let it in as well: it tracks no connection that everybody may open,
	// and knows only of tracked ones which errors are about them.
	x.web.AllowIngress("icmp/3/4", fabricfake.Anywhere)

	body, first, err := x.get("/report")
	assert.Equal(t, err, nil)
	assert.Equal(t, bytes.Equal(body, report), true)
	assert.Equal(t, x.server.PathMTU(x.customer.Addr()), tunnel)

	// The server remembers it, and the next report comes the sooner.
	_, second, err := x.get("/report")
	assert.Equal(t, err, nil)
	if second >= first {
		t.Errorf("the first report took %v, the second %v", first, second)
	}
}
