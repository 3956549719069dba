package dnsfake

import (
	"context"
	"sync"

	"github.com/miekg/dns"
	"github.com/netspec-go/netspec/netfake"
)

// nameServer is an authoritative server: a host and the zones that it answers for.
type nameServer struct {
	name string
	host *netfake.Host
	key  uint64 // rotates the answers with several values

	mu    sync.Mutex
	zones map[string]*zone
}

// add makes the server answer for a zone.
func (s *nameServer) add(z *zone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.zones == nil {
		s.zones = map[string]*zone{}
	}
	s.zones[z.apex] = z
}

// serves reports whether the server answers for a zone that is apex, lies above it, or
// lies below it. No second zone of that kind may live here.
func (s *nameServer) serves(apex string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other := range s.zones {
		if within(other, apex) || within(apex, other) {
			return true
		}
	}
	return false
}

// zoneOf returns the zone nearest to a name of those that the server has, or nil.
func (s *nameServer) zoneOf(name string) *zoneData {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := name; ; n = parent(n) {
		if z := s.zones[n]; z != nil {
			return z.data.Load()
		}
		if n == "." {
			return nil
		}
	}
}

// handle answers one message, or with nil says nothing. It takes anything at all.
func (s *nameServer) handle(b []byte, via transport) []byte {
	req, refusal := readQuery(b)
	if req == nil {
		return refusal
	}
	return finish(req, s.answer(req), via)
}

// answer says what the server knows. For a name of which it has no zone that is
// REFUSED, as it is for any class but the internet's.
func (s *nameServer) answer(req *dns.Msg) *dns.Msg {
	q := req.Question[0]
	name := canonical(q.Name)
	d := s.zoneOf(name)
	if d == nil || q.Qclass != dns.ClassINET {
		return reply(req, dns.RcodeRefused)
	}
	found := d.lookup(name, q.Qtype)
	m := reply(req, dns.RcodeSuccess)
	if found.finding == noName {
		m.Rcode = dns.RcodeNameError
	}
	m.Authoritative = found.finding != referral || len(found.answer) > 0
	m.Answer, m.Ns, m.Extra = found.answer, found.authority, found.additional
	rotate(m.Answer, mix(s.key, uint64(req.Id)))
	return m
}

// rotate puts the addresses at the end of an answer in another order, as Route 53 does
// with the values of a simple record. The order depends on the key alone.
func rotate(rrs []dns.RR, key uint64) {
	first := len(rrs)
	for first > 0 && isAddress(rrs[first-1]) {
		first--
	}
	rrs = rrs[first:]
	for i := len(rrs) - 1; i > 0; i-- {
		key = mix(key, uint64(i))
		j := int(key % uint64(i+1))
		rrs[i], rrs[j] = rrs[j], rrs[i]
	}
}

func isAddress(rr dns.RR) bool {
	t := rr.Header().Rrtype
	return t == dns.TypeA || t == dns.TypeAAAA
}

// serveDNS is handle as a handler.
func (s *nameServer) serveDNS(_ context.Context, query []byte, via transport) []byte {
	return s.handle(query, via)
}
