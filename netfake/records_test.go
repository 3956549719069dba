package netfake

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// recordServer answers for records of other types than addresses.
func recordServer(q dnsmessage.Message, _ string) []dnsmessage.Message {
	m := respond(q)
	name, typ := q.Questions[0].Name, q.Questions[0].Type
	add := func(owner string, bodies ...dnsmessage.ResourceBody) {
		for _, body := range bodies {
			head := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(owner), Class: dnsmessage.ClassINET, TTL: 60}
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: body})
		}
	}
	to := dnsmessage.MustNewName
	key, _, _ := strings.Cut(name.String(), ".")
	switch {
	case key == "alias":
		add("alias.example.", &dnsmessage.CNAMEResource{CNAME: to("next.example.")})
		if typ != dnsmessage.TypeCNAME {
			add("next.example.", &dnsmessage.CNAMEResource{CNAME: to("last.example.")})
		}
		if typ == dnsmessage.TypeA {
			add("last.example.", &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}})
		}
		if typ == dnsmessage.TypeTXT {
			add("last.example.", &dnsmessage.TXTResource{TXT: []string{"over ", "there"}})
		}
	case key == "single":
		add("single.example.", &dnsmessage.CNAMEResource{CNAME: to("last.example.")})
		if typ == dnsmessage.TypeA {
			add("last.example.", &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}})
		}
	case key == "dangling" && typ == dnsmessage.TypeCNAME:
		add("dangling.example.", &dnsmessage.CNAMEResource{CNAME: to("nowhere.example.")})
	case key == "evil" && typ == dnsmessage.TypeCNAME:
		add("evil.example.", &dnsmessage.CNAMEResource{CNAME: to("<script>.example.")})
	case key == "plain" && typ == dnsmessage.TypeAAAA:
		add("plain.example.", &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::1").As16()})
	case key == "text" && typ == dnsmessage.TypeTXT:
		add("text.example.", &dnsmessage.TXTResource{TXT: []string{"v=spf1 ", "-all"}}, &dnsmessage.TXTResource{TXT: []string{""}})
	case key == "mail" && typ == dnsmessage.TypeMX:
		add("mail.example.", &dnsmessage.MXResource{Pref: 20, MX: to("b.example.")}, &dnsmessage.MXResource{Pref: 10, MX: to("a.example.")})
	case key == "badmail" && typ == dnsmessage.TypeMX:
		add("badmail.example.", &dnsmessage.MXResource{Pref: 3, MX: to("<b>.example.")}, &dnsmessage.MXResource{Pref: 2, MX: to("192.0.2.25.")})
	case key == "zone" && typ == dnsmessage.TypeNS:
		add("zone.example.", &dnsmessage.NSResource{NS: to("ns1.example.")}, &dnsmessage.NSResource{NS: to("-.example.")})
	case key == "_sip" && typ == dnsmessage.TypeSRV:
		add(name.String(), &dnsmessage.SRVResource{Priority: 2, Port: 5060, Target: to("far.example.")},
			&dnsmessage.SRVResource{Priority: 1, Weight: 5, Port: 5061, Target: to("near.example.")})
	case key == "1" && typ == dnsmessage.TypePTR:
		add(name.String(), &dnsmessage.PTRResource{PTR: to("host.example.")})
	default:
		m.RCode = dnsmessage.RCodeNameError
	}
	return []dnsmessage.Message{m}
}

// Every lookup gives what net's own resolver gives, when both ask one server.
func TestRecordParity(t *testing.T) {
	w := New(t, Config{Instant: true})
	server, client := neighbours(w)
	serveScript(t, server, recordServer)
	client.SetResolvers(server.Addr())
	theirs := netResolver(client, server)
	both := map[string]interface {
		LookupCNAME(ctx context.Context, name string) (string, error)
		LookupTXT(ctx context.Context, name string) ([]string, error)
		LookupMX(ctx context.Context, name string) ([]*net.MX, error)
		LookupNS(ctx context.Context, name string) ([]*net.NS, error)
		LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
		LookupAddr(ctx context.Context, addr string) ([]string, error)
		LookupHost(ctx context.Context, name string) ([]string, error)
	}{"net": theirs, "netfake": client}
	said := map[string][]string{}
	for who, r := range both {
		say := func(what string, found any, err error) {
			said[who] = append(said[who], what+": "+outcome(found, err))
		}
		for _, name := range []string{"single.example.", "dangling.example.", "plain.example.", "evil.example.", "nobody.example.", "a..b"} {
			found, err := r.LookupCNAME(t.Context(), name)
			say("CNAME "+name, found, err)
		}
		for _, name := range []string{"text.example.", "alias.example.", "plain.example.", "nobody.example.", "a..b", ""} {
			found, err := r.LookupTXT(t.Context(), name)
			say("TXT "+name, found, err)
		}
		for _, name := range []string{"mail.example.", "badmail.example.", "nobody.example."} {
			found, err := r.LookupMX(t.Context(), name)
			say("MX "+name, deref(found), err)
		}
		for _, name := range []string{"zone.example.", "nobody.example."} {
			found, err := r.LookupNS(t.Context(), name)
			say("NS "+name, deref(found), err)
		}
		for _, service := range []string{"sip", "none"} {
			owner, found, err := r.LookupSRV(t.Context(), service, "tcp", "example.")
			say("SRV "+service+" "+owner, deref(found), err)
		}
		owner, found, err := r.LookupSRV(t.Context(), "", "", "_sip._tcp.example.")
		say("SRV "+owner, deref(found), err)
		for _, addr := range []string{"192.0.2.1", "2001:db8::1", "192.0.2.2", "::ffff:192.0.2.1", "nonsense"} {
			found, err := r.LookupAddr(t.Context(), addr)
			say("PTR "+addr, found, err)
		}
		for _, name := range []string{"alias.example.", "192.0.2.7", "::1", "nobody.example.", ""} {
			found, err := r.LookupHost(t.Context(), name)
			say("host "+name, found, err)
		}
	}
	for i, want := range said["net"] {
		if got := said["netfake"][i]; got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
}

func deref[T any](all []*T) []T {
	var plain []T
	for _, p := range all {
		plain = append(plain, *p)
	}
	return plain
}

// Records of one priority come by lot, as their weights are: the lots of one seed are the
// same in every run, and over many lookups each gets its share.
func TestServiceWeights(t *testing.T) { Run(t, testServiceWeights) }

func testServiceWeights(t *testing.T, w *World) {
	first := map[string]int{}
	lots := w.Internet().Host("client", "198.51.100.20").lots("srv", "a")
	for range 4000 {
		all := []*net.SRV{{Target: "b", Weight: 3}, {Target: "last", Priority: 1, Weight: 9}, {Target: "a", Weight: 1}, {Target: "never", Weight: 0}}
		sortSRV(all, lots)
		if all[3].Target != "last" || slices.ContainsFunc(all[:3], func(s *net.SRV) bool { return s.Priority != 0 }) {
			t.Fatalf("the priority does not count: %v", deref(all))
		}
		first[all[0].Target]++
	}
	if first["never"] != 0 || first["a"] < 900 || first["a"] > 1100 || first["a"]+first["b"] != 4000 {
		t.Errorf("first of 4000: %v; want about 1000 a and 3000 b", fmt.Sprint(first))
	}
}
