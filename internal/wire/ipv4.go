package wire

import (
	"encoding/binary"
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
	if len(b) < IPv4HeaderLen {
		return IPv4{}, nil, ErrShort
	}
	if b[0]>>4 != 4 {
		return IPv4{}, nil, ErrVersion
	}
	hlen, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	if hlen < IPv4HeaderLen || hlen > total || total > len(b) {
		return IPv4{}, nil, ErrLength
	}
	if Checksum(b[:hlen]) != 0 {
		return IPv4{}, nil, ErrChecksum
	}
	frag := binary.BigEndian.Uint16(b[6:])
	return IPv4{
		TOS:        b[1],
		TTL:        b[8],
		Proto:      b[9],
		ID:         binary.BigEndian.Uint16(b[4:]),
		DF:         frag&flagDF != 0,
		MF:         frag&flagMF != 0,
		FragOffset: frag & offsetMask * 8,
		Src:        netip.AddrFrom4([4]byte(b[12:16])),
		Dst:        netip.AddrFrom4([4]byte(b[16:20])),
		HeaderLen:  hlen,
		TotalLen:   total,
	}, b[hlen:total:total], nil
}

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
	b[0], b[1] = 0x45, h.TOS
	binary.BigEndian.PutUint16(b[2:], uint16(IPv4HeaderLen+payloadLen))
	binary.BigEndian.PutUint16(b[4:], h.ID)
	binary.BigEndian.PutUint16(b[6:], frag)
	b[8], b[9], b[10], b[11] = h.TTL, h.Proto, 0, 0
	putAddr4(b[12:16], h.Src)
	putAddr4(b[16:20], h.Dst)
	binary.BigEndian.PutUint16(b[10:], Checksum(b[:IPv4HeaderLen]))
}

// putAddr4 writes the last four bytes of the 16-byte form, which unlike As4
// does not panic on the zero Addr.
func putAddr4(b []byte, a netip.Addr) {
	v := a.As16()
	copy(b, v[12:])
}
