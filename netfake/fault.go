package netfake

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Fault is something that a test has broken: a partition, a hold, a delay, loss, a
// crash, a pause. It is in force from the call that returned it until Undo. Faults of one
// kind add up, and each is undone by itself, in whatever order. A Fault is safe for
// concurrent use, and a Component: a hop that a fault decided about may name it. The zero
// Fault, as one of a set without hosts, breaks nothing.
type Fault struct {
	world *World
	what  string
	on    Component
	kind  kind
	hits  uint64
	end   func(now time.Duration) // nil once it is undone

	stopped []*Host                 // whom a crash or a pause stops still
	goOn    func(h *Host, f *Fault) // how one of them goes on
	traffic *trafficFault           // what a partition or a hold of hosts does, nil for others
}

// kind is what a fault does, for those who undo all faults of a kind.
type kind uint8

const (
	otherFault kind = iota
	holdFault
	crashFault
	pauseFault
)

// NewFault begins a fault that a room brings itself: begin and end run inside the
// scheduler and are handed the fault. What says what is broken, as in "failure of host
// h-1"; on is the component that is broken, for RepairAt, or nil. One that cannot be
// compared, such as a struct with a slice, fails the test.
func (w *World) NewFault(on Component, what string, begin, end func(f *Fault, now time.Duration)) *Fault {
	w.tb.Helper()
	if begin == nil || end == nil {
		w.tb.Fatalf("netfake: %s: a fault needs a beginning and an end", what)
	}
	if on != nil && !reflect.ValueOf(on).Comparable() {
		w.tb.Fatalf("netfake: %s: the fault of a %T would not be found again, as it cannot be compared: take a pointer", what, on)
	}
	f := &Fault{world: w, what: what, on: on}
	f.end = func(now time.Duration) { end(f, now) }
	return f.begin(func(now time.Duration) { begin(f, now) })
}

// begin puts the fault in force, unless it is nobody's.
func (f *Fault) begin(begin func(now time.Duration)) *Fault {
	if f.world == nil {
		return f
	}
	f.world.Do(func(now time.Duration) {
		f.world.faults = append(f.world.faults, f)
		begin(now)
	})
	return f
}

// String says what is broken: "partition of client last mile".
func (f *Fault) String() string { return f.what }

// Hits returns how many packets the fault has dropped, held, delayed or changed so far,
// each packet once, whatever other faults did to it. A hold and a pause count what others
// kept already when they began. For a crash they are the packets that came to the dead host
// and the connections that died with it.
func (f *Fault) Hits() uint64 {
	if f.world == nil {
		return 0
	}
	f.world.lock()
	defer f.world.unlock()
	return f.hits
}

// Hit counts a packet that the fault has taken hold of, once, wherever else on its way it
// meets the fault again. It may be called only inside the scheduler; a probe counts nothing.
func (f *Fault) Hit(p *Packet) {
	if p.probe == nil && !slices.Contains(p.hitBy, f) {
		p.hitBy = append(p.hitBy, f)
		f.hits += uint64(p.Segments())
	}
}

// join counts packets that others keep already, and the fault from now on too.
func (f *Fault) join(kept waiting) {
	for _, p := range kept {
		f.Hit(p)
	}
}

// Undo ends the fault. The packets that it held go on; what it has dropped is lost.
// Undoing it twice is harmless.
func (f *Fault) Undo() {
	if f.world != nil {
		f.world.Do(f.undo)
	}
}

func (f *Fault) undo(now time.Duration) {
	if f.end == nil {
		return
	}
	end := f.end
	f.end = nil
	f.world.faults = without(f.world.faults, f)
	end(now)
}

// without returns faults less one.
func without(faults []*Fault, f *Fault) []*Fault {
	return slices.DeleteFunc(faults, func(other *Fault) bool { return other == f })
}

// Repair undoes every fault in the world.
func (w *World) Repair() { w.repair(func(*Fault) bool { return true }) }

// RepairAt undoes every fault that was made on a component itself, the newest first; none
// if it is nil.
func (w *World) RepairAt(on Component) {
	w.repair(func(f *Fault) bool { return on != nil && f.on == on })
}

// Faults returns the faults that are in force, the oldest first.
func (w *World) Faults() []*Fault {
	w.lock()
	defer w.unlock()
	return slices.Clone(w.faults)
}

// writeFaults writes a line for each fault in force.
func (w *World) writeFaults(b *strings.Builder) {
	for _, f := range w.Faults() {
		fmt.Fprintf(b, "in force: %v, hits: %d\n", f, f.Hits())
	}
}

// repair undoes the faults that match, the newest first.
func (w *World) repair(match func(*Fault) bool) {
	w.eachFault(func(f *Fault, now time.Duration) {
		if match(f) {
			f.undo(now)
		}
	})
}

// eachFault calls do inside the scheduler with every fault in force, the newest first.
func (w *World) eachFault(do func(f *Fault, now time.Duration)) {
	w.Do(func(now time.Duration) {
		for _, f := range slices.Backward(slices.Clone(w.faults)) {
			do(f, now)
		}
	})
}

// waiting is packets that somebody holds back.
type waiting []*Packet

// hold keeps p, and says so in its trace.
func (q *waiting) hold(p *Packet, h Hop) {
	if p.trace != nil {
		p.Passed(h)
	}
	*q = append(*q, p)
}

// take returns the packets in the order in which they came, those of one instant by
// their flow, and forgets them.
func (q *waiting) take() []*Packet {
	all := *q
	*q = nil
	slices.SortStableFunc(all, comparePackets)
	return all
}
