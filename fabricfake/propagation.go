package fabricfake

import (
	"net/netip"
	"slices"
	"time"
)

// Propagation is the routes that a virtual private gateway has learnt, which are in every
// table that it propagates to for as long as they are known. It is for the rooms of VPN and
// Direct Connect. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/route-tables-priority.html
type Propagation struct {
	vpc    *VPC
	target Target
	learnt []Route // in the order in which they were
	tables []*RouteTable
}

// NewPropagation returns the routes of a gateway of the VPC, none yet, which lead to target. No
// target fails the test, as a VPC does that was deleted (InvalidVpcID.NotFound).
func NewPropagation(v *VPC, target Target) *Propagation {
	v.tb().Helper()
	v.mustExist()
	if isNil(target) {
		v.tb().Fatalf("%v", refuse(codeParameterValue, "the propagated routes of vpc %s have no target", v.name))
	}
	return &Propagation{vpc: v, target: target}
}

// Learn adds a route to a block. The origin tells how it was learnt: OriginDirectConnect,
// OriginVPNStatic or OriginVPN. A route that is there already stays as it is. It may be
// called only inside World.Do, or from a timer of the world. Its error is an *APIError, for
// an origin that is not one of a gateway.
func (p *Propagation) Learn(block netip.Prefix, origin Origin) error {
	if !origin.propagated() {
		return refuse(codeParameterValue, "a route to %v of the origin %v is not propagated", block, origin)
	}
	r := Route{Destination: block.Masked(), Target: p.target, Origin: origin}
	if !slices.Contains(p.learnt, r) {
		p.learnt = append(p.learnt, r)
		p.tell()
	}
	return nil
}

// Forget takes back Learn. A route that is not there is ignored. It may be called where
// Learn may.
func (p *Propagation) Forget(block netip.Prefix, origin Origin) {
	r := Route{Destination: block.Masked(), Target: p.target, Origin: origin}
	p.learnt = slices.DeleteFunc(p.learnt, func(o Route) bool { return o == r })
	p.tell()
}

// tell brings the tables into step.
func (p *Propagation) tell() {
	for _, t := range p.tables {
		t.relearn()
	}
}

// EnablePropagation has a gateway propagate its routes to the table, those too that it
// learns later; of all gateways together the first hundred are installed. A static route or
// one of a prefix list with the same destination wins against them, and a local route
// against those that are more specific. It fails the test for a gateway of another VPC, one
// that is not attached (Gateway.NotAttached), and the table of a gateway. Enabling twice is
// harmless.
func (t *RouteTable) EnablePropagation(p *Propagation) *RouteTable {
	t.tb().Helper()
	return t.learn(p, func() error {
		switch {
		case t.vpc != p.vpc:
			return refuse(codeParameterValue, "%v and %v belong to different networks", t, p.target)
		case !p.target.Attached():
			return refuse("Gateway.NotAttached", "%v is not attached to the VPC of the route table", p.target)
		case len(t.edges) > 0:
			return refuse(codeParameterValue, "nothing is propagated to the table of the gateway %v", t.edges[0])
		case !slices.Contains(t.learns, p):
			t.learns, p.tables = append(t.learns, p), append(p.tables, t)
		}
		return nil
	})
}

// DisablePropagation takes back EnablePropagation. It does nothing if that was not called.
func (t *RouteTable) DisablePropagation(p *Propagation) *RouteTable {
	t.tb().Helper()
	return t.learn(p, func() error {
		t.learns = slices.DeleteFunc(t.learns, func(o *Propagation) bool { return o == p })
		p.tables = slices.DeleteFunc(p.tables, func(o *RouteTable) bool { return o == t })
		return nil
	})
}

// learn changes which gateways propagate to the table inside the scheduler.
func (t *RouteTable) learn(p *Propagation, change func() error) *RouteTable {
	tb := t.tb()
	tb.Helper()
	var err error
	t.world.Do(func(time.Duration) {
		if p == nil {
			err = refuse(codeParameterValue, "the gateway is nil")
		} else if err = t.checkAlive(); err == nil {
			err = change()
		}
		t.relearn()
	})
	if err != nil {
		tb.Fatalf("%v (%v)", err, t)
	}
	return t
}

// relearn brings the propagated routes into step with what the gateways have learnt.
func (t *RouteTable) relearn() {
	t.set(slices.DeleteFunc(t.routes, func(r Route) bool { return r.Origin.propagated() }))
	for _, p := range t.learns {
		for _, r := range p.learnt {
			t.install(r)
		}
	}
}
