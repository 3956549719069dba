package wire

// Extension headers that [IPv6.Upper] knows its way across (RFC 8200, section 4), and the
// number that says that nothing follows.
const (
	ProtoHopByHop     uint8 = 0
	ProtoRouting      uint8 = 43
	ProtoFragment     uint8 = 44
	ProtoNoNextHeader uint8 = 59
	ProtoDestOptions  uint8 = 60
)

// Upper describes what an IPv6 packet carries behind its extension headers.
type Upper struct {
	Proto      uint8  // the first header that is no extension, or is an unknown one
	Offset     int    // where it begins, in bytes from the fixed header's end
	NamedAt    int    // where the field is that names Proto, in bytes from the packet's front
	FragOffset uint16 // in bytes, of a packet with a fragment header
	MF         bool   // more fragments follow
	FragmentAt int    // where the fragment header begins, in bytes from the packet's front; 0 for none

	fragmentNamedAt int // where the field is that names it
}

// Upper walks the extension headers at the front of an IPv6 packet's payload:
// hop-by-hop options, routing, fragment and destination options. At any other number
// it stops and reports it as the protocol, be it a transport, a header that it does not
// know, or none. Behind a fragment header with an offset there is no header to walk to.
//
// A packet whose routing header names nodes that it has still to visit is refused with
// [ErrRouting]: its header holds the next of them and not its destination, and hosts
// discard it too (RFC 5095, RFC 8200 section 4.4). Options are not looked at.
func (h *IPv6) Upper(payload []byte) (Upper, error) {
	u := Upper{Proto: h.NextHeader, NamedAt: nextHeaderAt}
	for {
		b := payload[u.Offset:]
		switch u.Proto {
		case ProtoHopByHop, ProtoDestOptions, ProtoRouting:
			n, err := optionsHeader(b)
			switch {
			case err != nil:
				return u, err
			case u.Proto == ProtoRouting && b[3] != 0:
				return u, ErrRouting
			}
			u.name(b[0], n)
		case ProtoFragment:
			if u.MF { // a fragment of fragments: what is inside is for who has put the datagram together
				return u, nil
			}
			f, _, err := ParseFragmentHeader(b)
			if err != nil {
				return u, err
			}
			u.FragmentAt, u.fragmentNamedAt = IPv6HeaderLen+u.Offset, u.NamedAt
			u.name(f.NextHeader, FragmentHeaderLen)
			u.FragOffset, u.MF = f.Offset, f.MF
			if u.FragOffset != 0 {
				return u, nil
			}
		default:
			return u, nil
		}
	}
}

// name goes on behind an extension header of n bytes that says what follows.
func (u *Upper) name(proto uint8, n int) {
	u.Proto, u.NamedAt, u.Offset = proto, IPv6HeaderLen+u.Offset, u.Offset+n
}

const nextHeaderAt = 6 // of the fixed header

// optionsHeader returns the length of an extension header that states it.
func optionsHeader(b []byte) (int, error) {
	if len(b) < 8 {
		return 0, ErrShort
	}
	n := 8 + 8*int(b[1])
	if n > len(b) {
		return 0, ErrLength
	}
	return n, nil
}
