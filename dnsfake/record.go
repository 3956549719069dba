package dnsfake

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Type is a DNS record type, as IANA numbers them.
type Type uint16

// The record types that a hosted zone takes. NS at the apex and SOA come with the zone.
const (
	A     = Type(dns.TypeA)
	AAAA  = Type(dns.TypeAAAA)
	CAA   = Type(dns.TypeCAA)
	CNAME = Type(dns.TypeCNAME)
	MX    = Type(dns.TypeMX)
	NS    = Type(dns.TypeNS)
	PTR   = Type(dns.TypePTR)
	SOA   = Type(dns.TypeSOA)
	SRV   = Type(dns.TypeSRV)
	TXT   = Type(dns.TypeTXT)
)

// String returns the type's mnemonic, or TYPE and its number as RFC 3597 writes it.
func (t Type) String() string {
	if s, ok := dns.TypeToString[uint16(t)]; ok {
		return s
	}
	return fmt.Sprintf("TYPE%d", uint16(t))
}

func (t Type) allowed() bool {
	switch t {
	case A, AAAA, CAA, CNAME, MX, NS, PTR, SRV, TXT:
		return true
	}
	return false
}

// Record is one resource record set, as ChangeResourceRecordSets takes it.
type Record struct {
	Name string // fully qualified; the last dot may be left off
	Type Type   // if 0, A

	// TTL is how long resolvers may keep the answer: whole seconds, from 0 to
	// 2147483647. An alias has none of its own.
	TTL time.Duration

	// Values are the records' data, in the notation of zone files: "192.0.2.1", "10
	// mail.example.com", "\"quoted text\"". At most 400; none for an alias.
	Values []string

	// Alias, if not nil, answers with what its target has, in place of Values.
	Alias *Alias

	// Failover makes the set one half of a pair. If it is Simple, the set stands alone
	// under its name and type.
	Failover FailoverRole

	// SetIdentifier tells the halves of a pair apart, in 1 to 128 characters. It is for
	// Failover only, and required there.
	SetIdentifier string

	// HealthCheck, if not nil, decides whether a failover record counts as healthy.
	HealthCheck *HealthCheck
}

// recordSet is a Record that has been found good.
type recordSet struct {
	name  string
	typ   uint16
	ttl   uint32
	rrs   []dns.RR
	alias *Alias
	role  FailoverRole
	id    string
	check *HealthCheck
}

// maxValues is how many values a simple record set holds (Route 53 quotas).
const maxValues = 400

// compile turns a Record into what a zone keeps, or says what is wrong with it.
func (r Record) compile() (*recordSet, error) {
	if r.Type == 0 {
		r.Type = A
	}
	if err := checkName(r.Name); err != nil {
		return nil, err
	}
	if !r.Type.allowed() {
		return nil, inputError("%s: records of type %v cannot be made", r.Name, r.Type)
	}
	if err := r.checkRouting(); err != nil {
		return nil, err
	}
	s := &recordSet{
		name: canonical(r.Name), typ: uint16(r.Type),
		alias: r.Alias, role: r.Failover, id: r.SetIdentifier, check: r.HealthCheck,
	}
	if r.Alias != nil {
		return s, r.checkAlias()
	}
	if len(r.Values) == 0 {
		return nil, r.notOneSource("none")
	}
	if r.TTL < 0 || r.TTL%time.Second != 0 || r.TTL > math.MaxInt32*time.Second {
		return nil, inputError("%s: a TTL of %v is not between 0 and 2147483647 whole seconds", r.Name, r.TTL)
	}
	s.ttl = uint32(r.TTL / time.Second)
	return s, r.parseValues(s)
}

// notOneSource is the API's complaint about a set with neither values nor an alias, or
// with both.
func (r Record) notOneSource(found string) error {
	id := r.SetIdentifier
	if id == "" {
		id = "null"
	}
	return inputError("Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], "+
		"or TrafficPolicyInstanceId], but found %s in Change with [Action=CREATE, Name=%s, Type=%v, SetIdentifier=%s]",
		found, r.Name, r.Type, id)
}

func (r Record) checkRouting() error {
	switch {
	case r.Failover == Simple && r.SetIdentifier != "":
		return inputError("%s: a simple record has no SetIdentifier", r.Name)
	case r.Failover == Simple && r.HealthCheck != nil:
		return inputError("%s: a simple record has no health check here: it would change nothing", r.Name)
	case r.Failover != Simple && (r.SetIdentifier == "" || len(r.SetIdentifier) > 128):
		return inputError("%s: a failover record needs a SetIdentifier of 1 to 128 characters", r.Name)
	case r.Failover > Secondary:
		return inputError("%s: Failover is PRIMARY or SECONDARY", r.Name)
	case r.Failover != Simple && r.Type == NS:
		return inputError("%s: NS records take simple routing only", r.Name)
	}
	return nil
}

// parseValues reads the values into records. The parser of zone files is given one line
// a value, so a value cannot smuggle in a second record.
func (r Record) parseValues(s *recordSet) error {
	if len(r.Values) > maxValues {
		return inputError("%s: %d values, and the limit is %d", r.Name, len(r.Values), maxValues)
	}
	if r.Type == CNAME && len(r.Values) > 1 {
		return changeError("RRSet of type CNAME with DNS name %s has %d values, and may have one", shown(s.name), len(r.Values))
	}
	seen := map[string]bool{}
	for _, value := range r.Values {
		rr, err := parseValue(s, r.Type, value)
		if err != nil {
			return err
		}
		if seen[rr.String()] {
			return changeError("Duplicate Resource Record: '%s'", value)
		}
		seen[rr.String()] = true
		s.rrs = append(s.rrs, rr)
	}
	return nil
}

func parseValue(s *recordSet, typ Type, value string) (dns.RR, error) {
	if strings.ContainsAny(value, "\n\r") {
		return nil, changeError("Invalid Resource Record: '%q' spans lines", value)
	}
	if typ == A || typ == AAAA {
		return parseAddr(s, typ, value)
	}
	rr, err := dns.NewRR(fmt.Sprintf("%s %d IN %v %s", s.name, s.ttl, typ, value))
	if err != nil || rr == nil {
		return nil, changeError("Invalid Resource Record: '%s' is no value of type %v", value, typ)
	}
	lowerTarget(rr)
	return rr, nil
}

func parseAddr(s *recordSet, typ Type, value string) (dns.RR, error) {
	addr, err := netip.ParseAddr(value)
	switch {
	case typ == A && (err != nil || !addr.Is4()):
		return nil, changeError("Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) encountered with '%s''", value)
	case typ == AAAA && (err != nil || !addr.Is6() || addr.Is4In6() || addr.Zone() != ""):
		return nil, changeError("Invalid Resource Record: 'FATAL problem: AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address) encountered with '%s''", value)
	}
	return addrRecord(s.name, addr, s.ttl), nil
}

// lowerTarget makes the name that a record points to fully qualified, as Route 53 does
// whether or not it ends in a dot, and lower case.
func lowerTarget(rr dns.RR) {
	switch rr := rr.(type) {
	case *dns.CNAME:
		rr.Target = canonical(rr.Target)
	case *dns.NS:
		rr.Ns = canonical(rr.Ns)
	case *dns.PTR:
		rr.Ptr = canonical(rr.Ptr)
	case *dns.MX:
		rr.Mx = canonical(rr.Mx)
	case *dns.SRV:
		rr.Target = canonical(rr.Target)
	}
}

// addrRecord returns the A or AAAA record of an address.
func addrRecord(name string, addr netip.Addr, ttl uint32) dns.RR {
	if addr.Is4() {
		return &dns.A{Hdr: header(name, dns.TypeA, ttl), A: addr.AsSlice()}
	}
	return &dns.AAAA{Hdr: header(name, dns.TypeAAAA, ttl), AAAA: addr.AsSlice()}
}

func nsRecord(name, server string, ttl uint32) dns.RR {
	return &dns.NS{Hdr: header(name, dns.TypeNS, ttl), Ns: server}
}

func header(name string, typ uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: typ, Class: dns.ClassINET, Ttl: ttl}
}

// quote writes a text as a value of type TXT.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
