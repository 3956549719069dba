package dnsfake

import (
	"net/netip"
	"sort"
	"time"

	"github.com/miekg/dns"
)

// question is a name and a type, in the class of the internet.
type question struct {
	name string
	typ  uint16
}

// wholeName is the type under which a cache keeps that a name does not exist at all.
const wholeName = 0

// step is what one authority said to a question: records, a name to go on with, or that
// there is nothing.
type step struct {
	rcode  int
	answer []dns.RR // of the question's own name and type, or a CNAME
	next   string   // where the CNAME leads, "" if there is none
	soa    dns.RR   // proves that there is nothing
}

// entry is a step with its time of expiry.
type entry struct {
	step
	expires time.Time
}

// cache is what a resolver remembers: answers, and which servers to ask about which
// zone. Answers come from authorities only, never from a referral's extra sections. Its
// owner serialises the calls.
type cache struct {
	answers map[question]entry
	zones   map[string]delegation
	slow    map[string]time.Time // servers that did not answer, and until when to avoid them
}

func newCache() *cache {
	return &cache{answers: map[question]entry{}, zones: map[string]delegation{}, slow: map[string]time.Time{}}
}

// get returns what the cache has for a question: the records, that there are none, or a
// CNAME on the way. TTLs are what is left of them.
func (c *cache) get(q question, now time.Time) (step, bool) {
	for _, typ := range []uint16{q.typ, wholeName, dns.TypeCNAME} {
		e, ok := c.answers[question{q.name, typ}]
		if !ok || typ == dns.TypeCNAME && q.typ == dns.TypeANY {
			continue
		}
		if !now.Before(e.expires) {
			delete(c.answers, question{q.name, typ})
			continue
		}
		if typ == dns.TypeCNAME && typ != q.typ && e.next == "" {
			continue // it says that there is no CNAME
		}
		s := e.step
		if typ == q.typ {
			s.next = ""
		}
		return s.aged(e.expires.Sub(now)), true
	}
	return step{}, false
}

// aged returns the step with left, in whole seconds, for every TTL.
func (s step) aged(left time.Duration) step {
	ttl := uint32(left / time.Second)
	answer := make([]dns.RR, len(s.answer))
	for i, rr := range s.answer {
		answer[i] = dns.Copy(rr)
		answer[i].Header().Ttl = ttl
	}
	s.answer = answer
	if s.soa != nil {
		s.soa = dns.Copy(s.soa)
		s.soa.Header().Ttl = ttl
	}
	return s
}

// put remembers a step for as long as its TTL says; one of TTL 0 not at all.
func (c *cache) put(q question, s step, now time.Time) {
	ttl, known := s.ttl()
	if !known || ttl == 0 {
		return
	}
	switch {
	case s.rcode == dns.RcodeNameError:
		q.typ = wholeName
	case s.next != "":
		q.typ = dns.TypeCNAME
	}
	c.answers[q] = entry{s, now.Add(ttl)}
}

// ttl returns how long a step may be kept: the least TTL of its records, or for a
// negative answer the lesser of the SOA's TTL and its minimum field (RFC 2308). An
// answer that proves nothing is not kept.
func (s step) ttl() (time.Duration, bool) {
	if soa, ok := s.soa.(*dns.SOA); ok && len(s.answer) == 0 {
		return time.Duration(min(soa.Hdr.Ttl, soa.Minttl)) * time.Second, true
	}
	if len(s.answer) == 0 {
		return 0, false
	}
	return leastTTL(s.answer), true
}

func leastTTL(rrs []dns.RR) time.Duration {
	ttl := rrs[0].Header().Ttl
	for _, rr := range rrs[1:] {
		ttl = min(ttl, rr.Header().Ttl)
	}
	return time.Duration(ttl) * time.Second
}

// delegation is what a resolver knows of a zone's servers.
type delegation struct {
	zone    string
	servers []NameServer // those without glue have no address
	expires time.Time    // zero: never, as for the root
}

// glue returns the address that came with one of the servers, or the zero Addr.
func (d delegation) glue(server string) netip.Addr {
	for _, s := range d.servers {
		if s.Name == server {
			return s.Addr
		}
	}
	return netip.Addr{}
}

// closest returns the nearest zone at or above a name whose servers are known.
func (c *cache) closest(name string, now time.Time) delegation {
	for n := name; ; n = parent(n) {
		d, ok := c.zones[n]
		if ok && (d.expires.IsZero() || now.Before(d.expires)) {
			return d
		}
		if n == "." {
			return delegation{zone: "."}
		}
	}
}

// avoidance is how long a resolver asks a server that did not answer after all others.
const avoidance = time.Minute

// order returns a zone's servers in the order to ask them: first those of which the
// address is known, those last that lately did not answer, and else by a key.
func (c *cache) order(d delegation, key uint64, now time.Time) []NameServer {
	rank := func(s NameServer) int {
		switch {
		case now.Before(c.slow[s.Name]):
			return 2
		case !s.Addr.IsValid():
			return 1
		}
		return 0
	}
	servers := append([]NameServer(nil), d.servers...)
	sort.Slice(servers, func(i, j int) bool {
		a, b := servers[i], servers[j]
		if rank(a) != rank(b) {
			return rank(a) < rank(b)
		}
		ka, kb := keyed(key, a.Name), keyed(key, b.Name)
		return ka < kb || ka == kb && a.Name < b.Name
	})
	return servers
}
