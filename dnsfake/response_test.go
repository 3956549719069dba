package dnsfake

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// message builds a response from lines: flags "aa" or "nx", then records with the
// section's number in front.
func message(t *testing.T, lines ...string) *dns.Msg {
	t.Helper()
	m := &dns.Msg{}
	for _, line := range lines {
		switch line {
		case "aa":
			m.Authoritative = true
			continue
		case "nx":
			m.Rcode = dns.RcodeNameError
			continue
		case "refused":
			m.Rcode = dns.RcodeRefused
			continue
		}
		rr, err := dns.NewRR(line[2:])
		if err != nil {
			t.Fatal(err)
		}
		section := map[byte]*[]dns.RR{'1': &m.Answer, '2': &m.Ns, '3': &m.Extra}[line[0]]
		*section = append(*section, rr)
	}
	return m
}

func TestJudge(t *testing.T) {
	q := question{"www.example.com.", dns.TypeA}
	const soa = "2 example.com. 900 IN SOA ns. host. 1 7200 900 1209600 86400"
	for _, test := range []struct {
		name  string
		zone  string
		lines []string
		want  verdict
		next  string // the CNAME's target or the zone below
		n     int    // records taken, or servers with an address
	}{
		{"an answer", "example.com.", []string{"aa", "1 www.example.com. 60 IN A 192.0.2.1"}, answered, "", 1},
		{"a CNAME leads on, and what it leads to is asked again", "example.com.", []string{"aa", "1 www.example.com. 60 IN CNAME x.org.", "1 x.org. 60 IN A 192.0.2.66"}, answered, "x.org.", 1},
		{"no such name", "example.com.", []string{"aa", "nx", soa}, answered, "", 0},
		{"no such type", "example.com.", []string{"aa", soa}, answered, "", 0},
		{"a referral", "com.", []string{"2 example.com. 60 IN NS ns.example.com.", "3 ns.example.com. 60 IN A 192.0.2.53"}, referred, "example.com.", 1},
		{"glue from outside the zone counts for nothing", "com.", []string{"2 example.com. 60 IN NS ns.bank.org.", "3 ns.bank.org. 60 IN A 192.0.2.66"}, referred, "example.com.", 0},
		// What no resolver may follow.
		{"a refusal", "example.com.", []string{"refused"}, lame, "", 0},
		{"a server that has no authority", "example.com.", []string{"1 www.example.com. 60 IN A 192.0.2.1"}, lame, "", 0},
		{"a referral upwards", "example.com.", []string{"2 com. 60 IN NS a.gtld-servers.net."}, lame, "", 0},
		{"a referral in a circle", "example.com.", []string{"2 example.com. 60 IN NS ns.example.com."}, lame, "", 0},
		{"a referral sideways", "com.", []string{"2 example.org. 60 IN NS ns.example.org."}, lame, "", 0},
		{"an answer of another name", "example.com.", []string{"aa", "1 bank.example.com. 60 IN A 192.0.2.66"}, answered, "", 0},
	} {
		v, st, d := judge(message(t, test.lines...), q, test.zone)
		next, n := st.next+d.zone, len(st.answer)
		for _, s := range d.servers {
			if s.Addr.IsValid() {
				n++
			}
		}
		if v != test.want || next != test.next || n != test.n {
			t.Errorf("%s: verdict %d, next %q, %d taken; want %d, %q, %d", test.name, v, next, n, test.want, test.next, test.n)
		}
	}
	nx := message(t, "aa", "nx", strings.Replace(soa, "2 example.com.", "2 bank.org.", 1))
	if _, st, _ := judge(nx, q, "example.com."); st.soa != nil {
		t.Error("another zone's SOA says how long a name is not there")
	}
}

// A resolver believes no response that is hostile: judging one never fails, and what it
// takes over is from within the zone that was asked.
func FuzzJudge(f *testing.F) {
	s := testServer(f)
	for _, name := range []string{"www.example.com.", "x.dev.example.com.", "alias.example.com.", "none.example.com."} {
		b, _ := newQuery(question{name, dns.TypeA}, 1).Pack()
		f.Add(s.handle(b, datagram), name)
	}
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		m := new(dns.Msg)
		if _, ok := dns.IsDomainName(name); !ok || m.Unpack(b) != nil {
			return
		}
		q := question{canonical(name), dns.TypeA}
		v, st, next := judge(m, q, "example.com.")
		for _, rr := range st.answer {
			if canonical(rr.Header().Name) != q.name {
				t.Fatalf("asked for %s, took %v", q.name, rr)
			}
		}
		if v == referred && (next.zone == "example.com." || !within(next.zone, "example.com.") || !within(q.name, next.zone)) {
			t.Fatalf("asked for %s, sent to %s", q.name, next.zone)
		}
		for _, server := range next.servers {
			if server.Addr.IsValid() && !within(server.Name, "example.com.") {
				t.Fatalf("took the address of %s from example.com", server.Name)
			}
		}
	})
}
