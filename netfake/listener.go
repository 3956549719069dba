package netfake

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/netspec-go/netspec/internal/tcp"
	"github.com/netspec-go/netspec/internal/wire"
)

// backlog is how long the queues of a listener are: Linux's net.core.somaxconn, which net
// asks for. As in Linux the queue for Accept holds one more. When it is full, a SYN is
// dropped, and so is the end of a handshake that has begun: the SYN-ACK is sent again.
const backlog = 4096

// Listener is a listening TCP socket. It is a net.Listener.
type Listener struct {
	host *Host
	binding
	network   string // as the application calls it
	backlog   int
	ready     []*TCPConn // for Accept
	waiting   int        // connections in SYN-RECEIVED
	arrived   sync.Cond
	accepting int // calls of Accept that wait
	by        deadline
	accepted  uint64
	closed    bool
}

// Listen opens a TCP port: "tcp", "tcp4" or "tcp6", and an address such as ":443",
// "10.0.0.5:443" or "[2001:db8::5]:443". Port 0 picks a free one. A port that is taken
// gives EADDRINUSE, also where the host has dialled from it, and an address that is not the
// host's EADDRNOTAVAIL, in a *net.OpError.
//
// As with net on Linux, ":443" under "tcp" listens at [::]:443 to both families, under
// "tcp4" at 0.0.0.0:443 and under "tcp6" at [::]:443 to IPv6 alone. On a host that has
// no IPv6 address "tcp" is "tcp4", and "tcp6" gives EAFNOSUPPORT.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	l, err := h.listen(network, address)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (h *Host) listen(network, address string) (*Listener, error) {
	fail := func(addr net.Addr, err error) (*Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: addr, Err: err}
	}
	if !isNetwork(network, "tcp") {
		return fail(nil, net.UnknownNetworkError(network))
	}
	local, err := parseLocal(network, address)
	if err != nil {
		return fail(nil, err)
	}
	w := h.world
	w.lock()
	defer w.unlock()
	shown := net.TCPAddrFromAddrPort(local.at)
	b, err := h.bindingFor(local)
	switch {
	case h.closed() || w.closed:
		return fail(shown, errHostDown)
	case err != nil:
		return fail(shown, err)
	case b.at.Port() == 0:
		b = h.freeBinding(b)
	case isTaken(h.listeners, b), h.dialsFrom(b):
		b.at = netip.AddrPort{}
	}
	if b.at.Port() == 0 {
		return fail(shown, sysError("bind", syscall.EADDRINUSE))
	}
	l := &Listener{host: h, network: network, binding: b, backlog: backlog}
	l.arrived.L = &w.mu
	l.by.init(w, hashString(b.at.String()), &l.arrived)
	h.listeners[b.at] = l
	return l, nil
}

// freeBinding returns the binding with a free port, with port 0 if there is none.
func (h *Host) freeBinding(b binding) binding {
	for range h.ephemeral.len() {
		b = b.with(h.freePort(TCP, b.at.Addr(), netip.AddrPort{}))
		if b.at.Port() == 0 || !h.dialsFrom(b) {
			return b
		}
	}
	return b.with(0)
}

// dialsFrom reports whether a connection that the host has dialled, be it only in
// TIME-WAIT, is in the way of a listener. One that was accepted is not: net's listeners,
// and what comes of them, have SO_REUSEADDR.
func (h *Host) dialsFrom(b binding) bool {
	for _, c := range h.conns {
		for ; c != nil; c = c.next {
			if !c.passive && c.flow.Src.Port() == b.at.Port() && b.covers(c.flow.Src.Addr()) {
				return true
			}
		}
	}
	return h.keeps(b)
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// listenerFor returns who listens at an address: on it, or on all.
func (h *Host) listenerFor(local netip.AddrPort) *Listener { return socketFor(h.listeners, local) }

// full reports whether no more connections may wait for Accept.
func (l *Listener) full() bool { return len(l.ready) > l.backlog }

// ignores reports whether a segment of a connection in SYN-RECEIVED is one that would
// make it ready when no more connections may be.
func (l *Listener) ignores(head *wire.TCP) bool {
	return l.full() && head.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.ACK
}

// receiveSYN begins a connection.
func (l *Listener) receiveSYN(p *Packet, syn *wire.TCP) Next {
	h := l.host
	if l.full() || l.waiting >= l.backlog {
		return h.drop(p, fmt.Sprintf("the backlog of tcp/%d is full", l.at.Port()), "")
	}
	rule := ""
	if p.Traced() {
		rule = fmt.Sprintf("listens on tcp/%d", l.at.Port())
	}
	_, mtu := h.sourceFor(p.Flow.Src.Addr())
	c := h.newConn(l.network, p.Flow.Reverse())
	c.listener, c.passive = l, true
	l.waiting++
	c.machine = tcp.Accept(c.tcpConfig(mtu), (*connSender)(c), syn, h.world.now)
	c.sync()
	return h.deliver(p, rule)
}

// established takes a connection whose handshake has ended: it is ready for Accept,
// or it died.
func (l *Listener) established(c *TCPConn) {
	c.listener = nil
	l.waiting--
	if c.machine.Err() != nil || c.machine.Done() {
		return
	}
	l.ready = append(l.ready, c)
	l.host.world.wake(&l.arrived)
}

// Accept waits for a connection.
func (l *Listener) Accept() (net.Conn, error) {
	w := l.host.world
	w.lockToTake()
	c, err := l.accept()
	w.unlock()
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: l.network, Addr: l.Addr(), Err: err}
	}
	return c, nil
}

func (l *Listener) accept() (*TCPConn, error) {
	w := l.host.world
	for {
		switch {
		case l.closed:
			return nil, net.ErrClosed
		case l.by.passed:
			return nil, os.ErrDeadlineExceeded
		case len(l.ready) > 0:
			c := l.ready[0]
			l.ready = slices.Delete(l.ready, 0, 1)
			l.accepted++
			c.startKeepAlive(w.cfg.KeepAlive, net.KeepAliveConfig{})
			l.host.lastPeer = c.flow.Dst.Addr()
			return c, nil
		}
		l.accepting++
		w.wait(&l.arrived)
		l.accepting--
	}
}

// SetDeadline sets when Accept gives up. The zero time is never.
func (l *Listener) SetDeadline(t time.Time) error {
	w := l.host.world
	w.lock()
	defer w.unlock()
	if l.closed {
		return net.ErrClosed // bare, as *net.TCPListener does
	}
	l.by.set(t)
	return nil
}

// Close stops listening. Connections that nobody accepted are reset. Those whose handshake
// has not ended are forgotten, as in Linux, without a word: what still comes of them is
// answered with RST, or begins anew at a listener that has the port by then.
func (l *Listener) Close() error {
	w := l.host.world
	w.lock()
	defer w.unlock()
	if l.closed {
		return &net.OpError{Op: "close", Net: l.network, Addr: l.Addr(), Err: net.ErrClosed}
	}
	delete(l.host.listeners, l.at)
	l.end(w.now)
	return nil
}

// end is Close inside the scheduler.
func (l *Listener) end(now time.Duration) {
	ready := l.ready
	l.closeLocked()
	l.forgetHalfOpen()
	for _, c := range ready {
		c.closed = true
		c.machine.Abort(now)
		c.sync()
	}
}

// forgetHalfOpen ends the connections in SYN-RECEIVED without a packet.
func (l *Listener) forgetHalfOpen() {
	for _, c := range l.host.conns {
		for ; c != nil && l.waiting > 0; c = c.next {
			if c.listener == l {
				c.listener = nil
				l.waiting--
				c.forget()
			}
		}
	}
}

func (l *Listener) closeLocked() {
	l.closed = true
	l.ready = nil
	l.by.stop()
	l.host.world.wake(&l.arrived)
}

// Addr returns the *net.TCPAddr that is listened at.
func (l *Listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }
