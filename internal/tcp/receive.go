package tcp

import (
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// Receive takes a segment that has arrived (RFC 9293, 3.10.7). The payload is valid
// only during the call.
func (c *Conn) Receive(h *wire.TCP, data []byte, now time.Duration) {
	c.stats.Received++
	switch c.state {
	case Closed:
		return
	case SynSent:
		c.receiveSynSent(h, data, now)
		return
	}
	c.heard, c.probes = now, 0
	if !c.acceptable(h, len(data)) {
		c.unacceptable(h, len(data), now)
		return
	}
	switch {
	case h.Flags&wire.RST != 0:
		c.receiveRST(h)
		return
	case h.Flags&wire.SYN != 0:
		c.sendACK() // a challenge, RFC 5961 section 4
		return
	case h.Flags&wire.ACK == 0:
		return
	}
	if !c.receiveACK(h, len(data), now) {
		return
	}
	c.receiveData(h, data, now)
	if c.state != Closed {
		c.output(now)
	}
}

// receiveSynSent is what a machine that has sent its SYN makes of an answer.
func (c *Conn) receiveSynSent(h *wire.TCP, data []byte, now time.Duration) {
	acks := h.Flags&wire.ACK != 0
	if acks && h.Ack != c.nxt {
		if h.Flags&wire.RST == 0 {
			c.out.Send(&wire.TCP{Flags: wire.RST, Seq: h.Ack}, nil)
		}
		return
	}
	switch {
	case h.Flags&wire.RST != 0:
		if acks {
			c.die(ErrRefused)
		}
		return
	case h.Flags&wire.SYN == 0:
		return
	}
	c.heard = now
	c.takeSYN(h)
	if !acks { // both opened at once
		c.state = SynReceived
		c.retries = 0
		c.sendSYN(wire.SYN|wire.ACK, now)
		return
	}
	c.una = h.Ack
	c.rtt.acked(h.Ack, now)
	c.becomeEstablished()
	c.sendACK()
	if len(data) > 0 {
		head := *h
		head.Seq++
		head.Flags &^= wire.SYN
		c.receiveData(&head, data, now)
	}
}

func (c *Conn) becomeEstablished() {
	if c.state != FinWait1 { // closed before the handshake was over
		c.state = Established
	}
	c.rexmitAt, c.retries = 0, 0
	c.startKeepAlive()
}

// acceptable reports whether a segment touches the window (RFC 9293, 3.4).
func (c *Conn) acceptable(h *wire.TCP, dataLen int) bool {
	n := segmentLen(h, dataLen)
	window := c.edge - c.rcvNxt
	if n == 0 {
		return h.Seq == c.rcvNxt || (!before(h.Seq, c.rcvNxt) && before(h.Seq, c.edge))
	}
	if window == 0 {
		return false
	}
	return before(h.Seq, c.edge) && before(c.rcvNxt, h.Seq+n)
}

// unacceptable answers an old or stray segment with an acknowledgement, which tells
// the peer where we stand. What it acknowledges counts all the same, so that a peer's
// probes of a closed window do not keep our own data from being acknowledged.
func (c *Conn) unacceptable(h *wire.TCP, dataLen int, now time.Duration) {
	if h.Flags&wire.RST != 0 {
		return
	}
	if c.state == TimeWait && h.Flags&wire.FIN != 0 {
		c.waitAt = now + timeWait
	}
	if c.state == SynReceived && h.Flags&wire.SYN != 0 && h.Seq == c.irs {
		c.stats.Retransmits++
		c.sendSYN(wire.SYN|wire.ACK, now)
		return
	}
	if h.Flags&wire.ACK != 0 && h.Flags&wire.SYN == 0 && c.state.synchronized() {
		if !c.receiveACK(h, dataLen, now) {
			return
		}
		c.output(now)
	}
	c.sendACK()
}

// receiveRST ends the connection if the RST is exactly the next in order; one that is
// merely inside the window is challenged (RFC 5961, section 3).
func (c *Conn) receiveRST(h *wire.TCP) {
	if h.Seq != c.rcvNxt {
		c.sendACK()
		return
	}
	switch c.state {
	case TimeWait, LastAck, Closing:
		c.die(nil)
	default:
		c.die(ErrReset)
	}
}

// receiveACK takes what a segment acknowledges and reports whether to go on with it.
func (c *Conn) receiveACK(h *wire.TCP, dataLen int, now time.Duration) bool {
	if c.state == SynReceived || (c.state == FinWait1 && c.una == c.iss) {
		if before(h.Ack, c.iss+1) || before(c.top, h.Ack) {
			c.out.Send(&wire.TCP{Flags: wire.RST, Seq: h.Ack}, nil)
			return false
		}
		c.becomeEstablished()
	}
	switch {
	case before(c.top, h.Ack): // acknowledges what was never sent
		c.sendACK()
		return false
	case before(c.una, h.Ack):
		c.advance(h.Ack, now)
	case h.Ack == c.una && dataLen == 0 && h.Flags&wire.FIN == 0 &&
		c.una != c.top && c.scaled(h) == c.window && c.window > 0:
		c.duplicateACK(now)
	}
	if c.state == Closed || c.state == TimeWait {
		return c.state == TimeWait
	}
	c.takeWindow(h, now)
	return true
}

func (c *Conn) scaled(h *wire.TCP) uint32 { return uint32(h.Window) << c.scaleOut }

// takeWindow notes the window that the peer offers, unless the segment is older than
// the one that said it last.
func (c *Conn) takeWindow(h *wire.TCP, now time.Duration) {
	if before(h.Seq, c.wl1) || (h.Seq == c.wl1 && before(h.Ack, c.wl2)) {
		return
	}
	if c.window == 0 && h.Window != 0 && c.persistAt != 0 {
		c.persistAt, c.rtt.backoff = 0, 0
	}
	c.window, c.wl1, c.wl2 = c.scaled(h), h.Seq, h.Ack
	c.maxWindow = max(c.maxWindow, c.window)
}

// advance forgets what the peer has acknowledged.
func (c *Conn) advance(ack uint32, now time.Duration) {
	acked := ack - c.una
	c.una = ack
	c.nxt = maxSeq(c.nxt, ack)
	if before(c.bufSeq, ack) {
		n := min(int(ack-c.bufSeq), c.sendBuf.len())
		c.bufSeq += uint32(n)
		c.sendBuf.drop(n)
	}
	c.rtt.acked(ack, now)
	c.retries = 0
	c.rexmitAt = 0
	if c.una != c.top {
		c.rexmitAt = now + c.rtt.timeout()
	}
	c.ackedNew(acked, now)
	if c.fin && ack == c.finSeqOut()+1 {
		c.finAcked(now)
	}
}

// finAcked moves on when the peer has everything that we had to say.
func (c *Conn) finAcked(now time.Duration) {
	switch c.state {
	case FinWait1:
		c.state = FinWait2
		if c.orphan {
			c.waitAt = now + finWait2
		}
	case Closing:
		c.enterTimeWait(now)
	case LastAck:
		c.die(nil)
	}
}

// receiveData takes a segment's payload and FIN.
func (c *Conn) receiveData(h *wire.TCP, data []byte, now time.Duration) {
	seq, hasFIN := h.Seq, h.Flags&wire.FIN != 0
	if len(data) == 0 && !hasFIN {
		return
	}
	if c.orphan && len(data) > 0 && before(c.rcvNxt, seq+uint32(len(data))) {
		c.segment(wire.RST|wire.ACK, c.nxt, nil) // nobody is left to read it
		c.die(nil)
		return
	}
	if hasFIN && !c.peerFin {
		c.peerFin, c.finSeq = true, seq+uint32(len(data))
	}
	inOrder := seq == c.rcvNxt
	data, seq = c.trim(data, seq)
	switch {
	case seq == c.rcvNxt && len(data) > 0:
		c.accept(data)
		filled := c.join()
		c.acknowledge(len(data), filled || len(c.pieces) > 0, now)
	case len(data) > 0:
		c.keep(seq, data)
		c.sendACK()
	case !inOrder || !hasFIN:
		c.sendACK()
	}
	if c.peerFin && !c.eof && c.rcvNxt == c.finSeq {
		c.receiveFIN(now)
	}
}

// trim cuts off what was received before and what lies outside the window or behind
// the end of the peer's stream.
func (c *Conn) trim(data []byte, seq uint32) ([]byte, uint32) {
	if before(seq, c.rcvNxt) {
		n := min(len(data), int(c.rcvNxt-seq))
		data, seq = data[n:], seq+uint32(n)
	}
	limit := c.edge
	if c.peerFin && before(c.finSeq, limit) {
		limit = c.finSeq
	}
	room := max(0, int(int32(limit-seq)))
	return data[:min(len(data), room)], seq
}

// acknowledge answers data: at once for every second full segment and where a hole
// was or is (RFC 9293, 3.8.6.3), else a little later, in the hope that it can ride on
// data.
func (c *Conn) acknowledge(n int, atOnce bool, now time.Duration) {
	c.unacked += n
	if atOnce || c.unacked >= 2*c.mss {
		c.sendACK()
		return
	}
	if c.ackAt == 0 {
		delay := c.cfg.DelayedACK
		if delay == 0 {
			delay = 40 * time.Millisecond
		}
		c.ackAt = now + delay
	}
}

// receiveFIN takes the end of the peer's stream.
func (c *Conn) receiveFIN(now time.Duration) {
	c.rcvNxt++
	c.edge = maxSeq(c.edge, c.rcvNxt)
	c.eof = true
	switch c.state {
	case SynReceived, Established:
		c.state = CloseWait
	case FinWait1:
		c.state = Closing
	case FinWait2:
		c.enterTimeWait(now)
	}
	c.sendACK()
}
