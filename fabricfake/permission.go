package fabricfake

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netspec-go/netspec/netfake"
)

// Permission is the traffic that a rule speaks of: a protocol, and its ports or its
// ICMP type. It is comparable. The zero Permission is all traffic.
type Permission struct {
	Proto netfake.Protocol // 0 is every protocol

	// From and To are the first and last destination port for TCP and UDP, and
	// type and code for ICMP, where -1 is any. For other protocols they are 0.
	From, To int
}

const (
	maxPort = 65535
	anyICMP = -1
)

// ParsePermission reads the notation that rules are written in:
//
//	tcp/443  tcp/1024-65535  udp/53   a destination port, or a range of them
//	tcp  udp  tcp/all  udp/all        every port
//	icmp  icmp/8  icmp/8/0            every message, a type, a type and code
//	proto/50                          an IP protocol by its number
//	all  -1                           everything
//
// Its error is an *APIError with the code InvalidParameterValue.
func ParsePermission(s string) (Permission, error) {
	name, rest, _ := strings.Cut(s, "/")
	var p Permission
	var err error = errSyntax
	switch {
	case s == "all" || s == "-1":
		err = nil
	case name == "tcp":
		p, err = portsPermission(netfake.TCP, rest)
	case name == "udp":
		p, err = portsPermission(netfake.UDP, rest)
	case name == "icmp":
		p, err = icmpPermission(netfake.ICMP, rest)
	case name == "icmpv6":
		p, err = icmpPermission(netfake.ICMPv6, rest)
	case name == "proto":
		p, err = numberPermission(rest)
	}
	if err == nil && strings.HasSuffix(s, "/") {
		err = errSyntax
	}
	if err != nil {
		return Permission{}, refuse(codeParameterValue, "permission %q: %v", s, err)
	}
	return p, nil
}

// permissionError tells what is wrong with a permission's text.
type permissionError string

func (e permissionError) Error() string { return string(e) }

const (
	errSyntax    = permissionError(`want a form such as "tcp/443", "udp/1024-65535", "icmp/8", "proto/50" or "all"`)
	errPort      = permissionError("a port is a number from 0 to 65535")
	errPortOrder = permissionError("the first port is above the last")
	errICMP      = permissionError("an ICMP type or code is a number from 0 to 255")
	errProtocol  = permissionError("a protocol is a number from 1 to 255")
)

func portsPermission(proto netfake.Protocol, ports string) (Permission, error) {
	if ports == "" || ports == "all" {
		return Permission{proto, 0, maxPort}, nil
	}
	first, last, ranged := strings.Cut(ports, "-")
	if !ranged {
		last = first
	}
	from, ok1 := parseNumber(first, 0, maxPort)
	to, ok2 := parseNumber(last, 0, maxPort)
	switch {
	case !ok1 || !ok2:
		return Permission{}, errPort
	case from > to:
		return Permission{}, errPortOrder
	}
	return Permission{proto, from, to}, nil
}

func icmpPermission(proto netfake.Protocol, message string) (Permission, error) {
	p := Permission{proto, anyICMP, anyICMP}
	if message == "" {
		return p, nil
	}
	typ, code, hasCode := strings.Cut(message, "/")
	var ok bool
	if p.From, ok = parseNumber(typ, 0, 255); !ok {
		return Permission{}, errICMP
	}
	if !hasCode {
		return p, nil
	}
	if p.To, ok = parseNumber(code, 0, 255); !ok {
		return Permission{}, errICMP
	}
	return p, nil
}

// numberPermission gives a protocol with a name the form that its name has.
func numberPermission(number string) (Permission, error) {
	n, ok := parseNumber(number, 1, 255)
	if !ok {
		return Permission{}, errProtocol
	}
	switch proto := netfake.Protocol(n); proto {
	case netfake.TCP, netfake.UDP:
		return portsPermission(proto, "")
	case netfake.ICMP, netfake.ICMPv6:
		return icmpPermission(proto, "")
	default:
		return Permission{Proto: proto}, nil
	}
}

// parseNumber reads plain digits: no sign, no blank.
func parseNumber(s string, least, most int) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil && int(n) >= least && int(n) <= most
}

// String returns the permission in the notation of ParsePermission.
func (p Permission) String() string {
	switch p.Proto {
	case 0:
		return "all"
	case netfake.TCP, netfake.UDP:
		return p.Proto.String() + "/" + p.portText()
	case netfake.ICMP, netfake.ICMPv6:
		return p.Proto.String() + p.messageText()
	}
	return fmt.Sprintf("proto/%d", uint8(p.Proto))
}

func (p Permission) portText() string {
	switch {
	case p.allPorts():
		return "all"
	case p.From == p.To:
		return strconv.Itoa(p.From)
	}
	return fmt.Sprintf("%d-%d", p.From, p.To)
}

func (p Permission) messageText() string {
	switch {
	case p.From == anyICMP:
		return ""
	case p.To == anyICMP:
		return fmt.Sprintf("/%d", p.From)
	}
	return fmt.Sprintf("/%d/%d", p.From, p.To)
}

func (p Permission) allPorts() bool { return p.From == 0 && p.To == maxPort }

// opens reports whether the permission admits every port of proto, TCP or UDP.
func (p Permission) opens(proto netfake.Protocol) bool {
	return p.Proto == 0 || p.Proto == proto && p.allPorts()
}

// matches reports whether the permission speaks of a packet. Of dstPort and the ICMP
// numbers it looks at those that the protocol has.
func (p *Permission) matches(proto netfake.Protocol, dstPort uint16, icmpType, icmpCode uint8) bool {
	if p.Proto != proto {
		return p.Proto == 0
	}
	switch proto {
	case netfake.TCP, netfake.UDP:
		return int(dstPort) >= p.From && int(dstPort) <= p.To
	case netfake.ICMP, netfake.ICMPv6:
		return (p.From == anyICMP || p.From == int(icmpType)) && (p.To == anyICMP || p.To == int(icmpCode))
	}
	return true
}

// miss tells how far a rule that does not admit a packet is from doing so: 0 is not
// worth mentioning, and else the less the nearer. samePeer is whether the rule's
// addresses fit.
func (p *Permission) miss(samePeer bool, proto netfake.Protocol, dstPort uint16, icmpType, icmpCode uint8) int {
	const step = maxPort + 1
	sameTraffic := p.matches(proto, dstPort, icmpType, icmpCode)
	switch {
	case samePeer && p.Proto == proto:
		return 1 + p.portDistance(proto, dstPort)
	case sameTraffic:
		return 2 * step
	case samePeer:
		return 3 * step
	case p.Proto == proto:
		return 4*step + p.portDistance(proto, dstPort)
	}
	return 0
}

// portDistance returns how many ports lie between the permission and the port.
func (p *Permission) portDistance(proto netfake.Protocol, port uint16) int {
	if proto != netfake.TCP && proto != netfake.UDP {
		return 0
	}
	return max(p.From-int(port), int(port)-p.To, 0)
}

// Peer is the other side of a security group rule: a CIDR, a *PrefixList, or a
// *SecurityGroup, which stands for the interfaces that have the group.
type Peer interface {
	String() string

	// resolve returns what a rule compares with.
	resolve() (ruleTarget, error)
}

// ruleTarget is what a rule compares an address with: one of its fields. It is comparable.
type ruleTarget struct {
	prefix netip.Prefix
	list   *PrefixList
	group  *SecurityGroup
}

// Rule is one permission of a security group, in one direction.
type Rule struct {
	Permission Permission
	Peer       Peer   // a CIDR, a *PrefixList or a *SecurityGroup
	Hits       uint64 // packets that it let through; those of a tracked connection are not judged by rules

	ruleTarget
}

// anywhereRule and anywhereIPv6Rule let everything through.
func anywhereRule() Rule {
	return Rule{Peer: Anywhere, ruleTarget: ruleTarget{prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0)}}
}

func anywhereIPv6Rule() Rule {
	return Rule{Peer: AnywhereIPv6, ruleTarget: ruleTarget{prefix: netip.PrefixFrom(netip.IPv6Unspecified(), 0)}}
}

func parseRule(perm string, peer Peer) (Rule, error) {
	if peer == nil {
		return Rule{}, refuse(codeParameterValue, "rule %s: its peer is nil", perm)
	}
	p, err := ParsePermission(perm)
	if err != nil {
		return Rule{}, err
	}
	t, err := peer.resolve()
	if err != nil {
		return Rule{}, err
	}
	if t.prefix.IsValid() {
		peer = CIDR(t.prefix.String())
	}
	return Rule{Permission: p, Peer: peer, ruleTarget: t}, nil
}

// anywhere reports whether the rule is for all addresses of its family.
func (t *ruleTarget) anywhere() bool { return t.prefix.IsValid() && t.prefix.Bits() == 0 }

// weight returns what the rule counts against the quotas of both families: a reference
// counts in each, a prefix list with all the entries that it is for. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
func (t *ruleTarget) weight() (ipv4, ipv6 int) {
	switch {
	case t.group != nil:
		return 1, 1
	case t.list != nil && t.list.ipv4:
		return t.list.max, 0
	case t.list != nil:
		return 0, t.list.max
	case t.prefix.Addr().Is4():
		return 1, 0
	}
	return 0, 1
}

// text returns "tcp/443 to 0.0.0.0/0" or "tcp/443 from sg app".
func (r *Rule) text(dir netfake.Direction) string {
	return fmt.Sprintf("%v %s %v", r.Permission, preposition(dir), r.Peer)
}

func preposition(dir netfake.Direction) string {
	if dir == netfake.Egress {
		return "to"
	}
	return "from"
}
