package wire

import (
	"encoding/binary"
	"net/netip"
)

// The longest ICMP error of each family, IP header included: RFC 1812 section 4.3.2.3,
// and the minimum MTU of IPv6, RFC 4443 section 2.4 (c).
const (
	MaxICMPError   = 576
	MaxICMPv6Error = 1280
)

// minQuote is how much of the quoted packet's transport there must be: RFC 792.
const minQuote = 8

// Quote returns what an ICMP error carries back of a packet: its front, as long as the
// error stays within [MaxICMPError] or [MaxICMPv6Error].
func Quote(packet []byte) []byte {
	limit := MaxICMPError - IPv4HeaderLen - ICMPHeaderLen
	if version(packet) == 6 {
		limit = MaxICMPv6Error - IPv6HeaderLen - ICMPHeaderLen
	}
	return packet[:min(len(packet), limit)]
}

// MayComplain reports whether an ICMP error may answer a packet, and to whom: not an ICMP
// error, not a packet to or from an address that names no single host, and of IPv4 not a
// fragment other than the first (RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e)). Of
// IPv6, packet too big and the parameter problem of an unknown option may answer a
// multicast as well; they are not told apart here. A later fragment of ICMPv6, which may
// be that of an error, is not answered.
func MayComplain(packet []byte) (sender netip.Addr, ok bool) {
	q, err := ParseQuote(packet)
	if f, part := ParseFragment(packet); part && f.Offset > 0 && f.Src.Is6() {
		return f.Src, f.Proto != ProtoICMPv6 && singleHost(f.Src) && singleHost(f.Dst)
	}
	if err != nil || !singleHost(q.Src) || !singleHost(q.Dst) {
		return netip.Addr{}, false
	}
	return q.Src, !q.isError(packet)
}

func singleHost(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// Quoted is what can be read of the packet that an ICMP error quotes.
type Quoted struct {
	Proto            uint8
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16 // of an echo, its identifier in both; of other ICMP 0
	Seq              uint32 // of TCP
	HeaderLen        int    // where the transport header begins
}

// ParseQuote reads the front of a packet of either family, of which there may be less
// than its length fields say. Eight bytes of the transport header must be there. A
// fragment other than the first has none, and is ErrShort too. The header checksum is
// not looked at: a router has changed it on the way.
func ParseQuote(b []byte) (q Quoted, err error) {
	switch version(b) {
	case 4:
		q, err = quoted4(b)
	case 6:
		q, err = quoted6(b)
	default:
		return Quoted{}, ErrVersion
	}
	if err != nil {
		return Quoted{}, err
	}
	if len(b) < q.HeaderLen+minQuote {
		return Quoted{}, ErrShort
	}
	q.readTransport(b[q.HeaderLen:])
	return q, nil
}

func version(b []byte) uint8 {
	if len(b) == 0 {
		return 0
	}
	return b[0] >> 4
}

func quoted4(b []byte) (Quoted, error) {
	if len(b) < IPv4HeaderLen {
		return Quoted{}, ErrShort
	}
	n := int(b[0]&0xf) * 4
	if n < IPv4HeaderLen {
		return Quoted{}, ErrLength
	}
	if binary.BigEndian.Uint16(b[6:])&offsetMask != 0 {
		return Quoted{}, ErrShort
	}
	return Quoted{
		Proto: b[9], HeaderLen: n,
		Src: netip.AddrFrom4([4]byte(b[12:16])), Dst: netip.AddrFrom4([4]byte(b[16:20])),
	}, nil
}

func quoted6(b []byte) (Quoted, error) {
	if len(b) < IPv6HeaderLen {
		return Quoted{}, ErrShort
	}
	h := IPv6{NextHeader: b[6]}
	u, err := h.Upper(b[IPv6HeaderLen:])
	if u.FragOffset != 0 {
		err = ErrShort
	}
	return Quoted{
		Proto: u.Proto, HeaderLen: IPv6HeaderLen + u.Offset,
		Src: netip.AddrFrom16([16]byte(b[8:24])), Dst: netip.AddrFrom16([16]byte(b[24:40])),
	}, err
}

func (q *Quoted) readTransport(l4 []byte) {
	switch q.Proto {
	case ProtoTCP, ProtoUDP:
		q.SrcPort, q.DstPort = binary.BigEndian.Uint16(l4), binary.BigEndian.Uint16(l4[2:])
		if q.Proto == ProtoTCP {
			q.Seq = binary.BigEndian.Uint32(l4[4:])
		}
	default:
		if isEcho(q.Proto, l4[0]) {
			q.SrcPort = binary.BigEndian.Uint16(l4[4:])
		}
		q.DstPort = q.SrcPort
	}
}

// isEcho reports whether a type of a protocol is that of an echo, whose identifier may be
// 0 as any other.
func isEcho(proto, typ uint8) bool {
	switch proto {
	case ProtoICMP:
		return typ == ICMPEchoRequest || typ == ICMPEchoReply
	case ProtoICMPv6:
		return typ == ICMPv6EchoRequest || typ == ICMPv6EchoReply
	}
	return false
}

// isError reports whether the packet that q was read from is an ICMP error.
func (q *Quoted) isError(packet []byte) bool {
	typ := packet[q.HeaderLen]
	return q.Proto == ProtoICMP && IsICMPError(typ) || q.Proto == ProtoICMPv6 && IsICMPv6Error(typ)
}

// IsICMPError reports whether a type of IPv4's ICMP is one of its errors. Source quench
// (4) and redirect (5) are errors that nobody sends here.
func IsICMPError(typ uint8) bool {
	switch typ {
	case ICMPUnreachable, 4, 5, ICMPTimeExceeded, ICMPParameterProblem:
		return true
	}
	return false
}

// IsICMPv6Error reports whether a type of ICMPv6 is an error: the lower half are, RFC
// 4443 section 2.1.
func IsICMPv6Error(typ uint8) bool { return typ < 128 }

// RewriteQuote replaces an address and port of a quoted packet, as a gateway does that
// has translated the packet itself: of the source, or with [QuotedDst] of the
// destination. The checksums within the quote follow, as far as they are in it (RFC 3022
// section 4.3). Bytes that ParseQuote refuses stay as they are, and so does a quote of
// the other family than to.
func RewriteQuote(quote []byte, side QuotedSide, to netip.AddrPort) {
	q, err := ParseQuote(quote)
	if err != nil || !to.Addr().IsValid() || q.Src.Is4() != to.Addr().Is4() {
		return
	}
	l4 := quote[q.HeaderLen:]
	sum := quotedChecksum(q.Proto, l4)
	portAt := 0
	if side == QuotedDst {
		portAt = 2
	}
	rewriteQuotedAddr(quote, side, to.Addr(), q.Proto, sum)
	switch {
	case isEcho(q.Proto, l4[0]):
		portAt = 4
	case q.Proto != ProtoTCP && q.Proto != ProtoUDP:
		return
	}
	was, is := [2]byte(l4[portAt:]), [2]byte{}
	binary.BigEndian.PutUint16(is[:], to.Port())
	copy(l4[portAt:], is[:])
	if sum != nil {
		fixSum(q.Proto, sum, was[:], is[:])
	}
}

// rewriteQuotedAddr replaces an address, and corrects the checksum of an IPv4 header and
// that of the transport, sum, if it covers the address.
func rewriteQuotedAddr(quote []byte, side QuotedSide, to netip.Addr, proto uint8, sum []byte) {
	at, n := 12, 4
	if to.Is6() {
		at, n = 8, 16
	}
	if side == QuotedDst {
		at += n
	}
	var was [16]byte
	old, new := was[:n], quote[at:at+n]
	copy(old, new)
	copy(new, to.AsSlice())
	if to.Is4() {
		fixSum(ProtoTCP, quote[10:12], old, new)
	}
	if sum != nil && proto != ProtoICMP {
		fixSum(proto, sum, old, new)
	}
}

// QuotedSide names one end of a quoted packet.
type QuotedSide uint8

// The ends.
const (
	QuotedSrc QuotedSide = iota
	QuotedDst
)

// quotedChecksum returns the place of the transport checksum, nil if the quote ends
// before it.
func quotedChecksum(proto uint8, l4 []byte) []byte {
	switch {
	case proto == ProtoTCP && len(l4) >= 18:
		return l4[16:18]
	case proto == ProtoUDP:
		return l4[6:8]
	case proto == ProtoICMP, proto == ProtoICMPv6:
		return l4[2:4]
	}
	return nil
}

func fixSum(proto uint8, sum, old, new []byte) {
	check := binary.BigEndian.Uint16(sum)
	if proto == ProtoUDP {
		check = UpdateUDPChecksum(check, old, new)
	} else {
		check = UpdateChecksum(check, old, new)
	}
	binary.BigEndian.PutUint16(sum, check)
}

// TTL returns the TTL or hop limit of a packet, 0 if it is none of either family.
func TTL(packet []byte) uint8 {
	switch {
	case version(packet) == 4 && len(packet) >= IPv4HeaderLen:
		return packet[8]
	case version(packet) == 6 && len(packet) >= IPv6HeaderLen:
		return packet[7]
	}
	return 0
}

// SetTTL sets the TTL or hop limit of a packet, and brings the header checksum that
// covers it up to date. Bytes that are no packet stay as they are.
func SetTTL(packet []byte, ttl uint8) {
	switch {
	case version(packet) == 4 && len(packet) >= IPv4HeaderLen:
		word := binary.BigEndian.Uint64(packet[8:]) // the checksum with it
		was := uint16(word >> 48)
		is := uint16(ttl)<<8 | was&0xff
		check := ChangeOfWord(was, is).Update(uint16(word >> 32))
		binary.BigEndian.PutUint64(packet[8:], uint64(is)<<48|uint64(check)<<32|word&0xffffffff)
	case version(packet) == 6 && len(packet) >= IPv6HeaderLen:
		packet[7] = ttl
	}
}

// CountDown lowers the TTL or hop limit of a packet by one, as SetTTL does, and reports
// whether it could: one of 1 or 0, and bytes that are no packet, stay as they are.
func CountDown(packet []byte) bool {
	if len(packet) >= IPv4HeaderLen && packet[0]>>4 == 4 && packet[8] > 1 {
		word := binary.BigEndian.Uint64(packet[8:])
		check := (^Change(0x0100) & 0xffff).Update(uint16(word >> 32)) // the word with the TTL is 0x0100 less
		binary.BigEndian.PutUint64(packet[8:], (word-1<<56)&^(0xffff<<32)|uint64(check)<<32)
		return true
	}
	ttl := TTL(packet)
	if ttl > 1 {
		SetTTL(packet, ttl-1)
	}
	return ttl > 1
}

// DontFragment reports whether routers must not cut a packet into fragments. Those of
// IPv6 never do.
func DontFragment(packet []byte) bool {
	switch {
	case version(packet) == 4 && len(packet) >= IPv4HeaderLen:
		return packet[6]&(flagDF>>8) != 0
	}
	return true
}
