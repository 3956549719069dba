package tcp

import (
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// Timer returns when Expire must be called, and false if nothing is waited for.
func (c *Conn) Timer() (at time.Duration, ok bool) {
	for _, t := range [...]time.Duration{c.rexmitAt, c.ackAt, c.persistAt, c.keepAt, c.waitAt} {
		if t != 0 && (at == 0 || t < at) {
			at = t
		}
	}
	return at, at != 0
}

// Expire does what is due at now. Calling it too early is harmless.
func (c *Conn) Expire(now time.Duration) {
	due := func(t time.Duration) bool { return t != 0 && t <= now }
	if due(c.waitAt) {
		c.die(nil)
		return
	}
	if due(c.rexmitAt) {
		c.retransmit(now)
	}
	if due(c.persistAt) {
		c.probeWindow(now)
	}
	if due(c.keepAt) {
		c.keepAlive(now)
	}
	if due(c.ackAt) {
		c.sendACK()
	}
}

// retransmit is what the retransmission timer does (RFC 6298, 5.4 to 5.7): the oldest
// segment goes again, the timeout doubles, and what follows starts slowly.
func (c *Conn) retransmit(now time.Duration) {
	c.rexmitAt = 0
	if c.exhausted() {
		c.die(ErrTimeout)
		return
	}
	c.retries++
	c.rtt.backoff++
	c.rtt.cancel()
	switch c.state {
	case SynSent:
		c.stats.Retransmits++
		c.sendSYN(wire.SYN, now)
		return
	case SynReceived:
		c.stats.Retransmits++
		c.sendSYN(wire.SYN|wire.ACK, now)
		return
	}
	c.timedOut()
	c.nxt = c.una
	c.output(now)
	if c.rexmitAt == 0 && c.una != c.top {
		c.retransmitHead(now) // the window has closed: send one segment all the same
	}
}

func (c *Conn) exhausted() bool {
	limit := 15
	if c.cfg.Retries > 0 {
		limit = c.cfg.Retries
	}
	if c.state == SynSent || c.state == SynReceived {
		if limit = 6; c.cfg.SYNRetries > 0 {
			limit = c.cfg.SYNRetries
		}
	}
	return c.retries >= limit
}

// probeWindow asks a peer whose window is closed whether it has opened (RFC 9293,
// 3.8.6.1): with the sequence number before the next, which it must answer.
func (c *Conn) probeWindow(now time.Duration) {
	c.persistAt = 0
	if c.unsent() == 0 || c.una != c.nxt {
		return
	}
	c.rtt.backoff++
	c.segment(wire.ACK, c.una-1, nil)
	c.persistAt = now + c.rtt.timeout()
}

func (c *Conn) startKeepAlive() {
	c.keepAt, c.probes = 0, 0
	if c.cfg.KeepAlive.Idle > 0 && c.state.synchronized() && c.state != TimeWait {
		c.keepAt = c.heard + c.cfg.KeepAlive.Idle
	}
}

// keepAlive probes an idle peer, and gives it up after too many silent probes.
func (c *Conn) keepAlive(now time.Duration) {
	k := c.cfg.KeepAlive
	c.keepAt = 0
	if !c.state.synchronized() || c.state == TimeWait {
		return
	}
	if idle := c.heard + k.Idle; c.probes == 0 && idle > now {
		c.keepAt = idle
		return
	}
	if c.probes >= k.Count {
		c.segment(wire.RST|wire.ACK, c.nxt, nil)
		c.die(ErrTimeout)
		return
	}
	c.probes++
	c.segment(wire.ACK, c.una-1, nil)
	c.keepAt = now + k.Interval
}

// enterTimeWait waits until the last segments of the connection have left the
// network.
func (c *Conn) enterTimeWait(now time.Duration) {
	c.state = TimeWait
	c.rexmitAt, c.persistAt, c.keepAt = 0, 0, 0
	c.waitAt = now + timeWait
}
