package netfake

import (
	"fmt"
	"net/netip"

	"github.com/netspec-go/netspec/internal/wire"
)

// router is a node that forwards packets and tells their senders what becomes of them.
type router interface {
	Node

	// speaksFrom returns the address from which the router answers a packet, not valid
	// if it keeps silent, and the node at which what it says starts its way.
	speaksFrom(p *Packet) (netip.Addr, Node)
}

// CountDown does what every router does to a packet that it forwards: it lowers the TTL
// or hop limit by one and reports whether the packet may go on. One that may not is for
// [Packet.Expire].
func (p *Packet) CountDown() bool {
	return wire.CountDown(p.Bytes())
}

// Expire drops a packet whose TTL is used up, and tells its sender from an address, as
// Reject does.
func (p *Packet) Expire(h Hop, from netip.Addr, at Node) Next {
	h.Rule, h.Code = "the TTL is used up", "TTL_EXCEEDED"
	if p.trace != nil && roundOf(p.trace.Hops).period > 0 {
		h.Rule += ", as " + p.wanders()
	}
	return p.Reject(h, ICMPError{Kind: TimeExceeded}, from, at)
}

// routerBlock and routerBlock6 are where the internet's routers have their addresses:
// parts of the blocks that RFC 2544 and RFC 5180 set aside for benchmarks, so that they
// are nobody's.
var (
	routerBlock  = netip.MustParsePrefix("198.19.0.0/16")
	routerBlock6 = netip.MustParsePrefix("2001:2::/48")
)

// routers is the internet's router at a place, one address of each family.
type routers struct{ v4, v6 netip.Addr }

// routersAt returns the addresses of a place's router, which it gets when the first
// uplink is attached there.
func (n *Internet) routersAt(place Place) routers {
	r, ok := n.routers[place]
	if !ok {
		number := len(n.routers) + 1
		v4, v6 := routerBlock.Addr().As4(), routerBlock6.Addr().As16()
		v4[2], v4[3] = byte(number>>8), byte(number)
		v6[14], v6[15] = byte(number>>8), byte(number)
		r = routers{netip.AddrFrom4(v4), netip.AddrFrom16(v6)}
		n.routers[place] = r
	}
	return r
}

// RouterAddr returns the address from which the internet's router at the uplink's place
// sends ICMP errors: the hop behind the uplink in a traceroute. Nothing else can be
// reached there.
func (u *Uplink) RouterAddr() netip.Addr { return u.routers.v4 }

// RouterAddr6 is RouterAddr for IPv6.
func (u *Uplink) RouterAddr6() netip.Addr { return u.routers.v6 }

func (r routers) of(family netip.Addr) netip.Addr {
	if family.Is4() {
		return r.v4
	}
	return r.v6
}

// speaksFrom makes an uplink a router at its own end: what it says does not cross the
// last mile.
func (u *Uplink) speaksFrom(p *Packet) (netip.Addr, Node) {
	return u.routers.of(p.Flow.Src.Addr()), u.arrive
}

func (c uplinkCore) speaksFrom(p *Packet) (netip.Addr, Node) {
	return c.routers.of(p.Flow.Src.Addr()), uplinkOrigin(c)
}

func (d uplinkDown) speaksFrom(p *Packet) (netip.Addr, Node) {
	return d.routers.of(p.Flow.Src.Addr()), uplinkOrigin(d)
}

// countDown is the part of a router's Step that is about the TTL: it reports whether the
// packet may go on, and what becomes of it if not.
func countDown(p *Packet, r router) (Next, bool) {
	if p.CountDown() {
		return Next{}, true
	}
	return expire(p, r), false
}

func expire(p *Packet, r router) Next {
	from, at := r.speaksFrom(p)
	return p.Expire(Hop{Place: "internet", By: r, Rule: fmt.Sprintf("router %v", from)}, from, at)
}

// uplinkOrigin is where the place's router puts in what it says itself.
type uplinkOrigin struct{ *Uplink }

func (o uplinkOrigin) Step(p *Packet) Next { return o.route(p) }

func (o uplinkOrigin) speaksFrom(p *Packet) (netip.Addr, Node) {
	return netip.Addr{}, nil
}

// uplinkLast is uplinkDown for a packet that stays at its place, whose router has counted
// its TTL already.
type uplinkLast struct{ *Uplink }

func (d uplinkLast) Step(p *Packet) Next { return p.Along(&d.access.back, d.arrive) }

func (d uplinkLast) speaksFrom(p *Packet) (netip.Addr, Node) { return uplinkDown(d).speaksFrom(p) }
