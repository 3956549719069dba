package netfake

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// counting says which of several faults of one kind count a packet.
type counting int

const (
	each  counting = iota // all that are in force when it comes
	last                  // the latest of these: it alone decides
	keeps                 // these, and those that begin while it still waits
)

// orders are the orders in which three faults can be undone.
var orders = [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}

// undoable is a verb, on each thing that has it, in the way of pings from a to b.
type undoable struct {
	name   string
	begin  func(p *duo) *Fault
	counts counting
}

var undoables = []undoable{
	{"Link.Partition", func(p *duo) *Fault { return p.mile().Partition() }, each},
	{"Way.Partition", func(p *duo) *Fault { return p.mile().Back().Partition() }, each},
	{"a place's Partition", func(p *duo) *Fault { return p.backbone().Partition() }, each},
	{"Traffic.Partition", func(p *duo) *Fault { return p.w.Partition(Hosts{p.a}, Hosts{p.b}) }, each},
	{"Traffic.Partition, one way", func(p *duo) *Fault { return p.w.Toward(nil, Hosts{p.b}).Partition() }, each},
	{"Host.Partition at the sender", func(p *duo) *Fault { return p.a.Partition() }, each},
	{"Host.Partition", func(p *duo) *Fault { return p.b.Partition() }, each},
	{"Link.Hold", func(p *duo) *Fault { return p.mile().Hold() }, keeps},
	{"Way.Hold", func(p *duo) *Fault { return p.mile().Back().Hold() }, keeps},
	{"a place's Hold", func(p *duo) *Fault { return p.backbone().Hold() }, keeps},
	{"Traffic.Hold", func(p *duo) *Fault { return p.w.Between(Hosts{p.b}, Hosts{p.a}).Hold() }, keeps},
	{"Traffic.Hold, one way", func(p *duo) *Fault { return p.w.Toward(Hosts{p.a}, nil).Hold() }, keeps},
	{"Host.Hold at the sender", func(p *duo) *Fault { return p.a.Hold() }, keeps},
	{"Host.Hold", func(p *duo) *Fault { return p.b.Hold() }, keeps},
	{"Pause at the sender", func(p *duo) *Fault { return p.a.Pause() }, keeps},
	{"Pause", func(p *duo) *Fault { return p.b.Pause() }, keeps},
	{"Crash", func(p *duo) *Fault { return p.b.Crash() }, each},
	{"a set's Crash", func(p *duo) *Fault { return p.set().Crash() }, each},
	{"a set's Pause", func(p *duo) *Fault { return p.set().Pause() }, keeps},
	{"a set's Partition", func(p *duo) *Fault { return p.set().Partition() }, each},
	{"a set's Hold", func(p *duo) *Fault { return p.set().Hold() }, keeps},
	{"Link.Delay", func(p *duo) *Fault { return p.mile().Delay(time.Minute) }, each},
	{"Way.Delay", func(p *duo) *Fault { return p.mile().Back().Delay(time.Minute) }, each},
	{"Link.SetLoss", func(p *duo) *Fault { return p.mile().SetLoss(1) }, last},
	{"Way.SetFaults", func(p *duo) *Fault { return p.mile().Back().SetFaults(Faults{Loss: 1}) }, last},
	{"several faults at once", func(p *duo) *Fault {
		return p.mile().Back().SetFaults(Faults{Duplicate: 1, Corrupt: 1, Reorder: 1, ReorderBy: time.Minute})
	}, last},
	{"Refuse", func(p *duo) *Fault { return p.mile().Refuse(HostUnreachable) }, last},
	{"DropICMP", func(p *duo) *Fault { return p.mile().DropICMP() }, each},
}

// set is b and another one.
func (p *duo) set() Hosts {
	if p.w.hostNames["c"] == nil {
		p.w.Internet().Host("c", "203.0.113.3")
	}
	return Hosts{p.b, p.w.hostNames["c"]}
}

func (p *duo) mile() *Link     { return p.b.Uplink().Link() }
func (p *duo) backbone() *Link { return p.w.Internet().Between(Place{}, Place{}) }

// ping sends one packet from a to b and reports whether an answer came.
func (p *duo) ping(t *testing.T) bool {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := p.a.Ping(ctx, p.b.Addr())
	p.w.Sleep(10 * time.Millisecond)
	return err == nil
}

// Whatever the verb and whatever it is done to: three faults of it are undone in every
// order, nothing comes through before the last is gone and everything afterwards, and each
// has counted its packets, each of them once.
func TestEveryFaultIsUndoneAndCounts(t *testing.T) {
	for _, verb := range undoables {
		for _, order := range orders {
			t.Run(fmt.Sprint(verb.name, order), func(t *testing.T) {
				Run(t, func(t *testing.T, w *World) { verb.check(t, w, order) })
			})
		}
	}
}

func (u undoable) check(t *testing.T, w *World, order [3]int) {
	p := &duo{w: w, a: w.Internet().Host("a", "203.0.113.1"), b: w.Internet().Host("b", "203.0.113.2")}
	if !p.ping(t) {
		t.Fatal("nothing comes through without a fault")
	}
	var faults []*Fault
	var inForce, want [3]uint64
	sent := uint64(0)
	send := func() {
		if p.ping(t) {
			t.Error("an answer came while faults are in force")
		}
		sent++
		latest := true
		for i := 2; i >= 0; i-- {
			if inForce[i] == 1 && (latest || u.counts != last) {
				want[i]++
				latest = false
			}
		}
	}
	for i := range 3 {
		faults = append(faults, u.begin(p))
		inForce[i] = 1
		if u.counts == keeps {
			want[i] = sent
		}
		send()
	}
	for n, i := range order {
		faults[i].Undo()
		faults[i].Undo() // twice is harmless
		inForce[i] = 0
		if n < 2 {
			send()
		}
	}
	if got := p.w.Faults(); len(got) > 0 || !p.ping(t) {
		t.Errorf("all is undone, in force are %v, or nothing comes through", got)
	}
	for i, f := range faults {
		if f.Hits() != want[i] {
			t.Errorf("fault %d, %v: %d hits, want %d", i, f, f.Hits(), want[i])
		}
	}
}

// A set that is cut off from everybody else is not cut in two, nor is one that is held.
func TestSetStaysWhole(t *testing.T) {
	for _, row := range []struct {
		name  string
		begin func(w *World, set Hosts) *Fault
	}{
		{"Partition", func(w *World, set Hosts) *Fault { return w.Partition(set, nil) }},
		{"Partition, the other way round", func(w *World, set Hosts) *Fault { return w.Partition(nil, set) }},
		{"one way out", func(w *World, set Hosts) *Fault { return w.Toward(set, nil).Partition() }},
		{"one way in", func(w *World, set Hosts) *Fault { return w.Toward(nil, set).Partition() }},
		{"Hold", func(w *World, set Hosts) *Fault { return w.Between(set, nil).Hold() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				p := &duo{w: w, a: w.Internet().Host("a", "203.0.113.1"), b: w.Internet().Host("b", "203.0.113.2", "2001:db8::2")}
				c := w.Internet().Host("c", "203.0.113.3")
				f := row.begin(w, Hosts{p.a, p.b})
				if !p.ping(t) || f.Hits() != 0 {
					t.Errorf("the set is cut in two, %d hits", f.Hits())
				}
				if p.b = c; p.ping(t) || f.Hits() == 0 {
					t.Errorf("the set is not cut off, %d hits", f.Hits())
				}
			})
		})
	}
}

// Nor does it matter whether faults are of one kind: two of any are undone in either order.
func TestFaultsOfTwoKindsAreUndone(t *testing.T) {
	for _, first := range undoables {
		for _, second := range undoables {
			for undo := range 2 {
				Run(t, func(t *testing.T, w *World) {
					p := &duo{w: w, a: w.Internet().Host("a", "203.0.113.1"), b: w.Internet().Host("b", "203.0.113.2")}
					faults := []*Fault{first.begin(p), second.begin(p)}
					what := fmt.Sprint(first.name, " and ", second.name)
					if p.ping(t) || faults[0].Hits()+faults[1].Hits() == 0 {
						t.Errorf("%s: neither bites", what)
					}
					faults[undo].Undo()
					if p.ping(t) {
						t.Errorf("%s: one is in force still, and an answer came", what)
					}
					faults[1-undo].Undo()
					if !p.ping(t) {
						t.Errorf("%s are undone, and nothing comes through", what)
					}
				})
			}
		}
	}
}
