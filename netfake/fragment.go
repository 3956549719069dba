package netfake

import (
	"fmt"

	"github.com/netspec-go/netspec/internal/wire"
)

// part is what a packet knows of being a part of a datagram. The zero part is all of it.
type part struct {
	offset    uint16 // of its data, in bytes
	more      bool   // follow
	typ, code uint8  // of a later fragment of ICMP, if somebody has found them
}

func partOf(offset uint16, more bool) part { return part{offset: offset, more: more} }

// later reports whether the transport header is in another fragment.
func (t part) later() bool { return t.offset != 0 }

// IsFragment reports whether the packet is a part of a datagram, the first one or a later
// one.
func (p *Packet) IsFragment() bool { return p.part.offset != 0 || p.part.more }

// IsLaterFragment reports whether the packet is a fragment other than the first, which has
// no transport header. Its Flow has no ports unless a [Fragments] has found them.
func (p *Packet) IsLaterFragment() bool { return p.part.later() }

// MayFragment reports whether a router may cut the packet: it is of IPv4, and its header
// does not forbid it. Of IPv6 only the sender cuts. A fragment that ends where no datagram
// does is not cut either.
func (p *Packet) MayFragment() bool {
	b := p.Bytes()
	return p.train == 0 && len(b) > 0 && b[0]>>4 == 4 && !wire.DontFragment(b) && int(p.part.offset)+len(b) <= 65535
}

// Cut cuts the packet into fragments of at most mtu bytes, as a router does that may, and
// has each of them go on at a node; h names who cuts. They keep the packet's Flow until they
// are decoded. A packet that MayFragment denies fails the test and is dropped.
func (p *Packet) Cut(mtu int, h Hop, n Node) Next {
	if !p.MayFragment() {
		p.world.tb.Errorf("netfake: the packet %v must not be cut", p.Flow)
		h.Rule = "the packet must not be cut"
		return p.Drop(h)
	}
	typ, code := p.ICMPType()
	for _, q := range p.cut(mtu, 0, h) {
		q.Flow, q.hash = p.Flow, p.hash
		q.part.typ, q.part.code = typ, code
		p.world.Send(q, n)
	}
	return Next{fate: wayEnds}
}

// cut returns the fragments of a packet, which is not changed. The first goes on with its
// trace.
func (p *Packet) cut(mtu int, id uint32, h Hop) []*Packet {
	all := p.pieces(mtu, id)
	if p.trace != nil {
		h.Rule = fmt.Sprintf("%d bytes exceed the MTU of %d: cut into %d fragments", p.Len(), mtu, len(all))
		p.Passed(h)
	}
	for i, q := range all {
		q.at, q.node, q.steps, q.from, q.probe, q.passage = p.at, p.node, p.steps, p.from, p.probe, p.passage
		q.hitBy, q.past = append(q.hitBy, p.hitBy...), append(q.past, p.past...)
		if i == 0 {
			q.trace = p.trace
		} else if p.trace != nil {
			p.world.startTraceOf(q, p.Flow, h.Place)
		}
	}
	return all
}

// pieces cuts a packet. What tells the datagram from others is id, or what the packet has
// of its own.
func (p *Packet) pieces(mtu int, id uint32) (all []*Packet) {
	for c := wire.NewCutter(p.Bytes(), mtu, id); c.More(); {
		q := p.world.NewPacket(c.Len(), p.event.Key, p.event.Seq)
		c.Next(q.Bytes())
		q.Decode() // what was read before it was cut can be read
		all = append(all, q)
	}
	return all
}

// lot is the packet's number within its flow for draws: fragments of one datagram have
// luck of their own.
func (p *Packet) lot() uint64 { return p.event.Seq + uint64(p.part.offset)<<40 }

var purposeFragment = hashString("fragment")

// sendCut sends a packet that may be larger than the MTU of its path: the host itself cuts
// it, as Linux does with what UDP and ICMP send by default (IP_PMTUDISC_WANT), and such a
// packet may be cut again on its way.
func (h *Host) sendCut(p *Packet, mtu int) {
	if p.Len() <= mtu {
		h.send(p)
		return
	}
	h.fragments.Cut++
	for _, q := range p.pieces(mtu, p.fragmentID()) {
		h.fragments.Sent++
		h.sendPiece(q, p.Flow)
	}
	h.world.packets.put(p)
}

// fragmentID returns what tells a datagram that its host cuts from others: a number made of
// their flow and the packet's own in it.
func (p *Packet) fragmentID() uint32 {
	id := uint32(mix(mix(purposeFragment, p.world.seed), p.FlowHash())) + uint32(p.event.Seq)
	if uint16(id) == 0 { // for a router that would be none, and Linux does without it in IPv6 too
		id++
	}
	return id
}

// sendPiece is send for a fragment of the host's own, which is traced under the flow of its
// datagram.
func (h *Host) sendPiece(p *Packet, flow Flow) {
	if h.down() {
		h.world.packets.put(p)
		return
	}
	p.from = h
	p.event.Key = mix(h.key, p.event.Key)
	h.world.startTraceOf(p, flow, h.name)
	h.leave(p)
}

// fragmentSummary describes a fragment in a line.
func (p *Packet) fragmentSummary() string {
	f, _ := wire.ParseFragment(p.Bytes())
	return fmt.Sprintf("fragment of %d bytes at %d, number %d", f.End-f.Start, f.Offset, f.ID)
}
