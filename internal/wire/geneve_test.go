package wire

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// VNI 0xabcdef, IPv4 inside, critical: two options of class 0xff00, the first
// critical with 8 bytes of data, the second with none; then two bytes.
const geneveBytes = "0440 0800 abcd ef00" +
	"ff00 8102 0102 0304 0506 0708" +
	"ff00 0200" +
	"4500"

func TestGeneveVector(t *testing.T) {
	b := unhex(geneveBytes)
	h, options, payload, err := ParseGeneve(b)
	want := Geneve{Critical: true, Protocol: EtherTypeIPv4, VNI: 0xabcdef}
	if err != nil || h != want || !bytes.Equal(payload, unhex("4500")) {
		t.Fatalf("got %+v, %x, %v", h, payload, err)
	}
	if len(options) != 16 || cap(options) != 16 {
		t.Fatalf("options: %d bytes, capacity %d", len(options), cap(options))
	}

	first, rest, err := NextOption(options)
	if err != nil || first.Class != 0xff00 || first.Type != 0x81 || !first.Critical() ||
		!bytes.Equal(first.Data, unhex("0102030405060708")) {
		t.Errorf("first option %+v, %v", first, err)
	}
	second, rest, err := NextOption(rest)
	if err != nil || second.Type != 2 || second.Critical() || len(second.Data) != 0 || len(rest) != 0 {
		t.Errorf("second option %+v, %v, %d bytes left", second, err, len(rest))
	}

	out := bytes.Repeat([]byte{0xee}, 24)
	PutGeneve(out, h, first.Len()+second.Len())
	n := GeneveHeaderLen
	n += PutOption(out[n:], first)
	n += PutOption(out[n:], second)
	if n != 24 || !bytes.Equal(out, b[:24]) {
		t.Errorf("put %d bytes: %x", n, out)
	}
}

// The options of a Gateway Load Balancer: 32 bytes, so Opt Len is 8.
func TestGeneveGWLB(t *testing.T) {
	_, options, _, err := ParseGeneve(unhex("0800 0800 0000 0000" +
		"0108 0102 1111 1111 1111 1111" + "0108 0202 2222 2222 2222 2222" + "0108 0301 3333 3333"))
	if err != nil {
		t.Fatal(err)
	}
	var types, sizes []int
	for len(options) > 0 {
		var opt Option
		if opt, options, err = NextOption(options); err != nil {
			t.Fatal(err)
		}
		types, sizes = append(types, int(opt.Type)), append(sizes, len(opt.Data))
	}
	if len(types) != 3 || types[2] != 3 || sizes[0] != 8 || sizes[1] != 8 || sizes[2] != 4 {
		t.Errorf("types %v, sizes %v", types, sizes)
	}
}

func TestParseGeneveErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    string
		want error
	}{
		{"nothing", "", ErrShort},
		{"7 bytes", "0000 0800 0000 01", ErrShort},
		{"version 1", "4000 0800 0000 0100", ErrVersion},
		{"options beyond the end", "0100 0800 0000 0100 ff0001", ErrLength},
		{"options to the end", "0100 0800 0000 0100 ff000100", nil},
		{"no options", "0080 0800 0000 0100", nil},
	} {
		if _, _, _, err := ParseGeneve(unhex(tt.b)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestNextOptionErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    string
		want error
	}{
		{"nothing", "", ErrShort},
		{"3 bytes", "ff00 01", ErrShort},
		{"data beyond the end", "ff00 0101 0000 00", ErrOption},
		{"data to the end", "ff00 0101 0000 0000", nil},
		// The three reserved bits before the length are ignored.
		{"reserved bits", "ff00 01e1 0000 0000", nil},
	} {
		if _, _, err := NextOption(unhex(tt.b)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestPutOptionPads(t *testing.T) {
	b := bytes.Repeat([]byte{0xee}, 13)
	n := PutOption(b, Option{Class: 0xff01, Type: 5, Data: []byte{1, 2, 3, 4, 5}})
	if want := unhex("ff01 0502 0102 0304 0500 0000 ee"); n != 12 || !bytes.Equal(b, want) {
		t.Errorf("%d bytes: %x", n, b)
	}
}

func TestGeneveRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Geneve{
			Control: rapid.Bool().Draw(t, "control"), Critical: rapid.Bool().Draw(t, "critical"),
			Protocol: rapid.Uint16().Draw(t, "protocol"), VNI: rapid.Uint32Range(0, 1<<24-1).Draw(t, "vni"),
		}
		b, opts := make([]byte, GeneveHeaderLen), []Option(nil)
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			opts = append(opts, Option{
				Class: rapid.Uint16().Draw(t, "class"), Type: rapid.Uint8().Draw(t, "type"),
				Data: make([]byte, 4*rapid.IntRange(0, 20).Draw(t, "words")),
			})
			o := opts[len(opts)-1]
			copy(o.Data, rapid.SliceOfN(rapid.Byte(), 0, len(o.Data)).Draw(t, "data"))
			raw := bytes.Repeat([]byte{0xee}, o.Len())
			PutOption(raw, o)
			b = append(b, raw...)
		}
		PutGeneve(b, h, len(b)-GeneveHeaderLen)
		got, options, payload, err := ParseGeneve(append(b, 0x45))
		if err != nil || got != h || len(payload) != 1 {
			t.Fatalf("got %+v, %x, %v", got, payload, err)
		}
		for _, want := range opts {
			var o Option
			if o, options, err = NextOption(options); err != nil ||
				o.Class != want.Class || o.Type != want.Type || !bytes.Equal(o.Data, want.Data) {
				t.Fatalf("got %+v, %v; want %+v", o, err, want)
			}
		}
		if len(options) != 0 {
			t.Fatalf("%d bytes of options left", len(options))
		}
	})
}

// copyOptions reads options and writes them again; the bytes must come back but
// for the reserved bits.
func copyOptions(t *testing.T, options []byte) []byte {
	var out []byte
	for len(options) > 0 {
		opt, rest, err := NextOption(options)
		if err != nil {
			return append(out, options...)
		}
		raw := make([]byte, opt.Len())
		PutOption(raw, opt)
		raw[3] |= options[3] & 0xe0
		out = append(out, raw...)
		if len(rest) >= len(options) {
			t.Fatal("NextOption does not advance")
		}
		options = rest
	}
	return out
}

func FuzzGeneve(f *testing.F) {
	f.Add(unhex(geneveBytes))
	f.Add(unhex("0200 6558 0000 0100 ff00 01e1 0000 0000"))
	f.Add(unhex("0100 0800 0000 0100 ff00 011f"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var options []byte
		h, payload, err := hostile(t, in, func(b []byte) (h Geneve, payload []byte, err error) {
			h, options, payload, err = ParseGeneve(b)
			return h, payload, err
		})
		if err != nil {
			return
		}
		if cap(options) != len(options) || GeneveHeaderLen+len(options)+len(payload) != len(in) {
			t.Fatalf("%d and %d of %d bytes", len(options), len(payload), len(in))
		}
		out := make([]byte, GeneveHeaderLen)
		PutGeneve(out, h, len(options))
		if out = append(out, copyOptions(t, options)...); !bytes.Equal(out[GeneveHeaderLen:], options) {
			t.Fatalf("options %x\nwant    %x", out[GeneveHeaderLen:], options)
		}
		got, _, data, err := ParseGeneve(append(out, payload...))
		if err != nil || got != h || !bytes.Equal(data, payload) {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, h)
		}
	})
}
