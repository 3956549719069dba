package pcapng

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// tshark prints the given fields of every packet of a capture, one packet to a
// line, fields between bars, with every checksum looked at.
func tshark(t *testing.T, capture []byte, fields ...string) []string {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not on the PATH: the capture is not dissected here")
	}
	file := filepath.Join(t.TempDir(), "capture.pcapng")
	if err := os.WriteFile(file, capture, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-n", "-r", file, "-T", "fields", "-E", "separator=|",
		"-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command(path, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, &stderr)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// synFrame is a TCP SYN in IPv4 in GENEVE in UDP in IPv4, with one option.
func synFrame() []byte {
	guest, peer := netip.MustParseAddr("10.0.1.5"), netip.MustParseAddr("10.0.2.9")
	tcp := wire.TCP{SrcPort: 40000, DstPort: 443, Seq: 1, Flags: wire.SYN, Window: 65535,
		MSS: 8961, SACKPermitted: true, HasTimestamp: true, TSVal: 7, HasScale: true, WindowScale: 7}
	seg := make([]byte, tcp.Len())
	tcp.Put(seg)
	putCheck(seg, wire.ProtoTCP, guest, peer, wire.TCPChecksumOffset)
	inner := ipv4(wire.ProtoTCP, guest, peer, seg)

	opt := wire.Option{Class: 0xff00, Type: 1, Data: []byte("eni-0001")}
	dgram := make([]byte, wire.UDPHeaderLen+wire.GeneveHeaderLen+opt.Len(), 200)
	wire.PutGeneve(dgram[wire.UDPHeaderLen:], wire.Geneve{Protocol: wire.EtherTypeIPv4, VNI: 0x12d687}, opt.Len())
	wire.PutOption(dgram[wire.UDPHeaderLen+wire.GeneveHeaderLen:], opt)
	dgram = append(dgram, inner...)
	udp := wire.UDP{SrcPort: 50000, DstPort: wire.GenevePort}
	udp.Put(dgram, len(dgram)-wire.UDPHeaderLen)
	from, to := netip.MustParseAddr("172.16.0.1"), netip.MustParseAddr("172.16.0.2")
	putCheck(dgram, wire.ProtoUDP, from, to, wire.UDPChecksumOffset)
	return ipv4(wire.ProtoUDP, from, to, dgram)
}

func putCheck(seg []byte, proto uint8, src, dst netip.Addr, offset int) {
	binary.BigEndian.PutUint16(seg[offset:], wire.TransportChecksum(proto, src, dst, seg))
}

func ipv4(proto uint8, src, dst netip.Addr, payload []byte) []byte {
	h := wire.IPv4{TTL: 64, DF: true, Proto: proto, Src: src, Dst: dst}
	b := make([]byte, wire.IPv4HeaderLen)
	h.Put(b, len(payload))
	return append(b, payload...)
}

// tooBigFrame is an ICMPv6 packet too big that quotes a UDP datagram.
func tooBigFrame() []byte {
	router, host := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	quoted := make([]byte, wire.UDPHeaderLen+4)
	udp := wire.UDP{SrcPort: 40000, DstPort: 9}
	udp.Put(quoted, 4)
	putCheck(quoted, wire.ProtoUDP, host, router, wire.UDPChecksumOffset)
	quoted = ipv6(wire.ProtoUDP, host, router, quoted)

	icmp := wire.ICMP{Type: wire.ICMPv6PacketTooBig, MTU: 1280}
	seg := make([]byte, wire.ICMPHeaderLen)
	icmp.Put(seg)
	seg = append(seg, quoted...)
	putCheck(seg, wire.ProtoICMPv6, router, host, wire.ICMPChecksumOffset)
	return ipv6(wire.ProtoICMPv6, router, host, seg)
}

func ipv6(next uint8, src, dst netip.Addr, payload []byte) []byte {
	h := wire.IPv6{HopLimit: 64, NextHeader: next, Src: src, Dst: dst}
	b := make([]byte, wire.IPv6HeaderLen)
	h.Put(b, len(payload))
	return append(b, payload...)
}

// complaints counts the warnings and errors of tshark among a packet's expert
// severities; comments, chats and notes are below (epan/proto.h, PI_WARN).
func complaints(t *testing.T, severities string) int {
	t.Helper()
	n := 0
	for s := range strings.SplitSeq(severities, ",") {
		if s == "" {
			continue
		}
		v, err := strconv.ParseUint(s, 0, 32)
		if err != nil {
			t.Fatalf("severity %q: %v", s, err)
		}
		if v >= 0x600000 {
			n++
		}
	}
	return n
}

// Three packets on three interfaces, the second one damaged to prove that a
// wrong checksum would be seen. Checksum status 1 is good, 0 is bad.
func TestTshark(t *testing.T) {
	damaged := synFrame()
	damaged[len(damaged)-1] ^= 1 // the window scale: both transport checksums cover it
	var out bytes.Buffer
	w, err := NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1700000000, 123456789)
	for i, data := range [][]byte{synFrame(), damaged, tooBigFrame()} {
		n, err := w.AddInterface([]string{"substrate", "damaged", "six"}[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WritePacket(n, at.Add(time.Duration(i)), data, []string{"rule 1", "", "way back"}[i]); err != nil {
			t.Fatal(err)
		}
	}

	got := tshark(t, out.Bytes(), "frame.interface_name", "frame.time_epoch", "frame.comment",
		"geneve.vni", "tcp.flags.syn", "tcp.options.mss_val", "icmpv6.mtu",
		"ip.checksum.status", "udp.checksum.status", "tcp.checksum.status", "icmpv6.checksum.status",
		"_ws.malformed", "_ws.expert.severity")
	want := []struct {
		fields     string
		complaints int
	}{
		{"substrate|1700000000.123456789|rule 1|0x12d687|1|8961||1,1|1|1|||", 0},
		{"damaged|1700000000.123456790||0x12d687|1|8961||1,1|0|0|||", 2},
		{"six|1700000000.123456791|way back||||1280||1||1||", 0},
	}
	if len(got) != len(want) {
		t.Fatalf("%d packets, want %d: %q", len(got), len(want), got)
	}
	for i, w := range want {
		severities, ok := strings.CutPrefix(got[i], w.fields)
		if !ok {
			t.Errorf("packet %d\ngot  %s\nwant %s", i+1, got[i], w.fields)
		} else if n := complaints(t, severities); n != w.complaints {
			t.Errorf("packet %d: %d complaints, want %d: severities %s", i+1, n, w.complaints, severities)
		}
	}
}
