package dnsfake

import (
	"fmt"
	"net/netip"

	"github.com/netspec-go/netspec/netfake"
)

// Route 53 numbers its name servers from 0 to 2047, a quarter under each of four
// top-level domains and eight to a domain awsdns-NN; number n has the address
// 205.251.192.0 + n (ip-ranges.json, service ROUTE53: 205.251.192.0/21).
const (
	serversPerTLD    = 512
	serversPerDomain = 8
)

// The four quarters, and where their servers stand. The real ones are anycast.
var quarters = [4]struct {
	tld   string
	place netfake.Place
}{
	{"com.", netfake.Ashburn},
	{"net.", netfake.Frankfurt},
	{"org.", netfake.Singapore},
	{"co.uk.", netfake.London},
}

// awsServerName returns the name of Route 53's server n and of the domain that it is in.
func awsServerName(n int) (name, domain string) {
	domain = fmt.Sprintf("awsdns-%02d.%s", n%serversPerTLD/serversPerDomain, quarters[n/serversPerTLD].tld)
	return fmt.Sprintf("ns-%d.%s", n, domain), domain
}

// delegationSet returns four name servers for a new zone, one of each quarter, none of
// which has a zone of the same name, above or below it. The choice depends on the seed
// and the zone's name.
func (sys *System) delegationSet(apex string) []*nameServer {
	sys.mu.Lock()
	defer sys.mu.Unlock()
	var set []*nameServer
	for i, quarter := range quarters {
		first := keyed(sys.world.Seed(), "delegation set", apex, quarter.tld)
		for try := range uint64(serversPerTLD) {
			n := i*serversPerTLD + int((first+try)%serversPerTLD)
			name, _ := awsServerName(n)
			if s := sys.servers[name]; s == nil || !s.serves(apex) {
				set = append(set, sys.awsServer(n))
				break
			}
		}
	}
	return set
}

// awsServer returns Route 53's server n, and on first use puts it on the internet. Its
// domain is a zone that its own servers answer for, with glue at the registry.
func (sys *System) awsServer(n int) *nameServer {
	name, domain := awsServerName(n)
	if s := sys.servers[name]; s != nil {
		return s
	}
	quarter := quarters[n/serversPerTLD]
	addr := netip.AddrFrom4([4]byte{205, 251, byte(192 + n>>8), byte(n)})
	s := sys.newServer(name, quarter.place, addr)
	sys.servers[name] = s
	sys.growDomain(domain, quarter.tld, n)
	return s
}

// growDomain makes a domain awsdns-NN and its delegation know all its servers that
// there are by now.
func (sys *System) growDomain(domain, tld string, n int) {
	var all []*nameServer
	var delegated []NameServer
	for i := n - n%serversPerDomain; i < n-n%serversPerDomain+serversPerDomain; i++ {
		name, _ := awsServerName(i)
		if s := sys.servers[name]; s != nil {
			all = append(all, s)
			delegated = append(delegated, NameServer{s.name, s.host.Addr()})
		}
	}
	sets := apexRecords(domain, delegated)
	for _, s := range delegated {
		sets = append(sets, addrSet(s.Name, s.Addr))
	}
	z := newZone(domain, sets...)
	for _, s := range all {
		s.add(z)
	}
	delegate(sys.registryLocked(tld), domain, delegated...)
}
