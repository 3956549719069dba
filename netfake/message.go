package netfake

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// This file has the rest of *net.UDPConn's ways to read and write, for libraries that look
// for them. There is no SyscallConn and no File, here and of TCP: no descriptor stands
// behind a socket. One that returns an error would be worse: quic-go, go-redis and the
// MySQL driver, which do without where there is none, give up where it fails. The methods of
// golang.org/x/net/ipv4 and ipv6, batches among them, return an error for such a socket.

// errMissingAddress says what net's own, unexported, error says.
var errMissingAddress = errors.New("missing address")

// ReadFrom reads one datagram; what does not fit b is lost.
func (u *UDPConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, _, from, err := u.receive("recvfrom", b)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFromUDP is ReadFrom with the address's own type.
func (u *UDPConn) ReadFromUDP(b []byte) (int, *net.UDPAddr, error) {
	n, _, from, err := u.receive("recvfrom", b)
	return n, udpAddr(from), err
}

// ReadFromUDPAddrPort is ReadFrom without an allocation for the address. As with net, a
// dual-stack socket gives an IPv4 address in its IPv4-mapped form: see netip.Addr.Unmap.
func (u *UDPConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, _, from, err := u.receive("recvfrom", b)
	return n, from, err
}

// ReadMsgUDP reads one datagram and says in flags, by MSG_TRUNC, whether it was cut. There
// is never out-of-band data: no option asks for any. Beside an error n is 0; that of net is
// -1 beside some.
func (u *UDPConn) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	n, oobn, flags, from, err := u.ReadMsgUDPAddrPort(b, oob)
	return n, oobn, flags, net.UDPAddrFromAddrPort(from), err
}

// ReadMsgUDPAddrPort is ReadMsgUDP without an allocation for the address.
func (u *UDPConn) ReadMsgUDPAddrPort(b, _ []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	n, length, from, err := u.receive("recvmsg", b)
	switch {
	case err != nil:
		from = netip.AddrPortFrom(unspecified(u.at.Addr()), 0) // as net
	case length > n:
		flags = msgTrunc
	}
	return n, 0, flags, from, err
}

// WriteTo sends b as one datagram to a *net.UDPAddr. One that exceeds the interface's MTU,
// or what a router has said of the path, leaves in fragments, as on Linux by default
// (IP_PMTUDISC_WANT). More than 65507 bytes over IPv4, or 65527 over IPv6, give EMSGSIZE.
func (u *UDPConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*net.UDPAddr)
	if !ok {
		return 0, u.opError("write", addr, syscall.EINVAL)
	}
	return u.WriteToUDP(b, to)
}

// WriteToUDP is WriteTo with the address's own type.
func (u *UDPConn) WriteToUDP(b []byte, addr *net.UDPAddr) (int, error) {
	if addr == nil {
		return 0, u.opError("write", nil, u.noAddress())
	}
	if u.peer.IsValid() {
		return 0, u.opError("write", addr, net.ErrWriteToConnected)
	}
	return u.sendToUDP("sendto", b, addr)
}

// sendToUDP sends b to an address that somebody has put together, and that may be none.
func (u *UDPConn) sendToUDP(call string, b []byte, addr *net.UDPAddr) (int, error) {
	switch {
	case !u.suits(addr.IP):
		return 0, u.opError("write", addr, u.unsuited(addr))
	case addr.Port < 0 || addr.Port > 65535:
		return 0, u.opError("write", addr, sysError(call, syscall.EINVAL))
	}
	return u.send(call, b, u.destination(addr), addr)
}

// suits reports whether the bytes of an IP are an address at all.
func (u *UDPConn) suits(ip net.IP) bool { return len(ip) == 0 || ip.To16() != nil }

// unsuited says what net does of bytes that are no address.
func (u *UDPConn) unsuited(addr *net.UDPAddr) error {
	if u.at.Addr().Is4() {
		return &net.AddrError{Err: "non-IPv4 address", Addr: addr.IP.String()}
	}
	return &net.AddrError{Err: "non-IPv6 address", Addr: addr.IP.String()}
}

// destination is where addr leads. As with net, a missing IP is the wildcard of the
// socket's family, and IPv4's wildcard is IPv6's to a socket of that.
func (u *UDPConn) destination(addr *net.UDPAddr) netip.AddrPort {
	at := addr.AddrPort()
	if len(addr.IP) == 0 || at.Addr().Unmap() == netip.IPv4Unspecified() {
		at = netip.AddrPortFrom(unspecified(u.at.Addr()), at.Port())
	}
	return at
}

// WriteToUDPAddrPort is WriteTo without an allocation for the address.
func (u *UDPConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return u.sendTo("sendto", b, to)
}

// sendTo sends b from a socket that is not connected.
func (u *UDPConn) sendTo(call string, b []byte, to netip.AddrPort) (int, error) {
	switch {
	case u.peer.IsValid():
		return 0, u.opError("write", addrPortAddr(to), net.ErrWriteToConnected)
	case !to.IsValid():
		return 0, u.opError("write", addrPortAddr(to), errMissingAddress)
	}
	return u.send(call, b, to, addrPortAddr(to))
}

// noAddress says what is wrong with a destination that is missing.
func (u *UDPConn) noAddress() error {
	if u.peer.IsValid() {
		return net.ErrWriteToConnected
	}
	return errMissingAddress
}

// WriteMsgUDP sends b as one datagram: to addr, or from a connected socket to its peer,
// with a nil addr. Out-of-band data gives EINVAL: there is none that would be understood.
// What is too short to be a message is overlooked, as by Linux.
func (u *UDPConn) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	switch {
	case addr == nil && !u.peer.IsValid():
		err = u.opError("write", nil, errMissingAddress)
	case addr != nil && u.peer.IsValid():
		err = u.opError("write", addr, net.ErrWriteToConnected)
	case addr == nil && isMessage(oob):
		err = u.opError("write", nil, sysError("sendmsg", syscall.EINVAL))
	case isMessage(oob):
		err = u.opError("write", addr, sysError("sendmsg", syscall.EINVAL))
	case addr == nil:
		n, err = u.send("sendmsg", b, u.peer, nil)
	default:
		n, err = u.sendToUDP("sendmsg", b, addr)
	}
	return n, taken(oob, err), err
}

// WriteMsgUDPAddrPort is WriteMsgUDP without an allocation for the address.
func (u *UDPConn) WriteMsgUDPAddrPort(b, oob []byte, to netip.AddrPort) (n, oobn int, err error) {
	switch {
	case isMessage(oob):
		err = u.opError("write", addrPortAddr(to), sysError("sendmsg", syscall.EINVAL))
	case u.peer.IsValid() && !to.IsValid():
		n, err = u.send("sendmsg", b, u.peer, addrPortAddr(to))
	default:
		n, err = u.sendTo("sendmsg", b, to)
	}
	return n, taken(oob, err), err
}

// isMessage reports whether there is enough out-of-band data for the kernel to look at: a
// cmsghdr, which has 16 bytes on 64-bit machines.
func isMessage(oob []byte) bool { return len(oob) >= 16 }

// taken is how much out-of-band data a call took.
func taken(oob []byte, err error) int {
	if err != nil {
		return 0
	}
	return len(oob)
}

// udpAddr returns an address as net does, nil for none.
func udpAddr(a netip.AddrPort) *net.UDPAddr {
	if !a.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(a)
}

// addrPortAddr is what errors of the methods that take a netip.AddrPort call it.
type addrPortAddr netip.AddrPort

// Network returns "udp".
func (addrPortAddr) Network() string { return "udp" }

// String returns the address with its port.
func (a addrPortAddr) String() string { return netip.AddrPort(a).String() }

// SetReadBuffer sets how much memory datagrams that wait for a reader may take: twice
// what is asked for, at least 2304 and at most 425984 bytes, as Linux does. A datagram
// takes 832 bytes or more. The default is 212992.
func (u *UDPConn) SetReadBuffer(bytes int) error {
	return u.set(func() { u.room = min(max(2*bytes, minUDPBuffer), maxUDPBuffer) })
}

// SetWriteBuffer is taken and changes nothing: what is sent leaves at once.
func (u *UDPConn) SetWriteBuffer(bytes int) error { return u.set(func() {}) }
