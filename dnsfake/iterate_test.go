package dnsfake

import (
	"fmt"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// serverHost returns the host of a hosted zone's i-th name server.
func serverHost(sys *System, z *HostedZone, i int) *netfake.Host {
	sys.mu.Lock()
	defer sys.mu.Unlock()
	return sys.servers[z.servers[i].Name].host
}

func TestMissingDelegation(t *testing.T) { instant(t, testMissingDelegation) }

// A zone that its registry does not know is not found, though its servers answer; its
// absence is remembered for NegativeTTL.
func testMissingDelegation(t *testing.T, w *netfake.World, sys *System) {
	zone, client, r := shop(w, sys)
	sys.Deregister("example.com")
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", A), "NXDOMAIN")
	direct := dig(t, client, zone.NameServers()[0].Addr, "www.example.com", A)
	wantReply(t, direct, "NOERROR", "www.example.com. 60 IN A 192.0.2.1")
	if !direct.Authoritative {
		t.Error("the zone's own server does not speak with authority")
	}
	sys.Register("example.com", zone)
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", A), "NXDOMAIN")
	w.Sleep(NegativeTTL)
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", A), "NOERROR", "www.example.com. 60 IN A 192.0.2.1")
}

func TestWrongZoneDelegated(t *testing.T) { instant(t, testWrongZoneDelegated) }

// Of two zones with one name the delegated one counts, and a change of delegation
// reaches those who know the old one only after NameServerTTL.
func testWrongZoneDelegated(t *testing.T, w *netfake.World, sys *System) {
	_, client, r := shop(w, sys)
	second := sys.HostedZone("example.com")
	second.A("www.example.com", time.Minute, addr("192.0.2.2"))
	old := "www.example.com. 60 IN A 192.0.2.1"
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", A), "NOERROR", old)
	sys.Register("example.com", second)
	w.Sleep(NameServerTTL - time.Second)
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", A), "NOERROR", old)
	w.Sleep(61 * time.Second)
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", A), "NOERROR", "www.example.com. 60 IN A 192.0.2.2")
}

func TestLameDelegation(t *testing.T) { instant(t, testLameDelegation) }

// Servers that are delegated to but have no such zone refuse, and the resolver asks the
// next at once. If all are like that, it says SERVFAIL at once too.
func testLameDelegation(t *testing.T, w *netfake.World, sys *System) {
	zone, client, r := shop(w, sys)
	lame := sys.HostedZone("example.net").NameServers()
	wantReply(t, dig(t, client, lame[0].Addr, "www.example.com", A), "REFUSED")
	sys.Delegate("example.com", lame...)
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", A), "SERVFAIL")
	sys.Delegate("example.com", append(lame[:3], zone.NameServers()[0])...)
	r.Flush()
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", A), "NOERROR", "www.example.com. 60 IN A 192.0.2.1")
	wantAt(t, w, 0)
}

func TestDelegatedToNobody(t *testing.T) { instant(t, testDelegatedToNobody) }

// A machine that is no name server refuses the port: the resolver hears of it at once.
// An address that nobody has is silence, and costs ExchangeTimeout.
func testDelegatedToNobody(t *testing.T, w *netfake.World, sys *System) {
	zone, client, r := shop(w, sys)
	w.Internet().Host("web", "192.0.2.200")
	sys.Delegate("example.com", NameServer{"ns1.example.com", addr("192.0.2.200")})
	wantReply(t, dig(t, client, r.Addr(), "www.example.com", A), "SERVFAIL")
	wantAt(t, w, 0)

	good := zone.NameServers()[1]
	sys.Delegate("example.com", NameServer{"ns1.example.com", addr("192.0.2.201")}, NameServer{Name: good.Name})
	r.Flush()
	start := w.Now()
	// The one with glue is asked first.
	got := digSlowly(t, client, r, "www.example.com")
	wantReply(t, got, "NOERROR", "www.example.com. 60 IN A 192.0.2.1")
	wantAt(t, w, start+ExchangeTimeout)
	// For a minute the silent one is asked last.
	wantReply(t, digSlowly(t, client, r, "none.example.com"), "NXDOMAIN")
	wantAt(t, w, start+ExchangeTimeout)
}

// digSlowly asks a resolver with the stub's patience: a search takes up to ResolveTimeout.
func digSlowly(t *testing.T, client *netfake.Host, r *Resolver, name string) *Reply {
	t.Helper()
	for range 6 {
		if got, err := Dig(t.Context(), client, r.Addr(), name, A); err == nil {
			return got
		}
	}
	t.Fatalf("no answer for %s", name)
	return nil
}

func TestServersUnreachable(t *testing.T) { instant(t, testServersUnreachable) }

// One dead server of four costs at most a timeout. If all four are silent, the answer
// is SERVFAIL when ResolveTimeout is over; and when they are back, so is the name.
func testServersUnreachable(t *testing.T, w *netfake.World, sys *System) {
	zone, _, r := shop(w, sys)
	var cuts []*netfake.Fault
	for i := range 4 {
		cuts = append(cuts, serverHost(sys, zone, i).Uplink().Link().Partition())
	}
	_, err := r.lookup(t.Context(), question{"www.example.com.", uint16(A)})
	if err == nil {
		t.Error("a name is found on servers that are cut off")
	}
	wantAt(t, w, ResolveTimeout)
	cuts[3].Undo()
	out, err := r.lookup(t.Context(), question{"www.example.com.", uint16(A)})
	if err != nil || len(out.answer) != 1 {
		t.Errorf("with one server back: %v, %v", out, err)
	}
}

func TestRootUnreachable(t *testing.T) { instant(t, testRootUnreachable) }

// Without the root nothing new is found; what is known goes on.
func testRootUnreachable(t *testing.T, w *netfake.World, sys *System) {
	_, client, r := shop(w, sys)
	dig(t, client, r.Addr(), "www.example.com", A)
	heal := sys.rootServer.host.Uplink().Link().Partition()
	defer heal.Undo()
	wantReply(t, dig(t, client, r.Addr(), "none.example.com", A), "NXDOMAIN")
	if _, err := client.LookupNetIP(t.Context(), "ip4", "www.example.online"); err == nil {
		t.Error("a name is found below a domain that only the root knows")
	}
	// The root is asked three times. The stub's second try joins the search of its first.
	wantAt(t, w, 3*ExchangeTimeout)
}

func TestLostQueryIsAskedAgain(t *testing.T) { instant(t, testLostQueryIsAskedAgain) }

// A lost packet costs ExchangeTimeout, though the root has one server only.
func testLostQueryIsAskedAgain(t *testing.T, w *netfake.World, sys *System) {
	_, _, r := shop(w, sys)
	link := sys.rootServer.host.Uplink().Link()
	heal := link.Partition()
	time.AfterFunc(time.Second, heal.Undo)
	if _, err := r.lookup(t.Context(), question{"www.example.com.", uint16(A)}); err != nil {
		t.Error(err)
	}
	wantAt(t, w, ExchangeTimeout)
	if link.Stats().Partitioned != 1 {
		t.Errorf("%d packets ran into the partition, want 1", link.Stats().Partitioned)
	}
}

func TestSubdomainDelegation(t *testing.T) { instant(t, testSubdomainDelegation) }

// An NS set in the parent zone hands a subdomain to another zone; below it the parent's
// own records are hidden.
func testSubdomainDelegation(t *testing.T, w *netfake.World, sys *System) {
	zone, client, r := shop(w, sys)
	dev := sys.HostedZone("dev.example.com")
	for _, a := range zone.NameServers() {
		for _, b := range dev.NameServers() {
			if a == b {
				t.Errorf("parent and child share the server %s", a.Name)
			}
		}
	}
	dev.A("www.dev.example.com", time.Minute, addr("192.0.2.30"))
	zone.A("www.dev.example.com", time.Minute, addr("192.0.2.66"))
	wantReply(t, dig(t, client, r.Addr(), "www.dev.example.com", A), "NOERROR", "www.dev.example.com. 60 IN A 192.0.2.66")
	var servers []string
	for _, s := range dev.NameServers() {
		servers = append(servers, s.Name)
	}
	zone.NS("dev.example.com", NameServerTTL, servers...)
	w.Sleep(time.Minute)
	wantReply(t, dig(t, client, r.Addr(), "www.dev.example.com", A), "NOERROR", "www.dev.example.com. 60 IN A 192.0.2.30")
}

func TestNameServersThatNeedEachOther(t *testing.T) { instant(t, testNameServersThatNeedEachOther) }

// Two domains whose servers are in each other and have no glue cannot be found, and the
// search for them ends.
func testNameServersThatNeedEachOther(t *testing.T, w *netfake.World, sys *System) {
	_, client, r := shop(w, sys)
	sys.Delegate("left.com", NameServer{Name: "ns.right.net"})
	sys.Delegate("right.net", NameServer{Name: "ns.left.com"})
	wantReply(t, dig(t, client, r.Addr(), "www.left.com", A), "SERVFAIL")
	if got := r.Stats().Upstream; got > maxUpstream {
		t.Errorf("the resolver asked %d questions", got)
	}

	// A hundred servers, each of which has to be found first, cannot make a resolver
	// ask for ever.
	var many []NameServer
	for i := range 100 {
		many = append(many, NameServer{Name: fmt.Sprintf("ns.none%d.net", i)})
	}
	sys.Delegate("wide.com", many...)
	before := r.Stats().Upstream
	wantReply(t, dig(t, client, r.Addr(), "www.wide.com", A), "SERVFAIL")
	if got := r.Stats().Upstream - before; got != maxUpstream {
		t.Errorf("the resolver asked %d questions, want its limit of %d", got, maxUpstream)
	}
}
