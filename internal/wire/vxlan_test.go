package wire

import (
	"bytes"
	"errors"
	"testing"
)

// RFC 7348, figure 1: eight flags of which I is the fifth, a reserved field, the VNI.
func TestVXLAN(t *testing.T) {
	b := append(make([]byte, VXLANHeaderLen), "frame"...)
	PutVXLAN(b, 0xabcdef)
	if want := []byte{8, 0, 0, 0, 0xab, 0xcd, 0xef, 0}; !bytes.Equal(b[:8], want) {
		t.Errorf("header % x, want % x", b[:8], want)
	}
	vni, frame, err := ParseVXLAN(b)
	if vni != 0xabcdef || string(frame) != "frame" || err != nil {
		t.Errorf("read vni %x, %q, error %v", vni, frame, err)
	}
	if _, _, err := ParseVXLAN(b[:7]); !errors.Is(err, ErrShort) {
		t.Errorf("7 bytes: error %v", err)
	}
	b[0] = 0
	if _, _, err := ParseVXLAN(b); !errors.Is(err, ErrVersion) {
		t.Errorf("without the I bit: error %v", err)
	}
}

func FuzzVXLAN(f *testing.F) {
	f.Add([]byte{8, 0, 0, 0, 0, 0, 1, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		vni, frame, err := ParseVXLAN(b)
		if err != nil {
			return
		}
		again := append(make([]byte, VXLANHeaderLen), frame...)
		PutVXLAN(again, vni)
		if got, rest, err := ParseVXLAN(again); got != vni || !bytes.Equal(rest, frame) || err != nil {
			t.Errorf("vni %x becomes %x (%v)", vni, got, err)
		}
	})
}
