package tcp

import (
	"cmp"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// ReceiveParcel is Receive for a payload in a parcel, and reports whether it keeps it
// until it is read.
func (c *Conn) ReceiveParcel(h *wire.TCP, data []byte, in Parcel, now time.Duration) (kept bool) {
	c.parcel = in
	c.Receive(h, data, now)
	kept = c.parcel == nil
	c.parcel = nil
	return kept
}

// TakesTrain reports whether several segments that follow one another, of dataLen bytes
// together and with the header of the first, may be received as one: what comes of them is
// what would come of each by itself. It is so in the middle of a stream; at its edges, and
// where something is missing, each segment is judged by itself.
func (c *Conn) TakesTrain(h *wire.TCP, dataLen int) bool {
	taking := c.state == Established || c.state == FinWait1 || c.state == FinWait2
	inOrder := h.Seq == c.rcvNxt && len(c.pieces) == 0 && !c.peerFin
	return taking && inOrder && !c.unwanted() && h.Flags&(wire.SYN|wire.RST) == 0 && dataLen < int(c.edge-c.rcvNxt)
}

// ReceiveTrain is ReceiveParcel for the segments that TakesTrain accepts. All but the last
// have size bytes.
func (c *Conn) ReceiveTrain(h *wire.TCP, data []byte, size int, in Parcel, now time.Duration) (kept bool) {
	c.train = size
	c.stats.Received += uint64((len(data) - 1) / size)
	kept = c.ReceiveParcel(h, data, in, now)
	c.train = 0
	return kept
}

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
	if !c.acceptable(h, len(data)) || (h.Flags&wire.RST == 0 && c.outdated(h, len(data), now)) {
		c.unacceptable(h, len(data), now)
		return
	}
	switch {
	case h.Flags&wire.RST != 0:
		c.receiveRST(h, now)
		return
	case h.Flags&wire.SYN != 0:
		c.strayACK(now) // a challenge, RFC 5961 section 4
		return
	case h.Flags&wire.ACK == 0:
		return
	}
	c.notePeerClock(h, now)
	if !c.receiveACK(h, len(data), now) {
		return
	}
	c.receiveData(h, data, now)
	if c.state != Closed {
		c.output(now)
	}
}

// receiveSynSent is what a machine that has sent its SYN makes of an answer. One that is
// about something else tells of an earlier connection at the other end, which the RST has
// ended: like Linux it sends its first SYN again after two jiffies (TCP_TIMEOUT_MIN, of 4 ms
// each) and not after a second.
func (c *Conn) receiveSynSent(h *wire.TCP, data []byte, now time.Duration) {
	acks := h.Flags&wire.ACK != 0
	if acks && h.Ack != c.nxt {
		if h.Flags&wire.RST == 0 {
			c.reset(h, len(data))
		}
		if c.retries == 0 {
			c.rexmitAt = now + synAgain
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
	c.takeSYN(h, now)
	if !acks { // both opened at once
		c.state = SynReceived
		c.retries = 0
		c.sendSYN(wire.SYN|wire.ACK, now)
		return
	}
	c.ackedSYN(now)
	c.sendACK(now)
	if len(data) > 0 {
		head := *h
		head.Seq++
		head.Flags &^= wire.SYN
		c.receiveData(&head, data, now)
	}
}

// ackedSYN is what the acknowledgement of our SYN does: the handshake is over.
func (c *Conn) ackedSYN(now time.Duration) {
	c.una = c.iss + 1
	c.rtt.lostSYN = c.retries > 0
	c.rtt.backoff = 0
	c.rtt.acked(c.una, c.nxt, now)
	c.rexmitAt, c.retries = 0, 0
	c.state = Established
	if c.fin {
		c.state = FinWait1 // closed before the handshake was over
	}
	c.startKeepAlive(now)
}

// acceptable reports whether a segment touches the window (RFC 9293, 3.4). Like Linux
// it takes what carries no data until the edge itself, since a peer that has filled
// the window acknowledges from there, and what comes next in order when the window is
// closed, for its acknowledgement.
func (c *Conn) acceptable(h *wire.TCP, dataLen int) bool {
	n := segmentLen(h, dataLen)
	if n == 0 {
		return !before(h.Seq, c.rcvNxt) && !before(c.edge, h.Seq)
	}
	if c.edge == c.rcvNxt {
		return h.Seq == c.rcvNxt
	}
	return before(h.Seq, c.edge) && before(c.rcvNxt, h.Seq+n)
}

// unacceptable answers an old or stray segment with an acknowledgement, which tells
// the peer where we stand.
func (c *Conn) unacceptable(h *wire.TCP, dataLen int, now time.Duration) {
	switch {
	case h.Flags&wire.RST != 0:
	case c.state == SynReceived && h.Flags&wire.SYN != 0 && h.Seq == c.irs:
		c.receiveSecondSYN(h, now)
	case h.Flags&wire.SYN != 0 || segmentLen(h, dataLen) == 0:
		c.strayACK(now)
	default:
		if c.state == TimeWait && h.Flags&wire.FIN != 0 {
			c.waitAt = now + timeWait
		}
		c.patience.startle()
		c.sendACK(now)
	}
}

// receiveSecondSYN takes the SYN of a peer that has not got ours, or, when both opened
// at once, its answer to ours (RFC 9293, figure 7).
func (c *Conn) receiveSecondSYN(h *wire.TCP, now time.Duration) {
	if h.Flags&wire.ACK == 0 {
		c.resendSYN(now)
		return
	}
	if h.Ack != c.nxt {
		c.reset(h, 0)
		return
	}
	c.ackedSYN(now)
	c.output(now)
}

// receiveRST ends the connection if the RST is exactly the next in order; one that is
// merely inside the window is challenged (RFC 5961, section 3).
func (c *Conn) receiveRST(h *wire.TCP, now time.Duration) {
	if h.Seq != c.rcvNxt {
		c.strayACK(now)
		return
	}
	switch {
	case c.state >= Closing:
		c.die(nil)
	case c.state == CloseWait:
		c.die(ErrPipe)
	case c.state == SynReceived && !c.passive:
		c.die(ErrRefused)
	default:
		c.die(ErrReset)
	}
}

// receiveACK takes what a segment acknowledges and reports whether to go on with it.
func (c *Conn) receiveACK(h *wire.TCP, dataLen int, now time.Duration) bool {
	if c.state == SynReceived {
		if h.Ack != c.nxt {
			c.reset(h, dataLen)
			return false
		}
		c.ackedSYN(now)
		c.takeWindow(h)
		return true
	}
	switch {
	case before(c.top, h.Ack), before(h.Ack, c.una-c.maxWindow):
		c.strayACK(now) // for what was never sent, or impossibly old: RFC 5961, section 5
		return false
	case before(h.Ack, c.una):
		return true
	}
	news := c.takeBlocks(h)
	if h.Ack != c.una {
		c.advance(h, now)
		return c.state != Closed
	}
	if news || c.duplicates(h, dataLen) {
		c.duplicateACK(now)
	}
	if before(c.wl1, h.Seq) || c.scaled(h) > c.window {
		c.takeWindow(h)
	}
	return true
}

// duplicates reports whether a segment is a duplicate acknowledgement (RFC 5681, section
// 2). With selective acknowledgement one is known by what it reports (RFC 6675).
func (c *Conn) duplicates(h *wire.TCP, dataLen int) bool {
	return !c.sack && dataLen == 0 && h.Flags&wire.FIN == 0 && c.una != c.top && c.scaled(h) == c.window
}

func (c *Conn) scaled(h *wire.TCP) uint32 { return uint32(h.Window) << c.scaleOut }

// takeWindow notes the window that the peer offers behind una. As in Linux, a segment
// counts that acknowledges something new, comes later in the peer's stream, or offers
// more.
func (c *Conn) takeWindow(h *wire.TCP) {
	c.window, c.wl1 = c.scaled(h), h.Seq
	c.maxWindow = max(c.maxWindow, c.window)
}

// advance forgets what the peer has acknowledged.
func (c *Conn) advance(h *wire.TCP, now time.Duration) {
	ack := h.Ack
	acked := ack - c.una
	c.una = ack
	c.takeWindow(h)
	c.nxt, c.repaired = maxSeq(c.nxt, ack), maxSeq(c.repaired, ack)
	if len(c.sacked) > 0 {
		c.sacked.drop(ack)
		if c.reneged() {
			c.sacked = nil
		}
	}
	if before(c.bufSeq, ack) {
		n := min(int(ack-c.bufSeq), c.sendBuf.len())
		c.bufSeq += uint32(n)
		c.sendBuf.drop(n)
	}
	c.measure(h, now)
	c.retries, c.soft = 0, nil
	c.rexmitAt = 0
	if c.una != c.top {
		c.rexmitAt = now + c.rtt.timeout()
	}
	c.regret(h)
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
	end := seq + uint32(len(data))
	if c.unwanted() && len(data) > 0 && before(c.rcvNxt, end) {
		c.reset(h, len(data))
		c.die(c.abandoned())
		return
	}
	if hasFIN && !c.peerFin && !before(end, c.highest()) {
		c.peerFin, c.finSeq = true, end
	}
	c.rcvMSS = max(c.rcvMSS, min(len(data), cmp.Or(c.train, len(data))))
	if len(data) > 0 {
		c.tookData(now)
	}
	atOnce := true
	data, seq = c.trim(data, seq)
	switch {
	case len(data) == 0:
	case seq == c.rcvNxt:
		atOnce = len(c.pieces) > 0
		c.unacked += len(data)
		c.acceptSegment(data)
		c.join()
	default:
		c.keep(seq, data)
		c.noteEarly(seq)
	}
	if c.peerFin && !c.eof && c.rcvNxt == c.finSeq {
		c.receiveFIN(now)
		atOnce = true
	}
	c.acknowledge(atOnce, now)
}

// unwanted reports whether nobody is left to read what comes: the application has closed,
// or it has shut down both directions (RFC 1122, 4.2.2.13).
func (c *Conn) unwanted() bool {
	return !c.eof && (c.orphan || c.readClosed && (c.state == FinWait1 || c.state == FinWait2))
}

// abandoned is why a connection ends that gets what is unwanted.
func (c *Conn) abandoned() error {
	if c.orphan {
		return nil
	}
	return ErrReset
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

// receiveFIN takes the end of the peer's stream.
func (c *Conn) receiveFIN(now time.Duration) {
	c.rcvNxt++
	c.edge = maxSeq(c.edge, c.rcvNxt)
	c.eof = true
	switch c.state {
	case Established:
		c.state = CloseWait
	case FinWait1:
		c.state = Closing
	case FinWait2:
		c.enterTimeWait(now)
	}
}
