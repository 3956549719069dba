package tcp

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func TestBuffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := buffer{pool: rapid.SampledFrom([]*BufferPool{nil, {}}).Draw(t, "pool")}
		var naive []byte
		most := 0
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "append") {
				p := pattern(i, rapid.IntRange(1, 700).Draw(t, "n"))
				b.append(p)
				naive = append(naive, p...)
			} else if len(naive) > 0 {
				n := rapid.IntRange(1, len(naive)).Draw(t, "n")
				b.drop(n)
				naive = naive[n:]
			}
			most = max(most, len(naive))
			if b.len() != len(naive) || !bytes.Equal(b.bytes(0, b.len()), naive) {
				t.Fatalf("step %d: %d bytes, want %d, or others", i, b.len(), len(naive))
			}
			if cap(b.data) > 4*max(most, 512) {
				t.Fatalf("step %d: %d bytes of memory for at most %d", i, cap(b.data), most)
			}
			if len(naive) == 0 && b.data != nil {
				t.Fatalf("step %d: an empty buffer holds memory", i)
			}
		}
	})
}

// TestBufferNearlyFull appends and drops one byte at a time where the buffer is all
// but full: the bytes must not be moved each time.
func TestBufferNearlyFull(t *testing.T) {
	b := buffer{pool: &BufferPool{}}
	b.append(make([]byte, 1<<20-1))
	moves, at := 0, &b.data[0]
	for range 100_000 {
		b.append([]byte{1})
		b.drop(1)
		if &b.data[0] != at {
			moves, at = moves+1, &b.data[0]
		}
	}
	if moves > 1 {
		t.Errorf("moved %d times", moves)
	}
}

func TestBufferPool(t *testing.T) {
	var p BufferPool
	b := p.get(1000)
	if len(b) != 0 || cap(b) != 1024 {
		t.Fatalf("get(1000): length %d, capacity %d", len(b), cap(b))
	}
	p.put(b)
	if got := p.get(600); cap(got) != 1024 || &got[:1][0] != &b[:1][0] {
		t.Error("what was put was not got again")
	}
	if got := p.get(600); &got[:1][0] == &b[:1][0] {
		t.Error("got twice")
	}
	p.put(make([]byte, 1000)) // not one of ours
	if got := p.get(512); cap(got) != 512 {
		t.Errorf("capacity %d, want 512", cap(got))
	}
	if got := p.get(1<<maxClass + 1); cap(got) <= 1<<maxClass {
		t.Errorf("capacity %d is too little", cap(got))
	}
	for range 3 {
		p.put(make([]byte, 0, maxHeld/2))
	}
	if p.held > maxHeld {
		t.Errorf("the pool holds %d bytes, more than %d", p.held, maxHeld)
	}
}
