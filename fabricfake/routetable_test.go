package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func aTable(t *testing.T) (*RouteTable, *refusals) {
	w, tb := refusingWorld(t)
	subnets := func() []netip.Prefix { return blocks("10.0.1.0/24", "10.0.2.0/24") }
	return newRouteTable(w, "private", blocks("10.0.0.0/16", "100.64.0.0/20"), subnets), tb
}

func find(t *RouteTable, dst string) string {
	r := t.lookup(netip.MustParseAddr(dst))
	if r == nil {
		return "none"
	}
	return r.describe()
}

func TestRouteTable(t *testing.T) {
	rtb, tb := aTable(t)
	nat, fw, pcx := &aTarget{name: "nat a"}, &aTarget{name: "vpce fw"}, &aTarget{name: "pcx b"}

	// A local route per block of the VPC, and nothing else.
	// fact: rtb.local, vpc.secondary.local, rtb.none
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
		// fact: rtb.lpm, rtb.destination.ipv4
		{"142.250.70.206", "0.0.0.0/0 → nat a"},
		// fact: rtb.lpm
		{"10.9.9.9", "10.0.0.0/8 → pcx b"},
		// fact: rtb.lpm
		{"10.0.1.5", "10.0.0.0/16 → local"},
		// A subnet's block may be more specific than local.
		// fact: rtb.specific
		{"10.0.2.9", "10.0.2.0/24 → vpce fw"},
		// Services beside the instance are not reached by any route.
		// fact: rtb.refused.larger
		{"169.254.169.254", "none"},
		{"169.254.171.255", "none"},
		// fact: rtb.refused.larger
		{"169.254.172.0", "0.0.0.0/0 → nat a"},
	} {
		if got := find(rtb, row.dst); got != row.want {
			t.Errorf("%s takes %q, want %q", row.dst, got, row.want)
		}
	}

	// A route to a target that has gone stays and swallows packets.
	// fact: rtb.blackhole
	fw.gone = true
	if got := find(rtb, "10.0.2.9"); got != "10.0.2.0/24 → vpce fw (blackhole)" {
		t.Errorf("10.0.2.9 takes %q when its target has gone", got)
	}
	if r := rtb.lookup(netip.MustParseAddr("10.0.2.9")); r.State() != Blackhole || r.code() != codeBadRoute {
		t.Errorf("state %v, code %s", r.State(), r.code())
	}
	rtb.DeleteRoute("10.0.2.0/24")
	if got := find(rtb, "10.0.2.9"); got != "10.0.0.0/16 → local" {
		t.Errorf("10.0.2.9 takes %q when the route is deleted", got)
	}
	if r := rtb.lookup(netip.MustParseAddr("10.0.2.9")); r.State() != Active || r.code() != "" {
		t.Errorf("state %v, code %s", r.State(), r.code())
	}

	// Routes can be replaced, and so can the target of a local one.
	rtb.ReplaceRoute("0.0.0.0/0", pcx)
	fw.gone = false
	// fact: rtb.local.replace
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

// The families have local routes and others of their own, and a route tells where it is from.
// fact: rtb.local, rtb.destination.ipv4, rtb.destination.ipv6, rtb.lpm, rtb.origin
func TestRoutesOfBothFamilies(t *testing.T) {
	w, tb := refusingWorld(t)
	v := NewVPC(w, "prod", "10.0.0.0/16")
	vgw := NewPropagation(v, &aTarget{name: "vgw"})
	rtb := v.RouteTable("t").Route("0.0.0.0/0", &aTarget{name: "four"}).Route("::/0", &aTarget{name: "six"}).EnablePropagation(vgw)
	v.AddIPv6("2001:db8::/56").AddCIDR("100.64.0.0/16")
	w.Do(func(time.Duration) { vgw.Learn(netip.MustParsePrefix("192.168.0.0/16"), OriginVPN) })
	tb.wantFatal(t, "")
	for _, row := range []struct{ dst, want, origin string }{
		{"10.0.9.9", "10.0.0.0/16 → local", "CreateRouteTable"},
		{"100.64.9.9", "100.64.0.0/16 → local", "CreateRouteTable"},
		{"2001:db8:0:ff::9", "2001:db8::/56 → local", "CreateRouteTable"},
		{"2001:db8:0:100::9", "::/0 → six", "CreateRoute"},
		{"8.8.8.8", "0.0.0.0/0 → four", "CreateRoute"},
		{"192.168.7.7", "192.168.0.0/16 → vgw", "EnableVgwRoutePropagation"},
	} {
		if got := find(rtb, row.dst); got != row.want {
			t.Errorf("%s takes %q, want %q", row.dst, got, row.want)
		}
		listed := slices.ContainsFunc(rtb.Routes(), func(r Route) bool { return r.String() == row.want && r.Origin.String() == row.origin })
		if !listed {
			t.Errorf("%v, want %s by %s", rtb.Routes(), row.want, row.origin)
		}
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
		// fact: rtb.destination.twice
		{"192.168.0.0/16", "RouteAlreadyExists: there is a route 192.168.0.0/16 → pcx b"},
		// fact: rtb.destination.twice
		{"192.168.7.7/16", "RouteAlreadyExists: there is a route 192.168.0.0/16 → pcx b"},
		// fact: rtb.destination.twice
		{"10.0.0.0/16", "RouteAlreadyExists: there is a route 10.0.0.0/16 → local"},
		// More specific than local: only the whole block of a subnet.
		// fact: rtb.specific
		{"10.0.1.0/24", ""},
		// fact: rtb.specific
		{"10.0.1.0/25", "InvalidParameterValue: 10.0.1.0/25 is more specific than 10.0.0.0/16 → local, and not the block of a subnet"},
		// fact: rtb.specific
		{"10.0.0.0/23", "InvalidParameterValue: 10.0.0.0/23 is more specific than 10.0.0.0/16 → local, and not the block of a subnet"},
		{"100.64.3.0/24", "InvalidParameterValue: 100.64.3.0/24 is more specific than 100.64.0.0/20 → local, and not the block of a subnet"},
		// Services beside the instance: the block and what lies in it, but not around it.
		// fact: rtb.refused
		{"169.254.168.0/22", "InvalidParameterValue: 169.254.168.0/22 lies in 169.254.168.0/22, which cannot be routed"},
		// fact: rtb.refused
		{"169.254.169.254/32", "InvalidParameterValue: 169.254.169.254/32 lies in 169.254.168.0/22, which cannot be routed"},
		// fact: rtb.refused.larger
		{"169.254.0.0/16", ""},
		{"169.254.172.0/22", ""},
		// fact: rtb.refused
		{"fd00:ec2::/32", "InvalidParameterValue: fd00:ec2::/32 lies in fd00:ec2::/32, which cannot be routed"},
		{"fd00:ec2::254/128", "InvalidParameterValue: fd00:ec2::254/128 lies in fd00:ec2::/32, which cannot be routed"},
		// fact: rtb.refused.larger
		{"fd00::/16", ""},
		// The families have routes of their own.
		// fact: rtb.destination.ipv6
		{"::/0", ""},
		{"10.1.0.0", `InvalidParameterValue: "10.1.0.0" is not a CIDR block: a single address is 10.1.0.0/32`},
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
	// fact: code.notfound.route
	rtb.ReplaceRoute("0.0.0.0/0", nat)
	tb.wantFatal(t, "fabricfake: InvalidRoute.NotFound: there is no route to 0.0.0.0/0 (rtb private)")
	rtb.DeleteRoute("0.0.0.0/0")
	tb.wantFatal(t, "fabricfake: InvalidRoute.NotFound: there is no route to 0.0.0.0/0 (rtb private)")
	// fact: rtb.local.delete
	rtb.DeleteRoute("10.0.0.0/16")
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: the local route 10.0.0.0/16 cannot be removed (rtb private)")
}

// 500 routes that were added, 100 that were propagated; the latter beyond are left out.
// fact: rtb.quota, rtb.quota.propagated, code.quota.routes
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
