package fabricfake

import (
	"net/netip"
	"slices"

	"github.com/netspec-go/netspec/netfake"
)

// judgements remembers what an interface's groups said about packets in one direction,
// until something changes, for interfaces with so many rules that it takes longer to try
// them all. Unlike a passage it serves the first packet of a flow too.
type judgements struct {
	changes uint64 // World.Changes at the time
	bounds  []int  // sorted: the ports at which a rule begins to match, and after which it ends
	known   map[question]decision
}

// question is all that rules look at in a packet. Ports that no rule tells from one another
// are one.
type question struct {
	proto     netfake.Protocol
	ports     int // how many bounds lie at the port or below it
	typ, code uint8
	peer      netip.Addr
	known     bool // whether it is known who stands behind the peer's address
	vpc       *VPC // whose address that is then
}

const (
	fewRules     = 32   // so many are tried in less time than a judgement is looked up
	manyQuestion = 4096 // so many are asked before all are forgotten
)

// judge is checkGroups for a flow in a direction, of which p is a packet or, where the flow
// is its reverse, an answer. A packet that is traced or that probes is judged anew.
func (f *Interface) judge(p *netfake.Packet, dir netfake.Direction, flow netfake.Flow, ids identities) decision {
	typ, code := p.ICMPType()
	if p.Traced() || p.Probing() || !manyRules(f.groups, dir) {
		return checkGroups(f.groups, dir, flow, typ, code, ids)
	}
	j := &f.judged[dir]
	if now := p.World().Changes(); j.changes != now {
		*j = judgements{changes: now, bounds: portBounds(f.groups, dir), known: map[question]decision{}}
	}
	q := question{proto: flow.Proto, typ: typ, code: code, peer: flow.Src.Addr(), known: ids != nil}
	if g, ok := ids.(*groups); ok {
		q.vpc = g.vpc
	}
	if dir == netfake.Egress {
		q.peer = flow.Dst.Addr()
	}
	if flow.Proto == netfake.TCP || flow.Proto == netfake.UDP {
		at, exact := slices.BinarySearch(j.bounds, int(flow.Dst.Port()))
		if q.ports = at; exact {
			q.ports++
		}
	}
	d, ok := j.known[q]
	if !ok {
		if len(j.known) >= manyQuestion {
			clear(j.known)
		}
		d = checkGroups(f.groups, dir, flow, typ, code, ids)
		j.known[q] = d
	}
	return d
}

// manyRules reports whether an interface's groups have more than a few rules in a direction.
func manyRules(groups Groups, dir netfake.Direction) bool {
	n := 0
	for _, g := range groups {
		n += len(g.side(dir).rules)
	}
	return n > fewRules
}

// portBounds returns the ports at which one of the rules for TCP or UDP begins to match, or
// no longer matches.
func portBounds(groups Groups, dir netfake.Direction) []int {
	var bounds []int
	for _, g := range groups {
		for i := range g.side(dir).rules {
			if r := &g.side(dir).rules[i].Permission; r.Proto == netfake.TCP || r.Proto == netfake.UDP {
				bounds = append(bounds, r.From, r.To+1)
			}
		}
	}
	slices.Sort(bounds)
	return slices.Compact(bounds)
}
