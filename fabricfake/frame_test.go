package fabricfake_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// datagram returns an IP packet with a UDP datagram in it.
func datagram(src, dst string, data string) []byte {
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	b := make([]byte, wire.IPv4HeaderLen+wire.UDPHeaderLen+len(data))
	ip := wire.IPv4{TTL: 64, Proto: wire.ProtoUDP, Src: from.Addr(), Dst: to.Addr()}
	ip.Put(b, len(b)-wire.IPv4HeaderLen)
	seg := b[wire.IPv4HeaderLen:]
	udp := wire.UDP{SrcPort: from.Port(), DstPort: to.Port()}
	udp.Put(seg, len(data))
	copy(seg[wire.UDPHeaderLen:], data)
	binary.BigEndian.PutUint16(seg[wire.UDPChecksumOffset:], wire.TransportChecksum(wire.ProtoUDP, from.Addr(), to.Addr(), seg))
	return b
}

// outer puts a payload of GENEVE into UDP and IP, from one device to another.
func outer(from, to netip.Addr, port uint16, payload []byte) []byte {
	return datagram(netip.AddrPortFrom(from, 50000).String(), netip.AddrPortFrom(to, port).String(), string(payload))
}

// The headers of a frame in front of GENEVE, and GENEVE's fixed header.
const (
	outerLen  = wire.IPv4HeaderLen + wire.UDPHeaderLen
	geneveLen = wire.GeneveHeaderLen
)

// bank is a VPC with a server that takes everything, its client, and a neighbour in
// another VPC with the same addresses, on a host that an attacker owns.
type bank struct {
	w                   *netfake.World
	vault, teller, evil *fabricfake.Instance
	in                  net.PacketConn
	gateway             *fabricfake.Edge
}

func newBank(t *testing.T, w *netfake.World) *bank {
	open := func(v *fabricfake.VPC) fabricfake.Groups {
		return fabricfake.Groups{v.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)}
	}
	vpc, other := fabricfake.NewVPC(w, "bank", "10.0.0.0/16"), fabricfake.NewVPC(w, "other", "10.0.0.0/16")
	subnet, theirs := vpc.Subnet("safe", "10.0.0.0/24", "a"), other.Subnet("theirs", "10.0.0.0/24", "a")
	b := &bank{w: w}
	b.vault = subnet.Instance("vault", fabricfake.InstanceConfig{PrivateIP: "10.0.0.10", Groups: open(vpc)})
	b.teller = subnet.Instance("teller", fabricfake.InstanceConfig{PrivateIP: "10.0.0.11"})
	b.evil = theirs.Instance("evil", fabricfake.InstanceConfig{PrivateIP: "10.0.0.12", Groups: open(other)})
	b.gateway = fabricfake.NewEdge(vpc, "gateway", swallow{})
	fabricfake.NewEdge(other, "their gateway", swallow{})
	var err error
	if b.in, err = b.vault.ListenPacket("udp", ":9"); err != nil {
		t.Fatal(err)
	}
	return b
}

// The addresses of the two edges: the first of their block.
var ourEdge, theirEdge = netip.MustParseAddr("10.200.0.1"), netip.MustParseAddr("10.200.0.2")

// swallow is an edge's node that takes everything.
type swallow struct{}

func (swallow) String() string { return "gateway" }
func (swallow) Leave(p *netfake.Packet, from *fabricfake.Interface) netfake.Next {
	return p.Delivered(netfake.Hop{})
}

// honest is the frame that the teller's host would send to the vault's.
func (b *bank) honest() fabricfake.Frame {
	return fabricfake.Frame{
		From: b.teller.Interface().PhysicalHost().Addr(), To: b.vault.Interface().PhysicalHost().Addr(), Entropy: 50000,
		VNI: b.vault.Interface().VPC().VNI(), Source: b.teller.Interface().Number(), Receiver: b.vault.Interface().Number(),
		Inner: datagram("10.0.0.11:1", "10.0.0.10:9", "money"),
	}
}

// received returns what the vault's socket got.
func (b *bank) received() string {
	buf := make([]byte, 100)
	b.in.SetReadDeadline(time.Now().Add(time.Second))
	n, _, err := b.in.ReadFrom(buf)
	if os.IsTimeout(err) {
		return ""
	}
	return string(buf[:n])
}

// A host believes nothing in a frame that it cannot check. What is forged is dropped
// with an alarm, delivered to nobody and answered by nobody.
func TestForgedFrames(t *testing.T) {
	type frame = fabricfake.Frame
	alter := func(f func(b *bank, f *frame)) func(b *bank) []byte {
		return func(b *bank) []byte {
			x := b.honest()
			f(b, &x)
			return x.Marshal()
		}
	}
	// raw alters GENEVE and what follows, in a frame of the right length.
	raw := func(f func(geneve []byte) []byte) func(b *bank) []byte {
		return func(b *bank) []byte {
			x := b.honest()
			return outer(x.From, x.To, wire.GenevePort, f(bytes.Clone(x.Marshal()[outerLen:])))
		}
	}
	for _, row := range []struct {
		name  string
		forge func(b *bank) []byte
		alarm string // what it says; "" for a frame that is in order
	}{
		// fact: walk.encapsulate, walk.validate, geneve.checksum
		{"the honest frame", alter(func(*bank, *frame) {}), ""},
		// fact: geneve.checksum
		{"the honest frame, with a checksum", raw(func(g []byte) []byte { return g }), ""},

		// The VPC's number and the interfaces have to belong together.
		// fact: fabric.vni, isolation.tenants
		{"another VPC's number", alter(func(b *bank, f *frame) { f.VNI = b.evil.Interface().VPC().VNI() }), "which is not here"},
		{"a number of no VPC", alter(func(b *bank, f *frame) { f.VNI = 99 }), "vni 99"},
		{"an interface that does not exist", alter(func(b *bank, f *frame) { f.Receiver = 99 }), "for interface 99, which is not here"},
		{"an interface of another host", alter(func(b *bank, f *frame) { f.Receiver = b.teller.Interface().Number() }), "which is not here"},
		{"no receiver", alter(func(b *bank, f *frame) { f.Receiver = 0 }), "for interface 0, which is not here"},

		// The sender has to be where the frame comes from.
		{"in the name of an interface that does not exist", alter(func(b *bank, f *frame) { f.Source = 99 }), "in the name of interface 99"},
		{"in the name of another VPC's interface", alter(func(b *bank, f *frame) { f.Source = b.evil.Interface().Number() }), "which is not there"},
		// fact: isolation.outer, walk.validate.alarm
		{"from a neighbour's host in the teller's name", alter(func(b *bank, f *frame) {
			f.From = b.evil.Interface().PhysicalHost().Addr()
		}), "which is not there"},
		{"from a neighbour's host in its own name", alter(func(b *bank, f *frame) {
			f.From, f.Source = b.evil.Interface().PhysicalHost().Addr(), b.evil.Interface().Number()
		}), "which is not there"},
		// fact: isolation.outer
		{"from where nothing is", alter(func(b *bank, f *frame) { f.From = netip.MustParseAddr("192.168.9.9") }), "where nothing is"},
		// fact: walk.validate
		{"with a source that is not the sender's", alter(func(b *bank, f *frame) {
			f.Inner = datagram("10.0.0.77:1", "10.0.0.10:9", "money")
		}), "10.0.0.77, which is not mapped there"},

		// An edge speaks for the outside of its own VPC only.
		// fact: edge.validate, fabric.edge
		{"from the edge, with an address outside", alter(func(b *bank, f *frame) {
			f.From, f.Source, f.Inner = ourEdge, 0, datagram("203.0.113.5:1", "10.0.0.10:9", "money")
		}), ""},
		// fact: edge.validate
		{"from the edge, with an address inside", alter(func(b *bank, f *frame) { f.From, f.Source = ourEdge, 0 }), "an address inside the VPC"},
		{"from the edge, in the teller's name", alter(func(b *bank, f *frame) { f.From = ourEdge }), "does not serve it"},
		// fact: edge.validate
		{"from another VPC's edge", alter(func(b *bank, f *frame) {
			f.From, f.Source, f.Inner = theirEdge, 0, datagram("203.0.113.5:1", "10.0.0.10:9", "money")
		}), "does not serve it"},

		// The bytes have to be a frame with a packet in it.
		// fact: geneve.port
		{"another UDP port", func(b *bank) []byte {
			x := b.honest()
			return outer(x.From, x.To, 53, x.Marshal()[outerLen:])
		}, "not GENEVE"},
		{"GENEVE that ends in its header", raw(func(g []byte) []byte { return g[:5] }), "fabricfake"},
		// fact: geneve.optlen
		{"GENEVE that ends in its options", raw(func(g []byte) []byte { return g[:geneveLen+7] }), "fabricfake"},
		{"nothing inside", raw(func(g []byte) []byte { return g[:geneveLen+24] }), "the packet in the frame"},
		{"a packet that was cut", raw(func(g []byte) []byte { return g[:len(g)-3] }), "the packet in the frame"},
		// fact: geneve.version
		{"another version of GENEVE", raw(func(g []byte) []byte { g[0] |= 0x40; return g }), "fabricfake"},
		// fact: geneve.protocol
		{"an Ethernet frame inside", raw(func(g []byte) []byte {
			binary.BigEndian.PutUint16(g[2:], wire.EtherTypeEthernet)
			return g
		}), "not IP"},
		{"without the receiver's option", raw(func(g []byte) []byte { g[geneveLen+12+2] = 0x05; return g }), "interface 0, which is not here"},
		// fact: geneve.option.unknown
		{"one more option that is unknown", raw(func(g []byte) []byte { return withOption(g, 0x05) }), ""},
		// fact: geneve.option.critical
		{"one more option that is unknown and critical", raw(func(g []byte) []byte { return withOption(g, 0x85) }), "unknown critical option"},
		{"an option of the wrong length", raw(func(g []byte) []byte { g[geneveLen+3] = 5; return g }), "fabricfake"},
		{"a packet with a wrong header checksum", alter(func(b *bank, f *frame) { f.Inner[10] ^= 1 }), "checksum"},
		{"a whole packet of IPv6 with nobody's address", alter(func(b *bank, f *frame) { f.Inner = datagram6("[2001:db8::1]:1", "[2001:db8::2]:9", "money") }), "which is not mapped there"},
		{"a packet of another version than it seems", alter(func(b *bank, f *frame) { f.Inner[0] = 0x60 }), "the packet in the frame"},
		// fact: geneve.protocol
		{"a packet of another version than the header says", raw(func(g []byte) []byte { g[geneveLen+24] = 0x60; return g }), "another IP version"},
	} {
		t.Run(row.name, func(t *testing.T) {
			netfake.Run(t, func(t *testing.T, w *netfake.World) {
				b := newBank(t, w)
				rec := w.Record(nil)
				b.evil.Interface().PhysicalHost().Inject(row.forge(b))
				got := b.received()
				if row.alarm == "" {
					if got != "money" || len(w.Alarms()) != 0 {
						t.Errorf("an honest frame: received %q, alarms %v, drops %v", got, w.Alarms(), w.Drops())
					}
					return
				}
				if got != "" {
					t.Errorf("received %q", got)
				}
				if a := w.Alarms(); len(a) != 1 || !strings.Contains(a[0].What, row.alarm) {
					t.Errorf("alarms %v, want one that says %q", a, row.alarm)
				}
				if d := w.Drops(); len(d) != 1 || d[0].Hop.Code != "MAPPING_INVALID" {
					t.Errorf("drops %v", d)
				}
				if n := len(rec.Traces()); n != 1 {
					t.Errorf("%d packets were sent, want the forged one alone:\n%v", n, rec)
				}
			})
		})
	}
}

// datagram6 is datagram for IPv6.
func datagram6(src, dst string, data string) []byte {
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	b := make([]byte, wire.IPv6HeaderLen+wire.UDPHeaderLen+len(data))
	ip := wire.IPv6{HopLimit: 64, NextHeader: wire.ProtoUDP, Src: from.Addr(), Dst: to.Addr()}
	ip.Put(b, len(b)-wire.IPv6HeaderLen)
	seg := b[wire.IPv6HeaderLen:]
	udp := wire.UDP{SrcPort: from.Port(), DstPort: to.Port()}
	udp.Put(seg, len(data))
	copy(seg[wire.UDPHeaderLen:], data)
	binary.BigEndian.PutUint16(seg[wire.UDPChecksumOffset:], wire.TransportChecksum(wire.ProtoUDP, from.Addr(), to.Addr(), seg))
	return b
}

// withOption puts an empty option behind those of a GENEVE packet.
func withOption(g []byte, kind byte) []byte {
	const end = geneveLen + 24
	g[0]++ // length of the options, in words
	option := []byte{0xff, 0x01, kind, 0}
	return append(append(bytes.Clone(g[:end]), option...), g[end:]...)
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

// Bytes that no wire would carry fail the test.
func TestInjectErrors(t *testing.T) {
	for name, f := range map[string]func(i *fabricfake.Instance){
		"a frame of nothing":  func(i *fabricfake.Instance) { i.Interface().PhysicalHost().Inject(nil) },
		"a frame of zeros":    func(i *fabricfake.Instance) { i.Interface().PhysicalHost().Inject(make([]byte, 100)) },
		"a packet of nothing": func(i *fabricfake.Instance) { i.Interface().Inject(nil) },
	} {
		text := fatal(t, func(w *netfake.World) {
			f(fabricfake.NewVPC(w, "prod", "10.0.0.0/16").Subnet("app", "10.0.0.0/24", "a").Instance("web", fabricfake.InstanceConfig{}))
		})
		if !strings.HasPrefix(text, "fabricfake: ") {
			t.Errorf("%s: %q", name, text)
		}
	}
}

// What is marshalled is read back; what is not a frame is refused without a panic.
func FuzzParseFrame(f *testing.F) {
	whole := fabricfake.Frame{
		From: netip.MustParseAddr("192.168.0.3"), To: netip.MustParseAddr("192.168.0.4"), Entropy: 50000,
		VNI: 7, Source: 1, Receiver: 2, Inner: datagram("10.0.0.11:1", "10.0.0.10:9", "money"),
	}
	b := whole.Marshal()
	f.Add(b)
	f.Add(b[:40])
	f.Add(outer(whole.From, whole.To, wire.GenevePort, withOption(bytes.Clone(b[outerLen:]), 0x85)))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := fabricfake.ParseFrame(b)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "fabricfake: ") {
				t.Errorf("error %v", err)
			}
			return
		}
		again, err := fabricfake.ParseFrame(frame.Marshal())
		if err != nil {
			t.Fatalf("%+v does not come back: %v", frame, err)
		}
		if diff := cmp.Diff(frame, again, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("it comes back as another:\n%s", diff)
		}
	})
}
