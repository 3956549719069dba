package wire

import (
	"errors"
	"testing"
)

func TestUpper(t *testing.T) {
	for _, tt := range []struct {
		rule    string
		first   uint8
		payload string
		want    Upper
		err     error
	}{
		// RFC 8200, 4.1: extension headers stand between the fixed header and the
		// transport, in any number; one that is not known ends what can be read.
		{"no extension", ProtoTCP, "", Upper{Proto: ProtoTCP, NamedAt: 6}, nil},
		{"hop-by-hop options", ProtoHopByHop, "1100 0104 0000 0000 aa", Upper{Proto: ProtoUDP, Offset: 8, NamedAt: 40}, nil},
		{"destination options, 16 bytes", ProtoDestOptions, "0601 010c 0000 0000 0000 0000 0000 0000", Upper{Proto: ProtoTCP, Offset: 16, NamedAt: 40}, nil},
		{"a chain of three", ProtoHopByHop, "3c00 0104 0000 0000 2b00 0104 0000 0000 3a00 0000 0000 0000", Upper{Proto: ProtoICMPv6, Offset: 24, NamedAt: 56}, nil},
		{"no next header", ProtoNoNextHeader, "aabb", Upper{Proto: ProtoNoNextHeader, NamedAt: 6}, nil},
		{"an unknown one, authentication", ProtoHopByHop, "3300 0104 0000 0000 0604", Upper{Proto: 51, Offset: 8, NamedAt: 40}, nil},

		// 4.4: a packet that has still nodes to visit is for those.
		{"a routing header that is used up", ProtoRouting, "0602 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000", Upper{Proto: ProtoTCP, Offset: 24, NamedAt: 40}, nil},
		{"a routing header with nodes to visit", ProtoRouting, "0602 0001 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000", Upper{Proto: ProtoRouting, NamedAt: 6}, ErrRouting},

		// 4.5: only the first fragment has the transport's header.
		{"an atomic fragment", ProtoFragment, "0600 0000 1234 5678", Upper{Proto: ProtoTCP, Offset: 8, NamedAt: 40, FragmentAt: 40, fragmentNamedAt: 6}, nil},
		{"a first fragment", ProtoFragment, "1100 0001 1234 5678", Upper{Proto: ProtoUDP, Offset: 8, NamedAt: 40, MF: true, FragmentAt: 40, fragmentNamedAt: 6}, nil},
		{"a later one, of data that look like options", ProtoFragment, "3c00 05a9 1234 5678 00", Upper{Proto: ProtoDestOptions, Offset: 8, NamedAt: 40, FragOffset: 1448, MF: true, FragmentAt: 40, fragmentNamedAt: 6}, nil},
		{"a fragment of fragments", ProtoFragment, "2c00 0001 1234 5678 1100 0008 0000 0001", Upper{Proto: ProtoFragment, Offset: 8, NamedAt: 40, MF: true, FragmentAt: 40, fragmentNamedAt: 6}, nil},

		{"options cut short", ProtoHopByHop, "0600 0104 0000 00", Upper{Proto: ProtoHopByHop, NamedAt: 6}, ErrShort},
		{"nothing where a header was announced", ProtoDestOptions, "", Upper{Proto: ProtoDestOptions, NamedAt: 6}, ErrShort},
		{"options longer than the packet", ProtoHopByHop, "0601 0104 0000 0000", Upper{Proto: ProtoHopByHop, NamedAt: 6}, ErrLength},
		{"a fragment header cut short", ProtoFragment, "0600 0000", Upper{Proto: ProtoFragment, NamedAt: 6}, ErrShort},
	} {
		h := IPv6{NextHeader: tt.first}
		got, err := h.Upper(unhex(tt.payload))
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %+v, %v, want %+v, %v", tt.rule, got, err, tt.want, tt.err)
		}
	}
}

func FuzzUpper(f *testing.F) {
	f.Add(ProtoHopByHop, unhex("3c00 0104 0000 0000 2c00 0104 0000 0000 0600 0001 1234 5678 00"))
	f.Add(ProtoRouting, unhex("0602 0001 0000 0000"))
	f.Fuzz(func(t *testing.T, first uint8, payload []byte) {
		h := IPv6{NextHeader: first}
		if u, _ := h.Upper(payload); u.Offset > len(payload) || u.Offset%8 != 0 || u.FragOffset%8 != 0 || u.NamedAt > IPv6HeaderLen+u.Offset {
			t.Fatalf("%+v of %d bytes", u, len(payload))
		}
	})
}
