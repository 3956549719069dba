package fabricfake_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// hall is a placement group whose instances come and go while racks fail, with what a plain
// count says of it.
type hall struct {
	tb     *faketb.TB
	subnet *fabricfake.Subnet
	group  *fabricfake.PlacementGroup
	racks  []*fabricfake.Rack // that the group may use, none for any
	down   map[*fabricfake.Rack]bool
	all    []*fabricfake.Instance
}

// placed returns the group's instances that are on a host.
func (h *hall) placed() (some []*fabricfake.Instance) {
	for _, i := range h.group.Instances() {
		if i.Interface().PhysicalHost() != nil {
			some = append(some, i)
		}
	}
	return some
}

// room reports whether there is a rack for one more instance in a partition, 0 for any.
func (h *hall) room(partition int) bool {
	placed := h.placed()
	if h.group.Strategy() == fabricfake.PlacementSpread && len(placed) >= fabricfake.MaxSpread {
		return false
	}
	for n, k := range h.racks {
		taken := slices.ContainsFunc(placed, func(i *fabricfake.Instance) bool { return rackOf(i) == k })
		switch {
		case h.down[k]:
		case h.group.Strategy() == fabricfake.PlacementSpread && taken:
		case partition > 0 && n%h.group.Partitions() != partition-1:
		default:
			return true
		}
	}
	return len(h.racks) == 0
}

// try does what needs room, and compares whether it is refused.
func (h *hall) try(t *rapid.T, what string, partition int, do func()) (done bool) {
	room := h.room(partition)
	failure := h.tb.Try(do)
	if room != (failure == "") || !room && !strings.Contains(failure, "InsufficientInstanceCapacity") {
		t.Fatalf("%s: %q, and room is %v", what, failure, room)
	}
	return room
}

// judge checks what the strategy promises.
func (h *hall) judge(t *rapid.T) {
	placed := h.placed()
	for n, i := range placed {
		for _, j := range placed[:n] {
			apart := h.group.Strategy() == fabricfake.PlacementSpread ||
				h.group.Strategy() == fabricfake.PlacementPartition && i.Placement().Partition != j.Placement().Partition
			if apart && rackOf(i) == rackOf(j) {
				t.Fatalf("%v and %v share %v", i, j, rackOf(i))
			}
		}
		if len(h.racks) > 0 && !slices.Contains(h.racks, rackOf(i)) {
			t.Fatalf("%v is in %v, which is not the group's", i, rackOf(i))
		}
	}
}

// Whatever comes, goes and fails, instances are placed as their group promises, and refused
// exactly when there is no room.
// fact: placement.spread, placement.partition, placement.capacity
func TestPlacementAgainstCount(t *testing.T) {
	refused, done := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		tb := faketb.New(t)
		defer tb.Clean()
		v := fabricfake.NewVPC(netfake.New(tb, netfake.Config{Instant: true}), "prod", "10.0.0.0/16")
		h := &hall{tb: tb, subnet: v.Subnet("s", "10.0.0.0/20", "a"), down: map[*fabricfake.Rack]bool{}}
		cfg := fabricfake.PlacementGroupConfig{Strategy: rapid.SampledFrom([]fabricfake.PlacementStrategy{
			fabricfake.PlacementCluster, fabricfake.PlacementSpread, fabricfake.PlacementPartition,
		}).Draw(rt, "strategy")}
		if cfg.Strategy == fabricfake.PlacementPartition {
			cfg.Partitions = rapid.IntRange(1, 4).Draw(rt, "partitions")
		}
		for n := range rapid.IntRange(0, 9).Draw(rt, "racks") {
			h.racks = append(h.racks, v.Region().Rack(fmt.Sprint("k", n), "a"))
		}
		cfg.Racks = h.racks
		h.group = v.Region().PlacementGroup("g", cfg)
		step := func() {
			if h.step(rt) {
				done++
			} else {
				refused++
			}
			h.judge(rt)
		}
		for range 25 {
			step()
		}
	})
	if refused == 0 || done == 0 {
		t.Errorf("%d steps refused, %d done", refused, done)
	}
}

// step has something happen, and reports whether it was not refused.
func (h *hall) step(t *rapid.T) bool {
	in := func(state fabricfake.InstanceState) (some []*fabricfake.Instance) {
		for _, i := range h.all {
			if i.State() == state {
				some = append(some, i)
			}
		}
		return some
	}
	running, stopped := in(fabricfake.Running), in(fabricfake.Stopped)
	switch act := rapid.IntRange(0, 9).Draw(t, "act"); {
	case act == 0 && len(running) > 0:
		rapid.SampledFrom(running).Draw(t, "stop").ForceStop()
	case act == 1 && len(running) > 0:
		rapid.SampledFrom(running).Draw(t, "terminate").ForceTerminate()
	case act <= 3 && len(stopped) > 0:
		i := rapid.SampledFrom(stopped).Draw(t, "start")
		return h.try(t, "starting "+i.Name(), i.Placement().Partition, i.Start)
	case act == 4 && len(h.racks) > 0:
		k := rapid.SampledFrom(h.racks).Draw(t, "fail")
		k.Fail()
		h.down[k] = true
	case act == 5 && len(h.racks) > 0:
		k := rapid.SampledFrom(h.racks).Draw(t, "repair")
		k.Repair()
		delete(h.down, k)
	default:
		p := fabricfake.Placement{Group: h.group, Partition: rapid.IntRange(0, h.group.Partitions()).Draw(t, "partition")}
		name := fmt.Sprint("i", len(h.all)) // of one that was refused, too
		return h.try(t, "launching "+name, p.Partition, func() {
			h.all = append(h.all, h.subnet.Instance(name, fabricfake.InstanceConfig{Placement: p}))
		})
	}
	return true
}
