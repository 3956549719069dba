package tcp

import (
	"slices"
	"sort"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// Selective acknowledgement (RFC 2018), and the repair of losses by it (RFC 6675): the
// receiver names what has come behind a hole, and the sender keeps account of it, so that
// it sends again only what is missing, and all of it in one round trip.

// maxBlocks is how many blocks fit beside timestamps.
const maxBlocks = 3

// noteEarly remembers that data at seq, which came out of order, is to be named first
// (RFC 2018, section 4).
func (c *Conn) noteEarly(seq uint32) {
	b, ok := c.blockAt(seq)
	if !ok {
		return // there was no room to keep it
	}
	last := seq
	for i, s := range c.early {
		c.early[i] = last
		if !before(s, b.From) && before(s, b.To) {
			return // the others stay where they are
		}
		last = s
	}
}

// blockAt returns the stretch around seq that has come out of order.
func (c *Conn) blockAt(seq uint32) (b wire.SACKBlock, ok bool) {
	i := sort.Search(len(c.pieces), func(i int) bool { return before(seq, c.pieces[i].end()) })
	if i == len(c.pieces) || before(seq, c.pieces[i].seq) {
		return b, false
	}
	first, last := i, i
	for first > 0 && c.pieces[first-1].end() == c.pieces[first].seq {
		first--
	}
	for last+1 < len(c.pieces) && c.pieces[last].end() == c.pieces[last+1].seq {
		last++
	}
	return wire.SACKBlock{From: c.pieces[first].seq, To: c.pieces[last].end()}, true
}

// nameBlocks names in a segment what has come out of order, the latest first.
func (c *Conn) nameBlocks(h *wire.TCP) {
	n := 0
	for _, seq := range c.early {
		b, ok := c.blockAt(seq)
		if ok && n < maxBlocks && !slices.Contains(h.SACK[:n], b) {
			h.SACK[n] = b
			n++
		}
	}
}

// takeBlocks notes what the peer says it has got behind holes, and reports whether it is
// news.
func (c *Conn) takeBlocks(h *wire.TCP) bool {
	news := false
	for _, b := range h.SACK {
		// What is at or before the acknowledgement is a duplicate (RFC 2883): no news. What
		// was never sent is nonsense; it is told by its distance, since of numbers that
		// are half a circle apart each may seem to be before the other.
		from, to := b.From-c.una, b.To-c.una
		sane := 0 < from && from < to && to <= c.top-c.una && before(h.Ack, b.From)
		if c.sack && sane && c.sacked.add(b) {
			news = true
		}
	}
	return news
}

// spans are stretches of sequence numbers, sorted, neither overlapping nor touching.
type spans []wire.SACKBlock

// add adds a stretch and reports whether there was something new in it.
func (s *spans) add(b wire.SACKBlock) bool {
	// The stretches i to j, without j, touch b.
	i := sort.Search(len(*s), func(i int) bool { return !before((*s)[i].To, b.From) })
	j := i
	for j < len(*s) && !before(b.To, (*s)[j].From) {
		j++
	}
	if i == j {
		*s = slices.Insert(*s, i, b)
		return true
	}
	if first := (*s)[i]; !before(b.From, first.From) && !before(first.To, b.To) {
		return false
	}
	if before((*s)[i].From, b.From) {
		b.From = (*s)[i].From
	}
	b.To = maxSeq(b.To, (*s)[j-1].To)
	*s = slices.Replace(*s, i, j, b)
	return true
}

// drop forgets what lies before una.
func (s *spans) drop(una uint32) {
	n := 0
	for n < len(*s) && !before(una, (*s)[n].To) {
		n++
	}
	*s = slices.Delete(*s, 0, n)
	if len(*s) > 0 && before((*s)[0].From, una) {
		(*s)[0].From = una
	}
}

// reneged reports whether the peer has reported what comes next and not acknowledged it:
// it has thrown it away (RFC 2018, section 8).
func (c *Conn) reneged() bool { return len(c.sacked) > 0 && c.sacked[0].From == c.una }

// hole is a stretch that is missing before one that has arrived.
type hole struct {
	from, to uint32
	lost     bool // so much has come behind it that it is not merely late
}

// lostBehind reports whether what precedes a stretch that was reported is lost: three
// stretches behind it have arrived, or more than two segments (RFC 6675, IsLost).
func (c *Conn) lostBehind(i int) bool {
	if len(c.sacked)-i >= 3 {
		return true
	}
	bytes := 0
	for _, b := range c.sacked[i:] {
		bytes += int(b.To - b.From)
	}
	return bytes > 2*c.mss
}

// holes calls f for each hole in order, until it returns false.
func (c *Conn) holes(f func(hole) bool) {
	from := c.una
	for i, b := range c.sacked {
		if before(from, b.From) && !f(hole{from, b.From, c.lostBehind(i)}) {
			return
		}
		from = b.To
	}
}

// pipe returns how many bytes are on their way to the peer (RFC 6675, SetPipe): of what
// was sent, neither acknowledged nor reported, that which is not lost or was sent again.
func (c *Conn) pipe() int {
	flight := int(c.nxt - c.una)
	if len(c.sacked) == 0 {
		return flight
	}
	c.holes(func(h hole) bool {
		if before(c.nxt, h.to) {
			h.to = maxSeq(c.nxt, h.from)
		}
		if again := maxSeq(c.repaired, h.from); h.lost && before(again, h.to) {
			flight -= int(h.to - again)
		}
		return true
	})
	for _, b := range c.sacked {
		if before(b.From, c.nxt) {
			flight -= int(min(b.To-b.From, c.nxt-b.From))
		}
	}
	return flight
}

// repair sends again what is lost, as much as the congestion window allows; and where
// nothing new can go, what may be lost (RFC 6675, NextSeg).
func (c *Conn) repair(now time.Duration) {
	if !c.recovering || !c.sack || c.nxt != c.top {
		return
	}
	c.repairAgain()
	room := int(c.cwnd) - c.pipe()
	idle := c.unsent() == 0 || c.nxt-c.una >= c.window
	c.holes(func(h hole) bool {
		if !h.lost && !idle {
			return false // nor is any behind it
		}
		seq := maxSeq(c.repaired, h.from)
		for before(seq, h.to) && room >= c.mss {
			n := min(c.mss, int(h.to-seq))
			c.resend(seq, n, now)
			c.repairTop = c.top
			seq, room = seq+uint32(n), room-n
		}
		return room >= c.mss
	})
}

// repairAgain begins the repair anew if what was sent after the last of it has arrived, and
// some of it has not: as Linux does, by order of sending and not by sequence numbers.
func (c *Conn) repairAgain() {
	n := len(c.sacked)
	if n == 0 || !before(c.una, c.repaired) || !before(c.repairTop+uint32(2*c.mss), c.sacked[n-1].To) {
		return
	}
	c.repaired, c.repairTop = c.una, c.top
}

// skip moves nxt over what the peer has reported, and returns how many bytes are missing
// there: what is sent again after a timeout leaves out what has arrived.
func (c *Conn) skip() int {
	for _, b := range c.sacked {
		if before(c.nxt, b.From) {
			return int(b.From - c.nxt)
		}
		c.nxt = maxSeq(c.nxt, b.To)
	}
	return noLimit
}
