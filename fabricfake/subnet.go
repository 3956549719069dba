package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// maxSubnets is how many subnets a VPC has. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
const maxSubnets = 200

// Subnet is a block of a VPC in one zone.
type Subnet struct {
	vpc   *VPC
	name  string
	id    string
	zone  string
	block netip.Prefix
	free  *allocator

	block6 netip.Prefix // invalid for none
	free6  *allocatorIPv6

	autoPublic AutoAssign

	table *RouteTable // nil: the VPC's main table
	acl   *NetworkACL

	deleted bool
}

// Subnet makes a subnet in a zone of the VPC's region: "a", "b" or "c". A block that is
// malformed, outside the VPC or overlaps with another subnet's fails the test, as do an
// unknown zone and a name that is taken.
func (v *VPC) Subnet(name, cidr, zone string) *Subnet {
	tb := v.tb()
	tb.Helper()
	v.mustExist()
	v.region.checkZone(zone)
	block, err := parseSubnetBlock(cidr, v.cidrs, v.blocks)
	if err == nil {
		err = checkName("subnet", name)
	}
	if err == nil {
		err = checkCount("SubnetLimitExceeded", "subnets", len(v.subnets), v.quotas().SubnetsPerVPC)
	}
	if err != nil {
		tb.Fatalf("%v (subnet %s of vpc %s)", err, name, v.name)
	}
	for _, other := range v.subnets {
		if other.name == name {
			tb.Fatalf("fabricfake: vpc %s has a subnet %s already", v.name, name)
		}
	}
	v.numbered++
	s := &Subnet{vpc: v, name: name, zone: zone, block: block, free: newAllocator(block), acl: v.acl}
	s.id = fmt.Sprintf("subnet-%05x%012x", v.vni, v.numbered)
	v.world.Do(func(time.Duration) {
		v.subnets = append(v.subnets, s)
		v.blocks = append(v.blocks, block)
	})
	return s
}

// String returns the subnet's name.
func (s *Subnet) String() string { return s.name }

// Name returns the subnet's name.
func (s *Subnet) Name() string { return s.name }

// ID returns the subnet's identifier, as the real ones look: "subnet-0…".
func (s *Subnet) ID() string { return s.id }

// VPC returns the VPC that the subnet is in.
func (s *Subnet) VPC() *VPC { return s.vpc }

// World returns the world that the subnet is in.
func (s *Subnet) World() *netfake.World { return made(s, "*Subnet").vpc.world }

// Zone returns the subnet's zone: "a".
func (s *Subnet) Zone() string { return s.zone }

// CIDR returns the subnet's block.
func (s *Subnet) CIDR() netip.Prefix { return s.block }

// Route adds a route to the subnet's own table, which is made and associated, with the
// subnet's name, when it has none yet. It fails the test where RouteTable.Route does.
func (s *Subnet) Route(destination string, target Target) *Subnet {
	s.tb().Helper()
	s.mustExist()
	if s.table == nil {
		s.Associate(s.vpc.RouteTable(s.name))
	}
	s.table.Route(destination, target)
	return s
}

// UseACL gives the subnet another network ACL, in place of the one that it has. An ACL
// of another VPC fails the test.
func (s *Subnet) UseACL(a *NetworkACL) *Subnet {
	s.tb().Helper()
	s.mustExist()
	if !slices.Contains(s.vpc.acls, a) {
		s.tb().Fatalf("%v", refuse(codeParameterValue, "%v is no ACL of vpc %s", a, s.vpc.name))
	}
	s.vpc.world.Do(func(time.Duration) { s.acl = a })
	return s
}

// RouteTable returns the table that applies to the subnet: its own, else the VPC's
// main table.
func (s *Subnet) RouteTable() *RouteTable {
	var t *RouteTable
	s.vpc.world.Do(func(time.Duration) { t = s.routes() })
	return t
}

// NetworkACL returns the subnet's ACL.
func (s *Subnet) NetworkACL() *NetworkACL {
	var a *NetworkACL
	s.vpc.world.Do(func(time.Duration) { a = s.acl })
	return a
}

func (s *Subnet) routes() *RouteTable {
	if s.table != nil {
		return s.table
	}
	return s.vpc.main
}
