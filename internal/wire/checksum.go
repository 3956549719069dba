package wire

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Where the checksum stands in the header of each transport protocol.
const (
	ICMPChecksumOffset = 2
	UDPChecksumOffset  = 6
	TCPChecksumOffset  = 16
)

// Sum adds the 16-bit big-endian words of b to acc in one's complement and
// returns the unfolded sum. An odd last byte counts as the high half of a word,
// so a sum made of pieces is right when each piece but the last is of even
// length. [Fold] brings the sum to 16 bits.
func Sum(b []byte, acc uint64) uint64 {
	// One's complement addition commutes with swapping the bytes of every word
	// (RFC 1071, section 2(B)), so the words are added as the processor likes
	// them, eight bytes at a time, and the sum is swapped once.
	var s, c uint64
	for len(b) >= 64 {
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[0:8]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[8:16]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[16:24]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[24:32]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[32:40]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[40:48]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[48:56]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[56:64]), c)
		b = b[64:]
	}
	for len(b) >= 8 {
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b), c)
		b = b[8:]
	}
	s, c = bits.Add64(s, tail(b), c)
	return addCarry(uint64(bits.ReverseBytes16(Fold(addCarry(s, c)))), acc)
}

// tail loads the last, fewer than eight, bytes as the low end of a word.
func tail(b []byte) uint64 {
	var w uint64
	var shift int
	if len(b) >= 4 {
		w, shift, b = uint64(binary.LittleEndian.Uint32(b)), 32, b[4:]
	}
	for i, x := range b {
		w |= uint64(x) << (shift + 8*i)
	}
	return w
}

// addCarry adds with the carry brought around, as one's complement wants.
func addCarry(a, b uint64) uint64 {
	s, c := bits.Add64(a, b, 0)
	return s + c
}

// Fold brings a sum to 16 bits. It gives 0 only for a sum of 0: a sum that is
// 0 modulo 0xffff comes out as 0xffff.
func Fold(acc uint64) uint16 {
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>16 + acc&0xffff
	acc = acc>>16 + acc&0xffff
	return uint16(acc)
}

// Checksum is the Internet checksum of b (RFC 1071). Over a header that holds a
// correct checksum it is 0.
func Checksum(b []byte) uint16 { return ^Fold(Sum(b, 0)) }

// PseudoSum is the sum of the pseudo-header that goes before a transport segment
// of length bytes: RFC 9293 section 3.1 for IPv4, RFC 8200 section 8.1 for IPv6.
// The zero Addr counts as zeros.
func PseudoSum(proto uint8, src, dst netip.Addr, length int) uint64 {
	if src.Is4() && dst.Is4() {
		from, to := src.As4(), dst.As4()
		return uint64(binary.BigEndian.Uint32(from[:])) + uint64(binary.BigEndian.Uint32(to[:])) + uint64(proto) + uint64(length)
	}
	return addrSum(src) + addrSum(dst) + uint64(proto) + uint64(length)
}

// addrSum is less than 1<<34, so a few of them add without a carry.
func addrSum(a netip.Addr) uint64 {
	if a.Is4() {
		v := a.As4()
		return uint64(binary.BigEndian.Uint32(v[:]))
	}
	v := a.As16()
	hi, lo := binary.BigEndian.Uint64(v[:8]), binary.BigEndian.Uint64(v[8:])
	return hi>>32 + hi&0xffffffff + lo>>32 + lo&0xffffffff
}

// TransportChecksum is what belongs into the checksum field of segment, whose
// field must be zero during the call. For UDP a result of 0 is given as 0xffff,
// because 0 there says "no checksum" (RFC 768). ICMP of IPv4 has no
// pseudo-header, so the addresses do not count for it.
func TransportChecksum(proto uint8, src, dst netip.Addr, segment []byte) uint16 {
	check := ^Fold(transportSum(proto, src, dst, segment))
	if check == 0 && proto == ProtoUDP {
		return 0xffff
	}
	return check
}

// VerifyTransport reports whether the checksum that segment carries is right. A
// UDP checksum of 0 passes over IPv4, where it is optional, and fails over IPv6.
func VerifyTransport(proto uint8, src, dst netip.Addr, segment []byte) bool {
	if proto == ProtoUDP && len(segment) >= UDPHeaderLen &&
		segment[UDPChecksumOffset] == 0 && segment[UDPChecksumOffset+1] == 0 {
		return src.Is4()
	}
	return Fold(transportSum(proto, src, dst, segment)) == 0xffff
}

func transportSum(proto uint8, src, dst netip.Addr, segment []byte) uint64 {
	if proto == ProtoICMP {
		return Sum(segment, 0)
	}
	return Sum(segment, PseudoSum(proto, src, dst, len(segment)))
}

// UpdateChecksum returns check as it must be after the bytes old of what it
// covers became new, without a look at the rest (RFC 1624, equation 3). The two
// are of the same even length and stand at an even offset. The result is that of
// a full recomputation unless everything covered is zero, which no header and
// no pseudo-header is.
func UpdateChecksum(check uint16, old, new []byte) uint16 { return ChangeOf(old, new).Update(check) }

// Change is what the replacing of bytes does to every checksum that covers them. Changes
// of several places add up; the zero Change is none.
type Change uint32

// ChangeOf returns the change from old to new, which are as for [UpdateChecksum].
func ChangeOf(old, new []byte) (c Change) {
	for i := 0; i+1 < len(old) && i+1 < len(new); i += 2 { // a few words, seldom more than an address
		c += ChangeOfWord(binary.BigEndian.Uint16(old[i:]), binary.BigEndian.Uint16(new[i:]))
	}
	return c
}

// ChangeOfWord is [ChangeOf] for one word.
func ChangeOfWord(old, new uint16) Change { return Change(^old) + Change(new) }

// Update is [UpdateChecksum].
func (c Change) Update(check uint16) uint16 {
	acc := uint32(^check) + uint32(c)
	acc = acc>>16 + acc&0xffff
	return ^uint16(acc>>16 + acc&0xffff)
}

// UpdateUDP is [UpdateUDPChecksum].
func (c Change) UpdateUDP(check uint16) uint16 {
	if check == 0 {
		return 0
	}
	if check = c.Update(check); check == 0 {
		return 0xffff
	}
	return check
}

// UpdateUDPChecksum is [UpdateChecksum] with the rule of UDP: 0 says that there
// is no checksum and stays 0, and a result of 0 is given as 0xffff.
func UpdateUDPChecksum(check uint16, old, new []byte) uint16 {
	return ChangeOf(old, new).UpdateUDP(check)
}
