package fabricfake_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// bank is a VPC with a vault that takes everything, its teller, and a neighbour in another
// VPC with the same addresses, on a host that an attacker owns.
type bank struct {
	w                   *netfake.World
	vault, teller, evil *fabricfake.Instance
	in                  net.PacketConn
	gateway, theirs     *fabricfake.Edge
	left                *exit
}

// exit is what stands behind the bank's edge. It counts what leaves.
type exit struct{ packets int }

func (*exit) String() string { return "gateway" }
func (x *exit) Leave(p *netfake.Packet, from *fabricfake.Interface) netfake.Next {
	x.packets++
	return p.Delivered(netfake.Hop{})
}

// swallow is an edge's node that takes everything.
type swallow struct{}

func (swallow) String() string { return "gateway" }
func (swallow) Leave(p *netfake.Packet, from *fabricfake.Interface) netfake.Next {
	return p.Delivered(netfake.Hop{})
}

func newBank(t netfake.TB, w *netfake.World) *bank {
	vpc, other := fabricfake.NewVPC(w, "bank", "10.0.0.0/16"), fabricfake.NewVPC(w, "other", "10.0.0.0/16")
	open := func(v *fabricfake.VPC) fabricfake.Groups {
		return fabricfake.Groups{v.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)}
	}
	subnet, theirs := vpc.Subnet("safe", "10.0.0.0/24", "a"), other.Subnet("theirs", "10.0.0.0/24", "a")
	b := &bank{w: w, left: &exit{}}
	b.vault = subnet.Instance("vault", fabricfake.InstanceConfig{PrivateIP: "10.0.0.10", Groups: open(vpc)})
	b.teller = subnet.Instance("teller", fabricfake.InstanceConfig{PrivateIP: "10.0.0.11"})
	b.evil = theirs.Instance("evil", fabricfake.InstanceConfig{PrivateIP: "10.0.0.12", Groups: open(other)})
	b.gateway, b.theirs = fabricfake.NewEdge(vpc, "gateway", b.left), fabricfake.NewEdge(other, "their gateway", swallow{})
	var err error
	if b.in, err = b.vault.ListenPacket("udp", ":9"); err != nil {
		t.Fatalf("%v", err)
	}
	return b
}

// speakIPv6 gives the bank addresses of IPv6, and has the vault take what comes to its own.
func (b *bank) speakIPv6(t netfake.TB) *bank {
	b.vault.Interface().VPC().AddIPv6("2001:db8::/56")
	b.vault.Interface().Subnet().AddIPv6("2001:db8::/64")
	b.vault.Interface().AssignIPv6(vault6)
	b.teller.Interface().AssignIPv6(teller6)
	for _, g := range b.vault.Interface().Groups() {
		g.AllowIngress("all", fabricfake.CIDR("::/0"))
	}
	b.in.Close()
	var err error
	if b.in, err = b.vault.ListenPacket("udp", ":9"); err != nil {
		t.Fatalf("%v", err)
	}
	return b
}

const vault6, teller6 = "2001:db8::10", "2001:db8::11"

// The addresses of the two edges: the first of their block.
var ourEdge, theirEdge = netip.MustParseAddr("10.200.0.1"), netip.MustParseAddr("10.200.0.2")

// Who has which of the numbers by which frames name interfaces and VPCs.
func (b *bank) vni() uint32      { return b.vault.Interface().VPC().VNI() }
func (b *bank) theirVNI() uint32 { return b.evil.Interface().VPC().VNI() }

func host(i *fabricfake.Instance) *fabricfake.PhysicalHost { return i.Interface().PhysicalHost() }
func number(i *fabricfake.Instance) uint64                 { return i.Interface().Number() }

// honest is the frame that the teller's host would send to the vault's.
func (b *bank) honest() fabricfake.Frame {
	return fabricfake.Frame{
		From: host(b.teller).Addr(), To: host(b.vault).Addr(), Entropy: 50000,
		VNI: b.vni(), Source: number(b.teller), Receiver: number(b.vault), Inner: datagram(tellerPort, vaultPort, "money"),
	}
}

const tellerPort, vaultPort = "10.0.0.11:1", "10.0.0.10:9"

// put injects a frame at the wire of the device that it claims to be from, and what claims to
// be from nowhere at the attacker's.
func (b *bank) put(frame []byte) {
	switch src, _ := netip.AddrFromSlice(frame[12:16]); src {
	case host(b.teller).Addr():
		host(b.teller).Inject(frame)
	case host(b.vault).Addr():
		host(b.vault).Inject(frame)
	case ourEdge:
		b.gateway.Inject(frame)
	case theirEdge:
		b.theirs.Inject(frame)
	default:
		host(b.evil).Inject(frame)
	}
}

// steal injects a frame at the attacker's wire, whatever it claims.
func (b *bank) steal(frame []byte) { host(b.evil).Inject(frame) }

// received returns what the vault's socket got, or "left" if a packet has left the VPC.
func (b *bank) received() string {
	buf := make([]byte, 20_000)
	b.in.SetReadDeadline(time.Now().Add(time.Second))
	n, _, err := b.in.ReadFrom(buf)
	switch {
	case b.left.packets > 0:
		b.left.packets--
		return "left"
	case os.IsTimeout(err):
		return ""
	}
	return string(buf[:n])
}

// rejected returns how many frames were dropped as forged.
func (b *bank) rejected() uint64 {
	return host(b.vault).Rejected() + host(b.teller).Rejected() + host(b.evil).Rejected() + b.gateway.Rejected() + b.theirs.Rejected()
}

// attack is a frame, and how it differs from one that is in order.
type attack struct {
	name   string
	forged func(b *bank) []byte
	alarm  string               // what it says
	honest func(b *bank) []byte // the sibling; nil for the honest frame
	stolen bool                 // from the attacker's wire, whatever the frame claims
}

// with alters the honest frame.
func with(f func(b *bank, f *fabricfake.Frame)) func(b *bank) []byte {
	return func(b *bank) []byte {
		x := b.honest()
		f(b, &x)
		return x.Marshal()
	}
}

// inside puts another packet into the honest frame.
func inside(packet func() []byte) func(b *bank) []byte {
	return with(func(_ *bank, f *fabricfake.Frame) { f.Inner = packet() })
}

// bent alters the bytes of the honest packet.
func bent(f func(ip []byte) []byte) func(b *bank) []byte {
	return inside(func() []byte { return f(datagram(tellerPort, vaultPort, "money")) })
}

// raw alters GENEVE and what follows, in a frame of the right length.
func raw(f func(geneve []byte) []byte) func(b *bank) []byte {
	return func(b *bank) []byte {
		x := b.honest()
		return outer(x.From, x.To, wire.GenevePort, f(bytes.Clone(x.Marshal()[outerLen:])))
	}
}

// header alters the outer IP header, and mends its checksum.
func header(f func(ip []byte)) func(b *bank) []byte {
	return func(b *bank) []byte {
		x := b.honest()
		return sealed(x.Marshal(), f)
	}
}

// sealed alters an IPv4 header and mends its checksum.
func sealed(ip []byte, f func(ip []byte)) []byte {
	f(ip)
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], wire.Checksum(ip[:wire.IPv4HeaderLen]))
	return ip
}

// fromEdge is a frame from an edge of the bank.
func fromEdge(f func(b *bank, f *fabricfake.Frame)) func(b *bank) []byte {
	return with(func(b *bank, x *fabricfake.Frame) {
		x.From, x.Source, x.Inner = ourEdge, 0, datagram("203.0.113.5:1", vaultPort, "money")
		f(b, x)
	})
}

// toEdge is a frame from the teller to an edge of the bank.
func toEdge(f func(b *bank, f *fabricfake.Frame)) func(b *bank) []byte {
	return with(func(b *bank, x *fabricfake.Frame) {
		x.To, x.Receiver, x.Inner = ourEdge, 0, datagram(tellerPort, "203.0.113.5:9", "money")
		f(b, x)
	})
}

// ipv6 is a frame with a packet of IPv6 in it.
func ipv6(src, dst string) func(b *bank) []byte {
	return inside(func() []byte { return datagram6("["+src+"]:1", "["+dst+"]:9", "money") })
}

// fromOutside is a frame from an edge of the bank with a source.
func fromOutside(src string) func(b *bank) []byte {
	return fromEdge(func(_ *bank, f *fabricfake.Frame) { f.Inner = datagram(src+":1", vaultPort, "money") })
}

// fromOutside6 is fromOutside for IPv6.
func fromOutside6(src string) func(b *bank) []byte {
	return fromEdge(func(_ *bank, f *fabricfake.Frame) { f.Inner = datagram6("["+src+"]:1", "["+vault6+"]:9", "money") })
}

// withInterface puts an option that names an interface behind those of a GENEVE packet.
func withInterface(g []byte, kind, number byte) []byte {
	const end = geneveLen + 24
	option := []byte{0xff, 0x01, kind, 2, 0, 0, 0, 0, 0, 0, 0, number}
	all := append(append(bytes.Clone(g[:end]), option...), g[end:]...)
	all[0] += byte(len(option) / 4)
	return all
}
