package netfake

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/netspec-go/netspec/internal/sched"
	"github.com/netspec-go/netspec/internal/tcp"
	"github.com/netspec-go/netspec/internal/wire"
)

// receiveTCP hands a segment to its connection, its listener, or answers with RST.
func (h *Host) receiveTCP(p *Packet) Next {
	var head wire.TCP
	data, err := head.Parse(p.Payload())
	if err != nil {
		return h.drop(p, err.Error(), "")
	}
	if c := h.connHashed(p.Flow, p.FlowHash()); c != nil {
		if head.Flags&wire.SYN != 0 && c.machine.CanReuse(&head) {
			c.forget()
		} else {
			if l := c.listener; l != nil && l.ignores(&head) {
				return h.drop(p, fmt.Sprintf("the backlog of tcp/%d is full", p.Flow.Dst.Port()), "")
			}
			return c.receive(p, &head, data)
		}
	}
	if p.train > 0 {
		return p.Apart() // each is answered
	}
	if l := h.listenerFor(p.Flow.Dst); l != nil && head.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN {
		return l.receiveSYN(p, &head)
	}
	return h.refuse(p, &head, len(data))
}

// receive takes a segment of the connection, or a train of them.
func (c *TCPConn) receive(p *Packet, head *wire.TCP, data []byte) Next {
	now, state, keeps := c.host.world.now, c.machine.State(), false
	switch {
	case p.train == 0:
		keeps = c.machine.ReceiveParcel(head, data, (*parcel)(p), now)
	case c.machine.TakesTrain(head, len(data)):
		keeps = c.machine.ReceiveTrain(head, data, p.train, (*parcel)(p), now)
	default:
		return p.Apart()
	}
	c.sync()
	next := c.host.deliver(p, state.String())
	if keeps {
		next.fate = wayEndsKept
	}
	return next
}

// tcpPacket builds a packet around a segment.
func (w *World) tcpPacket(f Flow, head *wire.TCP, data []byte, seq uint64) *Packet {
	return w.tcpSegment(&f, f.Hash(), head, data, seq)
}

// tcpSegment is tcpPacket for a flow whose hash is known.
func (w *World) tcpSegment(f *Flow, hash uint64, head *wire.TCP, data []byte, seq uint64) *Packet {
	p := w.tcpTrain(f, hash, head, data, seq)
	putChecksum(p.Payload()[16:], p)
	return p
}

// tcpTrain is tcpSegment without a checksum, which a train has none of.
func (w *World) tcpTrain(f *Flow, hash uint64, head *wire.TCP, data []byte, seq uint64) *Packet {
	n := head.Len()
	p := w.ipPacketHashed(f, hash, n+len(data), seq)
	head.SrcPort, head.DstPort = f.Src.Port(), f.Dst.Port()
	l4 := p.Payload()
	head.Put(l4)
	copy(l4[n:], data)
	return p
}

// putChecksum writes the transport checksum of p into its field, which is zero.
func putChecksum(field []byte, p *Packet) {
	sum := wire.TransportChecksum(uint8(p.Flow.Proto), p.Flow.Src.Addr(), p.Flow.Dst.Addr(), p.Payload())
	binary.BigEndian.PutUint16(field, sum)
}

// connFor returns the connection to which an arriving flow belongs.
func (h *Host) connFor(arriving Flow) *TCPConn { return h.connHashed(arriving, arriving.Hash()) }

// connHashed is connFor for a flow whose hash is known.
func (h *Host) connHashed(arriving Flow, hash uint64) *TCPConn {
	c := h.conns[hash]
	for c != nil && (c.flow.Src != arriving.Dst || c.flow.Dst != arriving.Src) {
		c = c.next
	}
	return c
}

// TCPConn is a TCP connection. It is a net.Conn, and has what else applications use
// of a *net.TCPConn.
type TCPConn struct {
	host      *Host
	network   string // as the application calls it
	machine   *tcp.Conn
	flow      Flow       // as we send
	key       uint64     // the hash of flow
	hash      uint64     // of the flow that we receive
	next      *TCPConn   // of the same hash
	listener  *Listener  // that has not handed it out yet
	opener    *sync.Cond // of who waits for the handshake
	sent      uint64
	timer     sched.Event
	keepAlive keepAlive

	queue           *waiters      // nil until somebody waits
	readBy, writeBy *deadline     // nil until one is set
	linger          time.Duration // how long Close waits; 0 is that it resets, negative the default
	path            seenPath

	news    atomic.Bool // a Read has something to say; to be looked at without the lock
	passive bool        // the other end opened it
	writing bool        // a Write has sent a part and waits for room
	closed  bool        // by the application
	killed  bool        // the host or the world went down
	failed  bool        // the application has been told why the connection died
	asked   bool        // for the port that it has
	ttl     uint8       // of what it sends; 0 is the default
}

func (h *Host) newConn(network string, flow Flow) *TCPConn {
	c := &TCPConn{host: h, network: network, flow: flow, key: flow.Hash(), hash: flow.Reverse().Hash(), sent: h.number(), linger: -1}
	c.timer = sched.Event{Class: sched.Expiry, Key: mix(h.key, c.hash), Task: (*connTimer)(c)}
	c.next = h.conns[c.hash]
	h.conns[c.hash] = c
	return c
}

// tcpConfig is what the machine of a new connection is told.
func (c *TCPConn) tcpConfig(mtu int) tcp.Config {
	h, w, flow := c.host, c.host.world, &c.flow
	// RFC 6528 in spirit: a keyed hash of the addresses, and a clock of 64 ns ticks
	// as in Linux, so that a reused pair of ports starts higher.
	isn := uint32(mix(mix(mix(w.seed, purposeISN), h.key), c.key)) + uint32(w.now/64)
	// One clock of timestamps for each pair of hosts, as in Linux (RFC 7323, 5.4), so
	// that a reused pair of ports shows later times.
	pair := Flow{TCP, netip.AddrPortFrom(flow.Src.Addr(), 0), netip.AddrPortFrom(flow.Dst.Addr(), 0)}
	ts := uint32(mix(mix(mix(w.seed, purposeTimestamp), h.key), pair.Hash()))
	return tcp.Config{
		MTU: mtu, IPHeader: ipHeaderLen(flow.Dst.Addr()), SendBuffer: w.cfg.SendBuffer, ISN: isn, TSOffset: ts,
		Train: trainData, Merge: largestMerge, Pool: &w.buffers,
	}
}

// largestMerge is how many bytes Linux's GRO makes one segment of (GRO_LEGACY_MAX_SIZE).
const largestMerge = 65536

var (
	purposeISN       = hashString("isn")
	purposeTimestamp = hashString("timestamp")
)

// Send implements tcp.Sender: it carries a segment of the machine away, or a train. Each
// segment has a number.
func (c *TCPConn) send(head *wire.TCP, data []byte) {
	w, first := c.host.world, c.sent+1
	if len(data) == 0 || len(data) <= c.machine.MSS() {
		c.sent++
		p := w.tcpSegment(&c.flow, c.key, head, data, first)
		p.conn = c
		c.limit(p)
		c.host.send(p)
		return
	}
	p := w.tcpTrain(&c.flow, c.key, head, data, first)
	p.conn, p.train = c, c.machine.MSS()
	c.sent += uint64(p.Segments())
	c.limit(p)
	c.host.send(p)
}

// limit gives a packet the TTL that the application has set.
func (c *TCPConn) limit(p *Packet) {
	if c.ttl != 0 {
		wire.SetTTL(p.Bytes(), c.ttl)
	}
}

// connSender keeps Send out of TCPConn's methods.
type connSender TCPConn

func (s *connSender) Send(head *wire.TCP, data []byte) { (*TCPConn)(s).send(head, data) }

// connTimer is the connection's place in the world's queue.
type connTimer TCPConn

func (t *connTimer) Fire(now time.Duration) {
	c := (*TCPConn)(t)
	if len(c.host.pauses) > 0 {
		return // it goes off when the host goes on
	}
	c.machine.Expire(now)
	c.sync()
}

// sync brings the world up to date with the machine: who is to be woken, when its
// timer goes off, whether it may be forgotten. It follows every call of the machine.
func (c *TCPConn) sync() {
	w, m := c.host.world, c.machine
	c.followPath()
	if c.listener != nil && m.State() != tcp.SynReceived {
		c.listener.established(c)
	}
	dead := m.Err() != nil || m.Done()
	news := m.Buffered() > 0 || m.EOF() || dead
	if news != c.news.Load() {
		c.news.Store(news)
	}
	if q := c.queue; q != nil {
		if q.readers > 0 && news {
			w.wake(&q.readable)
		}
		if q.writers > 0 && (m.Writable() || dead || c.closed && !m.Closing()) {
			w.wake(&q.writable)
		}
	}
	if c.opener != nil {
		w.wake(c.opener)
	}
	if m.Done() {
		c.forget()
		c.keepPort()
		c.retire()
		return
	}
	at, ok := m.Timer()
	idle := m.Idles()
	switch {
	case !ok:
		w.queue.Remove(&c.timer)
	case !c.timer.Queued() || c.timer.At != at || c.timer.Idle != idle:
		c.timer.Idle = idle
		w.queue.Move(&c.timer, at)
	}
}

// forget takes the connection out of the host's table.
func (c *TCPConn) forget() {
	c.host.world.queue.Remove(&c.timer)
	at := c.host.conns[c.hash]
	if at == c {
		if c.next == nil {
			delete(c.host.conns, c.hash)
		} else {
			c.host.conns[c.hash] = c.next
		}
		return
	}
	for at != nil && at.next != c {
		at = at.next
	}
	if at != nil {
		at.next = c.next
	}
}

// retire gives the machine of a connection that is over and closed to those to come. What
// the application can still ask of the connection needs none: one that is done stands in.
func (c *TCPConn) retire() {
	w := c.host.world
	if c.closed && c.machine != &w.done {
		w.buffers.Recycle(c.machine)
		c.machine = &w.done
	}
}

// kill ends the connection without a packet: its host is gone.
func (c *TCPConn) kill() {
	c.killed = true
	w := c.host.world
	w.queue.Remove(&c.timer)
	c.readBy.stop()
	c.writeBy.stop()
	c.wakeAll()
	if c.opener != nil {
		w.wake(c.opener)
	}
}

// socketState is a line of the table of sockets.
func (c *TCPConn) socketState() string {
	s := c.machine.Stats()
	line := fmt.Sprintf("tcp  %-12v %v ↔ %v  recv-q %d send-q %d retransmitted %d",
		c.machine.State(), c.flow.Src, c.host.world.show(c.flow.Dst), c.machine.Buffered(), c.machine.SendQueue(), s.Retransmits)
	if c.timer.Queued() {
		line += fmt.Sprintf(" timer in %v", c.timer.At-c.host.world.now)
	}
	if c.queue != nil && c.queue.readers > 0 {
		line += " a read waits"
	}
	if c.queue != nil && c.queue.writers > 0 {
		line += " a write waits"
	}
	return line
}

// openTCP sends the SYN of a new connection. Whoever opens it looks at it again whenever
// opener is woken, until it sets the connection's opener to nil. The caller holds the
// lock.
func (h *Host) openTCP(network string, peer, local netip.AddrPort, opener *sync.Cond) (*TCPConn, error) {
	w := h.world
	if h.closed() || w.closed {
		return nil, errHostDown
	}
	src, mtu, err := h.bindFor(local.Addr(), peer.Addr())
	switch {
	case err != nil:
		return nil, err
	case isGroup(peer.Addr()):
		return nil, sysError("connect", syscall.ENETUNREACH)
	}
	port := local.Port()
	if port != 0 && h.tcpBound(netip.AddrPortFrom(src, port)) {
		return nil, sysError("bind", syscall.EADDRINUSE)
	}
	if port == 0 {
		port = h.freePort(TCP, src, peer)
	}
	switch {
	case port != 0:
	case isWildcard(local.Addr()):
		return nil, sysError("connect", syscall.EADDRNOTAVAIL)
	default: // bind chooses the port, before the peer is known
		return nil, sysError("bind", syscall.EADDRINUSE)
	}
	flow := Flow{TCP, netip.AddrPortFrom(src, port), peer}
	c := h.newConn(network, flow)
	c.opener, c.asked = opener, local.Port() != 0
	c.machine = tcp.Dial(c.tcpConfig(mtu), (*connSender)(c), w.now)
	c.sync()
	return c, nil
}

// tcpBound reports whether a port is another socket's, so that a dial may not ask for it:
// a listener's, or a connection's, be it only in TIME-WAIT.
func (h *Host) tcpBound(local netip.AddrPort) bool {
	if isTaken(h.listeners, binding{at: local}) {
		return true
	}
	for _, c := range h.conns {
		for ; c != nil; c = c.next {
			if c.flow.Src == local {
				return true
			}
		}
	}
	return h.keeps(binding{at: local})
}

// opened reports whether the handshake is over, and how it failed if it did.
func (c *TCPConn) opened() (over bool, err error) {
	switch m := c.machine; {
	case c.killed:
		return true, errHostDown
	case m.Err() != nil:
		return true, machineError("connect", m.Err())
	default:
		return m.State() != tcp.SynSent && m.State() != tcp.SynReceived, nil
	}
}
