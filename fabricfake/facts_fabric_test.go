package fabricfake_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// wirePackets returns the packets of a capture in pcapng, as they were on the wire.
func wirePackets(capture []byte) (packets [][]byte) {
	const enhancedPacket = 6
	for b := capture; len(b) > 0; b = b[binary.LittleEndian.Uint32(b[4:]):] {
		if binary.LittleEndian.Uint32(b) == enhancedPacket {
			packets = append(packets, b[28:28+binary.LittleEndian.Uint32(b[20:])])
		}
	}
	return packets
}

// The bytes that travel between two physical hosts when one instance sends datagrams to
// another: field for field what RFC 8926 says.
func TestBytesOnTheWire(t *testing.T) {
	var out bytes.Buffer
	var from, to *fabricfake.Interface
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPlace(t, w)
		p.webGroup.AllowIngress("udp/9", fabricfake.Anywhere)
		if _, err := p.web.ListenPacket("udp", ":9"); err != nil {
			t.Fatal(err)
		}
		file := w.Capture(&out, nil)
		for _, port := range []string{":1000", ":1000", ":1001"} {
			p.app.Interface().Inject(datagram("10.0.1.4"+port, "10.0.2.4:9", "hello"))
		}
		w.Sleep(2 * fabricfake.LatencyZones)
		if err := file.Stop(); err != nil {
			t.Error(err)
		}
		from, to = p.app.Interface(), p.web.Interface()
	})
	frames := map[uint16][][]byte{} // by the inner source port
	for _, b := range wirePackets(out.Bytes()) {
		if f, err := fabricfake.ParseFrame(b); err == nil {
			port := binary.BigEndian.Uint16(f.Inner[wire.IPv4HeaderLen:])
			frames[port] = append(frames[port], b)
		}
	}
	if len(frames[1000]) != 4 || len(frames[1001]) != 2 { // where they leave and where they arrive
		t.Fatalf("%d and %d frames, want 4 and 2", len(frames[1000]), len(frames[1001]))
	}
	b := frames[1000][0]
	udp, geneve := b[wire.IPv4HeaderLen:], b[outerLen:]
	options, inner := geneve[geneveLen:geneveLen+24], geneve[geneveLen+24:]
	be := binary.BigEndian
	for _, row := range []struct {
		name      string
		got, want any
	}{
		// fact: walk.encapsulate, walk.subnets
		{"outer source", netip.AddrFrom4([4]byte(b[12:16])), from.PhysicalHost().Addr()},
		// fact: walk.encapsulate, walk.subnets, fabric.mapping
		{"outer destination", netip.AddrFrom4([4]byte(b[16:20])), to.PhysicalHost().Addr()},
		// fact: geneve.df
		{"outer do not fragment", b[6] & 0x40, byte(0x40)},
		// fact: geneve.port
		{"UDP destination port", be.Uint16(udp[2:]), uint16(6081)},
		// fact: geneve.checksum
		{"UDP checksum", be.Uint16(udp[6:]), uint16(0)},
		// fact: geneve.version
		{"version", geneve[0] >> 6, byte(0)},
		// fact: geneve.optlen
		{"length of the options in words", geneve[0] & 0x3f, byte(len(options) / 4)},
		{"flags O and C, and what is reserved", geneve[1], byte(0)},
		// fact: geneve.protocol
		{"protocol type", be.Uint16(geneve[2:]), uint16(0x0800)},
		// fact: fabric.vni, geneve.vni
		{"VNI, and what is reserved", be.Uint32(geneve[4:]), from.VPC().VNI() << 8},
		// fact: geneve.class
		{"class of the first option", be.Uint16(options), uint16(0xff01)},
		{"its type and length in words", be.Uint16(options[2:]), uint16(0x0102)},
		{"the sending interface", be.Uint64(options[4:]), from.Number()},
		// fact: geneve.class
		{"class of the second option", be.Uint16(options[12:]), uint16(0xff01)},
		{"its type and length in words", be.Uint16(options[14:]), uint16(0x0202)},
		// fact: fabric.mapping
		{"the receiving interface", be.Uint64(options[16:]), to.Number()},
		{"what is inside", string(inner), string(datagram("10.0.1.4:1000", "10.0.2.4:9", "hello"))},
		// fact: geneve.entropy
		{"UDP source port of the same flow", be.Uint16(frames[1000][1][wire.IPv4HeaderLen:]), be.Uint16(udp)},
		// fact: geneve.entropy
		{"whether another flow has the same", be.Uint16(frames[1001][0][wire.IPv4HeaderLen:]) == be.Uint16(udp), false},
		{"whether the port is a dynamic one", be.Uint16(udp) >= 49152, true},
	} {
		if row.got != row.want {
			t.Errorf("%s: %v, want %v", row.name, row.got, row.want)
		}
	}
}

// A VNI has 24 bits; the largest is read back as it was written.
func TestLargestVNI(t *testing.T) {
	for _, row := range []struct {
		name      string
		vni, want uint32
	}{
		// fact: geneve.vni
		{"the largest", 1<<24 - 1, 1<<24 - 1},
		{"the smallest", 1, 1},
	} {
		f := fabricfake.Frame{From: ourEdge, To: theirEdge, VNI: row.vni, Inner: datagram("10.0.0.11:1", "10.0.0.10:9", "x")}
		if got, err := fabricfake.ParseFrame(f.Marshal()); err != nil || got.VNI != row.want {
			t.Errorf("%s: VNI %d, %v", row.name, got.VNI, err)
		}
	}
}

// A packet of the largest size goes in one frame, which the substrate carries; the segments
// of a stream are no longer.
// fact: mtu.vpc, substrate.mtu
func TestLargestPacket(t *testing.T) {
	const headers = wire.IPv4HeaderLen + wire.UDPHeaderLen
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		p := newPlace(t, w)
		p.webGroup.AllowIngress("udp/9", fabricfake.Anywhere).AllowIngress("tcp/80", fabricfake.Anywhere)
		in, err := p.web.ListenPacket("udp", ":9")
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.app.Dial("udp", "10.0.2.4:9")
		if err != nil {
			t.Fatal(err)
		}
		sent := make([]byte, fabricfake.MTU-headers)
		began := w.Now()
		c.Write(sent)
		if n, _, err := in.ReadFrom(make([]byte, 10000)); n != len(sent) || err != nil || w.Now()-began != fabricfake.LatencyZones {
			t.Errorf("%d bytes came after %v, %v", n, w.Now()-began, err)
		}
		s, err := p.app.Dial("tcp", "10.0.2.4:80")
		if err != nil {
			t.Fatal(err)
		}
		rec := w.Record(nil)
		go s.Write(make([]byte, 100_000))
		if _, err := io.ReadFull(s, make([]byte, 100_000)); err != nil {
			t.Error(err)
		}
		longest := 0
		for _, tr := range rec.Traces() {
			longest = max(longest, tr.Data)
		}
		if want := fabricfake.MTU - wire.IPv4HeaderLen - wire.TCPHeaderLen - 12; longest != want {
			t.Errorf("the longest segment has %d bytes, want %d", longest, want)
		}
	})
}
