package tcp

import "math/bits"

// buffer is a queue of bytes that lie in one piece: bytes are appended at the end and
// taken off the front. An empty buffer holds no memory.
type buffer struct {
	data []byte // the bytes are data[head:]
	head int
	pool *BufferPool
}

func (b *buffer) len() int { return len(b.data) - b.head }

// bytes returns the n bytes that begin at offset from.
func (b *buffer) bytes(from, n int) []byte {
	at := b.head + from
	return b.data[at : at+n : at+n]
}

// append adds p to the end.
func (b *buffer) append(p []byte) {
	if len(b.data)+len(p) > cap(b.data) {
		b.makeRoom(len(p))
	}
	b.data = append(b.data, p...)
}

// makeRoom moves the bytes to the front if that frees a quarter, else to more memory:
// either way the moves cost a few copies of each byte, however full the buffer is.
func (b *buffer) makeRoom(n int) {
	live := b.data[b.head:]
	need := len(live) + n
	if need <= cap(b.data) && b.head >= cap(b.data)/4 {
		b.data = b.data[:copy(b.data[:cap(b.data)], live)]
		b.head = 0
		return
	}
	grown := b.pool.get(max(need, cap(b.data)+1))
	grown = append(grown, live...)
	b.pool.put(b.data)
	b.data, b.head = grown, 0
}

// drop takes n bytes off the front.
func (b *buffer) drop(n int) {
	b.head += n
	if b.head == len(b.data) {
		b.release()
	}
}

func (b *buffer) release() {
	b.pool.put(b.data)
	b.data, b.head = nil, 0
}

// BufferPool keeps the memory of empty buffers for the next ones. The zero pool is
// empty and ready; a nil pool keeps nothing. It is not safe for concurrent use: it
// belongs to the owner of the machines that share it.
type BufferPool struct {
	free [maxClass + 1][][]byte // by the binary logarithm of the capacity
	held int
}

const (
	minClass = 9        // 512 bytes
	maxClass = 26       // 64 MiB; larger ones are left to the collector
	maxHeld  = 64 << 20 // what a pool holds at most
)

func (p *BufferPool) get(n int) []byte {
	class := max(minClass, bits.Len(uint(n-1)))
	if class > maxClass {
		return make([]byte, 0, n+n/4)
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
