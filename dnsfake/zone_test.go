package dnsfake

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// testZone builds zone data from lines "name type value", with names relative to
// example.com and a TTL of 60 s.
func testZone(t testing.TB, lines ...string) *zoneData {
	t.Helper()
	servers := []NameServer{{Name: "ns.example.net."}}
	d := buildZone("example.com.", apexRecords("example.com.", servers))
	for _, line := range lines {
		f := strings.SplitN(line, " ", 3)
		typ := Type(dns.StringToType[f[1]])
		s, err := Record{Name: strings.TrimPrefix(f[0]+".example.com", "@."), Type: typ, TTL: time.Minute, Values: strings.Split(f[2], "|")}.compile()
		if err != nil {
			t.Fatal(err)
		}
		sets, err := d.creating(s)
		if err != nil {
			t.Fatal(err)
		}
		d = buildZone("example.com.", sets)
	}
	return d
}

// show writes a lookup's result as "finding: answer / authority / additional".
func show(r lookupResult) string {
	section := func(rrs []dns.RR) string {
		var parts []string
		for _, rr := range rrs {
			h := rr.Header()
			value := strings.TrimPrefix(rr.String(), h.String())
			if h.Rrtype == dns.TypeSOA {
				value = fmt.Sprint(h.Ttl)
			}
			name := strings.TrimSuffix(strings.TrimSuffix(h.Name, "example.com."), ".")
			parts = append(parts, fmt.Sprintf("%s %v %s", name, Type(h.Rrtype), value))
		}
		return strings.Join(parts, ", ")
	}
	finding := [...]string{"NXDOMAIN", "NODATA", "found", "referral"}[r.finding]
	return strings.TrimRight(fmt.Sprintf("%s: %s / %s / %s", finding, section(r.answer), section(r.authority), section(r.additional)), " /")
}

func TestLookup(t *testing.T) {
	d := testZone(t,
		"www A 192.0.2.1", "www TXT \"hello\"",
		"alias CNAME www.example.com", "far CNAME www.example.org", "dangling CNAME gone.example.com",
		"loop1 CNAME loop2.example.com", "loop2 CNAME loop1.example.com",
		"deep.er.sub A 192.0.2.2",
		"*.wild A 192.0.2.3", "there.wild TXT \"x\"", "b.a.wild TXT \"y\"",
		"dev NS ns1.dev.example.com|ns.example.net", "ns1.dev A 192.0.2.4", "hidden.dev A 192.0.2.5",
		"@ MX 10 mail.example.com", "mail A 192.0.2.6",
	)
	const ns, soa = " NS ns.example.net.", " SOA 900"
	for _, test := range []struct {
		name string
		typ  Type
		want string
	}{
		// A positive answer carries the zone's NS set in the authority section (DNSBehavior).
		{"www", A, "found: www A 192.0.2.1 / " + ns},
		{"www", TXT, `found: www TXT "hello" / ` + ns},
		{"@", NS, "found: " + ns},
		// Additional: addresses of what MX, NS and SRV records point to, when known
		// (DNSBehavior).
		{"@", MX, "found:  MX 10 mail.example.com. / " + ns + " / mail A 192.0.2.6"},
		// NXDOMAIN: no record of any type at the name, and none below it; SOA in
		// authority with min(SOA TTL, minimum) (SOA-NSrecords; RFC 2308).
		{"nothing", A, "NXDOMAIN:  / " + soa},
		{"x.www", A, "NXDOMAIN:  / " + soa},
		// NODATA: the name is there, the type is not.
		{"www", AAAA, "NODATA:  / " + soa},
		// An empty non-terminal exists.
		{"sub", A, "NODATA:  / " + soa},
		{"er.sub", A, "NODATA:  / " + soa},
		{"deep.er.sub", A, "found: deep.er.sub A 192.0.2.2 / " + ns},
		// A CNAME answers for every type and is followed within the zone (RFC 1034 4.3.2).
		{"alias", A, "found: alias CNAME www.example.com., www A 192.0.2.1 / " + ns},
		{"alias", CNAME, "found: alias CNAME www.example.com. / " + ns},
		{"alias", AAAA, "NODATA: alias CNAME www.example.com. / " + soa},
		{"far", A, "found: far CNAME www.example.org. / " + ns},
		{"dangling", A, "NXDOMAIN: dangling CNAME gone.example.com. / " + soa},
		// A wildcard matches at any depth where nothing exists on the way (DomainNameFormat).
		{"a.b.c.wild", A, "found: a.b.c.wild A 192.0.2.3 / " + ns},
		{"x.wild", TXT, "NODATA:  / " + soa},
		// It does not match its own parent, and an explicit name wins for every type.
		{"wild", A, "NODATA:  / " + soa},
		{"there.wild", A, "NODATA:  / " + soa},
		{"a.wild", A, "NODATA:  / " + soa},
		{"c.a.wild", A, "NXDOMAIN:  / " + soa},
		// Asked for by its own name, it is a name like any other.
		{"*.wild", A, "found: *.wild A 192.0.2.3 / " + ns},
		// At and below a delegation the answer is a referral with glue, never the
		// zone's own data.
		{"dev", A, "referral:  / dev NS ns1.dev.example.com., dev NS ns.example.net. / ns1.dev A 192.0.2.4"},
		{"dev", NS, "referral:  / dev NS ns1.dev.example.com., dev NS ns.example.net. / ns1.dev A 192.0.2.4"},
		{"hidden.dev", A, "referral:  / dev NS ns1.dev.example.com., dev NS ns.example.net. / ns1.dev A 192.0.2.4"},
		{"no.such.dev", A, "referral:  / dev NS ns1.dev.example.com., dev NS ns.example.net. / ns1.dev A 192.0.2.4"},
		// DS belongs to the parent's side of the cut (RFC 4035 section 2.4).
		{"dev", Type(dns.TypeDS), "NODATA:  / " + soa},
		// ANY gives every set of the name.
		{"www", Type(dns.TypeANY), `found: www A 192.0.2.1, www TXT "hello" / ` + ns},
	} {
		name := strings.TrimPrefix(test.name+".example.com.", "@.")
		if got := show(d.lookup(name, uint16(test.typ))); got != test.want {
			t.Errorf("%s %v\n got %q\nwant %q", test.name, test.typ, got, test.want)
		}
	}
}

func TestLookupCNAMELoopEnds(t *testing.T) {
	d := testZone(t, "a CNAME b.example.com", "b CNAME a.example.com")
	if got := len(d.lookup("a.example.com.", dns.TypeA).answer); got != maxCNAMEs {
		t.Errorf("a loop of CNAMEs gives %d records, want %d", got, maxCNAMEs)
	}
}

// oracle answers by going through all the records of a zone again for every question,
// with the definitions of RFC 1034 and 4592 written down as they are.
type oracle struct{ sets []*recordSet }

func (o oracle) at(name string, typ uint16) *recordSet {
	for _, s := range o.sets {
		if s.name == name && s.typ == typ {
			return s
		}
	}
	return nil
}

func (o oracle) exists(name string) bool {
	return slices.ContainsFunc(o.sets, func(s *recordSet) bool { return strings.HasSuffix("."+s.name, "."+name) })
}

func (o oracle) find(name string, typ uint16) string {
	const apex = "example.com."
	below := strings.TrimSuffix(name, apex)
	labels := strings.Split(strings.TrimSuffix(below, "."), ".")
	for i := len(labels) - 1; i >= 0 && below != ""; i-- {
		if cut := strings.Join(labels[i:], ".") + "." + apex; o.at(cut, dns.TypeNS) != nil {
			return "referral " + cut
		}
	}
	source := name
	for i := 0; !o.exists(source) && i < len(labels); i++ {
		encloser := apex
		if i+1 < len(labels) {
			encloser = strings.Join(labels[i+1:], ".") + "." + apex
		}
		if o.exists(encloser) {
			source = "*." + encloser
			break
		}
	}
	switch {
	case !o.exists(source):
		return "NXDOMAIN"
	case o.at(source, typ) != nil:
		return "found"
	case o.at(source, dns.TypeCNAME) != nil:
		return "CNAME"
	}
	return "NODATA"
}

// For every zone and question, the lookup's kind of answer is the oracle's.
func TestLookupAgreesWithOracle(t *testing.T) { rapid.Check(t, checkLookup) }

func checkLookup(t *rapid.T) {
	label := rapid.SampledFrom([]string{"a", "b", "*", "ns"})
	name := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(label, 0, 4).Draw(t, "labels"), ".") + ".example.com."
	})
	d := buildZone("example.com.", apexRecords("example.com.", []NameServer{{Name: "ns.example.net."}}))
	for range rapid.IntRange(0, 8).Draw(t, "records") {
		r := Record{Name: strings.TrimPrefix(name.Draw(t, "name"), ".")}
		switch rapid.IntRange(0, 3).Draw(t, "type") {
		case 0:
			r.Type, r.Values = A, []string{"192.0.2.1"}
		case 1:
			r.Type, r.Values = TXT, []string{`"x"`}
		case 2:
			r.Type, r.Values = CNAME, []string{"elsewhere.example.org"}
		case 3:
			r.Type, r.Values = NS, []string{"ns.example.org"}
		}
		s, err := r.compile()
		if err != nil {
			t.Fatal(err)
		}
		if sets, err := d.creating(s); err == nil {
			d = buildZone("example.com.", sets)
		}
	}
	asked := strings.TrimPrefix(name.Draw(t, "asked"), ".")
	typ := rapid.SampledFrom([]uint16{dns.TypeA, dns.TypeTXT, dns.TypeMX}).Draw(t, "asked type")

	got := d.lookup(asked, typ)
	kind := [...]string{"NXDOMAIN", "NODATA", "found", "referral"}[got.finding]
	switch {
	case kind == "referral":
		kind += " " + got.authority[0].Header().Name
	case kind == "found" && got.answer[0].Header().Rrtype == dns.TypeCNAME:
		kind = "CNAME"
	}
	if want := (oracle{d.sets}).find(asked, typ); kind != want {
		t.Fatalf("%s %v: %s, want %s; the zone has %v", asked, Type(typ), kind, want, names(d))
	}
}

func names(d *zoneData) []string {
	var out []string
	for _, s := range d.sets {
		out = append(out, s.name+" "+Type(s.typ).String())
	}
	sort.Strings(out)
	return out
}
