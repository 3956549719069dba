package dnsfake

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/netspec-go/netspec/netfake"
)

func TestNameServersAreFound(t *testing.T) { instant(t, testNameServersAreFound) }

// The name servers' own names resolve by iteration too, for many zones.
func testNameServersAreFound(t *testing.T, w *netfake.World, sys *System) {
	_, client, r := shop(w, sys)
	for _, domain := range []string{"one.com", "two.net", "three.org", "four.co.uk", "five.online", "six.com.au", "seven.aws"} {
		zone := sys.HostedZone(domain)
		sys.Register(domain, zone)
		zone.A(domain, time.Minute, addr("192.0.2.77"))
		for _, s := range zone.NameServers() {
			wantReply(t, dig(t, client, r.Addr(), s.Name, A), "NOERROR", s.Name+" 172800 IN A "+s.Addr.String())
		}
		wantReply(t, dig(t, client, r.Addr(), domain, A), "NOERROR", domain+". 60 IN A 192.0.2.77")
	}
	wantAt(t, w, 0)
}

func TestReferrals(t *testing.T) { instant(t, testReferrals) }

// The root and a registry send on, with glue for what lies below them.
func testReferrals(t *testing.T, w *netfake.World, sys *System) {
	zone, client, _ := shop(w, sys)
	root := dig(t, client, addr(RootServerAddr), "www.example.com", A)
	if diff := cmp.Diff("com. 172800 IN NS a.gtld-servers.net.\n", lines(root.Authority)); diff != "" || root.Authoritative {
		t.Error(root.Authoritative, diff)
	}
	if diff := cmp.Diff("a.gtld-servers.net. 172800 IN A 192.5.6.30\n", lines(root.Additional)); diff != "" {
		t.Error(diff)
	}
	com := dig(t, client, root.addrs()[0], "www.example.com", A)
	if len(com.Authority) != 4 || com.Authority[0].Name != "example.com." {
		t.Errorf("com says\n%s", lines(com.Authority))
	}
	first := zone.NameServers()[0]
	if diff := cmp.Diff(first.Name+" 172800 IN A "+first.Addr.String()+"\n", lines(com.Additional)); diff != "" {
		t.Errorf("only the server under com has glue there:\n%s", diff)
	}
	wantReply(t, dig(t, client, addr("192.5.6.30"), "none.com", A), "NXDOMAIN")
	wantReply(t, dig(t, client, addr(RootServerAddr), "www.example.nosuchtld", A), "NXDOMAIN")
	wantReply(t, dig(t, client, addr(RootServerAddr), ".", NS), "NOERROR", ". 172800 IN NS a.root-servers.net.")
}

// addrs returns the addresses in the additional section.
func (r *Reply) addrs() []netip.Addr {
	var out []netip.Addr
	for _, a := range r.Additional {
		out = append(out, netip.MustParseAddr(a.Value))
	}
	return out
}

func TestProvide(t *testing.T) { instant(t, testProvide) }

// A load balancer's name resolves to the addresses that it has at the time.
func testProvide(t *testing.T, w *netfake.World, sys *System) {
	_, client, r := shop(w, sys)
	lb := &target{name: "web-1234567890.ap-southeast-2.elb.amazonaws.com", addrs: []netip.Addr{addr("192.0.2.20")}}
	undo := sys.Provide(lb)
	wantReply(t, dig(t, client, r.Addr(), lb.name, A), "NOERROR", lb.name+". 60 IN A 192.0.2.20")
	lb.addrs = []netip.Addr{addr("192.0.2.21")}
	w.Sleep(time.Minute)
	wantReply(t, dig(t, client, r.Addr(), lb.name, A), "NOERROR", lb.name+". 60 IN A 192.0.2.21")
	undo()
	undo()
	w.Sleep(time.Minute)
	wantReply(t, dig(t, client, r.Addr(), lb.name, A), "NXDOMAIN")
}

// What a test's author may get wrong fails the test.
func TestBadInput(t *testing.T) {
	for _, test := range []struct {
		want string
		f    func(sys *System)
	}{
		{"InvalidDomainName", func(sys *System) { sys.HostedZone("") }},
		{"InvalidDomainName", func(sys *System) { sys.HostedZone("*.example.com") }},
		{"InvalidDomainName", func(sys *System) { sys.HostedZone("a..b") }},
		{"www.example.com is not a name directly below a registry such as com", func(sys *System) { sys.Register("www.example.com", sys.HostedZone("example.com")) }},
		{"co.uk is not a name directly below", func(sys *System) { sys.Deregister("co.uk") }},
		{"com is not a name directly below", func(sys *System) { sys.Deregister("com") }},
		{"needs name servers", func(sys *System) { sys.Delegate("example.com") }},
		{"not a name below a provider's domain", func(sys *System) { sys.Provide(&target{name: "amazonaws.com"}) }},
		{"not a name below a provider's domain", func(sys *System) { sys.Provide(&target{}) }},
		{"there is no host", func(sys *System) { sys.ResolverOn(nil) }},
		{"there is no target", func(sys *System) { sys.Provide(nil) }},
		{"there is no hosted zone", func(sys *System) { sys.Register("example.com", nil) }},
		{"Tried to create an alias", func(sys *System) {
			z := sys.HostedZone("example.com")
			z.Alias("a.example.com", z.Target("b.example.com"))
		}},
		{"address already in use", func(sys *System) {
			r := sys.Resolver(netfake.London, "r", "192.0.2.53")
			sys.ResolverOn(r.Host())
		}},
		{"health check: 10.0.0.1 is private", func(sys *System) { sys.HealthCheck(HealthCheckConfig{Endpoint: netipPort("10.0.0.1:80")}) }},
	} {
		wantFatal(t, test.want, test.f)
	}
}

func TestDomainOf(t *testing.T) {
	for name, want := range map[string]string{
		"www.example.com.": "example.com.", "example.com.": "example.com.", "com.": "",
		"a.b.example.co.uk.": "example.co.uk.", "co.uk.": "", "uk.": "", "example.uk.": "example.uk.",
		"x.y.elb.amazonaws.com.": "amazonaws.com.", "shop.example.online.": "example.online.",
	} {
		if got := domainOf(name); got != want {
			t.Errorf("%s belongs to %q, want %q", name, got, want)
		}
	}
}

// A registry takes glue only for servers in domains that it has delegated.
func TestGlueNeedsDomain(t *testing.T) {
	z := newZone("com.", soaRecord("com.", "ns.", "host."))
	delegate(z, "shop.com.", NameServer{"ns.stranger.com", addr("192.0.2.1")}, NameServer{"ns.shop.com.", addr("192.0.2.2")})
	got := z.data.Load().lookup("ns.stranger.com.", uint16(A))
	if got.finding != noName {
		t.Errorf("the registry speaks for a name that nobody registered: %s", show(got))
	}
	if got := show(z.data.Load().lookup("www.shop.com.", uint16(A))); !strings.HasSuffix(got, "/ ns.shop.com A 192.0.2.2") {
		t.Error(got)
	}
	delegate(z, "shop.com.")
	if got := z.data.Load().lookup("ns.shop.com.", uint16(A)); got.finding != noName {
		t.Errorf("glue outlives its domain: %s", show(got))
	}
}
