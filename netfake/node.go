package netfake

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/netspec-go/netspec/internal/sched"
)

// Node is a place on a packet's way: a host, a gateway, an edge, a middlebox.
type Node interface {
	Component

	// Step decides what becomes of a packet that has arrived at the node. It runs
	// inside the scheduler: it must not block, start goroutines or call methods
	// that lock the world. Its answer is made by a method of the packet: To, Over,
	// Delivered or Drop. The zero Next drops the packet. A Node that is no TrainNode sees
	// every packet by itself. A test that fails in Step does so with Errorf: Fatalf would
	// end whichever goroutine has sent the packet, and that, as a panic does, the world.
	Step(p *Packet) Next
}

// Next is a node's answer: where the packet goes from there. The zero Next ends its
// way.
type Next struct {
	to   Node
	over *Way
	fate fate // what else, if to is nil
}

// fate is what becomes of a packet that goes nowhere from a node.
type fate uint8

const (
	undecided   fate = iota
	wayEnds          // its way ends there, for a reason that has been given
	wayEndsKept      // and its bytes wait to be read
	inPieces         // the packets of the train are to be decided one by one
	pastStage        // it goes on, past a stage of the link on which it is
)

// misled ends the way of a packet that its node sends to nowhere, and fails the test.
func (p *Packet) misled(where string) Next {
	p.world.tb.Errorf("netfake: %v sends the packet %v %s", p.node, p.Flow, where)
	return p.Drop(Hop{Place: fmt.Sprint(p.node), By: p.node, Rule: "sent " + where})
}

// To moves the packet to n at once.
func (p *Packet) To(n Node) Next { return Next{to: n} }

// Over moves the packet to n across a link, which takes the link's time and suffers
// its faults. The direction is the link's Forth; see Along. Without a link or a node it
// fails the test and drops the packet.
func (p *Packet) Over(l *Link, n Node) Next {
	if l == nil {
		return p.misled("over no link")
	}
	return p.Along(&l.forth, n)
}

// Along is Over for one direction of a link.
func (p *Packet) Along(y *Way, n Node) Next {
	if y != nil && n != nil && y.isClear(p) {
		return Next{to: n, over: y}
	}
	return p.enter(y, n)
}

// enter is Along for a way that may have something against the packet.
func (p *Packet) enter(y *Way, n Node) Next {
	switch {
	case y == nil:
		return p.misled("over no link")
	case n == nil:
		return p.misled("to no node")
	case !y.link.guard.idle():
		return y.guarded(p, n)
	}
	return Next{to: n, over: y}
}

// After moves the packet to n once d has passed, as when it waits for something. A d of 0
// or less is To.
func (p *Packet) After(d time.Duration, n Node) Next {
	if d <= 0 {
		return p.To(n)
	}
	wait := &Link{world: p.world, name: "wait", latency: d}
	wait.forth.init(wait, wait.name, 0)
	return Next{to: n, over: &wait.forth}
}

// Delivered ends the packet's way where it was meant to end.
func (p *Packet) Delivered(h Hop) Next {
	h.Verdict = Deliver
	p.record(h)
	return Next{fate: wayEnds}
}

// Drop ends the packet's way, for the reason that h gives.
func (p *Packet) Drop(h Hop) Next {
	p.drop(h)
	return Next{fate: wayEnds}
}

// Blocked is for a stage that refuses a packet which could go on without it: a
// filter. It reports whether the way ends here. In a probe it does not, so that
// whatever else would block is found as well.
func (p *Packet) Blocked(h Hop) bool {
	p.drop(h)
	p.refused = true
	return p.probe == nil
}

// Passed records a stage that let the packet through. Callers ask Traced first, so
// that nobody builds a Hop for nothing.
func (p *Packet) Passed(h Hop) {
	h.Verdict = Forward
	p.record(h)
}

// Traced reports whether somebody wants to know the packet's hops.
func (p *Packet) Traced() bool { return p.trace != nil }

// Probing reports whether the packet is a probe: a question to the network, asked
// outside of time. Stages decide about it as about any other and change no counter.
func (p *Packet) Probing() bool { return p.probe != nil }

// Undo registers how to take back a change of state that the packet has just caused.
// It runs when a probe ends; for a packet that is no probe it never does.
func (p *Packet) Undo(f func()) {
	if p.probe != nil {
		p.probe.undo = append(p.probe.undo, f)
	}
}

func (p *Packet) drop(h Hop) {
	h.Verdict = Drop
	p.record(h)
	if p.probe == nil {
		p.world.drops.add(p, h)
		p.world.captureDrop(p, &h)
	}
}

func (p *Packet) record(h Hop) {
	if p.trace == nil {
		return
	}
	h.At = p.at - p.trace.Sent
	h.Flow = p.Flow
	p.trace.Hops = append(p.trace.Hops, h)
}

// move takes a packet from node to node until it ends, or a link takes time.
func (w *World) move(p *Packet) {
	for {
		p.at = w.now
		if p.steps++; p.steps > maxSteps {
			p.drop(p.loopHop())
			w.packets.put(p)
			return
		}
		if p.train > 0 && !understandsTrains(p.node) {
			w.takeApart(p, nil)
			return
		}
		next := p.node.Step(p)
		if y := next.over; y != nil && y.isClear(p) && next.fate != pastStage {
			y.stats.Carried += uint64(p.Segments())
			p.node = next.to
			continue
		}
		if next.fate == pastStage || next.over != nil && next.over.link.stages != nil {
			next = p.through(next)
		}
		switch {
		case next.fate == inPieces:
			w.takeApart(p, nil)
			return
		case next.to == nil:
			w.finish(p, next)
			return
		}
		p.node = next.to
		switch {
		case next.over == nil:
		case p.train > 0 && !next.over.carriesTrains():
			w.takeApart(p, next.over)
			return
		case !next.over.crosses(p):
			return
		}
	}
}

// Fire continues the way of a packet that a link has carried.
func (p *Packet) fire() { p.world.move(p) }

// packetTask lets a Packet be a task of the queue without showing Fire to users.
type packetTask Packet

func (p *packetTask) Fire(time.Duration) { (*Packet)(p).fire() }

func (w *World) finish(p *Packet, next Next) {
	if next.fate == undecided && !p.refused {
		p.drop(Hop{Place: p.node.String(), By: p.node, Rule: "no decision was taken"})
	}
	if next.fate != wayEndsKept {
		w.packets.put(p)
	}
}

// Send sets a packet going at a node. It may be called only inside the scheduler: by
// a node that answers, translates or injects. Of no packet, or to no node, it fails the test
// and sends nothing.
func (w *World) Send(p *Packet, n Node) {
	if p == nil || n == nil {
		w.missent(p)
		return
	}
	p.node = n
	switch {
	case p.probe == nil:
		w.ready.push(p)
	case p.objection != nil:
		p.probe.hear(p, n)
	default:
		p.probe.queue = append(p.probe.queue, p)
	}
}

// missent fails the test for who sends nothing, or something to nowhere.
func (w *World) missent(p *Packet) {
	if p == nil {
		w.tb.Errorf("netfake: Send of no packet")
		return
	}
	w.tb.Errorf("netfake: Send of the packet %v to no node", p.Flow)
	if p.probe == nil {
		w.packets.put(p)
	}
}

// NewPacket returns an empty packet with room for size bytes, which the caller fills
// through Bytes and then reads with Decode. It may be called only inside the
// scheduler. Key and seq place it among the packets that reach a node at one instant.
func (w *World) NewPacket(size int, key, seq uint64) *Packet {
	p := w.packets.get(size)
	p.world = w
	p.at = w.now
	p.event = sched.Event{Key: key, Seq: seq, Task: (*packetTask)(p), Idle: w.idle}
	return p
}

// packetPool keeps the packets that are done for those to come. It belongs to one
// world and is guarded by its lock.
type packetPool struct {
	free     [len(packetSizes)][]*Packet
	returned atomic.Pointer[Packet] // by readers, who do not hold the lock; chained
}

// packetSizes are the buffers that are kept: for acknowledgements and small messages, for
// the largest packet of a VPC (9001) with the headers around it, and for trains.
var packetSizes = [...]int{512, 9216 + headroom, 3 * (9216 + headroom), 65536}

// smallPackets do not wait in receive queues, so that no reader returns them.
const smallPackets = 0

// sizeClass returns the index of the smallest buffers that have room for n bytes.
func sizeClass(n int) int {
	class := 0
	for class < len(packetSizes) && packetSizes[class] < n {
		class++
	}
	return class
}

func (pool *packetPool) get(size int) *Packet {
	class := sizeClass(size + headroom)
	p := pool.take(class, size+headroom)
	p.head, p.tail = headroom, headroom+size
	return p
}

func (pool *packetPool) take(class, need int) *Packet {
	if class == len(packetSizes) {
		return &Packet{buf: make([]byte, need)}
	}
	free := &pool.free[class]
	if len(*free) == 0 && class != smallPackets {
		pool.collect()
	}
	n := len(*free)
	if n == 0 {
		return &Packet{buf: make([]byte, packetSizes[class])}
	}
	p := (*free)[n-1]
	*free = (*free)[:n-1]
	return p
}

// put takes a packet back. Its bytes are not cleared: every user writes all of them.
func (pool *packetPool) put(p *Packet) {
	*p = Packet{buf: p.buf, hitBy: p.hitBy[:0], past: p.past[:0]}
	if class := sizeClass(len(p.buf)); class < len(packetSizes) && packetSizes[class] == len(p.buf) {
		pool.free[class] = append(pool.free[class], p)
	}
}

// parcel lets a packet wait in a receive queue until its payload is read.
type parcel Packet

// Release implements tcp.Parcel: it gives the packet back, from any goroutine.
func (l *parcel) Release() {
	p := (*Packet)(l)
	pool := &p.world.packets
	for {
		p.next = pool.returned.Load()
		if pool.returned.CompareAndSwap(p.next, p) {
			return
		}
	}
}

// collect puts back what readers have returned.
func (pool *packetPool) collect() {
	for p := pool.returned.Swap(nil); p != nil; {
		next := p.next
		pool.put(p)
		p = next
	}
}
