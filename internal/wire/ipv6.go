package wire

import (
	"encoding/binary"
	"net/netip"
)

// IPv6HeaderLen is the length of the fixed IPv6 header.
const IPv6HeaderLen = 40

// IPv6 is the fixed IPv6 header (RFC 8200). Where there are extension headers,
// NextHeader names the first of them and the payload starts with it; [IPv6.Upper]
// walks them.
type IPv6 struct {
	TrafficClass, HopLimit, NextHeader uint8
	FlowLabel                          uint32 // 20 bits
	Src, Dst                           netip.Addr

	PayloadLen int // as parsed, in bytes; Put works it out anew
}

// ParseIPv6 reads the header at the front of b and checks version and payload
// length. The payload ends where that length says; what follows is ignored. A
// payload length of 0 is an empty payload, never a jumbogram.
func ParseIPv6(b []byte) (h IPv6, payload []byte, err error) {
	if len(b) < IPv6HeaderLen {
		return IPv6{}, nil, ErrShort
	}
	first := binary.BigEndian.Uint32(b)
	if first>>28 != 6 {
		return IPv6{}, nil, ErrVersion
	}
	plen := int(binary.BigEndian.Uint16(b[4:]))
	end := IPv6HeaderLen + plen
	if end > len(b) {
		return IPv6{}, nil, ErrLength
	}
	return IPv6{
		TrafficClass: uint8(first >> 20),
		FlowLabel:    first & 0xfffff,
		NextHeader:   b[6],
		HopLimit:     b[7],
		Src:          netip.AddrFrom16([16]byte(b[8:24])),
		Dst:          netip.AddrFrom16([16]byte(b[24:40])),
		PayloadLen:   plen,
	}, b[IPv6HeaderLen:end:end], nil
}

// Put writes the header to the first [IPv6HeaderLen] bytes of b, for a payload
// of payloadLen bytes, at most 65535. It panics only when b is shorter than the
// header. A zero Src or Dst is written as ::, a zone is not written.
func (h *IPv6) Put(b []byte, payloadLen int) {
	_ = b[IPv6HeaderLen-1]
	binary.BigEndian.PutUint32(b, 6<<28|uint32(h.TrafficClass)<<20|h.FlowLabel&0xfffff)
	binary.BigEndian.PutUint16(b[4:], uint16(payloadLen))
	b[6], b[7] = h.NextHeader, h.HopLimit
	src, dst := h.Src.As16(), h.Dst.As16()
	copy(b[8:24], src[:])
	copy(b[24:40], dst[:])
}
