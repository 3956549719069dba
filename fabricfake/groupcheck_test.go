package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/netfake"
	"pgregory.net/rapid"
)

// members is identities for tests: the groups of each address.
type members map[string][]*SecurityGroup

func (m members) groupsAt(addr netip.Addr) []*SecurityGroup { return m[addr.String()] }

func flow(proto netfake.Protocol, src, dst string) netfake.Flow {
	return netfake.Flow{Proto: proto, Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst)}
}

func TestCheckGroups(t *testing.T) {
	w, _ := refusingWorld(t)
	app := newSecurityGroup(w, "prod", "app").RestrictEgress().AllowEgress("tcp/443", Anywhere)
	db := newSecurityGroup(w, "prod", "db").RestrictEgress()
	db.AllowIngress("icmp/8", CIDR("10.0.0.0/16")).AllowIngress("tcp/5432", app).AllowIngress("tcp/7000", db)
	web := newSecurityGroup(w, "prod", "web").AllowIngress("tcp/80", Anywhere)
	bare := newSecurityGroup(w, "prod", "bare").RestrictEgress()
	ids := members{"10.0.1.5": {app}, "10.0.2.9": {bare, db}}

	const in, out = netfake.Ingress, netfake.Egress
	fromApp := flow(netfake.TCP, "10.0.1.5:40000", "10.0.2.9:5432")
	for _, row := range []struct {
		rule   string // what the row shows
		groups []*SecurityGroup
		dir    netfake.Direction
		flow   netfake.Flow
		typ    uint8
		ids    identities
		want   string // decision.describe, and the code of a refusal
	}{
		// fact: sg.reference
		{"a reference matches an address whose interface has the group",
			[]*SecurityGroup{db}, in, fromApp, 0, ids, "rule 2  tcp/5432 from sg app"},
		// fact: sg.reference.public
		{"it matches no other address, such as the interface's public one",
			[]*SecurityGroup{db}, in, flow(netfake.TCP, "203.0.113.5:40000", "10.0.2.9:5432"), 0, ids, "no rule matches ENI_SG_RULES_MISMATCH"},
		// fact: sg.reference.middlebox
		{"it matches nothing where identity was lost on the way",
			[]*SecurityGroup{db}, in, fromApp, 0, nil, "no rule matches SG_REFERENCES_NOT_PRESERVED"},
		{"where no rule would match anyway, identity is not the cause",
			[]*SecurityGroup{db}, in, flow(netfake.TCP, "10.0.1.5:40000", "10.0.2.9:22"), 0, nil, "no rule matches ENI_SG_RULES_MISMATCH"},
		// fact: sg.reference.self
		{"a self reference lets members talk",
			[]*SecurityGroup{db}, in, flow(netfake.TCP, "10.0.2.9:40000", "10.0.2.10:7000"), 0, ids, "rule 3  tcp/7000 from sg db"},
		// fact: sg.reference.noself
		{"without one, members cannot",
			[]*SecurityGroup{web}, in, flow(netfake.TCP, "10.0.2.9:40000", "10.0.2.10:7000"), 0, members{"10.0.2.9": {web}}, "no rule matches ENI_SG_RULES_MISMATCH"},
		{"egress compares the destination",
			[]*SecurityGroup{app}, out, flow(netfake.TCP, "10.0.1.5:40000", "142.250.70.206:443"), 0, ids, "rule 1  tcp/443 to 0.0.0.0/0"},
		// fact: sg.proto.ports
		{"and the destination port",
			[]*SecurityGroup{app}, out, flow(netfake.TCP, "10.0.1.5:443", "142.250.70.206:80"), 0, ids, "no rule matches ENI_SG_RULES_MISMATCH"},
		// fact: sg.allow
		{"the groups of an interface are united",
			[]*SecurityGroup{db, web}, in, flow(netfake.TCP, "203.0.113.5:40000", "10.0.2.9:80"), 0, ids, "rule 1  tcp/80 from 0.0.0.0/0"},
		// fact: sg.proto.icmp
		{"ICMP by type", []*SecurityGroup{db}, in, flow(netfake.ICMP, "10.0.3.3:7", "10.0.2.9:7"), 8, ids, "rule 1  icmp/8 from 10.0.0.0/16"},
		// fact: sg.proto.icmp
		{"another type", []*SecurityGroup{db}, in, flow(netfake.ICMP, "10.0.3.3:7", "10.0.2.9:7"), 13, ids, "no rule matches ENI_SG_RULES_MISMATCH"},
		{"a group without rules", []*SecurityGroup{bare}, in, fromApp, 0, ids, "there is no ingress rule SG_HAS_NO_RULES"},
		{"beside one with rules, that one is to blame first", []*SecurityGroup{bare, db}, in, flow(netfake.TCP, "10.0.1.5:1", "10.0.2.9:22"), 0, ids, "no rule matches, nor in sg bare ENI_SG_RULES_MISMATCH"},
		{"all are to blame", []*SecurityGroup{bare, db, web}, in, flow(netfake.TCP, "10.0.1.5:1", "10.0.2.9:22"), 0, ids, "no rule matches, nor in sg bare, sg web ENI_SG_RULES_MISMATCH"},
		{"all without rules", []*SecurityGroup{bare, app}, in, fromApp, 0, ids, "there is no ingress rule, nor in sg app SG_HAS_NO_RULES"},
		{"nobody is, if one lets it in", []*SecurityGroup{bare, web, db}, in, fromApp, 0, ids, "rule 2  tcp/5432 from sg app"},
		{"no group at all", nil, in, fromApp, 0, ids, "there is no ingress rule SG_HAS_NO_RULES"},
	} {
		d := checkGroups(row.groups, row.dir, row.flow, row.typ, 0, row.ids)
		got := d.describe()
		if !d.allowed {
			got = strings.TrimSpace(d.blame(row.groups) + " " + string(d.code))
		}
		if got != row.want || d.allowed != (d.rule != nil) {
			t.Errorf("%s: got %q (allowed %v), want %q", row.rule, got, d.allowed, row.want)
		}
	}
	if d := checkGroups([]*SecurityGroup{bare, db}, in, flow(netfake.TCP, "10.0.1.5:1", "10.0.2.9:22"), 0, 0, ids); d.group != db {
		t.Errorf("blamed %v, want sg db", d.group)
	}
}

func TestTracked(t *testing.T) {
	w, _ := refusingWorld(t)
	group := func(name string, ingress ...string) *SecurityGroup {
		g := newSecurityGroup(w, "prod", name)
		for _, perm := range ingress {
			g.AllowIngress(perm, Anywhere)
		}
		return g
	}
	web := group("web", "tcp/80", "udp/53", "icmp", "proto/50")
	strict := group("strict", "tcp/80").RestrictEgress().AllowEgress("tcp/1024-65535", Anywhere)
	halves := group("halves", "tcp/80").RestrictEgress().AllowEgress("tcp", CIDR("0.0.0.0/1")).AllowEgress("tcp", CIDR("128.0.0.0/1"))
	office := group("office").AllowIngress("tcp/80", CIDR("203.0.113.0/24"))
	both := group("both").AllowIngress("tcp/80", CIDR("203.0.113.0/24")).AllowIngress("tcp", Anywhere)
	tcpOnly := group("tcp-only", "udp/53", "tcp/80").RestrictEgress().AllowEgress("tcp", Anywhere)

	tcp, udp := flow(netfake.TCP, "203.0.113.5:40000", "10.0.2.9:80"), flow(netfake.UDP, "203.0.113.5:40000", "10.0.2.9:53")
	for _, row := range []struct {
		rule   string
		groups []*SecurityGroup
		flow   netfake.Flow
		want   bool
	}{
		// fact: ct.icmp
		{"ICMP is always tracked", []*SecurityGroup{web}, flow(netfake.ICMP, "203.0.113.5:7", "10.0.2.9:7"), true},
		// fact: ct.others
		{"other protocols are tracked", []*SecurityGroup{web}, flow(50, "203.0.113.5:0", "10.0.2.9:0"), true},
		// fact: ct.untracked
		{"TCP from everywhere with all replies let out is not", []*SecurityGroup{web}, tcp, false},
		// fact: ct.untracked
		{"nor is UDP", []*SecurityGroup{web}, udp, false},
		// fact: ct.tracked
		{"replies must be let out on all ports", []*SecurityGroup{strict}, tcp, true},
		{"and to all addresses, by one rule", []*SecurityGroup{halves}, tcp, true},
		{"and by the same protocol", []*SecurityGroup{tcpOnly}, udp, true},
		{"which one protocol's rule does for it", []*SecurityGroup{tcpOnly}, tcp, false},
		// fact: ct.tracked
		{"the rule must be for all addresses", []*SecurityGroup{office}, tcp, true},
		{"of several that match, the widest counts", []*SecurityGroup{both}, tcp, false},
		{"whichever group it is in", []*SecurityGroup{strict, web}, tcp, false},
	} {
		d := checkGroups(row.groups, netfake.Ingress, row.flow, 0, 0, nil)
		if !d.allowed || d.tracked != row.want {
			t.Errorf("%s: allowed %v, tracked %v, want %v", row.rule, d.allowed, d.tracked, row.want)
		}
	}
	// Egress: app may send everywhere, but nothing may come in on its own.
	d := checkGroups([]*SecurityGroup{group("client")}, netfake.Egress, tcp.Reverse(), 0, 0, nil)
	if !d.allowed || !d.tracked {
		t.Errorf("a client's connection: allowed %v, tracked %v, want both", d.allowed, d.tracked)
	}
}

func TestNearestRule(t *testing.T) {
	w, _ := refusingWorld(t)
	app, db := newSecurityGroup(w, "prod", "app"), newSecurityGroup(w, "prod", "db")
	db.AllowIngress("icmp/8", CIDR("10.0.0.0/16")).AllowIngress("tcp/22", CIDR("10.0.1.0/24"))
	db.AllowIngress("tcp/5433", app).AllowIngress("tcp/80", CIDR("192.168.0.0/16"))
	ids := members{"10.0.1.5": {app}}
	for _, row := range []struct {
		src, dst string
		proto    netfake.Protocol
		want     string
	}{
		// Same protocol and peer, another port: the nearest port.
		{"10.0.1.5:40000", "10.0.2.9:5432", netfake.TCP, "sg db ingress 3 allows tcp/5433 from sg app"},
		{"10.0.1.5:40000", "10.0.2.9:23", netfake.TCP, "sg db ingress 2 allows tcp/22 from 10.0.1.0/24"},
		// Same port, another peer.
		{"10.0.9.9:40000", "10.0.2.9:80", netfake.TCP, "sg db ingress 4 allows tcp/80 from 192.168.0.0/16"},
		// Same peer, another protocol.
		{"10.0.9.9:40000", "10.0.2.9:53", netfake.UDP, "sg db ingress 1 allows icmp/8 from 10.0.0.0/16"},
		// Same protocol only.
		{"203.0.113.5:40000", "10.0.2.9:81", netfake.TCP, "sg db ingress 4 allows tcp/80 from 192.168.0.0/16"},
		// Nothing in common.
		{"203.0.113.5:40000", "10.0.2.9:53", netfake.UDP, ""},
	} {
		got := nearestRule([]*SecurityGroup{db}, netfake.Ingress, flow(row.proto, row.src, row.dst), 13, 0, ids)
		if got != row.want {
			t.Errorf("%s → %s %v: got %q, want %q", row.src, row.dst, row.proto, got, row.want)
		}
	}
}

// drawFlow draws from so few values that rules and packets meet.
var drawFlow = rapid.Custom(func(t *rapid.T) netfake.Flow {
	addrs := []string{"10.0.0.5", "10.0.1.5", "10.1.0.9", "203.0.113.5"}
	if rapid.Bool().Draw(t, "IPv6") {
		addrs = []string{"2001:db8::5", "2001:db8:0:1::5", "2001:db8:1::9", "2001:db9::5"}
	}
	f := netfake.Flow{Proto: rapid.SampledFrom([]netfake.Protocol{netfake.TCP, netfake.UDP, netfake.ICMP, netfake.ICMPv6, 50, 51}).Draw(t, "proto")}
	addr := rapid.SampledFrom(addrs)
	port := rapid.SampledFrom([]uint16{53, 79, 80, 85, 90, 443, 40000})
	if f.Proto != netfake.TCP && f.Proto != netfake.UDP {
		port = rapid.Just(uint16(0))
	}
	f.Src = netip.AddrPortFrom(netip.MustParseAddr(addr.Draw(t, "src")), port.Draw(t, "sport"))
	f.Dst = netip.AddrPortFrom(netip.MustParseAddr(addr.Draw(t, "dst")), port.Draw(t, "dport"))
	return f
})

var (
	drawBlock     = rapid.SampledFrom([]string{"0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/16", "10.0.1.0/24", "203.0.113.5/32", "::/0", "2001:db8::/32", "2001:db8:0:1::/64"})
	drawDirection = rapid.SampledFrom([]netfake.Direction{netfake.Egress, netfake.Ingress})
	drawICMPType  = rapid.SampledFrom([]uint8{0, 3, 4, 8})
)

// randomGroups draws groups with rules by block, by prefix list and by reference, and who
// has them.
func randomGroups(t *rapid.T) ([]*SecurityGroup, members) {
	groups := make([]*SecurityGroup, rapid.IntRange(0, 4).Draw(t, "groups"))
	for i := range groups {
		groups[i] = &SecurityGroup{name: fmt.Sprint(i)}
	}
	lists := []*PrefixList{
		{name: "four", ipv4: true, max: 2, entries: blocks("10.0.1.0/24", "203.0.113.0/24")},
		{name: "six", max: 2, entries: blocks("2001:db8:1::/48", "2001:db8:0:1::5/128")},
	}
	for _, g := range groups {
		for range rapid.IntRange(0, 5).Draw(t, "rules") {
			var peer Peer = CIDR(drawBlock.Draw(t, "cidr"))
			switch rapid.IntRange(0, 3).Draw(t, "peer") {
			case 0:
				peer = rapid.SampledFrom(groups).Draw(t, "group")
			case 1:
				peer = lists[rapid.IntRange(0, 1).Draw(t, "list")]
			}
			r, err := parseRule(drawPermission.Draw(t, "perm").String(), peer)
			if err != nil {
				t.Fatal(err)
			}
			side := g.side(drawDirection.Draw(t, "side"))
			if had := side.find(r) >= 0; had != (side.add(r) != nil) {
				t.Fatalf("a rule that was there %v was not taken as such", had)
			}
		}
	}
	ids := members{}
	for _, addr := range []string{"10.0.0.5", "10.0.1.5", "2001:db8::5"} {
		for _, g := range groups {
			if rapid.Bool().Draw(t, "member") {
				ids[addr] = append(ids[addr], g)
			}
		}
	}
	return groups, ids
}

// naivePeer says in one expression what subject.matchesPeer does.
func naivePeer(r *Rule, peer netip.Addr, ids members) bool {
	inList := func(l *PrefixList) bool {
		return slices.ContainsFunc(l.entries, func(p netip.Prefix) bool { return p.Contains(peer) })
	}
	return r.prefix.IsValid() && r.prefix.Contains(peer) || r.list != nil && inList(r.list) ||
		r.group != nil && slices.Contains(ids[peer.String()], r.group)
}

// A packet is admitted exactly when some rule of some group admits it, and goes
// untracked exactly when the documented condition holds.
// fact: sg.allow, sg.order, ct.untracked
func TestCheckGroupsAgainstScan(t *testing.T) {
	cases(t, manyCases, func(t *rapid.T, judged func()) {
		groups, ids := randomGroups(t)
		for range 20 {
			judged()
			f, dir := drawFlow.Draw(t, "flow"), drawDirection.Draw(t, "dir")
			typ, code := drawICMPType.Draw(t, "type"), drawICMPType.Draw(t, "code")
			back, peer := netfake.Ingress, f.Dst.Addr()
			if dir == netfake.Ingress {
				back, peer = netfake.Egress, f.Src.Addr()
			}
			everybody := func(r *Rule) bool { return r.prefix.IsValid() && r.prefix.Bits() == 0 && r.prefix.Contains(peer) }
			var admitting, anywhere, replies, total int
			for _, g := range groups {
				for _, r := range g.side(dir).rules {
					total++
					if naivePeer(&r, peer, ids) && naiveMatches(r.Permission, f, typ, code) {
						admitting++
						if everybody(&r) {
							anywhere++
						}
					}
				}
				for _, r := range g.side(back).rules {
					all := r.Permission == Permission{} || r.Permission == Permission{f.Proto, 0, 65535}
					if everybody(&r) && all {
						replies++
					}
				}
			}
			d := checkGroups(groups, dir, f, typ, code, ids)
			if d.allowed != (admitting > 0) {
				t.Fatalf("allowed %v, but %d rules admit %v", d.allowed, admitting, f)
			}
			hasPorts := f.Proto == netfake.TCP || f.Proto == netfake.UDP
			if want := !(hasPorts && anywhere > 0 && replies > 0); d.allowed && d.tracked != want {
				t.Fatalf("tracked %v, want %v", d.tracked, want)
			}
			if empty := d.code == codeGroupEmpty; !d.allowed && empty != (total == 0) {
				t.Fatalf("code %s with %d rules", d.code, total)
			}
		}
	})
}

// benchGroups returns five groups of sixty rules, of which the last rule of the last
// admits the flow.
func benchGroups(b *testing.B) ([]*SecurityGroup, netfake.Flow, members) {
	peer := &SecurityGroup{name: "peer"}
	groups := make([]*SecurityGroup, 5)
	for i := range groups {
		g := &SecurityGroup{name: fmt.Sprint(i)}
		for n := range maxGroupRules {
			var from Peer = CIDR(fmt.Sprintf("10.%d.%d.0/24", i, n))
			if n%4 == 0 {
				from = &SecurityGroup{name: "other"}
			}
			if i == 4 && n == maxGroupRules-1 {
				from = peer
			}
			r, err := parseRule("tcp/5432", from)
			if err == nil {
				err = g.ingress.add(r)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		groups[i] = g
	}
	return groups, flow(netfake.TCP, "172.16.1.5:40000", "10.0.2.9:5432"), members{"172.16.1.5": {peer}}
}

// oneMember is identities without a map, as the engine's look-up costs are not meant.
type oneMember []*SecurityGroup

func (m oneMember) groupsAt(netip.Addr) []*SecurityGroup { return m }

func BenchmarkCheckGroupsLastOf300(b *testing.B) {
	groups, f, ids := benchGroups(b)
	var member identities = oneMember(ids["172.16.1.5"])
	b.ReportAllocs()
	for b.Loop() {
		if d := checkGroups(groups, netfake.Ingress, f, 0, 0, member); !d.allowed {
			b.Fatal("refused")
		}
	}
}

func BenchmarkCheckGroupsFirst(b *testing.B) {
	groups, f, _ := benchGroups(b)
	f.Src = netip.MustParseAddrPort("10.0.1.7:40000")
	b.ReportAllocs()
	for b.Loop() {
		if d := checkGroups(groups, netfake.Ingress, f, 0, 0, oneMember(nil)); !d.allowed {
			b.Fatal("refused")
		}
	}
}
