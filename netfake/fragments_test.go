package netfake

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"
)

// guard lets one port's datagrams pass, by the ports of their first fragments.
type guard struct {
	Fragments
	port   uint16
	passed []uint16 // the ports that it has seen
}

func (g *guard) String() string { return "guard" }

func (g *guard) Step(p *Packet) Next {
	hop := Hop{Place: "link", By: g}
	if end, ok := g.Admit(p, hop, g); !ok {
		return end
	}
	g.passed = append(g.passed, p.Flow.Dst.Port())
	if p.Flow.Dst.Port() != g.port {
		hop.Rule = fmt.Sprintf("port %d", p.Flow.Dst.Port())
		return p.Drop(hop)
	}
	return p.Onward()
}

// state is what a guard has seen and has left.
type state struct {
	passed         []uint16
	memory         int
	waiting, known int
	pending        bool
}

func (g *guard) state(w *World) (s state) {
	w.Do(func(time.Duration) {
		s = state{g.passed, g.memory, len(g.waiting), len(g.of), g.timer != nil && g.timer.Pending()}
	})
	return s
}

// A filter that looks at ports judges later fragments by their first, whichever comes
// first, and drops those whose first does not come.
func TestFragmentsAtAFilter(t *testing.T) {
	first, middle, last := handmade{0, 1024, true}, handmade{1024, 1024, true}, handmade{2048, 2048, false}
	for _, row := range []struct {
		rule    string
		port    uint16
		come    []handmade
		arrives bool
		passed  []uint16
		drops   int
	}{
		{"in order", 9, []handmade{first, middle, last}, true, []uint16{9, 9, 9}, 0},
		{"in disorder", 9, []handmade{last, middle, first}, true, []uint16{9, 9, 9}, 0},
		{"doubled", 9, []handmade{last, first, first, middle, last}, true, []uint16{9, 9, 9, 9, 9}, 2},
		{"another port", 10, []handmade{last, first, middle}, false, []uint16{9, 9, 9}, 3},
		{"without the first", 9, []handmade{last, middle}, false, nil, 2},
	} {
		t.Run(row.rule, func(t *testing.T) {
			Run(t, func(t *testing.T, w *World) {
				server, client := twoHosts(w)
				in := openUDP(t, server, 9)
				g := &guard{port: row.port}
				client.Uplink().Link().Insert(g)
				forge(w, client, server, 77, row.come...)
				w.Sleep(2 * FragmentTimeout)
				got, err := read(in)
				if bytes.Equal(got, pattern(4096, 0)[8:]) != row.arrives {
					t.Errorf("it arrives: %d bytes, %v", len(got), err)
				}
				s := g.state(w)
				if !slices.Equal(s.passed, row.passed) || len(w.Drops()) != row.drops {
					t.Errorf("judged %v, want %v; dropped: %v", s.passed, row.passed, w.Drops())
				}
				if s.memory != 0 || s.waiting != 0 || s.pending {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// What is dropped for want of a first fragment says so, when it has waited long enough.
func TestFragmentsWithoutAFirst(t *testing.T) { Run(t, testFragmentsWithoutAFirst) }

func testFragmentsWithoutAFirst(t *testing.T, w *World) {
	server, client := twoHosts(w)
	client.Uplink().Link().Insert(&guard{port: 9})
	forge(w, client, server, 77, handmade{2048, 2048, false})
	w.Sleep(2 * FragmentTimeout)
	d := w.Drops()
	if len(d) != 1 || d[0].At != FragmentTimeout || d[0].Hop.Rule != "a later fragment, and the first one has not come for 30s" {
		t.Errorf("%v", d)
	}
	// A number that is used again begins anew.
	in := openUDP(t, server, 9)
	forge(w, client, server, 77, handmade{0, 2048, true}, handmade{2048, 2048, false})
	if got, err := read(in); err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Fragments that wait take 4 MiB at most, and what is known of datagrams is forgotten.
func TestFragmentsMemory(t *testing.T) { Run(t, testFragmentsMemory) }

func testFragmentsMemory(t *testing.T, w *World) {
	server, client := twoHosts(w)
	g := &guard{port: 9}
	client.Uplink().Link().Insert(g)
	fits := FragmentMemory/truesize(2068) + 1
	for id := range fits + 3 {
		forge(w, client, server, uint16(id+1), handmade{2048, 2048, false})
	}
	if n, s := len(w.Drops()), g.state(w); n != 3 || s.waiting != fits {
		t.Errorf("%d fragments were dropped, want 3, and %d wait, want %d", n, s.waiting, fits)
	}
	w.Sleep(FragmentTimeout + time.Second)
	if s := g.state(w); s.memory != 0 || s.known != 0 {
		t.Errorf("%d datagrams are left over, in %d bytes", s.known, s.memory)
	}
	for id := range 3 * smallestFlockSweep {
		forge(w, client, server, uint16(id+1), handmade{0, 1024, true})
		w.Sleep(FragmentTimeout / 100)
	}
	if s := g.state(w); s.known > smallestFlockSweep {
		t.Errorf("%d datagrams are remembered", s.known)
	}
}
