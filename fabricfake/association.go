package fabricfake

import (
	"slices"
	"time"
)

// A subnet has exactly one route table: the one that it is associated with, else the VPC's
// main table. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html

// SetMainRouteTable makes another table of the VPC the main one: at once it is the table of
// the subnets that are associated with none. The table that was main can be deleted then. A
// table of another VPC fails the test, as does that of a gateway.
func (v *VPC) SetMainRouteTable(t *RouteTable) *VPC {
	tb := v.tb()
	tb.Helper()
	v.mustExist()
	var err error
	v.world.Do(func(time.Duration) {
		if err = t.checkSubnetTable(v); err == nil {
			v.main.main = false
			v.main, t.main = t, true
		}
	})
	if err != nil {
		tb.Fatalf("%v (vpc %s)", err, v.name)
	}
	return v
}

// Associate gives the subnet another route table, in place of the one that it has: it does
// what AssociateRouteTable does, and for a subnet that has a table of its own, where that
// is refused with Resource.AlreadyAssociated, what ReplaceRouteTableAssociation does. A
// table of another VPC fails the test, as does that of a gateway.
func (s *Subnet) Associate(t *RouteTable) *Subnet {
	tb := s.tb()
	tb.Helper()
	s.mustExist()
	var err error
	s.vpc.world.Do(func(time.Duration) {
		if err = t.checkSubnetTable(s.vpc); err == nil {
			s.table = t
		}
	})
	if err != nil {
		tb.Fatalf("%v (subnet %s)", err, s.name)
	}
	return s
}

// Disassociate gives the subnet the VPC's main table, which it had before it was associated
// with another.
func (s *Subnet) Disassociate() *Subnet {
	s.tb().Helper()
	s.mustExist()
	s.vpc.world.Do(func(time.Duration) { s.table = nil })
	return s
}

// checkSubnetTable refuses a table that no subnet of a VPC may have.
func (t *RouteTable) checkSubnetTable(v *VPC) error {
	switch {
	case !slices.Contains(v.tables, t):
		return refuse(codeParameterValue, "%v is no route table of vpc %s", t, v.name)
	case len(t.edges) > 0:
		return refuse(codeParameterValue, "%v is the table of the gateway %v, and cannot be a subnet's too", t, t.edges[0])
	}
	return nil
}

// Delete deletes the table. It fails the test for the main table, and while a subnet or a
// gateway is associated with it (DependencyViolation).
func (t *RouteTable) Delete() {
	tb := t.tb()
	tb.Helper()
	var err error
	t.world.Do(func(time.Duration) {
		if err = t.checkDelete(); err == nil {
			t.remove()
		}
	})
	if err != nil {
		tb.Fatalf("%v (%v)", err, t)
	}
}

func (t *RouteTable) checkDelete() error {
	if err := t.checkAlive(); err != nil {
		return err
	}
	if t.main {
		return refuse(codeDependency, "it is the main table of vpc %s", t.vpc.name)
	}
	if len(t.edges) > 0 {
		return refuse(codeDependency, "the gateway %v is associated with it", t.edges[0])
	}
	for _, s := range t.vpc.subnets {
		if s.table == t {
			return refuse(codeDependency, "the subnet %v is associated with it", s)
		}
	}
	return nil
}

// remove takes the table out of the VPC.
func (t *RouteTable) remove() {
	t.deleted = true
	t.vpc.tables = slices.DeleteFunc(t.vpc.tables, func(o *RouteTable) bool { return o == t })
	for _, lr := range t.lists {
		lr.list.tables = slices.DeleteFunc(lr.list.tables, func(o *RouteTable) bool { return o == t })
	}
	for _, p := range t.learns {
		p.tables = slices.DeleteFunc(p.tables, func(o *RouteTable) bool { return o == t })
	}
}

// checkAlive refuses what is done with a table that was deleted.
func (t *RouteTable) checkAlive() error {
	if t.deleted {
		return refuse("InvalidRouteTableID.NotFound", "%v was deleted", t)
	}
	return nil
}
