package fabricfake

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// The codes of placement groups. Source of the third, which the list of codes has for groups
// that cannot be deleted alone: https://github.com/hashicorp/terraform/issues/16183
const (
	codeNoCapacity       = "InsufficientInstanceCapacity"
	codePlacementUnknown = "InvalidPlacementGroup.Unknown"
	codePlacementInUse   = "InvalidPlacementGroup.InUse"
)

// admit refuses a placement that an instance of a subnet cannot have, or for which there is no
// room.
func (p Placement) admit(s *Subnet, on *PhysicalHost) error {
	err := p.check(s)
	if err == nil && p.Group != nil {
		_, err = p.find(s.zone, on)
	}
	return err
}

// check refuses a placement that an instance of a subnet cannot have.
func (p Placement) check(s *Subnet) error {
	g := p.Group
	switch {
	case g == nil && p.Partition != 0:
		return refuse(codeParameterMix, "Placement.Partition is %d, and there is no group", p.Partition)
	case g == nil:
		return nil
	case g.deleted || g.region != s.vpc.region:
		return refuse(codePlacementUnknown, "region %s has no placement group %s", s.vpc.region.name, g.name)
	case g.cfg.Strategy != PlacementPartition && p.Partition != 0:
		return refuse(codeParameterMix, "Placement.Partition is %d, and the %v group %s has no partitions", p.Partition, g.cfg.Strategy, g.name)
	case p.Partition < 0 || p.Partition > g.cfg.Partitions:
		return refuse(codeParameterValue, "Placement.Partition is %d: %s has partitions from 1 to %d", p.Partition, g.name, g.cfg.Partitions)
	}
	for _, m := range g.members {
		if zone := m.iface.subnet.zone; g.cfg.Strategy == PlacementCluster && zone != s.zone {
			return refuse(codePlacementInUse, "the placement group %s is in use in another zone: %s", g.name, zone)
		}
	}
	return nil
}

// spot is where an instance may go: to a host of a rack, or of one that is to be made.
type spot struct {
	rack *Rack // nil for a new one
	slot slot
}

// find returns where an instance that is in none of the group's racks now may go; on is the
// host that it insists on, or nil. It is called inside the scheduler.
func (p Placement) find(zone string, on *PhysicalHost) (spot, error) {
	g := p.Group
	if g.cfg.Strategy == PlacementSpread && g.count(slot{zone: zone}, nil) >= MaxSpread {
		return spot{}, refuse(codeNoCapacity, "the spread group %s has %d instances in zone %s, as many as may run there", g.name, MaxSpread, zone)
	}
	for _, to := range p.slots(zone) {
		if on != nil {
			if !g.shares(to, on.rack, on) {
				return spot{slot: to}, nil
			}
			continue
		}
		if k := g.best(to); k != nil || len(g.cfg.Racks) == 0 {
			return spot{k, to}, nil
		}
	}
	if on != nil {
		return spot{}, refuse(codeNoCapacity, "%s stands in a rack with instances of the %v group %s that it must not share", on.name, g.cfg.Strategy, g.name)
	}
	return spot{}, refuse(codeNoCapacity, "none of the racks for the %v group %s in zone %s is fit: they have its instances, or are down", g.cfg.Strategy, g.name, zone)
}

// slots returns the slots that the instance may be in, the emptiest first.
func (p Placement) slots(zone string) (all []slot) {
	g := p.Group
	if p.Partition > 0 || g.cfg.Strategy != PlacementPartition {
		return []slot{{zone, p.Partition}}
	}
	taken := make([]int, g.cfg.Partitions+1)
	for _, m := range g.members {
		if m.iface.subnet.zone == zone {
			taken[m.cfg.Placement.Partition]++
		}
	}
	for n := range g.cfg.Partitions {
		all = append(all, slot{zone, n + 1})
	}
	slices.SortStableFunc(all, func(a, b slot) int { return cmp.Compare(taken[a.partition], taken[b.partition]) })
	return all
}

// count returns how many of the group's instances are on hosts of a slot, or of one rack in it.
func (g *PlacementGroup) count(in slot, k *Rack) (n int) {
	for _, m := range g.members {
		if m.on != nil && m.slot() == in && (k == nil || m.on.rack == k) {
			n++
		}
	}
	return n
}

// slot returns where the instance is in its group.
func (i *Instance) slot() slot { return slot{i.iface.subnet.zone, i.cfg.Placement.Partition} }

// shares reports whether one in a slot would share a rack, or a host without one, with an
// instance of the group that it must not share it with.
func (g *PlacementGroup) shares(in slot, k *Rack, on *PhysicalHost) bool {
	return slices.ContainsFunc(g.members, func(m *Instance) bool {
		apart := g.cfg.Strategy == PlacementSpread || g.cfg.Strategy == PlacementPartition && m.slot() != in
		return apart && m.on != nil && (m.on == on || k != nil && m.on.rack == k)
	})
}

// best returns the rack of a slot that the next instance goes to: in a cluster where most of
// the others are, else where the fewest are; nil if none is fit.
func (g *PlacementGroup) best(in slot) (best *Rack) {
	most := 0
	for _, k := range g.racks[in] {
		n := g.count(in, k)
		if g.cfg.Strategy != PlacementCluster {
			n = -n
		}
		fit := len(k.outages) == 0 && !g.shares(in, k, nil)
		if fit && (best == nil || n > most) {
			best, most = k, n
		}
	}
	return best
}

// home returns the host on which the instance is launched or started next: the one that it
// insists on, or a new one, in a rack as its placement group says.
func (i *Instance) home() (*PhysicalHost, error) {
	w, s, on, name := i.World(), i.iface.subnet, i.cfg.On, "host of "+i.Name()
	w.TB().Helper()
	g := i.cfg.Placement.Group
	if g == nil && on != nil {
		return on, nil
	}
	if g == nil {
		return s.vpc.region.newHost(name, s.zone, nil), nil
	}
	var to spot
	var err error
	w.Do(func(time.Duration) {
		if to, err = i.cfg.Placement.find(s.zone, on); err == nil {
			i.cfg.Placement.Partition = to.slot.partition
		}
	})
	if err != nil || on != nil {
		return on, err
	}
	if to.rack == nil {
		to.rack = g.makeRack(to.slot)
	}
	return to.rack.region.newHost(name, s.zone, to.rack), nil
}

// makeRack makes a rack for a slot of the group.
func (g *PlacementGroup) makeRack(in slot) *Rack {
	g.tb().Helper()
	of := g.name
	if in.partition > 0 {
		of = fmt.Sprintf("partition %d of %s", in.partition, g.name)
	}
	name := func(n int) string { return fmt.Sprintf("rack %d of %s in %s", n, of, in.zone) }
	n := 1
	for g.region.hasRack(name(n)) {
		n++
	}
	k := g.region.Rack(name(n), in.zone)
	g.region.world.Do(func(time.Duration) { g.racks[in] = append(g.racks[in], k) })
	return k
}
