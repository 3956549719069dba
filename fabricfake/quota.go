package fabricfake

import "time"

// Quotas are how much the account may have in a region. A field that is 0 is the real
// service's default. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
type Quotas struct {
	// VPCs is how many VPCs the region has, the default VPC included. If 0, 5.
	VPCs int

	// RulesPerGroup is how many rules a security group has in each direction and for
	// each address family. If 0, 60.
	RulesPerGroup int

	// GroupsPerInterface is how many groups an interface has, at most 16. If 0, 5.
	// With RulesPerGroup it multiplies to at most 1000.
	GroupsPerInterface int

	// EntriesPerACL is how many entries a network ACL has in each direction and for
	// each address family beside "*", at most 40. If 0, 20.
	EntriesPerACL int

	// RoutesPerTable is how many routes a table has that are neither local nor
	// propagated, at most 1000. If 0, 500.
	RoutesPerTable int

	// SecurityGroups is how many groups the region has. If 0, 2500.
	SecurityGroups int

	// ACLsPerVPC, TablesPerVPC and SubnetsPerVPC are how many of each a VPC has, the
	// default ACL and the main table included. If 0, 200.
	ACLsPerVPC, TablesPerVPC, SubnetsPerVPC int

	// PeeringsPerVPC is how many peerings of a VPC are active, at most 125. If 0, 50.
	PeeringsPerVPC int

	// PeeringRequests is how many requests of the account's VPCs wait to be accepted. If 0,
	// 25.
	PeeringRequests int

	// NATGatewaysPerZone is how many NAT gateways the account has in a zone, those of all
	// its VPCs together. If 0, 5.
	NATGatewaysPerZone int
}

// maxVPCs is how many VPCs a region has: see Quotas.
const maxVPCs = 5

// maxNATGateways is how many NAT gateways a zone has: see Quotas.
const maxNATGateways = 5

// The most that quotas can be raised to.
const (
	mostGroupsPerInterface = 16
	mostRulesPerInterface  = 1000 // RulesPerGroup times GroupsPerInterface
	mostEntriesPerACL      = 40
	mostRoutesPerTable     = 1000
	mostPeeringsPerVPC     = 125
)

// SetQuotas sets the quotas of the region, as a request for an increase does. What is
// there beyond a quota stays. It fails the test for a quota that is negative or larger
// than the real service grants.
func (r *Region) SetQuotas(q Quotas) {
	tb := r.tb()
	tb.Helper()
	if err := q.filled().check(); err != nil {
		tb.Fatalf("%v (region %s)", err, r.name)
	}
	r.world.Do(func(time.Duration) { r.quotas = q })
}

// Quotas returns the quotas in force, with the defaults in the place of zeros.
func (r *Region) Quotas() (q Quotas) {
	r.world.Do(func(time.Duration) { q = r.quotas.filled() })
	return q
}

// Granted is Quotas for what runs inside the scheduler.
func (r *Region) Granted() Quotas { return r.quotas.filled() }

// filled returns the quotas with the defaults in the place of zeros.
func (q Quotas) filled() Quotas {
	for _, f := range []struct {
		quota    *int
		standard int
	}{
		{&q.VPCs, maxVPCs},
		{&q.RulesPerGroup, maxGroupRules},
		{&q.GroupsPerInterface, maxInterfaceGroups},
		{&q.EntriesPerACL, maxACLEntries},
		{&q.RoutesPerTable, maxRoutes},
		{&q.SecurityGroups, maxGroups},
		{&q.ACLsPerVPC, maxACLs},
		{&q.TablesPerVPC, maxTables},
		{&q.SubnetsPerVPC, maxSubnets},
		{&q.PeeringsPerVPC, maxPeerings},
		{&q.PeeringRequests, maxPeeringRequests},
		{&q.NATGatewaysPerZone, maxNATGateways},
	} {
		if *f.quota == 0 {
			*f.quota = f.standard
		}
	}
	return q
}

// check tells which of the quotas, without zeros, is not granted.
func (q Quotas) check() error {
	const unlimited = 1 << 30
	for _, f := range []struct {
		name        string
		quota, most int
	}{
		{"VPCs", q.VPCs, unlimited},
		{"RulesPerGroup", q.RulesPerGroup, mostRulesPerInterface},
		{"GroupsPerInterface", q.GroupsPerInterface, mostGroupsPerInterface},
		{"EntriesPerACL", q.EntriesPerACL, mostEntriesPerACL},
		{"RoutesPerTable", q.RoutesPerTable, mostRoutesPerTable},
		{"SecurityGroups", q.SecurityGroups, unlimited},
		{"ACLsPerVPC", q.ACLsPerVPC, unlimited},
		{"TablesPerVPC", q.TablesPerVPC, unlimited},
		{"SubnetsPerVPC", q.SubnetsPerVPC, unlimited},
		{"PeeringsPerVPC", q.PeeringsPerVPC, mostPeeringsPerVPC},
		{"PeeringRequests", q.PeeringRequests, unlimited},
		{"NATGatewaysPerZone", q.NATGatewaysPerZone, unlimited},
	} {
		if f.quota < 1 || f.quota > f.most {
			return refuse(codeParameterValue, "Quotas.%s is %d: it is from 1 to %d", f.name, f.quota, f.most)
		}
	}
	if n := q.RulesPerGroup * q.GroupsPerInterface; n > mostRulesPerInterface {
		return refuse(codeParameterValue, "Quotas: %d rules in each of %d groups are %d for an interface, and %d are granted",
			q.RulesPerGroup, q.GroupsPerInterface, n, mostRulesPerInterface)
	}
	return nil
}

// quotas returns the quotas of the VPC's region, the defaults for no VPC. It may be
// called inside the scheduler only, or by what builds.
func (v *VPC) quotas() Quotas {
	if v == nil {
		return Quotas{}.filled()
	}
	return v.region.quotas.filled()
}

// checkGroupCount refuses one more security group than the region may have.
func (r *Region) checkGroupCount() error {
	n, most := 0, r.quotas.filled().SecurityGroups
	for _, v := range r.vpcs {
		n += len(v.groups)
	}
	if n >= most {
		return refuse("SecurityGroupLimitExceeded", "the region has %d security groups, and may have no more", n)
	}
	return nil
}

// checkCount refuses one more of a kind than a VPC may have.
func checkCount(code, kind string, have, most int) error {
	if have >= most {
		return refuse(code, "the VPC has %d %s, and may have no more", have, kind)
	}
	return nil
}
