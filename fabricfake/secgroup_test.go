package fabricfake

import (
	"fmt"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/netfake"
)

func TestNewSecurityGroup(t *testing.T) {
	w, _ := refusingWorld(t)
	// A new group lets nothing in and everything out.
	g := newSecurityGroup(w, "prod", "app")
	// fact: sg.new.ingress, sg.new.egress
	if in, out := g.IngressRules(), g.EgressRules(); len(in) != 0 || len(out) != 1 || out[0].text(netfake.Egress) != "all to 0.0.0.0/0" {
		t.Errorf("a new group has ingress %v, egress %v", in, out)
	}
	// The default group lets in what its members send.
	d := newDefaultGroup(w, "prod")
	// fact: sg.default.members, sg.default.egress
	if in, out := d.IngressRules(), d.EgressRules(); len(in) != 1 || in[0].text(netfake.Ingress) != "all from sg default" || len(out) != 1 {
		t.Errorf("a default group has ingress %v, egress %v", in, out)
	}
	if g.String() != "sg app" || g.Name() != "app" {
		t.Errorf("got %v, %s", g, g.Name())
	}
	// Identifiers differ by VPC and by name, and are the same in every run.
	same, other := newSecurityGroup(w, "prod", "app"), newSecurityGroup(w, "test", "app")
	if g.ID() != same.ID() || g.ID() == other.ID() || g.ID() == d.ID() || len(g.ID()) != len("sg-0123456789abcdef0") {
		t.Errorf("ids %s %s %s %s", g.ID(), same.ID(), other.ID(), d.ID())
	}
}

func TestGroupRuleRefusals(t *testing.T) {
	w, tb := refusingWorld(t)
	app, db := newSecurityGroup(w, "prod", "app"), newSecurityGroup(w, "prod", "db")

	db.AllowIngress("tcp/5432", app).AllowIngress("tcp/5432", CIDR("10.0.0.0/8"))
	tb.wantFatal(t, "")
	// The same rule twice, host bits apart.
	db.AllowIngress("tcp/5432", app)
	tb.wantFatal(t, "fabricfake: InvalidPermission.Duplicate: tcp/5432 with sg app exists (sg db ingress)")
	// fact: sg.rule.duplicate, vpc.hostbits
	db.AllowIngress("tcp/5432-5432", CIDR("10.1.2.3/8"))
	tb.wantFatal(t, "fabricfake: InvalidPermission.Duplicate: tcp/5432 with 10.0.0.0/8 exists (sg db ingress)")
	db.AllowEgress("all", Anywhere)
	tb.wantFatal(t, "fabricfake: InvalidPermission.Duplicate: all with 0.0.0.0/0 exists (sg db egress)")
	// The rule to revoke is named in full.
	// fact: sg.rule.notfound
	db.RevokeIngress("tcp/5433", app)
	tb.wantFatal(t, "fabricfake: InvalidPermission.NotFound: there is no rule tcp/5433 with sg app (sg db ingress)")
	db.RevokeIngress("tcp/5432", app)
	db.RestrictEgress()
	tb.wantFatal(t, "")
	db.RestrictEgress()
	tb.wantFatal(t, "fabricfake: InvalidPermission.NotFound: there is no rule all with 0.0.0.0/0 (sg db egress)")
	if in, out := db.IngressRules(), db.EgressRules(); len(in) != 1 || len(out) != 0 {
		t.Errorf("left: ingress %v, egress %v", in, out)
	}
	// Text that is none.
	db.AllowIngress("tcp/x", Anywhere)
	tb.wantFatal(t, `fabricfake: InvalidParameterValue: permission "tcp/x": a port is a number from 0 to 65535 (sg db ingress)`)
	db.AllowIngress("tcp/80", CIDR("10.0.0.0"))
	tb.wantFatal(t, `fabricfake: InvalidParameterValue: "10.0.0.0" is not a CIDR block: a single address is 10.0.0.0/32 (sg db ingress)`)
	db.AllowIngress("tcp/80", nil)
	tb.wantFatal(t, "fabricfake: InvalidParameterValue: rule tcp/80: its peer is nil (sg db ingress)")
	db.AllowIngress("tcp/80", (*SecurityGroup)(nil))
	tb.wantFatal(t, "fabricfake: InvalidGroup.NotFound: the rule's security group is nil (sg db ingress)")
}

// A group has 60 rules in each direction.
// fact: sg.quota, code.quota.rules
func TestGroupRuleQuota(t *testing.T) {
	w, tb := refusingWorld(t)
	g := newSecurityGroup(w, "prod", "app").RestrictEgress()
	for port := range 60 {
		g.AllowIngress(fmt.Sprintf("tcp/%d", port), Anywhere)
		g.AllowEgress(fmt.Sprintf("tcp/%d", port), Anywhere)
	}
	tb.wantFatal(t, "")
	g.AllowIngress("tcp/60", Anywhere)
	tb.wantFatal(t, "fabricfake: RulesPerSecurityGroupLimitExceeded: a group has 60 rules in each direction at most (sg app ingress)")
	g.AllowEgress("tcp/60", Anywhere)
	tb.wantFatal(t, "fabricfake: RulesPerSecurityGroupLimitExceeded: a group has 60 rules in each direction at most (sg app egress)")
}

// fact: sg.name.unique, sg.name.default, sg.name.form
func TestCheckGroupName(t *testing.T) {
	siblings := []*SecurityGroup{{name: "App"}}
	for name, code := range map[string]string{
		"db":                     "",
		"app":                    codeGroupDuplicate, // names are compared without case
		"Default":                codeGroupReserved,
		"sg-app":                 codeParameterValue,
		"":                       codeParameterValue,
		strings.Repeat("a", 255): "",
		strings.Repeat("a", 256): codeParameterValue,
	} {
		wantCode(t, name, checkGroupName(name, siblings), code)
	}
}

func TestRuleHits(t *testing.T) {
	w, _ := refusingWorld(t)
	g := newSecurityGroup(w, "prod", "web").AllowIngress("tcp/80", Anywhere).AllowIngress("tcp/443", Anywhere)
	hit := flow(netfake.TCP, "203.0.113.5:40000", "10.0.2.9:443")
	for range 3 {
		d := checkGroups([]*SecurityGroup{g}, netfake.Ingress, hit, 0, 0, nil)
		d.count(1)
	}
	d := checkGroups([]*SecurityGroup{g}, netfake.Ingress, hit.Reverse(), 0, 0, nil)
	d.count(1) // a refusal hits no rule
	if rules := g.IngressRules(); rules[0].Hits != 0 || rules[1].Hits != 3 {
		t.Errorf("hits %d and %d, want 0 and 3", rules[0].Hits, rules[1].Hits)
	}
}

// With the VPC's first block of IPv6 the default group lets everything out over it too,
// unless it was changed; other groups do if they are made afterwards.
// fact: sg.new.ipv6
func TestGroupsOfIPv6(t *testing.T) {
	for _, row := range []struct {
		name     string
		restrict bool
		want     string
	}{
		{"as it came", false, "[all to 0.0.0.0/0 all to ::/0]"},
		{"changed", true, "[]"},
	} {
		w, tb := refusingWorld(t)
		v := NewVPC(w, "prod", "10.0.0.0/16")
		before := v.SecurityGroup("before")
		if row.restrict {
			v.DefaultSecurityGroup().RestrictEgress()
		}
		v.AddIPv6("").AddIPv6("")
		text := func(g *SecurityGroup) string {
			texts := []string{}
			for _, r := range g.EgressRules() {
				texts = append(texts, r.text(netfake.Egress))
			}
			return fmt.Sprint(texts)
		}
		if got := text(v.DefaultSecurityGroup()); got != row.want {
			t.Errorf("the default group, %s: %s", row.name, got)
		}
		if one, two := text(before), text(v.SecurityGroup("after")); one != "[all to 0.0.0.0/0]" || two != "[all to 0.0.0.0/0 all to ::/0]" {
			t.Errorf("a group made before has %s, one made after %s", one, two)
		}
		tb.wantFatal(t, "")
	}
}
