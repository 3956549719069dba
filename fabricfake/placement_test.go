package fabricfake_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// placed launches an instance that stops at once.
func placed(s *fabricfake.Subnet, name string, p fabricfake.Placement) *fabricfake.Instance {
	return s.Instance(name, fabricfake.InstanceConfig{Placement: p, ShutdownTime: 1})
}

func rackOf(i *fabricfake.Instance) *fabricfake.Rack { return i.Interface().PhysicalHost().Rack() }

// racksOf tells in which racks the instances of a group are.
func racksOf(g *fabricfake.PlacementGroup) string {
	var all []string
	for _, i := range g.Instances() {
		all = append(all, fmt.Sprintf("%s: %v", i.Name(), rackOf(i)))
	}
	return strings.Join(all, "; ")
}

// What each strategy makes of four instances, with racks that are made for it and with those
// that it is given.
func TestPlacementStrategies(t *testing.T) {
	given := func(r *fabricfake.Region) []*fabricfake.Rack {
		return []*fabricfake.Rack{r.Rack("k1", "a"), r.Rack("k2", "a"), r.Rack("k3", "a"), r.Rack("k4", "a"), r.Rack("k5", "b")}
	}
	none := func(*fabricfake.Region) []*fabricfake.Rack { return nil }
	for _, row := range []struct {
		cfg   fabricfake.PlacementGroupConfig
		racks func(*fabricfake.Region) []*fabricfake.Rack
		want  string
	}{
		// fact: placement.cluster
		{fabricfake.PlacementGroupConfig{}, none,
			"0: rack 1 of g in a; 1: rack 1 of g in a; 2: rack 1 of g in a; 3: rack 1 of g in a"},
		{fabricfake.PlacementGroupConfig{}, given, "0: k1; 1: k1; 2: k1; 3: k1"},
		// fact: placement.spread
		{fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementSpread}, none,
			"0: rack 1 of g in a; 1: rack 2 of g in a; 2: rack 3 of g in a; 3: rack 4 of g in a"},
		{fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementSpread}, given, "0: k1; 1: k2; 2: k3; 3: k4"},
		// fact: placement.partition, placement.partition.even
		{fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementPartition}, none,
			"0: rack 1 of partition 1 of g in a; 1: rack 1 of partition 2 of g in a; 2: rack 1 of partition 1 of g in a; 3: rack 1 of partition 2 of g in a"},
		{fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementPartition}, given, "0: k1; 1: k2; 2: k3; 3: k4"},
		{fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementPartition, Partitions: 3}, given, "0: k1; 1: k2; 2: k3; 3: k4"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
			s := v.Subnet("s", "10.0.1.0/24", "a")
			row.cfg.Racks = row.racks(v.Region())
			g := v.Region().PlacementGroup("g", row.cfg)
			for n := range 4 {
				placed(s, fmt.Sprint(n), fabricfake.Placement{Group: g})
			}
			if got := racksOf(g); got != row.want {
				t.Errorf("%v: %s\nwant %s", g.Strategy(), got, row.want)
			}
		})
	}
}

// A rack that fails takes one instance of a spread group, those of one partition, and all of
// a cluster.
// fact: placement.spread, placement.partition
func TestRackFailureAndPlacement(t *testing.T) {
	for _, row := range []struct {
		strategy fabricfake.PlacementStrategy
		silent   string
	}{
		{fabricfake.PlacementSpread, "0"},
		{fabricfake.PlacementPartition, "0 2"},
		{fabricfake.PlacementCluster, "0 1 2 3"},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
			s := v.Subnet("s", "10.0.1.0/24", "a")
			open := fabricfake.Groups{v.SecurityGroup("open").AllowIngress("all", fabricfake.Anywhere)}
			g := v.Region().PlacementGroup("g", fabricfake.PlacementGroupConfig{Strategy: row.strategy})
			observer := s.Instance("observer", fabricfake.InstanceConfig{})
			for n := range 4 {
				s.Instance(fmt.Sprint(n), fabricfake.InstanceConfig{Placement: fabricfake.Placement{Group: g}, Groups: open})
			}
			silent := func() string {
				var names []string
				for _, i := range g.Instances() {
					if observer.Probe(i.TCP(80)).Outcome == netfake.Silence {
						names = append(names, i.Name())
					}
				}
				return strings.Join(names, " ")
			}
			if got := silent(); got != "" {
				t.Errorf("%v: %s are silent before", row.strategy, got)
			}
			rackOf(g.Instances()[0]).Fail()
			if got := silent(); got != row.silent {
				t.Errorf("%v: %q are silent, want %q", row.strategy, got, row.silent)
			}
		})
	}
}

// An instance of a failed rack is stopped and started elsewhere; in a group that has no other
// rack it is not.
// fact: placement.stop, placement.capacity
func TestPlacementAfterFailure(t *testing.T) {
	for _, row := range []struct {
		racks []string
		want  string // where it starts, or why it does not
	}{
		{nil, "rack 3 of g in a"},
		{[]string{"k1", "k2", "k3"}, "k3"},
		{[]string{"k1", "k2"}, "InsufficientInstanceCapacity: none of the racks for the spread group g in zone a is fit"},
	} {
		got := ""
		failure := fatal(t, func(w *netfake.World) {
			v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
			s := v.Subnet("s", "10.0.1.0/24", "a")
			cfg := fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementSpread}
			for _, name := range row.racks {
				cfg.Racks = append(cfg.Racks, v.Region().Rack(name, "a"))
			}
			g := v.Region().PlacementGroup("g", cfg)
			one := placed(s, "one", fabricfake.Placement{Group: g})
			placed(s, "two", fabricfake.Placement{Group: g})
			rackOf(one).Fail()
			one.Stop()
			one.Await(fabricfake.Stopped)
			if len(g.Instances()) != 2 {
				t.Errorf("%v are in the group", g.Instances())
			}
			one.Start()
			got = rackOf(one).Name()
		})
		if failure == "" && got != row.want || failure != "" && !strings.Contains(failure, row.want) {
			t.Errorf("racks %v: started in %q, failure %q, want %q", row.racks, got, failure, row.want)
		}
	}
}

func TestPlacementRefusals(t *testing.T) {
	type x struct {
		w    *netfake.World
		r    *fabricfake.Region
		a, b *fabricfake.Subnet
	}
	spread := fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementSpread}
	in := func(g *fabricfake.PlacementGroup) fabricfake.Placement { return fabricfake.Placement{Group: g} }
	many := func(s *fabricfake.Subnet, g *fabricfake.PlacementGroup, n int) (last *fabricfake.Instance) {
		for range n {
			last = placed(s, fmt.Sprint(s, len(g.Instances())), in(g))
		}
		return last
	}
	for _, row := range []struct {
		name string
		do   func(x x)
		want string // "": accepted
	}{
		// Groups.
		{"no name", func(x x) { x.r.PlacementGroup("", spread) }, "the placement group has no name"},
		{"a long name", func(x x) { x.r.PlacementGroup(strings.Repeat("g", 256), spread) }, "255 characters at most"},
		// fact: placement.name
		{"a name twice", func(x x) { x.r.PlacementGroup("g", spread); x.r.PlacementGroup("g", spread) }, "InvalidPlacementGroup.Duplicate"},
		// fact: placement.name
		{"a name again", func(x x) { x.r.PlacementGroup("g", spread).Delete(); x.r.PlacementGroup("g", spread) }, ""},
		// fact: placement.quota
		{"500 groups", func(x x) {
			for n := range 500 {
				x.r.PlacementGroup(fmt.Sprint(n), spread)
			}
		}, ""},
		// fact: placement.quota
		{"501 groups", func(x x) {
			for n := range 501 {
				x.r.PlacementGroup(fmt.Sprint(n), spread)
			}
		}, "PlacementGroupLimitExceeded"},
		{"a strategy that is none", func(x x) { x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{Strategy: 3}) }, "Strategy is 3"},
		{"partitions of a spread group", func(x x) {
			x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementSpread, Partitions: 2})
		}, "InvalidParameterCombination: a spread group has no partitions"},
		// fact: placement.partition.seven
		{"7 partitions", func(x x) {
			x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementPartition, Partitions: 7})
		}, ""},
		// fact: placement.partition.seven
		{"8 partitions", func(x x) {
			x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementPartition, Partitions: 8})
		}, "Partitions is 8: it is from 1 to 7"},
		{"no rack", func(x x) { x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{Racks: []*fabricfake.Rack{nil}}) }, "Racks: number 0 is no rack of region"},
		{"a rack twice", func(x x) {
			k := x.r.Rack("k", "a")
			x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{Racks: []*fabricfake.Rack{k, k}})
		}, "Racks: number 1"},
		// fact: placement.delete
		{"deleting a group that is in use", func(x x) {
			g := x.r.PlacementGroup("g", spread)
			i := many(x.a, g, 1)
			i.Stop()
			i.Await(fabricfake.Stopped)
			g.Delete()
		}, "InvalidPlacementGroup.InUse: the placement group g has 1 instances"},
		// fact: placement.delete
		{"deleting a group that was", func(x x) {
			g := x.r.PlacementGroup("g", spread)
			i := many(x.a, g, 1)
			i.Terminate()
			i.Await(fabricfake.Terminated)
			g.Delete()
			g.Delete()
		}, ""},
		// Launching into them.
		{"a group that is deleted", func(x x) { g := x.r.PlacementGroup("g", spread); g.Delete(); many(x.a, g, 1) }, "InvalidPlacementGroup.Unknown"},
		{"a group of another region", func(x x) {
			many(x.a, fabricfake.NewRegion(x.w, "eu-central-1", netfake.Frankfurt).PlacementGroup("g", spread), 1)
		}, "InvalidPlacementGroup.Unknown: region ap-southeast-2 has no placement group g"},
		// fact: placement.spread.seven
		{"7 in each zone", func(x x) { g := x.r.PlacementGroup("g", spread); many(x.a, g, 7); many(x.b, g, 7) }, ""},
		// fact: placement.spread.seven, placement.spread.code
		{"8 in a zone", func(x x) { many(x.a, x.r.PlacementGroup("g", spread), 8) }, "InsufficientInstanceCapacity: the spread group g has 7 instances in zone a"},
		// fact: placement.spread.seven
		{"8, one of which is stopped", func(x x) {
			g := x.r.PlacementGroup("g", spread)
			i := many(x.a, g, 7)
			i.Stop()
			i.Await(fabricfake.Stopped)
			many(x.a, g, 1)
		}, ""},
		// fact: placement.spread.seven
		{"which is started again", func(x x) {
			g := x.r.PlacementGroup("g", spread)
			i := many(x.a, g, 7)
			i.Stop()
			i.Await(fabricfake.Stopped)
			many(x.a, g, 1)
			i.Start()
		}, "InsufficientInstanceCapacity"},
		// fact: placement.capacity
		{"a rack for each", func(x x) {
			many(x.a, x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementSpread, Racks: []*fabricfake.Rack{x.r.Rack("k", "a"), x.r.Rack("l", "a")}}), 2)
		}, ""},
		// fact: placement.capacity
		{"more than racks", func(x x) {
			many(x.a, x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementSpread, Racks: []*fabricfake.Rack{x.r.Rack("k", "a"), x.r.Rack("l", "b")}}), 2)
		}, "InsufficientInstanceCapacity: none of the racks for the spread group g in zone a is fit"},
		// fact: placement.cluster.zone
		{"a cluster in one zone", func(x x) {
			many(x.a, x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{}), 8)
		}, ""},
		// fact: placement.cluster.zone
		{"a cluster in two zones", func(x x) {
			g := x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{})
			many(x.a, g, 1)
			many(x.b, g, 1)
		}, "InvalidPlacementGroup.InUse: the placement group g is in use in another zone: a"},
		{"a partition without a group", func(x x) { placed(x.a, "i", fabricfake.Placement{Partition: 1}) }, "InvalidParameterCombination: Placement.Partition is 1, and there is no group"},
		{"a partition of a spread group", func(x x) {
			placed(x.a, "i", fabricfake.Placement{Group: x.r.PlacementGroup("g", spread), Partition: 1})
		}, "InvalidParameterCombination: Placement.Partition is 1, and the spread group g has no partitions"},
		{"a partition that is there", func(x x) {
			placed(x.a, "i", fabricfake.Placement{Group: x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementPartition}), Partition: 2})
		}, ""},
		{"a partition that is not", func(x x) {
			placed(x.a, "i", fabricfake.Placement{Group: x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementPartition}), Partition: 3})
		}, "Placement.Partition is 3: g has partitions from 1 to 2"},
		// Hosts that a test chooses.
		{"two hosts of one rack", func(x x) { twoOn(x.a, x.r.PlacementGroup("g", spread), x.r.Rack("k", "a"), x.r.Rack("l", "a"), 0, 0) }, ""},
		{"two hosts of one rack", func(x x) { k := x.r.Rack("k", "a"); twoOn(x.a, x.r.PlacementGroup("g", spread), k, k, 0, 0) }, "InsufficientInstanceCapacity: k 2 stands in a rack with instances of the spread group g"},
		{"a rack for two partitions", func(x x) {
			k := x.r.Rack("k", "a")
			twoOn(x.a, x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementPartition}), k, k, 1, 2)
		}, "InsufficientInstanceCapacity: k 2 stands in a rack with instances of the partition group g"},
		{"a rack for one partition", func(x x) {
			k := x.r.Rack("k", "a")
			twoOn(x.a, x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementPartition}), k, k, 0, 0)
		}, ""},
		// Moving to another group.
		{"one that runs", func(x x) { many(x.a, x.r.PlacementGroup("g", spread), 1).SetPlacement(fabricfake.Placement{}) }, "IncorrectInstanceState"},
		{"one that is stopped, to another zone's cluster", func(x x) {
			g := x.r.PlacementGroup("g", fabricfake.PlacementGroupConfig{})
			many(x.b, g, 1)
			i := many(x.a, x.r.PlacementGroup("h", spread), 1)
			i.Stop()
			i.Await(fabricfake.Stopped)
			i.SetPlacement(in(g))
		}, "InvalidPlacementGroup.InUse"},
	} {
		failure := fatal(t, func(w *netfake.World) {
			v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
			row.do(x{w, v.Region(), v.Subnet("a", "10.0.1.0/24", "a"), v.Subnet("b", "10.0.2.0/24", "b")})
		})
		if (row.want == "") != (failure == "") || !strings.Contains(failure, row.want) {
			t.Errorf("%s: fails with %q, want %q", row.name, failure, row.want)
		}
	}
}

// twoOn launches an instance on a host of each of two racks, in partitions.
func twoOn(s *fabricfake.Subnet, g *fabricfake.PlacementGroup, k, l *fabricfake.Rack, p, q int) {
	s.Instance("one", fabricfake.InstanceConfig{On: k.PhysicalHost(k.Name() + " 1"), Placement: fabricfake.Placement{Group: g, Partition: p}})
	s.Instance("two", fabricfake.InstanceConfig{On: l.PhysicalHost(l.Name() + " 2"), Placement: fabricfake.Placement{Group: g, Partition: q}})
}

// An instance that is stopped moves between groups.
// fact: placement.move
func TestSetPlacement(t *testing.T) { netfake.Run(t, testSetPlacement) }

func testSetPlacement(t *testing.T, w *netfake.World) {
	v := fabricfake.NewVPC(w, "prod", "10.0.0.0/16")
	s := v.Subnet("s", "10.0.1.0/24", "a")
	web := v.Region().PlacementGroup("web", fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementSpread})
	data := v.Region().PlacementGroup("data", fabricfake.PlacementGroupConfig{Strategy: fabricfake.PlacementPartition, Partitions: 3})
	placed(s, "first", fabricfake.Placement{Group: data})
	i := placed(s, "i", fabricfake.Placement{Group: web})
	for _, row := range []struct {
		to   fabricfake.Placement
		want fabricfake.Placement
		rack string
	}{
		{fabricfake.Placement{Group: data}, fabricfake.Placement{Group: data, Partition: 2}, "rack 1 of partition 2 of data in a"},
		{fabricfake.Placement{Group: data, Partition: 1}, fabricfake.Placement{Group: data, Partition: 1}, "rack 1 of partition 1 of data in a"},
		{fabricfake.Placement{Group: web}, fabricfake.Placement{Group: web}, "rack 1 of web in a"},
		{fabricfake.Placement{}, fabricfake.Placement{}, ""},
	} {
		i.Stop()
		i.Await(fabricfake.Stopped)
		i.SetPlacement(row.to)
		i.Start()
		if got := i.Placement(); got != row.want {
			t.Errorf("placed in %v, want %v", got, row.want)
		}
		rack := ""
		if k := rackOf(i); k != nil {
			rack = k.Name()
		}
		if rack != row.rack {
			t.Errorf("in rack %q, want %q", rack, row.rack)
		}
	}
	if len(web.Instances()) != 0 || len(data.Instances()) != 1 || data.Partitions() != 3 || data.String() != "data" {
		t.Errorf("%v in web, %v in data", web.Instances(), data.Instances())
	}
}
