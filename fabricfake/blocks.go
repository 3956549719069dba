package fabricfake

import (
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// AddCIDR associates a secondary IPv4 block with the VPC: every route table gets a local
// route to it, and subnets may lie in it. It takes effect at once. It fails the test for a
// block that overlaps one of the VPC's or may not stand beside it, that is as large as the
// destination of a route or larger, for one that overlaps a peer's or comes while a peer has yet
// to accept (InvalidStateTransition), and for a sixth block (CidrLimitExceeded). The rules:
// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
func (v *VPC) AddCIDR(cidr string) *VPC {
	tb := v.tb()
	tb.Helper()
	v.mustExist()
	block, err := parseVPCBlock(cidr)
	if err == nil {
		v.world.Do(func(now time.Duration) {
			if err = checkSecondary(v.cidrs, v.destinations(), block); err == nil {
				err = v.checkPeers(block, now)
			}
			if err == nil {
				v.cidrs = append(v.cidrs, block)
				v.addLocal(block)
				v.failOffers(now)
			}
		})
	}
	if err != nil {
		tb.Fatalf("%v (vpc %s)", err, v.name)
	}
	v.resolver.serve(v, block)
	return v
}

// RemoveCIDR takes a secondary IPv4 block, or an IPv6 block, off the VPC. The primary
// block cannot be removed (OperationNotPermitted), nor one that a subnet lies in
// (InvalidCidrBlock.InUse).
func (v *VPC) RemoveCIDR(cidr string) *VPC {
	tb := v.tb()
	tb.Helper()
	v.mustExist()
	block, err := parseAnyBlock(cidr)
	if err == nil {
		v.world.Do(func(time.Duration) { err = v.removeBlock(block) })
	}
	if err != nil {
		tb.Fatalf("%v (vpc %s)", err, v.name)
	}
	v.announce()
	return v
}

func (v *VPC) removeBlock(block netip.Prefix) error {
	switch {
	case block == v.cidrs[0]:
		return refuse("OperationNotPermitted", "%v is the primary block, which a VPC keeps", block)
	case !slices.Contains(v.cidrs, block) && !slices.Contains(v.cidrs6, block):
		return refuse("InvalidVpcCidrBlockAssociationID.NotFound", "%v is no block of the VPC", block)
	}
	for _, s := range v.subnets {
		if contains(block, s.block) || s.block6.IsValid() && contains(block, s.block6) {
			return refuse("InvalidCidrBlock.InUse", "the subnet %s lies in %v", s.name, block)
		}
	}
	isBlock := func(p netip.Prefix) bool { return p == block }
	v.cidrs, v.cidrs6 = slices.DeleteFunc(v.cidrs, isBlock), slices.DeleteFunc(v.cidrs6, isBlock)
	v.resolver.forget(block)
	for _, t := range v.tables {
		t.removeLocal(block)
	}
	return nil
}

// The IPv6 blocks of VPCs and subnets, in bits, in steps of four. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
const (
	largestIPv6       = 44
	smallestVPCIPv6   = 60
	smallestIPv6      = 64
	providedIPv6      = 56
	maxVPCIPv6Blocks  = 5
	stepOfIPv6        = 4
	reservedHeadIPv6  = 4
	firstProvidedIPv6 = "2001:db8:f000::/36" // where blocks provided here come from: RFC 3849, documentation
)

// AddIPv6 associates an IPv6 block with the VPC: one of its owner's, from /44 to /60 in
// steps of four, or if cidr is "" a /56 that nobody else has, as Amazon provides. Every
// route table gets a local route to it, every ACL its last entry for IPv6 and the default
// ACL, unless it was changed, one that lets IPv6 through. The default group, unless it was
// changed, and those that are made afterwards let everything out over IPv6 too. It fails the test for a block that another VPC has,
// and for a sixth block.
func (v *VPC) AddIPv6(cidr string) *VPC {
	tb := v.tb()
	tb.Helper()
	v.mustExist()
	var err error
	var block netip.Prefix
	rs := netfake.Shared(v.world, newRegions)
	if cidr != "" {
		block, err = parseIPv6Block(cidr, smallestVPCIPv6, codeVPCRange)
	}
	if err == nil {
		v.world.Do(func(now time.Duration) {
			if err = v.checkPeers(block, now); err == nil {
				err = v.addIPv6(block, rs)
			}
		})
	}
	if err != nil {
		tb.Fatalf("%v (vpc %s)", err, v.name)
	}
	v.resolver.serve(v, v.cidrs6[len(v.cidrs6)-1])
	v.announce()
	return v
}

func (v *VPC) addIPv6(block netip.Prefix, rs *regions) error {
	if len(v.cidrs6) >= maxVPCIPv6Blocks {
		return refuse(codeCIDRLimit, "a VPC has %d IPv6 blocks at most", maxVPCIPv6Blocks)
	}
	if !block.IsValid() {
		block = nthBlock(netip.MustParsePrefix(firstProvidedIPv6), providedIPv6, rs.provided)
		rs.provided++ // a block that is given back is not given again
	}
	for _, r := range rs.all {
		for _, other := range r.vpcs {
			if have, found := overlapping(block, other.cidrs6); found {
				return refuse("InvalidVpc.Conflict", "%v overlaps %v of vpc %s, and IPv6 addresses are unique", block, have, other.name)
			}
		}
	}
	v.cidrs6 = append(v.cidrs6, block)
	v.addLocal(block)
	for _, a := range v.acls {
		a.addIPv6(a == v.acl)
	}
	v.groups[0].addIPv6()
	return nil
}

// addLocal gives every table the local route to a block.
func (v *VPC) addLocal(block netip.Prefix) {
	for _, t := range v.tables {
		t.addLocal(block)
	}
}

// destinations returns where the routes of all the VPC's tables lead.
func (v *VPC) destinations() (all []netip.Prefix) {
	for _, t := range v.tables {
		for _, r := range t.routes {
			all = append(all, r.Destination)
		}
	}
	return all
}

// CIDRs returns the VPC's blocks: the primary one, the secondary ones, then those of IPv6.
func (v *VPC) CIDRs() (all []netip.Prefix) {
	v.world.Do(func(time.Duration) { all = v.allBlocks() })
	return all
}

func (v *VPC) allBlocks() []netip.Prefix { return slices.Concat(v.cidrs, v.cidrs6) }

// AddIPv6 gives the subnet an IPv6 block out of the VPC's: from /44 to /64 in steps of
// four, or if cidr is "" the first /64 that is free. A subnet has one. It fails the test
// for a block that is outside the VPC's or overlaps another subnet's.
func (s *Subnet) AddIPv6(cidr string) *Subnet {
	tb := s.tb()
	tb.Helper()
	s.mustExist()
	var err error
	var block netip.Prefix
	if cidr != "" {
		block, err = parseIPv6Block(cidr, smallestIPv6, codeSubnetRange)
	}
	if err == nil {
		s.vpc.world.Do(func(time.Duration) { err = s.addIPv6(block) })
	}
	if err != nil {
		tb.Fatalf("%v (subnet %s)", err, s.name)
	}
	return s
}

func (s *Subnet) addIPv6(block netip.Prefix) error {
	v := s.vpc
	if s.block6.IsValid() {
		return refuse(codeAlreadyAssociated, "the subnet has %v", s.block6)
	}
	if !block.IsValid() {
		var ok bool
		if block, ok = v.freeIPv6(); !ok {
			return refuse(codeSubnetRange, "no /%d is free in the VPC's IPv6 blocks %v", smallestIPv6, v.cidrs6)
		}
	}
	if !within(block, v.cidrs6) {
		return refuse(codeSubnetRange, "%v is not inside the VPC's blocks %v", block, v.cidrs6)
	}
	if other, found := overlapping(block, v.blocks); found {
		return refuse(codeSubnetConflict, "%v overlaps the subnet %v", block, other)
	}
	s.block6, s.free6 = block, newAllocatorIPv6(block)
	v.blocks = append(v.blocks, block)
	return nil
}

// freeIPv6 returns the first /64 of the VPC's blocks that is no subnet's.
func (v *VPC) freeIPv6() (netip.Prefix, bool) {
	for _, outer := range v.cidrs6 {
		for n := range uint64(1) << (smallestIPv6 - outer.Bits()) {
			block := nthBlock(outer, smallestIPv6, n)
			if _, taken := overlapping(block, v.blocks); !taken {
				return block, true
			}
		}
	}
	return netip.Prefix{}, false
}

// CIDRs returns the subnet's blocks: the IPv4 one and, if it has one, that of IPv6.
func (s *Subnet) CIDRs() (all []netip.Prefix) {
	s.vpc.world.Do(func(time.Duration) {
		all = []netip.Prefix{s.block}
		if s.block6.IsValid() {
			all = append(all, s.block6)
		}
	})
	return all
}

// contains reports whether an address lies in the subnet.
func (s *Subnet) contains(addr netip.Addr) bool {
	return s.block.Contains(addr) || s.block6.IsValid() && s.block6.Contains(addr)
}

// FreeAddresses returns how many IPv4 addresses nobody has: those of stopped instances
// are taken.
func (s *Subnet) FreeAddresses() (n int) {
	s.vpc.world.Do(func(time.Duration) { n = s.free.available() })
	return n
}

// parseIPv6Block reads an IPv6 block between /44 and a smallest one.
func parseIPv6Block(cidr string, smallest int, code string) (netip.Prefix, error) {
	p, err := parseAnyBlock(cidr)
	switch {
	case err != nil || p.Addr().Is4():
		return netip.Prefix{}, refuse(codeParameterValue, "%q is not an IPv6 CIDR block", cidr)
	case p.Bits() < largestIPv6 || p.Bits() > smallest || p.Bits()%stepOfIPv6 != 0:
		return netip.Prefix{}, refuse(code, "%v: an IPv6 block is between /%d and /%d in steps of %d", p, largestIPv6, smallest, stepOfIPv6)
	}
	return p, nil
}
