package fabricfake

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/netspec-go/netspec/netfake"
)

const (
	maxMirrorRules  = 10 // of one filter and direction
	maxMirrorNumber = 32766
)

// MirrorFilter chooses packets: in each direction the rule with the lowest number that
// matches decides, and what none matches is not mirrored.
type MirrorFilter struct {
	Ingress, Egress []MirrorRule

	// Resolver is whether questions to the VPC's resolver and its answers are mirrored,
	// whatever the rules say. Without it they never are.
	Resolver MirrorService
}

// MirrorService says whether the packets of a link-local service are mirrored. The zero
// MirrorService is ServiceHidden.
type MirrorService uint8

// The settings of a service.
const (
	ServiceHidden MirrorService = iota
	ServiceMirrored
)

// MirrorAction is what a rule does with what it matches. The zero MirrorAction is
// MirrorReject.
type MirrorAction uint8

// The actions of rules.
const (
	MirrorReject MirrorAction = iota
	MirrorAccept
)

// MirrorRule is one rule of a filter.
type MirrorRule struct {
	Number              int // from 1 to 32766
	Action              MirrorAction
	Protocol            netfake.Protocol // 0 is every protocol
	Source, Destination CIDR             // of either family; if "", any address

	// SourcePorts and DestinationPorts are first and last port. The zero PortRange is
	// any port, and is what protocols without ports have.
	SourcePorts, DestinationPorts PortRange
}

// PortRange is a range of ports with its ends. The zero PortRange is every port.
type PortRange struct{ From, To uint16 }

func (r PortRange) contains(port uint16) bool {
	return r == PortRange{} || r.From <= port && port <= r.To
}

// mirrorRule is a MirrorRule that has been read.
type mirrorRule struct {
	MirrorRule
	src, dst netip.Prefix // invalid: any
}

// readMirrorRules checks rules and puts them in the order of their numbers.
func readMirrorRules(rules []MirrorRule) (read []mirrorRule, err error) {
	if len(rules) > maxMirrorRules {
		return nil, refuse("TrafficMirrorFilterRuleLimitExceeded", "%d rules, and %d are allowed", len(rules), maxMirrorRules)
	}
	for _, r := range rules {
		m := mirrorRule{MirrorRule: r}
		switch {
		case r.Number < 1 || r.Number > maxMirrorNumber:
			return nil, refuse(codeParameterValue, "rule number %d: it is from 1 to %d", r.Number, maxMirrorNumber)
		case slices.ContainsFunc(read, func(o mirrorRule) bool { return o.Number == r.Number }):
			return nil, refuse(codeParameterValue, "there are two rules %d", r.Number)
		case r.Action > MirrorAccept:
			return nil, refuse(codeParameterValue, "rule %d: MirrorAction is %d", r.Number, r.Action)
		case r.SourcePorts.From > r.SourcePorts.To || r.DestinationPorts.From > r.DestinationPorts.To:
			return nil, refuse(codeParameterValue, "rule %d: a range of ports ends before it begins", r.Number)
		}
		if m.src, err = optionalCIDR(r.Source); err != nil {
			return nil, err
		}
		if m.dst, err = optionalCIDR(r.Destination); err != nil {
			return nil, err
		}
		if m.src.IsValid() && m.dst.IsValid() && m.src.Addr().Is4() != m.dst.Addr().Is4() {
			return nil, refuse(codeParameterValue, "rule %d: no packet goes from %v to %v", r.Number, m.src, m.dst)
		}
		read = append(read, m)
	}
	slices.SortFunc(read, func(a, b mirrorRule) int { return cmp.Compare(a.Number, b.Number) })
	return read, nil
}

// optionalCIDR reads a block, of which "" is none.
func optionalCIDR(c CIDR) (netip.Prefix, error) {
	if c == "" {
		return netip.Prefix{}, nil
	}
	return parseAnyBlock(string(c))
}

func (r *mirrorRule) matches(f netfake.Flow) bool {
	return (r.Protocol == 0 || r.Protocol == f.Proto) &&
		(!r.src.IsValid() || r.src.Contains(f.Src.Addr())) && (!r.dst.IsValid() || r.dst.Contains(f.Dst.Addr())) &&
		r.SourcePorts.contains(f.Src.Port()) && r.DestinationPorts.contains(f.Dst.Port())
}
