package fabricfake_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

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
