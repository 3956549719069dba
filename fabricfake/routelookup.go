package fabricfake

import (
	"net/netip"
	"slices"
)

// unroutable are addresses of services beside the instance, which no route reaches.
// Source: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html
var unroutable = blocks("169.254.168.0/22", "fd00:ec2::/32")

// put inserts a route behind those that precede it or came before it.
func (t *RouteTable) put(r Route) {
	at := slices.IndexFunc(t.routes, func(o Route) bool { return precedes(r, o) })
	if at < 0 {
		at = len(t.routes)
	}
	t.set(slices.Insert(t.routes, at, r))
}

func precedes(a, b Route) bool {
	if a.Destination.Bits() != b.Destination.Bits() {
		return a.Destination.Bits() > b.Destination.Bits()
	}
	return a.Origin.rank() < b.Origin.rank()
}

// lookup returns the route that a packet to dst takes: the longest prefix, and of
// those to one destination the one of the lowest rank. A local route wins against a
// propagated one even where that is more specific. It is nil for none, and valid until a
// route is changed.
func (t *RouteTable) lookup(dst netip.Addr) *Route {
	m := t.place(dst)
	if m.dst != dst {
		*m = lookedUp{dst, t.search(dst)}
	}
	if m.at < 0 {
		return nil
	}
	return &t.routes[m.at]
}

// place returns where the look-up of a destination is remembered: the first addresses of
// several subnets differ before their last byte.
func (t *RouteTable) place(dst netip.Addr) *lookedUp {
	b := dst.As16()
	return &t.memory[(b[15]^b[14]<<2)%uint8(len(t.memory))]
}

// lookedUp is the result of a look-up, which holds as long as the routes are the same.
type lookedUp struct {
	dst netip.Addr
	at  int // the index of the route, negative for none
}

// set gives the table its routes, and has it forget what it has looked up.
func (t *RouteTable) set(routes []Route) { t.routes, t.memory = routes, [len(t.memory)]lookedUp{} }

// search does what lookup does and returns the index of the route, a negative one for none.
func (t *RouteTable) search(dst netip.Addr) int {
	for _, never := range unroutable {
		if never.Contains(dst) {
			return -1
		}
	}
	best, learnt := -1, -1
	for i := range t.routes {
		r := &t.routes[i]
		if !r.Destination.Contains(dst) {
			continue
		}
		if !r.Origin.propagated() {
			best = i
			break
		}
		if learnt < 0 {
			learnt = i
		}
	}
	if learnt >= 0 && (best < 0 || !t.isLocal(dst)) {
		best = learnt
	}
	return best
}

func (t *RouteTable) isLocal(dst netip.Addr) bool {
	for i := range t.routes {
		if t.routes[i].Origin == OriginLocal && t.routes[i].Destination.Contains(dst) {
			return true
		}
	}
	return false
}
