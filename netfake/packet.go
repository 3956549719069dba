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
	if f.Proto == TCP || f.Proto == UDP {
		return fmt.Sprintf("%v → %v %v", f.Src, f.Dst, f.Proto)
	}
	return fmt.Sprintf("%v → %v %v", f.Src.Addr(), f.Dst.Addr(), f.Proto)
}

// Hash returns a number for the directed flow that is the same in every run and
// every process.
func (f Flow) Hash() uint64 {
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
	// Flow is what the innermost headers say. SetSrc and SetDst keep it and the
	// bytes in step; nobody else writes it.
	Flow Flow

	event sched.Event
	world *World
	node  Node // where it is
	at    time.Duration

	buf        []byte
	head, tail int
	l4         int // offset of the transport header in buf
	train      int // the data bytes of each packet that it stands for, 0 for itself alone

	trace   *Trace
	steps   int  // nodes that it has been at
	refused bool // by a filter, which has said why
	probe   *probe
	next    *Packet // that was returned to the pool before this one
}

// World returns the world that the packet travels in.
func (p *Packet) World() *World { return p.world }

// At returns the packet's time: since the world's beginning. During a probe it runs
// ahead of the world's own.
func (p *Packet) At() time.Duration { return p.at }

// Bytes returns the packet from its outermost header on. The slice is valid during
// Step, and writing to it changes the packet.
func (p *Packet) Bytes() []byte { return p.buf[p.head:p.tail] }

// Len returns the packet's length with all its headers.
func (p *Packet) Len() int { return p.tail - p.head }

// Push puts n bytes in front of the packet and returns them, to be filled with a
// header by the caller.
func (p *Packet) Push(n int) []byte {
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

// Pull takes n bytes off the packet's front: headers that have been read.
func (p *Packet) Pull(n int) { p.head += n }

// Decode reads Flow anew from the bytes, which must begin with an IP header, and
// cuts what lies behind the IP packet's end. Its error tells what is malformed.
func (p *Packet) Decode() error {
	b := p.Bytes()
	ip, payload, err := wire.ParseIPv4(b)
	if err != nil {
		return err
	}
	p.l4 = p.head + ip.HeaderLen
	p.tail = p.head + ip.TotalLen
	flow, err := transportFlow(Protocol(ip.Proto), ip, payload)
	p.Flow = flow
	return err
}

// transportFlow reads the ports of a packet's transport header. Of a later fragment
// there is none to read, so its ports are 0.
func transportFlow(proto Protocol, ip wire.IPv4, payload []byte) (Flow, error) {
	f := Flow{Proto: proto, Src: netip.AddrPortFrom(ip.Src, 0), Dst: netip.AddrPortFrom(ip.Dst, 0)}
	if ip.FragOffset != 0 {
		return f, nil
	}
	switch proto {
	case TCP, UDP:
		if len(payload) < 4 {
			return f, wire.ErrShort
		}
		f.Src = netip.AddrPortFrom(ip.Src, binary.BigEndian.Uint16(payload))
		f.Dst = netip.AddrPortFrom(ip.Dst, binary.BigEndian.Uint16(payload[2:]))
	case ICMP:
		if len(payload) < 8 {
			return f, wire.ErrShort
		}
		if payload[0] == wire.ICMPEchoRequest || payload[0] == wire.ICMPEchoReply {
			id := binary.BigEndian.Uint16(payload[4:])
			f.Src, f.Dst = netip.AddrPortFrom(ip.Src, id), netip.AddrPortFrom(ip.Dst, id)
		}
	}
	return f, nil
}

// Payload returns the bytes behind the IP header: the transport header and its data.
func (p *Packet) Payload() []byte { return p.buf[p.l4:p.tail] }

// TCPFlags returns the flag bits of a TCP packet, 0 for others: FIN 1, SYN 2, RST 4,
// PSH 8, ACK 16.
func (p *Packet) TCPFlags() uint8 {
	if p.Flow.Proto != TCP || p.tail-p.l4 < 20 {
		return 0
	}
	return p.buf[p.l4+13]
}

// ICMPType returns type and code of an ICMP packet, 0 and 0 for others.
func (p *Packet) ICMPType() (typ, code uint8) {
	if p.Flow.Proto != ICMP || p.tail-p.l4 < 2 {
		return 0, 0
	}
	return p.buf[p.l4], p.buf[p.l4+1]
}

// Quoted returns the flow of the packet that an ICMP error speaks of, and false for any
// other packet.
func (p *Packet) Quoted() (Flow, bool) {
	if !p.isICMPError() {
		return Flow{}, false
	}
	q, err := wire.ParseQuote(p.Payload()[wire.ICMPHeaderLen:])
	f := Flow{Protocol(q.Proto), netip.AddrPortFrom(q.Src, q.SrcPort), netip.AddrPortFrom(q.Dst, q.DstPort)}
	return f, err == nil
}

// SetSrc rewrites the source address and port and the checksums that cover them, as
// a translating gateway does. For an ICMP echo the port is the identifier.
func (p *Packet) SetSrc(src netip.AddrPort) {
	p.rewrite(12, 0, p.Flow.Src, src)
	p.Flow.Src = src
	if p.Flow.Proto == ICMP {
		p.Flow.Dst = netip.AddrPortFrom(p.Flow.Dst.Addr(), src.Port())
	}
}

// SetDst rewrites the destination address and port and the checksums that cover them.
func (p *Packet) SetDst(dst netip.AddrPort) {
	p.rewrite(16, 2, p.Flow.Dst, dst)
	p.Flow.Dst = dst
	if p.Flow.Proto == ICMP {
		p.Flow.Src = netip.AddrPortFrom(p.Flow.Src.Addr(), dst.Port())
	}
}

// rewrite replaces an address at offset addrAt of the IP header and a port at offset
// portAt of the transport header.
func (p *Packet) rewrite(addrAt, portAt int, old, new netip.AddrPort) {
	before, after := old.Addr().As4(), new.Addr().As4()
	ip := p.buf[p.head:]
	copy(ip[addrAt:], after[:])
	fixChecksum(ip[10:], before[:], after[:])

	l4 := p.Payload()
	sum, covered := p.checksumAt()
	if sum == nil {
		return
	}
	if covered {
		p.fixTransport(sum, before[:], after[:])
	}
	if p.Flow.Proto == ICMP {
		portAt = 4
	}
	if old.Port() != new.Port() {
		var was, is [2]byte
		binary.BigEndian.PutUint16(was[:], old.Port())
		binary.BigEndian.PutUint16(is[:], new.Port())
		copy(l4[portAt:], is[:])
		p.fixTransport(sum, was[:], is[:])
	}
}

// checksumAt returns the place of the transport checksum, nil where there is none,
// and whether it covers the addresses.
func (p *Packet) checksumAt() (sum []byte, coversAddresses bool) {
	l4 := p.Payload()
	switch {
	case p.Flow.Proto == TCP && len(l4) >= 20:
		return l4[16:18], true
	case p.Flow.Proto == UDP && len(l4) >= 8:
		return l4[6:8], true
	case p.Flow.Proto == ICMP && len(l4) >= 8:
		return l4[2:4], false
	}
	return nil, false
}

func fixChecksum(sum, old, new []byte) {
	check := binary.BigEndian.Uint16(sum)
	binary.BigEndian.PutUint16(sum, wire.UpdateChecksum(check, old, new))
}

// fixTransport is fixChecksum for the transport's own checksum.
func (p *Packet) fixTransport(sum, old, new []byte) {
	if p.Flow.Proto != UDP {
		fixChecksum(sum, old, new)
		return
	}
	check := binary.BigEndian.Uint16(sum)
	binary.BigEndian.PutUint16(sum, wire.UpdateUDPChecksum(check, old, new))
}

// Summary describes the packet in a line: flags, sequence numbers and length for
// TCP, length for UDP, type for ICMP.
func (p *Packet) Summary() string {
	switch p.Flow.Proto {
	case TCP:
		if h, data, err := wire.ParseTCP(p.Payload()); err == nil {
			return fmt.Sprintf("%v, %d bytes", &h, len(data))
		}
	case UDP:
		return fmt.Sprintf("%d bytes", max(0, len(p.Payload())-8))
	case ICMP:
		typ, code := p.ICMPType()
		return fmt.Sprintf("type %d code %d", typ, code)
	}
	return fmt.Sprintf("%d bytes", len(p.Payload()))
}

// DataLen returns the number of bytes that the packet carries for the application.
func (p *Packet) DataLen() int {
	l4 := p.Payload()
	switch {
	case p.Flow.Proto == TCP && len(l4) >= 20:
		return max(0, len(l4)-int(l4[12]>>4)*4)
	case p.Flow.Proto == UDP && len(l4) >= 8:
		return len(l4) - 8
	}
	return 0
}
