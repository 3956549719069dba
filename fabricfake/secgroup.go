package fabricfake

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// Quotas of security groups. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
const (
	maxGroupRules      = 60 // in each direction and for each address family
	maxInterfaceGroups = 5
	maxGroups          = 2500 // in a region
	maxGroupName       = 255  // characters
)

// SecurityGroup is a stateful filter at the interfaces that have it. It only allows;
// an interface with several groups admits what any of them allows. Its methods may be
// called at any time and take effect at once for new connections; a tracked
// connection goes on until it ends or idles out.
type SecurityGroup struct {
	world           *netfake.World
	vpc             *VPC // which it is in
	name, id        string
	ingress, egress ruleSet
	deleted         bool
}

// newSecurityGroup returns a group as the API makes it: nothing comes in, everything
// may leave.
func newSecurityGroup(w *netfake.World, vpc, name string) *SecurityGroup {
	g := &SecurityGroup{world: w, name: name, id: resourceID("sg", vpc, name)}
	g.egress.rules = []Rule{anywhereRule()}
	g.egress.refresh()
	return g
}

// newDefaultGroup returns the group that a VPC comes with: its members may talk with
// one another, everything may leave.
func newDefaultGroup(w *netfake.World, vpc string) *SecurityGroup {
	g := newSecurityGroup(w, vpc, "default")
	g.ingress.rules = []Rule{{Peer: g, ruleTarget: ruleTarget{group: g}}}
	return g
}

// addIPv6 gives the default group of a VPC that has become one with IPv6 the rule that lets
// everything out over it, if it has the one for IPv4 that it came with. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html
func (g *SecurityGroup) addIPv6() {
	if six := anywhereIPv6Rule(); g.egress.find(anywhereRule()) >= 0 && g.egress.find(six) < 0 {
		g.egress.rules = append(g.egress.rules, six)
		g.egress.refresh()
	}
}

// resourceID returns an identifier in the form of the real ones, made of the
// resource's path, so that it is the same in every run.
func resourceID(kind string, path ...string) string {
	h := fnv.New64a()
	h.Write([]byte(kind + "/" + strings.Join(path, "/")))
	return fmt.Sprintf("%s-0%016x", kind, h.Sum64())
}

// checkGroupName tells why a group of a VPC that has siblings cannot be called name.
func checkGroupName(name string, siblings []*SecurityGroup) error {
	switch {
	case name == "" || len(name) > maxGroupName:
		return refuse(codeParameterValue, "security group %q: a name has 1 to %d characters", name, maxGroupName)
	case strings.HasPrefix(strings.ToLower(name), "sg-"):
		return refuse(codeParameterValue, `security group %q: a name does not start with "sg-"`, name)
	case strings.EqualFold(name, "default"):
		return refuse(codeGroupReserved, "security group %q: every VPC has it", name)
	}
	for _, g := range siblings {
		if strings.EqualFold(g.name, name) {
			return refuse(codeGroupDuplicate, "security group %q exists in the VPC", g.name)
		}
	}
	return nil
}

// String returns "sg name", as traces print it.
func (g *SecurityGroup) String() string { return "sg " + g.name }

// Name returns the group's name.
func (g *SecurityGroup) Name() string { return g.name }

// ID returns the group's identifier, "sg-" and 17 digits. It follows from the names of
// the VPC and the group.
func (g *SecurityGroup) ID() string { return g.id }

// owner says, behind the group's name, of which VPC it is where a rule of another one names it:
// groups of two peers may have one name. Of no group it says nothing.
func (g *SecurityGroup) owner(v *VPC) string {
	if g == nil || g.vpc == v {
		return ""
	}
	return " of vpc " + g.vpc.name
}

func (g *SecurityGroup) resolve() (ruleTarget, error) {
	if g == nil {
		return ruleTarget{}, refuse(codeGroupNotFound, "the rule's security group is nil")
	}
	return ruleTarget{group: g}, nil
}

// AllowIngress lets traffic in: perm in the notation of ParsePermission, from a block
// or from the interfaces that have a group. It fails the test if the rule exists, and for a
// group of a VPC that is neither the group's own nor a peer of it (InvalidGroup.NotFound):
// accept a peering before its groups are named.
func (g *SecurityGroup) AllowIngress(perm string, from Peer) *SecurityGroup {
	g.tb().Helper()
	return g.edit(netfake.Ingress, perm, from, g.admit)
}

// AllowEgress lets traffic out. As with the real service it adds nothing to a new
// group, which lets everything out until RestrictEgress is called.
func (g *SecurityGroup) AllowEgress(perm string, to Peer) *SecurityGroup {
	g.tb().Helper()
	return g.edit(netfake.Egress, perm, to, g.admit)
}

// RevokeIngress takes a rule back. It fails the test if there is none such.
func (g *SecurityGroup) RevokeIngress(perm string, from Peer) *SecurityGroup {
	g.tb().Helper()
	return g.edit(netfake.Ingress, perm, from, (*ruleSet).remove)
}

// RevokeEgress takes a rule back. It fails the test if there is none such.
func (g *SecurityGroup) RevokeEgress(perm string, to Peer) *SecurityGroup {
	g.tb().Helper()
	return g.edit(netfake.Egress, perm, to, (*ruleSet).remove)
}

// RestrictEgress takes back the rule that a new group comes with, all traffic to
// Anywhere, so that only what AllowEgress names may leave.
func (g *SecurityGroup) RestrictEgress() *SecurityGroup {
	g.tb().Helper()
	return g.RevokeEgress("all", Anywhere)
}

// IngressRules returns the rules for what comes in, in the order in which they were
// added, with their hits so far.
func (g *SecurityGroup) IngressRules() []Rule { return g.snapshot(&g.ingress) }

// EgressRules returns the rules for what leaves.
func (g *SecurityGroup) EgressRules() []Rule { return g.snapshot(&g.egress) }

func (g *SecurityGroup) snapshot(s *ruleSet) (rules []Rule) {
	g.world.Do(func(time.Duration) { rules = slices.Clone(s.rules) })
	return rules
}

// edit changes the rules of one direction inside the scheduler.
func (g *SecurityGroup) edit(dir netfake.Direction, perm string, peer Peer, change func(*ruleSet, Rule) error) *SecurityGroup {
	tb := g.tb()
	tb.Helper()
	r, err := parseRule(perm, peer)
	if err == nil {
		g.world.Do(func(time.Duration) {
			if err = checkAlive(g); err == nil {
				s := g.side(dir)
				s.most, s.of = g.vpc.quotas().RulesPerGroup, g.vpc
				err = change(s, r)
			}
		})
	}
	if err != nil {
		tb.Fatalf("%v (%v %v)", err, g, dir)
	}
	return g
}

// admit adds a rule, whose group must be there, in the VPC or a peer.
func (g *SecurityGroup) admit(s *ruleSet, r Rule) error {
	if err := checkAlive(r.group); err != nil {
		return err
	}
	if err := g.checkReference(r.group); err != nil {
		return err
	}
	return s.add(r)
}

// checkAlive refuses what is done with a group that was deleted.
func checkAlive(groups ...*SecurityGroup) error {
	for _, g := range groups {
		if g != nil && g.deleted {
			return refuse(codeGroupNotFound, "%v was deleted", g)
		}
	}
	return nil
}

// Delete deletes the group. It fails the test for the default group (CannotDelete), and
// while an interface has the group or a rule of another one of its VPC names it
// (DependencyViolation). A rule of a peer that names it stays, and matches nothing. Source:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeStaleSecurityGroups.html
func (g *SecurityGroup) Delete() {
	tb := g.tb()
	tb.Helper()
	var err error
	g.world.Do(func(time.Duration) {
		if err = g.checkDelete(); err == nil {
			g.deleted = true
			g.vpc.groups = slices.DeleteFunc(g.vpc.groups, func(o *SecurityGroup) bool { return o == g })
		}
	})
	if err != nil {
		tb.Fatalf("%v (%v)", err, g)
	}
}

func (g *SecurityGroup) checkDelete() error {
	if err := checkAlive(g); err != nil {
		return err
	}
	if g == g.vpc.groups[0] {
		return refuse(codeCannotDelete, "a VPC keeps its default security group")
	}
	for _, f := range g.vpc.interfaces() {
		if slices.Contains(f.groups, g) {
			return refuse(codeDependency, "the interface of %v has the group", f)
		}
	}
	for _, other := range g.vpc.groups {
		if other != g && other.names(g) {
			return refuse(codeDependency, "a rule of %v names the group", other)
		}
	}
	return nil
}

// names reports whether one of the group's rules refers to another group.
func (g *SecurityGroup) names(other *SecurityGroup) bool {
	refers := func(r Rule) bool { return r.group == other }
	return slices.ContainsFunc(g.ingress.rules, refers) || slices.ContainsFunc(g.egress.rules, refers)
}

// ruleSet is the rules of a group in one direction.
type ruleSet struct {
	rules []Rule
	most  int  // that it may have; 0 is the default
	of    *VPC // whose group's they are

	// open tells, for each address family, whether a rule admits every address and
	// port, which connections need to go untracked.
	open [2]openness
}

type openness struct{ tcp, udp bool }

// family is the index of an address's family.
func family(addr netip.Addr) int {
	if addr.Is4() {
		return 0
	}
	return 1
}

func (s *ruleSet) find(r Rule) int {
	return slices.IndexFunc(s.rules, func(o Rule) bool {
		return o.Permission == r.Permission && o.ruleTarget == r.ruleTarget
	})
}

func (s *ruleSet) add(r Rule) error {
	switch {
	case s.find(r) >= 0:
		return refuse(codePermissionDuplicate, "%v with %v%s exists", r.Permission, r.Peer, r.group.owner(s.of))
	case s.full(&r.ruleTarget):
		return refuse(codeGroupRuleLimit, "a group has %d rules in each direction at most%s", s.quota(), r.list.cost())
	}
	s.rules = append(s.rules, r)
	s.refresh()
	return nil
}

// full reports whether there is no room for one rule more.
func (s *ruleSet) full(more *ruleTarget) bool {
	ipv4, ipv6 := more.weight()
	has4, has6 := ipv4 > 0, ipv6 > 0
	for i := range s.rules {
		a, b := s.rules[i].weight()
		ipv4, ipv6 = ipv4+a, ipv6+b
	}
	return has4 && ipv4 > s.quota() || has6 && ipv6 > s.quota()
}

func (s *ruleSet) quota() int {
	if s.most == 0 {
		return maxGroupRules
	}
	return s.most
}

func (s *ruleSet) remove(r Rule) error {
	i := s.find(r)
	if i < 0 {
		return refuse(codePermissionNotFound, "there is no rule %v with %v%s", r.Permission, r.Peer, r.group.owner(s.of))
	}
	s.rules = slices.Delete(s.rules, i, i+1)
	s.refresh()
	return nil
}

func (s *ruleSet) refresh() {
	s.open = [2]openness{}
	for i := range s.rules {
		if r := &s.rules[i]; r.anywhere() {
			open := &s.open[family(r.prefix.Addr())]
			open.tcp = open.tcp || r.Permission.opens(netfake.TCP)
			open.udp = open.udp || r.Permission.opens(netfake.UDP)
		}
	}
}

func (g *SecurityGroup) side(dir netfake.Direction) *ruleSet {
	if dir == netfake.Egress {
		return &g.egress
	}
	return &g.ingress
}
