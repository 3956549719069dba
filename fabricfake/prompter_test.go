package fabricfake

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// prompter has hosts send packets of no socket's. Unlike Interface.Inject that is no change,
// after which nobody would remember anything: a host beside the VPC asks for it by a datagram.
type prompter struct {
	w      *netfake.World
	socket net.PacketConn
	says   []prompt
	seq    uint64
}

// prompt is a segment or a datagram that an interface is to send.
type prompt struct {
	from     *Interface
	src, dst netip.AddrPort
	proto    netfake.Protocol
	flags    uint8 // of TCP
	data     int   // how much it has
	fragment bool  // as the first of several, over IPv4
}

func newPrompter(t netfake.TB, w *netfake.World) *prompter {
	h, x := w.NewHost("prompter", netfake.Place{}), &prompter{w: w}
	h.AddNIC(netip.MustParseAddr("198.51.100.9"), 1500, x)
	var err error
	if x.socket, err = h.ListenPacket("udp", ":9"); err != nil {
		t.Fatalf("%v", err)
	}
	return x
}

// say has packets sent at once, one after another.
func (x *prompter) say(says ...prompt) {
	x.says = says
	x.socket.WriteTo([]byte("now"), &net.UDPAddr{IP: net.IPv4(198, 51, 100, 10), Port: 9})
}

func (x *prompter) String() string { return "prompter" }

// Step takes the datagram that asks.
func (x *prompter) Step(p *netfake.Packet) netfake.Next {
	for _, s := range x.says {
		x.seq++
		b := s.bytes()
		q := x.w.NewPacket(len(b), s.from.id, x.seq)
		copy(q.Bytes(), b)
		if q.Decode() == nil {
			x.w.Trace(q, s.from.name)
			x.w.Send(q, &s.from.out)
		}
	}
	return p.Delivered(netfake.Hop{Place: "prompter", By: x})
}

// bytes returns the packet.
func (s *prompt) bytes() []byte {
	transport := wire.TCPHeaderLen + s.data
	at := wire.TCPChecksumOffset
	if s.proto == netfake.UDP {
		transport, at = wire.UDPHeaderLen+s.data, 6
	}
	b := make([]byte, wire.IPv6HeaderLen+transport)
	if s.src.Addr().Is4() {
		b = b[wire.IPv6HeaderLen-wire.IPv4HeaderLen:]
		ip := wire.IPv4{TTL: 64, Proto: uint8(s.proto), MF: s.fragment, Src: s.src.Addr(), Dst: s.dst.Addr()}
		ip.Put(b, transport)
	} else {
		ip := wire.IPv6{HopLimit: 64, NextHeader: uint8(s.proto), Src: s.src.Addr(), Dst: s.dst.Addr()}
		ip.Put(b, transport)
	}
	segment := b[len(b)-transport:]
	if s.proto == netfake.UDP {
		head := wire.UDP{SrcPort: s.src.Port(), DstPort: s.dst.Port()}
		head.Put(segment, s.data)
	} else {
		head := wire.TCP{SrcPort: s.src.Port(), DstPort: s.dst.Port(), Flags: s.flags}
		head.Put(segment)
	}
	binary.BigEndian.PutUint16(segment[at:], wire.TransportChecksum(uint8(s.proto), s.src.Addr(), s.dst.Addr(), segment))
	return b
}
