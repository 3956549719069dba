package fabricfake

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
)

// Sizes and quotas of address blocks. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
const (
	largestBlock  = 16 // prefix lengths
	smallestBlock = 28
	maxVPCBlocks  = 5 // IPv4 blocks per VPC, the first included
)

var (
	rfc1918                     = blocks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
	block10, block172, block192 = rfc1918[0], rfc1918[1], rfc1918[2]

	// block198 is used by services of the VPC itself.
	block198 = netip.MustParsePrefix("198.19.0.0/16")

	// forbiddenBlocks can hold no VPC.
	forbiddenBlocks = blocks("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4")
)

func blocks(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, s := range texts {
		all[i] = netip.MustParsePrefix(s)
	}
	return all
}

// parseBlock reads an IPv4 block in canonical form: as the API does, it zeroes the host
// bits, so that "100.68.0.18/18" is 100.68.0.0/18.
func parseBlock(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is4() {
		return netip.Prefix{}, refuse(codeParameterValue, "%q is not an IPv4 CIDR block such as 10.0.0.0/16", s)
	}
	return p.Masked(), nil
}

// parseAnyBlock reads a block of either family in canonical form.
func parseAnyBlock(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, refuse(codeParameterValue, "%q is not a CIDR block%s", s, single(s))
	}
	return p.Masked(), nil
}

// single says how an address that stands where a block should is written as one.
func single(s string) string {
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Is4In6() || addr.Zone() != "" {
		return ""
	}
	return fmt.Sprintf(": a single address is %v/%d", addr, addr.BitLen())
}

// CIDR is a block of addresses as a person types it: "10.0.0.0/8", "2001:db8::/32". Host
// bits are zeroed where it is used.
type CIDR string

// Anywhere is every IPv4 address, AnywhereIPv6 every IPv6 address. Neither stands for
// the other.
const (
	Anywhere     CIDR = "0.0.0.0/0"
	AnywhereIPv6 CIDR = "::/0"
)

// String returns the block as it was typed.
func (c CIDR) String() string { return string(c) }

func (c CIDR) resolve() (ruleTarget, error) {
	p, err := parseAnyBlock(string(c))
	return ruleTarget{prefix: p}, err
}

func sizeAllowed(p netip.Prefix) bool {
	return p.Bits() >= largestBlock && p.Bits() <= smallestBlock
}

// parseVPCBlock reads a block that a VPC may have.
func parseVPCBlock(s string) (netip.Prefix, error) {
	p, err := parseBlock(s)
	switch {
	case err != nil:
		return netip.Prefix{}, err
	case !sizeAllowed(p):
		return netip.Prefix{}, refuse(codeVPCRange, "%v: a VPC's block is between /%d and /%d", p, largestBlock, smallestBlock)
	}
	if bad, found := overlapping(p, forbiddenBlocks); found {
		return netip.Prefix{}, refuse(codeVPCRange, "%v lies in %v, which no VPC may have", p, bad)
	}
	return p, nil
}

// parseSubnetBlock reads a block for a subnet: inside one of the VPC's blocks, clear of
// the subnets that are there.
func parseSubnetBlock(s string, vpc, siblings []netip.Prefix) (netip.Prefix, error) {
	p, err := parseBlock(s)
	switch {
	case err != nil:
		return netip.Prefix{}, err
	case !sizeAllowed(p):
		return netip.Prefix{}, refuse(codeSubnetRange, "%v: a subnet's block is between /%d and /%d", p, largestBlock, smallestBlock)
	case !within(p, vpc):
		return netip.Prefix{}, refuse(codeSubnetRange, "%v is not inside the VPC's blocks %v", p, vpc)
	}
	if other, found := overlapping(p, siblings); found {
		return netip.Prefix{}, refuse(codeSubnetConflict, "%v overlaps the subnet %v", p, other)
	}
	return p, nil
}

// contains reports whether inner lies in outer, or is it.
func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

func within(p netip.Prefix, blocks []netip.Prefix) bool {
	for _, outer := range blocks {
		if contains(outer, p) {
			return true
		}
	}
	return false
}

func overlapping(p netip.Prefix, with []netip.Prefix) (netip.Prefix, bool) {
	for _, other := range with {
		if p.Overlaps(other) {
			return other, true
		}
	}
	return netip.Prefix{}, false
}

// checkSecondary tells why a VPC with the blocks existing, whose route tables have the
// destinations routes, may not have add as well; nil if it may. The local routes may
// be among routes.
func checkSecondary(existing, routes []netip.Prefix, add netip.Prefix) error {
	if other, found := overlapping(add, existing); found {
		return refuse(codeVPCRange, "%v overlaps the VPC's block %v", add, other)
	}
	for _, r := range routes {
		if contains(add, r) {
			return refuse(codeVPCRange, "%v is as large as the destination %v of a route, or larger", add, r)
		}
	}
	for _, have := range existing {
		if bad, found := overlapping(add, excluded(have, existing)); found {
			return refuse(codeVPCRange, "%v lies in %v, which a VPC with the block %v may not add", add, bad, have)
		}
	}
	if len(existing) >= maxVPCBlocks {
		return refuse(codeCIDRLimit, "a VPC has %d IPv4 blocks at most", maxVPCBlocks)
	}
	return nil
}

// excluded returns what a VPC that has the block have, among others, may not add. It
// is the table of
// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html#add-cidr-block-restrictions
func excluded(have netip.Prefix, all []netip.Prefix) []netip.Prefix {
	switch {
	case contains(netip.MustParsePrefix("10.0.0.0/15"), have):
		return append(blocks("10.0.0.0/16"), block172, block192, block198)
	case contains(block10, have):
		return []netip.Prefix{block172, block192, block198}
	case contains(block172, have):
		return append(blocks("172.31.0.0/16"), block10, block192, block198)
	case contains(block192, have):
		return []netip.Prefix{block10, block172, block198}
	case contains(block198, have):
		return rfc1918
	}
	// Public and shared blocks keep private ones out, unless a private one was first.
	for _, other := range all {
		if within(other, rfc1918) {
			return []netip.Prefix{block198}
		}
	}
	return append([]netip.Prefix{block198}, rfc1918...)
}

// reservedHead is how many addresses at a subnet's beginning nobody can have: network,
// router, resolver, and one for the future. The last address is reserved too. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
const reservedHead = 4

// reserved reports whether addr is one of the five addresses of the subnet that the
// service keeps.
func reserved(subnet netip.Prefix, addr netip.Addr) bool {
	if !subnet.Contains(addr) {
		return false
	}
	offset := addressNumber(addr) - addressNumber(subnet.Addr())
	return offset < reservedHead || offset == addressCount(subnet)-1
}

func addressNumber(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func addressCount(p netip.Prefix) uint32 { return 1 << (32 - p.Bits()) }

// nthAddress returns the address n above the prefix's first.
func nthAddress(p netip.Prefix, n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], addressNumber(p.Addr())+n)
	return netip.AddrFrom4(b)
}

// allocator keeps account of a subnet's addresses. It gives out the lowest that is
// free.
type allocator struct {
	subnet netip.Prefix
	used   []uint64 // a bit per address; the reserved ones are set
	free   int
	from   int // no word of used below it has a free address
}

func newAllocator(subnet netip.Prefix) *allocator {
	count := addressCount(subnet)
	a := &allocator{subnet: subnet, used: make([]uint64, (count+63)/64), free: int(count)}
	for n := count; n < uint32(len(a.used)*64); n++ {
		a.used[n/64] |= 1 << (n % 64) // a small subnet does not fill its word
	}
	for n := range uint32(reservedHead) {
		a.mark(n)
	}
	a.mark(count - 1)
	return a
}

func (a *allocator) mark(n uint32) {
	a.used[n/64] |= 1 << (n % 64)
	a.free--
}

func (a *allocator) taken(n uint32) bool { return a.used[n/64]&(1<<(n%64)) != 0 }

// available returns how many addresses are free.
func (a *allocator) available() int { return a.free }

// next takes the lowest free address.
func (a *allocator) next() (netip.Addr, error) {
	for ; a.from < len(a.used); a.from++ {
		if word := a.used[a.from]; word != ^uint64(0) {
			n := uint32(a.from*64 + bits.TrailingZeros64(^word))
			a.mark(n)
			return nthAddress(a.subnet, n), nil
		}
	}
	return netip.Addr{}, refuse(codeNoFreeAddress, "the subnet %v has no free address", a.subnet)
}

// take takes one address.
func (a *allocator) take(addr netip.Addr) error {
	switch {
	case !a.subnet.Contains(addr):
		return refuse(codeParameterValue, "%v is not in the subnet %v", addr, a.subnet)
	case reserved(a.subnet, addr):
		return refuse(codeParameterValue, "%v is reserved in the subnet %v: its first four addresses and its last one are", addr, a.subnet)
	}
	n := addressNumber(addr) - addressNumber(a.subnet.Addr())
	if a.taken(n) {
		return refuse(codeAddressInUse, "%v is in use", addr)
	}
	a.mark(n)
	return nil
}

// release gives an address back. An address that nobody has is ignored.
func (a *allocator) release(addr netip.Addr) {
	if !a.subnet.Contains(addr) || reserved(a.subnet, addr) {
		return
	}
	n := addressNumber(addr) - addressNumber(a.subnet.Addr())
	if !a.taken(n) {
		return
	}
	a.used[n/64] &^= 1 << (n % 64)
	a.free++
	a.from = min(a.from, int(n/64))
}
