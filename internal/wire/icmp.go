package wire

import "encoding/binary"

// ICMPHeaderLen is the length of the header that all messages here share.
const ICMPHeaderLen = 8

// ICMP types of IPv4 (RFC 792).
const (
	ICMPEchoReply    uint8 = 0
	ICMPUnreachable  uint8 = 3
	ICMPEchoRequest  uint8 = 8
	ICMPTimeExceeded uint8 = 11

	ICMPParameterProblem uint8 = 12
)

// Codes of [ICMPUnreachable] (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812
// section 5.2.7.1).
const (
	ICMPNetUnreachable   uint8 = 0
	ICMPHostUnreachable  uint8 = 1
	ICMPProtoUnreachable uint8 = 2
	ICMPPortUnreachable  uint8 = 3
	ICMPFragNeeded       uint8 = 4
	ICMPAdminProhibited  uint8 = 13
)

// Codes of [ICMPTimeExceeded] and [ICMPv6TimeExceeded].
const (
	ICMPHopLimit   uint8 = 0 // TTL or hop limit exceeded in transit
	ICMPReassembly uint8 = 1 // fragment reassembly time exceeded
)

// ICMP types of IPv6 (RFC 4443).
const (
	ICMPv6Unreachable  uint8 = 1
	ICMPv6PacketTooBig uint8 = 2
	ICMPv6TimeExceeded uint8 = 3

	ICMPv6ParameterProblem uint8 = 4

	ICMPv6EchoRequest uint8 = 128
	ICMPv6EchoReply   uint8 = 129
)

// Codes of [ICMPv6Unreachable] (RFC 4443 section 3.1).
const (
	ICMPv6NoRoute         uint8 = 0
	ICMPv6AdminProhibited uint8 = 1
	ICMPv6AddrUnreachable uint8 = 3
	ICMPv6PortUnreachable uint8 = 4
)

// Codes of [ICMPv6ParameterProblem] (RFC 4443 section 3.4).
const (
	ICMPv6BadHeader     uint8 = 0
	ICMPv6BadNextHeader uint8 = 1
)

// ICMP is the header of an ICMP message of either family. The families use
// different numbers for the messages that carry a field of their own, so one
// codec serves both; which family it is, the IP header says.
type ICMP struct {
	Type, Code uint8
	ID, Seq    uint16 // echo request and reply, else 0
	MTU        uint32 // fragmentation needed (16 bits) and packet too big, else 0
	Pointer    uint32 // parameter problem (8 bits for IPv4), else 0: the offset of the fault
}

// ParseICMP reads the header at the front of b. The payload is what follows:
// the data of an echo, or the start of the packet that an error quotes. The
// checksum is not looked at, see [VerifyTransport].
func ParseICMP(b []byte) (h ICMP, payload []byte, err error) {
	if len(b) < ICMPHeaderLen {
		return ICMP{}, nil, ErrShort
	}
	h = ICMP{Type: b[0], Code: b[1]}
	switch {
	case h.IsEcho():
		h.ID, h.Seq = binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	case h.isFragNeeded():
		h.MTU = uint32(binary.BigEndian.Uint16(b[6:]))
	case h.Type == ICMPv6PacketTooBig:
		h.MTU = binary.BigEndian.Uint32(b[4:])
	case h.Type == ICMPParameterProblem:
		h.Pointer = uint32(b[4])
	case h.Type == ICMPv6ParameterProblem:
		h.Pointer = binary.BigEndian.Uint32(b[4:])
	}
	return h, b[ICMPHeaderLen:len(b):len(b)], nil
}

// Put writes the header to the first [ICMPHeaderLen] bytes of b with a checksum
// of zero; fields that the type does not have are not written. It panics only
// when b is shorter than the header.
func (h *ICMP) Put(b []byte) {
	_ = b[ICMPHeaderLen-1]
	b[0], b[1], b[2], b[3] = h.Type, h.Code, 0, 0
	var rest uint32
	switch {
	case h.IsEcho():
		rest = uint32(h.ID)<<16 | uint32(h.Seq)
	case h.isFragNeeded():
		rest = h.MTU & 0xffff
	case h.Type == ICMPv6PacketTooBig:
		rest = h.MTU
	case h.Type == ICMPParameterProblem:
		rest = h.Pointer << 24
	case h.Type == ICMPv6ParameterProblem:
		rest = h.Pointer
	}
	binary.BigEndian.PutUint32(b[4:], rest)
}

// IsEcho reports whether h is an echo request or reply of either family, that
// is, whether ID and Seq count.
func (h *ICMP) IsEcho() bool {
	switch h.Type {
	case ICMPEchoReply, ICMPEchoRequest, ICMPv6EchoRequest, ICMPv6EchoReply:
		return true
	}
	return false
}

func (h *ICMP) isFragNeeded() bool { return h.Type == ICMPUnreachable && h.Code == ICMPFragNeeded }
