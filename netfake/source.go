package netfake

import (
	"fmt"
	"net/netip"
	"syscall"
)

// owns reports whether packets for an address are the host's own.
func (h *Host) owns(addr netip.Addr) bool {
	for _, nic := range h.nics {
		if nic.addr == addr {
			return true
		}
	}
	return addr.IsLoopback() && (addr.Is4() || h.hasIPv6())
}

// hasIPv6 reports whether the host speaks IPv6 at all: whether one of its interfaces
// has such an address.
func (h *Host) hasIPv6() bool {
	for _, nic := range h.nics {
		if !nic.addr.Is4() {
			return true
		}
	}
	return false
}

// nicFor returns the interface through which the host reaches dst, and which has an
// address of its family: one that names the destination, else the first that names
// none; nil if there is neither.
func (h *Host) nicFor(dst netip.Addr) *NIC {
	var rest *NIC
	for _, nic := range h.nics {
		if nic.addr.Is4() != dst.Is4() {
			continue
		}
		if len(nic.dest) == 0 {
			if rest == nil {
				rest = nic
			}
			continue
		}
		for _, prefix := range nic.dest {
			if prefix.Contains(dst) {
				return nic
			}
		}
	}
	return rest
}

// sourceFor returns the address that a socket bound to no particular one uses
// towards dst, and the largest packet that fits; the zero Addr if there is no way.
func (h *Host) sourceFor(dst netip.Addr) (netip.Addr, int) {
	if h.owns(dst) {
		return dst, loopbackMTU
	}
	nic := h.nicFor(dst)
	if nic == nil {
		return netip.Addr{}, 0
	}
	if !dst.Is4() {
		return h.source6(nic, dst), nic.mtu
	}
	return nic.addr, nic.mtu
}

// bindFor returns the address from which a socket connects to a peer: the one that its
// application named, unless that is a wildcard, else sourceFor's.
func (h *Host) bindFor(local, peer netip.Addr) (netip.Addr, int, error) {
	src, mtu := h.sourceFor(peer)
	local = local.Unmap()
	switch {
	case peer.Zone() != "":
		return src, mtu, zoneError(peer)
	case local.IsValid() && !local.IsUnspecified() && local.Is4() != peer.Is4():
		return src, mtu, unsuitable(local.String())
	case local.IsValid() && !local.IsUnspecified() && !h.owns(local):
		return src, mtu, sysError("bind", syscall.EADDRNOTAVAIL)
	case !src.IsValid():
		return src, mtu, sysError("connect", syscall.ENETUNREACH)
	case h.staysInside(local, peer):
		return src, mtu, sysError("connect", syscall.EINVAL)
	case local.IsValid() && !local.IsUnspecified():
		return local, mtu, nil
	}
	return src, mtu, nil
}

// source6 chooses between the IPv6 addresses that lead the same way as nic, as RFC 6724,
// section 5, does: one of the destination's label before one of another (rule 6), then
// the one that has the longest prefix in common with it (rule 8), then the first. Its
// other rules are about addresses that hosts here do not have.
func (h *Host) source6(nic *NIC, dst netip.Addr) netip.Addr {
	best := nic.addr
	for _, other := range h.nics {
		if other.out == nic.out && !other.addr.Is4() && len(other.dest) == len(nic.dest) && isBetterSource(other.addr, best, dst) {
			best = other.addr
		}
	}
	return best
}

func isBetterSource(a, b, dst netip.Addr) bool {
	want := policyOf(dst).label
	if fits := policyOf(a).label == want; fits != (policyOf(b).label == want) {
		return fits
	}
	return commonPrefix(a, dst) > commonPrefix(b, dst)
}

// loopbackMTU is the MTU of Linux's lo.
const loopbackMTU = 65536 - 1

// outlet returns the node that takes what the host sends: the host itself for its
// own addresses, else the interface that owns the source address. Without one an IPv6 packet
// leaves all the same, by another interface, as in Linux, and an IPv4 packet does not.
func (h *Host) outlet(p *Packet) Node {
	if p.inside = h.owns(p.Flow.Dst.Addr()); p.inside {
		return h
	}
	for _, nic := range h.nics {
		if nic.addr == p.Flow.Src.Addr() {
			return nic.out
		}
	}
	if src := p.Flow.Src.Addr(); h.isAbsent(src) {
		return (*absent)(h)
	}
	if nic := h.nicFor(p.Flow.Dst.Addr()); nic != nil {
		return nic.out
	}
	return h
}

// isAbsent reports whether an address is one of IPv4 from which the host cannot send, since
// it is none of its own: Linux looks at the sources of that family alone.
func (h *Host) isAbsent(src netip.Addr) bool {
	return src.Is4() && !src.IsUnspecified() && !h.owns(src)
}

// staysInside reports whether packets from an address must not leave the host for a
// destination, as from IPv4's loopback. Linux lets those from that of IPv6 out.
func (h *Host) staysInside(src, dst netip.Addr) bool {
	return src.Is4() && src.IsLoopback() && !h.owns(dst)
}

// absent is a host where it drops what it would send from an address that it no longer has.
type absent Host

func (a *absent) String() string { return a.name }

func (a *absent) Step(p *Packet) Next {
	h := (*Host)(a)
	hop := h.hop(fmt.Sprintf("%v is no longer an address of this host", p.Flow.Src.Addr()), "")
	hop.Direction = Egress
	return p.Drop(hop)
}
