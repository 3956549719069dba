package tcp

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/internal/wire"
)

// testParcel counts its releases, and spoils its payload so that nobody reads it after
// the first.
type testParcel struct {
	data     []byte
	released int
}

func (p *testParcel) Release() {
	p.released++
	clear(p.data)
}

// However a stream is cut into copies and parcels, read and taken, it comes out as it
// went in, and each parcel is released once.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := queue{pool: rapid.SampledFrom([]*BufferPool{nil, {}}).Draw(t, "pool")}
		var naive []byte
		var parcels []*testParcel
		same := func(step int, got []byte) {
			if !bytes.Equal(got, naive[:len(got)]) {
				t.Fatalf("step %d: %d bytes came out as others", step, len(got))
			}
			naive = naive[len(got):]
		}
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			n := rapid.IntRange(1, 900).Draw(t, "n")
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				p := pattern(i, n)
				q.append(p)
				naive = append(naive, p...)
				clear(p)
			case 1:
				p := &testParcel{data: pattern(i, n)}
				parcels = append(parcels, p)
				q.add(Chunk{p.data, p})
				naive = append(naive, p.data...)
			case 2:
				b := make([]byte, n)
				got := q.read(b)
				if got != min(n, len(naive)) {
					t.Fatalf("step %d: read %d bytes, want %d", i, got, min(n, len(naive)))
				}
				same(i, b[:got])
			case 3:
				var out [3]Chunk
				for _, c := range out[:q.take(out[:], n)] {
					if n -= len(c.Data); n < 0 {
						t.Fatalf("step %d: took %d bytes too many", i, -n)
					}
					same(i, c.Data)
					c.Parcel.Release()
				}
			}
			if q.len() != len(naive) {
				t.Fatalf("step %d: %d bytes, want %d", i, q.len(), len(naive))
			}
			if len(q.entries) > 2*(len(q.entries)-q.first) {
				t.Fatalf("step %d: %d entries, of which %d are forgotten", i, len(q.entries), q.first)
			}
		}
		q.release()
		for i, p := range parcels {
			if p.released != 1 {
				t.Fatalf("parcel %d was released %d times", i, p.released)
			}
		}
	})
}

// Small payloads share memory, so that a byte does not take a page.
func TestQueueOfSmallPayloads(t *testing.T) {
	q := queue{pool: &BufferPool{}}
	for range 100_000 {
		q.append([]byte{1})
	}
	memory := 0
	for _, e := range q.entries[q.first:] {
		memory += cap(e.Data)
	}
	if memory > 200_000 {
		t.Errorf("%d bytes of memory for 100000", memory)
	}
}

// A machine keeps the parcel of a large payload that is next in order, and no other's.
func TestReceiveParcel(t *testing.T) {
	for _, tt := range []struct {
		name string
		seq  uint32
		size int
		kept bool
	}{
		{"next in order", 0, worthKeeping, true},
		{"small", 0, worthKeeping - 1, false},
		{"behind a hole", 1, worthKeeping, false},
	} {
		c := Accept(Config{}, discard{}, &wire.TCP{Flags: wire.SYN}, 1)
		parcel := &testParcel{data: pattern(1, tt.size)}
		h := wire.TCP{Flags: wire.ACK, Seq: 1 + tt.seq, Ack: 1, Window: 1}
		if kept := c.ReceiveParcel(&h, parcel.data, parcel, 1); kept != tt.kept {
			t.Errorf("%s: kept is %v", tt.name, kept)
		}
		c.Abort(1)
		if released := parcel.released == 1; released != tt.kept {
			t.Errorf("%s: released %d times", tt.name, parcel.released)
		}
	}
}
