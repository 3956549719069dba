// Package wire reads and writes the headers of packets: IPv4, IPv6, TCP, UDP,
// ICMP for both families, GENEVE and VXLAN, with the Internet checksum under them, and cuts
// packets into fragments.
//
// A Parse function takes bytes from anybody: it checks every length before it
// looks, returns one of the package's error values, and never allocates. What
// it returns as payload is a slice of its argument, cut to the length that the
// header states and with no spare capacity. A Put method writes a header to the
// front of a buffer that the caller has made large enough (the Len constants
// and methods say how large), and does not allocate either; a buffer that is
// too small is a programming error and panics like any index out of range.
//
// The checksums that cover a payload (TCP, UDP, ICMP) are left zero by Put.
// They are computed when the payload is in place:
//
//	h.Put(seg)
//	copy(seg[h.Len():], data)
//	sum := wire.TransportChecksum(wire.ProtoTCP, src, dst, seg)
//	binary.BigEndian.PutUint16(seg[wire.TCPChecksumOffset:], sum)
//
// Not modelled: IPv4 options and IPv6 extension headers (skipped, never written but for
// the fragment header), jumbograms, the TCP options that [TCP] does not
// name, ICMP extensions, Ethernet other than
// inside of VXLAN.
package wire

import "errors"

// The errors of the Parse functions. They are returned as they are, so == and
// errors.Is both work.
var (
	ErrShort    = errors.New("wire: shorter than its header")
	ErrVersion  = errors.New("wire: wrong version")
	ErrLength   = errors.New("wire: length field does not fit the packet")
	ErrChecksum = errors.New("wire: bad header checksum")
	ErrOption   = errors.New("wire: malformed option")
	ErrRouting  = errors.New("wire: routing header with nodes still to visit")
)

// Protocol numbers, as in the IPv4 protocol and the IPv6 next header fields.
const (
	ProtoICMP   uint8 = 1
	ProtoTCP    uint8 = 6
	ProtoUDP    uint8 = 17
	ProtoICMPv6 uint8 = 58
)
