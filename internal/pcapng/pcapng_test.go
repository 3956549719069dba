package pcapng

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"
)

// tiny is a whole file: section, one interface, a packet of five bytes with a
// comment, one of four without.
const tiny = `
	0a0d0d0a 2c000000 4d3c2b1a 0100 0000 ffffffffffffffff
		0400 0700 6e657473706563 00  0000 0000  2c000000
	01000000 28000000 6500 0000 00000000
		0200 0400 65746830  0900 0100 09 000000  0000 0000  28000000
	06000000 34000000 00000000 15cd5b07 d2029649 05000000 05000000
		4500000102 000000  0100 0200 6869 0000  0000 0000  34000000
	06000000 24000000 00000000 00000000 01000000 04000000 04000000
		60000000  24000000
`

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

func writeTiny(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.AddInterface("eth0"); n != 0 || err != nil {
		t.Fatalf("AddInterface: %d, %v", n, err)
	}
	at := time.Unix(0, 0x075bcd15_499602d2)
	if err := w.WritePacket(0, at, []byte{0x45, 0, 0, 1, 2}, "hi"); err != nil {
		t.Fatal(err)
	}
	if err := w.WritePacket(0, time.Unix(0, 1), []byte{0x60, 0, 0, 0}, ""); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestExactBytes(t *testing.T) {
	if got, want := writeTiny(t), unhex(tiny); !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", hex.Dump(got), hex.Dump(want))
	}
}

// An interface may come late; each gets the next number.
func TestInterfaces(t *testing.T) {
	var out bytes.Buffer
	w, _ := NewWriter(&out)
	for i, name := range []string{"a", "bc", "def"} {
		if n, err := w.AddInterface(name); n != i || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		if err := w.WritePacket(i, time.Unix(0, 0), []byte{1}, ""); err != nil {
			t.Errorf("packet on %s: %v", name, err)
		}
	}
	before := out.Len()
	for _, n := range []int{-1, 3} {
		if err := w.WritePacket(n, time.Unix(0, 0), []byte{1}, ""); err == nil || out.Len() != before {
			t.Errorf("interface %d: error %v, %d bytes written", n, err, out.Len()-before)
		}
	}
	// That was not lasting.
	if err := w.WritePacket(2, time.Unix(0, 0), []byte{1}, ""); err != nil || out.Len() == before {
		t.Errorf("after it: %v", err)
	}
}

// Whatever is written stays a chain of blocks with equal lengths at both ends.
func TestBlockChain(t *testing.T) {
	var out bytes.Buffer
	w, _ := NewWriter(&out)
	names := []string{"", "x", strings.Repeat("n", 70000)}
	for i, name := range names {
		if _, err := w.AddInterface(name); err != nil {
			t.Fatal(err)
		}
		for n := range 9 {
			if err := w.WritePacket(i, time.Unix(5, 0), make([]byte, n), name[:min(n, len(name))]); err != nil {
				t.Fatal(err)
			}
		}
	}
	blocks := 0
	for b := out.Bytes(); len(b) > 0; blocks++ {
		n := binary.LittleEndian.Uint32(b[4:])
		if n%4 != 0 || int(n) > len(b) || binary.LittleEndian.Uint32(b[n-4:]) != n {
			t.Fatalf("block %d: length %d of %d", blocks, n, len(b))
		}
		b = b[n:]
	}
	if want := 1 + len(names)*10; blocks != want {
		t.Errorf("%d blocks, want %d", blocks, want)
	}
}

var errFull = errors.New("disk full")

// full takes room writes and then fails, once: a writer that goes on after an
// error would get through.
type full struct{ room, writes int }

func (f *full) Write(b []byte) (int, error) {
	f.writes++
	if f.writes == f.room+1 {
		return 0, errFull
	}
	return len(b), nil
}

func TestStickyError(t *testing.T) {
	if w, err := NewWriter(&full{}); w != nil || !errors.Is(err, errFull) {
		t.Errorf("NewWriter: %v, %v", w, err)
	}
	f := &full{room: 2}
	w, err := NewWriter(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddInterface("eth0"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.WritePacket(0, time.Unix(0, 0), nil, ""); !errors.Is(err, errFull) {
			t.Errorf("WritePacket: %v", err)
		}
	}
	if _, err := w.AddInterface("eth1"); !errors.Is(err, errFull) {
		t.Errorf("AddInterface: %v", err)
	}
	if f.writes != 3 {
		t.Errorf("%d writes, want 3: none after the one that failed", f.writes)
	}
}

func TestWritePacketAllocations(t *testing.T) {
	w, _ := NewWriter(&full{room: -1})
	if _, err := w.AddInterface("eth0"); err != nil {
		t.Fatal(err)
	}
	data, at := make([]byte, 1500), time.Unix(0, 0)
	if n := testing.AllocsPerRun(100, func() { _ = w.WritePacket(0, at, data, "comment") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
