package tcp

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestBuffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := buffer{pool: rapid.SampledFrom([]*BufferPool{nil, {}}).Draw(t, "pool")}
		var naive, lent []byte
		most := 0
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch p := pattern(i, rapid.IntRange(1, 700).Draw(t, "n")); rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				b.keep()
				b.append(p)
				naive = append(naive, p...)
			case 1:
				b.keep()
				b.lend(p)
				lent = p
				naive = append(naive, p...)
			default:
				if len(naive) == 0 {
					continue
				}
				n := rapid.IntRange(1, len(naive)).Draw(t, "n")
				b.drop(n)
				naive = naive[n:]
			}
			most = max(most, len(naive))
			if b.len() != len(naive) || !bytes.Equal(b.bytes(0, b.len()), naive) {
				t.Fatalf("step %d: %d bytes, want %d, or others", i, b.len(), len(naive))
			}
			if rapid.Bool().Draw(t, "keep") {
				b.keep()
				clear(lent) // the lender may do with it what he likes
			}
			from := rapid.IntRange(0, len(naive)).Draw(t, "from")
			n := rapid.IntRange(0, len(naive)-from).Draw(t, "some")
			if !bytes.Equal(b.bytes(from, n), naive[from:from+n]) {
				t.Fatalf("step %d: %d bytes from %d are others", i, n, from)
			}
			if cap(b.ring) > 4*max(most, 512) {
				t.Fatalf("step %d: %d bytes of memory for at most %d", i, cap(b.ring), most)
			}
			if len(naive) == 0 && (b.ring != nil || b.joined != nil) {
				t.Fatalf("step %d: an empty buffer holds memory", i)
			}
		}
	})
}

// Where the ring wraps, segments are joined without a new piece of memory for each, and
// what was joined is not in the way of what is appended after it.
func TestBufferWraps(t *testing.T) {
	b := buffer{pool: &BufferPool{}}
	whole := pattern(1, 700)
	b.append(whole[:500])
	b.drop(400) // of 512
	b.append(whole[500:])
	if got := b.bytes(0, 300); !bytes.Equal(got, whole[400:]) {
		t.Error("the bytes around the end of the ring are others")
	}
	b.append(pattern(2, 100))
	if got := b.bytes(0, 300); !bytes.Equal(got, whole[400:]) {
		t.Error("they became others when something was appended")
	}
	if n := testing.AllocsPerRun(100, func() { b.bytes(0, 300) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A buffer that is all but full stays where it is, however often a byte comes and goes.
func TestBufferNearlyFull(t *testing.T) {
	b := buffer{pool: &BufferPool{}}
	b.append(make([]byte, 1<<20-1))
	at := &b.ring[0]
	for range 1<<20 + 5 {
		b.append([]byte{1})
		b.drop(1)
	}
	if &b.ring[0] != at {
		t.Error("the bytes were moved")
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

// A machine that is done becomes the next one, of which nothing tells that it was another;
// those that are still of use stay what they are.
func TestRecycle(t *testing.T) {
	a, b := connect(t)
	pool, cfg := a.conn.cfg.Pool, Config{MTU: 9001, Pool: a.conn.cfg.Pool}
	b.conn.Write([]byte("unread"), 2)
	settle(a, b, 2)
	b.conn.Abort(3)
	settle(a, b, 3)
	pool.Recycle(a.conn)
	if got := Dial(cfg, a, 4); got == a.conn {
		t.Error("a machine was recycled that has something to be read")
	} else if pool.Recycle(got); Dial(cfg, a, 4) == got {
		t.Error("a machine was recycled that lives")
	}
	a.queue = a.queue[:0]
	a.conn.Abort(5)
	pool.Recycle(a.conn)
	got, want := Dial(cfg, a, 6), Dial(Config{MTU: 9001}, a, 6)
	if got != a.conn {
		t.Error("a machine that is done was not recycled")
	}
	want.cfg.Pool, want.sendBuf.pool, want.recvBuf.pool = pool, pool, pool
	if !reflect.DeepEqual(got, want) {
		t.Errorf("recycled\n%+v\nnew\n%+v", got, want)
	}
}
