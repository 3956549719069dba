package netfake

import (
	"fmt"
	"time"
)

// Faults is what a link does to packets besides carrying them. The zero Faults is
// nothing. Each share is from 0 to 1 and drawn for each packet by itself, from the
// world's seed, the link, the flow and the packet's number within it, so that one flow's
// luck does not move another's.
type Faults struct {
	// Loss is the share of packets that never arrive.
	Loss float64

	// Burst is how many packets of a flow, one after the other, share one draw for
	// Loss: they are lost together or not at all. If 0, one.
	Burst int

	// Duplicate is the share of packets that arrive twice.
	Duplicate float64

	// Reorder is the share of packets that are held back by ReorderBy, while later
	// ones overtake them.
	Reorder   float64
	ReorderBy time.Duration

	// Corrupt is the share of packets in which one bit behind the IP header is flipped.
	// Whoever checks the checksum drops them.
	Corrupt float64

	// Jitter is the most that a packet takes longer than the link's latency. It does
	// not reorder the packets of a flow.
	Jitter time.Duration
}

func (f Faults) check() error {
	for _, share := range []float64{f.Loss, f.Duplicate, f.Reorder, f.Corrupt} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("a share of %v is not between 0 and 1", share)
		}
	}
	switch {
	case f.Burst < 0:
		return fmt.Errorf("a burst of %d packets", f.Burst)
	case f.ReorderBy < 0 || f.Jitter < 0:
		return fmt.Errorf("a negative delay: ReorderBy %v, Jitter %v", f.ReorderBy, f.Jitter)
	case f.Reorder > 0 && f.ReorderBy == 0:
		return fmt.Errorf("packets are reordered, and ReorderBy is 0")
	}
	return nil
}

// SetFaults gives the link faults in place of those that it has, and returns how to set
// them back. Faults that cannot be fail the test.
func (l *Link) SetFaults(f Faults) (undo func()) {
	l.world.tb.Helper()
	if err := f.check(); err != nil {
		l.world.tb.Fatalf("netfake: link %s: %v", l.name, err)
	}
	var before Faults
	l.world.Do(func(time.Duration) { before, l.faults = l.faults, f })
	return func() { l.world.Do(func(time.Duration) { l.faults = before }) }
}

// The purposes of a link's draws.
var (
	purposeLoss      = hashString("loss")
	purposeDuplicate = hashString("duplicate")
	purposeReorder   = hashString("reorder")
	purposeCorrupt   = hashString("corrupt")
	purposeJitter    = hashString("jitter")
)

// draw returns the link's number in [0,1) for one purpose and one packet.
func (l *Link) draw(purpose uint64, p *Packet) float64 {
	return l.world.draw(mix(purpose, l.id), p.event.Key, p.event.Seq)
}

// loses reports whether p is one of those that get lost.
func (l *Link) loses(p *Packet) bool {
	if l.faults.Loss == 0 {
		return false
	}
	run := p.event.Seq / uint64(max(l.faults.Burst, 1))
	return l.world.draw(mix(purposeLoss, l.id), p.event.Key, run) < l.faults.Loss
}

// disturb does to a packet that crosses what the faults other than loss do, and returns
// how much longer it takes.
func (l *Link) disturb(p *Packet) (longer time.Duration) {
	f := &l.faults
	if f.Corrupt > 0 && l.draw(purposeCorrupt, p) < f.Corrupt {
		l.flip(p)
	}
	if f.Jitter > 0 {
		longer = l.inOrder(p, time.Duration(l.draw(purposeJitter, p)*float64(f.Jitter)))
	}
	if f.Duplicate > 0 && l.draw(purposeDuplicate, p) < f.Duplicate {
		l.stats.Duplicated++
		twin := p.clone()
		twin.event.At = l.world.now + l.latency + longer
		l.world.queue.Push(&twin.event)
	}
	if f.Reorder > 0 && l.draw(purposeReorder, p) < f.Reorder {
		l.stats.Reordered++
		longer += f.ReorderBy
	}
	return longer
}

// flip changes one bit of the transport header or what it carries.
func (l *Link) flip(p *Packet) {
	b := p.Payload()
	if len(b) == 0 {
		return
	}
	l.stats.Corrupted++
	bit := int(l.draw(purposeCorrupt+1, p) * float64(8*len(b)))
	b[bit/8] ^= 1 << (bit % 8)
}

// inOrder returns the jitter of a packet, enlarged if it would overtake the one of its
// flow before it.
func (l *Link) inOrder(p *Packet, jitter time.Duration) time.Duration {
	const many = 4096 // flows: then those that are through are forgotten
	if len(l.latest) > many {
		for key, at := range l.latest {
			if at < l.world.now {
				delete(l.latest, key)
			}
		}
	}
	at := max(l.world.now+l.latency+jitter, l.latest[p.event.Key])
	l.latest[p.event.Key] = at
	return at - l.world.now - l.latency
}

// clone returns a second packet like p, which nobody traces.
func (p *Packet) clone() *Packet {
	twin := p.world.NewPacket(p.Len(), p.event.Key, p.event.Seq)
	copy(twin.Bytes(), p.Bytes())
	twin.Flow, twin.node = p.Flow, p.node
	twin.l4 = twin.head + p.l4 - p.head
	return twin
}
