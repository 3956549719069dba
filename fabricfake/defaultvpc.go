package fabricfake

import "net/netip"

// The default VPC. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html
const (
	defaultVPCName    = "default"
	defaultVPCBlock   = "172.31.0.0/16"
	defaultSubnetBits = 20
)

// NewDefaultVPC makes the region's default VPC, "default", without its internet gateway:
// 172.31.0.0/16 with a subnet of /20 in each zone, "default-a" and so on, public addresses
// for instances, and public host names. gatewayfake.NewDefaultVPC makes the whole of it. A region has one: a second fails
// the test with DefaultVpcAlreadyExists. A nil region panics.
func NewDefaultVPC(r *Region) *VPC {
	if r == nil {
		panic("fabricfake: NewDefaultVPC of no region")
	}
	tb := r.tb()
	tb.Helper()
	for _, v := range r.vpcs {
		if v.isDefault {
			tb.Fatalf("%v", refuse("DefaultVpcAlreadyExists", "region %s has a default VPC", r.name))
		}
	}
	v := r.VPC(defaultVPCName, defaultVPCBlock).EnableDNSHostnames()
	v.isDefault = true
	for n, zone := range r.zones {
		block := netip.PrefixFrom(nthAddress(v.CIDR(), uint32(n)<<(32-defaultSubnetBits)), defaultSubnetBits)
		v.Subnet(defaultVPCName+"-"+zone, block.String(), zone).AutoAssignPublicIP(AutoAssignOn)
	}
	return v
}

// DefaultSubnet returns the default VPC's subnet in a zone. A zone without one, and any
// other VPC, fail the test with InvalidSubnetID.NotFound.
func (v *VPC) DefaultSubnet(zone string) *Subnet {
	v.tb().Helper()
	v.mustExist()
	for _, s := range v.subnets {
		if v.isDefault && s.zone == zone && s.name == defaultVPCName+"-"+zone {
			return s
		}
	}
	v.tb().Fatalf("%v", refuse(codeSubnetNotFound, "vpc %s has no default subnet in zone %s", v.name, zone))
	return nil
}

// IsDefault reports whether the VPC is its region's default one.
func (v *VPC) IsDefault() bool { return v.isDefault }
