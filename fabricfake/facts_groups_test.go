package fabricfake_test

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// What becomes of a connection when rules change: one that is tracked goes on, one that is
// not is judged like a new one, and an ACL knows no connections. An echo between two zones
// takes a millisecond.
func TestConnectionUnderChange(t *testing.T) {
	type change = func(p *place)
	nothing := func(*place) {}
	revoke := func(p *place) {
		for _, r := range p.webGroup.IngressRules() {
			p.webGroup.RevokeIngress("tcp/80", r.Peer)
		}
	}
	replace := func(p *place) {
		p.web.Interface().SetGroups(fabricfake.Groups{p.vpc.SecurityGroup("bare").RestrictEgress()})
	}
	restrict := func(p *place) { p.webGroup.RestrictEgress() }
	deny := func(p *place) { p.vpc.DefaultNetworkACL().DenyIngress(50, "tcp/80", "10.0.1.0/24") }
	for _, row := range []struct {
		name    string
		tracked bool
		change  change
		works   bool
	}{
		{"nothing, tracked", true, nothing, true},
		{"nothing, untracked", false, nothing, true},
		// fact: ct.revoke.tracked
		{"the rule revoked, tracked", true, revoke, true},
		// fact: ct.revoke.untracked
		{"the rule revoked, untracked", false, revoke, false},
		// fact: ct.revoke.replaced
		{"the groups replaced, tracked", true, replace, true},
		// fact: ct.revoke.replaced
		{"the groups replaced, untracked", false, replace, false},
		// fact: ct.reply
		{"replies no longer let out, tracked", true, restrict, true},
		// fact: ct.reply.untracked
		{"replies no longer let out, untracked", false, restrict, false},
		// fact: ct.revoke.acl
		{"the ACL denies, tracked", true, deny, false},
		// fact: ct.revoke.acl
		{"the ACL denies, untracked", false, deny, false},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPlace(t, w)
			var peer fabricfake.Peer = fabricfake.Anywhere
			if row.tracked {
				peer = p.appGroup
			}
			p.webGroup.AllowIngress("tcp/80", peer)
			c, err := p.app.Dial("tcp", "10.0.2.4:80")
			if err != nil {
				t.Fatal(err)
			}
			row.change(p)
			began := w.Now()
			c.SetDeadline(time.Now().Add(5 * time.Second))
			c.Write([]byte("x"))
			_, err = io.ReadFull(c, make([]byte, 1))
			if took := w.Now() - began; (err == nil) != row.works || row.works && took != 2*fabricfake.LatencyZones {
				t.Errorf("%s: %v after %v", row.name, err, took)
			}
		})
	}
}

// An interface's groups guard all its addresses.
func TestGroupsGuardEveryAddress(t *testing.T) {
	for _, row := range []struct {
		name, addr string
		outcome    netfake.Outcome
		blocker    string
	}{
		{"the primary, where the rule lets in", "10.0.2.4:80", netfake.Answered, ""},
		// fact: eni.groups.all, eni.secondary
		{"the secondary, where the rule lets in", "10.0.2.100:80", netfake.Answered, ""},
		{"the primary, where none does", "10.0.2.4:81", netfake.Silence, "sg web ingress ENI_SG_RULES_MISMATCH"},
		// fact: eni.groups.all
		{"the secondary, where none does", "10.0.2.100:81", netfake.Silence, "sg web ingress ENI_SG_RULES_MISMATCH"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			p := newPlace(t, w)
			allowWeb(p)
			p.web.Interface().AssignPrivateIP("10.0.2.100")
			if err := serve(w, p.web.Host, 81); err != nil {
				t.Fatal(err)
			}
			to := netfake.Endpoint{Proto: netfake.TCP, Addr: netip.MustParseAddrPort(row.addr)}
			p.wants(t, row.name, to, row.outcome, row.blocker)
		})
	}
}

// Rules and entries choose ICMPv6 by its type, and let IPv6 out by a rule of its own, which
// a new group has.
func TestICMPv6AndNewGroups(t *testing.T) {
	acl := func(perm string) func(p *place) {
		return func(p *place) {
			p.webGroup.AllowIngress("icmpv6", fabricfake.AnywhereIPv6)
			p.back.UseACL(p.vpc.NetworkACL("x").AllowIngress(100, perm, "::/0").AllowEgress(100, "all", "::/0"))
		}
	}
	for _, row := range []struct {
		name    string
		change  func(p *place)
		works   bool
		blocker string
	}{
		// fact: sg.proto.icmpv6, sg.new.ipv6
		{"a rule for echo requests", func(p *place) { p.webGroup.AllowIngress("icmpv6/128", fabricfake.AnywhereIPv6) }, true, ""},
		// fact: sg.proto.icmpv6
		{"a rule for another type", func(p *place) { p.webGroup.AllowIngress("icmpv6/129", fabricfake.AnywhereIPv6) }, false, "sg web ingress ENI_SG_RULES_MISMATCH"},
		{"a rule for IPv4's", func(p *place) { p.webGroup.AllowIngress("icmp", fabricfake.Anywhere) }, false, "sg web ingress ENI_SG_RULES_MISMATCH"},
		// fact: acl.proto.icmpv6
		{"an entry for echo requests", acl("icmpv6/128"), true, ""},
		// fact: acl.proto.icmpv6
		{"an entry for another type", acl("icmpv6/129"), false, "acl x ingress SUBNET_ACL_RESTRICTION"},
		// fact: sg.new.ipv6
		{"the sender's rule for IPv6 revoked", func(p *place) {
			p.webGroup.AllowIngress("icmpv6", fabricfake.AnywhereIPv6)
			p.appGroup.RevokeEgress("all", fabricfake.AnywhereIPv6)
		}, false, "sg app egress ENI_SG_RULES_MISMATCH"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16").AddIPv6("")
			p := &place{w: w, vpc: v, appGroup: v.SecurityGroup("app"), webGroup: v.SecurityGroup("web")}
			p.front, p.back = v.Subnet("front", "10.0.1.0/24", "a").AddIPv6(""), v.Subnet("back", "10.0.2.0/24", "b").AddIPv6("")
			p.app = p.front.Instance("app", fabricfake.InstanceConfig{IPv6AddressCount: 1, Groups: fabricfake.Groups{p.appGroup}})
			p.web = p.back.Instance("web", fabricfake.InstanceConfig{IPv6AddressCount: 1, Groups: fabricfake.Groups{p.webGroup}})
			row.change(p)
			rec := w.Record(nil)
			_, err := p.app.Ping(timeout(t, patience), p.web.Interface().IPv6())
			blocker := ""
			for _, tr := range rec.Traces() {
				if b := tr.Blocker(); b != nil && blocker == "" {
					blocker = blockerText(b)
				}
			}
			if (err == nil) != row.works || blocker != row.blocker {
				t.Errorf("%s: %v, blocked by %q, want %q", row.name, err, blocker, row.blocker)
			}
		})
	}
}
