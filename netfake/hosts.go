package netfake

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Hosts is a set of hosts: netfake.Hosts{web, db}. What embeds a *Host, such as an
// instance, counts as it. The empty set stands for everybody else: what the hosts of the
// other set send to one another's addresses is not part of it.
type Hosts []interface{ NetHost() *Host }

// String returns the names of the hosts.
func (hs Hosts) String() string {
	if len(hs) == 0 {
		return "everybody"
	}
	names := make([]string, len(hs))
	for i, h := range hs {
		names[i] = h.NetHost().name
	}
	return strings.Join(names, ", ")
}

func (hs Hosts) hosts() []*Host {
	all := make([]*Host, len(hs))
	for i, h := range hs {
		all[i] = h.NetHost()
	}
	return all
}

// Traffic is what some hosts send to others, wherever it passes and whatever becomes of
// its addresses on the way. What a load balancer or a resolver sends in turn is its own.
// A host's traffic with itself is never part of it.
//
// Faults of traffic act at its ends: where it arrives or, if it is for everybody, where
// it leaves. So they see what is on its way when they begin.
type Traffic struct {
	world *World
	a, b  Hosts
	both  bool
	on    Component
}

// Between returns the traffic between two sets of hosts, in both directions. A host that is
// nil or of another world fails the test.
func (w *World) Between(a, b Hosts) Traffic {
	w.tb.Helper()
	w.check(a)
	w.check(b)
	return Traffic{world: w, a: a, b: b, both: true}
}

// Toward returns the traffic from one set of hosts to another, and not what comes back. A
// host that is nil or of another world fails the test.
func (w *World) Toward(from, to Hosts) Traffic {
	w.tb.Helper()
	w.check(from)
	w.check(to)
	return Traffic{world: w, a: from, b: to}
}

// check fails the test for hosts that are not the world's.
func (w *World) check(hs Hosts) {
	w.tb.Helper()
	for i, one := range hs {
		var h *Host
		if one != nil {
			h = one.NetHost()
		}
		switch {
		case h == nil:
			w.tb.Fatalf("netfake: host %d of a set is nil", i)
		case h.world != w:
			w.tb.Fatalf("netfake: host %s of a set is another world's", h.name)
		}
	}
}

// String returns "web, db ↔ cache", or "→" for one direction.
func (t Traffic) String() string {
	if t.both {
		return t.a.String() + " ↔ " + t.b.String()
	}
	return t.a.String() + " → " + t.b.String()
}

// Partition swallows the traffic without a word to the sender. Partitions add up.
func (t Traffic) Partition() *Fault { return t.begin("partition of ", otherFault) }

// Hold keeps the traffic until every hold is released. Then it goes on at that instant,
// each flow's packets in the order in which they came.
func (t Traffic) Hold() *Fault { return t.begin("hold on ", holdFault) }

// Partition cuts two sets of hosts off from each other: it is Between(a, b).Partition().
func (w *World) Partition(a, b Hosts) *Fault {
	w.tb.Helper()
	return w.Between(a, b).Partition()
}

// Partition cuts the host off from everybody, in both directions.
func (h *Host) Partition() *Fault { return h.traffic().Partition() }

// Hold keeps what the host sends to others and what they send to it. What it sends goes
// no further than its interface.
func (h *Host) Hold() *Fault { return h.traffic().Hold() }

// Release ends every hold that was made on the host.
func (h *Host) Release() {
	h.world.repair(func(f *Fault) bool { return f.kind == holdFault && f.on == Component(h) })
}

func (h *Host) traffic() Traffic {
	return Traffic{world: h.world, a: Hosts{h}, both: true, on: h}
}

// trafficFault is a partition or a hold of traffic.
type trafficFault struct {
	*Fault
	a, b          []*Host
	both          bool
	left, arrived waiting // that it holds: where they leave, and where they have come to
}

func (t Traffic) begin(what string, kind kind) *Fault {
	w := t.world
	f := &trafficFault{
		Fault: &Fault{world: w, what: what + t.String(), on: t.on, kind: kind},
		a:     t.a.hosts(), b: t.b.hosts(), both: t.both,
	}
	f.end = func(time.Duration) {
		w.traffic = slices.DeleteFunc(w.traffic, func(other *trafficFault) bool { return other == f })
		f.release()
	}
	return f.Fault.begin(func(time.Duration) {
		if kind == holdFault {
			f.join()
		}
		w.traffic = append(w.traffic, f)
	})
}

// join counts what other holds keep already and this one from now on too.
func (f *trafficFault) join() {
	for _, other := range f.world.traffic {
		for _, p := range other.left {
			if f.concerns(p, nil) {
				f.Hit(p)
			}
		}
		for _, p := range other.arrived {
			if at := p.arrivedAt(); at != nil && f.concerns(p, at) {
				f.Hit(p)
			}
		}
	}
}

// interfere lets the faults of traffic have p, which leaves its sender if at is nil and
// has come to at otherwise. It reports whether one of them took it: a partition, or the
// first of the holds.
func (w *World) interfere(p *Packet, at *Host) bool {
	place := at
	if at == nil {
		place = p.from
	}
	cut := false
	for _, f := range w.traffic {
		if (f.kind != holdFault || p.probe != nil) && f.concerns(p, at) {
			f.Hit(p)
			cut = p.Blocked(Hop{Place: place.name, By: f.Fault, Rule: f.rule()}) || cut
		}
	}
	if cut {
		w.packets.put(p)
		return true
	}
	if p.probe != nil || !w.keep(p, at) {
		return false
	}
	for _, f := range w.traffic {
		if f.kind == holdFault && f.concerns(p, at) {
			f.Hit(p)
		}
	}
	return true
}

// keep lets the first hold that concerns p have it, and reports whether there is one.
func (w *World) keep(p *Packet, at *Host) bool {
	for _, f := range w.traffic {
		switch {
		case f.kind != holdFault || !f.concerns(p, at):
			continue
		case at == nil:
			f.left.hold(p, Hop{Place: p.from.name, By: f.Fault, Rule: "held"})
		default:
			f.arrived.hold(p, Hop{Place: at.name, By: f.Fault, Rule: "held"})
		}
		return true
	}
	return false
}

func (f *trafficFault) rule() string {
	if f.kind == holdFault {
		return "held until it is released"
	}
	return "partitioned"
}

// concerns reports whether p is part of the traffic, where it leaves if at is nil and
// where it has come to at otherwise.
func (f *trafficFault) concerns(p *Packet, at *Host) bool {
	return concerns(f.a, f.b, p, at) || (f.both && concerns(f.b, f.a, p, at))
}

func concerns(senders, receivers []*Host, p *Packet, at *Host) bool {
	switch {
	case len(senders) > 0 && !slices.Contains(senders, p.from):
		return false
	case len(receivers) > 0:
		return slices.Contains(receivers, at) && (len(senders) > 0 || !slices.Contains(receivers, p.from))
	case at == nil:
		return !ownedBy(senders, p.Flow.Dst.Addr())
	}
	// It left for an address of the set, which in another network is somebody else's.
	return ownedBy(senders, p.Flow.Dst.Addr()) && !slices.Contains(senders, at)
}

// ownedBy reports whether an address is that of one of the hosts.
func ownedBy(hosts []*Host, addr netip.Addr) bool {
	return slices.ContainsFunc(hosts, func(h *Host) bool { return h.owns(addr) })
}

// release sends on what was held, unless another hold keeps it.
func (f *trafficFault) release() {
	for _, p := range f.left.take() {
		if !f.world.keep(p, nil) {
			p.from.leave(p)
		}
	}
	for _, p := range f.arrived.take() {
		if at := p.arrivedAt(); at == nil || !f.world.keep(p, at) {
			f.world.Send(p, p.node)
		}
	}
}

// arrivedAt returns the host that a packet has come to.
func (p *Packet) arrivedAt() *Host {
	if h, ok := p.node.(interface{ NetHost() *Host }); ok {
		return h.NetHost()
	}
	return nil
}
