package fabricfake

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// aTarget is a Target for tests.
type aTarget struct {
	name string
	gone bool
}

func (t *aTarget) String() string   { return t.name }
func (t *aTarget) Attached() bool   { return !t.gone }
func (t *aTarget) NextHop() NextHop { return NextHop{} }

func aTable(t *testing.T) (*RouteTable, *refusals) {
	w, tb := refusingWorld(t)
	subnets := func() []netip.Prefix { return blocks("10.0.1.0/24", "10.0.2.0/24") }
	return newRouteTable(w, "private", blocks("10.0.0.0/16", "100.64.0.0/20"), subnets), tb
}

func find(t *RouteTable, dst string) string {
	r, ok := t.lookup(netip.MustParseAddr(dst))
	if !ok {
		return "none"
	}
	return r.describe()
}

func TestRouteTable(t *testing.T) {
	rtb, tb := aTable(t)
	nat, fw, pcx := &aTarget{name: "nat a"}, &aTarget{name: "vpce fw"}, &aTarget{name: "pcx b"}

	// A local route per block of the VPC, and nothing else.
	for dst, want := range map[string]string{
		"10.0.2.9":       "10.0.0.0/16 → local",
		"100.64.1.1":     "100.64.0.0/20 → local",
		"142.250.70.206": "none",
	} {
		if got := find(rtb, dst); got != want {
			t.Errorf("new table: %s takes %q, want %q", dst, got, want)
		}
	}

	rtb.Route("0.0.0.0/0", nat).Route("10.0.0.0/8", pcx).Route("10.0.2.0/24", fw)
	tb.wantFatal(t, "")
	for _, row := range []struct{ dst, want string }{
		// The longest prefix wins.
		{"142.250.70.206", "0.0.0.0/0 → nat a"},
		{"10.9.9.9", "10.0.0.0/8 → pcx b"},
		{"10.0.1.5", "10.0.0.0/16 → local"},
		// A subnet's block may be more specific than local.
		{"10.0.2.9", "10.0.2.0/24 → vpce fw"},
		// Services beside the instance are not reached by any route.
		{"169.254.169.254", "none"},
		{"169.254.171.255", "none"},
		{"169.254.172.0", "0.0.0.0/0 → nat a"},
	} {
		if got := find(rtb, row.dst); got != row.want {
			t.Errorf("%s takes %q, want %q", row.dst, got, row.want)
		}
	}

	// A route to a target that has gone stays and swallows packets.
	fw.gone = true
	if got := find(rtb, "10.0.2.9"); got != "10.0.2.0/24 → vpce fw (blackhole)" {
		t.Errorf("10.0.2.9 takes %q when its target has gone", got)
	}
	if r, _ := rtb.lookup(netip.MustParseAddr("10.0.2.9")); r.State() != Blackhole || r.code() != codeBadRoute {
		t.Errorf("state %v, code %s", r.State(), r.code())
	}
	rtb.DeleteRoute("10.0.2.0/24")
	if got := find(rtb, "10.0.2.9"); got != "10.0.0.0/16 → local" {
		t.Errorf("10.0.2.9 takes %q when the route is deleted", got)
	}
	if r, _ := rtb.lookup(netip.MustParseAddr("10.0.2.9")); r.State() != Active || r.code() != "" {
		t.Errorf("state %v, code %s", r.State(), r.code())
	}

	// Routes can be replaced, and so can the target of a local one.
	rtb.ReplaceRoute("0.0.0.0/0", pcx)
	fw.gone = false
	rtb.ReplaceRoute("10.0.0.0/16", fw)
	if got := find(rtb, "8.8.8.8") + ", " + find(rtb, "10.0.1.5"); got != "0.0.0.0/0 → pcx b, 10.0.0.0/16 → vpce fw" {
		t.Errorf("replaced: %s", got)
	}
	rtb.ReplaceRoute("10.0.0.0/16", Local)
	if got := find(rtb, "10.0.1.5"); got != "10.0.0.0/16 → local" {
		t.Errorf("restored: %s", got)
	}
	tb.wantFatal(t, "")

	// A block that leaves the VPC takes its local route along.
	rtb.removeLocal(netip.MustParsePrefix("100.64.0.0/20"))
	if got := find(rtb, "100.64.1.1"); got != "0.0.0.0/0 → pcx b" {
		t.Errorf("100.64.1.1 takes %q", got)
	}
	if got := fmt.Sprint(rtb, rtb.Name(), rtb.Routes()); got != "rtb privateprivate[10.0.0.0/16 → local 10.0.0.0/8 → pcx b 0.0.0.0/0 → pcx b]" {
		t.Errorf("table: %s", got)
	}
}

func TestRouteRefusals(t *testing.T) {
	nat := &aTarget{name: "nat a"}
	for _, row := range []struct{ dst, text string }{
		// Blocks beside a VPC's own, or around them, may be routed.
		{"0.0.0.0/0", ""},
		{"10.0.0.0/15", ""},
		{"10.1.0.0/24", ""},
		// One destination, one route; the local ones count, and host bits do not.
		{"192.168.0.0/16", "RouteAlreadyExists: there is a route 192.168.0.0/16 → pcx b"},
		{"192.168.7.7/16", "RouteAlreadyExists: there is a route 192.168.0.0/16 → pcx b"},
		{"10.0.0.0/16", "RouteAlreadyExists: there is a route 10.0.0.0/16 → local"},
		// More specific than local: only the whole block of a subnet.
		{"10.0.1.0/24", ""},
		{"10.0.1.0/25", "InvalidParameterValue: 10.0.1.0/25 is more specific than 10.0.0.0/16 → local, and not the block of a subnet"},
		{"10.0.0.0/23", "InvalidParameterValue: 10.0.0.0/23 is more specific than 10.0.0.0/16 → local, and not the block of a subnet"},
		{"100.64.3.0/24", "InvalidParameterValue: 100.64.3.0/24 is more specific than 100.64.0.0/20 → local, and not the block of a subnet"},
		// Services beside the instance: the block and what lies in it, but not around it.
		{"169.254.168.0/22", "InvalidParameterValue: 169.254.168.0/22 lies in 169.254.168.0/22, which cannot be routed"},
		{"169.254.169.254/32", "InvalidParameterValue: 169.254.169.254/32 lies in 169.254.168.0/22, which cannot be routed"},
		{"169.254.0.0/16", ""},
		{"169.254.172.0/22", ""},
		{"fd00:ec2::/32", "InvalidParameterValue: fd00:ec2::/32 lies in fd00:ec2::/32, which cannot be routed"},
		{"fd00:ec2::254/128", "InvalidParameterValue: fd00:ec2::254/128 lies in fd00:ec2::/32, which cannot be routed"},
		{"fd00::/16", ""},
		// The families have routes of their own.
		{"::/0", ""},
		{"10.1.0.0", `InvalidParameterValue: "10.1.0.0" is not a CIDR block`},
	} {
		rtb, tb := aTable(t)
		rtb.Route("192.168.0.0/16", &aTarget{name: "pcx b"})
		rtb.Route(row.dst, nat)
		want := ""
		if row.text != "" {
			want = "fabricfake: " + row.text + " (rtb private)"
		}
		tb.wantFatal(t, want)
	}

	rtb, tb := aTable(t)
	rtb.Route("0.0.0.0/0", nil)
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: the route to 0.0.0.0/0 has no target (rtb private)")
	rtb.ReplaceRoute("10.0.0.0/16", nil)
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: the route to 10.0.0.0/16 has no target (rtb private)")
	rtb.ReplaceRoute("0.0.0.0/0", nat)
	tb.wantFatal(t, "fabricfake: InvalidRoute.NotFound: there is no route to 0.0.0.0/0 (rtb private)")
	rtb.DeleteRoute("0.0.0.0/0")
	tb.wantFatal(t, "fabricfake: InvalidRoute.NotFound: there is no route to 0.0.0.0/0 (rtb private)")
	rtb.DeleteRoute("10.0.0.0/16")
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: the local route 10.0.0.0/16 cannot be removed (rtb private)")
}

// 500 routes that were added, 100 that were propagated; the latter beyond are left out.
func TestRouteQuota(t *testing.T) {
	rtb, _ := aTable(t)
	nth := func(n int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{203, byte(n >> 8), byte(n), 0}), 24)
	}
	gw := &aTarget{name: "gw"}
	for n := range maxRoutes - 1 {
		wantCode(t, "static", rtb.add(nth(n), gw), "")
	}
	wantCode(t, "the last", rtb.add(nth(9000), gw), "")
	wantCode(t, "one more", rtb.add(nth(9001), gw), codeRouteLimit)

	for n := range maxPropagatedRoutes + 1 {
		rtb.install(Route{nth(10000 + n), gw, OriginVPN, nil})
	}
	if got := len(rtb.routes); got != 2+maxRoutes+maxPropagatedRoutes {
		t.Errorf("%d routes", got)
	}
}

func TestRoutePriority(t *testing.T) {
	const dst = "192.168.7.7"
	block := netip.MustParsePrefix("192.168.0.0/16")
	// With one destination: added by hand, of a prefix list, Direct Connect, VPN by
	// hand, VPN. Each is used when those before it have gone, in whatever order they came.
	order := []Origin{OriginStatic, OriginPrefixList, OriginDirectConnect, OriginVPNStatic, OriginVPN}
	rtb, _ := aTable(t)
	for _, i := range []int{3, 0, 4, 2, 1} {
		rtb.install(Route{block, &aTarget{name: fmt.Sprint("gw ", i)}, order[i], nil})
	}
	for i := range order {
		r, ok := rtb.lookup(netip.MustParseAddr(dst))
		if !ok || r.Origin != order[i] {
			t.Fatalf("%d: %v, origin %v", i, r, r.Origin)
		}
		rtb.withdraw(r)
	}
	if got := find(rtb, dst); got != "none" {
		t.Errorf("%s takes %q when all routes are withdrawn", dst, got)
	}
	// Of two prefix lists with one destination the first keeps it.
	first, second := Route{block, &aTarget{name: "one"}, OriginPrefixList, nil}, Route{block, &aTarget{name: "two"}, OriginPrefixList, nil}
	rtb.install(first)
	rtb.install(second)
	if got := find(rtb, dst); got != "192.168.0.0/16 → one" {
		t.Errorf("%s takes %q", dst, got)
	}
	// A route of a longer prefix wins whatever its origin...
	rtb.install(Route{netip.MustParsePrefix("192.168.7.0/24"), &aTarget{name: "vgw"}, OriginVPN, nil})
	if got := find(rtb, dst); got != "192.168.7.0/24 → vgw" {
		t.Errorf("%s takes %q", dst, got)
	}
	// ...but a propagated one does not win against local, nor hide a route that does.
	rtb.install(Route{netip.MustParsePrefix("10.0.1.128/25"), &aTarget{name: "vgw"}, OriginVPN, nil})
	if got := find(rtb, "10.0.1.200"); got != "10.0.0.0/16 → local" {
		t.Errorf("10.0.1.200 takes %q", got)
	}
	wantCode(t, "a subnet's block", rtb.add(netip.MustParsePrefix("10.0.1.0/24"), &aTarget{name: "fw"}), "")
	if got := find(rtb, "10.0.1.200"); got != "10.0.1.0/24 → fw" {
		t.Errorf("10.0.1.200 takes %q", got)
	}
}

func TestRouteTexts(t *testing.T) {
	var got []string
	for o := OriginStatic; o <= OriginVPN; o++ {
		got = append(got, o.String())
	}
	const want = "CreateRoute CreateRouteTable CreateRoute EnableVgwRoutePropagation EnableVgwRoutePropagation EnableVgwRoutePropagation"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("origins: %s", s)
	}
	if Active.String() != "active" || RouteState(0).String() != "blackhole" {
		t.Errorf("states: %v, %v", Active, RouteState(0))
	}
}

// The table decides as one would who looks at every route and compares them two by
// two.
func TestLookupAgainstScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rtb := newRouteTable(nil, "x", blocks("10.0.0.0/16"), nil)
		targets := []Target{&aTarget{name: "a"}, &aTarget{name: "b"}}
		addr := rapid.Custom(func(t *rapid.T) netip.Addr {
			return netip.AddrFrom4([4]byte{10, rapid.Byte().Draw(t, "b") & 1, rapid.Byte().Draw(t, "c") & 3, rapid.Byte().Draw(t, "d") & 3})
		})
		all := []Route{rtb.routes[0]}
		for range rapid.IntRange(0, 30).Draw(t, "edits") {
			r := Route{
				Destination: netip.PrefixFrom(addr.Draw(t, "dst"), rapid.SampledFrom([]int{0, 8, 15, 16, 17, 22, 23, 24, 30, 31, 32}).Draw(t, "bits")).Masked(),
				Target:      rapid.SampledFrom(targets).Draw(t, "target"),
				Origin:      rapid.SampledFrom([]Origin{OriginStatic, OriginPrefixList, OriginDirectConnect, OriginVPNStatic, OriginVPN}).Draw(t, "origin"),
			}
			at := -1
			for i := range all {
				if all[i] == r {
					at = i
				}
			}
			if rapid.IntRange(0, 3).Draw(t, "edit") == 0 {
				rtb.withdraw(r)
				if at >= 0 {
					all = append(all[:at:at], all[at+1:]...)
				}
				continue
			}
			rtb.install(r)
			if at < 0 {
				all = append(all, r)
			}
		}
		dst := addr.Draw(t, "packet")

		beats := func(a, b Route) bool { // a is used rather than b, which came first
			switch {
			case a.Origin == OriginLocal && b.Origin >= OriginDirectConnect:
				return true
			case b.Origin == OriginLocal && a.Origin >= OriginDirectConnect:
				return false
			case a.Destination.Bits() != b.Destination.Bits():
				return a.Destination.Bits() > b.Destination.Bits()
			case (a.Origin == OriginLocal) != (b.Origin == OriginLocal):
				return a.Origin == OriginLocal
			}
			return a.Origin < b.Origin
		}
		local := all[0].Destination.Contains(dst)
		var want *Route
		for i, r := range all {
			if !r.Destination.Contains(dst) || local && r.Origin >= OriginDirectConnect {
				continue
			}
			if want == nil || beats(r, *want) {
				want = &all[i]
			}
		}
		got, ok := rtb.lookup(dst)
		if ok != (want != nil) || ok && got != *want {
			t.Fatalf("%v takes %v (%v, %v), want %v among %v", dst, got, got.Origin, ok, want, all)
		}
	})
}

func BenchmarkLookupLastOf50(b *testing.B) {
	rtb := newRouteTable(nil, "x", blocks("10.0.0.0/16"), nil)
	for n := range 48 {
		dst := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, byte(n), 0}), 24)
		if err := rtb.add(dst, Local); err != nil {
			b.Fatal(err)
		}
	}
	if err := rtb.add(netip.MustParsePrefix("0.0.0.0/0"), Local); err != nil {
		b.Fatal(err)
	}
	dst := netip.MustParseAddr("8.8.8.8")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := rtb.lookup(dst); !ok {
			b.Fatal("no route")
		}
	}
}
