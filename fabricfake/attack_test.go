package fabricfake_test

import (
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// A host believes nothing in a frame that it cannot check. What is forged is dropped,
// counted, with an alarm, delivered to nobody and answered by nobody; its sibling, which
// differs in nothing else, is delivered.
// fact: walk.encapsulate, walk.validate
func TestForgedFrames(t *testing.T) {
	type frame = fabricfake.Frame
	none := func(*bank, *frame) {}
	for _, row := range []attack{
		// The VPC's number and the interfaces have to belong together.
		// fact: fabric.vni, isolation.tenants
		{name: "another VPC's number", forged: with(func(b *bank, f *frame) { f.VNI = b.theirVNI() }), alarm: "which is not here"},
		{name: "a number of no VPC", forged: with(func(b *bank, f *frame) { f.VNI = 99 }), alarm: "vni 99"},
		{name: "the largest number", forged: with(func(b *bank, f *frame) { f.VNI = 1<<24 - 1 }), alarm: "vni 16777215"},
		{name: "an interface that does not exist", forged: with(func(b *bank, f *frame) { f.Receiver = 99 }), alarm: "for interface 99, which is not here"},
		{name: "an interface of another host", forged: with(func(b *bank, f *frame) { f.Receiver = number(b.teller) }), alarm: "which is not here"},
		{name: "no receiver", forged: with(func(b *bank, f *frame) { f.Receiver = 0 }), alarm: "for interface 0, which is not here"},
		{name: "the largest receiver", forged: with(func(b *bank, f *frame) { f.Receiver = math.MaxUint64 }), alarm: "which is not here"},

		// The sender has to be where the frame comes from, and the packet has to be his.
		{name: "in the name of an interface that does not exist", forged: with(func(b *bank, f *frame) { f.Source = 99 }), alarm: "in the name of interface 99"},
		{name: "in the name of another VPC's interface", forged: with(func(b *bank, f *frame) { f.Source = number(b.evil) }), alarm: "which is not there"},
		{name: "in the receiver's own name", forged: with(func(b *bank, f *frame) { f.Source = number(b.vault) }), alarm: "which is not there"},
		{name: "in nobody's name", forged: with(func(b *bank, f *frame) { f.Source = 0 }), alarm: "in the name of interface 0"},
		// fact: isolation.outer, walk.validate.alarm
		{name: "from a neighbour's host in the teller's name", forged: with(func(b *bank, f *frame) { f.From = host(b.evil).Addr() }), alarm: "which is not there"},
		{name: "from a neighbour's host in its own name", forged: with(func(b *bank, f *frame) {
			f.From, f.Source = host(b.evil).Addr(), number(b.evil)
		}), alarm: "which is not there"},
		// fact: walk.validate
		{name: "with a source that is not the sender's", forged: inside(func() []byte { return datagram("10.0.0.77:1", vaultPort, "money") }), alarm: "10.0.0.77, which is not mapped there"},
		{name: "with the receiver's address as source", forged: inside(func() []byte { return datagram("10.0.0.10:1", vaultPort, "money") }), alarm: "10.0.0.10, which is not mapped there"},
		{name: "with the router's address as source", forged: inside(func() []byte { return datagram("10.0.0.1:1", vaultPort, "money") }), alarm: "10.0.0.1, which is not mapped there"},
		{name: "with a loopback address as source", forged: inside(func() []byte { return datagram("127.0.0.1:1", vaultPort, "money") }), alarm: "127.0.0.1, which is not mapped there"},
		{name: "with the broadcast address as source", forged: inside(func() []byte { return datagram("255.255.255.255:1", vaultPort, "money") }), alarm: "which is not mapped there"},
		{name: "with a source outside of the VPC", forged: inside(func() []byte { return datagram("203.0.113.5:1", vaultPort, "money") }), alarm: "203.0.113.5, which is not mapped there", honest: fromEdge(none)},

		// Nobody lets frames out in the name of another host.
		// fact: isolation.outer
		{name: "a replay from another host", forged: with(none), stolen: true, alarm: "which is another's address"},
		{name: "an answer to the attacker's liking", forged: with(func(b *bank, f *frame) {
			f.From, f.To, f.Source, f.Receiver = f.To, f.From, f.Receiver, f.Source
			f.Inner = datagram(vaultPort, tellerPort, "money")
		}), stolen: true, alarm: "which is another's address"},
		{name: "in the name of an edge", forged: fromEdge(none), stolen: true, alarm: "which is another's address", honest: fromEdge(none)},
		{name: "from where nothing is", forged: with(func(b *bank, f *frame) { f.From = netip.MustParseAddr("192.168.9.9") }), alarm: "where nothing is"},

		// What a host says to itself it does not hear over its wire.
		{name: "from the host itself, over its wire", forged: with(func(b *bank, f *frame) {
			f.From, f.Source, f.Inner = f.To, number(b.vault), datagram("10.0.0.10:1", vaultPort, "money")
		}), alarm: "its own address, over the wire"},

		// Nobody outside has the addresses beside instances, or one that is no host's.
		{name: "from the edge, as the metadata service", forged: fromOutside("169.254.169.254"), alarm: "169.254.169.254, which nobody outside has", honest: fromEdge(none)},
		{name: "from the edge, as the resolver", forged: fromOutside("169.254.169.253"), alarm: "169.254.169.253, which nobody outside has", honest: fromEdge(none)},
		{name: "from the edge, as a loopback", forged: fromOutside("127.0.0.1"), alarm: "127.0.0.1, which nobody outside has", honest: fromEdge(none)},
		{name: "from the edge, as nobody", forged: fromOutside("0.0.0.0"), alarm: "0.0.0.0, which nobody outside has", honest: fromEdge(none)},
		{name: "from the edge, as everybody", forged: fromOutside("255.255.255.255"), alarm: "255.255.255.255, which nobody outside has", honest: fromEdge(none)},
		{name: "from the edge, as a group", forged: fromOutside("224.0.0.1"), alarm: "224.0.0.1, which nobody outside has", honest: fromEdge(none)},
		{name: "IPv6 from the edge, as the metadata service", forged: fromOutside6("fd00:ec2::254"), alarm: "fd00:ec2::254, which nobody outside has", honest: fromOutside6("2001:db8:ffff::1")},
		{name: "IPv6 from the edge, as the VPC's router", forged: fromOutside6("fe80:ec2::1"), alarm: "fe80:ec2::1, which nobody outside has", honest: fromOutside6("2001:db8:ffff::1")},
		{name: "IPv6 from the edge, as a group", forged: fromOutside6("ff02::1"), alarm: "ff02::1, which nobody outside has", honest: fromOutside6("2001:db8:ffff::1")},
		{name: "with the metadata service's address as source", forged: inside(func() []byte { return datagram("169.254.169.254:80", vaultPort, "money") }), alarm: "169.254.169.254, which is not mapped there"},
		{name: "with the resolver's address as source", forged: inside(func() []byte { return datagram("10.0.0.2:53", vaultPort, "money") }), alarm: "10.0.0.2, which is not mapped there"},
		{name: "with a multicast address as source", forged: inside(func() []byte { return datagram("224.0.0.1:1", vaultPort, "money") }), alarm: "224.0.0.1, which is not mapped there"},

		// An edge speaks for the outside of its own VPC only.
		// fact: edge.validate, fabric.edge
		{name: "from the edge, with an address inside", forged: with(func(b *bank, f *frame) { f.From, f.Source = ourEdge, 0 }), alarm: "an address inside the VPC", honest: fromEdge(none)},
		{name: "from the edge, in the teller's name", forged: with(func(b *bank, f *frame) { f.From = ourEdge }), alarm: "does not serve it", honest: fromEdge(none)},
		// fact: edge.validate
		{name: "from another VPC's edge", forged: fromEdge(func(b *bank, f *frame) { f.From = theirEdge }), alarm: "does not serve it", honest: fromEdge(none)},
		{name: "from another VPC's edge, with its number", forged: fromEdge(func(b *bank, f *frame) { f.From, f.VNI = theirEdge, b.theirVNI() }), alarm: "which is not here", honest: fromEdge(none)},
		{name: "to the edge, with another VPC's number", forged: toEdge(func(b *bank, f *frame) { f.VNI = b.theirVNI() }), alarm: "which the edge does not serve", honest: toEdge(none)},
		{name: "to the edge, from a neighbour's host", forged: toEdge(func(b *bank, f *frame) { f.From = host(b.evil).Addr() }), alarm: "which is not there", honest: toEdge(none)},
		{name: "to the edge, with a source that is not the sender's", forged: toEdge(func(b *bank, f *frame) {
			f.Inner = datagram("10.0.0.10:1", "203.0.113.5:9", "money")
		}), alarm: "which is not mapped there", honest: toEdge(none)},
		{name: "from one edge to the other", forged: toEdge(func(b *bank, f *frame) {
			f.From, f.Source, f.Inner = theirEdge, 0, datagram("203.0.113.5:1", "203.0.113.5:9", "money")
		}), alarm: "does not serve it", honest: toEdge(none)},
		{name: "from the edge to itself", forged: toEdge(func(b *bank, f *frame) {
			f.From, f.Source, f.Inner = ourEdge, 0, datagram("203.0.113.5:1", "203.0.113.5:9", "money")
		}), alarm: "its own address, over the wire", honest: toEdge(none)},

		// The bytes have to be a frame.
		// fact: geneve.port, geneve.checksum
		{name: "another UDP port", forged: func(b *bank) []byte {
			x := b.honest()
			return outer(x.From, x.To, 53, x.Marshal()[outerLen:])
		}, alarm: "not GENEVE", honest: raw(func(g []byte) []byte { return g })}, // with a checksum
		{name: "TCP outside", forged: header(func(ip []byte) { ip[9] = wire.ProtoTCP }), alarm: "not GENEVE"},
		{name: "a first fragment", forged: header(func(ip []byte) { ip[6] = 0x20 }), alarm: "not GENEVE", honest: header(func(ip []byte) { ip[6] = 0 })},
		{name: "a later fragment", forged: header(func(ip []byte) { ip[6], ip[7] = 0, 1 }), alarm: "not GENEVE"},
		{name: "GENEVE that ends in its header", forged: raw(func(g []byte) []byte { return g[:5] }), alarm: "fabricfake"},
		// fact: geneve.optlen
		{name: "GENEVE that ends in its options", forged: raw(func(g []byte) []byte { return g[:geneveLen+7] }), alarm: "fabricfake"},
		// fact: geneve.version
		{name: "another version of GENEVE", forged: raw(func(g []byte) []byte { g[0] |= 0x40; return g }), alarm: "fabricfake"},
		{name: "more options than there are", forged: raw(func(g []byte) []byte { g[0] |= 0x3f; return g }), alarm: "fabricfake"},
		// fact: geneve.protocol
		{name: "an Ethernet frame inside", forged: raw(func(g []byte) []byte {
			binary.BigEndian.PutUint16(g[2:], wire.EtherTypeEthernet)
			return g
		}), alarm: "not IP"},
		{name: "ARP inside", forged: raw(func(g []byte) []byte { binary.BigEndian.PutUint16(g[2:], 0x0806); return g }), alarm: "not IP"},
		{name: "without the sender's option", forged: raw(func(g []byte) []byte { g[geneveLen+2] = 0x05; return g }), alarm: "interface 0, which is not there"},
		{name: "without the receiver's option", forged: raw(func(g []byte) []byte { g[geneveLen+12+2] = 0x05; return g }), alarm: "interface 0, which is not here"},
		// fact: geneve.option.critical, geneve.option.unknown
		{name: "an unknown option that is critical", forged: raw(func(g []byte) []byte { return withOption(g, 0x85) }), alarm: "unknown critical option",
			honest: raw(func(g []byte) []byte { return withOption(g, 0x05) })},
		// Which of two it is that holds another reader might see otherwise.
		{name: "the sender's option twice, for another at last", forged: raw(func(g []byte) []byte { return withInterface(g, 0x01, 9) }), alarm: "an interface option twice"},
		{name: "the sender's option twice, the same", forged: func(b *bank) []byte {
			return raw(func(g []byte) []byte { return withInterface(g, 0x01, byte(number(b.teller))) })(b)
		}, alarm: "an interface option twice"},
		{name: "the receiver's option twice", forged: func(b *bank) []byte {
			return raw(func(g []byte) []byte { return withInterface(g, 0x02, byte(number(b.vault))) })(b)
		}, alarm: "an interface option twice", honest: raw(func(g []byte) []byte { return withInterface(g, 0x03, 9) })}, // an unknown one
		{name: "the sender's option as a critical one", forged: raw(func(g []byte) []byte { g[geneveLen+2] |= 0x80; return g }), alarm: "unknown critical option"},
		{name: "the options of another class", forged: raw(func(g []byte) []byte { g[geneveLen+1], g[geneveLen+12+1] = 2, 2; return g }), alarm: "for interface 0, which is not here"},
		{name: "an option that reaches into the packet", forged: raw(func(g []byte) []byte {
			g[0]--
			return g
		}), alarm: "fabricfake"},
		{name: "an option that swallows the next", forged: raw(func(g []byte) []byte { g[geneveLen+2], g[geneveLen+3] = 0x05, 5; return g }), alarm: "for interface 0, which is not here",
			honest: raw(func(g []byte) []byte { g[geneveLen+3] |= 0xe0; return g })}, // the bits beside the length are reserved
		{name: "a packet that begins in the options", forged: raw(func(g []byte) []byte {
			g[0] -= 3
			return g
		}), alarm: "the packet in the frame", honest: raw(func(g []byte) []byte { g[1] |= 0x3f; g[7] = 0xff; return g })}, // reserved bits
		{name: "a control message", forged: raw(func(g []byte) []byte { g[1] |= 0x80; return g }), alarm: "a control message",
			honest: raw(func(g []byte) []byte { g[1] |= 0x40; return g })}, // it says that an option is critical, and none is
		{name: "a wrong checksum of UDP", forged: func(b *bank) []byte {
			x := b.honest().Marshal()
			x[wire.IPv4HeaderLen+wire.UDPChecksumOffset] = 1
			return x
		}, alarm: "the UDP checksum is wrong", honest: raw(func(g []byte) []byte { return g })},
		{name: "to the host's own services", forged: func(b *bank) []byte {
			x := b.honest()
			return outer(x.From, x.To, 22, []byte("SSH-2.0"))
		}, alarm: "not GENEVE"},
		{name: "a ping of the host", forged: header(func(ip []byte) { ip[9] = wire.ProtoICMP }), alarm: "not GENEVE"},
		{name: "a frame in a frame", forged: inside(func() []byte {
			return datagram("192.168.0.4:50000", "192.168.0.3:6081", "money")
		}), alarm: "192.168.0.4, which is not mapped there"},
		{name: "an option of the wrong length", forged: raw(func(g []byte) []byte { g[geneveLen+3] = 5; return g }), alarm: "fabricfake"},
		{name: "a shorter option", forged: raw(func(g []byte) []byte { g[geneveLen+3] = 1; return g }), alarm: "fabricfake"},

		// There has to be a packet in it.
		{name: "nothing inside", forged: raw(func(g []byte) []byte { return g[:geneveLen+24] }), alarm: "the packet in the frame"},
		{name: "a packet that was cut", forged: raw(func(g []byte) []byte { return g[:len(g)-3] }), alarm: "the packet in the frame",
			honest: raw(func(g []byte) []byte { return append(g, 0, 0, 0) })}, // padded
		{name: "a packet without ports", forged: bent(func(ip []byte) []byte { return sealed(ip[:22], func(ip []byte) { ip[3] = 22 }) }), alarm: "the packet in the frame"},
		{name: "a header that is too short", forged: bent(func(ip []byte) []byte { return sealed(ip, func(ip []byte) { ip[0] = 0x44 }) }), alarm: "the packet in the frame"},
		{name: "a length shorter than the header", forged: bent(func(ip []byte) []byte { return sealed(ip, func(ip []byte) { ip[3] = 19 }) }), alarm: "the packet in the frame"},
		{name: "a length longer than the packet", forged: bent(func(ip []byte) []byte { return sealed(ip, func(ip []byte) { ip[2] = 1 }) }), alarm: "the packet in the frame"},
		{name: "a wrong header checksum", forged: bent(func(ip []byte) []byte { ip[10] ^= 1; return ip }), alarm: "checksum"},
		{name: "a packet of another version than it seems", forged: bent(func(ip []byte) []byte { ip[0] = 0x60; return ip }), alarm: "the packet in the frame"},
		// fact: geneve.protocol
		{name: "a packet of another version than the header says", forged: raw(func(g []byte) []byte { g[geneveLen+24] = 0x60; return g }), alarm: "another IP version"},
		{name: "a packet of version 5", forged: bent(func(ip []byte) []byte { ip[0] = 0x55; return ip }), alarm: "the packet in the frame"},
		{name: "a packet larger than any", forged: inside(func() []byte { return datagram(tellerPort, vaultPort, strings.Repeat("x", 9001-28+1)) }), alarm: "a packet of 9002 bytes"},

		// The same of IPv6.
		{name: "IPv6 with nobody's address", forged: ipv6("2001:db8::99", vault6), alarm: "2001:db8::99, which is not mapped there", honest: ipv6(teller6, vault6)},
		{name: "IPv6 with the receiver's address", forged: ipv6(vault6, vault6), alarm: "which is not mapped there", honest: ipv6(teller6, vault6)},
		{name: "IPv6 with a link-local address", forged: ipv6("fe80::1", vault6), alarm: "fe80::1, which is not mapped there", honest: ipv6(teller6, vault6)},
		{name: "IPv6 from the edge, with an address inside", forged: fromEdge(func(_ *bank, f *frame) {
			f.Inner = datagram6("["+teller6+"]:1", "["+vault6+"]:9", "money")
		}), alarm: "an address inside the VPC", honest: fromEdge(func(_ *bank, f *frame) {
			f.Inner = datagram6("[2001:db8:ffff::1]:1", "["+vault6+"]:9", "money")
		})},
		{name: "IPv6 that was cut", forged: inside(func() []byte {
			b := datagram6("["+teller6+"]:1", "["+vault6+"]:9", "money")
			return b[:len(b)-1]
		}), alarm: "the packet in the frame", honest: ipv6(teller6, vault6)},
		{name: "IPv4 in the guise of IPv6", forged: inside(func() []byte { return datagram6("[::ffff:10.0.0.11]:1", "["+vault6+"]:9", "money") }), alarm: "IPv4-mapped", honest: ipv6(teller6, vault6)},
	} {
		t.Run(row.name, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				b := newBank(t, w).speakIPv6(t)
				rec := w.Record(nil)
				if row.stolen {
					b.steal(row.forged(b))
				} else {
					b.put(row.forged(b))
				}
				if got := b.received(); got != "" {
					t.Errorf("received %q", got)
				}
				if a := w.Alarms(); len(a) != 1 || !strings.Contains(a[0].What, row.alarm) {
					t.Errorf("alarms %v, want one that says %q", a, row.alarm)
				}
				if d := w.Drops(); len(d) != 1 || d[0].Hop.Code != "MAPPING_INVALID" || b.rejected() != 1 {
					t.Errorf("drops %v, %d counted", d, b.rejected())
				}
				if n := len(rec.Traces()); n != 1 {
					t.Errorf("%d packets were sent, want the forged one alone:\n%v", n, rec)
				}
				if row.honest == nil {
					row.honest = with(func(*bank, *fabricfake.Frame) {})
				}
				b.put(row.honest(b))
				if got := b.received(); got != "money" && got != "left" || len(w.Alarms()) != 1 || len(w.Drops()) != 1 {
					t.Errorf("the sibling: received %q, alarms %v, drops %v", got, w.Alarms(), w.Drops())
				}
			})
		})
	}
}

// An instance that sends under another address is stopped where it is, and noticed.
// fact: eni.check.egress, isolation.source
func TestSpoofingGuest(t *testing.T) { netfake.Run(t, testSpoofingGuest) }

func testSpoofingGuest(t *testing.T, w *netfake.World) {
	b := newBank(t, w)
	b.teller.Interface().Inject(datagram("10.0.0.11:1", "10.0.0.10:9", "mine"))
	if got := b.received(); got != "mine" || len(w.Alarms()) != 0 {
		t.Errorf("under its own address: %q, %v", got, w.Alarms())
	}
	b.teller.Interface().Inject(datagram("10.0.0.99:1", "10.0.0.10:9", "forged"))
	if got := b.received(); got != "" || len(w.Alarms()) != 1 {
		t.Errorf("under another address: %q, %v", got, w.Alarms())
	}
	if d := w.Drops(); len(d) != 1 || d[0].Hop.Code != "ENI_SOURCE_DEST_CHECK_RESTRICTION" {
		t.Errorf("drops: %v", d)
	}
}

// What an instance still sends from an address that it has lost is dropped like any other that
// is not its own, but nobody is suspected of a forgery.
func TestLostAddress(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(b *bank, old netip.Addr)
		rule   string // why the packet is dropped, "": it arrives
		alarms int
	}{
		{"it has it yet", func(*bank, netip.Addr) {}, "", 0},
		{"it has lost it", func(b *bank, old netip.Addr) { b.teller.Interface().Unassign(old) }, "source check: 10.0.0.50 is not 10.0.0.11 any more", 0},
		{"it has it again", func(b *bank, old netip.Addr) {
			b.teller.Interface().Unassign(old)
			b.teller.Interface().AssignPrivateIP(old.String())
		}, "", 0},
		{"another has it now", func(b *bank, old netip.Addr) { b.vault.Interface().MovePrivateIP(old.String()) }, "source check: 10.0.0.50 is not 10.0.0.11 any more", 0},
		{"it is another's that has lost it", func(b *bank, old netip.Addr) {
			b.vault.Interface().MovePrivateIP(old.String())
			b.vault.Interface().Unassign(old)
			b.teller, b.vault = b.vault, b.teller
		}, "source check: 10.0.0.50 is not 10.0.0.10 any more", 0},
		{"it has lost it some time ago", func(b *bank, old netip.Addr) {
			b.vault.Interface().MovePrivateIP(old.String())
			b.vault.World().Sleep(924800*time.Millisecond - 1)
		}, "source check: 10.0.0.50 is not 10.0.0.11 any more", 0},
		{"it has lost it so long ago that nothing of it is open", func(b *bank, old netip.Addr) {
			b.vault.Interface().MovePrivateIP(old.String())
			b.vault.World().Sleep(924800 * time.Millisecond)
		}, "source check: 10.0.0.50 is not 10.0.0.11", 1},
		{"it has lost it again", func(b *bank, old netip.Addr) {
			for range 2 {
				b.teller.Interface().Unassign(old)
				b.vault.World().Sleep(924 * time.Second)
				b.teller.Interface().AssignPrivateIP(old.String())
			}
			b.teller.Interface().Unassign(old)
		}, "source check: 10.0.0.50 is not 10.0.0.11 any more", 0},
		{"it never had it", func(b *bank, old netip.Addr) {
			b.teller = b.teller.Interface().Subnet().Instance("other", fabricfake.InstanceConfig{PrivateIP: "10.0.0.60"})
		}, "source check: 10.0.0.50 is not 10.0.0.60", 1},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			b := newBank(t, w)
			row.change(b, b.teller.Interface().AssignPrivateIP("10.0.0.50"))
			b.teller.Interface().Inject(datagram("10.0.0.50:1", vaultPort, "money"))
			if got := b.received(); (got == "money") != (row.rule == "") || len(w.Alarms()) != row.alarms {
				t.Errorf("%s: received %q, alarms %v", row.name, got, w.Alarms())
			}
			if d := w.Drops(); row.rule == "" && len(d) != 0 || row.rule != "" && (len(d) != 1 || d[0].Hop.Rule != row.rule) {
				t.Errorf("%s: drops %v, want %q", row.name, d, row.rule)
			}
		})
	}
}

// In a VPC without IPv6 nobody has an address of it: what a guest sends all the same is
// spoofed, and a guest that dials has no address to do so from.
func TestWithoutIPv6(t *testing.T) { netfake.Run(t, testWithoutIPv6) }

func testWithoutIPv6(t *testing.T, w *netfake.World) {
	b := newBank(t, w)
	w.Internet().Host("outside", "2001:db8::9").ServeHTTP(":80", nil)
	b.teller.Interface().Inject(datagram6("[2001:db8::1]:1", "[2001:db8::9]:9", "money"))
	b.teller.AddNIC(netip.MustParseAddr("2001:db8::1"), 1500, b.teller.Interface().Out())
	b.teller.Probe(netfake.Endpoint{Proto: netfake.TCP, Addr: netip.MustParseAddrPort("[2001:db8::9]:80")})
	c, err := b.teller.Dial("udp", "[2001:db8::9]:9")
	if err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("money"))
	time.Sleep(time.Second)
	if d := w.Drops(); len(d) != 2 || d[0].Hop.Code != "ENI_SOURCE_DEST_CHECK_RESTRICTION" || d[1].Hop.Code != d[0].Hop.Code {
		t.Errorf("drops: %v", d)
	}
	if _, err := b.evil.Dial("tcp", "[2001:db8::9]:80"); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("a guest without an IPv6 address dials: %v, want ENETUNREACH", err)
	}
}

// What is for a group, for everybody, or for another is no forgery: an instance may be a
// middlebox, and a route that leads to it cannot be told from a frame. It is dropped by the
// check of destinations, and with the check off the guest does not take it for its own.
// fact: eni.check.ingress, isolation.broadcast
func TestFramesForOthers(t *testing.T) {
	for _, dst := range []string{"224.0.0.1", "255.255.255.255", "10.0.0.255", "10.0.0.11", "169.254.169.254", "10.0.0.10"} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			b := newBank(t, w)
			mine := dst == "10.0.0.10"
			b.put(inside(func() []byte { return datagram(tellerPort, dst+":9", "money") })(b))
			if got := b.received(); (got == "money") != mine || len(w.Alarms()) != 0 {
				t.Errorf("%s: received %q, alarms %v", dst, got, w.Alarms())
			}
			if d := w.Drops(); !mine && (len(d) != 1 || d[0].Hop.Code != "ENI_SOURCE_DEST_CHECK_RESTRICTION") {
				t.Errorf("%s: drops %v", dst, d)
			}
			b.vault.Interface().SetSourceDestCheck(fabricfake.SourceDestCheckOff)
			b.put(inside(func() []byte { return datagram(tellerPort, dst+":9", "money") })(b))
			if got := b.received(); (got == "money") != mine || len(w.Alarms()) != 0 {
				t.Errorf("%s, unchecked: received %q, alarms %v", dst, got, w.Alarms())
			}
		})
	}
}
