package netfake

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// udpBuffer is how many bytes of datagrams wait for a reader before more are dropped:
// Linux's net.core.rmem_default.
const udpBuffer = 212992

// UDPConn is a UDP socket. It is a net.PacketConn; one that DialContext made is
// connected, and a net.Conn too.
type UDPConn struct {
	host   *Host
	local  netip.AddrPort
	peer   netip.AddrPort // zero if not connected
	sent   uint64
	queue  []datagram
	queued int // bytes

	readable sync.Cond
	readBy   deadline
	dropped  uint64
	err      error // to be told once
	closed   bool
}

type datagram struct {
	from netip.AddrPort
	data []byte
}

// ListenPacket opens a UDP socket: "udp" or "udp4", and an address such as ":53".
// Port 0 picks a free one. Errors are those of Listen.
func (h *Host) ListenPacket(network, address string) (net.PacketConn, error) {
	u, err := h.listenUDP(network, address)
	if err != nil {
		return nil, err
	}
	return u, nil
}

func (h *Host) listenUDP(network, address string) (*UDPConn, error) {
	fail := func(addr net.Addr, err error) (*UDPConn, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: addr, Err: err}
	}
	if network != "udp" && network != "udp4" {
		return fail(nil, net.UnknownNetworkError(network))
	}
	local, err := parseLocal(address)
	if err != nil {
		return fail(nil, err)
	}
	w := h.world
	w.lock()
	defer w.unlock()
	u, err := h.bindUDP(local, netip.AddrPort{})
	if err != nil {
		return fail(net.UDPAddrFromAddrPort(local), err)
	}
	return u, nil
}

func (h *Host) bindUDP(local, peer netip.AddrPort) (*UDPConn, error) {
	switch {
	case h.down || h.world.closed:
		return nil, errHostDown
	case !local.Addr().IsUnspecified() && !h.owns(local.Addr()):
		return nil, sysError("bind", syscall.EADDRNOTAVAIL)
	case local.Port() == 0:
		local = netip.AddrPortFrom(local.Addr(), h.freePort(UDP, local.Addr(), peer))
		if local.Port() == 0 {
			return nil, sysError("bind", syscall.EADDRNOTAVAIL)
		}
	case h.udpBound(local):
		return nil, sysError("bind", syscall.EADDRINUSE)
	}
	u := &UDPConn{host: h, local: local, peer: peer, sent: h.number()}
	u.readable.L = &h.world.mu
	u.readBy.init(h.world, hashString(local.String()), &u.readable)
	h.udp[local] = u
	return u, nil
}

func (h *Host) udpBound(local netip.AddrPort) bool {
	if local.Addr().IsUnspecified() {
		for other := range h.udp {
			if other.Port() == local.Port() {
				return true
			}
		}
		return false
	}
	return h.udp[local] != nil || h.udp[netip.AddrPortFrom(netip.IPv4Unspecified(), local.Port())] != nil
}

// dialUDP opens a socket that is connected to peer.
func (h *Host) dialUDP(peer, local netip.AddrPort) (*UDPConn, error) {
	w := h.world
	w.lock()
	defer w.unlock()
	src, _ := h.sourceFor(peer.Addr())
	if local.Addr().IsValid() && !local.Addr().IsUnspecified() {
		src = local.Addr()
	}
	if !src.IsValid() {
		return nil, sysError("connect", syscall.ENETUNREACH)
	}
	return h.bindUDP(netip.AddrPortFrom(src, local.Port()), peer)
}

// udpFor returns the socket that an arriving flow is for.
func (h *Host) udpFor(arriving Flow) *UDPConn {
	u := h.udp[arriving.Dst]
	if u == nil {
		u = h.udp[netip.AddrPortFrom(netip.IPv4Unspecified(), arriving.Dst.Port())]
	}
	if u == nil || (u.peer.IsValid() && u.peer != arriving.Src) {
		return nil
	}
	return u
}

func (h *Host) receiveUDP(p *Packet, hop Hop) Next {
	_, data, err := wire.ParseUDP(p.Payload())
	if err != nil {
		hop.Rule = err.Error()
		return p.Drop(hop)
	}
	u := h.udpFor(p.Flow)
	switch {
	case u == nil:
		hop.Rule = fmt.Sprintf("no socket on udp/%d: answered with port unreachable", p.Flow.Dst.Port())
		h.sendUnreachable(p, wire.ICMPPortUnreachable)
		return p.Drop(hop)
	case u.queued+len(data) > udpBuffer:
		u.dropped++
		hop.Rule = fmt.Sprintf("the receive buffer of udp/%d is full", p.Flow.Dst.Port())
		return p.Drop(hop)
	}
	if p.Traced() {
		hop.Rule = fmt.Sprintf("socket on udp/%d", p.Flow.Dst.Port())
	}
	u.queue = append(u.queue, datagram{p.Flow.Src, append([]byte(nil), data...)})
	u.queued += len(data)
	h.world.wake(&u.readable)
	return p.Delivered(hop)
}

// udpPacket builds a packet around a datagram.
func (h *Host) udpPacket(f Flow, data []byte, seq uint64) *Packet {
	p := h.world.ipPacket(f, wire.UDPHeaderLen+len(data), seq)
	l4 := p.Payload()
	head := wire.UDP{SrcPort: f.Src.Port(), DstPort: f.Dst.Port()}
	head.Put(l4, len(data))
	copy(l4[wire.UDPHeaderLen:], data)
	putChecksum(l4[6:], p)
	return p
}

func (u *UDPConn) opError(op string, peer net.Addr, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: "udp", Source: u.LocalAddr(), Addr: peer, Err: err}
}

// LocalAddr returns the *net.UDPAddr that the socket is bound to.
func (u *UDPConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(u.local) }

// RemoteAddr returns the *net.UDPAddr of a connected socket's peer, else nil.
func (u *UDPConn) RemoteAddr() net.Addr {
	if !u.peer.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(u.peer)
}

// ReadFrom reads one datagram; what does not fit b is lost.
func (u *UDPConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := u.ReadFromUDPAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFromUDPAddrPort is ReadFrom without an allocation for the address.
func (u *UDPConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	w := u.host.world
	w.lock()
	n, from, err := u.read(b)
	w.unlock()
	return n, from, u.opError("read", u.RemoteAddr(), err)
}

// Read reads one datagram; what does not fit b is lost.
func (u *UDPConn) Read(b []byte) (int, error) {
	n, _, err := u.ReadFromUDPAddrPort(b)
	return n, err
}

func (u *UDPConn) read(b []byte) (int, netip.AddrPort, error) {
	for {
		switch {
		case u.closed:
			return 0, netip.AddrPort{}, net.ErrClosed
		case u.readBy.passed:
			return 0, netip.AddrPort{}, os.ErrDeadlineExceeded
		case u.err != nil:
			return 0, netip.AddrPort{}, sysError("read", u.takeError())
		case len(u.queue) > 0:
			d := u.queue[0]
			u.queue[0] = datagram{}
			u.queue = u.queue[1:]
			u.queued -= len(d.data)
			return copy(b, d.data), d.from, nil
		}
		u.host.world.wait(&u.readable)
	}
}

// takeError returns what went wrong with an earlier datagram, once.
func (u *UDPConn) takeError() syscall.Errno {
	u.err = nil
	return syscall.ECONNREFUSED
}

// refused notes that a peer's host said that nobody is there. Only a connected socket
// hears of it.
func (u *UDPConn) refused(peer netip.AddrPort) {
	if u.peer == peer {
		u.err = syscall.ECONNREFUSED
		u.host.world.wake(&u.readable)
	}
}

// WriteTo sends b as one datagram to a *net.UDPAddr. One that exceeds the interface's
// MTU gives EMSGSIZE: there is no fragmentation.
func (u *UDPConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*net.UDPAddr)
	if !ok {
		return 0, u.opError("write", addr, syscall.EINVAL)
	}
	return u.WriteToUDPAddrPort(b, to.AddrPort())
}

// WriteToUDPAddrPort is WriteTo without an allocation for the address.
func (u *UDPConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if u.peer.IsValid() {
		return 0, u.opError("write", net.UDPAddrFromAddrPort(to), net.ErrWriteToConnected)
	}
	return u.send(b, to)
}

// Write sends b as one datagram to the peer of a connected socket.
func (u *UDPConn) Write(b []byte) (int, error) {
	if !u.peer.IsValid() {
		return 0, u.opError("write", nil, sysError("write", syscall.EDESTADDRREQ))
	}
	return u.send(b, u.peer)
}

func (u *UDPConn) send(b []byte, to netip.AddrPort) (int, error) {
	w, h := u.host.world, u.host
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	w.lock()
	defer w.unlock()
	err := u.check(b, to)
	if err != nil {
		return 0, u.opError("write", net.UDPAddrFromAddrPort(to), err)
	}
	src := u.local
	if src.Addr().IsUnspecified() {
		from, _ := h.sourceFor(to.Addr())
		src = netip.AddrPortFrom(from, src.Port())
	}
	u.sent++
	h.send(h.udpPacket(Flow{UDP, src, to}, b, u.sent))
	return len(b), nil
}

// check says why a datagram cannot be sent.
func (u *UDPConn) check(b []byte, to netip.AddrPort) error {
	src, mtu := u.host.sourceFor(to.Addr())
	switch {
	case u.closed:
		return net.ErrClosed
	case u.err != nil:
		return sysError("write", u.takeError())
	case !to.Addr().Is4():
		return &net.AddrError{Err: "non-IPv4 address", Addr: to.String()}
	case !src.IsValid():
		return sysError("write", syscall.ENETUNREACH)
	case len(b)+wire.UDPHeaderLen+wire.IPv4HeaderLen > mtu:
		return sysError("write", syscall.EMSGSIZE)
	}
	return nil
}

// Dropped returns how many datagrams found the receive buffer full.
func (u *UDPConn) Dropped() uint64 {
	u.host.world.lock()
	defer u.host.world.unlock()
	return u.dropped
}

// Close closes the socket; reads that wait return net.ErrClosed.
func (u *UDPConn) Close() error {
	w := u.host.world
	w.lock()
	defer w.unlock()
	if u.closed {
		return u.opError("close", u.RemoteAddr(), net.ErrClosed)
	}
	u.closeLocked()
	delete(u.host.udp, u.local)
	return nil
}

func (u *UDPConn) closeLocked() {
	u.closed = true
	u.queue = nil
	u.readBy.stop()
	u.host.world.wake(&u.readable)
}

// SetDeadline sets when reads give up; writes never wait.
func (u *UDPConn) SetDeadline(t time.Time) error { return u.SetReadDeadline(t) }

// SetReadDeadline sets when reads give up. The zero time is never.
func (u *UDPConn) SetReadDeadline(t time.Time) error {
	w := u.host.world
	w.lock()
	defer w.unlock()
	if u.closed {
		return u.opError("set", nil, net.ErrClosed)
	}
	u.readBy.set(t)
	return nil
}

// SetWriteDeadline does nothing: writes never wait.
func (u *UDPConn) SetWriteDeadline(time.Time) error { return nil }
