package tcp

import "time"

// timedOut is what congestion control makes of a retransmission timeout: one segment,
// then slow start (RFC 5681, 3.1). Without congestion control that lasts until what
// had been sent is acknowledged.
func (c *Conn) timedOut() {
	flight := c.top - c.una
	c.ssthresh = max(flight/2, uint32(2*c.mss))
	if c.cfg.Congestion == NoCongestion {
		c.ssthresh = 1 << 30
	}
	c.cwnd = uint32(c.mss)
	c.recover, c.recovering = c.top, false
	c.dupACKs = 0
}

// ackedNew is what congestion control makes of bytes acknowledged for the first time.
func (c *Conn) ackedNew(bytes uint32, now time.Duration) {
	if c.recovering {
		if before(c.una, c.recover) {
			c.retransmitHead(now) // a partial acknowledgement: the next hole (RFC 6582)
			c.cwnd = max(c.cwnd-min(c.cwnd, bytes)+uint32(c.mss), uint32(c.mss))
			return
		}
		c.recovering = false
		c.cwnd = c.ssthresh
	}
	c.dupACKs = 0
	switch {
	case c.cfg.Congestion == NoCongestion && !before(c.una, c.recover):
		c.cwnd = 1 << 30
	case c.cwnd >= 1<<30:
	case c.cwnd < c.ssthresh:
		c.cwnd += min(bytes, uint32(c.mss))
	default:
		c.cwnd += max(1, uint32(c.mss*c.mss)/c.cwnd)
	}
}

// duplicateACK counts an acknowledgement of nothing new. The third means loss: fast
// retransmit (RFC 5681, 3.2).
func (c *Conn) duplicateACK(now time.Duration) {
	c.dupACKs++
	c.stats.DupACKs++
	switch {
	case c.recovering:
		c.cwnd = min(c.cwnd+uint32(c.mss), 1<<30)
	case c.dupACKs == 3 && !before(c.una, c.recover):
		c.recover, c.recovering = c.top, true
		c.ssthresh = max((c.top-c.una)/2, uint32(2*c.mss))
		if c.cfg.Congestion == NoCongestion {
			c.ssthresh = 1 << 30
		} else {
			c.cwnd = c.ssthresh + uint32(3*c.mss)
		}
		c.retransmitHead(now)
	}
}
