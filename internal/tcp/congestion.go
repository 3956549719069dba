package tcp

import "time"

// noLimit is the congestion window of those who have none.
const noLimit = 1 << 30

// ControlCongestion turns NewReno on for a connection that was opened without, and does
// nothing for others. Such a connection begins slowly from where it is.
func (c *Conn) ControlCongestion() {
	if c.cfg.Congestion == NewReno {
		return
	}
	c.cfg.Congestion = NewReno
	if c.state != SynSent {
		c.cwnd = min(c.cwnd, c.initialWindow())
	}
}

// initialWindow is that of RFC 6928, by count as in Linux.
func (c *Conn) initialWindow() uint32 { return uint32(10 * c.mss) }

// timedOut is what congestion control makes of a retransmission timeout: one segment,
// then slow start (RFC 5681, 3.1). Without congestion control that lasts until what
// had been sent is acknowledged.
func (c *Conn) timedOut(now time.Duration) {
	c.hasten(now)
	c.repaired = c.una
	c.ssthresh = c.halfFlight()
	c.cwnd = uint32(c.mss)
	c.recover, c.recovering = c.top, false
	c.dupACKs = 0
}

// halfFlight is the slow start threshold after a loss (RFC 5681, equation 4).
func (c *Conn) halfFlight() uint32 {
	if c.cfg.Congestion == NoCongestion {
		return noLimit
	}
	return max((c.top-c.una)/2, uint32(2*c.mss))
}

// ackedNew is what congestion control makes of bytes acknowledged for the first time.
func (c *Conn) ackedNew(bytes uint32, now time.Duration) {
	if c.recovering && before(c.una, c.recover) {
		if c.sack {
			return // repair goes on
		}
		c.retransmitHead(now) // a partial acknowledgement: the next hole (RFC 6582, 3.2)
		c.cwnd -= min(c.cwnd, bytes)
		if bytes >= uint32(c.mss) || c.cwnd < uint32(c.mss) {
			c.cwnd += uint32(c.mss)
		}
		c.limitRecovery()
		return
	}
	if c.recovering {
		c.recovering = false
		c.cwnd = c.ssthresh
	} else {
		c.grow(bytes)
	}
	c.dupACKs = 0
	if before(c.recover, c.una) {
		c.recover = c.una - 1 // keep it near: sequence numbers wrap around
	}
}

// limitRecovery lets only the first partial acknowledgement put the retransmission timer
// off (RFC 6582, 3.2 step 3 and section 4): a hole in a round trip is too slow a repair
// for many.
func (c *Conn) limitRecovery() {
	if c.cfg.Congestion == NoCongestion {
		return
	}
	if c.repairBy == 0 {
		c.repairBy = c.rexmitAt
	}
	c.rexmitAt = c.repairBy
}

// grow opens the congestion window: by what was acknowledged in slow start, which
// allows for delayed acknowledgements (RFC 3465), then by a segment per round trip.
func (c *Conn) grow(bytes uint32) {
	mss := uint32(c.mss)
	repaired := !before(c.una, c.recover)
	switch {
	case c.cfg.Congestion == NoCongestion && repaired:
		c.cwnd = noLimit
	case c.cwnd < c.ssthresh && repaired:
		c.cwnd += min(bytes, 2*mss)
	case c.cwnd < c.ssthresh:
		c.cwnd += min(bytes, mss)
	default:
		c.cwnd += max(1, uint32(uint64(mss)*uint64(min(bytes, c.cwnd))/uint64(c.cwnd)))
	}
	c.cwnd = min(c.cwnd, noLimit)
}

// duplicateACK counts an acknowledgement of nothing new. The third means loss: fast
// retransmit (RFC 5681, 3.2), unless it may come from segments that were sent twice
// in repairing an earlier loss (RFC 6582, 3.2, step 2). With selective acknowledgement so
// does what it reports, and the window is not inflated: repair knows what is on its way
// (RFC 6675, section 5).
func (c *Conn) duplicateACK(now time.Duration) {
	c.dupACKs++
	c.stats.DupACKs++
	switch {
	case c.recovering && c.sack:
	case c.recovering:
		c.cwnd = min(c.cwnd+uint32(c.mss), noLimit)
	case (c.dupACKs >= 3 || len(c.sacked) > 0 && c.lostBehind(0)) && before(c.recover, c.una):
		c.ssthresh = c.halfFlight()
		c.recover, c.recovering, c.repairBy = c.top, true, 0
		c.repaired, c.repairTop = c.una, c.top
		c.cwnd = c.ssthresh
		if !c.sack {
			c.cwnd = min(c.cwnd+uint32(3*c.mss), noLimit)
		}
		c.retransmitHead(now)
	}
}
