package fabricfake

import (
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// device is what has an address on the substrate: a physical host or an edge. It takes
// frames.
type device struct {
	region *Region
	name   string
	zone   string
	addr   netip.Addr
	tap    *netfake.Tap
	edge   *Edge         // nil for a physical host
	host   *PhysicalHost // nil for an edge
	ways   map[netip.Addr]way
	came   passages
	cache  cache
	wire   *netfake.Link // nil as long as nobody owns it

	outages  outages // in force
	mirrored int     // sessions whose source is here
	rejected uint64  // frames, as forged
	outrun   uint64  // frames, as stale

	left map[uint64]*Interface // that were here, by number
}

// way is how a device reaches another; it stays the same for ever.
type way struct {
	peer  *device
	along *netfake.Way
}

// wayTo finds the device that has an address, nil if none has.
func (d *device) wayTo(addr netip.Addr) way {
	w, ok := d.ways[addr]
	if !ok && d.region.devices[addr] != nil {
		w.peer = d.region.devices[addr]
		w.along = d.region.wayBetween(d, w.peer)
		d.ways[addr] = w
	}
	return w
}

// newDevice gives a device the next address of its kind.
func (r *Region) newDevice(name, zone string, addr netip.Addr) *device {
	d := &device{region: r, name: name, zone: zone, addr: addr, tap: r.world.Tap(name), ways: map[netip.Addr]way{}}
	d.cache = cache{device: d, service: r.mapping}
	r.world.Do(func(time.Duration) {
		r.devices[addr] = d
		r.inOrder = append(r.inOrder, d)
	})
	return d
}

// String returns the device's name.
func (d *device) String() string { return d.name }

// self returns who acts for the device in traces and alarms: the physical host or the
// edge that a test knows.
func (d *device) self() netfake.Component {
	if d.edge != nil {
		return d.edge
	}
	return d.host
}

// countRejected returns how many frames the device has rejected.
func (d *device) countRejected() (n uint64) {
	d.region.world.Do(func(time.Duration) { n = d.rejected })
	return n
}

// PhysicalHost is a machine in a rack that runs instances of any VPC.
type PhysicalHost struct {
	*device
	rack *Rack // nil for a rack of its own
}

// PhysicalHost makes a physical host in a zone, in a rack of its own: see Rack. Instances
// that name none get one of their own each. A name that is empty or taken fails the test.
func (r *Region) PhysicalHost(name, zone string) *PhysicalHost {
	r.tb().Helper()
	r.checkZone(zone)
	r.checkHostName(name)
	return r.newHost(name, zone, nil)
}

// checkHostName takes a name for a physical host.
func (r *Region) checkHostName(name string) {
	r.tb().Helper()
	if err := checkName("physical host", name); err != nil {
		r.tb().Fatalf("%v (region %s)", err, r.name)
	}
	if r.hostNames[name] {
		r.tb().Fatalf("fabricfake: region %s has a physical host %s already", r.name, name)
	}
	r.hostNames[name] = true
}

// hostBlock is where physical hosts have their addresses on the substrate.
var hostBlock = netip.MustParsePrefix("192.168.0.0/16")

// newHost makes a physical host of whatever name, in a rack or in one of its own.
func (r *Region) newHost(name, zone string, rack *Rack) *PhysicalHost {
	r.tb().Helper()
	r.hosts++
	if r.hosts > 60000 {
		r.tb().Fatalf("%v", refuse("InsufficientHostCapacity", "region %s has no room for a host %s", r.name, name))
	}
	h := &PhysicalHost{r.newDevice(name, zone, nthAddress(hostBlock, uint32(r.hosts)+2)), rack}
	h.device.host = h
	r.world.Do(func(time.Duration) {
		r.physical = append(r.physical, h)
		h.outages = slices.Clone(r.zoneOf[zone].outages)
		if rack != nil {
			rack.hosts = append(rack.hosts, h)
			h.outages = slices.Clone(rack.outages)
		}
	})
	return h
}

// Name returns the host's name.
func (h *PhysicalHost) Name() string { return h.name }

// Addr returns the host's address on the substrate.
func (h *PhysicalHost) Addr() netip.Addr { return h.addr }

// Rack returns the rack that the host is in, nil for one of its own.
func (h *PhysicalHost) Rack() *Rack { return h.rack }

// Zone returns the name of the zone that the host is in.
func (h *PhysicalHost) Zone() string { return h.zone }

// SetMappingDelay sets how long it takes until a change of the mappings is known to this
// host, whatever holds for the region: see MappingService.SetDelay.
func (h *PhysicalHost) SetMappingDelay(d time.Duration) {
	h.tb().Helper()
	h.cache.setDelay(d)
}

// Rejected returns how many frames were dropped as forged: by the host, and by the switch at
// the end of its wire.
func (h *PhysicalHost) Rejected() uint64 { return h.countRejected() }

// Fail takes the host off the substrate with everything that runs on it, without a
// word to anybody, until the fault is undone or the host repaired. What is in flight when
// it fails is lost.
func (h *PhysicalHost) Fail() *netfake.Fault {
	return made(h, "*PhysicalHost").region.fail(h, "failure of "+h.name, "the physical host is down", func() []*outages {
		return []*outages{&h.outages}
	})
}

// Repair ends every failure of the host itself, and none of its rack or its zone.
func (h *PhysicalHost) Repair() { made(h, "*PhysicalHost").region.world.RepairAt(h) }
