package fabricfake

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// The GENEVE options of a frame. The class is one of those that RFC 8926 reserves for
// experiments, which marks it as the model's own.
const (
	optionClass    uint16 = 0xff01
	optionSource   uint8  = 0x01 // the interface that sent, 8 bytes
	optionReceiver uint8  = 0x02 // the interface that is to receive, 8 bytes
)

// What the interface options begin with: class, type and the length in words of four bytes.
const (
	headOfSource   = uint32(optionClass)<<16 | uint32(optionSource)<<8 | 2
	headOfReceiver = uint32(optionClass)<<16 | uint32(optionReceiver)<<8 | 2
)

const (
	interfaceOptionLen = 4 + 8
	optionsLen         = 2 * interfaceOptionLen
	maxFrameLen        = 1<<16 - 1 // what the length in the outer header can say
	frameHeaderLen     = wire.IPv4HeaderLen + wire.UDPHeaderLen + wire.GeneveHeaderLen + optionsLen
)

// Frame is what travels on the substrate: a packet of a VPC, in GENEVE, in UDP.
type Frame struct {
	From, To netip.Addr // physical hosts or edges, IPv4
	Entropy  uint16     // the UDP source port: a hash of the inner flow
	VNI      uint32     // the VPC's number, 24 bits
	Source   uint64     // the interface that sent the packet; 0 for an edge
	Receiver uint64     // the interface that is to receive it; 0 for an edge
	Inner    []byte     // the packet, from its IP header on
}

// Why a frame cannot be read.
var (
	errNotGeneve    = errors.New("not GENEVE over UDP port 6081")
	errInnerType    = errors.New("the payload is not IP")
	errInnerVersion = errors.New("the payload is of another IP version than the header says")
	errCritical     = errors.New("an unknown critical option")
	errOptionShape  = errors.New("an interface option of the wrong length")
	errOptionTwice  = errors.New("an interface option twice")
	errControl      = errors.New("a control message, which nobody sends")
	errChecksum     = errors.New("the UDP checksum is wrong")
)

// Marshal returns the frame's bytes, for a test that puts frames of its own on the
// wire, broken ones too: it never fails. What does not fit into its field is cut. Of a VNI
// the lowest 24 bits are written; of the lengths of a frame above 65,535 bytes the lowest
// 16, which ParseFrame does not take and Inject refuses; and an address that is not IPv4
// is 0.0.0.0.
func (f Frame) Marshal() []byte {
	b := make([]byte, frameHeaderLen+len(f.Inner))
	copy(b[frameHeaderLen:], f.Inner)
	f.putHeader(b, len(f.Inner))
	return b
}

// putBefore puts the frame's headers in front of a packet.
func (f *Frame) putBefore(p *netfake.Packet) {
	inner := p.Len()
	p.Push(frameHeaderLen)
	f.putHeader(p.Bytes(), inner)
}

// putHeader writes everything in front of an inner packet of a length.
func (f *Frame) putHeader(b []byte, innerLen int) {
	ip := wire.IPv4{TTL: 64, Proto: wire.ProtoUDP, DF: true, Src: f.From, Dst: f.To}
	ip.Put(b, frameHeaderLen-wire.IPv4HeaderLen+innerLen)
	b = b[wire.IPv4HeaderLen:]
	udp := wire.UDP{SrcPort: f.Entropy, DstPort: wire.GenevePort}
	udp.Put(b, wire.GeneveHeaderLen+optionsLen+innerLen) // no checksum: RFC 8926, 3.3
	b = b[wire.UDPHeaderLen:]
	inner := b[frameHeaderLen-wire.IPv4HeaderLen-wire.UDPHeaderLen:]
	wire.PutGeneve(b, wire.Geneve{Protocol: innerType(inner), VNI: f.VNI}, optionsLen)
	b = b[wire.GeneveHeaderLen:]
	putInterface(b, headOfSource, f.Source)
	putInterface(b[interfaceOptionLen:], headOfReceiver, f.Receiver)
}

// header is what a frame has put in front of a packet, for others of whatever length.
type header [frameHeaderLen]byte

// put writes the header in front of a packet of a length, as Frame.putHeader would.
func (h *header) put(b []byte, innerLen int) {
	const udpLength = wire.IPv4HeaderLen + 4
	total := uint16(frameHeaderLen + innerLen)
	first, second := binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])
	check := wire.ChangeOfWord(uint16(first>>32), total).Update(uint16(second >> 32))
	copy(b[16:], h[16:])
	// In words that are as large as those in which it is read, as wire.IPv4.Put does.
	binary.BigEndian.PutUint64(b, first&^(0xffff<<32)|uint64(total)<<32)
	binary.BigEndian.PutUint64(b[8:], second&^(0xffff<<32)|uint64(check)<<32)
	binary.BigEndian.PutUint16(b[udpLength:], total-wire.IPv4HeaderLen)
}

// innerType returns the type of the packet in a frame, as its first byte tells.
func innerType(inner []byte) uint16 {
	if len(inner) > 0 && inner[0]>>4 == 6 {
		return wire.EtherTypeIPv6
	}
	return wire.EtherTypeIPv4
}

func putInterface(b []byte, head uint32, id uint64) {
	binary.BigEndian.PutUint32(b, head)
	binary.BigEndian.PutUint64(b[4:], id)
}

// ParseFrame reads a frame from bytes that may be anything. Unknown options are
// skipped unless they are critical (RFC 8926, 3.5). What two readers could read differently is
// no frame, such as an option that is there twice.
func ParseFrame(b []byte) (Frame, error) {
	var f Frame
	if err := f.parse(b); err != nil {
		return Frame{}, fmt.Errorf("fabricfake: %w", err)
	}
	return f, nil
}

// parse reads the zero frame from bytes.
func (f *Frame) parse(b []byte) error {
	ip, err := wire.ViewIPv4(b)
	if err != nil {
		return fmt.Errorf("outer header: %w", err)
	}
	udp, payload, err := wire.ParseUDP(ip.Payload())
	if err != nil || ip.Proto() != wire.ProtoUDP || udp.DstPort != wire.GenevePort || !ip.Whole() {
		return errNotGeneve
	}
	if !wire.VerifyTransport(wire.ProtoUDP, ip.Src(), ip.Dst(), ip.Payload()[:udp.Length]) { // 0 is none
		return errChecksum
	}
	head, options, inner, err := wire.ParseGeneve(payload)
	if err != nil {
		return err
	}
	switch {
	case head.Control:
		return errControl
	case head.Protocol != wire.EtherTypeIPv4 && head.Protocol != wire.EtherTypeIPv6:
		return errInnerType
	case len(inner) > 0 && head.Protocol != innerType(inner):
		return errInnerVersion
	}
	f.From, f.To, f.Entropy, f.VNI, f.Inner = ip.Src(), ip.Dst(), udp.SrcPort, head.VNI, inner
	return f.readOptions(options)
}

func (f *Frame) readOptions(options []byte) error {
	if len(options) == optionsLen && binary.BigEndian.Uint32(options) == headOfSource && binary.BigEndian.Uint32(options[interfaceOptionLen:]) == headOfReceiver {
		f.Source = binary.BigEndian.Uint64(options[4:]) // as every host writes them
		f.Receiver = binary.BigEndian.Uint64(options[interfaceOptionLen+4:])
		return nil
	}
	var seen [optionReceiver + 1]bool
	for len(options) > 0 {
		opt, rest, err := wire.NextOption(options)
		if err != nil {
			return err
		}
		options = rest
		switch {
		case opt.Class == optionClass && (opt.Type == optionSource || opt.Type == optionReceiver):
			switch {
			case len(opt.Data) != 8:
				return errOptionShape
			case seen[opt.Type]:
				return errOptionTwice
			}
			seen[opt.Type] = true
			id := binary.BigEndian.Uint64(opt.Data)
			if opt.Type == optionSource {
				f.Source = id
			} else {
				f.Receiver = id
			}
		case opt.Critical():
			return errCritical
		}
	}
	return nil
}
