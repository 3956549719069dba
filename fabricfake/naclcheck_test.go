package fabricfake

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/netspec-go/netspec/netfake"
	"pgregory.net/rapid"
)

func TestACLCheck(t *testing.T) {
	w, _ := refusingWorld(t)
	a := newNetworkACL(w, "data")
	a.AllowIngress(200, "tcp/all", "10.0.0.0/16").DenyIngress(100, "tcp/22", "0.0.0.0/0").AllowIngress(90, "tcp/22", "10.0.9.0/24")
	a.AllowIngress(300, "icmp/3/4", "0.0.0.0/0").AllowEgress(120, "tcp/1024-65535", "10.0.1.0/24")
	for _, row := range []struct {
		rule     string
		dir      netfake.Direction
		proto    netfake.Protocol
		src, dst string
		want     string
		near     string // for a refusal
	}{
		// fact: acl.order
		{"entries are tried by number, not in the order that they were added",
			netfake.Ingress, netfake.TCP, "10.0.1.5:40000", "10.0.2.9:22", "rule 100  deny tcp/22 0.0.0.0/0",
			"acl data ingress 200 allows tcp/all from 10.0.0.0/16, but comes too late"},
		// fact: acl.order
		{"the first that matches decides", netfake.Ingress, netfake.TCP, "10.0.9.5:40000", "10.0.2.9:22", "rule 90  allow tcp/22 10.0.9.0/24", ""},
		{"ingress compares the source", netfake.Ingress, netfake.TCP, "10.0.1.5:40000", "10.0.2.9:5432", "rule 200  allow tcp/all 10.0.0.0/16", ""},
		// fact: acl.star
		{"what nothing matches is refused", netfake.Ingress, netfake.TCP, "203.0.113.5:40000", "10.0.2.9:5432", "rule *",
			"acl data ingress 200 allows tcp/all from 10.0.0.0/16"},
		{"by protocol too", netfake.Ingress, netfake.UDP, "10.0.1.5:40000", "10.0.2.9:53", "rule *",
			"acl data ingress 200 allows tcp/all from 10.0.0.0/16"},
		// fact: acl.stateless
		{"a reply needs an entry of its own, for the client's port", netfake.Egress, netfake.TCP, "10.0.2.9:5432", "10.0.1.5:40000",
			"rule 120  allow tcp/1024-65535 10.0.1.0/24", ""},
		{"egress compares the destination", netfake.Egress, netfake.TCP, "10.0.2.9:5432", "10.0.3.5:40000", "rule *",
			"acl data egress 120 allows tcp/1024-65535 to 10.0.1.0/24"},
		// fact: acl.port
		{"and the destination port", netfake.Egress, netfake.TCP, "10.0.2.9:5432", "10.0.1.5:443", "rule *",
			"acl data egress 120 allows tcp/1024-65535 to 10.0.1.0/24"},
		// fact: acl.proto.icmp, acl.pmtud
		{"ICMP by type and code", netfake.Ingress, netfake.ICMP, "203.0.113.5:0", "10.0.2.9:0", "rule 300  allow icmp/3/4 0.0.0.0/0", ""},
	} {
		f := flow(row.proto, row.src, row.dst)
		d := a.check(row.dir, f, 3, 4)
		near := ""
		if !d.allowed {
			near = a.nearest(row.dir, f, 3, 4)
		}
		if d.describe() != row.want || near != row.near {
			t.Errorf("%s: got %q near %q, want %q near %q", row.rule, d.describe(), near, row.want, row.near)
		}
	}
	if near := newNetworkACL(w, "bare").nearest(netfake.Ingress, flow(netfake.TCP, "10.0.1.5:1", "10.0.2.9:2"), 0, 0); near != "" {
		t.Errorf("an ACL with no entry has %q near", near)
	}
}

func TestACLHits(t *testing.T) {
	w, _ := refusingWorld(t)
	a := newNetworkACL(w, "data").AllowIngress(100, "tcp/443", "0.0.0.0/0")
	for _, dst := range []string{"10.0.2.9:443", "10.0.2.9:443", "10.0.2.9:80"} {
		a.check(netfake.Ingress, flow(netfake.TCP, "203.0.113.5:40000", dst), 0, 0).count(1)
	}
	if e := a.IngressEntries(); e[0].Hits != 2 || e[1].Hits != 1 || e[1].Number != lastACLNumber {
		t.Errorf("entries %+v", e)
	}
}

// The ACL decides as a scan for the matching entry with the lowest number would.
// fact: acl.order
func TestACLAgainstScan(t *testing.T) {
	cases(t, manyCases, func(t *rapid.T, judged func()) {
		a, entries := newNetworkACL(nil, "x"), map[int]ACLEntry{}
		a.addIPv6(false)
		dir := drawDirection.Draw(t, "dir")
		for range rapid.IntRange(0, 25).Draw(t, "edits") {
			editRandomly(t, a, dir, entries)
		}
		for range 20 {
			judged()
			f := drawFlow.Draw(t, "flow")
			typ, code := drawICMPType.Draw(t, "type"), drawICMPType.Draw(t, "code")
			peer := f.Src.Addr()
			if dir == netfake.Egress {
				peer = f.Dst.Addr()
			}
			want := ACLEntry{Number: lastACLNumber}
			if !peer.Is4() {
				want.Number = lastACLIPv6
			}
			for n, e := range entries {
				if n < want.Number && e.CIDR.Contains(peer) && naiveMatches(e.Permission, f, typ, code) {
					want = e
				}
			}
			if d := a.check(dir, f, typ, code); d.allowed != want.Allow || d.entry.Number != want.Number {
				t.Fatalf("%v %v: got %s, want entry %d", dir, f, d.describe(), want.Number)
			}
		}
	})
}

// editRandomly adds, replaces or removes an entry of an ACL and of what it is to have.
func editRandomly(t *rapid.T, a *NetworkACL, dir netfake.Direction, entries map[int]ACLEntry) {
	n := rapid.IntRange(1, 30).Draw(t, "number")
	old, exists := entries[n]
	edit := rapid.IntRange(0, 4).Draw(t, "edit")
	if edit == 0 {
		if err := a.deleteEntry(dir, n); (err == nil) != exists {
			t.Fatalf("delete %d: %v", n, err)
		}
		delete(entries, n)
		return
	}
	cidr := netip.MustParsePrefix(drawBlock.Draw(t, "cidr"))
	e := ACLEntry{Number: n, Allow: rapid.Bool().Draw(t, "allow"), Permission: drawPermission.Draw(t, "perm"), CIDR: cidr}
	family := 0
	for _, o := range entries {
		if o.CIDR.Addr().Is4() == cidr.Addr().Is4() {
			family++
		}
	}
	want := !exists && family < maxACLEntries
	change := a.addEntry
	if edit == 1 {
		change, want = a.replaceEntry, exists && (family < maxACLEntries || old.CIDR.Addr().Is4() == cidr.Addr().Is4())
	}
	if err := change(dir, e); (err == nil) != want {
		t.Fatalf("edit %d with %d entries of the family: %v", n, family, err)
	}
	if want {
		entries[n] = e
	}
}

func BenchmarkACLLastOf20(b *testing.B) {
	a := newNetworkACL(nil, "x")
	for n := range maxACLEntries {
		cidr := netip.MustParsePrefix(fmt.Sprintf("10.0.%d.0/24", n))
		if err := a.addEntry(netfake.Ingress, ACLEntry{Number: n + 1, Allow: true, CIDR: cidr}); err != nil {
			b.Fatal(err)
		}
	}
	f := flow(netfake.TCP, "10.0.19.5:40000", "10.1.2.9:5432")
	b.ReportAllocs()
	for b.Loop() {
		if !a.check(netfake.Ingress, f, 0, 0).allowed {
			b.Fatal("refused")
		}
	}
}
