package dnsfake

import (
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"
)

// zone is a part of the name space under one authority. Its data is replaced as a
// whole, so that a name server answers from a state that nobody changes meanwhile.
type zone struct {
	apex string
	mu   sync.Mutex // serialises changes
	data atomic.Pointer[zoneData]
}

func newZone(apex string, sets ...*recordSet) *zone {
	z := &zone{apex: apex}
	z.data.Store(buildZone(apex, sets))
	return z
}

// change replaces the zone's sets by what edit makes of them; an error changes nothing.
func (z *zone) change(edit func(d *zoneData) ([]*recordSet, error)) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	sets, err := edit(z.data.Load())
	if err == nil {
		z.data.Store(buildZone(z.apex, sets))
	}
	return err
}

// zoneData is the content of a zone at one time. It is never written to once built.
type zoneData struct {
	apex  string
	sets  []*recordSet
	nodes map[string]*node
}

// node is a name that exists: it has records, or names below it have.
type node struct {
	groups map[uint16][]*recordSet
}

func buildZone(apex string, sets []*recordSet) *zoneData {
	d := &zoneData{apex: apex, sets: sets, nodes: map[string]*node{apex: {groups: map[uint16][]*recordSet{}}}}
	for _, s := range sets {
		for _, name := range ancestors(s.name, apex) {
			if d.nodes[name] == nil {
				d.nodes[name] = &node{groups: map[uint16][]*recordSet{}}
			}
		}
		groups := d.nodes[s.name].groups
		groups[s.typ] = append(groups[s.typ], s)
	}
	return d
}

// group returns the sets of one name and type: one, or the halves of a pair.
func (d *zoneData) group(name string, typ uint16) []*recordSet {
	if n := d.nodes[name]; n != nil {
		return n.groups[typ]
	}
	return nil
}

// finding is what kind of answer a zone has for a question.
type finding uint8

const (
	noName   finding = iota // the name does not exist: NXDOMAIN
	noData                  // the name exists, records of the type do not
	found                   // here they are
	referral                // the name belongs to a zone further down
)

// lookupResult is a zone's answer, section by section.
type lookupResult struct {
	finding    finding
	answer     []dns.RR
	authority  []dns.RR
	additional []dns.RR
}

// maxCNAMEs is how many CNAMEs in a row the package follows, in a zone and in a resolver.
const maxCNAMEs = 8

// lookup answers a question for a name within the zone, by the algorithm of RFC 1034
// section 4.3.2 and the wildcards of RFC 4592. A CNAME is followed as long as its
// target is in the zone.
func (d *zoneData) lookup(name string, typ uint16) lookupResult {
	var chain []dns.RR
	for range maxCNAMEs {
		if cut := d.cut(name, typ); cut != "" {
			return d.refer(cut, chain)
		}
		n, owner := d.find(name)
		if n == nil {
			return lookupResult{finding: noName, answer: chain, authority: d.soa()}
		}
		rrs := d.answers(n, owner, typ, name)
		if len(rrs) > 0 {
			return d.positive(append(chain, rrs...))
		}
		alias := d.values(owner, dns.TypeCNAME, name, 0)
		if len(alias) == 0 {
			return lookupResult{finding: noData, answer: chain, authority: d.soa()}
		}
		chain = append(chain, alias...)
		name = alias[0].(*dns.CNAME).Target
		if !within(name, d.apex) {
			break
		}
	}
	return d.positive(chain)
}

// cut returns the highest delegation at or above a name and below the apex, or "". The
// DS records of a delegation belong to the parent, so they are not behind the cut.
func (d *zoneData) cut(name string, typ uint16) string {
	for _, n := range ancestors(name, d.apex) {
		if len(d.group(n, dns.TypeNS)) > 0 && !(n == name && typ == dns.TypeDS) {
			return n
		}
	}
	return ""
}

// find returns the node that answers for a name and the node's own name: the name
// itself if it exists, else the wildcard below the closest name that does.
func (d *zoneData) find(name string) (*node, string) {
	if n := d.nodes[name]; n != nil {
		return n, name
	}
	encloser := parent(name)
	for d.nodes[encloser] == nil {
		encloser = parent(encloser)
	}
	wildcard := "*." + strings.TrimPrefix(encloser, ".")
	return d.nodes[wildcard], wildcard
}

// answers returns a node's records of a type, or of all types for ANY.
func (d *zoneData) answers(n *node, owner string, typ uint16, asked string) []dns.RR {
	if typ != dns.TypeANY {
		return d.values(owner, typ, asked, 0)
	}
	var all []dns.RR
	for _, t := range sortedTypes(n) {
		all = append(all, d.values(owner, t, asked, 0)...)
	}
	return all
}

func sortedTypes(n *node) []uint16 {
	var types []uint16
	for t := range n.groups {
		types = append(types, t)
	}
	sort.Slice(types, func(i, j int) bool { return types[i] < types[j] })
	return types
}

// positive completes an answer with the zone's name servers, and with the addresses of
// the names that the answer points to, as far as the zone knows them.
func (d *zoneData) positive(answer []dns.RR) lookupResult {
	r := lookupResult{finding: found, answer: answer}
	if !hasApexNS(answer, d.apex) {
		r.authority = d.values(d.apex, dns.TypeNS, d.apex, 0)
	}
	r.additional = append(d.glue(answer), d.glue(r.authority)...)
	return r
}

func hasApexNS(rrs []dns.RR, apex string) bool {
	for _, rr := range rrs {
		if rr.Header().Rrtype == dns.TypeNS && rr.Header().Name == apex {
			return true
		}
	}
	return false
}

// refer sends the asker to the zone below a cut, with the addresses of its servers that
// lie below the cut themselves or that the zone knows otherwise.
func (d *zoneData) refer(cut string, chain []dns.RR) lookupResult {
	ns := d.values(cut, dns.TypeNS, cut, 0)
	return lookupResult{finding: referral, answer: chain, authority: ns, additional: d.glue(ns)}
}

// glue returns the addresses of the names that records point to.
func (d *zoneData) glue(rrs []dns.RR) []dns.RR {
	var glue []dns.RR
	for _, rr := range rrs {
		var target string
		switch rr := rr.(type) {
		case *dns.NS:
			target = rr.Ns
		case *dns.MX:
			target = rr.Mx
		case *dns.SRV:
			target = rr.Target
		default:
			continue
		}
		glue = append(glue, d.values(target, dns.TypeA, target, 0)...)
		glue = append(glue, d.values(target, dns.TypeAAAA, target, 0)...)
	}
	return glue
}

// soa returns the zone's SOA record with the TTL that a negative answer has: the lesser
// of its own and the minimum field (RFC 2308 section 5).
func (d *zoneData) soa() []dns.RR {
	rrs := d.values(d.apex, dns.TypeSOA, d.apex, 0)
	if len(rrs) == 0 {
		return nil
	}
	soa := *rrs[0].(*dns.SOA)
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	return []dns.RR{&soa}
}
