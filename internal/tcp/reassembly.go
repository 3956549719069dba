package tcp

// piece is a stretch of the peer's stream that came before what precedes it.
type piece struct {
	seq  uint32
	data []byte
}

func (p *piece) end() uint32 { return p.seq + uint32(len(p.data)) }

// keep puts data that came too early aside. Where it overlaps with what is there, the
// older bytes stay.
func (c *Conn) keep(seq uint32, data []byte) {
	for i := 0; len(data) > 0; i++ {
		if i == len(c.pieces) {
			c.insert(i, seq, data)
			return
		}
		p := &c.pieces[i]
		if !before(seq, p.end()) {
			continue
		}
		if before(seq, p.seq) {
			n := min(len(data), int(p.seq-seq))
			c.insert(i, seq, data[:n])
			seq, data = seq+uint32(n), data[n:]
			continue
		}
		n := min(len(data), int(p.end()-seq))
		seq, data = seq+uint32(n), data[n:]
	}
}

func (c *Conn) insert(i int, seq uint32, data []byte) {
	c.pieces = append(c.pieces, piece{})
	copy(c.pieces[i+1:], c.pieces[i:])
	c.pieces[i] = piece{seq, append([]byte(nil), data...)}
}

// join appends the pieces that have become next in order, and reports whether any
// did.
func (c *Conn) join() bool {
	joined := false
	for len(c.pieces) > 0 {
		p := &c.pieces[0]
		if before(c.rcvNxt, p.seq) {
			break
		}
		if skip := c.rcvNxt - p.seq; skip < uint32(len(p.data)) {
			c.accept(p.data[skip:])
			joined = true
		}
		c.pieces[0] = piece{}
		c.pieces = c.pieces[1:]
	}
	if len(c.pieces) == 0 {
		c.pieces = nil
	}
	return joined
}

// accept takes data that is next in order.
func (c *Conn) accept(data []byte) {
	c.rcvNxt += uint32(len(data))
	if !c.readClosed {
		c.recvBuf.append(data)
	}
}
