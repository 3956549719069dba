package dnsfake

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

var dawn = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func rr(t *testing.T, line string) dns.RR {
	t.Helper()
	out, err := dns.NewRR(line)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// How long each kind of answer is kept, and what other questions it answers.
func TestCacheKeeps(t *testing.T) {
	address := step{answer: []dns.RR{rr(t, "www.example.com. 60 IN A 192.0.2.1"), rr(t, "www.example.com. 30 IN A 192.0.2.2")}}
	alias := step{answer: []dns.RR{rr(t, "www.example.com. 60 IN CNAME x.org.")}, next: "x.org."}
	soa := rr(t, "example.com. 900 IN SOA ns. host. 1 7200 900 1209600 86400")
	short := rr(t, "example.com. 900 IN SOA ns. host. 1 7200 900 1209600 20")
	www := question{"www.example.com.", dns.TypeA}
	text := question{"www.example.com.", dns.TypeTXT}
	for _, test := range []struct {
		name  string
		step  step
		keeps time.Duration
		also  bool // answers for TXT of the name too
	}{
		{"the least TTL of a set", address, 30 * time.Second, false},
		{"a CNAME, for every type", alias, time.Minute, true},
		{"NXDOMAIN, for every type", step{rcode: dns.RcodeNameError, soa: soa}, 900 * time.Second, true},
		{"NODATA, for its type", step{soa: soa}, 900 * time.Second, false},
		// RFC 2308 section 5: the lesser of TTL and minimum.
		{"a low SOA minimum", step{soa: short}, 20 * time.Second, false},
		// What proves nothing, or forbids it, is not kept.
		{"no SOA", step{}, 0, false},
		{"TTL 0", step{answer: []dns.RR{rr(t, "www.example.com. 0 IN A 192.0.2.1")}}, 0, false},
	} {
		for _, at := range []time.Duration{0, test.keeps - 1, test.keeps} {
			c := newCache()
			c.put(www, test.step, dawn)
			got, ok := c.get(www, dawn.Add(at))
			if want := at >= 0 && at < test.keeps; ok != want {
				t.Errorf("%s: after %v it is kept: %v, want %v", test.name, at, ok, want)
			}
			if _, also := c.get(text, dawn.Add(at)); also != (ok && test.also) {
				t.Errorf("%s: after %v it answers for TXT: %v", test.name, at, also)
			}
			for _, r := range got.answer {
				if left := (test.keeps - at).Truncate(time.Second); ok && r.Header().Ttl != uint32(left/time.Second) {
					t.Errorf("%s: after %v the TTL is %d, want %v", test.name, at, r.Header().Ttl, left)
				}
			}
		}
	}
}

// The closest zone whose delegation is not over; servers with an address first, silent
// ones last, and the key decides the rest.
func TestCacheServers(t *testing.T) {
	c := newCache()
	c.zones["."] = delegation{zone: "."}
	c.zones["com."] = delegation{zone: "com.", expires: dawn.Add(time.Hour)}
	c.zones["example.com."] = delegation{zone: "example.com.", expires: dawn.Add(time.Minute)}
	for at, want := range map[time.Duration]string{0: "example.com.", time.Minute: "com.", time.Hour: "."} {
		if got := c.closest("a.b.example.com.", dawn.Add(at)).zone; got != want {
			t.Errorf("after %v the closest zone is %s, want %s", at, got, want)
		}
	}
	if got := c.closest("example.org.", dawn).zone; got != "." {
		t.Errorf("for another domain it is %s", got)
	}
	d := delegation{servers: []NameServer{{Name: "bare."}, {"silent.", addr("192.0.2.1")}, {"one.", addr("192.0.2.2")}, {"two.", addr("192.0.2.3")}}}
	c.slow["silent."] = dawn.Add(time.Minute)
	first := map[string]int{}
	for key := range uint64(100) {
		order := c.order(d, key, dawn)
		first[order[0].Name]++
		if order[2].Name != "bare." || order[3].Name != "silent." {
			t.Fatalf("key %d: the order is %v", key, order)
		}
	}
	if first["one."] < 30 || first["two."] < 30 {
		t.Errorf("the first is %v", first)
	}
	if order := c.order(d, 1, dawn.Add(time.Minute)); order[3].Name != "bare." {
		t.Errorf("after a minute the silent one is avoided still: %v", order)
	}
}
