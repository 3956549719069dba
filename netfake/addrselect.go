package netfake

import (
	"cmp"
	"math/bits"
	"net/netip"
	"slices"
)

// sortByRFC6724 puts addresses into the order in which they are to be tried, by those
// rules of RFC 6724, section 6, that net applies: 1, 2, 5, 6, 8 and, to IPv6 alone, 9.
// What they leave equal stays as it was.
func (h *Host) sortByRFC6724(addrs []netip.Addr) {
	h.world.lock()
	ranked := make([]candidate, len(addrs))
	for i, addr := range addrs {
		src, _ := h.sourceFor(addr)
		ranked[i] = newCandidate(addr, src)
	}
	h.world.unlock()
	slices.SortStableFunc(ranked, candidate.compare)
	for i, c := range ranked {
		addrs[i] = c.addr
	}
}

// candidate is a destination and what the rules look at.
type candidate struct {
	addr       netip.Addr
	usable     bool // there is a source address
	scopeFits  bool // the source's scope is the destination's
	labelFits  bool
	precedence int
	scope      int
	common     int // bits that source and destination share
}

func newCandidate(dst, src netip.Addr) candidate {
	c := candidate{addr: dst}
	if !src.IsValid() {
		return c
	}
	to, from := policyOf(dst), policyOf(src)
	c.usable = true
	c.scope = scopeOf(dst)
	c.scopeFits = c.scope == scopeOf(src)
	c.labelFits = to.label == from.label
	c.precedence = to.precedence
	if dst.Is6() {
		c.common = commonPrefix(src, dst)
	}
	return c
}

// compare is negative if c goes first.
func (c candidate) compare(other candidate) int {
	if !c.usable && !other.usable {
		return 0
	}
	order := cmp.Or(
		preferTrue(c.usable, other.usable),
		preferTrue(c.scopeFits, other.scopeFits),
		preferTrue(c.labelFits, other.labelFits),
		cmp.Compare(other.precedence, c.precedence),
		cmp.Compare(c.scope, other.scope),
	)
	if order == 0 && c.addr.Is6() && other.addr.Is6() {
		return cmp.Compare(other.common, c.common)
	}
	return order
}

func preferTrue(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// policy is a line of the table of RFC 6724, section 2.1.
type policy struct {
	prefix            netip.Prefix
	precedence, label int
}

// policies has the longest prefixes first.
var policies = []policy{
	{netip.MustParsePrefix("::1/128"), 50, 0},
	{netip.MustParsePrefix("::/96"), 1, 3},
	{netip.MustParsePrefix("2001::/32"), 5, 5},
	{netip.MustParsePrefix("2002::/16"), 30, 2},
	{netip.MustParsePrefix("3ffe::/16"), 1, 12},
	{netip.MustParsePrefix("fec0::/10"), 1, 11},
	{netip.MustParsePrefix("fc00::/7"), 3, 13},
	{netip.MustParsePrefix("::/0"), 40, 1},
}

// policyOf4 is the line of ::ffff:0:0/96, which stands for IPv4.
var policyOf4 = policy{precedence: 35, label: 4}

func policyOf(addr netip.Addr) policy {
	for _, p := range policies {
		if p.prefix.Contains(addr.WithZone("")) {
			return p
		}
	}
	return policyOf4
}

// The scopes of RFC 6724, section 3.1, by the numbers of RFC 4291, section 2.7.
const (
	scopeLinkLocal = 0x2
	scopeSiteLocal = 0x5
	scopeGlobal    = 0xe
)

var siteLocal = netip.MustParsePrefix("fec0::/10")

func scopeOf(addr netip.Addr) int {
	switch {
	case addr.IsLoopback() || addr.IsLinkLocalUnicast():
		return scopeLinkLocal
	case addr.Is6() && addr.IsMulticast():
		return int(addr.As16()[1] & 0xf)
	case siteLocal.Contains(addr.WithZone("")):
		return scopeSiteLocal
	}
	return scopeGlobal
}

// commonPrefix counts the leading bits that two IPv6 addresses share, up to the 64 of
// the prefix (RFC 6724, section 2.2).
func commonPrefix(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	for i := range 8 {
		if diff := x[i] ^ y[i]; diff != 0 {
			return 8*i + bits.LeadingZeros8(diff)
		}
	}
	return 64
}
