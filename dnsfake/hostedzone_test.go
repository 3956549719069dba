package dnsfake

import (
	"regexp"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

func TestHostedZoneApex(t *testing.T) { instant(t, testHostedZoneApex) }

// A new zone has four servers, one each under com, net, org and co.uk, and the SOA of
// the developer guide.
func testHostedZoneApex(t *testing.T, w *netfake.World, sys *System) {
	zone, client, _ := shop(w, sys)
	shape := regexp.MustCompile(`^ns-\d+\.awsdns-\d\d\.(com|net|org|co\.uk)\.$`)
	tlds := map[string]bool{}
	for _, s := range zone.NameServers() {
		m := shape.FindStringSubmatch(s.Name)
		if m == nil {
			t.Fatalf("a name server is called %s", s.Name)
		}
		tlds[m[1]] = true
		got := dig(t, client, s.Addr, "example.com", NS)
		if got.Status != "NOERROR" || !got.Authoritative || len(got.Answer) != 4 || got.Answer[0].TTL != NameServerTTL {
			t.Errorf("%s says %v", s.Name, got)
		}
		soa := dig(t, client, s.Addr, "example.com", SOA)
		wantReply(t, soa, "NOERROR", "example.com. 900 IN SOA "+zone.NameServers()[0].Name+" awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400")
	}
	if len(tlds) != 4 {
		t.Errorf("the servers are under %v", tlds)
	}
}

func TestHostedZoneRecords(t *testing.T) { instant(t, testHostedZoneRecords) }

// Every kind of record arrives as it was written, whether or not names ended in a dot.
func testHostedZoneRecords(t *testing.T, w *netfake.World, sys *System) {
	zone, client, r := shop(w, sys)
	zone.AAAA("six.example.com.", time.Minute, addr("2001:db8::1"))
	zone.TXT("text.example.com", time.Minute, `v=spf1 "quoted" \ -all`, "two")
	zone.CAA("example.com", time.Minute, `0 issue "amazon.com"`)
	zone.CNAME("*.shops.Example.com", time.Minute, "WWW.example.com")
	zone.Record(Record{Name: "example.com", Type: MX, TTL: time.Hour, Values: []string{"10 mail.example.com"}})
	zone.Record(Record{Name: "_sip._tcp.example.com", Type: SRV, TTL: time.Hour, Values: []string{"1 2 5060 sip.example.com"}})
	for _, test := range []struct {
		name string
		typ  Type
		want []string
	}{
		{"six.example.com", AAAA, []string{"six.example.com. 60 IN AAAA 2001:db8::1"}},
		{"text.example.com", TXT, []string{`text.example.com. 60 IN TXT "v=spf1 \"quoted\" \\ -all"`, `text.example.com. 60 IN TXT "two"`}},
		{"example.com", CAA, []string{`example.com. 60 IN CAA 0 issue "amazon.com"`}},
		{"a.b.shops.example.com", A, []string{"a.b.shops.example.com. 60 IN CNAME www.example.com.", "www.example.com. 60 IN A 192.0.2.1"}},
		{"example.com", MX, []string{"example.com. 3600 IN MX 10 mail.example.com."}},
		{"_sip._tcp.example.com", SRV, []string{"_sip._tcp.example.com. 3600 IN SRV 1 2 5060 sip.example.com."}},
	} {
		wantReply(t, dig(t, client, r.Addr(), test.name, test.typ), append([]string{"NOERROR"}, test.want...)...)
	}
}
