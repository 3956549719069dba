package dnsfake

import (
	"net/netip"
	"strings"
	"sync"

	"github.com/miekg/dns"
	"github.com/netspec-go/netspec/netfake"
)

// The root of the tree: one of the thirteen root servers.
const (
	RootServer     = "a.root-servers.net."
	RootServerAddr = "198.41.0.4"
)

// System is the public DNS of a world: the root, the registries of the top-level
// domains, Route 53, and whoever else was put into it. All methods are safe for
// concurrent use.
type System struct {
	world *netfake.World
	tb    netfake.TB

	mu         sync.Mutex
	root       *zone
	rootServer *nameServer
	registries map[string]*zone       // "com.", "co.uk."
	tlds       map[string]*nameServer // the servers of "com.", "uk."
	servers    map[string]*nameServer // Route 53's, by name
	providers  map[string]*HostedZone // zones of names that Provide was given
	checkers   []*netfake.Host
	checks     int
	networks   int // that were given a resolver
}

// New puts a root name server into the world, and behind it the registries of com, net,
// org, uk and co.uk. The registries of other domains come when they are needed.
func New(w *netfake.World) *System {
	w.TB().Helper()
	sys := &System{
		world: w, tb: w.TB(),
		registries: map[string]*zone{}, tlds: map[string]*nameServer{},
		servers: map[string]*nameServer{}, providers: map[string]*HostedZone{},
	}
	root := sys.newServer(RootServer, netfake.Ashburn, netip.MustParseAddr(RootServerAddr))
	sys.root = newZone(".", ownRecords(".", root)...)
	root.add(sys.root)
	sys.rootServer = root
	for _, suffix := range []string{"net.", "com.", "org.", "uk.", "co.uk."} {
		sys.registry(suffix)
	}
	return sys
}

// World returns the world that the system is part of.
func (sys *System) World() *netfake.World { return sys.world }

// newServer puts an authoritative name server on the internet.
func (sys *System) newServer(name string, place netfake.Place, addr netip.Addr) *nameServer {
	sys.tb.Helper()
	h := sys.world.Internet().HostAt(place, strings.TrimSuffix(name, "."), addr.String())
	s := &nameServer{name: name, host: h, key: keyed(sys.world.Seed(), "rotation", name)}
	if err := serve(h, inTurn, s.serveDNS); err != nil {
		sys.tb.Fatalf("dnsfake: name server %s: %v", name, err)
	}
	return s
}

// ownRecords returns NS and SOA of a zone that is not Route 53's.
func ownRecords(apex string, server *nameServer) []*recordSet {
	ttl := uint32(NameServerTTL.Seconds())
	ns := &recordSet{name: apex, typ: dns.TypeNS, ttl: ttl, rrs: []dns.RR{nsRecord(apex, server.name, ttl)}}
	return []*recordSet{ns, soaRecord(apex, server.name, "hostmaster."+server.name), addrSet(server.name, server.host.Addr())}
}

// addrSet returns the A record of a name server.
func addrSet(name string, addr netip.Addr) *recordSet {
	ttl := uint32(NameServerTTL.Seconds())
	return &recordSet{name: name, typ: dns.TypeA, ttl: ttl, rrs: []dns.RR{addrRecord(name, addr, ttl)}}
}

// Registries below which domains are registered on the third level. They share their
// top-level domain's server.
var secondLevel = map[string]bool{
	"co.uk.": true, "org.uk.": true, "me.uk.": true,
	"com.au.": true, "net.au.": true, "org.au.": true,
	"co.nz.": true, "co.jp.": true, "com.br.": true, "co.za.": true,
}

// registryOf returns the suffix below which a name's domain is registered: "co.uk." for
// www.example.co.uk, "com." for example.com.
func registryOf(name string) string {
	labels := dns.SplitDomainName(name)
	n := len(labels)
	if n >= 2 {
		if two := labels[n-2] + "." + labels[n-1] + "."; secondLevel[two] {
			return two
		}
	}
	return labels[n-1] + "."
}

// domainOf returns the registered domain that a name belongs to, or "" for a registry's
// own name.
func domainOf(name string) string {
	suffix := registryOf(name)
	if !within(name, suffix) || name == suffix {
		return ""
	}
	return ancestors(name, suffix)[0]
}

// registry returns the zone of a suffix and makes it on first use: with its server, and
// delegated from the zone above.
func (sys *System) registry(suffix string) *zone {
	sys.mu.Lock()
	defer sys.mu.Unlock()
	return sys.registryLocked(suffix)
}

func (sys *System) registryLocked(suffix string) *zone {
	if z := sys.registries[suffix]; z != nil {
		return z
	}
	up, tld := sys.root, suffix
	if secondLevel[suffix] {
		tld = parent(suffix)
		up = sys.registryLocked(tld)
	}
	server := sys.tldServer(tld)
	sets := ownRecords(suffix, server)
	if !within(server.name, suffix) {
		sets = sets[:2] // its address belongs to another zone
	}
	z := newZone(suffix, sets...)
	server.add(z)
	sys.registries[suffix] = z
	delegate(up, suffix, NameServer{server.name, server.host.Addr()})
	return z
}

// tldServer returns the name server of a top-level domain. com, net and uk have real
// ones; those of other domains are named as ICANN's new ones are, in the network that
// RIPE keeps for the anycast servers of top-level domains, 194.0.0.0/18.
func (sys *System) tldServer(tld string) *nameServer {
	if tld == "com." {
		return sys.tldServer("net.")
	}
	if s := sys.tlds[tld]; s != nil {
		return s
	}
	var s *nameServer
	switch tld {
	case "net.":
		s = sys.newServer("a.gtld-servers.net.", netfake.Ashburn, netip.MustParseAddr("192.5.6.30"))
	case "uk.":
		s = sys.newServer("dns1.nic.uk.", netfake.London, netip.MustParseAddr("213.248.216.1"))
	default:
		s = sys.newServer("a.nic."+tld, netfake.Ashburn, sys.freeTLDAddr(tld))
	}
	sys.tlds[tld] = s
	return s
}

// freeTLDAddr chooses an address by the domain's name; if two names meet, the later one
// moves on.
func (sys *System) freeTLDAddr(tld string) netip.Addr {
	taken := map[netip.Addr]bool{}
	for _, s := range sys.tlds {
		taken[s.host.Addr()] = true
	}
	for i := keyed(0, "registry", tld); ; i++ {
		addr := netip.AddrFrom4([4]byte{194, 0, byte(i % 64), 53})
		if !taken[addr] || len(taken) >= 64 {
			return addr
		}
	}
}

// Register delegates a domain to a hosted zone's name servers, as its registrar does.
// Without it nobody finds the zone. Registering again replaces what was there;
// resolvers go on with what they have been told for up to NameServerTTL. Only a domain
// directly below a registry can be registered; delegate a subdomain with HostedZone.NS.
func (sys *System) Register(domain string, zone *HostedZone) {
	sys.tb.Helper()
	if zone == nil {
		sys.tb.Fatalf("%v", inputError("%s: there is no hosted zone to register it for", domain))
		return
	}
	sys.Delegate(domain, zone.NameServers()...)
}

// Delegate sets the name servers of a domain at its registry to any that a test likes,
// be they wrong. A server whose name lies in the registry's zone gets glue if it has an
// address and its own domain is registered.
func (sys *System) Delegate(domain string, servers ...NameServer) {
	sys.tb.Helper()
	name, err := registrable(domain)
	if err == nil && len(servers) == 0 {
		err = inputError("%s: a delegation needs name servers; Deregister takes one away", domain)
	}
	if err != nil {
		sys.tb.Fatalf("%v", err)
		return
	}
	delegate(sys.registry(registryOf(name)), name, servers...)
}

// Deregister takes a domain's delegation away: the registry no longer knows it.
func (sys *System) Deregister(domain string) {
	sys.tb.Helper()
	name, err := registrable(domain)
	if err != nil {
		sys.tb.Fatalf("%v", err)
		return
	}
	delegate(sys.registry(registryOf(name)), name)
}

// registrable returns a domain's name if it lies directly below a registry.
func registrable(domain string) (string, error) {
	if err := checkName(domain); err != nil {
		return "", err
	}
	name := canonical(domain)
	if domainOf(name) != name || isWildcard(name) {
		return "", inputError("%s is not a name directly below a registry such as %s", domain, strings.TrimSuffix(registryOf(name), "."))
	}
	return name, nil
}

// delegate replaces what a zone says of a name by a delegation, or with no servers by
// nothing, and keeps glue for servers within the zone.
func delegate(up *zone, name string, servers ...NameServer) {
	ttl := uint32(NameServerTTL.Seconds())
	up.change(func(d *zoneData) ([]*recordSet, error) {
		var sets []*recordSet
		glue := map[string]bool{}
		ns := &recordSet{name: name, typ: dns.TypeNS, ttl: ttl}
		for _, s := range servers {
			server := canonical(s.Name)
			ns.rrs = append(ns.rrs, nsRecord(name, server, ttl))
			if s.Addr.Is4() && d.takesGlue(server, name) {
				glue[server] = true
				sets = append(sets, addrSet(server, s.Addr))
			}
		}
		if len(ns.rrs) > 0 {
			sets = append(sets, ns)
		}
		for _, old := range d.sets {
			replaced := old.name == name && old.typ == dns.TypeNS || old.typ == dns.TypeA && glue[old.name]
			orphaned := len(servers) == 0 && within(old.name, name)
			if !replaced && !orphaned {
				sets = append(sets, old)
			}
		}
		return sets, nil
	})
}

// takesGlue reports whether a registry keeps an address for a name server: its name
// must lie in a domain that is delegated, be it only now.
func (d *zoneData) takesGlue(server, delegated string) bool {
	if d.apex == "." || within(server, delegated) {
		return true
	}
	return within(server, d.apex) && d.cut(server, dns.TypeA) != ""
}

// Provide publishes a target's own name, such as a load balancer's under amazonaws.com,
// so that it resolves by real iteration from the root: the system itself hosts and
// registers a zone for the name's domain. The answer is what target.Addrs returns at
// the time. The returned function takes the name back.
func (sys *System) Provide(target AliasTarget) (undo func()) {
	sys.tb.Helper()
	if target == nil {
		sys.tb.Fatalf("%v", inputError("there is no target to provide a name for"))
		return func() {}
	}
	name := canonical(target.DNSName())
	if err := checkName(target.DNSName()); err != nil || domainOf(name) == "" || domainOf(name) == name {
		sys.tb.Fatalf("%v", inputError("%q is not a name below a provider's domain", target.DNSName()))
		return func() {}
	}
	domain := domainOf(name)
	z := sys.provider(domain)
	z.Record(Record{Name: name, Type: A, Alias: &Alias{Target: target}})
	var once sync.Once
	return func() { once.Do(func() { z.Remove(name, A) }) }
}

func (sys *System) provider(domain string) *HostedZone {
	sys.tb.Helper()
	sys.mu.Lock()
	z := sys.providers[domain]
	sys.mu.Unlock()
	if z == nil {
		z = sys.HostedZone(domain)
		sys.Register(domain, z)
		sys.mu.Lock()
		sys.providers[domain] = z
		sys.mu.Unlock()
	}
	return z
}
