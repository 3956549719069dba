package wire

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// IPv4HeaderLen is the length of the header that [IPv4.Put] writes: one without
// options.
const IPv4HeaderLen = 20

const (
	flagDF     = 0x4000
	flagMF     = 0x2000
	offsetMask = 0x1fff
)

// IPv4 is an IPv4 header (RFC 791) without its options.
type IPv4 struct {
	TOS, TTL, Proto uint8
	ID              uint16
	DF, MF          bool
	FragOffset      uint16 // in bytes, a multiple of 8
	Src, Dst        netip.Addr

	// As parsed, in bytes; Put works them out anew.
	HeaderLen, TotalLen int
}

// ParseIPv4 reads the header at the front of b and checks version, lengths and
// header checksum. The payload starts after the options, if there are any, and
// ends where the total length says; what follows in b is ignored.
func ParseIPv4(b []byte) (h IPv4, payload []byte, err error) {
	v, err := ViewIPv4(b)
	if err != nil {
		return IPv4{}, nil, err
	}
	frag := v.fragment()
	return IPv4{
		TOS:        v[1],
		TTL:        v[8],
		Proto:      v.Proto(),
		ID:         binary.BigEndian.Uint16(v[4:]),
		DF:         frag&flagDF != 0,
		MF:         frag&flagMF != 0,
		FragOffset: v.FragOffset(),
		Src:        v.Src(),
		Dst:        v.Dst(),
		HeaderLen:  v.HeaderLen(),
		TotalLen:   len(v),
	}, v.Payload(), nil
}

// IPv4View is an IPv4 packet whose header has been checked. It is for those who look at
// every packet and at a few of its fields: what they do not ask for is not read.
type IPv4View []byte

// ViewIPv4 checks what [ParseIPv4] checks. The view ends where the total length says.
func ViewIPv4(b []byte) (IPv4View, error) {
	if len(b) < IPv4HeaderLen {
		return nil, ErrShort
	}
	if b[0]>>4 != 4 {
		return nil, ErrVersion
	}
	hlen, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	if hlen < IPv4HeaderLen || hlen > total || total > len(b) {
		return nil, ErrLength
	}
	if !headerSums(b[:hlen]) {
		return nil, ErrChecksum
	}
	return b[:total:total], nil
}

// HeaderLen returns the length of the header with its options, in bytes.
func (v IPv4View) HeaderLen() int { return int(v[0]&0xf) * 4 }

// Payload returns what follows the header.
func (v IPv4View) Payload() []byte { return v[v.HeaderLen():] }

// Proto returns the protocol of the payload.
func (v IPv4View) Proto() uint8 { return v[9] }

// Src returns the source address.
func (v IPv4View) Src() netip.Addr { return netip.AddrFrom4([4]byte(v[12:16])) }

// Dst returns the destination address.
func (v IPv4View) Dst() netip.Addr { return netip.AddrFrom4([4]byte(v[16:20])) }

// FragOffset returns where in the whole packet's payload this one's belongs, in bytes.
func (v IPv4View) FragOffset() uint16 { return v.fragment() & offsetMask * 8 }

// Whole reports whether the packet is no fragment.
func (v IPv4View) Whole() bool { return v.fragment()&(flagMF|offsetMask) == 0 }

// MoreFragments reports whether fragments of the packet follow behind this one.
func (v IPv4View) MoreFragments() bool { return v.fragment()&flagMF != 0 }

func (v IPv4View) fragment() uint16 { return binary.BigEndian.Uint16(v[6:]) }

// Put writes the header, checksum included, to the first [IPv4HeaderLen] bytes
// of b, for a payload of payloadLen bytes, at most 65515. It panics only when b
// is shorter than the header. A zero Src or Dst is written as 0.0.0.0, a
// FragOffset is cut to a multiple of 8.
func (h *IPv4) Put(b []byte, payloadLen int) {
	_ = b[IPv4HeaderLen-1]
	frag := h.FragOffset / 8
	if h.DF {
		frag |= flagDF
	}
	if h.MF {
		frag |= flagMF
	}
	src, dst := addr4(h.Src), addr4(h.Dst)
	first := 0x45<<56 | uint64(h.TOS)<<48 | uint64(uint16(IPv4HeaderLen+payloadLen))<<32 | uint64(h.ID)<<16 | uint64(frag)
	second := uint64(h.TTL)<<56 | uint64(h.Proto)<<48 | uint64(src)
	sum := Fold(first>>32 + first&0xffffffff + second>>32 + uint64(src) + uint64(dst))
	// In words that are as large as those in which it is read: a processor has to wait for
	// several small ones before it can read a large one.
	binary.BigEndian.PutUint64(b, first)
	binary.BigEndian.PutUint64(b[8:], second|uint64(^sum)<<32)
	binary.BigEndian.PutUint32(b[16:], dst)
}

// addr4 returns an IPv4 address as a number, and 0 for any other.
func addr4(a netip.Addr) uint32 {
	if a.Is4() || a.Is4In6() {
		v := a.As4()
		return binary.BigEndian.Uint32(v[:])
	}
	return 0
}

// headerSums reports whether the checksum in a header is right.
func headerSums(header []byte) bool {
	if len(header) == IPv4HeaderLen {
		return Fold(headerSum(header)) == 0xffff
	}
	return Checksum(header) == 0
}

// headerSum is the sum of a header without options, of little-endian words: its fold and
// the checksum have their bytes swapped, as [Sum] explains.
func headerSum(b []byte) uint64 {
	_ = b[IPv4HeaderLen-1]
	s, c := bits.Add64(binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), 0)
	s, c = bits.Add64(s, uint64(binary.LittleEndian.Uint32(b[16:])), c)
	return s + c
}
