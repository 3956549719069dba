package netfake

import (
	"errors"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/netspec-go/netspec/internal/wire"
)

// How much memory datagrams that wait for a reader may take, as truesize counts it, before
// more are dropped: Linux's net.core.rmem_default, and the bounds that SO_RCVBUF keeps to.
const (
	udpBuffer    = 212992
	minUDPBuffer = 2304       // SOCK_MIN_RCVBUF
	maxUDPBuffer = 2 * 212992 // twice net.core.rmem_max
)

// truesize is the memory that Linux counts for a datagram of n bytes which comes over
// loopback: a socket buffer of 256 bytes, and its data with 379 bytes of headers and
// shared info, in an allocation of 576 bytes or of the next power of two. These are the
// steps of Linux 6.18; other kernels and drivers differ by some dozens of bytes. What
// a reader has taken is free at once, while Linux keeps back up to a quarter.
func truesize(n int) int {
	const head, around, small = 256, 379, 576
	if n+around <= small {
		return head + small
	}
	return head + 1<<bits.Len(uint(n+around-1))
}

// UDPConn is a UDP socket. It is a net.PacketConn; one that DialContext made is
// connected, and a net.Conn too.
type UDPConn struct {
	host *Host
	binding
	network string         // as the application calls it
	peer    netip.AddrPort // zero if not connected
	sent    uint64
	queue   []datagram
	queued  int // bytes
	used    int // memory, in truesizes
	room    int // for used

	readable sync.Cond
	readers  int // that wait
	readBy   deadline
	writeBy  time.Time // zero is never
	ttl      uint8     // of what it sends; 0 is the default
	dropped  uint64
	err      syscall.Errno // to be told once; 0 is none
	closed   bool
}

type datagram struct {
	from netip.AddrPort
	data []byte
}

// ListenPacket opens a UDP socket: "udp", "udp4" or "udp6", and an address such as ":53".
// Port 0 picks a free one. Families and errors are those of Listen.
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
	if !isNetwork(network, "udp") {
		return fail(nil, net.UnknownNetworkError(network))
	}
	local, err := parseLocal(network, address)
	if err != nil {
		return fail(nil, err)
	}
	w := h.world
	w.lock()
	defer w.unlock()
	b, err := h.bindingFor(local)
	if err != nil {
		return fail(net.UDPAddrFromAddrPort(local.at), err)
	}
	u, err := h.bindUDP(network, b, netip.AddrPort{})
	if err != nil {
		return fail(net.UDPAddrFromAddrPort(local.at), err)
	}
	return u, nil
}

func (h *Host) bindUDP(network string, b binding, peer netip.AddrPort) (*UDPConn, error) {
	switch {
	case h.closed() || h.world.closed:
		return nil, errHostDown
	case b.at.Port() == 0:
		b = b.with(h.freePort(UDP, b.at.Addr(), peer))
		if b.at.Port() == 0 {
			return nil, sysError("bind", syscall.EADDRINUSE)
		}
	case isTaken(h.udp, b):
		return nil, sysError("bind", syscall.EADDRINUSE)
	}
	u := &UDPConn{host: h, binding: b, network: network, peer: peer, room: udpBuffer, sent: h.number()}
	u.readable.L = &h.world.mu
	u.readBy.init(h.world, hashString(b.at.String()), &u.readable)
	h.udp[b.at] = u
	return u, nil
}

// dialUDP opens a socket that is connected to peer.
func (h *Host) dialUDP(network string, peer, local netip.AddrPort) (*UDPConn, error) {
	w := h.world
	w.lock()
	defer w.unlock()
	src, _, err := h.bindFor(local.Addr(), peer.Addr())
	if err != nil {
		return nil, err
	}
	u, err := h.bindUDP(network, binding{at: netip.AddrPortFrom(src, local.Port())}, peer)
	if errors.Is(err, syscall.EADDRINUSE) && isWildcard(local.Addr()) && local.Port() == 0 {
		return nil, sysError("connect", syscall.EAGAIN) // Linux's inet_autobind
	}
	return u, err
}

// udpFor returns the socket that an arriving flow is for.
func (h *Host) udpFor(arriving Flow) *UDPConn {
	u := socketFor(h.udp, arriving.Dst)
	if u == nil || (u.peer.IsValid() && u.peer != arriving.Src) {
		return nil
	}
	return u
}

func (h *Host) receiveUDP(p *Packet) Next {
	_, data, err := wire.ParseUDP(p.Payload())
	if err != nil {
		return h.drop(p, err.Error(), "")
	}
	u := h.udpFor(p.Flow)
	switch {
	case u == nil:
		h.complain(p, PortUnreachable)
		return h.drop(p, fmt.Sprintf("no socket on udp/%d: answered with port unreachable", p.Flow.Dst.Port()), "")
	case u.used+truesize(len(data)) > u.room:
		u.dropped++
		return h.drop(p, fmt.Sprintf("the receive buffer of udp/%d is full", p.Flow.Dst.Port()), "")
	}
	rule := ""
	if p.Traced() {
		rule = fmt.Sprintf("socket on udp/%d", p.Flow.Dst.Port())
	}
	u.queue = append(u.queue, datagram{p.Flow.Src, append([]byte(nil), data...)})
	u.queued += len(data)
	u.used += truesize(len(data))
	h.world.wake(&u.readable)
	return h.deliver(p, rule)
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
	return &net.OpError{Op: op, Net: u.network, Source: u.LocalAddr(), Addr: peer, Err: err}
}

// LocalAddr returns the *net.UDPAddr that the socket is bound to.
func (u *UDPConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(u.at) }

// RemoteAddr returns the *net.UDPAddr of a connected socket's peer, else nil.
func (u *UDPConn) RemoteAddr() net.Addr {
	if !u.peer.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(u.peer)
}

// Read reads one datagram; what does not fit b is lost. As with net it takes none if b is
// empty, unlike ReadFrom.
func (u *UDPConn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, u.mayRead()
	}
	n, _, _, err := u.receive("read", b)
	return n, err
}

// mayRead says of a socket that is closed that it is.
func (u *UDPConn) mayRead() error {
	w := u.host.world
	w.lock()
	defer w.unlock()
	if u.closed {
		return u.opError("read", u.RemoteAddr(), net.ErrClosed)
	}
	return nil
}

// receive reads one datagram by a system call of a certain name and returns how many of
// its bytes b took, how long it was, and where it came from.
func (u *UDPConn) receive(call string, b []byte) (n, length int, from netip.AddrPort, err error) {
	w := u.host.world
	w.lock()
	d, err := u.take(call)
	w.unlock()
	if err != nil {
		return 0, 0, netip.AddrPort{}, u.opError("read", u.RemoteAddr(), err)
	}
	from = d.from
	if u.dual && from.Addr().Is4() { // net shows such a socket's peers as the kernel does
		from = netip.AddrPortFrom(netip.AddrFrom16(from.Addr().As16()), from.Port())
	}
	return copy(b, d.data), len(d.data), from, nil
}

// take waits for a datagram.
func (u *UDPConn) take(call string) (datagram, error) {
	for {
		switch {
		case u.closed:
			return datagram{}, net.ErrClosed
		case u.readBy.passed:
			return datagram{}, os.ErrDeadlineExceeded
		case u.err != 0:
			return datagram{}, sysError(call, u.takeError())
		case len(u.queue) > 0:
			d := u.queue[0]
			u.queue[0] = datagram{}
			u.queue = u.queue[1:]
			u.queued -= len(d.data)
			u.used -= truesize(len(d.data))
			return d, nil
		}
		u.readers++
		u.host.world.wait(&u.readable)
		u.readers--
	}
}

// takeError returns what went wrong with an earlier datagram, once.
func (u *UDPConn) takeError() syscall.Errno {
	err := u.err
	u.err = 0
	return err
}

// Write sends b as one datagram to the peer of a connected socket.
func (u *UDPConn) Write(b []byte) (int, error) {
	return u.send("write", b, u.peer, u.RemoteAddr())
}

// send sends b as one datagram by a system call of a certain name. An error calls the
// destination shown.
func (u *UDPConn) send(call string, b []byte, to netip.AddrPort, shown net.Addr) (int, error) {
	w, h := u.host.world, u.host
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if to.Addr().Is4() || !u.at.Addr().Is4() {
		to = netip.AddrPortFrom(toHost(to.Addr()), to.Port())
	}
	w.lock()
	defer w.unlock()
	mtu, err := u.check(call, b, to)
	if err != nil {
		return 0, u.opError("write", shown, err)
	}
	src := u.at
	if src.Addr().IsUnspecified() {
		from, _ := h.sourceFor(to.Addr())
		src = netip.AddrPortFrom(from, src.Port())
	}
	u.sent++
	p := h.udpPacket(Flow{UDP, src, to}, b, u.sent)
	if u.ttl != 0 {
		wire.SetTTL(p.Bytes(), u.ttl)
	}
	h.sendCut(p, h.limitMTU(to.Addr(), mtu))
	return len(b), nil
}

// check says why a datagram cannot be sent, and the MTU of the interface through which it
// can.
func (u *UDPConn) check(call string, b []byte, to netip.AddrPort) (mtu int, err error) {
	src, mtu := u.host.sourceFor(to.Addr())
	switch {
	case to.Addr().Is6() && u.at.Addr().Is4():
		return 0, &net.AddrError{Err: "non-IPv4 address", Addr: to.Addr().WithZone("").String()}
	case to.Addr().Zone() != "":
		return 0, zoneError(to.Addr())
	case u.closed:
		return 0, net.ErrClosed
	case !u.writeBy.IsZero() && u.host.world.Time(u.host.world.now).Compare(u.writeBy) >= 0:
		return 0, os.ErrDeadlineExceeded
	case len(b) > maxDatagram(to.Addr()):
		return 0, sysError(call, syscall.EMSGSIZE)
	case u.err != 0:
		return 0, sysError(call, u.takeError())
	case !to.IsValid():
		return 0, sysError(call, syscall.EDESTADDRREQ)
	case to.Port() == 0:
		return 0, sysError(call, syscall.EINVAL)
	case !src.IsValid(), to.Addr().Is4() && !u.at.Addr().Is4() && !u.dual, u.host.isAbsent(u.at.Addr()):
		return 0, sysError(call, syscall.ENETUNREACH)
	case u.host.staysInside(u.at.Addr(), to.Addr()):
		return 0, sysError(call, syscall.EINVAL)
	}
	return mtu, nil
}

// maxDatagram is what the length fields of a family and of UDP allow: that of IPv6 does not
// count its header.
func maxDatagram(family netip.Addr) int {
	if family.Is4() {
		return 65535 - wire.IPv4HeaderLen - wire.UDPHeaderLen
	}
	return 65535 - wire.UDPHeaderLen
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
	delete(u.host.udp, u.at)
	return nil
}

func (u *UDPConn) closeLocked() {
	u.closed = true
	u.queue = nil
	u.readBy.stop()
	u.host.world.wake(&u.readable)
}

// SetDeadline sets when reads and writes give up with os.ErrDeadlineExceeded.
func (u *UDPConn) SetDeadline(t time.Time) error {
	return u.set(func() { u.readBy.set(t); u.writeBy = t })
}

// SetReadDeadline sets when reads give up. The zero time is never.
func (u *UDPConn) SetReadDeadline(t time.Time) error { return u.set(func() { u.readBy.set(t) }) }

// SetWriteDeadline sets from when on writes fail: they never wait. The zero time is never.
func (u *UDPConn) SetWriteDeadline(t time.Time) error { return u.set(func() { u.writeBy = t }) }

// set changes an option of a socket that is open.
func (u *UDPConn) set(f func()) error {
	w := u.host.world
	w.lock()
	defer w.unlock()
	if u.closed {
		return &net.OpError{Op: "set", Net: u.network, Addr: u.LocalAddr(), Err: net.ErrClosed}
	}
	f()
	return nil
}
