package netfake

import (
	"encoding/binary"
	"net/netip"

	"github.com/netspec-go/netspec/internal/wire"
)

// SetSrc rewrites the source address and port and the checksums that cover them, as
// a translating gateway does. For an ICMP echo the port is the identifier. An address
// of the other family than the packet's fails the test and changes nothing.
func (p *Packet) SetSrc(src netip.AddrPort) {
	if !p.canBecome(src.Addr()) {
		return
	}
	p.rewrite(0, p.Flow.Src, src)
	p.Flow.Src, p.hash = src, 0
	if p.Flow.Proto.isICMP() {
		p.Flow.Dst = netip.AddrPortFrom(p.Flow.Dst.Addr(), src.Port())
	}
}

// SetDst rewrites the destination address and port and the checksums that cover them.
// It refuses what SetSrc refuses.
func (p *Packet) SetDst(dst netip.AddrPort) {
	if !p.canBecome(dst.Addr()) {
		return
	}
	p.rewrite(1, p.Flow.Dst, dst)
	p.Flow.Dst, p.hash = dst, 0
	if p.Flow.Proto.isICMP() {
		p.Flow.Src = netip.AddrPortFrom(p.Flow.Src.Addr(), dst.Port())
	}
}

// canBecome reports whether an address can stand in the packet's header, and fails the
// test if not.
func (p *Packet) canBecome(addr netip.Addr) bool {
	if isPlain(addr) && addr.Is4() == p.Flow.Src.Addr().Is4() {
		return true
	}
	p.world.tb.Errorf("netfake: the packet %v cannot have the address %v", p.Flow, addr)
	return false
}

// rewrite replaces the IP header's first or second address, and the port that goes
// with it.
func (p *Packet) rewrite(which int, old, new netip.AddrPort) {
	ip := p.Bytes()
	var change wire.Change
	if old.Addr().Is4() {
		is := new.Addr().As4()
		change = setAddr4(ip, which, binary.BigEndian.Uint32(is[:]))
	} else {
		was, is := old.Addr().As16(), new.Addr().As16()
		change = wire.ChangeOf(was[:], is[:])
		copy(ip[8+16*which:], is[:])
	}

	sum, covered := p.checksumAt()
	if sum == nil {
		return
	}
	if !covered {
		change = 0
	}
	if old.Port() != new.Port() {
		portAt := 2 * which
		if p.Flow.Proto.isICMP() {
			portAt = 4
		}
		change += setWord(p.Payload()[portAt:], new.Port())
	}
	p.updateTransport(sum, change)
}

// checksumAt returns the place of the transport checksum, nil where there is none,
// and whether it covers the addresses.
func (p *Packet) checksumAt() (sum []byte, coversAddresses bool) {
	l4 := p.Payload()
	switch {
	case p.part.later():
	case p.Flow.Proto == TCP && len(l4) >= 20:
		return l4[16:18], true
	case p.Flow.Proto == UDP && len(l4) >= 8:
		return l4[6:8], true
	case p.Flow.Proto.isICMP() && len(l4) >= 8:
		return l4[2:4], p.Flow.Proto == ICMPv6
	}
	return nil, false
}

// setWord writes a word and returns what that changes.
func setWord(b []byte, word uint16) wire.Change {
	old := binary.BigEndian.Uint16(b)
	binary.BigEndian.PutUint16(b, word)
	return wire.ChangeOfWord(old, word)
}

// setAddr4 writes the first or second address of an IPv4 header, and brings the header's
// checksum up to date. It returns what that changes.
func setAddr4(ip []byte, which int, addr uint32) wire.Change {
	word := binary.BigEndian.Uint64(ip[8:]) // TTL, protocol, checksum and source, which the next router reads as one
	old := uint32(word)
	if which == 0 {
		word = word&^0xffffffff | uint64(addr)
	} else {
		old = binary.BigEndian.Uint32(ip[16:])
		binary.BigEndian.PutUint32(ip[16:], addr)
	}
	change := wire.ChangeOfWord(uint16(old>>16), uint16(addr>>16)) + wire.ChangeOfWord(uint16(old), uint16(addr))
	check := change.Update(uint16(word >> 32))
	binary.BigEndian.PutUint64(ip[8:], word&^(0xffff<<32)|uint64(check)<<32)
	return change
}

// updateChecksum brings the checksum at sum up to date with what it covers.
func updateChecksum(sum []byte, c wire.Change) {
	binary.BigEndian.PutUint16(sum, c.Update(binary.BigEndian.Uint16(sum)))
}

// updateTransport is updateChecksum for the transport's own checksum.
func (p *Packet) updateTransport(sum []byte, c wire.Change) {
	if p.Flow.Proto != UDP {
		updateChecksum(sum, c)
		return
	}
	binary.BigEndian.PutUint16(sum, c.UpdateUDP(binary.BigEndian.Uint16(sum)))
}
