package netfake

import (
	"net/netip"
	"syscall"

	"github.com/netspec-go/netspec/internal/wire"
)

// ICMPKind is what an ICMP error says, whatever the numbers of its family. The zero
// ICMPKind is none: silence.
type ICMPKind uint8

// The errors. Their numbers are in RFC 792, RFC 1812 section 5.2.7.1 and RFC 4443.
const (
	NoICMP ICMPKind = iota
	NetUnreachable
	HostUnreachable
	ProtocolUnreachable // of IPv6 a parameter problem: an unknown next header
	PortUnreachable
	AdminProhibited
	PacketTooBig // of IPv4 destination unreachable: fragmentation needed
	TimeExceeded // the TTL or hop limit
	ReassemblyTimeExceeded
	ParameterProblem
)

// ICMPError is an ICMP error as a node sends it.
type ICMPError struct {
	Kind ICMPKind
	MTU  int // of PacketTooBig: what the next link carries
}

// icmpMessage is how the two families say one kind, and what Linux makes of it.
type icmpMessage struct {
	name         string
	type4, code4 uint8
	type6, code6 uint8
	errno        syscall.Errno // icmp_err_convert
	errno6       syscall.Errno // icmpv6_err_convert
	hard         bool          // whether a connected UDP socket hears of it, too
	ends         bool          // whether it ends a half-open connection that came in
}

var icmpMessages = [...]icmpMessage{
	NetUnreachable:         {"network unreachable", 3, 0, 1, 0, syscall.ENETUNREACH, syscall.ENETUNREACH, false, true},
	HostUnreachable:        {"host unreachable", 3, 1, 1, 3, syscall.EHOSTUNREACH, syscall.EHOSTUNREACH, false, true},
	ProtocolUnreachable:    {"protocol unreachable", 3, 2, 4, 1, syscall.ENOPROTOOPT, syscall.EPROTO, true, false},
	PortUnreachable:        {"port unreachable", 3, 3, 1, 4, syscall.ECONNREFUSED, syscall.ECONNREFUSED, true, false},
	AdminProhibited:        {"administratively prohibited", 3, 13, 1, 1, syscall.EHOSTUNREACH, syscall.EACCES, true, false},
	PacketTooBig:           {"packet too big", 3, 4, 2, 0, syscall.EMSGSIZE, syscall.EMSGSIZE, true, false},
	TimeExceeded:           {"time exceeded", 11, 0, 3, 0, syscall.EHOSTUNREACH, syscall.EHOSTUNREACH, false, false},
	ReassemblyTimeExceeded: {"reassembly time exceeded", 11, 1, 3, 1, syscall.EHOSTUNREACH, syscall.EHOSTUNREACH, false, false},
	ParameterProblem:       {"parameter problem", 12, 0, 4, 0, syscall.EPROTO, syscall.EPROTO, true, false},
}

// String returns the error in words, "silence" for none.
func (k ICMPKind) String() string {
	if k == NoICMP || int(k) >= len(icmpMessages) {
		return "silence"
	}
	return icmpMessages[k].name
}

// icmpKind returns what a message of type and code says; NoICMP if it is no error. A
// code that is not known says what its type says.
func icmpKind(proto Protocol, typ, code uint8) ICMPKind {
	found := NoICMP
	for k := NetUnreachable; int(k) < len(icmpMessages); k++ {
		m := &icmpMessages[k]
		t, c := m.type4, m.code4
		if proto == ICMPv6 {
			t, c = m.type6, m.code6
		}
		switch {
		case t != typ:
		case c == code:
			return k
		case found == NoICMP:
			found = k
		}
	}
	return found
}

// ICMPError returns the ICMP error that tells the packet's sender e, from the address
// of whoever says so: a packet to be sent. It quotes as much of p as RFC 1812 and RFC
// 4443 say. It is nil where none may be sent, see [wire.MayComplain], and where from is no
// address of p's family. The error about a probe answers it once World.Send or Answer sends
// it. A Kind that is none fails the test. It may be called only inside the scheduler.
func (p *Packet) ICMPError(e ICMPError, from netip.Addr) *Packet {
	switch {
	case e.Kind == NoICMP:
		return nil
	case int(e.Kind) >= len(icmpMessages):
		p.world.tb.Errorf("netfake: there is no ICMPKind %d to say of the packet %v", uint8(e.Kind), p.Flow)
		return nil
	}
	out := p.icmpError(e, from)
	if out != nil {
		p.objectWith(out, objection{e.tells(p.Flow.Proto), e.errno(p.Flow.Dst.Addr())})
	}
	return out
}

var purposeICMP = hashString("icmp error")

func (p *Packet) icmpError(e ICMPError, from netip.Addr) *Packet {
	b := p.Bytes()
	sender, ok := wire.MayComplain(b)
	if !ok || !from.IsValid() || from.Is4() != sender.Is4() {
		return nil
	}
	m := &icmpMessages[e.Kind]
	f := Flow{ICMP, netip.AddrPortFrom(from, 0), netip.AddrPortFrom(sender, 0)}
	head := wire.ICMP{Type: m.type4, Code: m.code4, MTU: uint32(e.MTU)}
	if !from.Is4() {
		f.Proto, head.Type, head.Code = ICMPv6, m.type6, m.code6
	}
	if head.Type == wire.ICMPv6ParameterProblem && e.Kind == ProtocolUnreachable {
		head.Pointer = namedAt(b)
	}
	if head.Type == wire.ICMPv6ParameterProblem && e.Kind == ParameterProblem {
		head.Pointer = fragmentFaultAt(b)
	}
	quote := wire.Quote(b)
	out := p.world.ipPacket(f, wire.ICMPHeaderLen+len(quote), p.event.Seq)
	out.event.Key = mix(mix(purposeICMP, p.event.Key), f.Hash())
	l4 := out.Payload()
	head.Put(l4)
	copy(l4[wire.ICMPHeaderLen:], quote)
	putChecksum(l4[2:], out)
	return out
}

// fragmentFaultAt returns where the fault of a fragment of IPv6 is: its length if that is no
// multiple of 8, else its offset. It is 0 for a packet that is no fragment.
func fragmentFaultAt(packet []byte) uint32 {
	const payloadLength, offset = 4, 2 // in the fixed header, in the fragment header
	f, ok := wire.ParseFragment(packet)
	switch n := f.End - f.Start; {
	case !ok:
		return 0
	case f.MF && n%8 != 0:
		return payloadLength
	default:
		return uint32(f.Start - wire.FragmentHeaderLen + offset)
	}
}

// namedAt returns where an IPv6 packet names the protocol that it carries: what RFC 4443,
// section 3.4, points to if a host does not know it.
func namedAt(packet []byte) uint32 {
	h, payload, err := wire.ParseIPv6(packet)
	if err != nil {
		return 0
	}
	u, _ := h.Upper(payload)
	return uint32(u.NamedAt)
}

// Reject drops the packet for the reason that h gives, and tells its sender with an ICMP
// error from an address, which starts its way at a node. An address that is not valid is
// that of a router which keeps silent.
func (p *Packet) Reject(h Hop, e ICMPError, from netip.Addr, at Node) Next {
	answered := false
	if p.train > 0 {
		for i := range p.Segments() {
			q := p.segment(i)
			answered = q.answer(h.Place, e, from, at) || answered
			p.world.packets.put(q)
		}
	} else {
		answered = p.answer(h.Place, e, from, at)
	}
	if answered {
		h.Rule += ": answered with " + e.Kind.String()
	}
	return p.Drop(h)
}

// answer sends an ICMP error about the packet and reports whether it deserves one.
func (p *Packet) answer(place string, e ICMPError, from netip.Addr, at Node) bool {
	out := p.ICMPError(e, from)
	switch {
	case out == nil:
		return false
	case out.trace != nil: // of a probe
		out.trace.From = place
	default:
		p.world.startTrace(out, place)
	}
	p.world.Send(out, at)
	return true
}

// complain tells the sender of a packet that came to the host what is wrong with it.
func (h *Host) complain(p *Packet, kind ICMPKind) {
	peer := p.Flow.Src.Addr()
	if p.probe != nil || !h.owns(peer) && !h.mayComplain(peer) {
		return
	}
	if out := p.ICMPError(ICMPError{Kind: kind}, p.Flow.Dst.Addr()); out != nil {
		h.send(out)
	}
}

// receiveError takes an ICMP error to the socket whose packet it quotes, if the host can
// have sent that packet (RFC 5927 section 4).
func (h *Host) receiveError(p *Packet, head *wire.ICMP, quote []byte) {
	kind := icmpKind(p.Flow.Proto, head.Type, head.Code)
	q, err := wire.ParseQuote(quote)
	if kind == NoICMP || err != nil || !h.owns(q.Src) {
		return
	}
	flow := Flow{Protocol(q.Proto), netip.AddrPortFrom(q.Src, q.SrcPort), netip.AddrPortFrom(q.Dst, q.DstPort)}
	e := ICMPError{kind, int(head.MTU)}
	switch flow.Proto {
	case UDP:
		h.udpError(flow, e, p.Flow.Src.Addr())
	case TCP:
		h.tcpError(flow, q.Seq, e)
	case ICMP, ICMPv6:
		h.echoError(flow, e)
	}
}

// errno returns what Linux tells an application that sent to dst.
func (e ICMPError) errno(dst netip.Addr) syscall.Errno {
	if dst.Is4() {
		return icmpMessages[e.Kind].errno
	}
	return icmpMessages[e.Kind].errno6
}

// udpError tells a traceroute, or a connected socket if the error is a hard one, as
// Linux does without IP_RECVERR.
func (h *Host) udpError(sent Flow, e ICMPError, from netip.Addr) {
	if t := h.traceroutes[sent]; t != nil {
		t.from, t.kind, t.at = from, e.Kind, h.world.now
		h.world.wake(&h.changed)
		return
	}
	u := h.udpFor(sent.Reverse())
	if u == nil {
		return
	}
	if e.Kind == PacketTooBig && !h.learnMTU(sent.Dst.Addr(), e.MTU) {
		return
	}
	if u.peer == sent.Dst && icmpMessages[e.Kind].hard {
		u.err = e.errno(sent.Dst.Addr())
		h.world.wake(&u.readable)
	}
}

// tcpError tells a connection, unless the error quotes a segment that is not in flight.
func (h *Host) tcpError(sent Flow, seq uint32, e ICMPError) {
	c := h.connFor(sent.Reverse())
	if c == nil || !c.machine.InFlight(seq) {
		return
	}
	dst, now := sent.Dst.Addr(), h.world.now
	switch {
	case e.Kind == PacketTooBig:
		if h.learnMTU(dst, e.MTU) {
			c.lowerMTU()
		}
	case c.listener == nil || icmpMessages[e.Kind].ends:
		c.machine.Unreachable(e.errno(dst), now)
		if e.Kind == NetUnreachable || e.Kind == HostUnreachable && dst.Is4() { // as Linux chooses
			c.machine.Unblock(seq, now)
		}
	}
	c.sync()
}

// echoError tells who pings.
func (h *Host) echoError(sent Flow, e ICMPError) {
	to := sent.Dst.Addr()
	wait := h.echoes[echoID{to, sent.Src.Port()}]
	if wait == nil {
		return
	}
	if e.Kind == PacketTooBig {
		h.learnMTU(to, e.MTU)
	}
	wait.err = e.errno(to)
	h.world.wake(&h.changed)
}

// isICMPError reports whether the packet is an ICMP error with a whole header.
func (p *Packet) isICMPError() bool {
	if p.tail-p.l4 < wire.ICMPHeaderLen || p.part.later() {
		return false
	}
	typ := p.buf[p.l4]
	return p.Flow.Proto == ICMP && wire.IsICMPError(typ) || p.Flow.Proto == ICMPv6 && wire.IsICMPv6Error(typ)
}

// SetQuotedSrc rewrites the source address and port of the packet that an ICMP error
// quotes, and the checksums that cover them, as a translating gateway does that has
// translated the packet. It does nothing to other packets.
func (p *Packet) SetQuotedSrc(src netip.AddrPort) { p.setQuoted(wire.QuotedSrc, src) }

// SetQuotedDst is SetQuotedSrc for the destination.
func (p *Packet) SetQuotedDst(dst netip.AddrPort) { p.setQuoted(wire.QuotedDst, dst) }

func (p *Packet) setQuoted(side wire.QuotedSide, to netip.AddrPort) {
	if !p.isICMPError() {
		return
	}
	l4 := p.Payload()
	wire.RewriteQuote(l4[wire.ICMPHeaderLen:], side, to)
	l4[2], l4[3] = 0, 0
	putChecksum(l4[2:], p)
}
