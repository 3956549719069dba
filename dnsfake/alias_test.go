package dnsfake

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// target is an alias target such as a load balancer.
type target struct {
	name  string
	addrs []netip.Addr
	sick  atomic.Bool
}

func (t *target) DNSName() string                      { return t.name }
func (t *target) Addrs() ([]netip.Addr, time.Duration) { return t.addrs, time.Minute }
func (t *target) Healthy() bool                        { return !t.sick.Load() }
func netipPort(s string) netip.AddrPort                { return netip.MustParseAddrPort(s) }
func lookupLine(z *HostedZone, name string, typ Type) string {
	line, _, _ := strings.Cut(show(z.data.Load().lookup(canonical(name), uint16(typ))), " / ")
	return line
}

func TestAlias(t *testing.T) { instant(t, testAlias) }

func testAlias(t *testing.T, w *netfake.World, sys *System) {
	lb := &target{name: "web-1.elb.amazonaws.com", addrs: []netip.Addr{addr("192.0.2.1"), addr("2001:db8::1")}}
	z := sys.HostedZone("example.com")
	z.Alias("example.com", lb)
	z.Record(Record{Name: "example.com", Type: AAAA, Alias: &Alias{Target: lb}})
	z.TXT("text.example.com", 30*time.Second, `say "hi"`)
	z.Record(Record{Name: "more.example.com", Type: TXT, Alias: &Alias{Target: z.Target("text.example.com")}})
	z.A("www.example.com", 30*time.Second, addr("192.0.2.7"))
	z.Alias("blue.example.com", z.Target("www.example.com"))
	z.Alias("green.example.com", z.Target("blue.example.com"))
	for _, test := range []struct {
		name string
		typ  Type
		want string
	}{
		// The alias does not show: the answer has its own name, at the apex too.
		{"example.com", A, "found:  A 192.0.2.1"},
		{"example.com", AAAA, "found:  AAAA 2001:db8::1"},
		// It answers only for its own type.
		{"blue.example.com", TXT, "NODATA:  /  SOA 900"},
		// A record of the zone, of any type, and through a second alias.
		{"more.example.com", TXT, `found: more TXT "say \"hi\""`},
		{"green.example.com", A, "found: green A 192.0.2.7"},
	} {
		got := lookupLine(z, test.name, test.typ)
		if want, _, _ := strings.Cut(test.want, " / "); got != want {
			t.Errorf("%s %v: %s, want %s", test.name, test.typ, got, want)
		}
	}
	// The TTL is the target's.
	for name, want := range map[string]uint32{"example.com.": 60, "green.example.com.": 30} {
		if got := z.data.Load().lookup(name, uint16(A)).answer[0].Header().Ttl; got != want {
			t.Errorf("%s has TTL %d, want its target's %d", name, got, want)
		}
	}
}

// An alias that was changed into pointing at itself answers with nothing, and ends.
func TestAliasCircle(t *testing.T) {
	instant(t, func(t *testing.T, w *netfake.World, sys *System) {
		z := sys.HostedZone("example.com")
		z.A("a.example.com", time.Minute, addr("192.0.2.1"))
		z.Alias("b.example.com", z.Target("a.example.com"))
		z.Replace(Record{Name: "a.example.com", Alias: &Alias{Target: z.Target("b.example.com"), EvaluateTargetHealth: true}})
		if got := lookupLine(z, "a.example.com", A); got != "NODATA: " {
			t.Error(got)
		}
	})
}

// The target of a failover alias is judged by what it says of itself.
func TestAliasEvaluateTargetHealth(t *testing.T) {
	instant(t, func(t *testing.T, w *netfake.World, sys *System) {
		main := &target{name: "main.elb.amazonaws.com", addrs: []netip.Addr{addr("192.0.2.1")}}
		z := sys.HostedZone("example.com")
		z.A("sorry.example.com", time.Minute, addr("192.0.2.99"))
		z.Record(Record{Name: "example.com", Failover: Primary, SetIdentifier: "main", Alias: &Alias{Target: main, EvaluateTargetHealth: true}})
		z.Record(Record{Name: "example.com", Failover: Secondary, SetIdentifier: "sorry", Alias: &Alias{Target: z.Target("sorry.example.com"), EvaluateTargetHealth: true}})
		z.Alias("web.example.com", z.Target("example.com"))
		want := func(line string) {
			t.Helper()
			for _, name := range []string{"example.com", "web.example.com"} {
				if got := lookupLine(z, name, A); !strings.HasSuffix(got, line) {
					t.Errorf("%s: %s, want %s", name, got, line)
				}
			}
		}
		want("A 192.0.2.1")
		main.sick.Store(true)
		want("A 192.0.2.99")
		main.sick.Store(false)
		want("A 192.0.2.1")
		target := z.Target("sorry.example.com")
		addrs, ttl := target.Addrs()
		if len(addrs) != 1 || ttl != time.Minute || !target.Healthy() || target.DNSName() != "sorry.example.com." {
			t.Error(addrs, ttl, target.Healthy(), target.DNSName())
		}
	})
}
