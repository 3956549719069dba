package tcp

// Parcel is what a payload came in. Who keeps it gives it back by Release, once, from
// any goroutine.
type Parcel interface {
	Release()
}

// Chunk is a stretch of the peer's stream in the memory in which it came.
type Chunk struct {
	Data   []byte
	Parcel Parcel
}

// queue holds what has come in order and was not read. Large payloads stay in their
// parcels; small ones are copied, so that they do not keep much more memory than their
// own size. An empty queue keeps no payload's memory.
type queue struct {
	entries []entry // the queue is entries[first:]
	first   int
	n       int
	pool    *BufferPool
}

// entry is a parcel's payload, or memory of the pool if there is no parcel.
type entry struct {
	Chunk
	read int // how much of Data was read
}

// worthKeeping is the size from which on a payload stays in its parcel. A smaller one is
// copied in little time, and would keep too much memory around it.
const worthKeeping = 4096

// largestShare is how much memory small payloads share at most.
const largestShare = 16 << 10

func (q *queue) len() int { return q.n }

// add adds a payload with its parcel to the end.
func (q *queue) add(c Chunk) {
	q.entries = append(q.entries, entry{Chunk: c})
	q.n += len(c.Data)
}

// append adds a copy of p to the end.
func (q *queue) append(p []byte) {
	q.n += len(p)
	if last := len(q.entries) - 1; last >= q.first {
		e := &q.entries[last]
		if e.Parcel == nil && len(e.Data)+len(p) <= cap(e.Data) {
			e.Data = append(e.Data, p...)
			return
		}
	}
	share := q.pool.get(max(len(p), min(q.n, largestShare)))
	q.entries = append(q.entries, entry{Chunk: Chunk{Data: append(share, p...)}})
}

// read moves bytes from the front to p, as many as there are or fit, and returns how
// many.
func (q *queue) read(p []byte) int {
	n := 0
	for n < len(p) && q.n > 0 {
		e := &q.entries[q.first]
		k := copy(p[n:], e.Data[e.read:])
		n, e.read, q.n = n+k, e.read+k, q.n-k
		if e.read == len(e.Data) {
			q.free(e)
			q.pop()
		}
	}
	return n
}

// take moves what is left of parcels from the front to out, as long as they fit there
// and hold no more than limit bytes together. It returns how many they are.
func (q *queue) take(out []Chunk, limit int) int {
	n := 0
	for n < len(out) && q.n > 0 {
		e := &q.entries[q.first]
		data := e.Data[e.read:]
		if e.Parcel == nil || len(data) > limit {
			break
		}
		out[n] = Chunk{data, e.Parcel}
		limit -= len(data)
		q.n -= len(data)
		q.pop()
		n++
	}
	return n
}

func (q *queue) free(e *entry) {
	if e.Parcel != nil {
		e.Parcel.Release()
		return
	}
	q.pool.put(e.Data)
}

// pop forgets the first entry. The others move up once they are not more than those
// that were forgotten, so that a pop moves no more than one entry on average.
func (q *queue) pop() {
	q.entries[q.first] = entry{}
	q.first++
	if q.first == len(q.entries) {
		q.entries, q.first = q.entries[:0], 0
		return
	}
	if live := q.entries[q.first:]; q.first >= len(live) {
		clear(q.entries[copy(q.entries, live):])
		q.entries, q.first = q.entries[:len(live)], 0
	}
}

func (q *queue) release() {
	for i := range q.entries[q.first:] {
		q.free(&q.entries[q.first+i])
	}
	*q = queue{pool: q.pool}
}
