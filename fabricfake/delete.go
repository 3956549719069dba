package fabricfake

import (
	"net/netip"
	"slices"
	"time"
)

// Delete deletes the subnet: its blocks and its name are free, its route table and its ACL have
// one subnet less. It fails the test while an interface is in it (DependencyViolation): of an
// instance that is not terminated, even if it is stopped, of a gateway or another service, or
// of nobody. What is done with it afterwards fails the test with InvalidSubnetID.NotFound, as
// deleting it again does. Like what makes subnets it is for the test's own goroutine.
func (s *Subnet) Delete() {
	tb := s.tb()
	tb.Helper()
	var err error
	s.vpc.world.Do(func(time.Duration) {
		if err = s.checkDelete(); err == nil {
			s.remove()
		}
	})
	if err != nil {
		tb.Fatalf("%v (subnet %s of vpc %s)", err, s.name, s.vpc.name)
	}
}

func (s *Subnet) checkDelete() error {
	if err := s.checkAlive(); err != nil {
		return err
	}
	for _, f := range s.vpc.interfaces() {
		if f.subnet == s {
			return refuse(codeDependency, "the interface of %v is in it", f)
		}
	}
	return nil
}

func (s *Subnet) remove() {
	v := s.vpc
	s.deleted = true
	v.subnets = slices.DeleteFunc(v.subnets, func(o *Subnet) bool { return o == s })
	v.blocks = slices.DeleteFunc(v.blocks, func(b netip.Prefix) bool { return b == s.block || b == s.block6 })
}

// checkAlive refuses what is done with a subnet that was deleted.
func (s *Subnet) checkAlive() error {
	if s.deleted {
		return refuse(codeSubnetNotFound, "the subnet %s of vpc %s was deleted", s.name, s.vpc.name)
	}
	return nil
}

// mustExist fails the test for a subnet that was deleted.
func (s *Subnet) mustExist() {
	tb := s.tb()
	tb.Helper()
	var err error
	s.vpc.world.Do(func(time.Duration) { err = s.checkAlive() })
	if err != nil {
		tb.Fatalf("%v", err)
	}
}

// Delete deletes the VPC, with its default security group, its default ACL and its main route
// table: its name and its IPv6 blocks are free, and a frame of its number is believed nowhere.
// It fails the test while it has anything else (DependencyViolation): a subnet, an internet
// gateway, another group, table or ACL, a peering that is active or that another VPC has asked it
// for. Like the API, and other than the console, it deletes none of these. What it has asked
// others for, and they have yet to accept, goes with it. Edges that a test has made by
// itself (NewEdge) do not keep it. What is done with it afterwards fails the
// test with InvalidVpcID.NotFound, as deleting it again does. Like what makes VPCs it is for the
// test's own goroutine. Sources:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpc.html and, for peerings,
// https://repost.aws/knowledge-center/troubleshoot-dependency-error-delete-vpc and
// https://docs.aws.amazon.com/vpc/latest/peering/delete-vpc-peering-connection.html, which
// tells of requests between accounts alone: here they are all alike
func (v *VPC) Delete() {
	tb := v.tb()
	tb.Helper()
	var err error
	v.world.Do(func(now time.Duration) {
		if err = v.checkDelete(now); err == nil {
			v.remove(now)
		}
	})
	if err != nil {
		tb.Fatalf("%v (vpc %s)", err, v.name)
	}
}

func (v *VPC) checkDelete(now time.Duration) error {
	if err := v.checkAlive(); err != nil {
		return err
	}
	if what := v.keptBy(now); what != "" {
		return refuse(codeDependency, "it still has %s", what)
	}
	return nil
}

// keptBy names something for which the VPC cannot be deleted, "" if there is nothing.
func (v *VPC) keptBy(now time.Duration) string {
	tables := v.tables
	kept := slices.IndexFunc(v.peerings, func(p *Peering) bool {
		s := p.State(now)
		return s == PeeringOpen || s == PeeringOffered && p.accepter == v
	})
	custom := slices.IndexFunc(tables, func(t *RouteTable) bool { return t != v.main })
	switch {
	case len(v.subnets) > 0:
		return "the subnet " + v.subnets[0].name
	case v.gateway != "":
		return "the internet gateway " + v.gateway
	case len(v.groups) > 1:
		return v.groups[1].String()
	case len(v.acls) > 1:
		return v.acls[1].String()
	case custom >= 0:
		return tables[custom].String()
	case kept >= 0:
		return "a peering with vpc " + v.peerings[kept].other(v).name
	}
	return ""
}

func (v *VPC) remove(now time.Duration) {
	for _, p := range v.Peerings(now) {
		p.withdrawn = true
		p.End(now)
	}
	v.deleted, v.acl.deleted, v.groups[0].deleted = true, true, true
	v.main.remove()
	for _, block := range v.allBlocks() {
		v.resolver.forget(block)
	}
	v.region.vpcs = slices.DeleteFunc(v.region.vpcs, func(o *VPC) bool { return o == v })
}

// checkAlive refuses what is done with a VPC that was deleted.
func (v *VPC) checkAlive() error {
	if v.deleted {
		return refuse(codeVPCNotFound, "vpc %s was deleted", v.name)
	}
	return nil
}

// Deleted reports whether the VPC was deleted.
func (v *VPC) Deleted() (deleted bool) {
	v.world.Do(func(time.Duration) { deleted = v.deleted })
	return deleted
}

// mustExist fails the test for a VPC that was deleted.
func (v *VPC) mustExist() {
	tb := v.tb()
	tb.Helper()
	var err error
	v.world.Do(func(time.Duration) { err = v.checkAlive() })
	if err != nil {
		tb.Fatalf("%v", err)
	}
}
