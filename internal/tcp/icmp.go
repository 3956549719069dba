package tcp

import "time"

// InFlight reports whether a sequence number is one of a segment that was sent and is
// not acknowledged: what an ICMP error quotes that is no forgery (RFC 5927, 4.1).
func (c *Conn) InFlight(seq uint32) bool {
	return c.state != Closed && !before(seq, c.una) && !before(c.top, seq)
}

// SetPathMTU makes segments no larger than what the path carries, 0 for what the first
// link does. It sends nothing.
func (c *Conn) SetPathMTU(mtu int) {
	c.pathMTU = mtu
	c.fitSegments()
}

// SetMTU lowers segments to what a router has said that it can carry, and sends what it
// dropped again, at once (RFC 1191). It never makes them larger.
func (c *Conn) SetMTU(mtu int, now time.Duration) {
	before, known := c.mss, c.pathMTU
	c.SetPathMTU(max(mtu, 1))
	switch {
	case c.mss > before:
		c.SetPathMTU(known)
	case c.mss < before && c.state.synchronized():
		c.nxt = c.una
		c.rtt.cancel()
		c.output(now)
	}
}

// fitSegments makes segments as large as the peer, the first link and the path allow.
func (c *Conn) fitSegments() {
	mtu := c.cfg.MTU
	if c.pathMTU > 0 {
		mtu = min(mtu, c.pathMTU)
	}
	c.mss = max(min(c.peerMSS, mtu-c.cfg.headers()), minMSS) - c.optionsLen()
}

// Unreachable takes an ICMP error about the connection. As in Linux it ends one that is
// opening, at once, and is no more than the reason that is given if a connection that is
// open times out later (RFC 5461; RFC 1122, 4.2.3.9).
func (c *Conn) Unreachable(err error, now time.Duration) {
	if c.state == SynSent || c.state == SynReceived {
		c.die(err)
		return
	}
	c.soft = err
}

// Unblock takes the last doubling of the retransmission timeout back, if the segment at the
// head is the one of which a router says that it knows no way on: it was not congestion
// that took it (RFC 6069). As in Linux the connection asks again and again then, and is as
// patient as with a peer that is silent.
func (c *Conn) Unblock(seq uint32, now time.Duration) {
	if seq != c.una || c.retries == 0 || c.rtt.backoff == 0 || c.rexmitAt == 0 || !c.state.synchronized() {
		return
	}
	sent := c.rexmitAt - c.rtt.timeout()
	c.rtt.backoff--
	c.rexmitAt = max(sent+c.rtt.timeout(), now)
}

// timeoutError is why a connection dies whose retransmissions were in vain.
func (c *Conn) timeoutError() error {
	if c.soft != nil {
		return c.soft
	}
	return ErrTimeout
}
