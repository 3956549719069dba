package dnsfake

import (
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// Alias is Route 53's pointer to something of AWS's own, or to another record of the
// same zone. Unlike a CNAME it is allowed at a zone's apex, and does not show on the
// wire: the answer bears the alias's own name.
type Alias struct {
	Target AliasTarget

	// EvaluateTargetHealth makes the record count as healthy only while its target
	// does. If false, Route 53 stays with the record whatever happens to the target. A
	// failover alias must set it.
	EvaluateTargetHealth bool
}

// AliasTarget is what an alias record may point to: a load balancer, a distribution, or
// what HostedZone.Target returns. Its methods are called by name servers whenever
// somebody asks. They must be safe for concurrent use, must not block, and must not
// call back into this package.
type AliasTarget interface {
	// DNSName returns the target's own name: web-1234567890.ap-southeast-2.elb.amazonaws.com.
	DNSName() string

	// Addrs returns the addresses that the name has now, of both families, and how long
	// resolvers may keep them. No addresses make an empty answer.
	Addrs() (addrs []netip.Addr, ttl time.Duration)

	// Healthy reports what EvaluateTargetHealth goes by.
	Healthy() bool
}

// recordTarget is a record of the zone itself as the target of an alias.
type recordTarget struct {
	zone *HostedZone
	name string
}

// DNSName returns the record's name.
func (t *recordTarget) DNSName() string { return t.name }

// Addrs returns what the zone answers for the record's A.
func (t *recordTarget) Addrs() ([]netip.Addr, time.Duration) {
	var addrs []netip.Addr
	var ttl time.Duration
	rrs := t.zone.data.Load().values(t.name, dns.TypeA, t.name, 0)
	for _, rr := range rrs {
		if addr, ok := addrOf(rr); ok {
			addrs = append(addrs, addr)
			ttl = time.Duration(rr.Header().Ttl) * time.Second
		}
	}
	return addrs, ttl
}

// Healthy reports whether at least one A record of the name is healthy.
func (t *recordTarget) Healthy() bool {
	d := t.zone.data.Load()
	for _, s := range d.group(t.name, dns.TypeA) {
		if d.healthy(s, 0) {
			return true
		}
	}
	return false
}

// addrOf returns the address in an A or AAAA record.
func addrOf(rr dns.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		addr, ok := netip.AddrFromSlice(rr.A)
		return addr.Unmap(), ok
	case *dns.AAAA:
		return netip.AddrFromSlice(rr.AAAA)
	}
	return netip.Addr{}, false
}

func (r Record) checkAlias() error {
	switch {
	case r.Alias.Target == nil:
		return inputError("%s: an alias needs a target", r.Name)
	case len(r.Values) > 0 || r.TTL != 0:
		return r.notOneSource("more than one")
	case r.Failover != Simple && !r.Alias.EvaluateTargetHealth:
		return inputError("%s: EvaluateTargetHealth must be true for a failover alias", r.Name)
	case r.Type == NS:
		return inputError("%s: an alias cannot be of type NS", r.Name)
	}
	if _, inZone := r.Alias.Target.(*recordTarget); !inZone && r.Type != A && r.Type != AAAA {
		return inputError("%s: an alias to %s is of type A or AAAA", r.Name, r.Alias.Target.DNSName())
	}
	return nil
}

// values returns the records of one name and type as the routing policy chooses them,
// under the name of owner. It follows aliases.
func (d *zoneData) values(name string, typ uint16, owner string, depth int) []dns.RR {
	group := d.group(name, typ)
	if len(group) == 0 || depth > maxAliasDepth {
		return nil
	}
	s := choose(group, func(s *recordSet) bool { return d.healthy(s, 0) })
	if s.alias == nil {
		return renamed(s.rrs, owner)
	}
	if target, ok := s.alias.Target.(*recordTarget); ok {
		return d.values(target.name, typ, owner, depth+1)
	}
	addrs, ttl := s.alias.Target.Addrs()
	var rrs []dns.RR
	for _, addr := range addrs {
		if rr := addrRecord(owner, addr.Unmap(), uint32(ttl/time.Second)); rr.Header().Rrtype == typ {
			rrs = append(rrs, rr)
		}
	}
	return rrs
}

// renamed returns records under a name: those of a wildcard or an alias's target are
// copied, for what a zone keeps is never written to.
func renamed(rrs []dns.RR, owner string) []dns.RR {
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		if out[i] = rr; rr.Header().Name != owner {
			out[i] = dns.Copy(rr)
			out[i].Header().Name = owner
		}
	}
	return out
}
