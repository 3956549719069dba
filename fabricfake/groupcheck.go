package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netspec-go/netspec/netfake"
)

// The explanation codes of security groups. Source:
// https://docs.aws.amazon.com/vpc/latest/reachability/explanation-codes.html
const (
	codeGroupMismatch  netfake.Code = "ENI_SG_RULES_MISMATCH"
	codeGroupEmpty     netfake.Code = "SG_HAS_NO_RULES"
	codeGroupReference netfake.Code = "SG_REFERENCES_NOT_PRESERVED"
)

// identities tells which groups stand behind an address.
type identities interface {
	// groupsAt returns the groups of the interface that has the private address,
	// nil if no interface that may be referenced has it. It neither locks nor
	// allocates.
	groupsAt(addr netip.Addr) []*SecurityGroup
}

// decision is what an interface's groups say about a packet. Its zero value refuses.
// It is valid until a rule is changed.
type decision struct {
	allowed bool
	tracked bool // an allowed packet opens a tracked connection
	dir     netfake.Direction
	group   *SecurityGroup // whose rule matched; of a refusal the first that has rules
	rule    *Rule          // nil for a refusal
	index   int            // of rule, from 1
	code    netfake.Code   // for a refusal
}

// count adds hits to the rule that decided.
func (d *decision) count(packets int) {
	if d.rule != nil {
		d.rule.Hits += uint64(packets)
	}
}

// describe returns the rule that decided, as traces print it.
func (d *decision) describe() string {
	switch {
	case d.rule != nil:
		return fmt.Sprintf("rule %d  %s", d.index, d.rule.text(d.dir)+d.rule.group.owner(d.group.vpc))
	case d.code == codeGroupEmpty:
		return fmt.Sprintf("there is no %v rule", d.dir)
	}
	return "no rule matches"
}

// others returns those of an interface's groups that are to blame for a refusal besides
// the group that d names: a rule of any would do.
func (d *decision) others(groups []*SecurityGroup) []netfake.Component {
	var all []netfake.Component
	for _, g := range groups {
		if g != d.group {
			all = append(all, g)
		}
	}
	return all
}

// blame describes a refusal by an interface's groups.
func (d *decision) blame(groups []*SecurityGroup) string {
	why := d.describe()
	for i, g := range d.others(groups) {
		why += [...]string{", nor in ", ", "}[min(i, 1)] + g.String()
	}
	return why
}

// subject is a packet in the eyes of security group rules.
type subject struct {
	flow     netfake.Flow
	typ      uint8 // of ICMP
	code     uint8
	peer     netip.Addr // the address that is not the interface's own
	ids      identities
	asked    bool // whether groups has been filled
	groups   []*SecurityGroup
	wantedID bool // whether a rule failed only for want of ids
}

func newSubject(dir netfake.Direction, f netfake.Flow, icmpType, icmpCode uint8, ids identities) subject {
	return subject{flow: f, typ: icmpType, code: icmpCode, peer: peerOf(dir, f), ids: ids}
}

func (s *subject) matches(r *Rule) bool {
	return r.Permission.matches(s.flow.Proto, s.flow.Dst.Port(), s.typ, s.code) && s.matchesPeer(r)
}

func (s *subject) matchesPeer(r *Rule) bool {
	switch {
	case r.list != nil:
		return r.list.contains(s.peer)
	case r.group == nil:
		return r.prefix.Contains(s.peer)
	}
	if s.ids == nil {
		s.wantedID = true
		return false
	}
	if !s.asked {
		s.groups, s.asked = s.ids.groupsAt(s.peer), true
	}
	return slices.Contains(s.groups, r.group)
}

// checkGroups judges a packet by the rules of an interface's groups. A nil ids says
// that the identity of the packet's sender was lost on its way, behind a middlebox or
// a gateway, so that no rule that names a group can match.
func checkGroups(groups []*SecurityGroup, dir netfake.Direction, f netfake.Flow, icmpType, icmpCode uint8, ids identities) decision {
	s := newSubject(dir, f, icmpType, icmpCode, ids)
	for _, g := range groups {
		rules := g.side(dir).rules
		for i := range rules {
			if s.matches(&rules[i]) {
				return decision{
					allowed: true, tracked: tracked(groups, dir, &s),
					dir: dir, group: g, rule: &rules[i], index: i + 1,
				}
			}
		}
	}
	return refusal(groups, dir, &s)
}

// refusal finds the group to name first and the code for a packet that no rule admits.
func refusal(groups []*SecurityGroup, dir netfake.Direction, s *subject) decision {
	d := decision{dir: dir, code: codeGroupEmpty}
	for _, g := range groups {
		if d.group == nil {
			d.group = g
		}
		if len(g.side(dir).rules) > 0 {
			d.group, d.code = g, codeGroupMismatch
			break
		}
	}
	if s.wantedID {
		d.code = codeGroupReference
	}
	return d
}

// tracked tells whether a packet that the rules admit opens a tracked connection. TCP
// and UDP go untracked where a rule for all addresses admits them and another lets
// everything through the other way. Source:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html
func tracked(groups []*SecurityGroup, dir netfake.Direction, s *subject) bool {
	if s.flow.Proto != netfake.TCP && s.flow.Proto != netfake.UDP {
		return true
	}
	return !repliesPass(groups, dir, s) || !allPass(groups, dir, s)
}

func repliesPass(groups []*SecurityGroup, dir netfake.Direction, s *subject) bool {
	for _, g := range groups {
		back := &g.ingress
		if dir == netfake.Ingress {
			back = &g.egress
		}
		open := back.open[family(s.peer)]
		if s.flow.Proto == netfake.TCP && open.tcp || s.flow.Proto == netfake.UDP && open.udp {
			return true
		}
	}
	return false
}

// allPass reports whether a rule for all addresses admits the packet.
func allPass(groups []*SecurityGroup, dir netfake.Direction, s *subject) bool {
	for _, g := range groups {
		rules := g.side(dir).rules
		for i := range rules {
			if r := &rules[i]; r.anywhere() && s.matches(r) {
				return true
			}
		}
	}
	return false
}

// nearestRule describes the rule that came nearest to admitting a refused packet, ""
// if none came near: "sg db ingress 2 allows tcp/5433 from sg app".
func nearestRule(groups []*SecurityGroup, dir netfake.Direction, f netfake.Flow, icmpType, icmpCode uint8, ids identities) string {
	s := newSubject(dir, f, icmpType, icmpCode, ids)
	nearest, least := "", 0
	for _, g := range groups {
		rules := g.side(dir).rules
		for i := range rules {
			r := &rules[i]
			miss := r.Permission.miss(s.matchesPeer(r), f.Proto, f.Dst.Port(), icmpType, icmpCode)
			if miss > 0 && (least == 0 || miss < least) {
				least = miss
				nearest = fmt.Sprintf("%v %v %d allows %s", g, dir, i+1, r.text(dir)+r.group.owner(g.vpc))
			}
		}
	}
	return nearest
}
