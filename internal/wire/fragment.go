package wire

import (
	"encoding/binary"
	"net/netip"
)

// FragmentHeaderLen is the length of IPv6's fragment header.
const FragmentHeaderLen = 8

// FragmentHeader is IPv6's fragment header (RFC 8200, section 4.5).
type FragmentHeader struct {
	NextHeader uint8
	Offset     uint16 // in bytes, a multiple of 8
	MF         bool
	ID         uint32
}

// ParseFragmentHeader reads the header at the front of b. Its reserved bits are not
// looked at.
func ParseFragmentHeader(b []byte) (h FragmentHeader, payload []byte, err error) {
	if len(b) < FragmentHeaderLen {
		return FragmentHeader{}, nil, ErrShort
	}
	frag := binary.BigEndian.Uint16(b[2:])
	return FragmentHeader{
		NextHeader: b[0], Offset: frag &^ 7, MF: frag&1 != 0, ID: binary.BigEndian.Uint32(b[4:]),
	}, b[FragmentHeaderLen:len(b):len(b)], nil
}

// Put writes the header to the first [FragmentHeaderLen] bytes of b. It panics only when b
// is shorter than that. An Offset is cut to a multiple of 8.
func (h *FragmentHeader) Put(b []byte) {
	frag := h.Offset &^ 7
	if h.MF {
		frag |= 1
	}
	b[0], b[1] = h.NextHeader, 0
	binary.BigEndian.PutUint16(b[2:], frag)
	binary.BigEndian.PutUint32(b[4:], h.ID)
}

// Fragment is what a fragment of either family says about its place in a datagram.
type Fragment struct {
	Src, Dst netip.Addr
	Proto    uint8  // of IPv6 what the fragment header names, which only the first one's is to be believed
	ID       uint32 // of IPv4 16 bits
	Offset   int    // of its data in the datagram's, in bytes
	Start    int    // of its data in the packet: where all its headers end
	End      int    // of the packet
	MF       bool   // more follow

	namedAt int // of IPv6, where the fragment header is named
}

// ParseFragment reads a fragment of either family. It reports false for a packet that is
// whole, as one is whose fragment header says that nothing is missing (RFC 6946), and for
// bytes that are no packet.
func ParseFragment(packet []byte) (Fragment, bool) {
	switch version(packet) {
	case 4:
		h, _, err := ParseIPv4(packet)
		return Fragment{
			Src: h.Src, Dst: h.Dst, Proto: h.Proto, ID: uint32(h.ID),
			Offset: int(h.FragOffset), Start: h.HeaderLen, End: h.TotalLen, MF: h.MF,
		}, err == nil && (h.MF || h.FragOffset != 0)
	case 6:
		return parseFragment6(packet)
	}
	return Fragment{}, false
}

func parseFragment6(packet []byte) (Fragment, bool) {
	ip, payload, err := ParseIPv6(packet)
	if err != nil {
		return Fragment{}, false
	}
	u, err := ip.Upper(payload)
	if err != nil || u.FragmentAt == 0 {
		return Fragment{}, false
	}
	h, _, _ := ParseFragmentHeader(packet[u.FragmentAt:])
	return Fragment{
		Src: ip.Src, Dst: ip.Dst, Proto: h.NextHeader, ID: h.ID,
		Offset: int(h.Offset), Start: u.FragmentAt + FragmentHeaderLen, End: IPv6HeaderLen + ip.PayloadLen, MF: h.MF,
		namedAt: u.fragmentNamedAt,
	}, h.MF || h.Offset != 0
}

// AppendWhole appends to b the headers of the datagram whose first fragment f is, of n
// bytes of data, which the caller appends: those of the fragment, less what made it one.
func (f *Fragment) AppendWhole(b, packet []byte, n int) []byte {
	at := len(b)
	if version(packet) == 4 {
		b = append(b, packet[:f.Start]...)
		finishIPv4(b[at:], n, 0)
		return b
	}
	b = append(b, packet[:f.Start-FragmentHeaderLen]...)
	head := b[at:]
	head[f.namedAt] = f.Proto
	binary.BigEndian.PutUint16(head[4:], uint16(len(head)-IPv6HeaderLen+n))
	return b
}

// finishIPv4 makes a header that of a packet of n bytes of data, at a place in a datagram.
func finishIPv4(head []byte, n int, frag uint16) {
	binary.BigEndian.PutUint16(head[2:], uint16(len(head)+n))
	binary.BigEndian.PutUint16(head[6:], frag)
	head[10], head[11] = 0, 0
	binary.BigEndian.PutUint16(head[10:], Checksum(head))
}

// Cutter cuts a packet into fragments. It is made by [NewCutter].
type Cutter struct {
	packet  []byte
	headLen int // of what stands in each fragment
	id      uint32
	room    int // for data in a fragment
	at      int // of the data that are still to be cut off
}

// NewCutter returns what cuts a packet of either family that is longer than an MTU: of
// IPv4 the way a router does, which sees to DF, of IPv6 the way its sender does. A packet
// of IPv4 that is a fragment itself keeps its number, and so does one that has another
// than 0; else it is id. Of IPv6 all behind the fixed header is cut. An MTU that leaves no
// room for data is taken for one that leaves 8 bytes.
func NewCutter(packet []byte, mtu int, id uint32) Cutter {
	c := Cutter{packet: packet, id: id}
	if version(packet) == 4 {
		c.headLen = int(packet[0]&0xf) * 4
		c.room = max((mtu-c.headLen)&^7, 8)
		if own := binary.BigEndian.Uint16(packet[4:]); own != 0 {
			c.id = uint32(own)
		}
	} else {
		c.headLen = IPv6HeaderLen
		c.room = max((mtu-c.headLen-FragmentHeaderLen)&^7, 8)
	}
	c.at = c.headLen
	return c
}

// More reports whether there is another fragment.
func (c *Cutter) More() bool { return c.at < len(c.packet) }

// Len returns how long the next fragment is.
func (c *Cutter) Len() int {
	n := c.headLen + min(c.room, len(c.packet)-c.at)
	if version(c.packet) == 6 {
		n += FragmentHeaderLen
	}
	return n
}

// Next writes the next fragment to b, which has room for [Cutter.Len] bytes.
func (c *Cutter) Next(b []byte) {
	data := c.packet[c.at:min(c.at+c.room, len(c.packet))]
	offset := c.at - c.headLen
	c.at += len(data)
	copy(b, c.packet[:c.headLen])
	if version(c.packet) == 4 {
		c.next4(b, data, offset)
		return
	}
	h := FragmentHeader{NextHeader: c.packet[nextHeaderAt], Offset: uint16(offset), MF: c.More(), ID: c.id}
	b[nextHeaderAt] = ProtoFragment
	binary.BigEndian.PutUint16(b[4:], uint16(FragmentHeaderLen+len(data)))
	h.Put(b[IPv6HeaderLen:])
	copy(b[IPv6HeaderLen+FragmentHeaderLen:], data)
}

func (c *Cutter) next4(b, data []byte, offset int) {
	was := binary.BigEndian.Uint16(c.packet[6:])
	frag := was&offsetMask + uint16(offset/8)
	if c.More() || was&flagMF != 0 {
		frag |= flagMF
	}
	if offset > 0 {
		blankOptions(b[IPv4HeaderLen:c.headLen])
	}
	binary.BigEndian.PutUint16(b[4:], uint16(c.id))
	finishIPv4(b[:c.headLen], len(data), frag)
	copy(b[c.headLen:], data)
}

// blankOptions leaves of a header's options those that stand in every fragment (RFC 791,
// section 3.1), and puts no-operations in the place of the others.
func blankOptions(b []byte) {
	const end, nop, copied = 0, 1, 0x80
	for len(b) > 0 && b[0] != end {
		n := 1
		if b[0] != nop {
			if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
				return
			}
			n = int(b[1])
		}
		if b[0]&copied == 0 {
			for i := range n {
				b[i] = nop
			}
		}
		b = b[n:]
	}
}
