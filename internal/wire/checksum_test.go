package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// unhex reads bytes written in hex with spaces for the eye.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		panic(err)
	}
	return b
}

// naiveFold is the loop of RFC 1071 section 4.1, word by word.
func naiveFold(b []byte) uint16 {
	var s uint32
	for ; len(b) > 1; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
		s = s>>16 + s&0xffff
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return uint16(s>>16 + s&0xffff)
}

func TestSumVectors(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		want uint16
	}{
		// RFC 1071 section 3.
		{"rfc 1071", unhex("0001 f203 f4f5 f6f7"), 0xddf2},
		// An odd last byte is the high half of a word.
		{"odd", unhex("0001 f2"), 0xf201},
		{"one byte", unhex("ab"), 0xab00},
		// +0 comes only from zeros; everything else that is 0 mod 0xffff is -0.
		{"empty", nil, 0},
		{"zeros", make([]byte, 131), 0},
		{"ones", bytes.Repeat([]byte{0xff}, 256), 0xffff},
		{"complement", unhex("1234 edcb"), 0xffff},
	} {
		if got := Fold(Sum(tt.b, 0)); got != tt.want {
			t.Errorf("%s: Fold(Sum) = %#04x, want %#04x", tt.name, got, tt.want)
		}
		if got := Checksum(tt.b); got != ^tt.want {
			t.Errorf("%s: Checksum = %#04x, want %#04x", tt.name, got, ^tt.want)
		}
	}
}

// Sums that carry again at each step of the folding.
func TestFoldCarries(t *testing.T) {
	for _, tt := range []struct {
		acc  uint64
		want uint16
	}{
		{0, 0}, {0xffff, 0xffff}, {0x10000, 1}, {0xffff_ffff, 0xffff}, {0x1_ffff_0000, 1},
		{0xffff_0001_ffff_ffff, 1}, {0xffff_ffff_ffff_0001, 1}, {0xffff_ffff_ffff_ffff, 0xffff},
	} {
		if got := Fold(tt.acc); got != tt.want {
			t.Errorf("Fold(%#x) = %#04x, want %#04x", tt.acc, got, tt.want)
		}
	}
}

// Every length around the unrolled loop, with the words that make most carries.
func TestSumEveryLength(t *testing.T) {
	ones, ramp := bytes.Repeat([]byte{0xff}, 300), make([]byte, 300)
	for i := range ramp {
		ramp[i] = byte(i*7 + 1)
	}
	for _, b := range [][]byte{ones, ramp} {
		for n := range b {
			if got, want := Fold(Sum(b[:n], 0)), naiveFold(b[:n]); got != want {
				t.Fatalf("%d bytes: %#04x, want %#04x", n, got, want)
			}
		}
	}
}

func TestSumIsNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "b")
		if got, want := Fold(Sum(b, 0)), naiveFold(b); got != want {
			t.Fatalf("%#04x, want %#04x", got, want)
		}
		// Pieces add up, when all but the last are even.
		at := rapid.IntRange(0, len(b)/2).Draw(t, "at") * 2
		if got, want := Fold(Sum(b[at:], Sum(b[:at], 0))), naiveFold(b); got != want {
			t.Fatalf("cut at %d: %#04x, want %#04x", at, got, want)
		}
		// An accumulator of any size counts modulo 0xffff.
		acc := rapid.Uint64().Draw(t, "acc")
		want := naiveFold(append(binary.BigEndian.AppendUint64(nil, acc), b...))
		if got := Fold(Sum(b, acc)); got != want {
			t.Fatalf("acc %#x: %#04x, want %#04x", acc, got, want)
		}
	})
}

// The pseudo-header is summed as if its bytes stood before the segment.
func TestPseudoSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		proto, n := rapid.Uint8().Draw(t, "proto"), rapid.IntRange(0, 65535).Draw(t, "n")
		src, dst := genAddr4().Draw(t, "src"), genAddr4().Draw(t, "dst")
		pseudo := append(append(src.AsSlice(), dst.AsSlice()...), 0, proto, byte(n>>8), byte(n))
		if got, want := Fold(PseudoSum(proto, src, dst, n)), naiveFold(pseudo); got != want {
			t.Fatalf("IPv4: %#04x, want %#04x", got, want)
		}
		src, dst = genAddr6().Draw(t, "src6"), genAddr6().Draw(t, "dst6")
		pseudo = append(append(src.AsSlice(), dst.AsSlice()...), 0, 0, byte(n>>8), byte(n), 0, 0, 0, proto)
		if got, want := Fold(PseudoSum(proto, src, dst, n)), naiveFold(pseudo); got != want {
			t.Fatalf("IPv6: %#04x, want %#04x", got, want)
		}
	})
}

func TestTransportChecksumVectors(t *testing.T) {
	for _, tt := range []struct {
		name     string
		proto    uint8
		src, dst string
		segment  string // checksum in place
		offset   int
	}{
		// By hand: 0a00+0001+0a00+0002 + 0011+000a + 0035+0035+000a+4869 = 5cfb.
		{"udp4", ProtoUDP, "10.0.0.1", "10.0.0.2", "0035 0035 000a a304 4869", UDPChecksumOffset},
		// By hand: (20010db8+0001)+(20010db8+0002) = 5b75, +0011+0009+2*0035+0009+6100 = bd02.
		{"udp6, odd length", ProtoUDP, "2001:db8::1", "2001:db8::2", "0035 0035 0009 42fd 61", UDPChecksumOffset},
		// By hand: 0a00+0001+0a00+0002 + 0006+0014 + 9c40+0050+0001+5002+ffff = 200af, which folds to 00b1.
		{"tcp4 syn", ProtoTCP, "10.0.0.1", "10.0.0.2",
			"9c40 0050 0000 0001 0000 0000 5002 ffff ff4e 0000", TCPChecksumOffset},
		// Echo request, no pseudo-header: 0800+1234+0001 = 1a35.
		{"icmp4", ProtoICMP, "10.0.0.1", "10.0.0.2", "0800 e5ca 1234 0001", ICMPChecksumOffset},
		// Echo request of IPv6, with it: 5b75 + 003a+0008 + 8000+1234+0001 = edec.
		{"icmp6", ProtoICMPv6, "2001:db8::1", "2001:db8::2", "8000 1213 1234 0001", ICMPChecksumOffset},
	} {
		src, dst, seg := netip.MustParseAddr(tt.src), netip.MustParseAddr(tt.dst), unhex(tt.segment)
		if !VerifyTransport(tt.proto, src, dst, seg) {
			t.Errorf("%s: VerifyTransport is false", tt.name)
		}
		field := seg[tt.offset:]
		want := binary.BigEndian.Uint16(field)
		binary.BigEndian.PutUint16(field, 0)
		if got := TransportChecksum(tt.proto, src, dst, seg); got != want {
			t.Errorf("%s: checksum %#04x, want %#04x", tt.name, got, want)
		}
		binary.BigEndian.PutUint16(field, want^1)
		if VerifyTransport(tt.proto, src, dst, seg) {
			t.Errorf("%s: VerifyTransport passes a wrong checksum", tt.name)
		}
	}
}

// RFC 768: a computed 0 is sent as 0xffff, and 0 says that there is none, which
// RFC 8200 section 8.1 takes away.
func TestUDPChecksumZero(t *testing.T) {
	src, dst := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	seg := unhex("0035 0035 000a 0000 eb6d") // the data makes the sum 0xffff
	if got := TransportChecksum(ProtoUDP, src, dst, seg); got != 0xffff {
		t.Fatalf("checksum %#04x, want 0xffff", got)
	}
	if !VerifyTransport(ProtoUDP, src, dst, seg) {
		t.Error("over IPv4 a UDP checksum of 0 must pass")
	}
	src6, dst6 := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	if VerifyTransport(ProtoUDP, src6, dst6, seg) {
		t.Error("over IPv6 a UDP checksum of 0 must not pass")
	}
	binary.BigEndian.PutUint16(seg[UDPChecksumOffset:], 0xffff)
	if !VerifyTransport(ProtoUDP, src, dst, seg) {
		t.Error("0xffff must verify")
	}
}

func TestVerifyTransportShort(t *testing.T) {
	src := netip.MustParseAddr("10.0.0.1")
	for n := range 3 {
		if VerifyTransport(ProtoUDP, src, src, make([]byte, n)) {
			t.Errorf("%d zero bytes verify", n)
		}
	}
}

// RFC 1624 section 4: equation 2 gives 0xffff here, equation 3 the right 0x0000.
func TestUpdateChecksumRFC1624(t *testing.T) {
	if got := UpdateChecksum(0xdd2f, unhex("5555"), unhex("3285")); got != 0x0000 {
		t.Fatalf("%#04x, want 0x0000", got)
	}
}

// A rewritten word gives the checksum that a full recomputation gives. Words are
// drawn from few values so that 0x0000 and 0xffff come up on both sides.
func TestUpdateChecksumIsRecomputed(t *testing.T) {
	word := rapid.OneOf(rapid.SampledFrom([]uint16{0, 0xffff, 1, 0xfffe}), rapid.Uint16())
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(word, 1, 10).Draw(t, "words")
		// A header is never all zeros, before or after: there the two disagree
		// about the sign of zero.
		b := []byte{0x45, 0}
		for _, w := range words {
			b = binary.BigEndian.AppendUint16(b, w)
		}
		from := rapid.IntRange(1, len(words)).Draw(t, "from")
		to := rapid.IntRange(from, len(words)).Draw(t, "to")
		before, old := Checksum(b), bytes.Clone(b[2*from:2*to+2])
		for i := from; i <= to; i++ {
			binary.BigEndian.PutUint16(b[2*i:], word.Draw(t, "new"))
		}
		if got, want := UpdateChecksum(before, old, b[2*from:2*to+2]), Checksum(b); got != want {
			t.Fatalf("updated %#04x, recomputed %#04x", got, want)
		}
	})
}

// The corner of RFC 1624 in full: every word against the values where one's
// complement has two zeros.
func TestUpdateChecksumCorners(t *testing.T) {
	b := unhex("4500 0000 0000")
	for _, rest := range []uint16{0, 0xbaff} {
		for m := range 1 << 16 {
			for _, next := range []uint16{0, 0xbaff, 0xffff, uint16(m)} {
				binary.BigEndian.PutUint16(b[4:], rest)
				binary.BigEndian.PutUint16(b[2:], uint16(m))
				before, old := Checksum(b), [2]byte(b[2:4])
				binary.BigEndian.PutUint16(b[2:], next)
				if got, want := UpdateChecksum(before, old[:], b[2:4]), Checksum(b); got != want {
					t.Fatalf("%#04x to %#04x beside %#04x: %#04x, want %#04x", m, next, rest, got, want)
				}
			}
		}
	}
}

// The largest change that there is, that of an address of IPv6 and a port, from zeros to ones
// and back, loses no carry.
func TestLargestChange(t *testing.T) {
	zeros, ones := make([]byte, 18), bytes.Repeat([]byte{0xff}, 18)
	for check := range 1 << 16 {
		for _, way := range [][2][]byte{{zeros, ones}, {ones, zeros}, {ones, ones}, {zeros, zeros}} {
			sum := uint64(^uint16(check))
			for i := 0; i < 18; i += 2 {
				sum += uint64(^binary.BigEndian.Uint16(way[0][i:])) + uint64(binary.BigEndian.Uint16(way[1][i:]))
			}
			if got, want := UpdateChecksum(uint16(check), way[0], way[1]), ^Fold(sum); got != want {
				t.Fatalf("%#04x from %x: %#04x, want %#04x", check, way[0][0], got, want)
			}
		}
	}
}

// What a NAT does: address and port rewritten, the datagram still verifies and
// its checksum is the one that a sender would have written.
func TestUpdateUDPChecksum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src, dst, nat := genAddr4().Draw(t, "src"), genAddr4().Draw(t, "dst"), genAddr4().Draw(t, "nat")
		data := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "data")
		h := UDP{SrcPort: rapid.Uint16().Draw(t, "sport"), DstPort: rapid.Uint16().Draw(t, "dport")}
		seg := make([]byte, UDPHeaderLen+len(data))
		h.Put(seg, len(data))
		copy(seg[UDPHeaderLen:], data)
		check := TransportChecksum(ProtoUDP, src, dst, seg)

		port := [2]byte(seg[:2])
		binary.BigEndian.PutUint16(seg, rapid.Uint16().Draw(t, "natport"))
		want := TransportChecksum(ProtoUDP, nat, dst, seg)
		check = UpdateUDPChecksum(check, src.AsSlice(), nat.AsSlice())
		if check = UpdateUDPChecksum(check, port[:], seg[:2]); check != want {
			t.Fatalf("updated %#04x, recomputed %#04x", check, want)
		}
	})
	if got := UpdateUDPChecksum(0, []byte{1, 2}, []byte{3, 4}); got != 0 {
		t.Errorf("no checksum became %#04x", got)
	}
	// 0xebeb is what is missing to make the sum 0xffff and the checksum 0.
	if got := UpdateUDPChecksum(^uint16(0x1414), unhex("0000"), unhex("ebeb")); got != 0xffff {
		t.Errorf("a result of 0 was given as %#04x, want 0xffff", got)
	}
}

func genAddr4() *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "addr4")))
	})
}

func genAddr6() *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "addr6")))
	})
}

var sink uint64

// BenchmarkSum reports beside the speed how many times faster than the naive
// loop it is, measured in the same run.
func BenchmarkSum(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"20", 20}, {"1480", 1480}, {"9000", 9000}} {
		buf := bytes.Repeat([]byte{0x5a, 0xc3, 0x17}, size.n/3+1)[:size.n]
		b.Run(size.name, func(b *testing.B) {
			b.SetBytes(int64(size.n))
			for b.Loop() {
				sink += Sum(buf, 0)
			}
			fast := b.Elapsed()
			start := time.Now()
			for range b.N {
				sink += uint64(naiveFold(buf))
			}
			b.ReportMetric(float64(time.Since(start))/float64(fast), "x-naive")
		})
	}
}
