package tcp

import (
	"cmp"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// Timer returns when Expire must be called, and false if nothing is waited for.
func (c *Conn) Timer() (at time.Duration, ok bool) {
	at = earlier(c.business(), c.questions())
	return at, at != 0
}

// business returns when something goes on by itself, and questions when the peer is to be
// asked whether it is still there, or has room. 0 is never.
func (c *Conn) business() time.Duration  { return earlier(earlier(c.rexmitAt, c.ackAt), c.waitAt) }
func (c *Conn) questions() time.Duration { return earlier(c.persistAt, c.keepAt) }

// earlier returns the earlier of two times, of which 0 is never.
func earlier(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// Idles reports whether what Timer waits for is at most a question to a silent peer, a
// keep-alive or a probe of its window: if the peer answers, all is as before and the
// question comes again, for ever.
func (c *Conn) Idles() bool {
	business, question := c.business(), c.questions()
	return question != 0 && (business == 0 || question < business)
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
		c.patience.waited(c.ackAt)
		c.sendACK(now)
	}
}

// retransmit is what the retransmission timer does (RFC 6298, 5.4 to 5.7): the oldest
// segment goes again, the timeout doubles, and what follows starts slowly.
func (c *Conn) retransmit(now time.Duration) {
	c.rexmitAt = 0
	if c.retries == 0 {
		c.lostAt = now
	}
	if c.exhausted(now) {
		c.die(c.timeoutError())
		return
	}
	c.retries++
	c.rtt.backoff++
	c.rtt.cancel()
	if !c.state.synchronized() {
		c.resendSYN(now)
		return
	}
	c.timedOut(now)
	c.nxt = c.una
	c.output(now)
	if c.rexmitAt == 0 && c.una != c.top {
		c.retransmitHead(now) // the window seems to have closed (RFC 7323, 2.4)
	}
}

// exhausted reports whether the connection has asked long enough. A SYN is sent so many
// times, ever more rarely, as in Linux before 6.5 (net.ipv4.tcp_syn_linear_timeouts). What
// comes later goes by the clock, so that those whose timeout is long, or those that routers
// have made ask more often, ask for as long as others.
func (c *Conn) exhausted(now time.Duration) bool {
	switch {
	case c.state.synchronized():
		return c.retries > 0 && now-c.lostAt >= patienceFor(c.retryLimit())
	case c.passive && c.state == SynReceived:
		return c.retries >= cmp.Or(c.cfg.SYNRetries, 5)
	}
	return c.retries >= cmp.Or(c.cfg.SYNRetries, 6)
}

// retryLimit returns how often a segment, or a question whether the window has opened, goes
// again without an answer.
func (c *Conn) retryLimit() int {
	if c.orphan {
		return cmp.Or(c.cfg.Retries, orphanRetries)
	}
	return cmp.Or(c.cfg.Retries, 15)
}

// patienceFor returns how long after the first retransmission a connection is given up: as
// long as so many take whose timeout begins at its least, with 15 of them 924.4 s (Linux's
// retransmits_timed_out). Linux adds that first timeout to it, for 924.6 s: as its timers
// count in whole jiffies, and its least timeout lasts one longer, they are late enough
// that the number of retransmissions is the same.
func patienceFor(retries int) time.Duration {
	sum, rto := time.Duration(0), minRTO
	for range retries {
		rto = min(2*rto, maxRTO)
		sum += rto
	}
	return sum
}

// probeWindow asks a peer whose window is closed whether it has opened (RFC 9293,
// 3.8.6.1): with the sequence number before the next, which it must answer. What the
// sender held back because the window is small goes now (3.8.6.2.1, rule 4). A silent
// peer is given up after so many probes, whenever they went (Linux's tcp_probe_timer); an
// orphan does not wait for ever for one that answers either.
func (c *Conn) probeWindow(now time.Duration) {
	c.persistAt = 0
	if !c.pending() || c.una != c.nxt {
		return
	}
	if n := min(c.unsent(), int(c.window), c.mss); n > 0 {
		c.emit(wire.ACK, c.sendBuf.bytes(int(c.nxt-c.bufSeq), n), now)
		c.rexmitAt = now + c.rtt.timeout()
		return
	}
	if c.probes >= c.retryLimit() || c.orphan && c.probedEnough() {
		c.die(c.timeoutError())
		return
	}
	c.probes++
	c.persisted++
	c.segment(wire.ACK, c.una-1, nil, now)
	c.persistAt = now + c.rtt.backedOff(c.persisted)
}

// probedEnough reports whether an orphan has waited long enough for a window to open:
// until the probes cannot become rarer, as in Linux.
func (c *Conn) probedEnough() bool {
	if c.cfg.Retries > 0 {
		return c.persisted >= uint(c.cfg.Retries)
	}
	return c.rtt.backedOff(c.persisted) == maxRTO
}

func (c *Conn) startKeepAlive(now time.Duration) {
	c.keepAt, c.probes = 0, 0
	if c.cfg.KeepAlive.Idle > 0 && c.state.synchronized() && c.state != TimeWait && !c.orphan {
		c.keepAt = max(c.heard+c.cfg.KeepAlive.Idle, now)
	}
}

// keepAlive probes an idle peer, and gives it up after too many silent probes.
func (c *Conn) keepAlive(now time.Duration) {
	k := c.cfg.KeepAlive
	c.keepAt = 0
	if !c.state.synchronized() || c.state == TimeWait {
		return
	}
	if c.una != c.top || c.pending() {
		c.keepAt = now + k.Idle // the other timers are at work
		return
	}
	if idle := c.heard + k.Idle; c.probes == 0 && idle > now {
		c.keepAt = idle
		return
	}
	if c.probes >= cmp.Or(k.Count, 9) {
		c.segment(wire.RST|wire.ACK, c.top, nil, now)
		c.die(c.timeoutError())
		return
	}
	c.probes++
	c.segment(wire.ACK, c.una-1, nil, now)
	c.keepAt = now + cmp.Or(k.Interval, 75*time.Second)
}

// enterTimeWait waits until the last segments of the connection have left the
// network.
func (c *Conn) enterTimeWait(now time.Duration) {
	c.state = TimeWait
	c.rexmitAt, c.persistAt, c.keepAt = 0, 0, 0
	c.waitAt = now + timeWait
}
