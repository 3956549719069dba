package fabricfake

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// VPC is a network of one's own: an address block, and what is in it. Two VPCs may have
// the same block and share physical hosts without ever meeting.
type VPC struct {
	world  *netfake.World
	region *Region
	name   string
	vni    uint32
	cidrs  []netip.Prefix // IPv4, the primary first
	cidrs6 []netip.Prefix

	main     *RouteTable
	tables   []*RouteTable
	acl      *NetworkACL // the default
	acls     []*NetworkACL
	groups   []*SecurityGroup // the default first
	subnets  []*Subnet
	numbered int            // subnets that there ever were
	blocks   []netip.Prefix // of the subnets
	resolver vpcResolver
	dhcp     DHCPOptions
	dns      dnsAttributes
	peerings []*Peering // also those that were open and are over

	isDefault bool // the region's default VPC
	deleted   bool

	flowLogs flowLogs
	gateway  string // of the internet gateway that is attached, "" for none

	uplink     *netfake.Uplink // of the gateway, nil for none
	publics    map[netip.Addr]*Interface
	announced  []netip.Addr // at uplink
	announced6 []netip.Prefix
}

// NewVPC makes a VPC in the world's default region, ap-southeast-2 in Sydney unless another
// was made first: see DefaultRegion. A malformed or forbidden block
// fails the test, as does a name that the region has already, and a sixth VPC unless
// Region.SetQuotas has raised the quota (VpcLimitExceeded).
func NewVPC(w *netfake.World, name, cidr string) *VPC {
	in(w, "NewVPC").Helper()
	return DefaultRegion(w).VPC(name, cidr)
}

// VPC makes a VPC in the region: see NewVPC.
func (r *Region) VPC(name, cidr string) *VPC {
	tb := r.tb()
	tb.Helper()
	block, err := parseVPCBlock(cidr)
	if err == nil {
		err = checkName("VPC", name)
	}
	if n, most := len(r.vpcs), r.Quotas().VPCs; err == nil && n >= most {
		err = refuse("VpcLimitExceeded", "the region has %d VPCs, and may have no more: Region.SetQuotas raises that", n)
	}
	if err != nil {
		tb.Fatalf("%v (vpc %s)", err, name)
	}
	for _, other := range r.vpcs {
		if other.name == name {
			tb.Fatalf("fabricfake: region %s has a VPC %s already", r.name, name)
		}
	}
	rs := netfake.Shared(r.world, newRegions)
	rs.vpcs++
	v := &VPC{world: r.world, region: r, name: name, vni: rs.vpcs, cidrs: []netip.Prefix{block}}
	v.main = v.RouteTable("main of " + name)
	v.main.main = true
	v.acl = newDefaultACL(r.world)
	v.acl.vpc = v
	v.acls = []*NetworkACL{v.acl}
	v.groups = []*SecurityGroup{newDefaultGroup(r.world, name)}
	v.groups[0].vpc = v
	r.vpcs = append(r.vpcs, v)
	return v
}

// String returns the VPC's name.
func (v *VPC) String() string { return v.name }

// Name returns the VPC's name.
func (v *VPC) Name() string { return v.name }

// ID returns the VPC's identifier, as the real ones look: "vpc-0…".
func (v *VPC) ID() string { return fmt.Sprintf("vpc-%017x", v.vni) }

// VNI returns the VPC's number, under which its packets travel on the substrate.
func (v *VPC) VNI() uint32 { return v.vni }

// Region returns the VPC's region.
func (v *VPC) Region() *Region { return v.region }

// Place returns where the VPC's region is.
func (v *VPC) Place() netfake.Place { return v.region.place }

// World returns the world that the VPC is in.
func (v *VPC) World() *netfake.World { return made(v, "*VPC").world }

// CIDR returns the VPC's primary block.
func (v *VPC) CIDR() netip.Prefix { return v.cidrs[0] }

// Contains reports whether an address lies in one of the VPC's blocks. It may be
// called inside the scheduler.
func (v *VPC) Contains(addr netip.Addr) bool {
	cidrs := v.cidrs
	if !addr.Is4() {
		cidrs = v.cidrs6
	}
	for _, c := range cidrs {
		if c.Contains(addr) {
			return true
		}
	}
	return false
}

// SecurityGroup makes a group: nothing may come in, everything may leave, over IPv6 too
// if the VPC has a block of it by then. A name that
// the VPC has already fails the test with InvalidGroup.Duplicate.
func (v *VPC) SecurityGroup(name string) *SecurityGroup {
	v.tb().Helper()
	v.mustExist()
	err := checkGroupName(name, v.groups)
	if err == nil {
		err = v.region.checkGroupCount()
	}
	if err != nil {
		v.tb().Fatalf("%v (vpc %s)", err, v.name)
	}
	g := newSecurityGroup(v.world, v.name, name)
	g.vpc = v
	if len(v.cidrs6) > 0 {
		g.egress.rules = append(g.egress.rules, anywhereIPv6Rule())
		g.egress.refresh()
	}
	v.groups = append(v.groups, g)
	return g
}

// DefaultSecurityGroup returns the group of interfaces that name none.
func (v *VPC) DefaultSecurityGroup() *SecurityGroup { return v.groups[0] }

// NetworkACL makes an ACL, which refuses everything until it is told otherwise. A name
// that the VPC has already fails the test.
func (v *VPC) NetworkACL(name string) *NetworkACL {
	v.tb().Helper()
	v.mustExist()
	err := checkName("network ACL", name)
	if err == nil {
		err = checkCount("NetworkAclLimitExceeded", "network ACLs", len(v.acls), v.quotas().ACLsPerVPC)
	}
	if err != nil {
		v.tb().Fatalf("%v (vpc %s)", err, v.name)
	}
	for _, other := range v.acls {
		if other.name == name {
			v.tb().Fatalf("fabricfake: vpc %s has an ACL %s already", v.name, name)
		}
	}
	a := newNetworkACL(v.world, name)
	a.vpc = v
	if len(v.cidrs6) > 0 {
		a.addIPv6(false)
	}
	v.acls = append(v.acls, a)
	return a
}

// DefaultNetworkACL returns the ACL of subnets that are told no other: it allows
// everything.
func (v *VPC) DefaultNetworkACL() *NetworkACL { return v.acl }

// RouteTable makes a route table with the local routes. A name that the VPC has
// already fails the test.
func (v *VPC) RouteTable(name string) *RouteTable {
	v.tb().Helper()
	v.mustExist()
	err := checkName("route table", name)
	if err == nil {
		err = checkCount("RouteTableLimitExceeded", "route tables", len(v.tables), v.quotas().TablesPerVPC)
	}
	if err != nil {
		v.tb().Fatalf("%v (vpc %s)", err, v.name)
	}
	for _, other := range v.tables {
		if other.name == name {
			v.tb().Fatalf("fabricfake: vpc %s has a route table %s already", v.name, name)
		}
	}
	t := newRouteTable(v.world, name, v.allBlocks(), func() []netip.Prefix { return v.blocks })
	t.vpc = v
	v.tables = append(v.tables, t)
	return t
}

// MainRouteTable returns the table of subnets that are associated with no other.
func (v *VPC) MainRouteTable() (t *RouteTable) {
	v.world.Do(func(time.Duration) { t = v.main })
	return t
}

// AttachGateway notes that an internet gateway is attached. A second one fails the
// test with Resource.AlreadyAssociated. It is for the room of the gateways.
func (v *VPC) AttachGateway(name string) {
	v.tb().Helper()
	v.mustExist()
	if v.gateway != "" {
		v.tb().Fatalf("%v", refuse(codeAlreadyAssociated,
			"vpc %s has the internet gateway %s attached already", v.name, v.gateway))
	}
	v.gateway = name
}

// DetachGateway takes back AttachGateway of that name. It does nothing if another
// gateway, or none, is attached.
func (v *VPC) DetachGateway(name string) {
	v.tb().Helper()
	if v.gateway == name {
		v.gateway = ""
	}
}

// Gateway returns the name of the internet gateway that is attached, "" if none is.
func (v *VPC) Gateway() string { return v.gateway }
