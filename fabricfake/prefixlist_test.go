package fabricfake

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/netspec-go/netspec/netfake"
)

// A rule that names a prefix list matches what the list has at the moment, and a route to
// one leads there.
// fact: rtb.destination.list
func TestPrefixList(t *testing.T) {
	w, tb := refusingWorld(t)
	r := NewRegion(w, "eu-west-1", netfake.Sydney)
	v := r.VPC("prod", "10.0.0.0/16")
	l := r.PrefixList("offices", 3, "198.51.100.0/24")
	g := v.SecurityGroup("web").AllowIngress("tcp/443", l)
	gw := &aTarget{name: "gw"}
	table := v.RouteTable("private").RoutePrefixList(l, gw)
	tb.wantFatal(t, "")

	for _, row := range []struct {
		change func()
		addr   string
		want   bool
	}{
		{func() {}, "198.51.100.7", true},
		{func() {}, "203.0.113.7", false},
		{func() { l.Add("203.0.113.9/24") }, "203.0.113.7", true},
		{func() { l.Remove("198.51.100.0/24") }, "198.51.100.7", false},
		{func() {}, "203.0.113.7", true},
	} {
		row.change()
		d := checkGroups(Groups{g}, netfake.Ingress, flow(netfake.TCP, row.addr+":40000", "10.0.0.9:443"), 0, 0, nil)
		routed := table.lookup(netip.MustParseAddr(row.addr)) != nil
		if d.allowed != row.want || routed != row.want {
			t.Errorf("%s: allowed %v, routed %v, want %v with %v", row.addr, d.allowed, routed, row.want, l.Entries())
		}
	}
	if got := fmt.Sprint(table.Routes(), g.IngressRules()[0].text(netfake.Ingress), l.MaxEntries(), l.Name()); got != "[203.0.113.0/24 → gw 10.0.0.0/16 → local]tcp/443 from pl offices3offices" {
		t.Errorf("printed: %s", got)
	}

	// The route has another target, and none.
	table.ReplacePrefixListRoute(l, &aTarget{name: "other"})
	if got := find(table, "203.0.113.7"); got != "203.0.113.0/24 → other" {
		t.Errorf("replaced: %q", got)
	}
	table.DeletePrefixListRoute(l)
	if got := find(table, "203.0.113.7"); got != "none" {
		t.Errorf("deleted: %q", got)
	}
	l.Add("192.0.2.0/24")
	if got := find(table, "192.0.2.1"); got != "none" {
		t.Errorf("a list that is not routed to any more: %q", got)
	}
	tb.wantFatal(t, "")
}

func TestPrefixListRefusals(t *testing.T) {
	w, tb := refusingWorld(t)
	r := NewRegion(w, "eu-west-1", netfake.Sydney)
	other := NewRegion(w, "us-east-1", netfake.Singapore).VPC("other", "10.0.0.0/16").RouteTable("x")
	v := r.VPC("prod", "10.0.0.0/16")
	l := r.PrefixList("l", 2, "198.51.100.0/24")
	six := r.PrefixList("six", 2, "2001:db8::/32")
	table, gw := v.RouteTable("t"), &aTarget{name: "gw"}
	tb.wantFatal(t, "")
	for _, row := range []struct {
		do   func()
		want string
	}{
		{func() { r.PrefixList("", 1, "10.0.0.0/8") }, "InvalidParameterValue: the prefix list has no name (prefix list )"},
		{func() { r.PrefixList("l", 1, "10.0.0.0/8") }, "InvalidParameterValue: region eu-west-1 has a prefix list l (prefix list l)"},
		{func() { r.PrefixList("m", 0, "10.0.0.0/8") }, "InvalidParameterValue: a prefix list for 0 entries: it is from 1 to 1000 (prefix list m)"},
		{func() { r.PrefixList("m1", 1001, "10.0.0.0/8") }, "InvalidParameterValue: a prefix list for 1001 entries: it is from 1 to 1000 (prefix list m1)"},
		{func() { r.PrefixList("m2", 1) }, "InvalidParameterValue: a prefix list without a block has no address family (prefix list m2)"},
		{func() { r.PrefixList("m3", 1, "moon") }, `InvalidParameterValue: "moon" is not a CIDR block (prefix list m3)`},
		{func() { r.PrefixList("m4", 2, "10.0.0.0/8", "::/0") }, "InvalidParameterValue: ::/0 is not of the list's address family (prefix list m4)"},
		{func() { six.Add("10.0.0.0/8") }, "InvalidParameterValue: 10.0.0.0/8 is not of the list's address family (pl six)"},
		{func() { l.Add("198.51.100.9/24") }, "InvalidParameterValue: 198.51.100.0/24 is an entry already (pl l)"},
		{func() { l.Add("192.0.2.0/24").Add("203.0.113.0/24") }, "PrefixListMaxEntriesExceeded: the list is for 2 entries (pl l)"},
		{func() { l.Remove("10.0.0.0/8") }, "InvalidParameterValue: 10.0.0.0/8 is no entry (pl l)"},
		{func() { table.RoutePrefixList(nil, gw) }, "InvalidParameterValue: the route's prefix list is nil (rtb t)"},
		{func() { table.RoutePrefixList(l, nil) }, "InvalidParameterValue: the route to pl l has no target (rtb t)"},
		{func() { other.RoutePrefixList(l, gw) }, "InvalidParameterValue: pl l is a list of another region (rtb x)"},
		{func() { table.RoutePrefixList(l, gw).RoutePrefixList(l, gw) }, "RouteAlreadyExists: there is a route to pl l (rtb t)"},
		{func() { table.ReplacePrefixListRoute(six, gw) }, "InvalidRoute.NotFound: there is no route to pl six (rtb t)"},
		{func() { table.DeletePrefixListRoute(six) }, "InvalidRoute.NotFound: there is no route to pl six (rtb t)"},
		{func() { v.SecurityGroup("g").AllowIngress("all", (*PrefixList)(nil)) }, "InvalidParameterValue: the rule's prefix list is nil (sg g ingress)"},
	} {
		row.do()
		tb.wantFatal(t, "fabricfake: "+row.want)
	}
}

// Against a group's quota a list counts with all the entries that it is for, in its own
// family; a reference counts in both.
// fact: sg.quota.list, sg.quota.reference
func TestRuleWeights(t *testing.T) {
	w, tb := refusingWorld(t)
	r := NewRegion(w, "eu-west-1", netfake.Sydney)
	v := r.VPC("prod", "10.0.0.0/16")
	four, six := r.PrefixList("four", 58, "198.51.100.0/24"), r.PrefixList("six", 59, "2001:db8::/32")
	large := r.PrefixList("large", 500, "198.51.100.0/24")
	peer := v.SecurityGroup("peer")
	v.SecurityGroup("empty").AllowIngress("tcp/80", large)
	tb.wantFatal(t, "fabricfake: RulesPerSecurityGroupLimitExceeded: a group has 60 rules in each direction at most, and pl large counts as the 500 that it is for (sg empty ingress)")
	g := v.SecurityGroup("g").AllowIngress("tcp/80", four).AllowIngress("tcp/80", six).AllowIngress("tcp/80", peer).AllowIngress("tcp/80", Anywhere)
	tb.wantFatal(t, "")
	const full = "fabricfake: RulesPerSecurityGroupLimitExceeded: a group has 60 rules in each direction at most (sg g ingress)"
	g.AllowIngress("tcp/80", AnywhereIPv6)
	tb.wantFatal(t, full)
	g.AllowIngress("tcp/81", Anywhere)
	tb.wantFatal(t, full)
	g.RevokeIngress("tcp/80", peer).AllowIngress("tcp/80", AnywhereIPv6)
	tb.wantFatal(t, "")
	g.AllowIngress("tcp/81", peer)
	tb.wantFatal(t, full)

	// A route table has room for 500.
	table, gw := v.RouteTable("t"), &aTarget{name: "gw"}
	table.RoutePrefixList(large, gw)
	tb.wantFatal(t, "")
	table.Route("0.0.0.0/0", gw)
	tb.wantFatal(t, "fabricfake: RouteLimitExceeded: a table has 500 routes at most (rtb t)")
}
