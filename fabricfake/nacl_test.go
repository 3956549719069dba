package fabricfake

import (
	"testing"

	"github.com/netspec-go/netspec/netfake"
)

func TestNewNetworkACL(t *testing.T) {
	w, _ := refusingWorld(t)
	custom, standard := newNetworkACL(w, "private"), newDefaultACL(w)
	f := flow(netfake.TCP, "10.0.1.5:40000", "10.0.2.9:443")
	for _, dir := range []netfake.Direction{netfake.Egress, netfake.Ingress} {
		// A custom ACL refuses everything.
		// fact: acl.custom
		if d := custom.check(dir, f, 0, 0); d.allowed || d.describe() != "rule *" || d.code() != codeACL {
			t.Errorf("custom %v: %+v %s %s", dir, d, d.describe(), d.code())
		}
		// The default one lets everything through.
		// fact: acl.default
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
	// fact: acl.number
	a.AllowIngress(0, "tcp/443", "0.0.0.0/0")
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: 0: an entry's number is from 1 to 32766 (acl data ingress entry 0)")
	// fact: acl.number
	a.AllowIngress(32767, "tcp/443", "0.0.0.0/0")
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: 32767: an entry's number is from 1 to 32766 (acl data ingress entry 32767)")
	// fact: acl.number.twice
	a.DenyIngress(1, "tcp/80", "10.0.0.0/8")
	tb.wantFatal(t, "fabricfake: NetworkAclEntryAlreadyExists: there is an entry 1 (acl data ingress entry 1)")
	// The "*" entry cannot be removed, nor one that is not there.
	// fact: acl.star
	a.RemoveIngress(32767)
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: 32767: an entry's number is from 1 to 32766 (acl data ingress)")
	// fact: code.notfound.acl
	a.RemoveEgress(2)
	tb.wantFatal(t, "fabricfake: InvalidNetworkAclEntry.NotFound: there is no entry 2 (acl data egress)")
	a.DenyEgress(2, "tcp/80", "10.0.0.0")
	tb.wantFatal(t, `fabricfake: InvalidParameterValue: "10.0.0.0" is not a CIDR block: a single address is 10.0.0.0/32 (acl data egress entry 2)`)
	a.DenyEgress(2, "ping", "10.0.0.0/8")
	tb.wantFatal(t, `fabricfake: InvalidParameterValue: permission "ping": want a form such as "tcp/443", "udp/1024-65535", "icmp/8", "proto/50" or "all" (acl data egress entry 2)`)
	// Host bits are zeroed.
	// fact: acl.hostbits
	a.DenyEgress(2, "tcp/80", "10.1.2.3/8")
	if e := a.EgressEntries(); len(e) != 3 || e[1].CIDR.String() != "10.0.0.0/8" {
		t.Errorf("egress entries %+v", e)
	}
}

// An ACL has 20 entries in each direction beside "*".
// fact: acl.quota, code.quota.acl
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

// An entry that is replaced keeps its number alone, and one for ICMPv6 with a block of IPv4
// is for every type.
// fact: acl.proto.icmpv6.ipv4
func TestReplaceACLEntry(t *testing.T) {
	w, tb := refusingWorld(t)
	a := newNetworkACL(w, "data").AllowIngress(100, "tcp/443", "0.0.0.0/0").AllowEgress(7, "all", "10.0.0.0/8")
	f := flow(netfake.TCP, "203.0.113.5:40000", "10.0.2.9:443")
	a.check(netfake.Ingress, f, 0, 0).count(1)
	a.ReplaceIngress(100, Deny, "tcp", "203.0.113.0/24").ReplaceEgress(7, Allow, "icmpv6/128", "10.0.0.0/8")
	tb.wantFatal(t, "")
	if d := a.check(netfake.Ingress, f, 0, 0); d.allowed || d.describe() != "rule 100  deny tcp/all 203.0.113.0/24" || d.entry.Hits != 0 {
		t.Errorf("replaced: %s, %d hits", d.describe(), d.entry.Hits)
	}
	if e := a.EgressEntries(); len(e) != 2 || e[0].Permission != (Permission{netfake.ICMPv6, anyICMP, anyICMP}) || !e[0].Allow {
		t.Errorf("egress entries %+v", e)
	}
	a.ReplaceIngress(101, Allow, "all", "0.0.0.0/0")
	tb.wantFatal(t, "fabricfake: InvalidNetworkAclEntry.NotFound: there is no entry 101 (acl data ingress entry 101)")
	a.ReplaceIngress(32767, Allow, "all", "0.0.0.0/0")
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: 32767: an entry's number is from 1 to 32766 (acl data ingress entry 32767)")
	a.ReplaceIngress(100, 2, "all", "0.0.0.0/0")
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: ACLAction is 2 (acl data)")

	// Into a family that is full it cannot go; within the family it can.
	for n := range maxACLEntries {
		a.AllowIngress(1000+n, "tcp/443", "::/0")
	}
	a.ReplaceIngress(1000, Deny, "tcp/443", "::/0")
	tb.wantFatal(t, "")
	a.ReplaceIngress(100, Deny, "tcp/443", "::/0")
	tb.wantFatal(t, "fabricfake: NetworkAclEntryLimitExceeded: an ACL has 20 entries in each direction at most (acl data ingress entry 100)")
}
