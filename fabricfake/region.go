package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// The latencies of the substrate, one way. AWS publishes none; these are numbers of
// the model in the order of magnitude that people measure.
const (
	LatencyHost  = 20 * time.Microsecond  // between two instances of one physical host
	LatencyZone  = 100 * time.Microsecond // between two hosts of one zone
	LatencyZones = 500 * time.Microsecond // between two zones of one region
)

// Region is a place with zones, physical hosts and a mapping service, which its VPCs
// share.
type Region struct {
	world   *netfake.World
	name    string
	place   netfake.Place
	zones   []string
	zoneOf  map[string]*Zone
	mapping *MappingService

	devices     map[netip.Addr]*device
	inOrder     []*device // as they were made
	interfaces  map[uint64]*Interface
	former      map[uint64]*Interface       // that were deleted
	links       map[[2]string]*netfake.Link // between and inside zones
	inside      *netfake.Link               // inside one physical host
	vpcs        []*VPC
	prefixLists []*PrefixList
	quotas      Quotas
	racks       []*Rack
	placements  []*PlacementGroup
	physical    []*PhysicalHost
	hosts       int
	hostNames   map[string]bool // of those that a test made itself
	edges       int
	local       *localServices
}

// regions is what the package keeps of a world.
type regions struct {
	all    []*Region
	vpcs   uint32
	ifaces uint64

	provided uint64 // IPv6 blocks

	aliases aliases
}

func newRegions() *regions { return &regions{aliases: newAliases()} }

// NewRegion makes a region of three zones: a, b and c. A name that is taken fails the
// test.
func NewRegion(w *netfake.World, name string, place netfake.Place) *Region {
	in(w, "NewRegion").Helper()
	if err := checkName("region", name); err != nil {
		w.TB().Fatalf("%v", err)
	}
	rs := netfake.Shared(w, newRegions)
	for _, r := range rs.all {
		if r.name == name {
			w.TB().Fatalf("fabricfake: there is a region %s already", name)
		}
	}
	r := &Region{
		world: w, name: name, place: place, zones: []string{"a", "b", "c"},
		devices: map[netip.Addr]*device{}, interfaces: map[uint64]*Interface{},
		links: map[[2]string]*netfake.Link{}, hostNames: map[string]bool{}, zoneOf: map[string]*Zone{},
	}
	if len(rs.all) == 0 {
		w.ShowAs(rs.aliases.show)
	}
	r.local = &localServices{region: r, aliases: &rs.aliases}
	r.inside = w.NewLink(name+" inside a host", LatencyHost)
	r.mapping = newMappingService(r)
	for i, a := range r.zones {
		r.zoneOf[a] = &Zone{region: r, name: a}
		for _, b := range r.zones[i:] {
			latency := LatencyZones
			if a == b {
				latency = LatencyZone
			}
			l := w.NewLink(fmt.Sprintf("%s substrate %s–%s", name, a, b), latency)
			r.links[[2]string{a, b}], r.links[[2]string{b, a}] = l, l
		}
	}
	rs.all = append(rs.all, r)
	return r
}

// DefaultRegion returns the world's first region, and makes it, ap-southeast-2 in
// Sydney, if there is none.
func DefaultRegion(w *netfake.World) *Region {
	in(w, "DefaultRegion").Helper()
	if rs := netfake.Shared(w, newRegions); len(rs.all) > 0 {
		return rs.all[0]
	}
	return NewRegion(w, "ap-southeast-2", netfake.Sydney)
}

// String returns the region's name.
func (r *Region) String() string { return r.name }

// Name returns the region's name: "ap-southeast-2".
func (r *Region) Name() string { return r.name }

// Place returns where the region is.
func (r *Region) Place() netfake.Place { return r.place }

// World returns the world that the region is in.
func (r *Region) World() *netfake.World { return made(r, "*Region").world }

// Mapping returns the region's mapping service.
func (r *Region) Mapping() *MappingService { return r.mapping }

// Zones returns the names of the region's zones.
func (r *Region) Zones() []string { return slices.Clone(r.zones) }

// ZoneID returns a zone's identifier as the API gives it, "apse2-az1" for zone a of
// ap-southeast-2. The real service numbers zones differently for each account.
func (r *Region) ZoneID(zone string) string {
	directions := strings.NewReplacer("north", "n", "south", "s", "east", "e", "west", "w", "central", "c")
	short := strings.ReplaceAll(directions.Replace(r.name), "-", "")
	return fmt.Sprintf("%s-az%d", short, slices.Index(r.zones, zone)+1)
}

// Link returns the stretch of substrate between two zones, or inside one, to be slowed
// down, made lossy or cut. An unknown zone fails the test.
func (r *Region) Link(zone, other string) *netfake.Link {
	r.tb().Helper()
	r.checkZone(zone)
	r.checkZone(other)
	return r.links[[2]string{zone, other}]
}

func (r *Region) checkZone(zone string) {
	r.tb().Helper()
	if !slices.Contains(r.zones, zone) {
		r.tb().Fatalf("%v", refuse(codeParameterValue,
			"zone %q of region %s does not exist; the zones are %s", zone, r.name, strings.Join(r.zones, ", ")))
	}
}

// Way returns one direction of Link, from a zone to another. Inside one zone it is the
// direction from lower addresses of the substrate to higher ones.
func (r *Region) Way(from, to string) *netfake.Way {
	r.tb().Helper()
	l := r.Link(from, to)
	if from > to {
		return l.Back()
	}
	return l.Forth()
}

// wayBetween returns what lies between two devices.
func (r *Region) wayBetween(from, to *device) *netfake.Way {
	switch l := r.links[[2]string{from.zone, to.zone}]; {
	case from == to:
		return r.inside.Forth()
	case from.zone > to.zone || from.zone == to.zone && to.addr.Less(from.addr):
		return l.Back()
	default:
		return l.Forth()
	}
}

// numbered returns the interface that has or had a number, nil if none ever did.
func (r *Region) numbered(id uint64) *Interface {
	if f := r.interfaces[id]; f != nil {
		return f
	}
	return r.former[id]
}
