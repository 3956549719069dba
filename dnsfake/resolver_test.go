package dnsfake

import (
	"bytes"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/netspec-go/netspec/netfake"
)

// shop builds a zone example.com with www, and a client with a resolver.
func shop(w *netfake.World, sys *System) (zone *HostedZone, client *netfake.Host, r *Resolver) {
	zone = sys.HostedZone("example.com")
	sys.Register("example.com", zone)
	zone.A("www.example.com", 60*time.Second, addr("192.0.2.1"))
	client = w.Internet().HostAt(netfake.Sydney, "client", "203.0.113.9")
	r = sys.Resolver(netfake.Sydney, "resolver", "203.0.113.53")
	client.SetResolvers(r.Addr())
	return zone, client, r
}

func wantUpstream(t *testing.T, r *Resolver, want int, why string) {
	t.Helper()
	if got := r.Stats().Upstream; got != want {
		t.Errorf("the resolver asked %d questions, want %d: %s", got, want, why)
	}
}

func TestResolverIterates(t *testing.T) { instant(t, testResolverIterates) }

// A name is found from the root: root, registry, zone. What is known is not asked again.
func testResolverIterates(t *testing.T, w *netfake.World, sys *System) {
	_, client, r := shop(w, sys)
	addrs, err := client.LookupNetIP(t.Context(), "ip4", "www.example.com")
	if err != nil || len(addrs) != 1 || addrs[0] != addr("192.0.2.1") {
		t.Fatalf("LookupNetIP = %v, %v", addrs, err)
	}
	wantUpstream(t, r, 3, "root, com, example.com")
	wantReply(t, dig(t, client, r.Addr(), "nothing.example.com", A), "NXDOMAIN")
	wantUpstream(t, r, 4, "example.com's servers are known")
	wantAt(t, w, 0)
}

func TestResolverCaches(t *testing.T) { instant(t, testResolverCaches) }

// An answer is kept until its TTL is over, and given out with what is left of it. A
// change in the zone shows then and not before.
func testResolverCaches(t *testing.T, w *netfake.World, sys *System) {
	zone, client, r := shop(w, sys)
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", A), "NOERROR", "www.example.com. 60 IN A 192.0.2.1")
	zone.Replace(Record{Name: "www.example.com", TTL: 60 * time.Second, Values: []string{"192.0.2.2"}})
	w.Sleep(59500 * time.Millisecond)
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", A), "NOERROR", "www.example.com. 0 IN A 192.0.2.1")
	w.Sleep(500 * time.Millisecond)
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", A), "NOERROR", "www.example.com. 60 IN A 192.0.2.2")
	if got, want := r.Stats(), (ResolverStats{Queries: 3, Hits: 1, Upstream: 4}); got != want {
		t.Errorf("stats are %+v, want %+v", got, want)
	}
	zone.Replace(Record{Name: "www.example.com", TTL: 60 * time.Second, Values: []string{"192.0.2.3"}})
	r.Flush()
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", A), "NOERROR", "www.example.com. 60 IN A 192.0.2.3")
	wantUpstream(t, r, 7, "all was forgotten")
}

func TestResolverNegativeCache(t *testing.T) { instant(t, testResolverNegativeCache) }

// That a name is not there is remembered for NegativeTTL: created too late, it stays
// invisible until then. NXDOMAIN covers every type of the name, NODATA one.
func testResolverNegativeCache(t *testing.T, w *netfake.World, sys *System) {
	zone, client, r := shop(w, sys)
	first := dig(t, client, r.Addr(), "new.example.com", A)
	wantReply(t, first, "NXDOMAIN")
	if len(first.Authority) != 1 || first.Authority[0].Type != SOA || first.Authority[0].TTL != NegativeTTL {
		t.Errorf("the authority section is\n%s", lines(first.Authority))
	}
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", TXT), "NOERROR")
	zone.A("new.example.com", time.Minute, addr("192.0.2.8"))
	zone.TXT("www.example.com", time.Minute, "hello")
	before := r.Stats().Upstream

	w.Sleep(NegativeTTL - time.Second)
	wantReply(t, dig(t, client, r.Addr(), "new.example.com", A), "NXDOMAIN")
	wantReply(t, dig(t, client, r.Addr(), "new.example.com", TXT), "NXDOMAIN")
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", TXT), "NOERROR")
	wantUpstream(t, r, before, "all of it is remembered")
	w.Sleep(time.Second)
	wantReply(t, dig(t, client, r.Addr(), "new.example.com", A), "NOERROR", "new.example.com. 60 IN A 192.0.2.8")
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", TXT), "NOERROR", `www.example.com. 60 IN TXT "hello"`)
}

func TestResolverFollowsCNAME(t *testing.T) { instant(t, testResolverFollowsCNAME) }

// A CNAME is followed into another zone, and each part expires for itself.
func testResolverFollowsCNAME(t *testing.T, w *netfake.World, sys *System) {
	zone, client, r := shop(w, sys)
	other := sys.HostedZone("example.org")
	sys.Register("example.org", other)
	other.A("site.example.org", 20*time.Second, addr("192.0.2.5"))
	zone.CNAME("far.example.com", 60*time.Second, "site.example.org")
	zone.CNAME("gone.example.com", 60*time.Second, "gone.example.org")
	wantReply(t, dig(t, client, r.Addr(), "far.example.com", A), "NOERROR",
		"far.example.com. 60 IN CNAME site.example.org.", "site.example.org. 20 IN A 192.0.2.5")
	w.Sleep(30 * time.Second)
	before := r.Stats().Upstream
	wantReply(t, dig(t, client, r.Addr(), "far.example.com", A), "NOERROR",
		"far.example.com. 30 IN CNAME site.example.org.", "site.example.org. 20 IN A 192.0.2.5")
	wantUpstream(t, r, before+1, "only the target's address was over")
	wantReply(t, dig(t, client, r.Addr(), "far.example.com", CNAME), "NOERROR", "far.example.com. 30 IN CNAME site.example.org.")
	// The rcode is the last name's (RFC 6604).
	wantReply(t, dig(t, client, r.Addr(), "gone.example.com", A), "NXDOMAIN", "gone.example.com. 60 IN CNAME gone.example.org.")

	zone.CNAME("a.example.com", time.Minute, "b.example.com")
	zone.CNAME("b.example.com", time.Minute, "a.example.com")
	wantReply(t, dig(t, client, r.Addr(), "a.example.com", A), "SERVFAIL")
}

func TestResolverUsesTCP(t *testing.T) { instant(t, testResolverUsesTCP) }

// An answer that does not fit a packet comes by TCP, on both stretches.
func testResolverUsesTCP(t *testing.T, w *netfake.World, sys *System) {
	zone, client, r := shop(w, sys)
	var addrs []netip.Addr
	for i := range 200 {
		addrs = append(addrs, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
	}
	zone.A("many.example.com", time.Minute, addrs...)
	if got := len(dig(t, client, r.Addr(), "many.example.com", A).Answer); got != 200 {
		t.Errorf("dig has %d addresses, want 200", got)
	}
	if got := r.Stats().OverTCP; got != 1 {
		t.Errorf("the resolver used TCP %d times, want 1", got)
	}
	if got, err := client.LookupNetIP(t.Context(), "ip4", "many.example.com"); len(got) != 200 {
		t.Errorf("the stub resolver has %d addresses, %v", len(got), err)
	}
}

func TestResolverSharesSearch(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		_, client, r := shop(w, New(w))
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				from := client
				if i > 0 {
					from = w.Internet().Host(fmt.Sprintf("client%d", i), fmt.Sprintf("203.0.113.%d", 100+i))
				}
				wantReply(t, dig(t, from, r.Addr(), "www.example.com", A), "NOERROR", "www.example.com. 60 IN A 192.0.2.1")
			})
		}
		all.Wait()
		if got, want := r.Stats(), (ResolverStats{Queries: 10, Shared: 9, Upstream: 3}); got != want {
			t.Errorf("stats are %+v, want %+v", got, want)
		}
	})
}

// What name servers are asked, with numbers, ports, times and order, is the same
// whenever the seed is, however many clients ask at once.
func TestResolverRepeats(t *testing.T) {
	first := capturedAtServers(t, 7)
	for range 5 {
		if diff := cmp.Diff(first, capturedAtServers(t, 7)); diff != "" {
			t.Fatalf("two runs with one seed differ:\n%s", diff)
		}
	}
	if cmp.Equal(first, capturedAtServers(t, 8)) {
		t.Error("another seed gives the same packets")
	}
	if len(first["a.root-servers.net internet"]) < 1000 {
		t.Errorf("the root has hardly been asked: %d bytes", len(first["a.root-servers.net internet"]))
	}
}

// capturedAtServers returns what passes the uplink of each name server while several
// names are looked up at one moment, as pcapng files.
func capturedAtServers(t *testing.T, seed uint64) map[string][]byte {
	files := map[string]*bytes.Buffer{}
	netfakeRun(t, netfake.Config{Seed: seed}, func(t *testing.T, w *netfake.World) {
		sys := New(w)
		zone, client, r := shop(w, sys)
		zone.A("app.example.com", time.Minute, addr("192.0.2.1"), addr("192.0.2.2"), addr("192.0.2.3"))
		taps := []string{"a.root-servers.net internet", "a.gtld-servers.net internet"}
		for i := range 4 {
			taps = append(taps, serverHost(sys, zone, i).Name()+" internet")
		}
		for i, tap := range taps {
			key := fmt.Sprint(i)
			if i < 2 {
				key = tap
			}
			files[key] = new(bytes.Buffer)
			w.Capture(files[key], func(name string) bool { return name == tap })
		}
		var all sync.WaitGroup
		for _, name := range []string{"www.example.com", "app.example.com", "none.example.com", "none.example.net"} {
			all.Go(func() { Dig(t.Context(), client, r.Addr(), name, A) })
		}
		all.Wait()
	})
	out := map[string][]byte{}
	for key, file := range files {
		out[key] = file.Bytes()
	}
	return out
}

// netfakeRun opens a bubble without a subtest's name, so that runs can be compared.
func netfakeRun(t *testing.T, cfg netfake.Config, f func(t *testing.T, w *netfake.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, netfake.New(t, cfg)) })
}
