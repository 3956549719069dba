package netfake

import (
	"fmt"
	"time"
)

// Link is a stretch of network between two nodes, with latency and faults, the same
// in both directions. What a test changes takes effect for the packets that enter the
// link afterwards.
type Link struct {
	world   *World
	name    string
	id      uint64
	latency time.Duration
	faults  Faults
	latest  map[uint64]time.Duration // under jitter, when the last packet of a flow arrives
	cuts    int                      // partitions in force
	guard   linkGuard
	stats   LinkStats
}

// LinkStats counts what a link did since the world began.
type LinkStats struct {
	Carried     uint64 // packets that came through
	Lost        uint64 // packets that the configured loss took
	Duplicated  uint64 // packets that came through twice
	Reordered   uint64 // packets that were held back
	Corrupted   uint64 // packets with a bit flipped
	Partitioned uint64 // packets that ran into a partition
	TooBig      uint64 // packets larger than the MTU
	Filtered    uint64 // packets of ICMP, under DropICMP
	Refused     uint64 // packets that Refuse answered
}

// NewLink makes a link. Its name is how traces call it, and must differ from those of
// the world's other links for their losses to be independent. Under Config.Instant the
// latency is 0 until SetLatency says otherwise.
func (w *World) NewLink(name string, latency time.Duration) *Link {
	w.tb.Helper()
	if latency < 0 {
		w.tb.Fatalf("netfake: link %s: latency %v is negative", name, latency)
	}
	w.lock()
	defer w.unlock()
	return w.newLink(name, latency)
}

func (w *World) newLink(name string, latency time.Duration) *Link {
	if w.cfg.Instant {
		latency = 0
	}
	l := &Link{world: w, name: name, id: hashString(name), latency: latency, latest: map[uint64]time.Duration{}}
	w.links = append(w.links, l)
	return l
}

// String returns the link's name.
func (l *Link) String() string { return l.name }

// Latency returns how long a packet takes to cross.
func (l *Link) Latency() time.Duration {
	l.world.lock()
	defer l.world.unlock()
	return l.latency
}

// SetLatency sets how long a packet takes to cross. A negative latency fails the test.
func (l *Link) SetLatency(d time.Duration) {
	l.world.tb.Helper()
	if d < 0 {
		l.world.tb.Fatalf("netfake: link %s: latency %v is negative", l.name, d)
	}
	l.world.Do(func(time.Duration) { l.latency = d })
}

// SetLoss sets the share of packets that get lost, from 0 to 1, each by a draw of its
// own, and returns how to set it back. It is SetFaults for the commonest of them and
// leaves the others as they are.
func (l *Link) SetLoss(share float64) (undo func()) {
	l.world.tb.Helper()
	var f Faults
	l.world.Do(func(time.Duration) { f = l.faults })
	f.Loss, f.Burst = share, 0
	return l.SetFaults(f)
}

// Partition swallows every packet in both directions, without a word to the sender,
// until the returned function is called. Partitions add up: the link carries again
// when every one of them is undone.
func (l *Link) Partition() (undo func()) {
	l.world.Do(func(time.Duration) { l.cuts++ })
	done := false
	return func() {
		l.world.Do(func(time.Duration) {
			if !done {
				l.cuts--
				done = true
			}
		})
	}
}

// Stats returns what the link did so far.
func (l *Link) Stats() LinkStats {
	l.world.lock()
	defer l.world.unlock()
	s := l.stats
	s.TooBig, s.Filtered, s.Refused = l.guard.tooBig, l.guard.filtered, l.guard.refused
	return s
}

// carriesTrains reports whether all packets that enter the link at one instant leave it
// at one instant, unharmed.
func (l *Link) carriesTrains() bool { return l.cuts == 0 && l.faults == (Faults{}) }

// cross returns how long p takes to cross the link, or false if it never arrives.
func (l *Link) cross(p *Packet) (time.Duration, bool) {
	switch {
	case l.cuts > 0:
		return l.latency, l.swallow(p, &l.stats.Partitioned, "partitioned")
	case p.probe != nil && l.faults.Loss == 1:
		return 0, l.swallow(p, &l.stats.Lost, "lost, at a loss of 1")
	case p.probe != nil:
		return l.latency, true
	case l.loses(p):
		return 0, l.swallow(p, &l.stats.Lost, fmt.Sprintf("lost, at a loss of %g", l.faults.Loss))
	}
	l.stats.Carried += uint64(p.Segments())
	if l.faults == (Faults{}) {
		return l.latency, true
	}
	return l.latency + l.disturb(p), true
}

// swallow drops p at the link and reports whether it goes on all the same, as a probe
// does.
func (l *Link) swallow(p *Packet, count *uint64, rule string) bool {
	if p.probe == nil {
		*count++
	}
	return !p.Blocked(Hop{Place: l.name, By: l, Rule: rule})
}
