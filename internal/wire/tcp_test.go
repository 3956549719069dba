package wire

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// A SYN as Linux sends it: MSS, SACK permitted, timestamps, NOP, window scale.
const synBytes = "9c40 01bb 0000 0001 0000 0000 a002 ffff 0000 0000" +
	"0204 2301 0402 080a 0000 0007 0000 0000 0103 0307"

func synHeader() TCP {
	return TCP{
		SrcPort: 40000, DstPort: 443, Seq: 1, Flags: SYN, Window: 65535,
		MSS: 8961, SACKPermitted: true, HasTimestamp: true, TSVal: 7, HasScale: true, WindowScale: 7,
	}
}

// A segment of an established connection: NOP, NOP, timestamps.
const dataBytes = "9c40 01bb 0000 0002 0000 0005 8018 0200 0000 0000" +
	"0101 080a 0000 0009 0000 0008"

func dataHeader() TCP {
	return TCP{
		SrcPort: 40000, DstPort: 443, Seq: 2, Ack: 5, Flags: PSH | ACK, Window: 512,
		HasTimestamp: true, TSVal: 9, TSEcr: 8,
	}
}

func TestTCPVectors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header TCP
		bytes  string
		text   string
	}{
		{"syn", synHeader(), synBytes,
			"SYN seq 1 ack 0 win 65535 mss 8961 sackOK TS val 7 ecr 0 wscale 7"},
		{"data", dataHeader(), dataBytes, "PSH,ACK seq 2 ack 5 win 512 TS val 9 ecr 8"},
		// Without timestamps SACK permitted has two NOPs of its own.
		{"syn, no timestamps", TCP{Flags: SYN, Window: 1, MSS: 536, SACKPermitted: true, HasScale: true, WindowScale: 14},
			"0000 0000 00000000 00000000 8002 0001 0000 0000 0204 0218 0101 0402 0103 030e",
			"SYN seq 0 ack 0 win 1 mss 536 sackOK wscale 14"},
		{"syn, mss only", TCP{Seq: 1, Flags: SYN, Window: 65535, MSS: 8961},
			"0000 0000 00000001 00000000 6002 ffff 0000 0000 0204 2301",
			"SYN seq 1 ack 0 win 65535 mss 8961"},
		// A scale of 0 is an option too: it says that the peer may scale.
		{"scale of 0", TCP{Flags: SYN | ACK, HasScale: true},
			"0000 0000 00000000 00000000 6012 0000 0000 0000 0103 0300",
			"SYN,ACK seq 0 ack 0 win 0 wscale 0"},
		{"reset", TCP{SrcPort: 443, DstPort: 40000, Ack: 2, Flags: RST | ACK},
			"01bb 9c40 00000000 00000002 5014 0000 0000 0000", "RST,ACK seq 0 ack 2 win 0"},
		{"all flags", TCP{Flags: 0xff, Urgent: 3},
			"0000 0000 00000000 00000000 50ff 0000 0000 0003",
			"FIN,SYN,RST,PSH,ACK,URG,ECE,CWR seq 0 ack 0 win 0 urg 3"},
		{"no flags", TCP{}, "0000 0000 00000000 00000000 5000 0000 0000 0000", "none seq 0 ack 0 win 0"},
	} {
		want := unhex(tt.bytes)
		if n := tt.header.Len(); n != len(want) {
			t.Errorf("%s: Len %d, want %d", tt.name, n, len(want))
			continue
		}
		b := bytes.Repeat([]byte{0xee}, len(want)+1)
		if tt.header.Put(b); !bytes.Equal(b[:len(want)], want) || b[len(want)] != 0xee {
			t.Errorf("%s: put %x\nwant %x", tt.name, b, want)
		}
		if h, payload, err := ParseTCP(append(want, "data"...)); err != nil || h != tt.header || string(payload) != "data" {
			t.Errorf("%s: parsed %+v, %q, %v", tt.name, h, payload, err)
		}
		if got := tt.header.String(); got != tt.text {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.text)
		}
	}
}

func TestParseTCPOptions(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options string
		want    TCP
		err     error
	}{
		{"unknown is skipped", "fd04 abcd 0204 05b4", TCP{MSS: 1460}, nil},
		{"SACK blocks", "0101 0512 0000 0001 0000 0002 0000 0005 0000 0009", TCP{SACK: [4]SACKBlock{{1, 2}, {5, 9}}}, nil},
		{"an empty SACK block", "0101 0512 0000 0001 0000 0001 0000 0005 0000 0009", TCP{SACK: [4]SACKBlock{{5, 9}}}, nil},
		{"a SACK block that Put has no room for", "0204 05b4 080a 0000 0007 0000 0008 051a 0000 0001 0000 0002 0000 0003 0000 0004 0000 0005 0000 0006",
			TCP{MSS: 1460, HasTimestamp: true, TSVal: 7, TSEcr: 8, SACK: [4]SACKBlock{{1, 2}, {3, 4}}}, nil},
		{"nothing counts after the end", "0002 0405", TCP{}, nil},
		{"the last one counts", "0204 05b4 0204 0218", TCP{MSS: 536}, nil},
		{"any order", "0303 0702 0405 b401", TCP{MSS: 1460, HasScale: true, WindowScale: 7}, nil},
		{"an end that is not needed", "0204 05b4 0000 0000", TCP{MSS: 1460}, nil},
		// Lengths that cannot be.
		{"length 0", "fd00 0000", TCP{}, ErrOption},
		{"length 1", "fd01 0000", TCP{}, ErrOption},
		{"beyond the header", "fd05 0000", TCP{}, ErrOption},
		{"no length", "0101 01fd", TCP{}, ErrOption},
		{"mss of 3", "0203 0500", TCP{}, ErrOption},
		{"scale of 4", "0304 0700", TCP{}, ErrOption},
		{"sack permitted of 3", "0403 0000", TCP{}, ErrOption},
		{"no SACK block", "0101 0502", TCP{}, ErrOption},
		{"half a SACK block", "0101 0506 0000 0001", TCP{}, ErrOption},
		{"timestamps of 9", "0809 0000 0000 0000 0000 0000", TCP{}, ErrOption},
	} {
		options := unhex(tt.options)
		b := append(unhex("0000 0000 00000000 00000000 0000 0000 0000 0000"), options...)
		b[12] = byte(len(b)/4) << 4
		if h, _, err := ParseTCP(b); h != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %+v, %v; want %+v, %v", tt.name, h, err, tt.want, tt.err)
		}
	}
}

func TestParseTCPErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrShort},
		{"19 bytes", unhex(dataBytes)[:19], ErrShort},
		{"offset 4", unhex("0000 0000 00000000 00000000 4000 0000 0000 0000"), ErrLength},
		{"options missing", unhex(dataBytes)[:31], ErrLength},
		{"options there", unhex(dataBytes)[:32], nil},
	} {
		if _, _, err := ParseTCP(tt.b); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func genTCP() *rapid.Generator[TCP] {
	return rapid.Custom(func(t *rapid.T) TCP {
		h := TCP{
			SrcPort: rapid.Uint16().Draw(t, "sport"), DstPort: rapid.Uint16().Draw(t, "dport"),
			Seq: rapid.Uint32().Draw(t, "seq"), Ack: rapid.Uint32().Draw(t, "ack"),
			Flags: rapid.Uint8().Draw(t, "flags"), Window: rapid.Uint16().Draw(t, "window"),
			Urgent: rapid.Uint16().Draw(t, "urgent"), MSS: rapid.Uint16().Draw(t, "mss"),
			HasScale: rapid.Bool().Draw(t, "scale"), SACKPermitted: rapid.Bool().Draw(t, "sack"),
			HasTimestamp: rapid.Bool().Draw(t, "ts"),
		}
		if h.HasScale {
			h.WindowScale = rapid.Uint8().Draw(t, "shift")
		}
		if h.HasTimestamp {
			h.TSVal, h.TSEcr = rapid.Uint32().Draw(t, "val"), rapid.Uint32().Draw(t, "ecr")
		}
		for i := range rapid.IntRange(0, 4).Draw(t, "blocks") {
			from := rapid.Uint32().Draw(t, "from")
			h.SACK[i] = SACKBlock{from, from + rapid.Uint32Range(1, 1<<31).Draw(t, "size")}
		}
		clear(h.SACK[h.blocks():]) // what there is no room for
		return h
	})
}

func TestTCPRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, payload := genTCP().Draw(t, "h"), rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "payload")
		n := h.Len()
		if n < TCPHeaderLen || n > TCPMaxHeaderLen || n%4 != 0 {
			t.Fatalf("length %d", n)
		}
		b := bytes.Repeat([]byte{0xee}, n) // Put must leave none of it
		h.Put(b)
		got, data, err := ParseTCP(append(b, payload...))
		if err != nil || got != h || !bytes.Equal(data, payload) {
			t.Fatalf("%v\ngot  %+v %x\nwant %+v %x", err, got, data, h, payload)
		}
		// The same bytes again: no option in another place, no dirt between them.
		again := make([]byte, n)
		if got.Put(again); !bytes.Equal(again, b[:n]) {
			t.Fatalf("got  %x\nwant %x", again, b[:n])
		}
	})
}

func FuzzTCP(f *testing.F) {
	f.Add(unhex(synBytes))
	f.Add(unhex(dataBytes + "6869"))
	f.Add(unhex("0000 0000 00000000 00000000 6000 0000 0000 0000 0304 0700"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, payload, err := hostile(t, in, ParseTCP)
		if err != nil {
			return
		}
		out := make([]byte, h.Len())
		h.Put(out)
		if got, data, err := ParseTCP(append(out, payload...)); err != nil || got != h || !bytes.Equal(data, payload) {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, h)
		}
		if h.String() == "" {
			t.Fatal("no text")
		}
	})
}
