package fabricfake

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// A gateway's routes are in the tables that it propagates to for as long as it knows them.
func TestPropagation(t *testing.T) {
	w, tb := refusingWorld(t)
	v := NewVPC(w, "prod", "10.0.0.0/16")
	gw := &aTarget{name: "vgw"}
	vgw, other := NewPropagation(v, gw), NewPropagation(v, &aTarget{name: "other"})
	early, late := v.RouteTable("early").EnablePropagation(vgw), v.RouteTable("late")
	learn := func(p *Propagation, block string, o Origin) (err error) {
		w.Do(func(time.Duration) { err = p.Learn(netip.MustParsePrefix(block), o) })
		return err
	}
	forget := func(p *Propagation, block string, o Origin) {
		w.Do(func(time.Duration) { p.Forget(netip.MustParsePrefix(block), o) })
	}
	for _, row := range []struct {
		what        string
		do          func()
		early, late string // where 192.168.7.7 goes
	}{
		{"nothing is known", func() {}, "none", "none"},
		{"learnt, with host bits", func() { learn(vgw, "192.168.7.7/16", OriginVPN) }, "192.168.0.0/16 → vgw", "none"},
		{"enabled later", func() { late.EnablePropagation(vgw) }, "192.168.0.0/16 → vgw", "192.168.0.0/16 → vgw"},
		{"and again", func() { late.EnablePropagation(vgw) }, "192.168.0.0/16 → vgw", "192.168.0.0/16 → vgw"},
		// fact: rtb.order.dx
		{"one of another gateway, better by origin", func() { learn(other, "192.168.0.0/16", OriginDirectConnect); late.EnablePropagation(other) },
			"192.168.0.0/16 → vgw", "192.168.0.0/16 → other"},
		// fact: rtb.order.list
		{"a prefix list wins against those", func() { late.RoutePrefixList(v.region.PrefixList("l", 1, "192.168.0.0/16"), &aTarget{name: "list"}) },
			"192.168.0.0/16 → vgw", "192.168.0.0/16 → list"},
		// fact: rtb.order.static, rtb.order.hidden
		{"a static route against that", func() { late.Route("192.168.0.0/16", &aTarget{name: "static"}) },
			"192.168.0.0/16 → vgw", "192.168.0.0/16 → static"},
		// fact: rtb.lpm
		{"a longer prefix against all", func() { learn(vgw, "192.168.7.0/24", OriginVPNStatic) }, "192.168.7.0/24 → vgw", "192.168.7.0/24 → vgw"},
		// fact: rtb.blackhole
		{"also when its gateway has gone", func() { gw.gone = true }, "192.168.7.0/24 → vgw (blackhole)", "192.168.7.0/24 → vgw (blackhole)"},
		{"until it is forgotten", func() { gw.gone = false; forget(vgw, "192.168.7.0/24", OriginVPNStatic) }, "192.168.0.0/16 → vgw", "192.168.0.0/16 → static"},
		{"by origin", func() { forget(vgw, "192.168.0.0/16", OriginVPNStatic) }, "192.168.0.0/16 → vgw", "192.168.0.0/16 → static"},
		{"or no longer propagated", func() { early.DisablePropagation(vgw) }, "none", "192.168.0.0/16 → static"},
		{"nor learnt anew", func() { forget(vgw, "192.168.0.0/16", OriginVPN); learn(vgw, "192.168.0.0/16", OriginVPN) }, "none", "192.168.0.0/16 → static"},
		{"what is not propagated can be disabled", func() { early.DisablePropagation(vgw) }, "none", "192.168.0.0/16 → static"},
	} {
		row.do()
		tb.wantFatal(t, "")
		if a, b := find(early, "192.168.7.7"), find(late, "192.168.7.7"); a != row.early || b != row.late {
			t.Errorf("%s: %q and %q, want %q and %q", row.what, a, b, row.early, row.late)
		}
	}

	wantCode(t, "an origin that is none of a gateway", learn(vgw, "192.168.0.0/16", OriginStatic), codeParameterValue)
	NewVPC(w, "test", "10.1.0.0/16").RouteTable("theirs").EnablePropagation(vgw)
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: rtb theirs and vgw belong to different networks (rtb theirs)")
	early.EnablePropagation(nil)
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: the gateway is nil (rtb early)")
	gw.gone = true
	early.EnablePropagation(vgw)
	tb.wantFatal(t, "fabricfake: Gateway.NotAttached: vgw is not attached to the VPC of the route table (rtb early)")
}

// A local route wins against what is propagated, however specific. Of more than a hundred
// routes the first hundred are installed, and others in the place of those that go.
// fact: rtb.local.propagated, rtb.quota.propagated
func TestPropagationLimits(t *testing.T) {
	w, _ := refusingWorld(t)
	v := NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("2001:db8:7::/56")
	vgw := NewPropagation(v, &aTarget{name: "vgw"})
	rtb := v.RouteTable("t").EnablePropagation(vgw)
	nth := func(n int) netip.Prefix { return netip.MustParsePrefix(fmt.Sprintf("192.168.%d.0/24", n)) }
	w.Do(func(time.Duration) {
		vgw.Learn(netip.MustParsePrefix("10.0.7.0/24"), OriginVPN)
		vgw.Learn(netip.MustParsePrefix("2001:db8:7:7::/64"), OriginVPN)
		for n := range 99 {
			vgw.Learn(nth(n), OriginVPN)
		}
	})
	got := find(rtb, "10.0.7.7") + ", " + find(rtb, "2001:db8:7:7::7") + ", " + find(rtb, "192.168.97.1") + ", " + find(rtb, "192.168.98.1")
	if want := "10.0.0.0/16 → local, 2001:db8:7::/56 → local, 192.168.97.0/24 → vgw, none"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	w.Do(func(time.Duration) { vgw.Forget(nth(5), OriginVPN) })
	if got := find(rtb, "192.168.98.1"); got != "192.168.98.0/24 → vgw" {
		t.Errorf("after one has gone: %q", got)
	}
}
