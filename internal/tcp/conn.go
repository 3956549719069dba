package tcp

import (
	"cmp"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// Conn is one end of a connection. It is not safe for concurrent use.
type Conn struct {
	cfg     Config
	out     Sender
	head    wire.TCP // of the segment that is being sent
	err     error
	state   State
	passive bool // made by Accept

	// Sending. sendBuf begins at sequence number bufSeq.
	iss, una, nxt, top uint32 // top is the highest that was ever sent
	bufSeq             uint32
	sendBuf            buffer
	window, maxWindow  uint32
	wl1                uint32 // the sequence number of the last window update
	scaleOut, scaleIn  uint8  // of the windows that the peer, and that we, advertise
	mss                int
	peerMSS, pathMTU   int   // what the peer takes; what the path carries, if it was told
	soft               error // what an ICMP error said since the last acknowledgement
	fin                bool  // the application sends no more
	dupACKs            int
	recover            uint32 // the top when loss was noticed; una lies behind it after the repair
	recovering         bool
	repairBy           time.Duration // when the recovery is given up; 0 before its first partial acknowledgement
	repaired           uint32        // what is before it was sent again since the loss was noticed
	repairTop          uint32        // what top was when the last of it was
	sack               bool          // both SYNs permitted selective acknowledgement
	sacked             spans         // what the peer has got behind holes
	cwnd, ssthresh     uint32
	haste              haste

	// Receiving.
	irs, rcvNxt uint32
	edge        uint32 // the right edge of the window that was advertised
	recvBuf     queue
	train       int               // the size of the segments in the train that is being received; 0 means it is none
	parcel      Parcel            // in which the segment came that is being received, unless it is kept
	pieces      []piece           // what came out of order, sorted, without overlaps
	early       [maxBlocks]uint32 // where some of it begins, the latest first
	finSeq      uint32            // where the peer's stream ends, if peerFin
	peerFin     bool              // a FIN was seen
	eof         bool              // and everything before it has come
	readClosed  bool              // the application reads no more
	orphan      bool              // the application has closed
	unacked     int               // bytes received since the last acknowledgement
	rcvMSS      int               // the largest segment that came
	lastACK     uint32            // the acknowledgement that was sent last
	patience    patience
	ts          timestamps

	rtt       rttEstimator
	retries   int
	lostAt    time.Duration // when the first of them went
	probes    int           // keep-alive or zero-window probes without an answer
	persisted uint          // zero-window probes since the window closed
	rexmitAt  time.Duration
	ackAt     time.Duration
	persistAt time.Duration
	keepAt    time.Duration
	waitAt    time.Duration // TIME-WAIT or an orphan's FIN-WAIT-2
	heard     time.Duration // when the peer's last segment came
	strayAt   time.Duration // until then, strays without data get no answer
	stats     Stats
}

// Stats counts what a connection did.
type Stats struct {
	Sent, Received uint64 // segments
	Retransmits    uint64
	DupACKs        uint64
	SRTT           time.Duration // smoothed round-trip time; 0 before the first sample
}

func newConn(cfg Config, out Sender, now time.Duration) *Conn {
	c := cfg.Pool.machine()
	*c = Conn{cfg: cfg, out: out, heard: now}
	if c.cfg.MTU == 0 {
		c.cfg.MTU = 1500
	}
	c.cfg.MTU = min(c.cfg.MTU, 65535)
	if c.cfg.RecvBuffer == 0 {
		c.cfg.RecvBuffer = DefaultRecvBuffer
	}
	c.sendBuf.pool, c.recvBuf.pool = cfg.Pool, cfg.Pool
	c.iss, c.una, c.nxt, c.top = cfg.ISN, cfg.ISN, cfg.ISN, cfg.ISN
	c.bufSeq, c.recover = cfg.ISN+1, cfg.ISN
	c.cfg.IPHeader = cmp.Or(cfg.IPHeader, wire.IPv4HeaderLen)
	mss := c.cfg.defaultMSS()
	c.mss, c.peerMSS, c.rcvMSS = mss, mss, mss
	c.cwnd, c.ssthresh = noLimit, noLimit
	for c.cfg.RecvBuffer>>c.scaleIn > 65535 && c.scaleIn < maxScale {
		c.scaleIn++
	}
	return c
}

// Dial opens a connection actively: it sends a SYN.
func Dial(cfg Config, out Sender, now time.Duration) *Conn {
	c := newConn(cfg, out, now)
	c.state = SynSent
	c.sendSYN(wire.SYN, now)
	return c
}

// Accept opens a connection passively, in answer to a SYN: it sends a SYN and ACK.
func Accept(cfg Config, out Sender, syn *wire.TCP, now time.Duration) *Conn {
	c := newConn(cfg, out, now)
	c.state, c.passive = SynReceived, true
	c.takeSYN(syn, now)
	c.sendSYN(wire.SYN|wire.ACK, now)
	return c
}

// takeSYN learns what the peer's SYN says.
func (c *Conn) takeSYN(syn *wire.TCP, now time.Duration) {
	c.irs, c.rcvNxt, c.edge = syn.Seq, syn.Seq+1, syn.Seq+1
	peer := c.cfg.defaultMSS()
	if syn.MSS != 0 {
		peer = max(int(syn.MSS), minMSS)
	}
	c.sack = syn.SACKPermitted
	c.ts = timestamps{on: syn.HasTimestamp, recent: syn.TSVal, at: now}
	c.peerMSS = peer
	c.fitSegments()
	if syn.HasScale {
		c.scaleOut = min(syn.WindowScale, maxScale)
	} else {
		c.scaleOut, c.scaleIn = 0, 0
	}
	c.window, c.maxWindow = uint32(syn.Window), uint32(syn.Window)
	c.wl1 = syn.Seq
	if c.cfg.Congestion == NewReno {
		c.cwnd = c.initialWindow()
	}
}

// Write takes bytes to send and returns how many it took: all, unless SendBuffer is
// full. A connection that cannot send takes none; see CanSend.
func (c *Conn) Write(b []byte, now time.Duration) int {
	n := c.Lend(b, now)
	c.Keep()
	return n
}

// Lend is a Write that copies nothing yet: until Keep is called, which comes before any
// other call of the application, b must stay as it is. What the peer has acknowledged by
// then is never copied.
func (c *Conn) Lend(b []byte, now time.Duration) int {
	if !c.CanSend() {
		return 0
	}
	if c.cfg.SendBuffer > 0 {
		b = b[:min(len(b), max(0, c.cfg.SendBuffer-c.sendBuf.len()))]
	}
	if len(b) > 0 {
		c.sendBuf.lend(b)
		c.output(now)
	}
	return len(b)
}

// Keep ends what Lend began.
func (c *Conn) Keep() { c.sendBuf.keep() }

// Read copies bytes that have come in order to b and returns how many.
func (c *Conn) Read(b []byte, now time.Duration) int {
	n := c.recvBuf.read(b)
	if n > 0 {
		c.updateWindow(now)
	}
	return n
}

// Take is a Read without a copy: it puts chunks that have come in order and hold no
// more than limit bytes together into out and returns how many. It stops at a chunk that
// the machine has copied itself. The caller releases the parcels.
func (c *Conn) Take(out []Chunk, limit int, now time.Duration) int {
	n := c.recvBuf.take(out, limit)
	if n > 0 {
		c.updateWindow(now)
	}
	return n
}

// Buffered returns how many bytes can be read at once.
func (c *Conn) Buffered() int { return c.recvBuf.len() }

// EOF reports whether all that the peer has sent before its FIN has been read, or all that
// has come to one who reads no more and has not been told of an error.
func (c *Conn) EOF() bool { return (c.eof || c.readClosed && c.err == nil) && c.recvBuf.len() == 0 }

// CanSend reports whether the application may still write.
func (c *Conn) CanSend() bool { return !c.fin && (c.state == Established || c.state == CloseWait) }

// Writable reports whether Write would take so much that it is worth waking a writer: as
// in Linux, whether a third of the send buffer is free.
func (c *Conn) Writable() bool {
	return c.CanSend() && (c.cfg.SendBuffer == 0 || c.sendBuf.len() <= c.cfg.SendBuffer*2/3)
}

// CloseWrite sends a FIN after everything that was written, and after the handshake.
func (c *Conn) CloseWrite(now time.Duration) {
	if c.fin {
		return
	}
	switch c.state {
	case SynSent:
		c.die(nil)
		return
	case SynReceived:
		c.fin = true // becomeEstablished goes on
		return
	case Established:
		c.fin = true
		c.state = FinWait1
	case CloseWait:
		c.fin = true
		c.state = LastAck
	default:
		return
	}
	c.output(now)
}

// CloseRead makes EOF true whenever all that has come is read. As with Linux what comes
// later can be read too, until CloseWrite: from then on it is answered with RST.
func (c *Conn) CloseRead(now time.Duration) { c.readClosed = true }

// Close ends the connection for an application that is done with it: with a FIN, or
// with a RST if something that had come was not read, as Linux does.
func (c *Conn) Close(now time.Duration) {
	if c.orphan {
		return
	}
	if c.recvBuf.len() > 0 {
		c.Abort(now)
		return
	}
	c.orphan = true
	c.keepAt = 0
	c.recvBuf.release()
	c.CloseWrite(now)
	if c.state == FinWait2 {
		c.waitAt = now + finWait2
	}
}

// Abort ends the connection at once: with a RST, unless both ends have closed and
// everything was sent and read (RFC 9293, 3.10.5). As in Linux, TIME-WAIT goes on, which is
// no application's affair any more.
func (c *Conn) Abort(now time.Duration) {
	switch c.state {
	case TimeWait:
		c.orphan = true
		c.recvBuf.release()
		return
	case SynReceived, Established, FinWait1, FinWait2, CloseWait:
		c.segment(wire.RST|wire.ACK, c.top, nil, now)
	case Closing, LastAck:
		if c.pending() || c.recvBuf.len() > 0 {
			c.segment(wire.RST|wire.ACK, c.top, nil, now)
		}
	}
	c.recvBuf.release()
	c.die(nil)
}

// die forgets everything but what has come and was not read.
func (c *Conn) die(err error) {
	c.state = Closed
	if c.err == nil {
		c.err = err
	}
	c.sendBuf.release()
	c.pieces, c.sacked = nil, nil
	c.rexmitAt, c.ackAt, c.persistAt, c.keepAt, c.waitAt = 0, 0, 0, 0, 0
}

// State returns the state.
func (c *Conn) State() State { return c.state }

// Err returns why the connection died, nil while it lives and after an orderly end.
func (c *Conn) Err() error { return c.err }

// Done reports whether the connection is over and may be forgotten.
func (c *Conn) Done() bool { return c.state == Closed }

// Closing reports whether the peer has yet to acknowledge our FIN, or what is before it.
func (c *Conn) Closing() bool {
	return c.state == FinWait1 || c.state == Closing || c.state == LastAck
}

// SendQueue returns how many bytes wait to be sent or acknowledged.
func (c *Conn) SendQueue() int { return c.sendBuf.len() }

// MSS returns the largest payload of a segment that is sent, beside its options.
func (c *Conn) MSS() int { return c.mss }

// Stats returns the counters.
func (c *Conn) Stats() Stats {
	s := c.stats
	s.SRTT = c.rtt.smoothed
	return s
}

// SetNagle turns Nagle's algorithm on or off.
func (c *Conn) SetNagle(on bool) { c.cfg.Nagle = on }

// SetKeepAlive sets when the idle connection is probed, counted from when the peer was
// heard last.
func (c *Conn) SetKeepAlive(k KeepAlive, now time.Duration) {
	c.cfg.KeepAlive = k
	c.startKeepAlive(now)
}

// CanReuse reports whether a SYN may open a new connection in the place of this one,
// which is in TIME-WAIT: if its sequence number or its timestamp is a later one (RFC
// 9293, 3.10.7.4), and its timestamp not an earlier one.
func (c *Conn) CanReuse(syn *wire.TCP) bool {
	if c.state != TimeWait || syn.Flags&(wire.SYN|wire.ACK|wire.RST) != wire.SYN {
		return false
	}
	age := int32(0)
	if c.ts.on && syn.HasTimestamp {
		age = int32(syn.TSVal - c.ts.recent)
	}
	return age > 0 || age == 0 && before(c.rcvNxt, syn.Seq)
}

// Reset returns the RST that answers a segment for which there is no connection, and
// false if it deserves none (RFC 9293, 3.10.7.1).
func Reset(in *wire.TCP, dataLen int) (out wire.TCP, ok bool) {
	if in.Flags&wire.RST != 0 {
		return out, false
	}
	if in.Flags&wire.ACK != 0 {
		return wire.TCP{Flags: wire.RST, Seq: in.Ack}, true
	}
	return wire.TCP{Flags: wire.RST | wire.ACK, Ack: in.Seq + segmentLen(in, dataLen)}, true
}

// segmentLen returns how much sequence space a segment takes.
func segmentLen(h *wire.TCP, dataLen int) uint32 {
	n := uint32(dataLen)
	if h.Flags&wire.SYN != 0 {
		n++
	}
	if h.Flags&wire.FIN != 0 {
		n++
	}
	return n
}
