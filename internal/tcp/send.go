package tcp

import (
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// sendSYN sends the first segment, again if need be.
func (c *Conn) sendSYN(flags uint8, now time.Duration) {
	h := wire.TCP{
		Flags: flags, Seq: c.iss, Window: uint16(min(c.cfg.RecvBuffer, 65535)),
		MSS: uint16(max(c.cfg.MTU-headers, 48)),
	}
	if flags&wire.ACK != 0 {
		h.Ack = c.rcvNxt
		c.edge = c.rcvNxt + uint32(h.Window)
	}
	if flags&wire.ACK == 0 || c.scaleIn > 0 || c.scaleOut > 0 {
		h.HasScale, h.WindowScale = true, c.scaleIn
	}
	c.nxt = c.iss + 1
	c.top = maxSeq(c.top, c.nxt)
	if c.retries == 0 {
		c.rtt.start(c.nxt, now)
	}
	c.rexmitAt = now + c.rtt.timeout()
	c.stats.Sent++
	c.out.Send(&h, nil)
}

// segment sends one segment, which acknowledges all that has come.
func (c *Conn) segment(flags uint8, seq uint32, data []byte) {
	c.edge = maxSeq(c.edge, c.rcvNxt+c.room())
	h := wire.TCP{Flags: flags, Seq: seq, Ack: c.rcvNxt, Window: uint16(min((c.edge-c.rcvNxt)>>c.scaleIn, 65535))}
	c.ackAt, c.unacked = 0, 0
	c.stats.Sent++
	c.out.Send(&h, data)
}

// room returns how many more bytes the receive buffer takes, in units of the window's
// scale so that the edge that the peer computes is the one that we mean.
func (c *Conn) room() uint32 {
	free := max(0, c.cfg.RecvBuffer-c.recvBuf.len())
	free = min(free, 65535<<c.scaleIn)
	return uint32(free) >> c.scaleIn << c.scaleIn
}

func (c *Conn) sendACK() { c.segment(wire.ACK, c.nxt, nil) }

// updateWindow tells the peer of room that reading has made, once it is worth a
// segment (RFC 9293, 3.8.6.2.2).
func (c *Conn) updateWindow(now time.Duration) {
	if !c.state.synchronized() || c.eof || c.state == TimeWait {
		return
	}
	grown := c.rcvNxt + c.room() - c.edge
	if int32(grown) <= 0 {
		return
	}
	half := uint32(c.cfg.RecvBuffer / 2)
	left := c.edge - c.rcvNxt
	if grown >= half || (left < uint32(2*c.mss) && grown >= min(half, uint32(c.mss))) {
		c.sendACK()
	}
}

// finSeqOut returns the sequence number of our FIN.
func (c *Conn) finSeqOut() uint32 { return c.bufSeq + uint32(c.sendBuf.len()) }

// output sends what may be sent: data within the peer's window and ours, then the FIN.
func (c *Conn) output(now time.Duration) {
	if c.state == SynSent || c.state == SynReceived || c.state == Closed || c.state == TimeWait {
		return
	}
	for c.outputOne(now) {
	}
	if c.una != c.nxt && c.rexmitAt == 0 {
		c.rexmitAt = now + c.rtt.timeout()
	}
	if c.una == c.nxt && c.unsent() > 0 && c.rexmitAt == 0 && c.persistAt == 0 {
		c.persistAt = now + c.rtt.timeout()
	}
}

// unsent returns how many bytes of the buffer lie behind nxt.
func (c *Conn) unsent() int { return max(0, c.sendBuf.len()-int(c.nxt-c.bufSeq)) }

// outputOne sends one segment and reports whether there may be more.
func (c *Conn) outputOne(now time.Duration) bool {
	flight := c.nxt - c.una
	unsent := c.unsent()
	room := max(0, int(min(c.window, c.cwnd))-int(flight))
	n := min(unsent, room, c.mss)
	last := n == unsent
	finNow := c.fin && last && !before(c.finSeqOut(), c.nxt)
	if (n == 0 && !finNow) || (n < c.mss && !finNow && !c.worthSending(n, last, flight)) {
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

// worthSending is the sender's side of silly window avoidance, and Nagle's algorithm
// (RFC 9293, 3.8.6.2.1).
func (c *Conn) worthSending(n int, last bool, flight uint32) bool {
	if last && (!c.cfg.Nagle || flight == 0) {
		return true
	}
	return !last && uint32(n) >= c.maxWindow/2 || before(c.nxt, c.top)
}

// emit sends a segment at nxt and moves nxt behind it.
func (c *Conn) emit(flags uint8, data []byte, now time.Duration) {
	seq := c.nxt
	c.nxt += uint32(len(data))
	if flags&wire.FIN != 0 {
		c.nxt++
	}
	if before(seq, c.top) {
		c.stats.Retransmits++
		c.rtt.cancel()
	} else {
		c.rtt.start(c.nxt, now)
	}
	c.top = maxSeq(c.top, c.nxt)
	c.persistAt = 0
	c.segment(flags, seq, data)
}

// retransmitHead sends the oldest unacknowledged segment again and leaves nxt where
// it is.
func (c *Conn) retransmitHead(now time.Duration) {
	nxt := c.nxt
	c.nxt = c.una
	n := min(c.sendBuf.len(), c.mss, int(nxt-c.una))
	flags := wire.ACK
	if c.fin && n == c.sendBuf.len() {
		flags |= wire.FIN
	}
	if n > 0 {
		flags |= wire.PSH
	}
	var data []byte
	if n > 0 {
		data = c.sendBuf.bytes(0, n)
	}
	c.emit(flags, data, now)
	c.nxt = maxSeq(nxt, c.nxt)
	c.rexmitAt = now + c.rtt.timeout()
}
