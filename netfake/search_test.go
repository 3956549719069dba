package netfake

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Which absolute names a name stands for, and in which order: resolv.conf(5) and net.
func TestComplete(t *testing.T) {
	cluster := []string{"shop.svc.cluster.local", "svc.cluster.local.", "cluster.local"}
	long := strings.Repeat("a.", 110) + "a"
	for _, row := range []struct {
		list SearchList
		name string
		want string
	}{
		{SearchList{}, "db", "db."},
		{SearchList{}, "db.", "db."},
		// A name of as many dots as ndots is asked for as it is first.
		{SearchList{Domains: []string{"corp.example"}}, "db", "db.corp.example. db."},
		{SearchList{Domains: []string{"corp.example"}}, "db.eu", "db.eu. db.eu.corp.example."},
		{SearchList{Domains: cluster, Ndots: 5}, "db",
			"db.shop.svc.cluster.local. db.svc.cluster.local. db.cluster.local. db."},
		{SearchList{Domains: cluster, Ndots: 5}, "api.example.com",
			"api.example.com.shop.svc.cluster.local. api.example.com.svc.cluster.local. api.example.com.cluster.local. api.example.com."},
		{SearchList{Domains: cluster[2:], Ndots: 5}, "a.b.c.d.e.f", "a.b.c.d.e.f. a.b.c.d.e.f.cluster.local."},
		{SearchList{Domains: cluster[2:], Ndots: 99}, strings.Repeat("a.", 15) + "a",
			strings.Repeat("a.", 15) + "a. " + strings.Repeat("a.", 15) + "a.cluster.local."},
		// A dot at its end makes it absolute.
		{SearchList{Domains: cluster, Ndots: 5}, "api.example.com.", "api.example.com."},
		// What would be too long is left out, and so is what RFC 7686 forbids.
		{SearchList{Domains: []string{strings.Repeat("b.", 20) + "b", "c"}}, long, long + ". " + long + ".c."},
		{SearchList{Domains: []string{"onion", "c"}}, "x", "x.c. x."},
		{SearchList{Domains: []string{"c"}}, "x.onion", "x.onion.c."},
		{SearchList{Domains: []string{"c"}}, "x.onion.", ""},
	} {
		if got := strings.Join(row.list.complete(row.name), " "); got != row.want {
			t.Errorf("%q with %v: %s, want %s", row.name, row.list, got, row.want)
		}
	}
}

// asks runs a name server that answers from a zone, and returns which questions it was
// asked since the last time, each "name type".
func asks(t *testing.T, h *Host, z zone) func() string {
	var asked []string
	serveNames(t, h, func(query []byte, network string, send func([]byte)) {
		var m dnsmessage.Message
		if m.Unpack(query) != nil {
			return
		}
		q := m.Questions[0]
		asked = append(asked, fmt.Sprintf("%v %s", q.Name, strings.TrimPrefix(q.Type.String(), "Type")))
		send(z.answer(query, network))
	})
	return func() string {
		slices.Sort(asked)
		all := strings.Join(asked, ", ")
		asked = nil
		return all
	}
}

// What a search list costs, and finds: one round after another, each of both types.
func TestSearchList(t *testing.T) { Run(t, testSearchList) }

func testSearchList(t *testing.T, w *World) {
	server, client := neighbours(w)
	z := zone{
		"db.svc.cluster.local": {"10.0.0.5"},
		"api.example.com":      {"192.0.2.1"},
		"a.example.com":        {"192.0.2.2"},
		"a.cluster.local":      {},
	}
	asked := asks(t, server, z)
	client.SetResolvers(server.Addr())
	client.SetSearchList(SearchList{Domains: []string{"svc.cluster.local", "cluster.local"}, Ndots: 5})
	const round = 4 * LastMile
	for _, row := range []struct {
		name, found string
		rounds      int
		questions   string
	}{
		{"db", "[10.0.0.5]", 1, "db.svc.cluster.local. A, db.svc.cluster.local. AAAA"},
		{"api.example.com.", "[192.0.2.1]", 1, "api.example.com. A, api.example.com. AAAA"},
		{"api.example.com", "[192.0.2.1]", 3, "api.example.com. A, api.example.com. AAAA, " +
			"api.example.com.cluster.local. A, api.example.com.cluster.local. AAAA, " +
			"api.example.com.svc.cluster.local. A, api.example.com.svc.cluster.local. AAAA"},
		{"nobody", "lookup nobody on 203.0.113.10:53: no such host", 3, "nobody. A, nobody. AAAA, " +
			"nobody.cluster.local. A, nobody.cluster.local. AAAA, nobody.svc.cluster.local. A, nobody.svc.cluster.local. AAAA"},
	} {
		began := w.Now()
		addrs, err := client.LookupNetIP(t.Context(), "ip", row.name)
		found := fmt.Sprint(addrs)
		if err != nil {
			found = err.Error()
		}
		if found != row.found {
			t.Errorf("%s: found %s, want %s", row.name, found, row.found)
		}
		if took := w.Now() - began; took != time.Duration(row.rounds)*round {
			t.Errorf("%s took %v, want %d rounds", row.name, took, row.rounds)
		}
		if got := asked(); got != row.questions {
			t.Errorf("%s: asked for %s\nwant %s", row.name, got, row.questions)
		}
	}
	// Other records are searched for in the same way.
	if _, err := client.LookupTXT(t.Context(), "api"); err == nil {
		t.Error("there is no TXT record, and no error")
	}
	if got, want := asked(), "api. TXT, api.cluster.local. TXT, api.svc.cluster.local. TXT"; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	client.SetSearchList(SearchList{})
	if _, err := client.LookupHost(t.Context(), "db"); err == nil || asked() != "db. A, db. AAAA" {
		t.Errorf("without a search list: %v", err)
	}
}

// A search list that cannot be fails the test.
func TestSearchListRefused(t *testing.T) {
	for want, list := range map[string]SearchList{
		"netfake: host h: ndots of -1":                      {Ndots: -1},
		`netfake: host h: "." is no domain to search in`:    {Domains: []string{"."}},
		`netfake: host h: "a..b" is no domain to search in`: {Domains: []string{"a", "a..b"}},
		`netfake: host h: "" is no domain to search in`:     {Domains: []string{""}},
		`netfake: host h: "10.0" is no domain to search in`: {Domains: []string{"10.0"}},
	} {
		got := fatal(t, func(tb TB) { New(tb, Config{}).NewHost("h", Place{}).SetSearchList(list) })
		if got != want {
			t.Errorf("%v: %q, want %q", list, got, want)
		}
	}
}
