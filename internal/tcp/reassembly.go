package tcp

import (
	"slices"
	"sort"
)

// piece is a stretch of the peer's stream that came before what precedes it.
type piece struct {
	seq  uint32
	data []byte
}

func (p *piece) end() uint32 { return p.seq + uint32(len(p.data)) }

// maxPieces bounds how many pieces are kept, so that tiny segments do not take much
// more memory than the receive buffer. What is beyond is dropped: it comes again.
func (c *Conn) maxPieces() int { return 64 + c.cfg.RecvBuffer/512 }

// keep puts data that came too early aside. Where it overlaps with what is there, the
// older bytes stay.
func (c *Conn) keep(seq uint32, data []byte) {
	i := sort.Search(len(c.pieces), func(i int) bool { return before(seq, c.pieces[i].end()) })
	for ; len(data) > 0; i++ {
		if i == len(c.pieces) {
			c.insert(i, seq, data)
			return
		}
		p := c.pieces[i]
		if before(seq, p.seq) {
			n := min(len(data), int(p.seq-seq))
			if c.insert(i, seq, data[:n]) {
				i++
			}
			seq, data = seq+uint32(n), data[n:]
		}
		n := min(len(data), int(p.end()-seq))
		seq, data = seq+uint32(n), data[n:]
	}
}

// insert puts data before piece i, or at the end of the piece that it continues. It
// reports whether there is one piece more.
func (c *Conn) insert(i int, seq uint32, data []byte) bool {
	if i > 0 && c.pieces[i-1].end() == seq {
		c.pieces[i-1].data = append(c.pieces[i-1].data, data...)
		return false
	}
	if len(c.pieces) >= c.maxPieces() {
		return false
	}
	c.pieces = slices.Insert(c.pieces, i, piece{seq, slices.Clone(data)})
	return true
}

// join appends the pieces that have become next in order.
func (c *Conn) join() {
	n := 0
	for ; n < len(c.pieces) && !before(c.rcvNxt, c.pieces[n].seq); n++ {
		p := &c.pieces[n]
		if skip := c.rcvNxt - p.seq; skip < uint32(len(p.data)) {
			c.accept(p.data[skip:])
		}
	}
	if c.pieces = slices.Delete(c.pieces, 0, n); len(c.pieces) == 0 {
		c.pieces = nil
	}
}

// highest returns the end of what has come, in order or not.
func (c *Conn) highest() uint32 {
	if n := len(c.pieces); n > 0 {
		return c.pieces[n-1].end()
	}
	return c.rcvNxt
}

// accept takes data that is next in order.
func (c *Conn) accept(data []byte) {
	c.rcvNxt += uint32(len(data))
	c.recvBuf.append(data)
}

// acceptSegment is accept for the payload of the segment that is being received, which
// may stay where it is.
func (c *Conn) acceptSegment(data []byte) {
	if c.parcel == nil || len(data) < worthKeeping {
		c.accept(data)
		return
	}
	c.rcvNxt += uint32(len(data))
	c.recvBuf.add(Chunk{data, c.parcel})
	c.parcel = nil
}
