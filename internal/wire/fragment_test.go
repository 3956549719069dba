package wire

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// datagram4 is an IPv4 packet with a number and options, n bytes of data long.
func datagram4(id uint16, options string, n int) []byte {
	head := unhex("4500 0000 0000 0000 4011 0000 0a000001 0a000002" + options)
	head[0] = 0x40 | uint8(len(head)/4)
	head[4], head[5] = uint8(id>>8), uint8(id)
	finishIPv4(head, n, 0)
	return append(head, numbered(n)...)
}

func datagram6(n int) []byte {
	h := IPv6{NextHeader: ProtoUDP, HopLimit: 64, FlowLabel: 7, Src: netip.MustParseAddr("2001:db8::1"), Dst: netip.MustParseAddr("2001:db8::2")}
	b := make([]byte, IPv6HeaderLen)
	h.Put(b, n)
	return append(b, numbered(n)...)
}

// numbered returns n bytes which differ from their neighbours.
func numbered(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = uint8(i ^ i>>8)
	}
	return b
}

// cutUp returns the fragments of a packet.
func cutUp(packet []byte, mtu int, id uint32) (all [][]byte) {
	for c := NewCutter(packet, mtu, id); c.More(); {
		b := make([]byte, c.Len())
		c.Next(b)
		all = append(all, b)
	}
	return all
}

// What each fragment says of itself: RFC 791, section 3.2, and RFC 8200, section 4.5.
func TestCutter(t *testing.T) {
	type place struct {
		id              uint32
		offset, n, head int
		mf              bool
	}
	for _, tt := range []struct {
		rule   string
		packet []byte
		mtu    int
		want   []place
	}{
		{"all but the last have a multiple of 8 bytes", datagram4(0, "", 3000), 1500,
			[]place{{7, 0, 1480, 20, true}, {7, 1480, 1480, 20, true}, {7, 2960, 40, 20, false}}},
		{"an MTU that is none of these is not used up", datagram4(0, "", 1000), 599,
			[]place{{7, 0, 576, 20, true}, {7, 576, 424, 20, false}}},
		{"a number that is there is kept", datagram4(0x1234, "", 600), 576,
			[]place{{0x1234, 0, 552, 20, true}, {0x1234, 552, 48, 20, false}}},
		{"options take room", datagram4(0, "8303 0400", 600), 576,
			[]place{{7, 0, 552, 24, true}, {7, 552, 48, 24, false}}},
		{"IPv6 has a header for it", datagram6(3000), 1500,
			[]place{{7, 0, 1448, 48, true}, {7, 1448, 1448, 48, true}, {7, 2896, 104, 48, false}}},
	} {
		var got []place
		for _, b := range cutUp(tt.packet, tt.mtu, 7) {
			f, ok := ParseFragment(b)
			if !ok || len(b) > tt.mtu || f.End != len(b) {
				t.Fatalf("%s: %+v, %v of %d bytes", tt.rule, f, ok, len(b))
			}
			got = append(got, place{f.ID, f.Offset, f.End - f.Start, f.Start, f.MF})
		}
		if len(got) != len(tt.want) {
			t.Fatalf("%s: %+v", tt.rule, got)
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: fragment %d: got %+v, want %+v", tt.rule, i, got[i], tt.want[i])
			}
		}
	}
}

// Options that are not to be copied stand in the first fragment alone, RFC 791 section 3.1.
func TestCutterOptions(t *testing.T) {
	for options, want := range map[string]string{
		"83030400": "83030400", // loose source route: copied
		"07030400": "01010100", // record route: not
		"01010700": "01010700", // malformed: left alone
	} {
		all := cutUp(datagram4(0, options, 600), 576, 7)
		if got := hex.EncodeToString(all[0][20:24]); got != options {
			t.Errorf("%s: the first fragment has %s", options, got)
		}
		if got := hex.EncodeToString(all[1][20:24]); got != want {
			t.Errorf("%s: the second fragment has %s, want %s", options, got, want)
		}
	}
}

// What is whole is no fragment, nor is what cannot be read.
func TestParseFragmentOfWhole(t *testing.T) {
	atomic := datagram6(0)
	atomic[6], atomic[5] = ProtoFragment, 8
	atomic = append(atomic, unhex("1100 0000 0000 0001")...)
	for what, b := range map[string][]byte{
		"IPv4": datagram4(1, "", 100), "IPv6": datagram6(100), "an atomic fragment": atomic,
		"nothing": nil, "no packet": {0x45}, "another version": {0x50, 0},
	} {
		if f, ok := ParseFragment(b); ok {
			t.Errorf("%s: %+v", what, f)
		}
	}
}

// A datagram that is cut, and cut again on its way, is the same when it is put together.
func TestCutAndWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(600, 20000).Draw(t, "data")
		packet := datagram4(uint16(rapid.IntRange(0, 65535).Draw(t, "id")), "", n)
		if rapid.Bool().Draw(t, "IPv6") {
			packet = datagram6(n)
		}
		pieces := cutUp(packet, rapid.IntRange(576, n).Draw(t, "mtu"), 99)
		if version(packet) == 4 {
			again := rapid.IntRange(68, 1500).Draw(t, "another mtu")
			var smaller [][]byte
			for _, p := range pieces {
				smaller = append(smaller, cutUp(p, again, 0)...)
			}
			pieces = smaller
		}
		got := joined(t, pieces, n)
		clear(packet[4:6]) // an IPv4 datagram has got its number by now
		clear(got[4:6])
		if version(packet) == 4 {
			finishIPv4(packet[:20], n, 0)
			finishIPv4(got[:20], n, 0)
		} else {
			packet[4], packet[5], got[4], got[5] = 0, 0, 0, 0
		}
		if !bytes.Equal(got, packet) {
			t.Fatalf("%d bytes became\n%x\nwanted\n%x", n, got, packet)
		}
	})
}

// joined puts fragments together, each at its own place.
func joined(t *rapid.T, pieces [][]byte, n int) (whole []byte) {
	data := make([]byte, n)
	last := 0
	for _, b := range pieces {
		f, ok := ParseFragment(b)
		if !ok && len(pieces) > 1 {
			t.Fatalf("no fragment: %x", b)
		}
		if !ok {
			return bytes.Clone(b)
		}
		copy(data[f.Offset:], b[f.Start:f.End])
		if f.Offset == 0 {
			whole = f.AppendWhole(nil, b, n)
		}
		if !f.MF {
			last++
		}
	}
	if last != 1 {
		t.Fatalf("%d fragments say that they are the last", last)
	}
	return append(whole, data...)
}

func FuzzFragment(f *testing.F) {
	for _, b := range append(cutUp(datagram4(9, "8303 0400", 100), 60, 1), cutUp(datagram6(100), 80, 1)...) {
		f.Add(b, uint16(68))
	}
	f.Add(datagram6(200), uint16(100))
	f.Fuzz(func(t *testing.T, b []byte, mtu uint16) {
		if version(b) == 4 && len(b) >= IPv4HeaderLen { // else nearly nothing gets past the checksum
			b = bytes.Clone(b)
			n := min(max(int(b[0]&0xf)*4, IPv4HeaderLen), len(b))
			withSum(b[:n:n])
		}
		if g, ok := ParseFragment(b); ok {
			if g.Start > g.End || g.End > len(b) || g.Offset%8 != 0 {
				t.Fatalf("%+v of %d bytes", g, len(b))
			}
			whole := g.AppendWhole(nil, b, g.End-g.Start)
			whole = append(whole, b[g.Start:g.End]...)
			if h, ok := ParseFragment(whole); ok && h.Start <= g.Start-FragmentHeaderLen {
				t.Fatalf("put together it is a fragment still: %+v", h)
			}
		}
		fuzzCut(t, b, int(mtu))
	})
}

// fuzzCut cuts what is a packet, and has its data come back.
func fuzzCut(t *testing.T, b []byte, mtu int) {
	var start, end int
	if h, _, err := ParseIPv4(b); err == nil {
		start, end = h.HeaderLen, h.TotalLen
		if int(h.FragOffset)+end-start > 65535 {
			return
		}
	} else if h, _, err := ParseIPv6(b); err == nil {
		start, end = IPv6HeaderLen, IPv6HeaderLen+h.PayloadLen
	} else {
		return
	}
	var data []byte
	for _, piece := range cutUp(b[:end], mtu, 5) {
		_, ok := ParseFragment(piece)
		head := start
		if version(b) == 6 {
			head += FragmentHeaderLen
			ok = piece[nextHeaderAt] == ProtoFragment // what is behind it may be malformed
		}
		if !ok && len(piece) < end {
			t.Fatalf("%x is no fragment", piece)
		}
		data = append(data, piece[head:]...)
	}
	if !bytes.Equal(data, b[start:end]) {
		t.Fatalf("the data became\n%x\nof\n%x", data, b[start:end])
	}
}
