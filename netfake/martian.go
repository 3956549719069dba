package netfake

import "encoding/binary"

// isMartian reports whether a packet that has come to its destination has addresses which
// nothing from outside can have, as Linux decides by default (without accept_local and
// route_localnet): a loopback address, a source that is no single host's, and over IPv4, of
// which alone Linux asks that (fib_validate_source), a source that is one of the host's own
// addresses. The latter is why nobody reaches himself through a load balancer that preserves
// clients' addresses.
func (h *Host) isMartian(p *Packet) bool {
	switch {
	case p.inside:
		return false
	case !p.Flow.Dst.Addr().Is4():
		src, dst := p.Flow.Src.Addr(), p.Flow.Dst.Addr()
		return src.IsLoopback() || dst.IsLoopback() || src.IsMulticast()
	}
	ip := p.Bytes()
	src, dst := binary.BigEndian.Uint32(ip[12:]), binary.BigEndian.Uint32(ip[16:])
	switch {
	case src>>24 == 127, dst>>24 == 127: // loopback
		return true
	case src>>28 == 0b1110, src == 0, src == 0xffffffff: // a group, nobody, everybody
		return true
	}
	return src == dst || len(h.nics) > 1 && h.owns(p.Flow.Src.Addr())
}
