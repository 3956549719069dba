package wire

import "encoding/binary"

// GenevePort is the UDP destination port of GENEVE (RFC 8926 section 3.3).
const GenevePort = 6081

// Values of [Geneve.Protocol].
const (
	EtherTypeIPv4     uint16 = 0x0800
	EtherTypeIPv6     uint16 = 0x86dd
	EtherTypeEthernet uint16 = 0x6558 // an Ethernet frame is inside
)

// Lengths in bytes. Options and the data of one option come in units of 4.
const (
	GeneveHeaderLen     = 8
	GeneveMaxOptionsLen = 63 * 4
	OptionHeaderLen     = 4
	OptionMaxDataLen    = 31 * 4
)

// Geneve is the fixed header of a GENEVE packet (RFC 8926 section 3.4).
type Geneve struct {
	Control  bool   // O bit: a control message, not data
	Critical bool   // C bit: one of the options has its critical bit set
	Protocol uint16 // EtherType of the payload
	VNI      uint32 // 24 bits
}

// Option is one GENEVE option (RFC 8926 section 3.5).
type Option struct {
	Class uint16 // namespace of Type; 0xff00 to 0xffff are experimental
	Type  uint8  // with the critical bit
	Data  []byte // a multiple of 4 bytes, at most OptionMaxDataLen
}

const optionCritical = 0x80

// Critical reports whether a receiver that does not know the option must drop
// the packet.
func (o *Option) Critical() bool { return o.Type&optionCritical != 0 }

// Len is the length of the option in bytes, header and padding included.
func (o *Option) Len() int { return OptionHeaderLen + (len(o.Data)+3)&^3 }

// ParseGeneve reads the header at the front of b and checks version and length
// of the options, but does not look into them: [NextOption] does.
func ParseGeneve(b []byte) (h Geneve, options, payload []byte, err error) {
	if len(b) < GeneveHeaderLen {
		return Geneve{}, nil, nil, ErrShort
	}
	if b[0]>>6 != 0 {
		return Geneve{}, nil, nil, ErrVersion
	}
	end := GeneveHeaderLen + int(b[0]&0x3f)*4
	if end > len(b) {
		return Geneve{}, nil, nil, ErrLength
	}
	return Geneve{
		Control:  b[1]&0x80 != 0,
		Critical: b[1]&0x40 != 0,
		Protocol: binary.BigEndian.Uint16(b[2:]),
		VNI:      binary.BigEndian.Uint32(b[4:]) >> 8,
	}, b[GeneveHeaderLen:end:end], b[end:len(b):len(b)], nil
}

// NextOption reads the first of options and returns the rest. Its Data is a
// slice of options. All of them are read by
//
//	for len(options) > 0 {
//		opt, options, err = wire.NextOption(options)
//		...
//	}
func NextOption(options []byte) (opt Option, rest []byte, err error) {
	if len(options) < OptionHeaderLen {
		return Option{}, nil, ErrShort
	}
	end := OptionHeaderLen + int(options[3]&0x1f)*4
	if end > len(options) {
		return Option{}, nil, ErrOption
	}
	return Option{
		Class: binary.BigEndian.Uint16(options),
		Type:  options[2],
		Data:  options[OptionHeaderLen:end:end],
	}, options[end:], nil
}

// PutGeneve writes h to the first [GeneveHeaderLen] bytes of b, for options of
// optLen bytes together: the sum of their [Option.Len], at most
// [GeneveMaxOptionsLen]. It panics only when b is shorter than the header.
func PutGeneve(b []byte, h Geneve, optLen int) {
	_ = b[GeneveHeaderLen-1]
	b[0], b[1] = uint8(optLen/4)&0x3f, 0
	if h.Control {
		b[1] |= 0x80
	}
	if h.Critical {
		b[1] |= 0x40
	}
	binary.BigEndian.PutUint16(b[2:], h.Protocol)
	binary.BigEndian.PutUint32(b[4:], h.VNI<<8)
}

// PutOption writes o to the front of b, its data padded with zeros to a multiple
// of 4, and returns [Option.Len]. It panics when b is shorter than that; data
// longer than [OptionMaxDataLen] gives an option that does not parse back.
func PutOption(b []byte, o Option) int {
	n := o.Len()
	b = b[:n]
	binary.BigEndian.PutUint16(b, o.Class)
	b[2], b[3] = o.Type, uint8((n-OptionHeaderLen)/4)&0x1f
	clear(b[OptionHeaderLen+copy(b[OptionHeaderLen:], o.Data):])
	return n
}
