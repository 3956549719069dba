package netfake

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// Fragments is what a node that judges packets by their ports knows of the fragments that
// pass it: a later fragment has none, and is judged as if it had those of its datagram's
// first. One that comes before the first waits for it, for as long as hosts wait for the
// fragments of a datagram, in at most FragmentMemory bytes. So do the connection tracking of
// Linux and stateful firewalls; what routers without a state do is something else.
//
// The zero Fragments knows nothing and is ready. It may be used only inside the scheduler.
type Fragments struct {
	of      map[datagramID]*flock
	sweepAt int      // how many datagrams are known when those of long ago are forgotten
	waiting []*flock // those of which fragments wait, the one that gives up first is the first
	memory  int      // of what waits, in truesizes
	timer   *Timer
}

// flock is the fragments of a datagram.
type flock struct {
	id        datagramID
	until     time.Duration
	led       bool // the first has come, and what follows is its
	flow      Flow
	typ, code uint8
	held      []*Packet
	memory    int
	hop       Hop  // of who holds them
	again     Node // where they go on
}

// smallestFlockSweep is how many datagrams there are before it is worth looking for old
// ones.
const smallestFlockSweep = 1024

// Admit reports whether a fragment that has come to a node can be judged: its Flow has
// ports then, and its ICMPType is known. If it cannot, the Next is what becomes of it: once
// the first fragment has been admitted, it goes on at the node again. By h the node says who
// it is.
func (m *Fragments) Admit(p *Packet, h Hop, again Node) (Next, bool) {
	f, ok := wire.ParseFragment(p.Bytes())
	if !ok || p.probe != nil {
		return Next{}, true
	}
	z := m.find(p, &f)
	switch {
	case !p.part.later():
		m.lead(z, p)
		return Next{}, true
	case z.led:
		p.adopt(z)
		return Next{}, true
	case m.memory > FragmentMemory:
		if len(z.held) == 0 {
			delete(m.of, z.id)
		}
		h.Rule = fmt.Sprintf("a later fragment, and %d bytes of those wait already", FragmentMemory)
		return p.Drop(h), false
	}
	h.Rule = "a later fragment: waits for the first one of its datagram"
	if p.Traced() {
		p.Passed(h)
	}
	m.hold(z, p, h, again)
	return Next{fate: wayEndsKept}, false
}

// timeoutOf is how long a family waits for fragments.
func timeoutOf(family netip.Addr) time.Duration {
	if family.Is4() {
		return FragmentTimeout
	}
	return FragmentTimeout6
}

// find returns what is known of a fragment's datagram. What is too old is another one's.
func (m *Fragments) find(p *Packet, f *wire.Fragment) *flock {
	id, now := datagramOf(f), p.world.now
	if z := m.of[id]; z != nil && now < z.until {
		return z
	}
	if len(m.of) >= max(m.sweepAt, smallestFlockSweep) {
		for id, z := range m.of {
			if z.until <= now {
				delete(m.of, id)
			}
		}
		m.sweepAt = 2 * len(m.of)
	}
	if m.of == nil {
		m.of = map[datagramID]*flock{}
	}
	z := &flock{id: id, until: now + timeoutOf(f.Src)}
	m.of[id] = z
	return z
}

// lead notes what the first fragment says, and has those go on that wait for it.
func (m *Fragments) lead(z *flock, p *Packet) {
	z.typ, z.code = p.ICMPType()
	z.led, z.flow, z.until = true, p.Flow, p.world.now+timeoutOf(z.id.src)
	if len(z.held) == 0 {
		return
	}
	held := z.held
	m.settle(z)
	for _, q := range held {
		p.world.Send(q, z.again)
	}
}

// adopt gives a later fragment what the first says.
func (p *Packet) adopt(z *flock) {
	p.Flow, p.hash = z.flow, 0
	p.part.typ, p.part.code = z.typ, z.code
}

// hold keeps a fragment whose first has not come.
func (m *Fragments) hold(z *flock, p *Packet, h Hop, again Node) {
	if len(z.held) == 0 {
		z.hop, z.again = h, again
		m.watch(p.world, z)
	}
	z.held = append(z.held, p)
	n := truesize(p.Len())
	z.memory += n
	m.memory += n
}

// watch has a datagram wait, and sets the timer for the one that gives up first.
func (m *Fragments) watch(w *World, z *flock) {
	m.waiting = append(m.waiting, z)
	slices.SortStableFunc(m.waiting, func(a, b *flock) int { return cmp.Compare(a.until, b.until) })
	if m.timer == nil {
		m.timer = w.NewTimer(fmt.Sprintf("fragments at %s %v", z.hop.Place, z.hop.By), m.expire)
	}
	m.timer.Set(m.waiting[0].until)
}

// settle forgets that fragments of a datagram wait.
func (m *Fragments) settle(z *flock) {
	m.waiting = slices.DeleteFunc(m.waiting, func(o *flock) bool { return o == z })
	m.memory -= z.memory
	z.held, z.memory = nil, 0
	if m.timer.Stop(); len(m.waiting) > 0 {
		m.timer.Set(m.waiting[0].until)
	}
}

// expire drops what has waited in vain.
func (m *Fragments) expire(now time.Duration) {
	for len(m.waiting) > 0 && m.waiting[0].until <= now {
		z := m.waiting[0]
		held := z.held
		m.settle(z)
		if m.of[z.id] == z {
			delete(m.of, z.id)
		}
		z.hop.Rule = fmt.Sprintf("a later fragment, and the first one has not come for %v", timeoutOf(z.id.src))
		for _, p := range held {
			p.at = now
			p.drop(z.hop)
			p.world.packets.put(p)
		}
	}
}
