package netfake

import (
	"time"
)

// Link is a stretch of network between two nodes, with latency, bandwidth and faults, the
// same in both directions unless a test changes one of them. What a test changes takes
// effect for the packets that enter the link afterwards.
type Link struct {
	world       *World
	name        string
	id          uint64
	latency     time.Duration
	guard       linkGuard
	stages      []*stage // that stand at its ends; replaced as a whole
	forth, back Way
}

// LinkStats counts what a link, or one direction of it, did since the world began.
type LinkStats struct {
	Carried     uint64 // packets that came through
	Lost        uint64 // packets that the configured loss took
	Duplicated  uint64 // packets that came through twice
	Reordered   uint64 // packets that were held back, for others to overtake
	Corrupted   uint64 // packets with a bit flipped
	Partitioned uint64 // packets that ran into a partition
	TooBig      uint64 // packets larger than the MTU, which were dropped
	Fragmented  uint64 // packets larger than the MTU, which were cut into fragments
	Filtered    uint64 // packets of ICMP, under DropICMP
	Refused     uint64 // packets that Refuse answered
	Held        uint64 // packets that a hold kept
	Delayed     uint64 // packets that a delay slowed down
	Waited      uint64 // packets that found the line busy, for want of bandwidth
	Overflowed  uint64 // packets that found the queue full and were dropped
}

func (s *LinkStats) add(o *LinkStats) {
	s.Carried += o.Carried
	s.Lost += o.Lost
	s.Duplicated += o.Duplicated
	s.Reordered += o.Reordered
	s.Corrupted += o.Corrupted
	s.Partitioned += o.Partitioned
	s.Held += o.Held
	s.Delayed += o.Delayed
	s.Waited += o.Waited
	s.Overflowed += o.Overflowed
}

// NewLink makes a link. Its name is how traces call it; one that another link of the world
// has fails the test, since losses are drawn by the name. Under Config.Instant the latency
// is 0 until SetLatency says otherwise.
func (w *World) NewLink(name string, latency time.Duration) *Link {
	w.tb.Helper()
	if latency < 0 {
		w.tb.Fatalf("netfake: link %s: latency %v is negative", name, latency)
	}
	var l *Link
	w.Do(func(time.Duration) {
		if w.links[name] == 0 {
			l = w.newLink(name, name+" forth", name+" back", latency)
		}
	})
	if l == nil {
		w.tb.Fatalf("netfake: there is a link %s already", name)
	}
	return l
}

// newLink makes a link that may have the name of others, as those of two places that are
// called the same, and draws its own losses all the same.
func (w *World) newLink(name, forth, back string, latency time.Duration) *Link {
	if w.cfg.Instant {
		latency = 0
	}
	l := &Link{world: w, name: name, id: hashString(name), latency: latency}
	if n := w.links[name]; n > 0 {
		l.id = mix(l.id, n)
	}
	l.forth.init(l, forth, 0)
	l.back.init(l, back, 1)
	w.links[name]++
	return l
}

// String returns the link's name.
func (l *Link) String() string { return l.name }

// Forth returns the direction in which Packet.Over sends. For an uplink it is the one
// towards the internet.
func (l *Link) Forth() *Way { return &l.forth }

// Back returns the direction opposite to Forth.
func (l *Link) Back() *Way { return &l.back }

// Latency returns how long a packet takes to cross, without what faults add.
func (l *Link) Latency() time.Duration {
	l.world.lock()
	defer l.world.unlock()
	return l.latency
}

// SetLatency sets how long a packet takes to cross. A negative latency fails the test.
// For a change that is to be undone there is Delay.
func (l *Link) SetLatency(d time.Duration) {
	l.world.tb.Helper()
	if d < 0 {
		l.world.tb.Fatalf("netfake: link %s: latency %v is negative", l.name, d)
	}
	l.world.Do(func(time.Duration) { l.latency = d })
}

// Stats returns what the link did so far, in both directions together.
func (l *Link) Stats() LinkStats {
	l.world.lock()
	defer l.world.unlock()
	s := l.forth.stats
	s.add(&l.back.stats)
	g := &l.guard
	s.TooBig, s.Fragmented, s.Filtered, s.Refused = g.tooBig, g.fragmented, g.filtered, g.refused
	return s
}

// Hits returns how many times something befell a packet on the link: it was lost,
// swallowed, refused, held, delayed, changed, cut, or found the queue full.
func (l *Link) Hits() uint64 {
	s := l.Stats()
	return s.Lost + s.Duplicated + s.Reordered + s.Corrupted + s.Partitioned + s.Held + s.Delayed + s.Overflowed +
		s.TooBig + s.Fragmented + s.Filtered + s.Refused
}

// Repair undoes every fault of the link and of its two ways, the newest first.
func (l *Link) Repair() { l.world.repair(l.has) }

// has reports whether a fault was made on the link or on one of its ways.
func (l *Link) has(f *Fault) bool {
	return f.on == Component(l) || f.on == Component(&l.forth) || f.on == Component(&l.back)
}
