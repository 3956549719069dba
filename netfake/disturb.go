package netfake

import (
	"fmt"
	"net/netip"
	"time"
)

// Faults is what a link does to packets besides carrying them. The zero Faults is
// nothing. Each share is from 0 to 1 and drawn for each packet by itself, from the
// world's seed, the link, the flow and the packet's number within it, so that one flow's
// luck does not move another's. A packet that crosses the link again, and a copy, draw anew.
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
	// Whoever checks the checksum drops them, unless two bits of a datagram are flipped
	// that came in fragments: in one of 32 cases they cancel out.
	Corrupt float64

	// Detour is the most that the link's latency is longer for a pair of addresses.
	// Each pair draws once, for all its packets in both directions.
	Detour time.Duration

	// Jitter is the most that a packet takes longer than its pair's latency. Each
	// packet draws for itself. It does not reorder the packets of a flow.
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
	case f.ReorderBy < 0 || f.Detour < 0 || f.Jitter < 0:
		return fmt.Errorf("a negative delay: ReorderBy %v, Detour %v, Jitter %v", f.ReorderBy, f.Detour, f.Jitter)
	case f.Reorder > 0 && f.ReorderBy == 0:
		return fmt.Errorf("packets are reordered, and ReorderBy is 0")
	}
	return nil
}

// disturbance is a fault that SetFaults or SetLoss made.
type disturbance struct {
	*Fault
	faults   Faults
	lossOnly bool // the others are those of the disturbances before it
}

// SetFaults gives the link faults in place of those that it has. Undoing it brings back
// what was set before and is not undone. Faults that cannot be fail the test.
func (l *Link) SetFaults(f Faults) *Fault {
	l.world.tb.Helper()
	return disturb(l, disturbance{faults: f}, "faults", &l.forth, &l.back)
}

// SetFaults gives the way faults in place of those that it has, as Link.SetFaults does.
func (y *Way) SetFaults(f Faults) *Fault {
	y.link.world.tb.Helper()
	return disturb(y, disturbance{faults: f}, "faults", y)
}

// SetLoss sets the share of packets that get lost, from 0 to 1, each by a draw of its
// own. It is SetFaults for the commonest of them and leaves the others as they are.
func (l *Link) SetLoss(share float64) *Fault {
	l.world.tb.Helper()
	return disturb(l, lossOf(share), lossText(share), &l.forth, &l.back)
}

// SetLoss sets the share of packets that get lost on the way, as Link.SetLoss does.
func (y *Way) SetLoss(share float64) *Fault {
	y.link.world.tb.Helper()
	return disturb(y, lossOf(share), lossText(share), y)
}

func lossOf(share float64) disturbance {
	return disturbance{faults: Faults{Loss: share}, lossOnly: true}
}

func lossText(share float64) string { return fmt.Sprintf("loss of %g", share) }

func disturb(on Component, d disturbance, what string, ways ...*Way) *Fault {
	w := ways[0].link.world
	w.tb.Helper()
	if err := d.faults.check(); err != nil {
		w.tb.Fatalf("netfake: link %v: %v", on, err)
	}
	f := &Fault{world: w, what: what + " on " + on.String(), on: on}
	d.Fault = f
	f.end = func(time.Duration) {
		for _, y := range ways {
			y.settle(f, nil)
		}
	}
	return f.begin(func(time.Duration) {
		for _, y := range ways {
			y.settle(nil, &d)
		}
	})
}

// settle takes a disturbance away or adds one, and works out what all of them come to:
// the latest that sets everything, with the loss of the latest after it.
func (y *Way) settle(old *Fault, d *disturbance) {
	var left []*disturbance
	for _, other := range y.strays {
		if other.Fault != old {
			left = append(left, other)
		}
	}
	if d != nil {
		left = append(left, d)
	}
	y.strays, y.faults, y.lossBy, y.restBy = left, Faults{}, nil, nil
	for _, d := range left {
		if d.lossOnly {
			y.faults.Loss, y.faults.Burst = d.faults.Loss, 0
			y.lossBy = d.Fault
			continue
		}
		y.faults, y.lossBy, y.restBy = d.faults, d.Fault, d.Fault
	}
}

// The purposes of a link's draws.
var (
	purposeLoss      = hashString("loss")
	purposeDuplicate = hashString("duplicate")
	purposeReorder   = hashString("reorder")
	purposeCorrupt   = hashString("corrupt")
	purposeDetour    = hashString("detour")
	purposeJitter    = hashString("jitter")
)

// draw returns the link's number in [0,1) for one purpose and one packet.
func (y *Way) draw(purpose uint64, p *Packet) float64 {
	return y.link.world.draw(mix(purpose, y.link.id), y.luck(p), p.lot())
}

// loses reports whether p is one of those that get lost.
func (y *Way) loses(p *Packet) bool {
	if y.faults.Loss == 0 {
		return false
	}
	run := p.lot() / uint64(max(y.faults.Burst, 1))
	return y.link.world.draw(mix(purposeLoss, y.link.id), y.luck(p), run) < y.faults.Loss
}

// disturb does to a packet, which would take a time to cross, what the faults other than
// loss do, and returns how much longer it takes.
func (y *Way) disturb(p *Packet, takes time.Duration) (longer time.Duration) {
	f, before := &y.faults, y.stats
	if f.Corrupt > 0 && y.draw(purposeCorrupt, p) < f.Corrupt {
		y.flip(p)
	}
	if f.Detour > 0 {
		longer = y.detour(p)
	}
	if f.Jitter > 0 {
		longer += time.Duration(y.draw(purposeJitter, p) * float64(f.Jitter))
		longer = y.inOrder(p, takes+longer) - takes
	}
	hit := longer > 0
	if f.Duplicate > 0 && y.draw(purposeDuplicate, p) < f.Duplicate {
		y.stats.Duplicated++
		twin := p.clone()
		y.crossed(twin)
		twin.event.At = y.link.world.now + max(takes+longer, 0)
		y.link.world.queue.Push(&twin.event)
	}
	if f.Reorder > 0 && y.draw(purposeReorder, p) < f.Reorder {
		y.stats.Reordered++
		longer += f.ReorderBy
	}
	if hit || y.stats != before {
		y.restBy.Hit(p)
	}
	return longer
}

// flip changes one bit of the transport header or what it carries.
func (y *Way) flip(p *Packet) {
	b := p.Payload()
	if len(b) == 0 {
		return
	}
	y.stats.Corrupted++
	bit := int(y.draw(purposeCorrupt+1, p) * float64(8*len(b)))
	b[bit/8] ^= 1 << (bit % 8)
}

// detour returns how much longer the way is for the addresses of p, whichever of them
// it comes from.
func (y *Way) detour(p *Packet) time.Duration {
	from := Flow{Src: netip.AddrPortFrom(p.Flow.Src.Addr(), 0)}.Hash()
	to := Flow{Src: netip.AddrPortFrom(p.Flow.Dst.Addr(), 0)}.Hash()
	share := y.link.world.draw(mix(purposeDetour, y.link.id), from^to, 0)
	return time.Duration(share * float64(y.faults.Detour))
}

// inOrder returns how long a packet takes under jitter: as long as it would, or longer
// if it would overtake the one of its flow before it.
func (y *Way) inOrder(p *Packet, takes time.Duration) time.Duration {
	const many = 4096 // flows: then those that are through are forgotten
	now := y.link.world.now
	if len(y.latest) > many {
		for key, at := range y.latest {
			if at < now {
				delete(y.latest, key)
			}
		}
	}
	at := max(now+takes, y.latest[p.event.Key])
	y.latest[p.event.Key] = at
	return at - now
}

// clone returns a second packet like p, which nobody traces.
func (p *Packet) clone() *Packet {
	twin := p.world.NewPacket(p.Len(), p.event.Key, p.event.Seq)
	copy(twin.Bytes(), p.Bytes())
	twin.Flow, twin.node, twin.steps, twin.from, twin.conn = p.Flow, p.node, p.steps, p.from, p.conn
	twin.l4, twin.part, twin.train = twin.head+p.l4-p.head, p.part, p.train
	twin.isCopy(p)
	return twin
}
