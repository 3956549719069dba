package certfake_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/netspec-go/netspec/certfake"
	"github.com/netspec-go/netspec/dnsfake"
	"github.com/netspec-go/netspec/netfake"
)

// A site gets its certificate as it would from ACM, and a customer's unchanged HTTP
// client trusts it.
func TestExample(t *testing.T) { netfake.Run(t, testExample) }

func testExample(t *testing.T, w *netfake.World) {
	sys := dnsfake.New(w)
	zone := sys.HostedZone("example.com")
	sys.Register("example.com", zone)

	cert := certfake.New(w, sys).Request("example.com", "*.example.com")
	for _, r := range cert.ValidationRecords() { // one: the wildcard shares it
		zone.CNAME(r.Name, 5*time.Minute, r.Value)
	}
	if err := cert.Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	chain, err := cert.TLS()
	if err != nil {
		t.Fatal(err)
	}

	web := w.Internet().HostAt(netfake.Sydney, "web", "192.0.2.1")
	web.ServeTLS(":443", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(rw, "hello")
	}), chain)
	zone.A("shop.example.com", time.Minute, web.Addr())

	customer := w.Internet().HostAt(netfake.Melbourne, "customer", "203.0.113.9")
	customer.SetResolvers(sys.Resolver(netfake.Melbourne, "isp", "203.0.113.53").Addr())
	resp, err := customer.HTTPClient().Get("https://shop.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.TLS.PeerCertificates[0].Subject.CommonName; got != "example.com" {
		t.Errorf("the certificate is for %s", got)
	}
}
