// Package failover is a site in two regions behind a failover record of Route 53.
//
// What breaks in production: nobody knows how long failing over takes. It is not the
// health check's interval, and not the record's TTL, but both, one after the other.
//
// What the test proves: the second at which the name begins to resolve to the other
// region, and that a client whose resolver has an answer in its cache waits out the
// answer's TTL on top of that.
package failover

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/assert"
	"github.com/netspec-go/netspec/dnsfake"
	"github.com/netspec-go/netspec/netfake"
)

const (
	ttl      = 60 * time.Second
	dies     = 65 * time.Second  // when Sydney goes silent
	cached   = 150 * time.Second // when one client's resolver last asks
	detected = 154 * time.Second // probes at 90, 120 and 150 s, and 4 s to give the third up
)

func TestFailover(t *testing.T) { netfake.Run(t, testFailover) }

func testFailover(t *testing.T, w *netfake.World) {
	sydney := site(w, netfake.Sydney, "192.0.2.10")
	singapore := site(w, netfake.Singapore, "198.51.100.10")

	names := dnsfake.New(w)
	zone := names.HostedZone("seqas.online")
	names.Register("seqas.online", zone)
	check := names.HealthCheck(dnsfake.HealthCheckConfig{Endpoint: netip.AddrPortFrom(sydney.Addr(), 80)})
	for _, r := range []dnsfake.Record{
		{Values: []string{sydney.Addr().String()}, Failover: dnsfake.Primary, SetIdentifier: "sydney", HealthCheck: check},
		{Values: []string{singapore.Addr().String()}, Failover: dnsfake.Secondary, SetIdentifier: "singapore"},
	} {
		r.Name, r.TTL = "seqas.online", ttl
		zone.Record(r)
	}
	// Two customers with a resolver each, so that one's cache does not serve the other.
	patient := customer(w, names, "patient", 9)
	fresh := customer(w, names, "fresh", 10)

	at(w, dies)
	assert.Equal(t, visit(t, patient), "Sydney")
	sydney.Uplink().Link().Partition()

	// Sydney is dead and the name does not know it yet.
	at(w, cached)
	assert.Equal(t, resolve(t, patient), sydney.Addr())
	kept := w.Now() - 2*netfake.LastMile // the resolver had the answer before the customer

	// The name servers, a second before the third miss and at it.
	at(w, detected-time.Second)
	assert.Equal(t, authoritative(t, fresh, zone), sydney.Addr().String())
	at(w, detected)
	assert.Equal(t, authoritative(t, fresh, zone), singapore.Addr().String())
	assert.Equal(t, check.History()[0].At, detected)
	assert.Equal(t, resolve(t, fresh), singapore.Addr())
	assert.Equal(t, visit(t, fresh), "Singapore")

	// Who has a cached answer waits for its end, and not a second longer.
	at(w, kept+ttl-time.Second)
	assert.Equal(t, resolve(t, patient), sydney.Addr())
	at(w, kept+ttl)
	assert.Equal(t, resolve(t, patient), singapore.Addr())
	assert.Equal(t, visit(t, patient), "Singapore")
}

// site serves its city's name.
func site(w *netfake.World, place netfake.Place, addr string) *netfake.Host {
	h := w.Internet().HostAt(place, place.City, addr)
	h.ServeHTTP(":80", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, place) }))
	return h
}

func customer(w *netfake.World, names *dnsfake.System, name string, number byte) *netfake.Host {
	resolver := names.Resolver(netfake.Melbourne, "resolver of "+name, fmt.Sprintf("203.0.113.%d", number))
	h := w.Internet().HostAt(netfake.Melbourne, name, fmt.Sprintf("203.0.113.%d", 100+number))
	h.SetResolvers(resolver.Addr())
	return h
}

// at lets time pass until a point of the world's time.
func at(w *netfake.World, point time.Duration) { w.Sleep(point - w.Now()) }

// authoritative asks one of the zone's own name servers.
func authoritative(t *testing.T, h *netfake.Host, zone *dnsfake.HostedZone) string {
	t.Helper()
	reply, err := dnsfake.Dig(t.Context(), h, zone.NameServers()[0].Addr, "seqas.online", dnsfake.A)
	if err != nil || len(reply.Answer) != 1 {
		t.Fatalf("got %+v, %v", reply, err)
	}
	return reply.Answer[0].Value
}

func resolve(t *testing.T, h *netfake.Host) netip.Addr {
	t.Helper()
	addrs, err := h.LookupNetIP(t.Context(), "ip4", "seqas.online")
	if err != nil {
		t.Fatal(err)
	}
	return addrs[0]
}

func visit(t *testing.T, h *netfake.Host) string {
	t.Helper()
	resp, err := h.HTTPClient().Get("http://seqas.online/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
