package netfake

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/netspec-go/netspec/internal/sched"
	"github.com/netspec-go/netspec/internal/wire"
)

// Protocol is an IP protocol number, as IANA assigns them.
type Protocol uint8

// The protocols that a host speaks.
const (
	ICMP   Protocol = 1
	TCP    Protocol = 6
	UDP    Protocol = 17
	ICMPv6 Protocol = 58
)

// String returns the protocol's lower-case name, or its number.
func (p Protocol) String() string {
	switch p {
	case ICMP:
		return "icmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case ICMPv6:
		return "icmpv6"
	}
	return fmt.Sprintf("proto %d", uint8(p))
}

// Flow names the packets of one conversation in one direction. It is comparable.
// For an ICMP echo both ports carry the identifier; for other ICMP they are 0.
type Flow struct {
	Proto    Protocol
	Src, Dst netip.AddrPort
}

// Reverse returns the flow of the replies.
func (f Flow) Reverse() Flow { return Flow{f.Proto, f.Dst, f.Src} }

// String returns "10.0.1.5:40000 → 10.0.2.9:5432 tcp".
func (f Flow) String() string {
	if f.hasPorts() {
		return fmt.Sprintf("%v → %v %v", f.Src, f.Dst, f.Proto)
	}
	return fmt.Sprintf("%v → %v %v", f.Src.Addr(), f.Dst.Addr(), f.Proto)
}

// hasPorts reports whether ports tell the flow from others: those of a later fragment of
// TCP or UDP are not known.
func (f Flow) hasPorts() bool {
	return (f.Proto == TCP || f.Proto == UDP) && (f.Src.Port() != 0 || f.Dst.Port() != 0 || !f.Src.IsValid())
}

// Hash returns a number for the directed flow that is the same in every run and
// every process.
func (f Flow) Hash() uint64 { return f.hash() }

func (f *Flow) hash() uint64 {
	ports := uint64(f.Src.Port())<<32 | uint64(f.Dst.Port())<<16 | uint64(f.Proto)
	if f.Src.Addr().Is4() && f.Dst.Addr().Is4() {
		src, dst := f.Src.Addr().As4(), f.Dst.Addr().As4()
		addrs := uint64(binary.BigEndian.Uint32(src[:]))<<32 | uint64(binary.BigEndian.Uint32(dst[:]))
		return mix(mix(0, addrs), ports)
	}
	src, dst := f.Src.Addr().As16(), f.Dst.Addr().As16()
	h := mix(0, binary.BigEndian.Uint64(src[:8]))
	h = mix(h, binary.BigEndian.Uint64(src[8:]))
	h = mix(h, binary.BigEndian.Uint64(dst[:8]))
	h = mix(h, binary.BigEndian.Uint64(dst[8:]))
	return mix(h, ports)
}

// headroom is what a new packet keeps free in front of its IP header for one
// encapsulation: IPv4 20, UDP 8, GENEVE 8 and its options.
const headroom = 96

// Packet is one IP packet on its way: its bytes, and what was read from them. A
// node owns it during Step only and must not keep it.
type Packet struct {
	// Flow is what the innermost headers say; a later fragment has no ports, unless a
	// Fragments lends it those of its first. SetSrc and SetDst keep it and the bytes in
	// step; nobody else writes it.
	Flow Flow

	hash  uint64 // of Flow; 0 until it is asked for
	event sched.Event
	world *World
	node  Node // where it is
	at    time.Duration

	told       any // what somebody knows of the bytes
	buf        []byte
	head, tail int
	l4         int // offset of the transport header in buf
	part       part
	train      int // the data bytes of each packet that it stands for, 0 for itself alone

	from    *Host    // whose stack sent it; nil for what a gateway made
	conn    *TCPConn // and of which connection, nil for none
	trace   *Trace
	hitBy   []*Fault // that have counted it
	past    []uint64 // what its draws depend on: see luck
	steps   int      // nodes that it has been at
	refused bool     // by a filter, which has said why
	inside  bool     // it goes from its host to itself
	copies  uint8    // that were made of it
	probe   *probe
	passage *passage // through the stages of a link, nil anywhere else

	objection *objection // to a probe; nil for all else
	next      *Packet    // that was returned to the pool before this one
}

// FlowHash returns the hash of Flow.
func (p *Packet) FlowHash() uint64 {
	if p.hash == 0 {
		p.hash = p.Flow.hash()
	}
	return p.hash
}

// World returns the world that the packet travels in.
func (p *Packet) World() *World { return p.world }

// At returns the packet's time: since the world's beginning. During a probe it runs
// ahead of the world's own.
func (p *Packet) At() time.Duration { return p.at }

// Bytes returns the packet from its outermost header on. The slice is valid during
// Step, and writing to it changes the packet.
func (p *Packet) Bytes() []byte {
	p.told = nil
	return p.buf[p.head:p.tail]
}

// Tell leaves a word of what the packet's bytes say for a node that would else have to read
// them, see Told. It is to be a pointer, or it costs an allocation.
func (p *Packet) Tell(what any) { p.told = what }

// Told returns what Tell was told, nil if nothing or if since then the bytes were changed, or
// given to somebody who could: by Bytes, Payload, Push, Pull and all that rewrites.
func (p *Packet) Told() any { return p.told }

// Len returns the packet's length with all its headers.
func (p *Packet) Len() int { return p.tail - p.head }

// Push puts n bytes in front of the packet and returns them, to be filled with a
// header by the caller. A negative n fails the test and changes nothing.
func (p *Packet) Push(n int) []byte {
	p.told = nil
	if n < 0 {
		p.miscounted("Push", n)
		return nil
	}
	if n > p.head {
		grown := make([]byte, n+headroom+p.Len())
		copy(grown[n+headroom:], p.Bytes())
		shift := n + headroom - p.head
		p.head, p.tail, p.l4 = p.head+shift, p.tail+shift, p.l4+shift
		p.buf = grown
	}
	p.head -= n
	return p.buf[p.head : p.head+n]
}

// Pull takes n bytes off the packet's front: headers that have been read. An n that is
// negative or more than the packet has fails the test and changes nothing.
func (p *Packet) Pull(n int) {
	p.told = nil
	if uint(n) > uint(p.Len()) {
		p.miscounted("Pull", n)
		return
	}
	p.head += n
}

// miscounted fails the test for who pushes or pulls what cannot be.
func (p *Packet) miscounted(verb string, n int) {
	p.world.tb.Errorf("netfake: %s of %d bytes, of the packet %v, which has %d", verb, n, p.Flow, p.Len())
}

// Decode reads Flow anew from the bytes, which must begin with an IP header, and
// cuts what lies behind the IP packet's end. Its error tells what is malformed.
func (p *Packet) Decode() error {
	hash := p.hash
	p.hash, p.part = 0, part{}
	b := p.Bytes()
	if len(b) > 0 && b[0]>>4 == 6 {
		return p.decode6(b)
	}
	ip, err := wire.ViewIPv4(b)
	if err != nil {
		return err
	}
	p.l4 = p.head + ip.HeaderLen()
	p.tail = p.head + len(ip)
	if p.Flow.isOf(ip) { // as when an encapsulation was taken off
		p.hash = hash
		return nil
	}
	proto := Protocol(ip.Proto())
	var src, dst uint16
	if !ip.Whole() {
		p.part = partOf(ip.FragOffset(), ip.MoreFragments())
	}
	if !p.part.later() {
		src, dst, err = readPorts(proto, ip.Payload())
	}
	p.Flow.Proto = proto
	p.Flow.Src, p.Flow.Dst = netip.AddrPortFrom(ip.Src(), src), netip.AddrPortFrom(ip.Dst(), dst)
	return err
}

// isOf reports whether f is the flow of a packet of TCP or UDP that is no fragment.
func (f *Flow) isOf(ip wire.IPv4View) bool {
	l4 := ip.Payload()
	if f.Proto != TCP && f.Proto != UDP || f.Proto != Protocol(ip.Proto()) || len(l4) < 4 || !ip.Whole() {
		return false
	}
	ports := uint32(f.Src.Port())<<16 | uint32(f.Dst.Port())
	return binary.BigEndian.Uint32(l4) == ports && ip.Src() == f.Src.Addr() && ip.Dst() == f.Dst.Addr()
}

// addrFlow is the flow of a packet that has no ports, as a later fragment has none.
func addrFlow(proto Protocol, src, dst netip.Addr) Flow {
	return Flow{Proto: proto, Src: netip.AddrPortFrom(src, 0), Dst: netip.AddrPortFrom(dst, 0)}
}

// readPorts takes the ports from a transport header, of which it reads the first 8
// bytes at most.
func readPorts(proto Protocol, header []byte) (src, dst uint16, err error) {
	switch {
	case proto == TCP || proto == UDP:
		if len(header) < 4 {
			return 0, 0, wire.ErrShort
		}
		return binary.BigEndian.Uint16(header), binary.BigEndian.Uint16(header[2:]), nil
	case proto.isICMP():
		if len(header) < wire.ICMPHeaderLen {
			return 0, 0, wire.ErrShort
		}
		if isEcho(proto, header[0]) {
			id := binary.BigEndian.Uint16(header[4:])
			return id, id, nil
		}
	}
	return 0, 0, nil
}

// Payload returns the bytes behind the IP header: the transport header and its data.
func (p *Packet) Payload() []byte {
	p.told = nil
	return p.buf[p.l4:p.tail]
}

// TCPFlags returns the flag bits of a TCP packet, 0 for others: FIN 1, SYN 2, RST 4,
// PSH 8, ACK 16.
func (p *Packet) TCPFlags() uint8 {
	if p.Flow.Proto != TCP || p.tail-p.l4 < 20 || p.part.later() {
		return 0
	}
	return p.buf[p.l4+13]
}

// ICMPType returns type and code of an ICMP packet of either family, 0 and 0 for
// others. The families number their messages differently. Those of a later fragment are its
// first one's, if a [Fragments] knows that.
func (p *Packet) ICMPType() (typ, code uint8) {
	if p.part.later() {
		return p.part.typ, p.part.code
	}
	if !p.Flow.Proto.isICMP() || p.tail-p.l4 < 2 {
		return 0, 0
	}
	return p.buf[p.l4], p.buf[p.l4+1]
}

// Quoted returns the flow of the packet that an ICMP error speaks of, and false for any
// other packet.
func (p *Packet) Quoted() (Flow, bool) {
	if !p.Flow.Proto.isICMP() {
		return Flow{}, false
	}
	return p.quoted()
}

func (p *Packet) quoted() (Flow, bool) {
	if !p.isICMPError() {
		return Flow{}, false
	}
	q, err := wire.ParseQuote(p.Payload()[wire.ICMPHeaderLen:])
	f := Flow{Protocol(q.Proto), netip.AddrPortFrom(q.Src, q.SrcPort), netip.AddrPortFrom(q.Dst, q.DstPort)}
	return f, err == nil
}

// Summary describes the packet in a line: flags, sequence numbers and length for
// TCP, length for UDP, type for ICMP.
func (p *Packet) Summary() string {
	if p.IsFragment() {
		return p.fragmentSummary()
	}
	switch p.Flow.Proto {
	case TCP:
		if h, data, err := wire.ParseTCP(p.Payload()); err == nil {
			return fmt.Sprintf("%v, %d bytes", &h, len(data))
		}
	case UDP:
		return fmt.Sprintf("%d bytes", max(0, len(p.Payload())-8))
	case ICMP, ICMPv6:
		typ, code := p.ICMPType()
		return fmt.Sprintf("type %d code %d", typ, code)
	}
	return fmt.Sprintf("%d bytes", len(p.Payload()))
}

// DataLen returns the number of bytes that the packet carries for the application.
func (p *Packet) DataLen() int {
	l4 := p.Payload()
	switch {
	case p.part.later():
		return len(l4)
	case p.Flow.Proto == TCP && len(l4) >= 20:
		return max(0, len(l4)-int(l4[12]>>4)*4)
	case p.Flow.Proto == UDP && len(l4) >= 8:
		return len(l4) - 8
	}
	return 0
}
