package wire

import "encoding/binary"

// UDPHeaderLen is the length of a UDP header.
const UDPHeaderLen = 8

// UDP is a UDP header (RFC 768).
type UDP struct {
	SrcPort, DstPort uint16

	Length int // header and payload as parsed, in bytes; Put works it out anew
}

// ParseUDP reads the header at the front of b and checks its length field. The
// payload ends where that says; what follows in b is ignored. The checksum is
// not looked at, see [VerifyTransport].
func ParseUDP(b []byte) (h UDP, payload []byte, err error) {
	if len(b) < UDPHeaderLen {
		return UDP{}, nil, ErrShort
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n < UDPHeaderLen || n > len(b) {
		return UDP{}, nil, ErrLength
	}
	return UDP{
		SrcPort: binary.BigEndian.Uint16(b),
		DstPort: binary.BigEndian.Uint16(b[2:]),
		Length:  n,
	}, b[UDPHeaderLen:n:n], nil
}

// Put writes the header to the first [UDPHeaderLen] bytes of b, for a payload of
// payloadLen bytes, at most 65527, with a checksum of zero: over IPv4 that is
// valid and says "none", over IPv6 it is not. It panics only when b is shorter
// than the header.
func (h *UDP) Put(b []byte, payloadLen int) {
	_ = b[UDPHeaderLen-1]
	binary.BigEndian.PutUint16(b, h.SrcPort)
	binary.BigEndian.PutUint16(b[2:], h.DstPort)
	binary.BigEndian.PutUint16(b[4:], uint16(UDPHeaderLen+payloadLen))
	b[6], b[7] = 0, 0
}
