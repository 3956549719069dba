package fabricfake

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/netspec-go/netspec/netfake"
	"pgregory.net/rapid"
)

func TestNewNetworkACL(t *testing.T) {
	w, _ := refusingWorld(t)
	custom, standard := newNetworkACL(w, "private"), newDefaultACL(w)
	f := flow(netfake.TCP, "10.0.1.5:40000", "10.0.2.9:443")
	for _, dir := range []netfake.Direction{netfake.Egress, netfake.Ingress} {
		// A custom ACL refuses everything.
		if d := custom.check(dir, f, 0, 0); d.allowed || d.describe() != "rule *" || d.code() != codeACL {
			t.Errorf("custom %v: %+v %s %s", dir, d, d.describe(), d.code())
		}
		// The default one lets everything through.
		if d := standard.check(dir, f, 0, 0); !d.allowed || d.describe() != "rule 100  allow all 0.0.0.0/0" || d.code() != "" {
			t.Errorf("default %v: %+v %s %s", dir, d, d.describe(), d.code())
		}
	}
	if custom.String() != "acl private" || standard.Name() != "default" {
		t.Errorf("got %v, %s", custom, standard.Name())
	}
}

func TestACLRefusals(t *testing.T) {
	w, tb := refusingWorld(t)
	a := newNetworkACL(w, "data")
	a.AllowIngress(1, "tcp/443", "0.0.0.0/0").DenyIngress(32766, "all", "0.0.0.0/0").AllowEgress(1, "all", "0.0.0.0/0")
	tb.wantFatal(t, "")
	// Numbers are from 1 to 32766, and used once in each direction.
	a.AllowIngress(0, "tcp/443", "0.0.0.0/0")
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: 0: an entry's number is from 1 to 32766 (acl data ingress entry 0)")
	a.AllowIngress(32767, "tcp/443", "0.0.0.0/0")
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: 32767: an entry's number is from 1 to 32766 (acl data ingress entry 32767)")
	a.DenyIngress(1, "tcp/80", "10.0.0.0/8")
	tb.wantFatal(t, "fabricfake: NetworkAclEntryAlreadyExists: there is an entry 1 (acl data ingress entry 1)")
	// The "*" entry cannot be removed, nor one that is not there.
	a.RemoveIngress(32767)
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: 32767: an entry's number is from 1 to 32766 (acl data ingress)")
	a.RemoveEgress(2)
	tb.wantFatal(t, "fabricfake: InvalidNetworkAclEntry.NotFound: there is no entry 2 (acl data egress)")
	a.DenyEgress(2, "tcp/80", "10.0.0.0")
	tb.wantFatal(t, `fabricfake: InvalidParameterValue: "10.0.0.0" is not a CIDR block (acl data egress entry 2)`)
	a.DenyEgress(2, "ping", "10.0.0.0/8")
	tb.wantFatal(t, `fabricfake: InvalidParameterValue: permission "ping": want a form such as "tcp/443", "udp/1024-65535", "icmp/8", "proto/50" or "all" (acl data egress entry 2)`)
	// Host bits are zeroed.
	a.DenyEgress(2, "tcp/80", "10.1.2.3/8")
	if e := a.EgressEntries(); len(e) != 3 || e[1].CIDR.String() != "10.0.0.0/8" {
		t.Errorf("egress entries %+v", e)
	}
}

// An ACL has 20 entries in each direction beside "*".
func TestACLQuota(t *testing.T) {
	w, tb := refusingWorld(t)
	a := newNetworkACL(w, "data")
	for n := range 20 {
		a.AllowIngress(n+1, "tcp/443", "0.0.0.0/0")
	}
	tb.wantFatal(t, "")
	a.AllowEgress(1, "tcp/443", "0.0.0.0/0")
	tb.wantFatal(t, "")
	a.AllowIngress(21, "tcp/443", "0.0.0.0/0")
	tb.wantFatal(t, "fabricfake: NetworkAclEntryLimitExceeded: an ACL has 20 entries in each direction at most (acl data ingress entry 21)")
	a.RemoveIngress(7).AllowIngress(21, "tcp/443", "0.0.0.0/0")
	tb.wantFatal(t, "")
}

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
		{"entries are tried by number, not in the order that they were added",
			netfake.Ingress, netfake.TCP, "10.0.1.5:40000", "10.0.2.9:22", "rule 100  deny tcp/22 0.0.0.0/0",
			"acl data ingress 200 allows tcp/all from 10.0.0.0/16, but comes too late"},
		{"the first that matches decides", netfake.Ingress, netfake.TCP, "10.0.9.5:40000", "10.0.2.9:22", "rule 90  allow tcp/22 10.0.9.0/24", ""},
		{"ingress compares the source", netfake.Ingress, netfake.TCP, "10.0.1.5:40000", "10.0.2.9:5432", "rule 200  allow tcp/all 10.0.0.0/16", ""},
		{"what nothing matches is refused", netfake.Ingress, netfake.TCP, "203.0.113.5:40000", "10.0.2.9:5432", "rule *",
			"acl data ingress 200 allows tcp/all from 10.0.0.0/16"},
		{"by protocol too", netfake.Ingress, netfake.UDP, "10.0.1.5:40000", "10.0.2.9:53", "rule *",
			"acl data ingress 200 allows tcp/all from 10.0.0.0/16"},
		{"a reply needs an entry of its own, for the client's port", netfake.Egress, netfake.TCP, "10.0.2.9:5432", "10.0.1.5:40000",
			"rule 120  allow tcp/1024-65535 10.0.1.0/24", ""},
		{"egress compares the destination", netfake.Egress, netfake.TCP, "10.0.2.9:5432", "10.0.3.5:40000", "rule *",
			"acl data egress 120 allows tcp/1024-65535 to 10.0.1.0/24"},
		{"and the destination port", netfake.Egress, netfake.TCP, "10.0.2.9:5432", "10.0.1.5:443", "rule *",
			"acl data egress 120 allows tcp/1024-65535 to 10.0.1.0/24"},
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
func TestACLAgainstScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, entries := newNetworkACL(nil, "x"), map[int]ACLEntry{}
		dir := drawDirection.Draw(t, "dir")
		for range rapid.IntRange(0, 25).Draw(t, "edits") {
			n := rapid.IntRange(1, 30).Draw(t, "number")
			_, exists := entries[n]
			if rapid.IntRange(0, 3).Draw(t, "edit") == 0 {
				if err := a.deleteEntry(dir, n); (err == nil) != exists {
					t.Fatalf("delete %d: %v", n, err)
				}
				delete(entries, n)
				continue
			}
			cidr := netip.MustParsePrefix(drawBlock.Draw(t, "cidr"))
			e := ACLEntry{Number: n, Allow: rapid.Bool().Draw(t, "allow"), Permission: drawPermission.Draw(t, "perm"), CIDR: cidr}
			want := !exists && len(entries) < maxACLEntries
			if err := a.addEntry(dir, e); (err == nil) != want {
				t.Fatalf("add %d to %d entries: %v", n, len(entries), err)
			}
			if want {
				entries[n] = e
			}
		}
		f := drawFlow.Draw(t, "flow")
		typ, code := drawICMPType.Draw(t, "type"), drawICMPType.Draw(t, "code")
		peer := f.Src.Addr()
		if dir == netfake.Egress {
			peer = f.Dst.Addr()
		}
		want := ACLEntry{Number: lastACLNumber}
		for n, e := range entries {
			if n < want.Number && e.CIDR.Contains(peer) && naiveMatches(e.Permission, f, typ, code) {
				want = e
			}
		}
		if d := a.check(dir, f, typ, code); d.allowed != want.Allow || d.entry.Number != want.Number {
			t.Fatalf("%v %v: got %s, want entry %d", dir, f, d.describe(), want.Number)
		}
	})
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
