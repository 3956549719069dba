package tcp

import "math/bits"

// buffer is a queue of bytes in a ring whose size is a power of two, and behind them
// some that are only lent. An empty buffer holds no memory.
type buffer struct {
	ring    []byte
	head, n int
	lent    []byte
	pool    *BufferPool
	joined  []byte // what bytes returns where two pieces meet
}

func (b *buffer) len() int { return b.n + len(b.lent) }

// bytes returns the n bytes that begin at offset from. They are valid until the next
// call of any method but len.
func (b *buffer) bytes(from, n int) []byte {
	if from >= b.n {
		return b.lent[from-b.n:][:n:n]
	}
	at := (b.head + from) & (len(b.ring) - 1)
	if from+n <= b.n && at+n <= len(b.ring) {
		return b.ring[at : at+n : at+n]
	}
	if cap(b.joined) < n {
		b.pool.put(b.joined)
		b.joined = b.pool.get(n)
	}
	b.joined = b.joined[:n]
	b.copyTo(b.joined, from)
	return b.joined
}

// copyTo fills p with what begins at offset from in the ring, and then with what is
// lent, as far as there is something.
func (b *buffer) copyTo(p []byte, from int) {
	n := min(len(p), b.n-from)
	at := (b.head + from) & (len(b.ring) - 1)
	copy(p[copy(p[:n], b.ring[at:]):n], b.ring)
	copy(p[n:], b.lent)
}

// lend adds p to the end as it is. The lender must not change it before keep is
// called, which must be done before anything else is added.
func (b *buffer) lend(p []byte) { b.lent = p }

// keep ends the loan: what has not been dropped by now is copied.
func (b *buffer) keep() {
	if p := b.lent; len(p) > 0 {
		b.lent = nil
		b.append(p)
	}
}

// append adds p to the end.
func (b *buffer) append(p []byte) {
	if b.n+len(p) > len(b.ring) {
		b.grow(b.n + len(p))
	}
	at := (b.head + b.n) & (len(b.ring) - 1)
	copy(b.ring, p[copy(b.ring[at:], p):])
	b.n += len(p)
}

// grow moves the bytes to a ring with room for size.
func (b *buffer) grow(size int) {
	ring := b.pool.get(size)
	ring = ring[:cap(ring)]
	if b.n > 0 {
		b.copyTo(ring[:b.n], 0)
	}
	b.pool.put(b.ring)
	b.ring, b.head = ring, 0
}

// drop takes n bytes off the front.
func (b *buffer) drop(n int) {
	own := min(n, b.n)
	b.lent = b.lent[n-own:]
	b.head = (b.head + own) & (len(b.ring) - 1)
	if b.n -= own; b.len() == 0 {
		b.release()
	}
}

func (b *buffer) release() {
	b.pool.put(b.ring)
	b.pool.put(b.joined)
	*b = buffer{pool: b.pool}
}

// BufferPool keeps the memory of empty buffers, and of machines that are done, for the
// next ones. The zero pool is empty and ready; a nil pool keeps nothing. It is not safe for concurrent use: it
// belongs to the owner of the machines that share it.
type BufferPool struct {
	free     [maxClass + 1][][]byte // by the binary logarithm of the capacity
	held     int
	machines []*Conn
}

const (
	minClass = 9        // 512 bytes
	maxClass = 26       // 64 MiB; larger ones are left to the collector
	maxHeld  = 64 << 20 // what a pool holds at most

	maxMachines = 4096 // that a pool holds at most
)

func (p *BufferPool) get(n int) []byte {
	class := max(minClass, bits.Len(uint(n-1)))
	if class > maxClass {
		return make([]byte, 0, 1<<class)
	}
	if p != nil {
		if free := p.free[class]; len(free) > 0 {
			b := free[len(free)-1]
			p.free[class] = free[:len(free)-1]
			p.held -= cap(b)
			return b
		}
	}
	return make([]byte, 0, 1<<class)
}

func (p *BufferPool) put(b []byte) {
	size := cap(b)
	if p == nil || size == 0 || size&(size-1) != 0 || p.held+size > maxHeld {
		return
	}
	if class := bits.Len(uint(size)) - 1; class >= minClass && class <= maxClass {
		p.free[class] = append(p.free[class], b[:0])
		p.held += size
	}
}

// Recycle takes a machine that is done, and of which nobody will speak any more, for a
// connection to come. One that is not done, or of which something is to be read, it leaves
// alone.
func (p *BufferPool) Recycle(c *Conn) {
	if c.Done() && c.recvBuf.len() == 0 && len(p.machines) < maxMachines {
		p.machines = append(p.machines, c)
	}
}

// machine returns one in no state that is known.
func (p *BufferPool) machine() *Conn {
	if p == nil || len(p.machines) == 0 {
		return new(Conn)
	}
	last := len(p.machines) - 1
	c := p.machines[last]
	p.machines[last] = nil
	p.machines = p.machines[:last]
	return c
}
