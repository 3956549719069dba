package fabricfake

import (
	"slices"
	"time"
)

// PlacementStrategy says how the instances of a placement group are placed.
type PlacementStrategy uint8

// The strategies.
const (
	PlacementCluster   PlacementStrategy = iota // close together, in one zone
	PlacementSpread                             // each in a rack of its own
	PlacementPartition                          // in partitions that share no rack
)

// String returns the strategy as the API names it.
func (s PlacementStrategy) String() string {
	switch s {
	case PlacementSpread:
		return "spread"
	case PlacementPartition:
		return "partition"
	}
	return "cluster"
}

// Numbers of placement groups. Sources:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/limitations-placement-groups.html and, for
// how many partitions there are by default, which AWS does not say, the documentation of
// https://github.com/hashicorp/terraform-provider-aws
const (
	// MaxSpread is how many instances of a spread group run in one zone.
	MaxSpread = 7

	// DefaultPartitions and MaxPartitions are how many partitions a group has in each zone.
	DefaultPartitions = 2
	MaxPartitions     = 7

	maxPlacementGroups = 500 // in a region
)

// PlacementGroupConfig shapes a placement group. Its zero value is a cluster group.
type PlacementGroupConfig struct {
	// Strategy is to cluster in the zero value.
	Strategy PlacementStrategy

	// Partitions is how many there are in each zone, of a group that has partitions. If 0,
	// DefaultPartitions.
	Partitions int

	// Racks are all the hardware that there is for the group: an instance that finds none
	// of them fit is refused. Those of a zone are dealt out to partitions in turn. If there
	// is none, racks are made as they are needed.
	Racks []*Rack
}

// PlacementGroup places its instances in racks by a strategy. The real service says of a
// cluster only that its instances are packed close together; here they share a rack, and
// the latency between them is that of their zone.
type PlacementGroup struct {
	region  *Region
	name    string
	cfg     PlacementGroupConfig
	racks   map[slot][]*Rack
	members []*Instance // that are not terminated
	deleted bool
}

// slot is what racks of a group are for: a zone, and in it a partition from 1 on.
type slot struct {
	zone      string
	partition int // 0 if the group has none
}

// Placement says with whom an instance shares hardware. Its zero value is with anybody.
type Placement struct {
	// Group is the instance's placement group. If nil, it has none.
	Group *PlacementGroup

	// Partition is that of the group in which it is, from 1 on. If 0, one with the fewest
	// of the group's instances in the zone.
	Partition int
}

// PlacementGroup makes a placement group. A name that is taken fails the test with
// InvalidPlacementGroup.Duplicate, a group beyond the quota with
// PlacementGroupLimitExceeded, partitions of a group that has none with
// InvalidParameterCombination.
func (r *Region) PlacementGroup(name string, cfg PlacementGroupConfig) *PlacementGroup {
	tb := r.tb()
	tb.Helper()
	if err := r.checkPlacementGroup(name, &cfg); err != nil {
		tb.Fatalf("%v (placement group %s)", err, name)
	}
	cfg.Racks = slices.Clone(cfg.Racks)
	g := &PlacementGroup{region: r, name: name, cfg: cfg, racks: map[slot][]*Rack{}}
	dealt := map[string]int{}
	for _, k := range cfg.Racks {
		to := slot{zone: k.zone.name}
		if cfg.Strategy == PlacementPartition {
			to.partition = 1 + dealt[to.zone]%cfg.Partitions
		}
		dealt[to.zone]++
		g.racks[to] = append(g.racks[to], k)
	}
	r.placements = append(r.placements, g)
	return g
}

func (r *Region) checkPlacementGroup(name string, cfg *PlacementGroupConfig) error {
	if err := checkName("placement group", name); err != nil {
		return err
	}
	switch {
	case len(name) > 255:
		return refuse(codeParameterValue, "a name has 255 characters at most, and this has %d", len(name))
	case slices.ContainsFunc(r.placements, func(g *PlacementGroup) bool { return g.name == name }):
		return refuse("InvalidPlacementGroup.Duplicate", "region %s has a placement group %s already", r.name, name)
	case len(r.placements) >= maxPlacementGroups:
		return refuse("PlacementGroupLimitExceeded", "region %s has %d placement groups, and may have no more", r.name, len(r.placements))
	case cfg.Strategy > PlacementPartition:
		return refuse(codeParameterValue, "PlacementGroupConfig.Strategy is %d", cfg.Strategy)
	case cfg.Strategy != PlacementPartition && cfg.Partitions != 0:
		return refuse(codeParameterMix, "a %v group has no partitions", cfg.Strategy)
	case cfg.Partitions < 0 || cfg.Partitions > MaxPartitions:
		return refuse(codeParameterValue, "PlacementGroupConfig.Partitions is %d: it is from 1 to %d", cfg.Partitions, MaxPartitions)
	}
	for i, k := range cfg.Racks {
		if k == nil || k.region != r || slices.Contains(cfg.Racks[:i], k) {
			return refuse(codeParameterValue, "PlacementGroupConfig.Racks: number %d is no rack of region %s, or there twice", i, r.name)
		}
	}
	if cfg.Strategy == PlacementPartition && cfg.Partitions == 0 {
		cfg.Partitions = DefaultPartitions
	}
	return nil
}

// String returns the group's name.
func (g *PlacementGroup) String() string { return g.name }

// Name returns the group's name.
func (g *PlacementGroup) Name() string { return g.name }

// Strategy returns the group's strategy.
func (g *PlacementGroup) Strategy() PlacementStrategy { return g.cfg.Strategy }

// Partitions returns how many partitions the group has in each zone, 0 for one that has none.
func (g *PlacementGroup) Partitions() int { return g.cfg.Partitions }

// Instances returns the group's instances that are not terminated, in the order in which
// they came to it.
func (g *PlacementGroup) Instances() (all []*Instance) {
	g.region.world.Do(func(time.Duration) { all = slices.Clone(g.members) })
	return all
}

// Delete deletes the group. While it has instances, stopped ones too, that fails the test
// with InvalidPlacementGroup.InUse. Deleting it twice is harmless.
func (g *PlacementGroup) Delete() {
	g.tb().Helper()
	if n := len(g.Instances()); n > 0 {
		g.tb().Fatalf("%v", refuse(codePlacementInUse, "the placement group %s has %d instances that are not terminated", g.name, n))
	}
	g.deleted = true
	g.region.placements = slices.DeleteFunc(g.region.placements, func(o *PlacementGroup) bool { return o == g })
}

// Placement returns where the instance is placed: of a group with partitions, also in which
// one.
func (i *Instance) Placement() (p Placement) {
	i.World().Do(func(time.Duration) { p = i.cfg.Placement })
	return p
}

// SetPlacement moves an instance that is stopped to another placement group, or partition,
// or with the zero Placement out of its group, as ModifyInstancePlacement does. One that is
// not stopped fails the test with IncorrectInstanceState. Whether there is room is seen when
// it is started.
func (i *Instance) SetPlacement(p Placement) {
	tb := i.tb()
	tb.Helper()
	var err error
	i.World().Do(func(time.Duration) {
		if i.state != Stopped {
			err = refuse(codeInstanceState, "%s is %v, and can be placed anew when it is stopped", i.Name(), i.state)
			return
		}
		if err = p.check(i.iface.subnet); err == nil {
			i.unplaceGroup()
			i.cfg.Placement = p
			i.joinGroup()
		}
	})
	if err != nil {
		tb.Fatalf("%v", err)
	}
}

// joinGroup and unplaceGroup make the instance a member of its group, and no longer.
func (i *Instance) joinGroup() {
	if g := i.cfg.Placement.Group; g != nil {
		g.members = append(g.members, i)
	}
}

func (i *Instance) unplaceGroup() {
	if g := i.cfg.Placement.Group; g != nil {
		g.members = slices.DeleteFunc(g.members, func(o *Instance) bool { return o == i })
	}
}
