package wire

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// The header of TestIPv4Example with a payload of six bytes instead of 95: the
// total length is 0x59 less, so the checksum is 0x59 more.
const ipv4Bytes = "4500 001a 0000 4000 4011 b8ba c0a8 0001 c0a8 00c7"

func ipv4Header() IPv4 {
	return IPv4{
		TTL: 64, Proto: ProtoUDP, DF: true,
		Src: netip.MustParseAddr("192.168.0.1"), Dst: netip.MustParseAddr("192.168.0.199"),
		HeaderLen: 20, TotalLen: 26,
	}
}

func TestParseIPv4(t *testing.T) {
	b := append(unhex(ipv4Bytes), "hello!, and padding of the link"...)
	h, payload, err := ParseIPv4(b)
	if err != nil || h != ipv4Header() {
		t.Fatalf("got %+v, %v", h, err)
	}
	if string(payload) != "hello!" || cap(payload) != 6 {
		t.Errorf("payload %q, capacity %d", payload, cap(payload))
	}
}

func TestPutIPv4(t *testing.T) {
	h, b := ipv4Header(), bytes.Repeat([]byte{0xee}, IPv4HeaderLen+2)
	h.Put(b, 6)
	if want := append(unhex(ipv4Bytes), 0xee, 0xee); !bytes.Equal(b, want) {
		t.Errorf("got  %x\nwant %x", b, want)
	}
}

// The classic worked example, a header whose checksum is b861.
func TestIPv4Example(t *testing.T) {
	b := append(unhex("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7"), make([]byte, 95)...)
	h, payload, err := ParseIPv4(b)
	if err != nil || h.TotalLen != 115 || len(payload) != 95 {
		t.Fatalf("%+v, %d bytes, %v", h, len(payload), err)
	}
	again := make([]byte, IPv4HeaderLen)
	if h.Put(again, 95); !bytes.Equal(again, b[:IPv4HeaderLen]) {
		t.Errorf("got %x", again)
	}
}

// withSum puts a correct header checksum over the whole of b.
func withSum(b []byte) []byte {
	b[10], b[11] = 0, 0
	sum := Checksum(b)
	b[10], b[11] = byte(sum>>8), byte(sum)
	return b
}

func TestParseIPv4Errors(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrShort},
		{"19 bytes", unhex(ipv4Bytes)[:19], ErrShort},
		{"version 6", unhex("6500 0014 0000 0000 4011 0000 00000000 00000000"), ErrVersion},
		{"header of 16", withSum(unhex("4400 0014 0000 0000 4011 0000 00000000 00000000")), ErrLength},
		{"options missing", withSum(unhex("4600 0018 0000 0000 4011 0000 00000000 00000000")), ErrLength},
		{"total below header", withSum(unhex("4500 0013 0000 0000 4011 0000 00000000 00000000")), ErrLength},
		{"total beyond the end", unhex(ipv4Bytes), ErrLength},
		{"bad checksum", unhex("4500 0014 0000 0000 4011 0001 00000000 00000000"), ErrChecksum},
		// Siblings that pass: no payload; options, which are stepped over.
		{"no payload", withSum(unhex("4500 0014 0000 0000 4011 0000 00000000 00000000")), nil},
		{"options", withSum(unhex("4600 0018 0000 0000 4011 0000 00000000 00000000 01010100")), nil},
	} {
		h, payload, err := ParseIPv4(tt.b)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if err != nil && (h != IPv4{} || payload != nil) {
			t.Errorf("%s: a result beside the error", tt.name)
		}
	}
}

func TestIPv4Fragments(t *testing.T) {
	h, b := ipv4Header(), make([]byte, IPv4HeaderLen)
	h.DF, h.MF, h.FragOffset = false, true, 65528 // the largest: 13 bits of 8 bytes
	h.Put(b, 0)
	if b[6] != 0x3f || b[7] != 0xff {
		t.Errorf("flags and offset %x, want 3fff", b[6:8])
	}
	if got, _, err := ParseIPv4(b); err != nil || !got.MF || got.DF || got.FragOffset != 65528 {
		t.Errorf("got %+v, %v", got, err)
	}
	h.FragOffset = 15
	h.Put(b, 0)
	if got, _, _ := ParseIPv4(b); got.FragOffset != 8 {
		t.Errorf("offset 15 became %d, want 8", got.FragOffset)
	}
}

func TestPutIPv4ZeroAddr(t *testing.T) {
	b := bytes.Repeat([]byte{0xee}, IPv4HeaderLen)
	(&IPv4{TTL: 1}).Put(b, 0)
	h, _, err := ParseIPv4(b)
	if zero := netip.IPv4Unspecified(); err != nil || h.Src != zero || h.Dst != zero {
		t.Errorf("got %+v, %v", h, err)
	}
}

func TestIPv4RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "payload")
		h := IPv4{
			TOS: rapid.Uint8().Draw(t, "tos"), TTL: rapid.Uint8().Draw(t, "ttl"), Proto: rapid.Uint8().Draw(t, "proto"),
			ID: rapid.Uint16().Draw(t, "id"), DF: rapid.Bool().Draw(t, "df"), MF: rapid.Bool().Draw(t, "mf"),
			FragOffset: rapid.Uint16Range(0, 8191).Draw(t, "offset") * 8,
			Src:        genAddr4().Draw(t, "src"), Dst: genAddr4().Draw(t, "dst"),
			HeaderLen: IPv4HeaderLen, TotalLen: IPv4HeaderLen + len(payload),
		}
		b := make([]byte, IPv4HeaderLen, h.TotalLen)
		h.Put(b, len(payload))
		got, data, err := ParseIPv4(append(b, payload...))
		if err != nil || got != h || !bytes.Equal(data, payload) {
			t.Fatalf("%v\ngot  %+v %x\nwant %+v %x", err, got, data, h, payload)
		}
		// One bit wrong in the header is found, by the checksum at the latest.
		bit := rapid.IntRange(0, IPv4HeaderLen*8-1).Draw(t, "bit")
		b[bit/8] ^= 1 << (bit % 8)
		if _, _, err := ParseIPv4(b[:cap(b)]); err == nil {
			t.Fatalf("bit %d flipped and parsed", bit)
		}
	})
}

// hostile calls parse with in where reading past the end can be seen: before two
// different kinds of bytes behind the slice.
func hostile[T comparable](t *testing.T, in []byte, parse func([]byte) (T, []byte, error)) (T, []byte, error) {
	t.Helper()
	zeros := append(bytes.Clone(in), make([]byte, 300)...)
	ones := append(bytes.Clone(in), bytes.Repeat([]byte{0xff}, 300)...)
	h, payload, err := parse(zeros[:len(in)])
	h2, payload2, err2 := parse(ones[:len(in)])
	if h != h2 || err != err2 || !bytes.Equal(payload, payload2) {
		t.Fatalf("depends on bytes past the end:\n%+v %v\n%+v %v", h, err, h2, err2)
	}
	if cap(payload) != len(payload) {
		t.Fatal("payload has spare capacity")
	}
	if len(payload) > len(in) || (err != nil && payload != nil) {
		t.Fatalf("payload of %d bytes, error %v", len(payload), err)
	}
	return h, payload, err
}

func FuzzIPv4(f *testing.F) {
	f.Add(unhex(ipv4Bytes + "0102 0304 0506"))
	f.Add(withSum(unhex("4600 0018 1234 2fff 4006 0000 0a000001 0a000002 01010100")))
	f.Add([]byte{0x45})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) >= IPv4HeaderLen { // else nearly nothing gets past the checksum
			in = bytes.Clone(in)
			n := min(max(int(in[0]&0xf)*4, IPv4HeaderLen), len(in))
			if in[1]&1 == 0 {
				withSum(in[:n:n])
			}
		}
		h, payload, err := hostile(t, in, ParseIPv4)
		if err != nil {
			return
		}
		out := make([]byte, IPv4HeaderLen)
		h.Put(out, len(payload))
		h.HeaderLen, h.TotalLen = IPv4HeaderLen, IPv4HeaderLen+len(payload)
		if got, data, err := ParseIPv4(append(out, payload...)); err != nil || got != h || !bytes.Equal(data, payload) {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, h)
		}
	})
}

func TestNoAllocations(t *testing.T) {
	ip, tcp, b := ipv4Header(), synHeader(), make([]byte, 100)
	geneve := unhex(geneveBytes)
	n := testing.AllocsPerRun(100, func() {
		ip.Put(b, tcp.Len())
		tcp.Put(b[IPv4HeaderLen:])
		h, seg, _ := ParseIPv4(b)
		_, _, _ = ParseTCP(seg)
		sink += uint64(TransportChecksum(ProtoTCP, h.Src, h.Dst, seg))
		_, _, _ = ParseIPv4(b[:7])
		_, options, _, _ := ParseGeneve(geneve)
		for len(options) > 0 {
			_, options, _ = NextOption(options)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What a receiver does with each segment, less the checksum of the payload.
func BenchmarkParse(b *testing.B) {
	ip, tcp, buf := ipv4Header(), dataHeader(), make([]byte, 100)
	ip.Put(buf, tcp.Len())
	tcp.Put(buf[IPv4HeaderLen:])
	b.ReportAllocs()
	for b.Loop() {
		_, seg, _ := ParseIPv4(buf)
		h, _, _ := ParseTCP(seg)
		sink += uint64(h.Seq)
	}
}

// What a sender does with each segment, less the checksum of the payload.
func BenchmarkPut(b *testing.B) {
	ip, tcp, buf := ipv4Header(), dataHeader(), make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		ip.Put(buf, tcp.Len())
		tcp.Put(buf[IPv4HeaderLen:])
	}
}
