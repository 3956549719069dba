package dnsfake

import (
	"net/netip"
	"time"

	"github.com/miekg/dns"
	"github.com/netspec-go/netspec/netfake"
)

// Network is a network with a resolver of its own: a *fabricfake.VPC.
type Network interface {
	Name() string
	Place() netfake.Place

	// AttachResolver makes a host the resolver of the network's instances, and
	// ResolverAddrs says where it answers them.
	AttachResolver(h *netfake.Host)
	ResolverAddrs() []netip.Addr

	// LookupHostname returns the address of an instance by the name that the network
	// gives it.
	LookupHostname(name string) (netip.Addr, bool)
}

// hostnameTTL is how long an answer about an instance's host name may be remembered.
const hostnameTTL = time.Minute

// VPCResolver gives a VPC its resolver, at the base of its block plus two, at
// 169.254.169.253 and at fd00:ec2::253. Instances that are launched afterwards ask it; it
// knows the host names of all of them, and recurses from the internet, whatever routes the
// VPC has. Call it before the first instance.
func (sys *System) VPCResolver(n Network) *Resolver {
	sys.world.TB().Helper()
	sys.mu.Lock()
	sys.networks++
	number := sys.networks
	sys.mu.Unlock()
	if number > 250 {
		sys.world.TB().Fatalf("dnsfake: the resolver of %s: 250 networks have one, and that is all", n.Name())
	}
	// The side of the internet is nobody's address: RFC 2544.
	outside := netip.AddrFrom4([4]byte{198, 19, 255, byte(number)})
	h := sys.world.Internet().HostAt(n.Place(), "resolver of "+n.Name(), outside.String())
	n.AttachResolver(h)
	return sys.resolverOn(h, n)
}

// hostname answers a question about the host name of an instance. It is known for A; of
// other types it has none.
func (r *Resolver) hostname(q question) (outcome, bool) {
	if r.network == nil {
		return outcome{}, false
	}
	addr, ok := r.network.LookupHostname(q.name)
	if !ok {
		return outcome{}, false
	}
	r.mu.Lock()
	r.stats.Queries++
	r.stats.Hits++
	r.mu.Unlock()
	var out outcome
	if q.typ == dns.TypeA {
		head := dns.RR_Header{Name: q.name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: uint32(hostnameTTL / time.Second)}
		out.answer = []dns.RR{&dns.A{Hdr: head, A: addr.AsSlice()}}
	}
	return out, true
}
