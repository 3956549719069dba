package dnsfake

import (
	"github.com/miekg/dns"
)

// verdict is what an authority's response is good for.
type verdict uint8

const (
	lame     verdict = iota // nothing: ask another server
	answered                // it settles the question, or leads on by a CNAME
	referred                // it names the servers of a zone further down
)

// judge reads a response of a server that was asked about q as an authority for zone.
// It believes only what lies in the zone: records of other names are as if they were
// not there.
func judge(m *dns.Msg, q question, zone string) (verdict, step, delegation) {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return lame, step{}, delegation{}
	}
	if d, ok := readReferral(m, q, zone); ok {
		return referred, step{}, d
	}
	if !m.Authoritative {
		return lame, step{}, delegation{}
	}
	s := step{rcode: m.Rcode, answer: matching(m.Answer, q.name, q.typ)}
	if len(s.answer) > 0 {
		s.rcode = dns.RcodeSuccess
		return answered, s, delegation{}
	}
	if alias := matching(m.Answer, q.name, dns.TypeCNAME); len(alias) > 0 {
		// What the response says of the alias's target is asked again, so that every
		// name is settled by its own zone; the rcode is about the target too.
		target := canonical(alias[0].(*dns.CNAME).Target)
		return answered, step{answer: alias[:1], next: target}, delegation{}
	}
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeSOA && within(q.name, canonical(rr.Header().Name)) && within(canonical(rr.Header().Name), zone) {
			s.soa = rr
		}
	}
	return answered, s, delegation{}
}

// matching returns the records of a name and type; type ANY matches all.
func matching(rrs []dns.RR, name string, typ uint16) []dns.RR {
	var out []dns.RR
	for _, rr := range rrs {
		h := rr.Header()
		if canonical(h.Name) == name && h.Class == dns.ClassINET && (h.Rrtype == typ || typ == dns.TypeANY) {
			out = append(out, rr)
		}
	}
	return out
}

// readReferral returns the delegation that a response holds: name servers of a zone
// below the one that was asked and at or above the question's name. Anything else would
// lead upwards or in circles. Addresses are taken from within the asked zone only.
func readReferral(m *dns.Msg, q question, zone string) (delegation, bool) {
	var d delegation
	if m.Authoritative || len(m.Answer) > 0 || m.Rcode != dns.RcodeSuccess {
		return d, false
	}
	for _, rr := range m.Ns {
		ns, ok := rr.(*dns.NS)
		if !ok {
			continue
		}
		cut := canonical(ns.Hdr.Name)
		if cut == zone || !within(cut, zone) || !within(q.name, cut) || d.zone != "" && cut != d.zone {
			continue
		}
		d.zone = cut
		server := NameServer{Name: canonical(ns.Ns)}
		for _, extra := range matching(m.Extra, server.Name, dns.TypeA) {
			if addr, ok := addrOf(extra); ok && within(server.Name, zone) {
				server.Addr = addr
			}
		}
		d.servers = append(d.servers, server)
	}
	return d, d.zone != ""
}

// referralTTL returns how long the name servers in a referral may be kept.
func referralTTL(m *dns.Msg, d delegation) uint32 {
	ttl, seen := uint32(0), false
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeNS && canonical(rr.Header().Name) == d.zone {
			if !seen || rr.Header().Ttl < ttl {
				ttl, seen = rr.Header().Ttl, true
			}
		}
	}
	return ttl
}
