package gatewayfake

import "github.com/netspec-go/netspec/fabricfake"

// NewDefaultVPC makes a region's default VPC: what fabricfake.NewDefaultVPC makes, and an
// internet gateway, "default", to which the main route table leads. No
// region panics. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html
func NewDefaultVPC(r *fabricfake.Region) (*fabricfake.VPC, *InternetGateway) {
	if r == nil {
		panic("gatewayfake: NewDefaultVPC of no region")
	}
	r.World().TB().Helper()
	vpc := fabricfake.NewDefaultVPC(r)
	igw := NewInternetGateway(vpc, "default")
	vpc.MainRouteTable().Route("0.0.0.0/0", igw)
	return vpc, igw
}
