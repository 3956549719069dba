package netfake

import (
	"cmp"
	"fmt"
	"time"

	"github.com/netspec-go/netspec/internal/sched"
)

// Way is one direction of a link. What can be done to a link can be done to one of its
// ways alone.
type Way struct {
	link *Link
	name string

	cuts   []*Fault // partitions in force
	holds  []*Fault
	held   waiting
	delays []delay
	strays []*disturbance // SetLoss and SetFaults, the latest last
	faults Faults         // what they come to
	lossBy *Fault         // whose the loss is
	restBy *Fault         // whose the others are
	latest map[uint64]time.Duration

	clear uint64 // World.Changes when the way was seen to be clear
	queue queue
	stats LinkStats
}

// crossing is what becomes of a packet at a link.
type crossing uint8

const (
	lost    crossing = iota // it ends there
	crosses                 // it arrives when the link's time is over
	kept                    // the link has it and carries it later
)

// String returns the link's name and which of its directions the way is.
func (y *Way) String() string { return y.name }

// Link returns the link that the way is one direction of.
func (y *Way) Link() *Link { return y.link }

// Stats returns what the way did so far.
func (y *Way) Stats() LinkStats {
	y.link.world.lock()
	defer y.link.world.unlock()
	return y.stats
}

// Repair undoes every fault that was made on this way alone, see Link.Repair.
func (y *Way) Repair() { y.link.world.RepairAt(y) }

// carriesTrains reports whether all packets that enter the way at one instant leave it
// at one instant, unharmed.
func (y *Way) carriesTrains() bool {
	return len(y.cuts)+len(y.holds)+len(y.strays) == 0 && !y.queue.limited(y.link.world.now)
}

// Clear reports whether a packet that is sent over the way now comes at once and as it is to
// its node, before anything else happens. It may be called only inside the scheduler.
func (y *Way) Clear() bool { return y.clear == y.link.world.changes }

// isClear reports whether p crosses at once and as it is: nothing was in the way of an
// earlier packet, and nothing has changed.
func (y *Way) isClear(p *Packet) bool { return y.clear == p.world.changes && p.probe == nil }

// lookAhead notes, when a packet has crossed at once, whether the way is clear for those to
// come. What keeps all packets, or takes time, would have kept that one.
func (y *Way) lookAhead() {
	l := y.link
	if len(l.stages) == 0 && l.guard.idle() && len(y.strays)+len(y.delays) == 0 {
		y.clear = l.world.changes
	}
}

// crosses takes p over the way and reports whether it has arrived by now. If not, it is
// under way, kept or lost.
func (y *Way) crosses(p *Packet) bool {
	takes, what := y.enter(p)
	if what == crosses && takes == 0 {
		y.lookAhead()
		return true
	}
	y.proceed(p, takes, what)
	return false
}

// enter takes p, which goes on to its node, and returns how long it takes to cross.
func (y *Way) enter(p *Packet) (time.Duration, crossing) {
	switch {
	case len(y.cuts) > 0 && y.swallow(p, &y.stats.Partitioned, "partitioned", y.cuts...):
		return 0, lost
	case p.probe != nil:
		return y.probe(p)
	case len(y.holds) > 0:
		y.hold(p)
		return 0, kept
	case y.queue.limited(y.link.world.now):
		y.queue.enter(y, p)
		return 0, kept
	}
	return y.carry(p, y.link.world.now)
}

// probe is enter for a question: only what takes every packet decides about it.
func (y *Way) probe(p *Packet) (time.Duration, crossing) {
	switch {
	case len(y.holds) > 0 && y.swallow(p, nil, "held until it is released"):
		return 0, lost
	case y.faults.Loss == 1 && y.swallow(p, nil, "lost, at a loss of 1"):
		return 0, lost
	}
	return y.latency(), crosses
}

// carry sends p, which leaves the sending end at a time, across the way.
func (y *Way) carry(p *Packet, leaves time.Duration) (time.Duration, crossing) {
	if y.loses(p) && y.swallow(p, &y.stats.Lost, fmt.Sprintf("lost, at a loss of %g", y.faults.Loss), y.lossBy) {
		return 0, lost
	}
	y.stats.Carried += uint64(p.Segments())
	takes := leaves - y.link.world.now + y.latency()
	if len(y.delays) > 0 {
		y.countDelay(p)
	}
	if len(y.strays) > 0 {
		takes += y.disturb(p, takes)
		y.crossed(p)
	}
	return takes, crosses
}

// swallow drops p and reports whether its way ends here: a probe goes on.
func (y *Way) swallow(p *Packet, count *uint64, rule string, by ...*Fault) bool {
	for _, f := range by {
		f.Hit(p)
	}
	if p.probe == nil {
		*count++
	}
	return p.Blocked(Hop{Place: y.link.name, By: y.link, Rule: rule})
}

// proceed carries on a packet that the way has kept, as move would have.
func (y *Way) proceed(p *Packet, takes time.Duration, what crossing) {
	w := y.link.world
	switch what {
	case lost:
		w.packets.put(p)
	case crosses:
		p.event.At = w.now + max(takes, 0)
		w.queue.Push(&p.event)
	}
}

// comparePackets orders packets that wait: as they came, and at one instant as the
// scheduler orders their events, so that it does not show which goroutine was first.
func comparePackets(a, b *Packet) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.event.Key, b.event.Key), cmp.Compare(a.event.Seq, b.event.Seq))
}

// init makes a way of a link.
func (y *Way) init(l *Link, name string, number uint64) {
	y.link, y.name = l, name
	y.latest = map[uint64]time.Duration{}
	y.queue.event = sched.Event{Key: mix(l.id, number), Task: (*queueTask)(y)}
}
