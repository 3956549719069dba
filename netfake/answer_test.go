package netfake

import (
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// A stub resolver reads whatever a server sends: it believes what repeats the number and the
// question of its query, and what it takes from that begins with a record of the type that
// was asked for.
func FuzzAnswer(f *testing.F) {
	q := &query{search: &search{fqdn: dnsmessage.MustNewName("www.example.com.")}, typ: dnsmessage.TypeA, id: 7}
	header := dnsmessage.ResourceHeader{Name: q.fqdn, Class: dnsmessage.ClassINET, TTL: 60}
	a := dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: netip.MustParseAddr("203.0.113.1").As4()}}
	alias := dnsmessage.Resource{Header: header, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("web.example.com.")}}
	text := dnsmessage.Resource{Header: header, Body: &dnsmessage.TXTResource{TXT: []string{"v=1", ""}}}
	var edns dnsmessage.ResourceHeader
	edns.SetEDNS0(largestAnswer, 1<<4, true) // bad version
	opt := dnsmessage.Resource{Header: edns, Body: &dnsmessage.OPTResource{Options: []dnsmessage.Option{{Code: 10, Data: []byte("cookie")}}}}
	for _, m := range []dnsmessage.Message{
		{Answers: []dnsmessage.Resource{alias, a}},
		{Answers: []dnsmessage.Resource{a, text}, Additionals: []dnsmessage.Resource{opt}},
		{Answers: []dnsmessage.Resource{text}, Authorities: []dnsmessage.Resource{alias}},
		{Header: dnsmessage.Header{RCode: dnsmessage.RCodeNameError}},
		{Header: dnsmessage.Header{Truncated: true}},
		{},
	} {
		m.ID, m.Response, m.Questions = q.id, true, []dnsmessage.Question{q.question()}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		if _, err := q.read(b); err != nil {
			f.Fatalf("%v is no answer: %v", m, err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := q.read(b)
		if err != nil {
			return
		}
		if !a.header.Response || a.header.ID != q.id {
			t.Fatalf("believed %v", a.header)
		}
		if a.alone() != nil {
			return
		}
		records, err := a.judge(q.typ)
		if (err == nil) != (len(records) > 0) || err == nil && records[0].Header.Type != q.typ {
			t.Fatalf("took %v, %v", records, err)
		}
		for _, addr := range (finding{records: records}).addrs() {
			if !addr.IsValid() || addr.Is4In6() {
				t.Fatalf("took the address %v", addr)
			}
		}
	})
}
