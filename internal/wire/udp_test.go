package wire

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestUDPVector(t *testing.T) {
	b := unhex("c000 17c1 000b 0000 616263 ffff")
	want := UDP{SrcPort: 49152, DstPort: GenevePort, Length: 11}
	h, payload, err := ParseUDP(b)
	if err != nil || h != want || string(payload) != "abc" || cap(payload) != 3 {
		t.Fatalf("got %+v, %q, %v", h, payload, err)
	}
	out := bytes.Repeat([]byte{0xee}, UDPHeaderLen)
	if h.Put(out, 3); !bytes.Equal(out, b[:UDPHeaderLen]) {
		t.Errorf("got %x", out)
	}
}

func TestParseUDPErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    string
		want error
	}{
		{"nothing", "", ErrShort},
		{"7 bytes", "0001 0002 0008 00", ErrShort},
		{"length below header", "0001 0002 0007 0000", ErrLength},
		{"length 0, a jumbogram", "0001 0002 0000 0000", ErrLength},
		{"beyond the end", "0001 0002 0009 0000", ErrLength},
		{"empty", "0001 0002 0008 0000", nil},
	} {
		if _, _, err := ParseUDP(unhex(tt.b)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestUDPRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "payload")
		h := UDP{
			SrcPort: rapid.Uint16().Draw(t, "sport"), DstPort: rapid.Uint16().Draw(t, "dport"),
			Length: UDPHeaderLen + len(payload),
		}
		b := make([]byte, UDPHeaderLen)
		h.Put(b, len(payload))
		got, data, err := ParseUDP(append(b, payload...))
		if err != nil || got != h || !bytes.Equal(data, payload) {
			t.Fatalf("%v\ngot  %+v %x\nwant %+v %x", err, got, data, h, payload)
		}
	})
}

func FuzzUDP(f *testing.F) {
	f.Add(unhex("0035 0035 000a a304 4869"))
	f.Add(unhex("0035 0035 0000 0000"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, payload, err := hostile(t, in, ParseUDP)
		if err != nil {
			return
		}
		out := make([]byte, UDPHeaderLen)
		h.Put(out, len(payload))
		if got, data, err := ParseUDP(append(out, payload...)); err != nil || got != h || !bytes.Equal(data, payload) {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, h)
		}
	})
}
