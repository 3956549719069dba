package netfake

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Hosts is a set of hosts: netfake.Hosts{web, db}. What embeds a *Host, such as an
// instance, counts as it. In [World.Between] and its kin the empty set stands for everybody
// else: what the hosts of the other set send to one another's addresses is not part of it.
// The faults of an empty set itself are nobody's and hit nothing. A host that is nil or of
// another world than the first fails the test.
type Hosts []interface{ NetHost() *Host }

// String returns the names of the hosts.
func (hs Hosts) String() string {
	if len(hs) == 0 {
		return "everybody"
	}
	names := make([]string, len(hs))
	for i, one := range hs {
		names[i] = "nil"
		if h := hostOf(one); h != nil {
			names[i] = h.name
		}
	}
	return strings.Join(names, ", ")
}

// hosts returns the hosts, each once.
func (hs Hosts) hosts() []*Host {
	var all []*Host
	for _, one := range hs {
		if h := hostOf(one); h != nil && !slices.Contains(all, h) {
			all = append(all, h)
		}
	}
	return all
}

// hostOf returns the host that one is or embeds, nil if there is none.
func hostOf(one interface{ NetHost() *Host }) *Host {
	if v := reflect.ValueOf(one); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil
	}
	return one.NetHost()
}

// world returns the world of the set's first host, whose others have to be of it; nil if
// there is none.
func (hs Hosts) world() *World {
	all := hs.hosts()
	if len(all) == 0 {
		return nil
	}
	w := all[0].world
	w.tb.Helper()
	w.check(hs)
	return w
}

// test returns what calls itself a helper of the test that the hosts are in.
func (hs Hosts) test() interface{ Helper() } {
	if all := hs.hosts(); len(all) > 0 {
		return all[0].world.tb
	}
	return noTest{}
}

// noTest is the test of a set without hosts.
type noTest struct{}

func (noTest) Helper() {}

// Traffic is what some hosts send to others, wherever it passes and whatever becomes of
// its addresses on the way. What a load balancer or a resolver sends in turn is its own.
// A host's traffic with itself is never part of it.
//
// Faults of traffic act at its ends: where it arrives or, if it is for everybody, where
// it leaves. So they see what is on its way when they begin. The zero Traffic is none, and
// its faults hit nothing.
type Traffic struct {
	world *World
	a, b  Hosts
	both  bool
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
		switch h := hostOf(one); {
		case h == nil:
			w.tb.Fatalf("netfake: host %d of a set is nil", i)
		case h.world != w:
			w.tb.Fatalf("netfake: host %s of a set is another world's", h.name)
		}
	}
}

// String returns "web, db ↔ cache", or "→" for one direction.
func (t Traffic) String() string {
	if t.world == nil {
		return "no traffic"
	}
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

// Release ends every hold of the traffic, of one of its directions, and between some of
// the hosts of either set alone.
func (t Traffic) Release() { t.repair(func(k kind) bool { return k == holdFault }) }

// Repair undoes every partition and every hold of which Release would end the holds, the
// newest first.
func (t Traffic) Repair() { t.repair(func(kind) bool { return true }) }

func (t Traffic) repair(match func(kind) bool) {
	if t.world != nil {
		t.world.repair(func(f *Fault) bool { return match(f.kind) && f.isOf(t) })
	}
}

// isOf reports whether the fault is one of the traffic or of a part of it.
func (f *Fault) isOf(t Traffic) bool {
	if f.traffic == nil || f.traffic.both && !t.both {
		return false
	}
	a, b := t.a.hosts(), t.b.hosts()
	return f.traffic.between(a, b) || t.both && f.traffic.between(b, a)
}

// between reports whether a and b are the ends of the traffic, or have them. Everybody has
// no ends but himself.
func (f *trafficFault) between(a, b []*Host) bool { return isPart(f.a, a) && isPart(f.b, b) }

func isPart(some, all []*Host) bool {
	if len(some) == 0 {
		return len(all) == 0
	}
	return !slices.ContainsFunc(some, func(h *Host) bool { return !slices.Contains(all, h) })
}

// Partition cuts two sets of hosts off from each other: it is Between(a, b).Partition().
func (w *World) Partition(a, b Hosts) *Fault {
	w.tb.Helper()
	return w.Between(a, b).Partition()
}

// Partition cuts the hosts off from everybody else, in both directions. They still talk to
// one another.
func (hs Hosts) Partition() *Fault {
	hs.test().Helper()
	return hs.traffic().Partition()
}

// Hold keeps what the hosts send to everybody else and what is sent to them. They still
// talk to one another.
func (hs Hosts) Hold() *Fault {
	hs.test().Helper()
	return hs.traffic().Hold()
}

// Release ends every hold that was made on the hosts or on some of them.
func (hs Hosts) Release() {
	hs.test().Helper()
	hs.repair(func(f *Fault) bool { return f.kind == holdFault })
}

// Partition cuts the host off from everybody, in both directions.
func (h *Host) Partition() *Fault { return Hosts{h}.Partition() }

// Hold keeps what the host sends to others and what they send to it. What it sends goes
// no further than its interface, and is lost if the host crashes meanwhile.
func (h *Host) Hold() *Fault { return Hosts{h}.Hold() }

// Release ends every hold that was made on the host.
func (h *Host) Release() { Hosts{h}.Release() }

// traffic returns what the hosts exchange with everybody else.
func (hs Hosts) traffic() Traffic {
	hs.test().Helper()
	return Traffic{world: hs.world(), a: hs, both: true}
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
		Fault: &Fault{world: w, what: what + t.String(), on: t.on(), kind: kind},
		a:     t.a.hosts(), b: t.b.hosts(), both: t.both,
	}
	f.traffic = f
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

// on returns the host if the traffic is all of one host's, else nil.
func (t Traffic) on() Component {
	if a := t.a.hosts(); t.both && len(a) == 1 && len(t.b) == 0 {
		return a[0]
	}
	return nil
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

// leftBy takes out what a host has sent and the fault keeps at its interface.
func (f *trafficFault) leftBy(h *Host) []*Packet {
	all := f.left.take()
	for _, p := range all {
		if p.from != h {
			f.left = append(f.left, p)
		}
	}
	return slices.DeleteFunc(all, func(p *Packet) bool { return p.from != h })
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
