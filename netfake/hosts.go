package netfake

import (
	"slices"
	"strings"
	"time"
)

// Hosts is a set of hosts: netfake.Hosts{web, db}. What embeds a *Host, such as an
// instance, counts as it. The empty set stands for everybody else.
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

// Between returns the traffic between two sets of hosts, in both directions.
func (w *World) Between(a, b Hosts) Traffic { return Traffic{world: w, a: a, b: b, both: true} }

// Toward returns the traffic from one set of hosts to another, and not what comes back.
func (w *World) Toward(from, to Hosts) Traffic { return Traffic{world: w, a: from, b: to} }

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
func (w *World) Partition(a, b Hosts) *Fault { return w.Between(a, b).Partition() }

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
	return f.Fault.begin(func(time.Duration) { w.traffic = append(w.traffic, f) })
}

// interfere lets the faults of traffic have p, which leaves its sender if at is nil and
// has come to at otherwise. It reports whether one of them took it: a partition, or the
// first of the holds.
func (w *World) interfere(p *Packet, at *Host) bool {
	place := at
	if at == nil {
		place = p.from
	}
	var holds *trafficFault
	cut := false
	for _, f := range w.traffic {
		switch {
		case !f.concerns(p.from, at):
		case f.kind != holdFault || p.probe != nil:
			f.Hit(p)
			cut = p.Blocked(Hop{Place: place.name, By: f.Fault, Rule: f.rule()}) || cut
		case holds == nil:
			holds = f
		}
	}
	switch {
	case cut:
		w.packets.put(p)
	case holds != nil:
		holds.Hit(p)
		held := &holds.arrived
		if at == nil {
			held = &holds.left
		}
		held.hold(p, Hop{Place: place.name, By: holds.Fault, Rule: "held"})
	}
	return cut || holds != nil
}

func (f *trafficFault) rule() string {
	if f.kind == holdFault {
		return "held until it is released"
	}
	return "partitioned"
}

// concerns reports whether what from sent is part of the traffic, where it leaves if at
// is nil and where it has come to at otherwise.
func (f *trafficFault) concerns(from, at *Host) bool {
	return concerns(f.a, f.b, from, at) || (f.both && concerns(f.b, f.a, from, at))
}

func concerns(senders, receivers []*Host, from, at *Host) bool {
	switch {
	case len(senders) > 0 && !slices.Contains(senders, from):
		return false
	case at == nil:
		return len(receivers) == 0
	}
	return slices.Contains(receivers, at)
}

// release sends on what was held.
func (f *trafficFault) release() {
	for _, p := range f.left.take() {
		p.from.leave(p)
	}
	for _, p := range f.arrived.take() {
		f.world.Send(p, p.node)
	}
}
