package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestRoutePriority(t *testing.T) {
	const dst = "192.168.7.7"
	block := netip.MustParsePrefix("192.168.0.0/16")
	// With one destination: added by hand, of a prefix list, Direct Connect, VPN by
	// hand, VPN. Each is used when those before it have gone, in whatever order they came.
	// fact: rtb.order.static, rtb.order.list, rtb.order.dx, rtb.order.vpn, rtb.order.hidden
	order := []Origin{OriginStatic, OriginPrefixList, OriginDirectConnect, OriginVPNStatic, OriginVPN}
	rtb, _ := aTable(t)
	for _, i := range []int{3, 0, 4, 2, 1} {
		rtb.install(Route{block, &aTarget{name: fmt.Sprint("gw ", i)}, order[i], nil})
	}
	for i := range order {
		r := rtb.lookup(netip.MustParseAddr(dst))
		if r == nil || r.Origin != order[i] {
			t.Fatalf("%d: %v, not of origin %v", i, r, order[i])
		}
		rtb.withdraw(*r)
	}
	if got := find(rtb, dst); got != "none" {
		t.Errorf("%s takes %q when all routes are withdrawn", dst, got)
	}
	// Of two prefix lists with one destination the first keeps it.
	// fact: rtb.order.lists
	first, second := Route{block, &aTarget{name: "one"}, OriginPrefixList, nil}, Route{block, &aTarget{name: "two"}, OriginPrefixList, nil}
	rtb.install(first)
	rtb.install(second)
	if got := find(rtb, dst); got != "192.168.0.0/16 → one" {
		t.Errorf("%s takes %q", dst, got)
	}
	// A route of a longer prefix wins whatever its origin...
	// fact: rtb.lpm
	rtb.install(Route{netip.MustParsePrefix("192.168.7.0/24"), &aTarget{name: "vgw"}, OriginVPN, nil})
	if got := find(rtb, dst); got != "192.168.7.0/24 → vgw" {
		t.Errorf("%s takes %q", dst, got)
	}
	// ...but a propagated one does not win against local, nor hide a route that does.
	// fact: rtb.local.propagated
	rtb.install(Route{netip.MustParsePrefix("10.0.1.128/25"), &aTarget{name: "vgw"}, OriginVPN, nil})
	if got := find(rtb, "10.0.1.200"); got != "10.0.0.0/16 → local" {
		t.Errorf("10.0.1.200 takes %q", got)
	}
	wantCode(t, "a subnet's block", rtb.add(netip.MustParsePrefix("10.0.1.0/24"), &aTarget{name: "fw"}), "")
	if got := find(rtb, "10.0.1.200"); got != "10.0.1.0/24 → fw" {
		t.Errorf("10.0.1.200 takes %q", got)
	}
}

// The table decides as one would who looks at every route and compares them two by
// two.
// fact: rtb.lpm, rtb.local.propagated
func TestLookupAgainstScan(t *testing.T) {
	cases(t, manyCases, func(t *rapid.T, judged func()) {
		rtb := newRouteTable(nil, "x", blocks("10.0.0.0/16", "2001:db8::/56"), nil)
		targets := []Target{&aTarget{name: "a"}, &aTarget{name: "b"}}
		addr := rapid.Custom(func(t *rapid.T) netip.Addr {
			b := [4]byte{10, rapid.Byte().Draw(t, "b") & 1, rapid.Byte().Draw(t, "c") & 3, rapid.Byte().Draw(t, "d") & 3}
			if rapid.Bool().Draw(t, "IPv6") { // the same bits, behind those that all have
				return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 0, b[1], b[2], b[3]})
			}
			return netip.AddrFrom4(b)
		})
		all := slices.Clone(rtb.routes)
		for range rapid.IntRange(0, 30).Draw(t, "edits") {
			dst, bits := addr.Draw(t, "dst"), rapid.SampledFrom([]int{0, 8, 15, 16, 17, 22, 23, 24, 30, 31, 32}).Draw(t, "bits")
			if !dst.Is4() && bits > 0 {
				bits += 40
			}
			r := Route{
				Destination: netip.PrefixFrom(dst, bits).Masked(),
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
		for range 20 {
			judged()
			dst := addr.Draw(t, "packet")
			want := naiveLookup(all, dst)
			if got := rtb.lookup(dst); (got == nil) != (want == nil) || got != nil && *got != *want {
				t.Fatalf("%v takes %+v, want %+v among %v", dst, got, want, all)
			}
		}
	})
}

// naiveLookup compares all routes to a destination, of which the first came first.
func naiveLookup(all []Route, dst netip.Addr) (best *Route) {
	isLocal := func(r Route) bool { return r.Origin == OriginLocal && r.Destination.Contains(dst) }
	local := slices.ContainsFunc(all, isLocal)
	for i := range all {
		r := &all[i]
		switch {
		case !r.Destination.Contains(dst) || local && r.Origin >= OriginDirectConnect:
		case best == nil || r.Destination.Bits() > best.Destination.Bits():
			best = r
		case r.Destination.Bits() < best.Destination.Bits() || best.Origin == OriginLocal:
		case r.Origin == OriginLocal || r.Origin < best.Origin:
			best = r
		}
	}
	return best
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
		if rtb.lookup(dst) == nil {
			b.Fatal("no route")
		}
	}
}
