package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// codeNoPublicIP is the explanation code for a middlebox that an internet gateway cannot
// send to. Source:
// https://docs.aws.amazon.com/vpc/latest/reachability/explanation-codes.html
const codeNoPublicIP netfake.Code = "INGRESS_RTB_NO_PUBLIC_IP"

// EdgeTarget is a target that the route table of a gateway may have: Local, an interface,
// or the endpoint of a Gateway Load Balancer. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/gateway-route-tables.html
type EdgeTarget interface {
	Target

	// FromEdge does nothing but to tell such a target from others.
	FromEdge()
}

// FromEdge makes Local an EdgeTarget.
func (t *localTarget) FromEdge() {}

// FromEdge makes an interface an EdgeTarget.
func (f *Interface) FromEdge() {}

// Associate gives the edge, that of an internet gateway or a virtual private gateway, a
// route table in place of the one that it has: where packets go that come in through it.
// Without one they go to the interface that has their destination.
//
// Such a table is no subnet's and not the main one; its routes lead to the blocks of the
// VPC and its subnets, and to Local, interfaces and endpoints of Gateway Load Balancers
// (see EdgeTarget); it has neither prefix lists nor propagated routes. Another table fails
// the test with InvalidParameterValue. What comes back is not taken through a middlebox by
// it: the routes of the subnets have to.
func (e *Edge) Associate(t *RouteTable) {
	e.tb().Helper()
	w := e.vpc.world
	var err error
	w.Do(func(time.Duration) {
		if err = t.checkEdgeTable(e.vpc); err == nil {
			e.leaveTable()
			e.table, t.edges = t, append(t.edges, e)
		}
	})
	if err != nil {
		w.TB().Fatalf("%v (%v)", err, e)
	}
}

// Disassociate takes the edge's route table away.
func (e *Edge) Disassociate() { made(e, "*Edge").vpc.world.Do(func(time.Duration) { e.leaveTable() }) }

func (e *Edge) leaveTable() {
	if e.table != nil {
		e.table.edges = slices.DeleteFunc(e.table.edges, func(o *Edge) bool { return o == e })
		e.table = nil
	}
}

// RouteTable returns the edge's route table, nil for none.
func (e *Edge) RouteTable() (t *RouteTable) {
	e.vpc.world.Do(func(time.Duration) { t = e.table })
	return t
}

// checkEdgeTable refuses a table that no gateway of a VPC may have.
func (t *RouteTable) checkEdgeTable(v *VPC) error {
	switch {
	case !slices.Contains(v.tables, t):
		return refuse(codeParameterValue, "%v is no route table of vpc %s", t, v.name)
	case t.main:
		return refuse(codeParameterValue, "%v is the main table, and cannot be a gateway's", t)
	case len(t.lists) > 0:
		return refuse(codeParameterValue, "%v has a route to %v, and a gateway's table has no prefix lists", t, t.lists[0].list)
	case len(t.learns) > 0:
		return refuse(codeParameterValue, "%v propagates to %v, and nothing may to a gateway's table", t.learns[0].target, t)
	}
	for _, s := range v.subnets {
		if s.table == t {
			return refuse(codeParameterValue, "%v is the table of the subnet %v, and cannot be a gateway's too", t, s)
		}
	}
	for _, r := range t.routes {
		if err := t.checkEdgeRoute(r.Destination, r.Target); err != nil {
			return err
		}
	}
	return nil
}

// checkEdgeRoute refuses a route that the table of a gateway may not have.
func (t *RouteTable) checkEdgeRoute(dst netip.Prefix, target Target) error {
	if _, ok := target.(EdgeTarget); !ok {
		return refuse(codeParameterValue, "%v is no target for the table of a gateway: these are local, interfaces and endpoints of Gateway Load Balancers", target)
	}
	if !slices.Contains(t.vpc.allBlocks(), dst) && !slices.Contains(t.vpc.blocks, dst) {
		return refuse(codeParameterValue, "%v is not the block of the VPC or of a subnet, where alone the table of a gateway leads", dst)
	}
	return nil
}

// Enter brings a plain packet into the VPC: where the edge's route table says, and without
// one to the interface that has its destination. It may be called only inside the
// scheduler; its answer is a node's.
func (e *Edge) Enter(p *netfake.Packet) netfake.Next {
	dst := p.Flow.Dst.Addr()
	if e.table == nil {
		return e.toOwner(p, dst)
	}
	r := e.table.lookup(dst)
	if r == nil {
		return p.Drop(e.hop(e.table, fmt.Sprintf("no route to %v", dst), codeNoRoute))
	}
	if r.State() != Active {
		return p.Drop(e.hop(e.table, r.describe(), r.code()))
	}
	f := r.Target.NextHop().Interface
	if f != nil && e.public && !e.reaches(f, dst) {
		return p.Drop(e.hop(e.table, fmt.Sprintf("%v, which has no public address", r), codeNoPublicIP))
	}
	if p.Traced() {
		p.Passed(e.hop(e.table, r.describe(), ""))
	}
	if f != nil {
		return e.toInterface(p, f)
	}
	return e.toOwner(p, dst)
}

// reaches reports whether an internet gateway can send packets for dst through an interface:
// it has a public address, for all that the edge knows, or for IPv6 one of that family.
func (e *Edge) reaches(f *Interface, dst netip.Addr) bool {
	if !dst.Is4() {
		return f.countAddresses(128) > 0
	}
	return slices.ContainsFunc(f.publics, func(t publicIP) bool {
		known := e.cache.told(publicKey(e.vpc, t.public))
		return known.live() && known.iface == f
	})
}

// toOwner brings a packet to the interface that has its destination.
func (e *Edge) toOwner(p *netfake.Packet, dst netip.Addr) netfake.Next {
	if known := e.entered.find(p); known != nil {
		return known.send(e.device, p)
	}
	if like := e.entered.precedents.find(p); like != nil && like.takes(p) {
		return e.entered.repeat(like, p).sendLike(e.device, p)
	}
	key := mappingKey{e.vpc.vni, dst}
	to, ask := e.cache.lookup(p, key)
	if ask {
		return e.cache.ask(p, key, func(p *netfake.Packet, to *mapping) netfake.Next { return e.toMapped(p, key, to) })
	}
	return e.toMapped(p, key, to)
}

// toMapped brings a packet where its destination is.
func (e *Edge) toMapped(p *netfake.Packet, key mappingKey, to *mapping) netfake.Next {
	if to != nil && p.Traced() {
		p.Passed(e.hop(e.region.mapping, e.cache.describe(key, to), ""))
	}
	if to != nil && (memorable(p) || beginsUnseen(p)) && !e.cache.missed(key) {
		m := passage{frame: e.frame(p, to), begins: true, alike: everyPort}
		m.way = e.wayTo(m.frame.To)
		return m.sendFirst(e.device, p, &e.entered)
	}
	return e.deliver(p, key, to)
}

// toInterface brings a packet to an interface, wherever that is.
func (e *Edge) toInterface(p *netfake.Packet, f *Interface) netfake.Next {
	key := mappingKey{e.vpc.vni, f.addr}
	to, ask := e.cache.lookup(p, key)
	if ask {
		return e.cache.ask(p, key, func(p *netfake.Packet, to *mapping) netfake.Next { return e.through(p, f, key, to) })
	}
	return e.through(p, f, key, to)
}

// through brings a packet to an interface that may be nowhere.
func (e *Edge) through(p *netfake.Packet, f *Interface, key mappingKey, to *mapping) netfake.Next {
	if to != nil || f.placed() {
		return e.deliver(p, key, to)
	}
	hop := e.hop(f, f.absence(), codeBadState)
	hop.Hint = e.cache.lag(key)
	return p.Drop(hop)
}

// deliver sends a packet where an address is.
func (e *Edge) deliver(p *netfake.Packet, key mappingKey, to *mapping) netfake.Next {
	if to == nil {
		why, code := e.vpc.unmapped(key.addr)
		hop := e.hop(e.region.mapping, why, code)
		hop.Hint = e.cache.lag(key)
		return p.Drop(hop)
	}
	frame := e.frame(p, to)
	return e.send(p, &frame, e.wayTo(frame.To))
}

// frame returns the frame in which a packet goes where an address is.
func (e *Edge) frame(p *netfake.Packet, to *mapping) Frame {
	return Frame{From: e.addr, To: to.device.addr, Entropy: entropy(p), VNI: e.vpc.vni, Receiver: to.iface.id}
}

// hop begins a hop at the edge.
func (e *Edge) hop(by netfake.Component, rule string, code netfake.Code) netfake.Hop {
	return netfake.Hop{Place: e.name, By: by, Rule: rule, Code: code}
}
