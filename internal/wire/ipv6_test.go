package wire

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// Traffic class 0xb8 (expedited forwarding), flow label 0x12345, TCP, 64 hops.
const ipv6Bytes = "6b81 2345 0003 0640" +
	"2001 0db8 0000 0000 0000 0000 0000 0001" +
	"2001 0db8 0000 0000 0000 0000 0000 0002"

func ipv6Header() IPv6 {
	return IPv6{
		TrafficClass: 0xb8, FlowLabel: 0x12345, NextHeader: ProtoTCP, HopLimit: 64,
		Src: netip.MustParseAddr("2001:db8::1"), Dst: netip.MustParseAddr("2001:db8::2"),
		PayloadLen: 3,
	}
}

func TestParseIPv6(t *testing.T) {
	h, payload, err := ParseIPv6(append(unhex(ipv6Bytes), "abc and more"...))
	if err != nil || h != ipv6Header() || string(payload) != "abc" || cap(payload) != 3 {
		t.Fatalf("got %+v, %q, %v", h, payload, err)
	}
}

func TestPutIPv6(t *testing.T) {
	h, b := ipv6Header(), bytes.Repeat([]byte{0xee}, IPv6HeaderLen+1)
	h.Put(b, 3)
	if want := append(unhex(ipv6Bytes), 0xee); !bytes.Equal(b, want) {
		t.Errorf("got  %x\nwant %x", b, want)
	}
	// The 21st bit of the flow label must not run into the traffic class, and a
	// zone has no place on the wire.
	h.FlowLabel |= 1 << 20
	h.Src = h.Src.WithZone("eth0")
	if h.Put(b, 3); !bytes.Equal(b[:IPv6HeaderLen], unhex(ipv6Bytes)) {
		t.Errorf("got %x", b)
	}
}

func TestParseIPv6Errors(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrShort},
		{"39 bytes", unhex(ipv6Bytes)[:39], ErrShort},
		{"version 4", append([]byte{0x45}, make([]byte, 39)...), ErrVersion},
		{"payload beyond the end", append(unhex(ipv6Bytes), 1, 2), ErrLength},
		{"payload to the end", append(unhex(ipv6Bytes), 1, 2, 3), nil},
	} {
		if _, _, err := ParseIPv6(tt.b); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestIPv6RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "payload")
		h := IPv6{
			TrafficClass: rapid.Uint8().Draw(t, "class"), HopLimit: rapid.Uint8().Draw(t, "hops"),
			NextHeader: rapid.Uint8().Draw(t, "next"), FlowLabel: rapid.Uint32Range(0, 0xfffff).Draw(t, "label"),
			Src: genAddr6().Draw(t, "src"), Dst: genAddr6().Draw(t, "dst"), PayloadLen: len(payload),
		}
		b := make([]byte, IPv6HeaderLen)
		h.Put(b, len(payload))
		got, data, err := ParseIPv6(append(b, payload...))
		if err != nil || got != h || !bytes.Equal(data, payload) {
			t.Fatalf("%v\ngot  %+v %x\nwant %+v %x", err, got, data, h, payload)
		}
	})
}

func FuzzIPv6(f *testing.F) {
	f.Add(unhex(ipv6Bytes + "010203"))
	f.Add(unhex(ipv6Bytes))
	f.Add([]byte{0x60})
	f.Fuzz(func(t *testing.T, in []byte) {
		h, payload, err := hostile(t, in, ParseIPv6)
		if err != nil {
			return
		}
		// Nothing of the fixed header is lost, so the bytes come back too.
		out := make([]byte, IPv6HeaderLen)
		if h.Put(out, len(payload)); !bytes.Equal(out, in[:IPv6HeaderLen]) {
			t.Fatalf("got  %x\nwant %x", out, in[:IPv6HeaderLen])
		}
	})
}
