package wire

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestICMPVectors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header ICMP
		bytes  string
	}{
		{"echo request", ICMP{Type: ICMPEchoRequest, ID: 0x1234, Seq: 1}, "0800 0000 1234 0001"},
		{"echo reply", ICMP{Type: ICMPEchoReply, ID: 0x1234, Seq: 1}, "0000 0000 1234 0001"},
		{"port unreachable", ICMP{Type: ICMPUnreachable, Code: ICMPPortUnreachable}, "0303 0000 0000 0000"},
		{"host unreachable", ICMP{Type: ICMPUnreachable, Code: ICMPHostUnreachable}, "0301 0000 0000 0000"},
		{"admin prohibited", ICMP{Type: ICMPUnreachable, Code: ICMPAdminProhibited}, "030d 0000 0000 0000"},
		{"time exceeded", ICMP{Type: ICMPTimeExceeded}, "0b00 0000 0000 0000"},
		// RFC 1191 section 4: the MTU is the low half of the word.
		{"fragmentation needed", ICMP{Type: ICMPUnreachable, Code: ICMPFragNeeded, MTU: 1500}, "0304 0000 0000 05dc"},
		// RFC 4443 section 3.2: the MTU is the whole word.
		{"packet too big", ICMP{Type: ICMPv6PacketTooBig, MTU: 0x00012345}, "0200 0000 0001 2345"},
		{"v6 echo request", ICMP{Type: ICMPv6EchoRequest, ID: 7, Seq: 9}, "8000 0000 0007 0009"},
		{"v6 echo reply", ICMP{Type: ICMPv6EchoReply, ID: 7, Seq: 9}, "8100 0000 0007 0009"},
		{"v6 port unreachable", ICMP{Type: ICMPv6Unreachable, Code: ICMPv6PortUnreachable}, "0104 0000 0000 0000"},
		// RFC 792: the pointer is the first byte of the word; RFC 4443 section 3.4: all of it.
		{"parameter problem", ICMP{Type: ICMPParameterProblem, Pointer: 20}, "0c00 0000 1400 0000"},
		{"v6 parameter problem", ICMP{Type: ICMPv6ParameterProblem, Code: ICMPv6BadNextHeader, Pointer: 6}, "0401 0000 0000 0006"},
		{"v6 time exceeded", ICMP{Type: ICMPv6TimeExceeded}, "0300 0000 0000 0000"},
	} {
		want := unhex(tt.bytes)
		b := bytes.Repeat([]byte{0xee}, ICMPHeaderLen)
		if tt.header.Put(b); !bytes.Equal(b, want) {
			t.Errorf("%s: put %x, want %x", tt.name, b, want)
		}
		h, payload, err := ParseICMP(append(want, "quoted"...))
		if err != nil || h != tt.header || string(payload) != "quoted" {
			t.Errorf("%s: parsed %+v, %q, %v", tt.name, h, payload, err)
		}
	}
}

// Fields that a type does not have neither leave nor arrive.
func TestICMPUnusedFields(t *testing.T) {
	b := make([]byte, ICMPHeaderLen)
	h := ICMP{Type: ICMPUnreachable, Code: ICMPPortUnreachable, ID: 1, Seq: 2, MTU: 3}
	if h.Put(b); !bytes.Equal(b, unhex("0303 0000 0000 0000")) {
		t.Errorf("put %x", b)
	}
	want := ICMP{Type: ICMPUnreachable, Code: ICMPPortUnreachable}
	if got, _, err := ParseICMP(unhex("0303 0000 1234 5678")); err != nil || got != want {
		t.Errorf("parsed %+v, %v", got, err)
	}
	h = ICMP{Type: ICMPUnreachable, Code: ICMPFragNeeded, MTU: 0x105dc}
	if h.Put(b); !bytes.Equal(b, unhex("0304 0000 0000 05dc")) {
		t.Errorf("an MTU of 17 bits: put %x", b)
	}
}

func TestParseICMPShort(t *testing.T) {
	for n := range ICMPHeaderLen {
		if _, _, err := ParseICMP(make([]byte, n)); !errors.Is(err, ErrShort) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, _, err := ParseICMP(make([]byte, ICMPHeaderLen)); err != nil {
		t.Error(err)
	}
}

func genICMP() *rapid.Generator[ICMP] {
	return rapid.Custom(func(t *rapid.T) ICMP {
		h := ICMP{Code: rapid.Uint8Range(0, 13).Draw(t, "code")}
		h.Type = rapid.SampledFrom([]uint8{0, 1, 2, 3, 4, 8, 11, 12, 128, 129, 255}).Draw(t, "type")
		switch {
		case h.IsEcho():
			h.ID, h.Seq = rapid.Uint16().Draw(t, "id"), rapid.Uint16().Draw(t, "seq")
		case h.Type == ICMPUnreachable && h.Code == ICMPFragNeeded:
			h.MTU = uint32(rapid.Uint16().Draw(t, "mtu"))
		case h.Type == ICMPv6PacketTooBig:
			h.MTU = rapid.Uint32().Draw(t, "mtu")
		case h.Type == ICMPParameterProblem:
			h.Pointer = uint32(rapid.Uint8().Draw(t, "pointer"))
		case h.Type == ICMPv6ParameterProblem:
			h.Pointer = rapid.Uint32().Draw(t, "pointer")
		}
		return h
	})
}

func TestICMPRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, payload := genICMP().Draw(t, "h"), rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "payload")
		b := bytes.Repeat([]byte{0xee}, ICMPHeaderLen)
		h.Put(b)
		got, data, err := ParseICMP(append(b, payload...))
		if err != nil || got != h || !bytes.Equal(data, payload) {
			t.Fatalf("%v\ngot  %+v %x\nwant %+v %x", err, got, data, h, payload)
		}
	})
}

func FuzzICMP(f *testing.F) {
	f.Add(unhex("0800 e5ca 1234 0001"))
	f.Add(unhex("0304 0000 ffff 05dc 4500"))
	f.Add(unhex("0200 0000 0001 2345"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, payload, err := hostile(t, in, ParseICMP)
		if err != nil {
			return
		}
		out := make([]byte, ICMPHeaderLen)
		h.Put(out)
		if got, data, err := ParseICMP(append(out, payload...)); err != nil || got != h || !bytes.Equal(data, payload) {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, h)
		}
	})
}
