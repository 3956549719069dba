package netfake

import (
	"encoding/binary"

	"github.com/netspec-go/netspec/internal/wire"
)

// A train is one Packet that stands for several TCP segments which follow one another:
// one header, and data for more than one of them. It is what kernels and network cards
// call segmentation offload, and it exists for the same reason: what looks only at
// headers decides once for dozens of packets that would all be decided alike.
//
// Nothing shows it. The segments of a train are sent at one instant by one call; a link
// without faults carries them all in the same time, so that they would arrive at one
// instant, one after the other, and events order them next to one another. Wherever a
// packet counts by itself, the train is taken apart into the packets that it stands for,
// each with its own sequence numbers, lengths, flags and checksums, and with the number
// that it would have had: before a link with faults, before a node that does not say that it
// understands trains, before it is recorded or captured, and where a host would answer
// each segment. Counters count segments. Only a receiver's acknowledgements tell: as with
// Linux's receive offload, it answers what has come at one instant at the end of a train,
// where without trains it might have done so in its middle.

// TrainNode is a Node that understands trains: it decides by headers alone, counts
// Segments, compares Largest with an MTU, and does not read a packet's data. Before any
// other Node a train is taken apart, so that a Node which knows nothing of them sees
// every packet as it is. A type that embeds a TrainNode and has a Step of its own is
// asked too.
type TrainNode interface {
	Node

	// TakesTrains reports whether the node understands trains. It runs inside the
	// scheduler.
	TakesTrains() bool
}

// SegmentSize returns how many bytes of data each segment of a train has, the last one
// perhaps less. It is 0 for an ordinary packet.
func (p *Packet) SegmentSize() int { return p.train }

// Segments returns how many packets p stands for: 1, unless it is a train.
func (p *Packet) Segments() int {
	if p.train == 0 {
		return 1
	}
	return p.countSegments()
}

func (p *Packet) countSegments() int { return (p.DataLen() + p.train - 1) / p.train }

// Largest returns the length of the longest packet that p stands for, with all its
// headers: Len, unless it is a train.
func (p *Packet) Largest() int {
	if p.train == 0 {
		return p.Len()
	}
	return p.Len() - p.DataLen() + p.train
}

// Apart is the answer of a node that cannot decide about a train as a whole: each of its
// packets comes to the node by itself, before anything else happens. Nothing that the
// node did must be left behind. For an ordinary packet it is no answer.
func (p *Packet) Apart() Next {
	if p.train == 0 {
		return Next{}
	}
	return Next{fate: inPieces}
}

// largestTrain is how long a train is at most, without headroom: what the length field of
// an encapsulating header can say.
const largestTrain = 65535 - headroom

// trainData is how many bytes of data fit into every train.
const trainData = largestTrain - wire.IPv6HeaderLen - wire.TCPMaxHeaderLen

// understandsTrains reports whether trains may come to n as they are. The world's own nodes
// are named one by one: a type that embeds them need not understand.
func understandsTrains(n Node) bool {
	switch n := n.(type) {
	case *Host, *Uplink, uplinkCore, uplinkDown, uplinkLast, uplinkOrigin, uplinkArrive:
		return true
	case TrainNode:
		return n.TakesTrains()
	}
	return false
}

// takeApart has the packets of a train go on, one after the other, in its place: across a
// link, or at the node where they are if it is nil.
func (w *World) takeApart(p *Packet, over *Way) {
	for i := range p.Segments() {
		q := p.segment(i)
		if over == nil || over.crosses(q) {
			w.move(q)
		}
	}
	w.packets.put(p)
}

// segment returns the i-th packet of a train, as it would be on the wire.
func (p *Packet) segment(i int) *Packet {
	data := p.tail - p.DataLen()
	from := data + i*p.train
	end := min(from+p.train, p.tail)
	q := p.world.NewPacket(data-p.head+end-from, p.event.Key, p.event.Seq+uint64(i))
	b := q.Bytes()
	copy(b[copy(b, p.buf[p.head:data]):], p.buf[from:end])
	q.Flow, q.node, q.steps, q.from, q.conn = p.Flow, p.node, p.steps, p.from, p.conn
	q.inside, q.passage, q.hitBy = p.inside, p.passage, append(q.hitBy, p.hitBy...)
	q.past = append(q.past, p.past...)
	q.l4 = q.head + p.l4 - p.head
	q.becomeSegment(i, uint32(from-data), end == p.tail)
	return q
}

// becomeSegment makes the headers that a train's segment has copied its own: those of the
// i-th, whose data begins at an offset.
func (p *Packet) becomeSegment(i int, offset uint32, last bool) {
	inner := p.l4 - wire.IPv4HeaderLen
	if !p.Flow.Src.Addr().Is4() {
		inner = p.l4 - wire.IPv6HeaderLen
	}
	if inner > p.head {
		fixLengths(p.buf[p.head:p.tail], 0)
	}
	fixLengths(p.buf[inner:p.tail], i)

	l4 := p.Payload()
	seq := binary.BigEndian.Uint32(l4[4:])
	binary.BigEndian.PutUint32(l4[4:], seq+offset)
	if !last {
		l4[13] &^= wire.FIN | wire.PSH
	}
	l4[16], l4[17] = 0, 0
	putChecksum(l4[16:], p)
}

// fixLengths makes the lengths in an IP header, and in the UDP header of an encapsulation
// behind it, those of the whole of b. The i-th segment has the i-th identification.
func fixLengths(b []byte, i int) {
	proto, behind := b[6], wire.IPv6HeaderLen
	if b[0]>>4 == 4 {
		proto, behind = b[9], int(b[0]&0xf)*4
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		if id := binary.BigEndian.Uint16(b[4:]); id != 0 {
			binary.BigEndian.PutUint16(b[4:], id+uint16(i))
		}
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], wire.Checksum(b[:behind]))
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-behind))
	}
	if proto == wire.ProtoUDP {
		binary.BigEndian.PutUint16(b[behind+4:], uint16(len(b)-behind))
	}
}
