package netfake

import (
	"fmt"
	"slices"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// Insert puts a node of one's own in the way of all that enters the link, in both
// directions, in front of its latency and faults: a middlebox. It is behind those that
// were inserted before it, and stays until the returned function is called. What the
// node may answer in its Step:
//
//	pass         p.Onward()
//	drop         p.Drop(Hop{...}), with the reason that traces and reports give
//	delay        p.OnwardAfter(d)
//	duplicate    p.Repeat(), and then one of the above
//	rewrite      p.SetSrc, p.SetDst, or bytes of p.Payload and p.Seal; then Onward
//	answer       p.Answer(q, Hop{...}): q goes back in its place, as p.Reset() and
//	             p.ICMPError(...) do
//	elsewhere    p.To(another node)
//
// Host.Probe asks it too, with Packet.Probing true: a node that counts takes its
// counting back with Packet.Undo. Of the links between physical hosts it sees frames,
// which it cannot answer. A nil node fails the test.
func (l *Link) Insert(n Node) (remove func()) {
	l.world.tb.Helper()
	if n == nil {
		l.world.tb.Fatalf("netfake: link %s: Insert of no node", l.name)
	}
	s := &stage{n}
	l.world.Do(func(time.Duration) { l.stages = append(slices.Clip(l.stages), s) })
	return func() {
		l.world.Do(func(time.Duration) {
			l.stages = slices.DeleteFunc(slices.Clone(l.stages), func(other *stage) bool { return other == s })
		})
	}
}

// stage is a node that stands on a link.
type stage struct{ Node }

// passage is the way of a packet through the stages of a link.
type passage struct {
	from, to Node
	over     *Way
	rest     []*stage // that are still to come
	outer    *passage // of a link on which the packet still is when it is through, nil for none
}

// Onward lets the packet go on from a node that stands on a link: to the next one there,
// or across the link. A trace has the node as one that it passed.
func (p *Packet) Onward() Next { return p.OnwardAfter(0) }

// OnwardAfter is Onward once d has passed. Packets that follow overtake one that is held
// up longer than they are. A negative d is 0.
func (p *Packet) OnwardAfter(d time.Duration) Next {
	if p.Traced() && p.passage != nil {
		hop := Hop{Place: p.passage.over.link.name, By: p.node, Rule: "passes"}
		if d > 0 {
			hop.Rule = fmt.Sprintf("held up for %v", d)
		}
		p.Passed(hop)
	}
	if d <= 0 || p.passage == nil {
		return Next{fate: pastStage}
	}
	return p.After(d, onward{})
}

// Repeat sends a copy of the packet, as it is now, onward from a node that stands on a link.
// Nobody traces it, and of a probe there is none.
func (p *Packet) Repeat() {
	if p.passage == nil || p.Probing() {
		return
	}
	twin := p.clone()
	twin.passage, twin.at = p.passage, p.at
	p.world.Send(twin, onward{})
}

// Seal computes the checksum of a packet whose Payload was written to, behind its first
// header bytes, as a middlebox does that wants not to be noticed.
func (p *Packet) Seal() {
	sum, _ := p.checksumAt()
	if sum == nil {
		return
	}
	clear(sum)
	putChecksum(sum, p)
}

// Answer drops the packet at a node that stands on a link and sends q back where it came
// from, such as what Reset and ICMPError return; a nil q is not sent. Of a frame nothing is
// sent. A probe that is answered with a RST is refused, and of an ICMP error it says what the
// caller is told. A packet that answers itself fails the test and is dropped.
func (p *Packet) Answer(q *Packet, h Hop) Next {
	if q == p {
		p.world.tb.Errorf("netfake: %v answers the packet %v with itself", p.node, p.Flow)
		return p.Drop(h)
	}
	answers := q != nil && p.passage != nil && p.l4-p.head <= wire.IPv6HeaderLen
	if answers {
		h.Rule += q.says()
		p.heardBy(q)
	}
	switch {
	case p.Probing():
	case answers:
		p.world.Send(q, p.passage.back())
	case q != nil:
		p.world.packets.put(q)
	}
	return p.Drop(h)
}

// says tells what a packet is that answers another.
func (p *Packet) says() string {
	switch typ, code := p.ICMPType(); {
	case p.TCPFlags()&wire.RST != 0:
		return ": answered with RST"
	case p.isICMPError():
		return ": answered with " + icmpKind(p.Flow.Proto, typ, code).String()
	}
	return ""
}

// heardBy makes q, from the stage to which a probe has come, the answer to the probe, if it is
// a RST or an ICMP error. It does nothing for a packet that is no probe.
func (p *Packet) heardBy(q *Packet) {
	if p.probe == nil {
		return
	}
	if q.objection == nil && q.TCPFlags()&wire.RST != 0 {
		p.objectWith(q, objection{tells: Refused}) // one of the node's own making
	}
	if q.objection != nil {
		p.probe.hear(q, p.passage.back())
	}
}

// back returns the node from which an answer finds to the sender of what was to cross the
// link: the end of the link at which the stage stands.
func (g *passage) back() Node {
	switch to := g.to.(type) {
	case uplinkCore:
		return to.arrive
	case uplinkArrive:
		return to.core
	}
	return g.from
}

// onward is where a packet goes on that a stage has held up.
type onward struct{}

func (onward) String() string    { return "onward" }
func (onward) Step(*Packet) Next { return Next{fate: pastStage} }

// through leads a packet through the stages of the link that a node sent it over, and
// from one of them to the next.
func (p *Packet) through(next Next) Next {
	switch {
	case next.fate != pastStage:
		p.passage = &passage{p.node, next.to, next.over, next.over.link.stages, p.passage}
	case p.passage == nil:
		return p.Drop(Hop{Place: p.node.String(), By: p.node, Rule: "there is no link to go on over"})
	}
	g := *p.passage
	if len(g.rest) == 0 {
		p.passage = g.outer
		return Next{to: g.to, over: g.over}
	}
	n := g.rest[0].Node
	g.rest = g.rest[1:]
	p.passage = &g
	return Next{to: n}
}
