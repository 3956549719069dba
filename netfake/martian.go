package netfake

import "net/netip"

// isMartian reports whether a packet that has come to its destination has addresses which
// nothing from outside can have, as Linux decides by default (without accept_local and
// route_localnet): a loopback address, a source that is no single host's, and over IPv4, of
// which alone Linux asks that, the host's own as its source. The latter is why nobody reaches
// himself through a load balancer that preserves clients' addresses.
func (p *Packet) isMartian() bool {
	src, dst := p.Flow.Src.Addr(), p.Flow.Dst.Addr()
	switch {
	case p.inside:
		return false
	case src.IsLoopback(), dst.IsLoopback(), src.IsMulticast():
		return true
	}
	return src.Is4() && (src == dst || src.IsUnspecified() || src == broadcast)
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
