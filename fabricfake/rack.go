package fabricfake

import (
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// Rack is physical hosts of one zone that share power and a switch, and fail together. A
// host that is made without a rack, as those of instances that name none and are in no
// placement group, stands in one of its own.
type Rack struct {
	region  *Region
	name    string
	zone    *Zone
	hosts   []*PhysicalHost
	outages outages
}

// Rack makes a rack in a zone. A name that is empty or taken fails the test.
func (r *Region) Rack(name, zone string) *Rack {
	w := r.World()
	w.TB().Helper()
	r.checkZone(zone)
	if err := checkName("rack", name); err != nil {
		w.TB().Fatalf("%v (region %s)", err, r.name)
	}
	if r.hasRack(name) {
		w.TB().Fatalf("fabricfake: region %s has a rack %s already", r.name, name)
	}
	k := &Rack{region: r, name: name, zone: r.Zone(zone)}
	r.racks = append(r.racks, k)
	w.Do(func(time.Duration) { k.outages = slices.Clone(k.zone.outages) })
	return k
}

// hasRack reports whether a rack of the region has a name.
func (r *Region) hasRack(name string) bool {
	return slices.ContainsFunc(r.racks, func(k *Rack) bool { return k.name == name })
}

// PhysicalHost makes a physical host in the rack. A name that is empty or taken fails the
// test.
func (k *Rack) PhysicalHost(name string) *PhysicalHost {
	k.tb().Helper()
	k.region.checkHostName(name)
	return k.region.newHost(name, k.zone.name, k)
}

// String returns the rack's name.
func (k *Rack) String() string { return k.name }

// Name returns the rack's name.
func (k *Rack) Name() string { return k.name }

// Zone returns the name of the zone that the rack is in.
func (k *Rack) Zone() string { return k.zone.name }

// PhysicalHosts returns the rack's hosts in the order in which they were made.
func (k *Rack) PhysicalHosts() []*PhysicalHost { return slices.Clone(k.hosts) }

// Fail takes every host of the rack off the substrate, those that are made later as well,
// as PhysicalHost.Fail does.
func (k *Rack) Fail() *netfake.Fault {
	return made(k, "*Rack").region.fail(k, "failure of rack "+k.name, "the rack is down", func() []*outages {
		return append(outagesOf(k.hosts), &k.outages)
	})
}

// Repair ends every failure of the rack. A host that has failed by itself stays so.
func (k *Rack) Repair() { made(k, "*Rack").region.world.RepairAt(k) }

// Zone is an availability zone: racks and hosts that are far enough from those of other
// zones to fail without them.
type Zone struct {
	region  *Region
	name    string
	outages outages
}

// Zone returns one of the region's zones, which are a, b and c. An unknown one fails the
// test.
func (r *Region) Zone(name string) *Zone {
	r.tb().Helper()
	r.checkZone(name)
	return r.zoneOf[name]
}

// String returns "zone a of ap-southeast-2".
func (z *Zone) String() string { return "zone " + z.name + " of " + z.region.name }

// Name returns the zone's name: "a".
func (z *Zone) Name() string { return z.name }

// Fail takes every physical host of the zone off the substrate, those that are made later
// as well, and with them instances and services of one zone, such as NAT gateways. What
// serves a whole region, as internet gateways and the mapping service do, stays.
func (z *Zone) Fail() *netfake.Fault {
	return made(z, "*Zone").region.fail(z, "failure of "+z.String(), "the zone is down", func() []*outages {
		all := []*outages{&z.outages}
		for _, k := range z.region.racks {
			if k.zone == z {
				all = append(all, &k.outages)
			}
		}
		hosts := slices.DeleteFunc(slices.Clone(z.region.physical), func(h *PhysicalHost) bool { return h.zone != z.name })
		return append(all, outagesOf(hosts)...)
	})
}

// Repair ends every failure of the zone. Racks and hosts that have failed by themselves
// stay so.
func (z *Zone) Repair() { made(z, "*Zone").region.world.RepairAt(z) }

// outage is a failure in force, of a host or of what it stands in.
type outage struct {
	fault *netfake.Fault
	by    netfake.Component
	rule  string // as hops tell it
}

// outages are the failures in force, the oldest first.
type outages []outage

func outagesOf(hosts []*PhysicalHost) (all []*outages) {
	for _, h := range hosts {
		all = append(all, &h.outages)
	}
	return all
}

func (o *outages) end(f *netfake.Fault) {
	*o = slices.DeleteFunc(*o, func(other outage) bool { return other.fault == f })
}

// fail begins a failure of a component and of all that has part in it.
func (r *Region) fail(by netfake.Component, what, rule string, parts func() []*outages) *netfake.Fault {
	return r.world.NewFault(by, what,
		func(f *netfake.Fault, _ time.Duration) {
			for _, o := range parts() {
				*o = append(*o, outage{f, by, rule})
			}
		},
		func(f *netfake.Fault, _ time.Duration) {
			for _, o := range parts() {
				o.end(f)
			}
		})
}

// failed reports whether the device is off the substrate, which p has now found out.
func (d *device) failed(p *netfake.Packet) bool {
	for _, o := range d.outages {
		o.fault.Hit(p)
	}
	return len(d.outages) > 0
}

// outage is the hop at which p ends because the device is off the substrate.
func (d *device) outage(place string, dir netfake.Direction) netfake.Hop {
	first := d.outages[0]
	return netfake.Hop{Place: place, By: first.by, Direction: dir, Rule: first.rule, Code: codeBadState}
}
