package tcp

import (
	"cmp"
	"time"
)

// patience decides which data is acknowledged at once and which a little later, in the
// hope that the acknowledgement can ride on data. Like Linux it is impatient with a
// stream that has just begun, so that the sender's window opens quickly, and patient
// once the ends talk in turns.
type patience struct {
	quick int           // acknowledgements that go at once: Linux's quick ACKs
	turns bool          // data of ours followed the peer's soon: Linux's ping-pong mode
	heard bool          // data has come
	last  time.Duration // when it did
}

const (
	maxQuick   = 16                    // TCP_MAX_QUICKACKS
	delayedACK = 40 * time.Millisecond // TCP_DELACK_MIN
)

// startle is what data that came again does: the next is answered at once.
func (p *patience) startle() { p.quick, p.turns = maxQuick, false }

// replied notes that data was sent. Soon after the peer's it is probably an answer.
func (p *patience) replied(now time.Duration) {
	if p.heard && now-p.last < delayedACK {
		p.turns = true
	}
}

// waited notes that an acknowledgement goes which nothing of ours has carried until at:
// unless that is the instant at which the data came, the ends do not talk in turns.
func (p *patience) waited(at time.Duration) { p.turns = p.turns && at <= max(p.last, 1) }

// tookData notes that data has come. The first, and the first after a long silence, set
// off quick acknowledgements: one for every two segments of the window.
func (c *Conn) tookData(now time.Duration) {
	p := &c.patience
	if !p.heard || now-p.last > c.rtt.timeout() {
		window := int(c.edge - c.rcvNxt)
		p.quick = max(p.quick, min(max(2, window/(2*c.rcvMSS)), maxQuick))
	}
	p.heard, p.last = true, now
}

// acknowledge answers data: at once for every second full segment and where a hole
// was or is (RFC 9293, 3.8.6.3), and at first for every one; else a little later. With
// Merge those that come at one instant have one answer, at its end.
func (c *Conn) acknowledge(atOnce bool, now time.Duration) {
	quick := c.patience.quick > 0 && !c.patience.turns
	second := c.unacked >= 2*c.rcvMSS
	switch {
	case atOnce, (second || quick) && c.unacked >= c.cfg.Merge:
		c.sendACK(now)
	case second, quick:
		c.ackAt = max(now, 1) // 0 is never
	case c.ackAt == 0:
		c.ackAt = now + cmp.Or(c.cfg.DelayedACK, delayedACK)
	}
}

// acknowledged notes that a segment acknowledges all that has come.
func (c *Conn) acknowledged() {
	if c.unacked > 0 && c.patience.quick > 0 {
		c.patience.quick--
	}
	c.ackAt, c.unacked, c.lastACK = 0, 0, c.rcvNxt
}
