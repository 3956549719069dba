package netfake

import (
	"net"
	"net/netip"
	"syscall"
)

// binding is where a socket is bound. One of net's wildcard sockets is dual-stack: it is
// bound to [::] and gets IPv4 too.
type binding struct {
	at   netip.AddrPort
	dual bool
}

func (b binding) bound() binding { return b }

// with is the binding with another port.
func (b binding) with(port uint16) binding {
	return binding{netip.AddrPortFrom(b.at.Addr(), port), b.dual}
}

// covers reports whether the socket gets what is for an address.
func (b binding) covers(addr netip.Addr) bool {
	if !b.at.Addr().IsUnspecified() {
		return b.at.Addr() == addr
	}
	return b.dual || b.at.Addr().Is4() == addr.Is4()
}

// conflicts reports whether Linux refuses to bind both.
func (b binding) conflicts(other binding) bool {
	return b.at.Port() == other.at.Port() && (b.covers(other.at.Addr()) || other.covers(b.at.Addr()))
}

// boundSocket is a *Listener or a *UDPConn.
type boundSocket interface {
	comparable
	bound() binding
}

// socketFor returns the socket that a packet to an address is for: the one bound to it,
// one bound to the wildcard of its family, or a dual-stack one.
func socketFor[S boundSocket](sockets map[netip.AddrPort]S, at netip.AddrPort) (s S) {
	if s, ok := sockets[at]; ok {
		return s
	}
	if s, ok := sockets[netip.AddrPortFrom(unspecified(at.Addr()), at.Port())]; ok {
		return s
	}
	if at.Addr().Is4() {
		if d, ok := sockets[netip.AddrPortFrom(netip.IPv6Unspecified(), at.Port())]; ok && d.bound().dual {
			return d
		}
	}
	return s
}

// isTaken reports whether a socket is in the way of a binding.
func isTaken[S boundSocket](sockets map[netip.AddrPort]S, b binding) bool {
	if !b.at.Addr().IsUnspecified() {
		var none S
		return socketFor(sockets, b.at) != none
	}
	for _, other := range sockets {
		if b.conflicts(other.bound()) {
			return true
		}
	}
	return false
}

// local is an address to bind to, as an application wrote it.
type local struct {
	network string
	at      netip.AddrPort // its zero Addr is every address of every family
}

// parseLocal reads an address to bind to; an empty host is every address, and an empty
// address every address at port 0.
func parseLocal(network, address string) (local, error) {
	if address == "" {
		address = ":"
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return local{}, err
	}
	number, err := parsePort(network, port)
	if err != nil {
		return local{}, err
	}
	ip, err := parseLocalHost(network, host)
	return local{network, netip.AddrPortFrom(ip, number)}, err
}

func parseLocalHost(network, host string) (netip.Addr, error) {
	four, six := isOfNetwork(network, loopback), isOfNetwork(network, netip.IPv6Loopback())
	switch {
	case host == "", host == "::" && four: // net takes [::] for IPv4's wildcard too
		return netip.Addr{}, nil
	case isLocalhost(host) && four:
		return loopback, nil
	case isLocalhost(host) && six:
		return netip.IPv6Loopback(), nil
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil, !isOfNetwork(network, ip.Unmap()):
		return ip, unsuitable(host)
	case ip.Zone() != "":
		return ip, zoneError(ip)
	case ip.IsUnspecified() && four && six:
		return netip.Addr{}, nil
	}
	return ip.Unmap(), nil
}

// bindingFor decides where a socket is bound, as net does: a wildcard is a dual-stack
// socket unless the network names a family. A host without an IPv6 address is a machine
// whose kernel has none: its wildcards are IPv4's.
func (h *Host) bindingFor(l local) (binding, error) {
	addr := l.at.Addr()
	b := binding{at: l.at}
	switch {
	case addr.IsValid() && !addr.IsUnspecified():
		if !h.owns(addr) {
			return b, sysError("bind", syscall.EADDRNOTAVAIL)
		}
		return b, nil
	case !isOfNetwork(l.network, netip.IPv6Unspecified()), !h.hasIPv6() && isOfNetwork(l.network, netip.IPv4Unspecified()):
		b.at = netip.AddrPortFrom(netip.IPv4Unspecified(), l.at.Port())
		return b, nil
	case !h.hasIPv6():
		return b, sysError("socket", syscall.EAFNOSUPPORT)
	}
	b.at = netip.AddrPortFrom(netip.IPv6Unspecified(), l.at.Port())
	b.dual = isOfNetwork(l.network, netip.IPv4Unspecified())
	return b, nil
}
