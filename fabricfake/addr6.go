package fabricfake

import (
	"encoding/binary"
	"net/netip"
)

// nthBlock returns the n-th block of a length within an IPv6 block.
func nthBlock(outer netip.Prefix, bits int, n uint64) netip.Prefix {
	b := outer.Masked().Addr().As16()
	high := binary.BigEndian.Uint64(b[:8]) + n<<(64-bits)
	binary.BigEndian.PutUint64(b[:8], high)
	return netip.PrefixFrom(netip.AddrFrom16(b), bits)
}

// allocatorIPv6 keeps account of the addresses of a subnet's IPv6 block. It gives out the
// lowest that was never taken: there are more than anybody uses.
type allocatorIPv6 struct {
	block netip.Prefix
	used  map[netip.Addr]bool
	next  netip.Addr
}

// newAllocatorIPv6 begins behind the four addresses that are reserved. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
func newAllocatorIPv6(block netip.Prefix) *allocatorIPv6 {
	a := &allocatorIPv6{block: block, used: map[netip.Addr]bool{}, next: block.Addr()}
	for range reservedHeadIPv6 {
		a.next = a.next.Next()
	}
	return a
}

// reserved reports whether an address is one of the first four or the last.
func (a *allocatorIPv6) reserved(addr netip.Addr) bool {
	head := a.block.Addr()
	for range reservedHeadIPv6 {
		if addr == head {
			return true
		}
		head = head.Next()
	}
	return !a.block.Contains(addr.Next())
}

// take takes an address, or the next one that is free if addr is the zero Addr.
func (a *allocatorIPv6) take(addr netip.Addr) (netip.Addr, error) {
	switch {
	case !addr.IsValid():
		for a.used[a.next] {
			a.next = a.next.Next()
		}
		addr = a.next
	case !a.block.Contains(addr):
		return addr, refuse(codeParameterValue, "%v is not in the subnet's %v", addr, a.block)
	case a.reserved(addr):
		return addr, refuse(codeParameterValue, "%v is reserved in %v", addr, a.block)
	case a.used[addr]:
		return addr, refuse(codeAddressInUse, "%v is in use", addr)
	}
	a.used[addr] = true
	return addr, nil
}

// release gives an address back.
func (a *allocatorIPv6) release(addr netip.Addr) { delete(a.used, addr) }
