package dnsfake

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// What a new hosted zone's own records say. The SOA is as the Route 53 developer guide
// shows it (page SOA-NSrecords); the NS records' TTL is the value that the guide calls
// typical.
const (
	NameServerTTL = 172800 * time.Second // of the NS records at the apex
	SOATTL        = 900 * time.Second    // of the SOA record
	NegativeTTL   = 900 * time.Second    // how long resolvers remember that a name is not there

	soaSerial  = 1
	soaRefresh = 7200
	soaRetry   = 900
	soaExpire  = 1209600
	soaMinimum = 86400
	soaMailbox = "awsdns-hostmaster.amazon.com."
)

// NameServer is a name server as a delegation tells of it.
type NameServer struct {
	Name string     // ns-7.awsdns-00.com.
	Addr netip.Addr // where it is; given out as glue if the name lies in the parent zone
}

// HostedZone is a public hosted zone of Route 53: what four name servers on the
// internet answer for a domain. They answer whether or not the domain is delegated to
// them; nobody comes to ask before it is.
//
// Changes take effect at once, for the next question; resolvers remember what they have
// been told. What Route 53 would refuse fails the test at the caller's line, with the
// API's text. All methods are safe for concurrent use.
type HostedZone struct {
	*zone
	sys     *System
	servers []NameServer
}

// HostedZone makes a public hosted zone with its NS and SOA records, and puts its four
// name servers on the internet, one each under com, net, org and co.uk. Zones of one
// name may exist beside each other; the delegation says which one counts.
func (sys *System) HostedZone(name string) *HostedZone {
	sys.tb.Helper()
	if err := checkZoneName(name); err != nil {
		sys.tb.Fatalf("%v", err)
		return nil
	}
	apex := canonical(name)
	z := &HostedZone{sys: sys}
	servers := sys.delegationSet(apex)
	for _, s := range servers {
		z.servers = append(z.servers, NameServer{s.name, s.host.Addr()})
	}
	z.zone = newZone(apex, apexRecords(apex, z.servers)...)
	for _, s := range servers {
		s.add(z.zone)
	}
	return z
}

func checkZoneName(name string) error {
	if _, ok := dns.IsDomainName(name); !ok || name == "" || name == "." || canonical(name)[0] == '.' || isWildcard(name) {
		return &apiError{"InvalidDomainName", fmt.Sprintf("%q is not a name for a hosted zone", name)}
	}
	return nil
}

// apexRecords returns the NS and SOA records that a hosted zone begins with.
func apexRecords(apex string, servers []NameServer) []*recordSet {
	ns := &recordSet{name: apex, typ: dns.TypeNS, ttl: uint32(NameServerTTL / time.Second)}
	for _, s := range servers {
		ns.rrs = append(ns.rrs, nsRecord(apex, s.Name, ns.ttl))
	}
	return []*recordSet{ns, soaRecord(apex, servers[0].Name, soaMailbox)}
}

func soaRecord(apex, server, mailbox string) *recordSet {
	ttl := uint32(SOATTL / time.Second)
	return &recordSet{name: apex, typ: dns.TypeSOA, ttl: ttl, rrs: []dns.RR{&dns.SOA{
		Hdr: header(apex, dns.TypeSOA, ttl), Ns: server, Mbox: mailbox,
		Serial: soaSerial, Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minttl: soaMinimum,
	}}}
}

// String returns the zone's name without its last dot.
func (z *HostedZone) String() string { return z.apex[:len(z.apex)-1] }

// NameServers returns the zone's delegation set: what belongs into the parent zone.
func (z *HostedZone) NameServers() []NameServer { return append([]NameServer(nil), z.servers...) }

// Record creates a record set, as the action CREATE does.
func (z *HostedZone) Record(r Record) {
	z.sys.tb.Helper()
	z.report(z.create(r))
}

// Replace creates a record set, or replaces the one with the same name, type and set
// identifier, as the action UPSERT does.
func (z *HostedZone) Replace(r Record) {
	z.sys.tb.Helper()
	z.report(z.upsert(r))
}

// Remove deletes the record set of a name and type, with both halves if it is a
// failover pair.
func (z *HostedZone) Remove(name string, typ Type) {
	z.sys.tb.Helper()
	z.report(z.change(func(d *zoneData) ([]*recordSet, error) {
		return d.removing(canonical(name), uint16(typ))
	}))
}

// A creates a record set of IPv4 addresses.
func (z *HostedZone) A(name string, ttl time.Duration, addrs ...netip.Addr) {
	z.sys.tb.Helper()
	z.Record(Record{Name: name, Type: A, TTL: ttl, Values: texts(addrs)})
}

// AAAA creates a record set of IPv6 addresses.
func (z *HostedZone) AAAA(name string, ttl time.Duration, addrs ...netip.Addr) {
	z.sys.tb.Helper()
	z.Record(Record{Name: name, Type: AAAA, TTL: ttl, Values: texts(addrs)})
}

func texts(addrs []netip.Addr) []string {
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return out
}

// CNAME makes a name stand for another. The zone's apex cannot; see Alias.
func (z *HostedZone) CNAME(name string, ttl time.Duration, target string) {
	z.sys.tb.Helper()
	z.Record(Record{Name: name, Type: CNAME, TTL: ttl, Values: []string{target}})
}

// TXT creates a set of texts of up to 255 bytes each, which Record would take in quotes.
func (z *HostedZone) TXT(name string, ttl time.Duration, values ...string) {
	z.sys.tb.Helper()
	quoted := make([]string, len(values))
	for i, text := range values {
		quoted[i] = quote(text)
	}
	z.Record(Record{Name: name, Type: TXT, TTL: ttl, Values: quoted})
}

// CAA names the certification authorities that may issue for a name and all below it,
// each value as `0 issue "amazon.com"`.
func (z *HostedZone) CAA(name string, ttl time.Duration, values ...string) {
	z.sys.tb.Helper()
	z.Record(Record{Name: name, Type: CAA, TTL: ttl, Values: values})
}

// NS delegates a name below the apex, and everything under it, to other name servers.
// Give the names that another hosted zone's NameServers have.
func (z *HostedZone) NS(name string, ttl time.Duration, servers ...string) {
	z.sys.tb.Helper()
	z.Record(Record{Name: name, Type: NS, TTL: ttl, Values: servers})
}

// Alias makes a name of type A answer with what a target has. EvaluateTargetHealth is
// off, which for a simple record makes no difference.
func (z *HostedZone) Alias(name string, target AliasTarget) {
	z.sys.tb.Helper()
	z.Record(Record{Name: name, Type: A, Alias: &Alias{Target: target}})
}

// Target returns a record of this zone as the target of an alias of the same zone and
// of the record's type.
func (z *HostedZone) Target(name string) AliasTarget {
	return &recordTarget{z, canonical(name)}
}

func (z *HostedZone) create(r Record) error {
	s, err := r.compile()
	if err != nil {
		return err
	}
	return z.change(func(d *zoneData) ([]*recordSet, error) { return d.creating(s) })
}

func (z *HostedZone) upsert(r Record) error {
	s, err := r.compile()
	if err != nil {
		return err
	}
	return z.change(func(d *zoneData) ([]*recordSet, error) { return d.replacing(s) })
}

func (z *HostedZone) report(err error) {
	z.sys.tb.Helper()
	if err != nil {
		z.sys.tb.Fatalf("%v", err)
	}
}
