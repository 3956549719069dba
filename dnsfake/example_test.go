package dnsfake_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/dnsfake"
	"github.com/netspec-go/netspec/netfake"
)

// A shop has two sites and a failover record. When the main site goes silent, its
// customers reach the other one as soon as the health check has noticed and the answer
// that their resolver keeps is over.
func TestExample(t *testing.T) { netfake.Run(t, testExample) }

func testExample(t *testing.T, w *netfake.World) {
	main := serve(w, "main", "192.0.2.10")
	spare := serve(w, "spare", "192.0.2.20")

	sys := dnsfake.New(w)
	zone := sys.HostedZone("example.com")
	sys.Register("example.com", zone)
	check := sys.HealthCheck(dnsfake.HealthCheckConfig{
		Endpoint: netip.AddrPortFrom(main.Addr(), 80),
		Interval: dnsfake.FastInterval,
	})
	zone.Record(dnsfake.Record{
		Name: "shop.example.com", TTL: time.Minute, Values: []string{main.Addr().String()},
		Failover: dnsfake.Primary, SetIdentifier: "main", HealthCheck: check,
	})
	zone.Record(dnsfake.Record{
		Name: "shop.example.com", TTL: time.Minute, Values: []string{spare.Addr().String()},
		Failover: dnsfake.Secondary, SetIdentifier: "spare",
	})

	customer := w.Internet().HostAt(netfake.Melbourne, "customer", "203.0.113.9")
	customer.SetResolvers(sys.Resolver(netfake.Melbourne, "isp", "203.0.113.53").Addr())
	want := func(site string) {
		t.Helper()
		resp, err := customer.HTTPClient().Get("http://shop.example.com/")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got := resp.Header.Get("Site"); got != site {
			t.Errorf("at %v: %s answers, want %s", w.Now(), got, site)
		}
	}
	want("main")

	main.Uplink().Link().Partition()
	w.Sleep(time.Minute - w.Now())
	// Probes at 10, 20 and 30 s, and 4 s to give up.
	if got := check.History(); len(got) != 1 || got[0] != (dnsfake.HealthChange{At: 34 * time.Second}) {
		t.Errorf("the health check changed its mind at %v, want 34s", got)
	}
	w.Sleep(5 * time.Second) // the resolver has had its answer for a minute
	want("spare")
}

// serve puts a web server in Sydney that says who it is.
func serve(w *netfake.World, name, addr string) *netfake.Host {
	h := w.Internet().HostAt(netfake.Sydney, name, addr)
	h.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Site", name)
		fmt.Fprintln(rw, "hello")
	}))
	return h
}
