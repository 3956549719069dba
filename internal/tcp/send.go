package tcp

import (
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// sendSYN sends the first segment, again if need be.
func (c *Conn) sendSYN(flags uint8, now time.Duration) {
	c.head = wire.TCP{
		Flags: flags, Seq: c.iss, Window: uint16(min(c.cfg.RecvBuffer, 65535)),
		MSS: uint16(max(c.cfg.MTU-c.cfg.headers(), minMSS)),
	}
	h := &c.head
	if flags&wire.ACK == 0 || c.ts.on {
		h.HasTimestamp, h.TSVal, h.TSEcr = true, c.clock(now), c.ts.recent
	}
	if flags&wire.ACK != 0 {
		h.Ack, c.lastACK = c.rcvNxt, c.rcvNxt
		c.edge = c.rcvNxt + uint32(h.Window)
	}
	h.SACKPermitted = flags&wire.ACK == 0 || c.sack
	if flags&wire.ACK == 0 || c.scaleIn > 0 || c.scaleOut > 0 {
		h.HasScale, h.WindowScale = true, c.scaleIn
	}
	if c.nxt == c.iss {
		c.nxt, c.top = c.iss+1, c.iss+1
		c.rtt.start(c.nxt, now)
	}
	c.rexmitAt = now + c.rtt.timeout()
	c.stats.Sent++
	c.out.Send(h, nil)
}

// resendSYN sends the first segment again.
func (c *Conn) resendSYN(now time.Duration) {
	c.stats.Retransmits++
	c.rtt.cancel()
	flags := wire.SYN
	if c.state == SynReceived {
		flags |= wire.ACK
	}
	c.sendSYN(flags, now)
}

// segment sends one segment, which acknowledges all that has come.
func (c *Conn) segment(flags uint8, seq uint32, data []byte, now time.Duration) {
	if grown := c.grown(); grown > 0 && grown >= min(c.cfg.RecvBuffer/2, c.mss) {
		c.edge += uint32(grown)
	}
	c.head = wire.TCP{Flags: flags, Seq: seq, Ack: c.rcvNxt, Window: uint16(min((c.edge-c.rcvNxt)>>c.scaleIn, 65535))}
	c.stamp(&c.head, now)
	if c.sack && len(data) == 0 && len(c.pieces) > 0 {
		c.nameBlocks(&c.head)
	}
	c.acknowledged()
	c.stats.Sent++
	c.out.Send(&c.head, data)
}

// grown returns how far the right edge of the window could move. It moves in steps
// that are worth a segment: the receiver's side of silly window avoidance (RFC 9293,
// 3.8.6.2.2).
func (c *Conn) grown() int { return int(int32(c.rcvNxt + c.room() - c.edge)) }

// reset answers a segment that the connection cannot take with a RST which the peer
// will believe.
func (c *Conn) reset(h *wire.TCP, dataLen int) {
	c.head, _ = Reset(h, dataLen)
	c.stats.Sent++
	c.out.Send(&c.head, nil)
}

// room returns how many more bytes the receive buffer takes, in units of the window's
// scale so that the edge that the peer computes is the one that we mean.
func (c *Conn) room() uint32 {
	free := max(0, c.cfg.RecvBuffer-c.recvBuf.len())
	free = min(free, 65535<<c.scaleIn)
	return uint32(free) >> c.scaleIn << c.scaleIn
}

// sendACK sends a segment without data. Its place is behind all that was ever sent:
// the peer may have got what is about to be sent again.
func (c *Conn) sendACK(now time.Duration) { c.segment(wire.ACK, c.top, nil, now) }

// strayACK answers a segment that may be part of a loop of such answers, at most twice
// a second (net.ipv4.tcp_invalid_ratelimit).
func (c *Conn) strayACK(now time.Duration) {
	if now < c.strayAt {
		return
	}
	c.strayAt = now + strayACKs
	c.sendACK(now)
}

// updateWindow tells the peer of room that reading has made, once it is worth a
// segment: half the buffer, or a segment's worth if less than two are left.
func (c *Conn) updateWindow(now time.Duration) {
	grown := c.grown()
	if !c.state.synchronized() || c.eof || grown <= 0 {
		return
	}
	half := c.cfg.RecvBuffer / 2
	left := int(c.edge - c.rcvNxt)
	if grown >= half || (left < 2*c.mss && grown >= c.mss) {
		c.sendACK(now)
	}
}

// finSeqOut returns the sequence number of our FIN.
func (c *Conn) finSeqOut() uint32 { return c.bufSeq + uint32(c.sendBuf.len()) }

// output sends what may be sent: data within the peer's window and ours, then the FIN.
func (c *Conn) output(now time.Duration) {
	if !c.state.synchronized() || c.state == TimeWait {
		return
	}
	c.repair(now)
	for c.outputOne(now) {
	}
	if c.una != c.nxt && c.rexmitAt == 0 {
		c.rexmitAt = now + c.rtt.timeout()
	}
	if c.una == c.nxt && c.pending() && c.rexmitAt == 0 && c.persistAt == 0 {
		c.persisted = 0
		c.persistAt = now + c.rtt.timeout()
	}
}

// pending reports whether something waits behind nxt, data or the FIN.
func (c *Conn) pending() bool {
	return c.unsent() > 0 || (c.fin && !before(c.finSeqOut(), c.nxt))
}

// unsent returns how many bytes of the buffer lie behind nxt.
func (c *Conn) unsent() int { return max(0, c.sendBuf.len()-int(c.nxt-c.bufSeq)) }

// outputOne sends one segment, or a train of them, and reports whether there may be more.
func (c *Conn) outputOne(now time.Duration) bool {
	missing := c.skip()
	flight := int(c.nxt - c.una)
	unsent := c.unsent()
	n := c.together(unsent, max(0, min(int(c.window)-flight, int(c.cwnd)-c.pipe(), missing)))
	last := n == unsent
	finNow := c.fin && last && !before(c.finSeqOut(), c.nxt) && flight+n < int(c.window)
	if (n == 0 && !finNow) || (n < min(c.mss, missing) && !finNow && !c.worthSending(n, last, flight)) {
		return false
	}
	flags := wire.ACK
	if last && n > 0 {
		flags |= wire.PSH
	}
	if finNow {
		flags |= wire.FIN
	}
	var data []byte
	if n > 0 {
		data = c.sendBuf.bytes(int(c.nxt-c.bufSeq), n)
	}
	c.emit(flags, data, now)
	return !last
}

// together returns how many of the unsent bytes go at once where limit bytes may be sent: a
// segment, or a train that is what segment after segment would be. What was sent before
// goes one by one, and so does a last small segment for which Nagle's algorithm has a
// rule.
func (c *Conn) together(unsent, limit int) int {
	n := min(unsent, limit, max(c.cfg.Train, c.mss))
	if n <= c.mss || before(c.nxt, c.top) {
		return min(n, c.mss)
	}
	if n == unsent && !c.cfg.Nagle {
		return n
	}
	return n / c.mss * c.mss
}

// worthSending is the sender's side of silly window avoidance, and Nagle's algorithm
// (RFC 9293, 3.8.6.2.1).
func (c *Conn) worthSending(n int, last bool, flight int) bool {
	switch {
	case flight == 0 && before(c.nxt, c.top):
		return true // the timer went off
	case last:
		return !c.cfg.Nagle || flight == 0 || before(c.nxt, c.top)
	default:
		return uint32(n) >= c.maxWindow/2
	}
}

// emit sends a segment or a train at nxt and moves nxt behind it.
func (c *Conn) emit(flags uint8, data []byte, now time.Duration) {
	seq := c.nxt
	c.nxt += uint32(len(data))
	if flags&wire.FIN != 0 {
		c.nxt++
	}
	first := c.nxt // where the first segment ends
	if len(data) > c.mss {
		first = seq + uint32(c.mss)
		c.stats.Sent += uint64((len(data) - 1) / c.mss)
	}
	if before(seq, c.top) {
		c.stats.Retransmits++
		c.repaired = maxSeq(c.repaired, c.nxt)
		c.rtt.cancel()
	} else if !before(c.una, c.recover) {
		c.rtt.start(first, now) // no hole before it will delay its acknowledgement
	}
	c.top = maxSeq(c.top, c.nxt)
	c.persistAt = 0
	if len(data) > 0 {
		c.patience.replied(now)
	}
	c.segment(flags, seq, data, now)
}

// retransmitHead sends the oldest unacknowledged segment again and leaves nxt where
// it is.
func (c *Conn) retransmitHead(now time.Duration) {
	n := min(c.sendBuf.len(), c.mss, int(c.top-c.una))
	if len(c.sacked) > 0 {
		n = min(n, int(c.sacked[0].From-c.una))
	}
	c.resend(c.una, n, now)
	c.rexmitAt = now + c.rtt.timeout()
}

// resend sends n bytes at seq again, with the FIN if that is behind them, and leaves nxt
// where it is.
func (c *Conn) resend(seq uint32, n int, now time.Duration) {
	nxt, at := c.nxt, int(seq-c.bufSeq)
	c.nxt = seq
	flags := wire.ACK
	if at+n == c.sendBuf.len() {
		if n > 0 {
			flags |= wire.PSH
		}
		if c.fin && before(c.finSeqOut(), c.top) {
			flags |= wire.FIN
		}
	}
	var data []byte
	if n > 0 {
		data = c.sendBuf.bytes(at, n)
	}
	c.emit(flags, data, now)
	c.nxt = maxSeq(nxt, c.nxt)
}
