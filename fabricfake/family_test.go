package fabricfake

import (
	"fmt"
	"testing"

	"github.com/netspec-go/netspec/netfake"
)

// Rules and entries of one family do not speak of the other.
func TestFamilies(t *testing.T) {
	w, tb := refusingWorld(t)
	four, six := flow(netfake.TCP, "203.0.113.5:40000", "10.0.2.9:80"), flow(netfake.TCP, "[2001:db8::5]:40000", "[2001:db8:1::9]:80")
	for _, row := range []struct {
		peer             CIDR
		allows4, allows6 bool
	}{
		{Anywhere, true, false},
		{AnywhereIPv6, false, true},
		{"2001:db8::/48", false, true},
		{"2001:db8:0:1::/64", false, false},
		{"203.0.113.0/24", true, false},
	} {
		g := newSecurityGroup(w, "prod", "g").AllowIngress("tcp/80", row.peer)
		a := newNetworkACL(w, "a").AllowIngress(100, "tcp/80", string(row.peer))
		for f, want := range map[netfake.Flow]bool{four: row.allows4, six: row.allows6} {
			if d := checkGroups(Groups{g}, netfake.Ingress, f, 0, 0, nil); d.allowed != want {
				t.Errorf("group: %v from %v: allowed %v", row.peer, f.Src, d.allowed)
			}
			if d := a.check(netfake.Ingress, f, 0, 0); d.allowed != want {
				t.Errorf("ACL: %v from %v: allowed %v", row.peer, f.Src, d.allowed)
			}
		}
	}
	tb.wantFatal(t, "")
}

// A connection goes untracked where a rule lets everybody of its family in and another
// lets everything of its family out.
// fact: ct.untracked, ct.tracked
func TestTrackedFamilies(t *testing.T) {
	w, _ := refusingWorld(t)
	four, six := flow(netfake.TCP, "203.0.113.5:40000", "10.0.2.9:80"), flow(netfake.TCP, "[2001:db8::5]:40000", "[2001:db8:1::9]:80")
	g := newSecurityGroup(w, "prod", "g").AllowIngress("tcp/80", Anywhere).AllowIngress("tcp/80", AnywhereIPv6)
	tracked := func() string {
		a := checkGroups(Groups{g}, netfake.Ingress, four, 0, 0, nil)
		b := checkGroups(Groups{g}, netfake.Ingress, six, 0, 0, nil)
		return fmt.Sprint(a.tracked, b.tracked)
	}
	if got := tracked(); got != "false true" {
		t.Errorf("with everything of IPv4 let out: %s", got)
	}
	g.AllowEgress("all", AnywhereIPv6)
	if got := tracked(); got != "false false" {
		t.Errorf("with everything let out: %s", got)
	}
	g.RestrictEgress()
	if got := tracked(); got != "true false" {
		t.Errorf("with everything of IPv6 let out: %s", got)
	}
}

// Numbers 101 and 32768 come with IPv6: the latter to every ACL, the former to a default
// ACL that nobody has changed.
// fact: acl.default, acl.default.ipv6, acl.star, acl.star.ipv6
func TestACLIPv6Entries(t *testing.T) {
	w, _ := refusingWorld(t)
	numbers := func(a *NetworkACL) (s string) {
		for _, e := range a.IngressEntries() {
			s += fmt.Sprintf("%d %s %v; ", e.Number, e.action(), e.CIDR)
		}
		if in, out := len(a.IngressEntries()), len(a.EgressEntries()); in != out {
			s += fmt.Sprintf("%d in, %d out", in, out)
		}
		return s
	}
	fresh, changed, custom := newDefaultACL(w), newDefaultACL(w), newNetworkACL(w, "custom")
	changed.AllowIngress(90, "tcp/80", "10.0.0.0/8").AllowEgress(90, "tcp/80", "10.0.0.0/8")
	for range 2 { // the second block changes nothing
		fresh.addIPv6(true)
		changed.addIPv6(true)
		custom.addIPv6(false)
	}
	for a, want := range map[*NetworkACL]string{
		fresh:   "100 allow 0.0.0.0/0; 101 allow ::/0; 32767 deny 0.0.0.0/0; 32768 deny ::/0; ",
		changed: "90 allow 10.0.0.0/8; 100 allow 0.0.0.0/0; 32767 deny 0.0.0.0/0; 32768 deny ::/0; ",
		custom:  "32767 deny 0.0.0.0/0; 32768 deny ::/0; ",
	} {
		if got := numbers(a); got != want {
			t.Errorf("entries %s, want %s", got, want)
		}
	}
	// The last entries decide, under one name.
	six := flow(netfake.TCP, "[2001:db8::5]:40000", "[2001:db8:1::9]:80")
	if d := custom.check(netfake.Ingress, six, 0, 0); d.allowed || d.describe() != "rule *" || d.entry.Number != 32768 {
		t.Errorf("%+v %s", d, d.describe())
	}
}

// The families have a quota each.
// fact: acl.quota
func TestACLQuotaFamilies(t *testing.T) {
	w, tb := refusingWorld(t)
	a := newNetworkACL(w, "a")
	a.addIPv6(false)
	for n := range maxACLEntries {
		a.AllowIngress(n+1, "all", "0.0.0.0/0").AllowIngress(n+1001, "all", "::/0")
	}
	tb.wantFatal(t, "")
	a.AllowIngress(2000, "all", "::/0")
	tb.wantFatal(t, "fabricfake: NetworkAclEntryLimitExceeded: an ACL has 20 entries in each direction at most (acl a ingress entry 2000)")
}
