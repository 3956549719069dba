package netfake

import (
	"errors"
	"net/netip"

	"github.com/netspec-go/netspec/internal/wire"
)

// noNextHeader says that a packet carries nothing, of which nobody complains: RFC 8200,
// section 4.7.
const noNextHeader Protocol = 59

// isPlain reports whether an address is one that a packet can carry: not an IPv4 address
// in the form of an IPv6 one, and without a zone.
func isPlain(addr netip.Addr) bool {
	return addr.IsValid() && !addr.Is4In6() && addr.Zone() == ""
}

// ipHeaderLen returns how long the IP header in front of a transport header is.
func ipHeaderLen(family netip.Addr) int {
	if family.Is4() {
		return wire.IPv4HeaderLen
	}
	return wire.IPv6HeaderLen
}

// unspecified returns the wildcard of an address's family.
func unspecified(family netip.Addr) netip.Addr {
	if family.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// errMapped refuses what no host sends and Linux discards: an IPv4-mapped address in an
// IPv6 header would pass for an IPv4 address in a dual-stack socket.
var errMapped = errors.New("netfake: an IPv4-mapped address in an IPv6 header")

// decode6 is Decode for IPv6. Extension headers are skipped. At one that is not known
// the packet is of that protocol, without ports.
func (p *Packet) decode6(b []byte) error {
	ip, payload, err := wire.ParseIPv6(b)
	if err != nil {
		return err
	}
	upper, err := ip.Upper(payload)
	p.l4 = p.head + wire.IPv6HeaderLen + upper.Offset
	p.tail = p.head + wire.IPv6HeaderLen + ip.PayloadLen
	p.Flow.Proto = Protocol(upper.Proto)
	p.Flow.Src, p.Flow.Dst = netip.AddrPortFrom(ip.Src, 0), netip.AddrPortFrom(ip.Dst, 0)
	switch {
	case err != nil:
		return err
	case ip.Src.Is4In6() || ip.Dst.Is4In6():
		return errMapped
	}
	p.part = partOf(upper.FragOffset, upper.MF)
	if p.part.later() {
		return nil
	}
	src, dst, err := readPorts(p.Flow.Proto, payload[upper.Offset:])
	p.Flow.Src, p.Flow.Dst = netip.AddrPortFrom(ip.Src, src), netip.AddrPortFrom(ip.Dst, dst)
	return err
}

// ipPacket6 is ipPacketHashed for IPv6. As with Linux, whose net.ipv6.auto_flowlabels is
// on, the flow's label is its hash.
func (w *World) ipPacket6(f *Flow, key uint64, size int, seq uint64) *Packet {
	p := w.NewPacket(wire.IPv6HeaderLen+size, key, seq)
	ip := wire.IPv6{HopLimit: 64, NextHeader: uint8(f.Proto), FlowLabel: uint32(key), Src: f.Src.Addr(), Dst: f.Dst.Addr()}
	ip.Put(p.Bytes(), size)
	p.Flow, p.hash = *f, key
	p.l4 = p.head + wire.IPv6HeaderLen
	return p
}

// icmpFamily is what differs between ICMP of the two families.
type icmpFamily struct {
	proto                  Protocol
	echoRequest, echoReply uint8
	network                string // as net calls it
}

var (
	icmp4 = icmpFamily{ICMP, wire.ICMPEchoRequest, wire.ICMPEchoReply, "ip4:icmp"}
	icmp6 = icmpFamily{ICMPv6, wire.ICMPv6EchoRequest, wire.ICMPv6EchoReply, "ip6:ipv6-icmp"}
)

// icmpFor returns the ICMP of an address's family.
func icmpFor(family netip.Addr) *icmpFamily {
	if family.Is4() {
		return &icmp4
	}
	return &icmp6
}

func (p Protocol) isICMP() bool { return p == ICMP || p == ICMPv6 }

func isEcho(proto Protocol, typ uint8) bool {
	if proto == ICMP {
		return typ == wire.ICMPEchoRequest || typ == wire.ICMPEchoReply
	}
	return proto == ICMPv6 && (typ == wire.ICMPv6EchoRequest || typ == wire.ICMPv6EchoReply)
}
