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

// The lengths in a frame's header end at 65,535. Longer frames fail the test; those that are
// shorter are put on the wire, and the receiver has the last word.
func TestInjectLongFrames(t *testing.T) {
	const headers = outerLen + geneveLen + 24
	for _, row := range []struct {
		name   string
		length int    // of the packet inside
		want   string // why the test fails, "": it does not
		alarm  string // of the receiver, "": the packet arrives
	}{
		{"the longest packet of an interface", fabricfake.MTU, "", ""},
		{"a packet that no interface sends", fabricfake.MTU + 1, "", "a packet of 9002 bytes"},
		{"the longest frame", 65535 - headers, "", "a packet of 65475 bytes"},
		{"a byte more", 65536 - headers, "65536 bytes, and IPv4 carries 65535 at most", ""},
		{"the longest packet of IPv4", 65535, "65595 bytes, and IPv4 carries 65535 at most", ""},
	} {
		put := func(t netfake.TB, w *netfake.World) *bank {
			b := newBank(t, w)
			frame := b.honest()
			frame.Inner = datagram(tellerPort, vaultPort, strings.Repeat("x", row.length-outerLen))
			host(b.teller).Inject(frame.Marshal())
			return b
		}
		if row.want != "" {
			if text := fatal(t, func(w *netfake.World) { put(w.TB(), w) }); !strings.Contains(text, row.want) {
				t.Errorf("%s: fails with %q, want %q", row.name, text, row.want)
			}
			continue
		}
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			if got := len(put(t, w).received()); row.alarm == "" && got != row.length-outerLen || row.alarm != "" && got != 0 {
				t.Errorf("%s: %d bytes received", row.name, got)
			}
			if alarms := w.Alarms(); len(alarms) > 1 || (row.alarm == "") != (len(alarms) == 0) || len(alarms) == 1 && !strings.Contains(alarms[0].String(), row.alarm) {
				t.Errorf("%s: alarms %v, want %q", row.name, alarms, row.alarm)
			}
		})
	}
}

// What does not fit into a field of a frame is cut.
func TestMarshalCuts(t *testing.T) {
	for _, row := range []struct {
		name      string
		put, want func(f *fabricfake.Frame)
		unread    string // why it cannot be read back
	}{
		{"all fits", func(f *fabricfake.Frame) {}, func(f *fabricfake.Frame) {}, ""},
		// fact: geneve.vni
		{"a VNI of 25 bits", func(f *fabricfake.Frame) { f.VNI = 1<<24 + 7 }, func(f *fabricfake.Frame) { f.VNI = 7 }, ""},
		{"an address of IPv6", func(f *fabricfake.Frame) { f.To = netip.MustParseAddr("2001:db8::1") },
			func(f *fabricfake.Frame) { f.To = netip.IPv4Unspecified() }, ""},
		{"the zero address", func(f *fabricfake.Frame) { f.From = netip.Addr{} },
			func(f *fabricfake.Frame) { f.From = netip.IPv4Unspecified() }, ""},
		{"a packet above the length in the header", func(f *fabricfake.Frame) { f.Inner = make([]byte, 65535) }, nil, "fabricfake: "},
	} {
		f := fabricfake.Frame{From: ourEdge, To: theirEdge, Entropy: 50000, VNI: 3, Source: 1, Receiver: 2, Inner: datagram(tellerPort, vaultPort, "money")}
		row.put(&f)
		got, err := fabricfake.ParseFrame(f.Marshal())
		if row.unread != "" {
			if err == nil || !strings.HasPrefix(err.Error(), row.unread) {
				t.Errorf("%s: read as %+v, error %v", row.name, got, err)
			}
			continue
		}
		row.want(&f)
		if diff := cmp.Diff(f, got, cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
			t.Errorf("%s: error %v (-want +got):\n%s", row.name, err, diff)
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
