package netfake

import (
	"net/netip"
	"time"
)

// Numbers of path MTU discovery, Linux's.
const (
	// PathMTUExpiry is how long a host believes a path MTU that it has been told
	// (net.ipv4.route.mtu_expires; RFC 1191 section 6.3, RFC 8201 section 4).
	PathMTUExpiry = 600 * time.Second

	minIPv4MTU  = 68   // RFC 791: what every link carries
	minPathMTU  = 552  // net.ipv4.route.min_pmtu: no router is believed that says less
	minPathMTU6 = 1280 // RFC 8201 section 4, and what every link carries: RFC 8200 section 5
)

// pathMTUs is what a host was told about the paths to its peers.
type pathMTUs struct {
	known   map[netip.Addr]pathMTU
	changes uint64
}

type pathMTU struct {
	mtu   int
	until time.Duration
}

// PathMTU returns the largest packet that the host sends to dst: the MTU of its
// interface, or less if a router on the way said so within the last ten minutes. It is 0
// if there is no way to dst.
func (h *Host) PathMTU(dst netip.Addr) int {
	h.world.lock()
	defer h.world.unlock()
	_, mtu := h.sourceFor(dst.Unmap())
	return h.limitMTU(dst.Unmap(), mtu)
}

// limitMTU returns what is left of an interface's MTU towards dst.
func (h *Host) limitMTU(dst netip.Addr, mtu int) int {
	if len(h.paths.known) == 0 {
		return mtu
	}
	if known, ok := h.paths.known[dst]; ok && h.world.now < known.until {
		return min(mtu, known.mtu)
	}
	return mtu
}

// learnMTU notes what a router says that it can carry, and reports whether it is of use:
// as in Linux, not if it is 0, as from routers older than RFC 1191, and not if it is no
// less than what the host sends anyway.
func (h *Host) learnMTU(dst netip.Addr, mtu int) bool {
	least := minPathMTU6
	if dst.Is4() {
		least = minPathMTU
	}
	_, now := h.sourceFor(dst)
	told := max(mtu, least)
	if mtu <= 0 || told > h.limitMTU(dst, now) || told >= now {
		return false
	}
	if h.paths.known == nil {
		h.paths.known = map[netip.Addr]pathMTU{}
	}
	h.paths.known[dst] = pathMTU{told, h.world.now + PathMTUExpiry}
	h.paths.changes++
	return true
}

// seenPath is what a connection knows of its host's path MTUs.
type seenPath struct {
	changes uint64
	until   time.Duration // when what it knows expires; 0 is never
}

// followPath makes the connection's segments as large as its host now thinks that the
// path carries.
func (c *TCPConn) followPath() {
	h := c.host
	if c.path.changes == h.paths.changes && (c.path.until == 0 || h.world.now < c.path.until) {
		return
	}
	c.machine.SetPathMTU(c.readPath())
}

// lowerMTU is followPath when a router has dropped a segment, which goes again at once.
func (c *TCPConn) lowerMTU() { c.machine.SetMTU(c.readPath(), c.host.world.now) }

// readPath returns the path MTU, 0 if it is the interface's.
func (c *TCPConn) readPath() int {
	h := c.host
	c.path = seenPath{changes: h.paths.changes}
	known, ok := h.paths.known[c.flow.Dst.Addr()]
	if !ok || h.world.now >= known.until {
		return 0
	}
	c.path.until = known.until
	return known.mtu
}
