package fabricfake

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// MappingService knows where everything is: for an address of a VPC, the interface
// that has it and the physical host where that is. Nothing outside a VPC can be named
// by it, which is what keeps VPCs apart.
//
// Physical hosts and edges do not ask it for each packet: each has a cache, which changes
// are pushed to. See SetDelay and SetMissPolicy.
type MappingService struct {
	region  *Region
	entries map[mappingKey]*mapping

	misses  MissPolicy
	latency time.Duration // of a look-up
	delay   time.Duration // of a push
	prompt  bool          // no push has ever been late, so that there are none
	outages outages
}

type mappingKey struct {
	vni  uint32
	addr netip.Addr
}

// mapping is what there is to know of an address. It is never changed, only replaced: a
// cache may hold an old one.
type mapping struct {
	iface   *Interface // nil if nobody has the address any more
	device  *device    // nil for a public address
	groups  Groups
	check   SourceDestCheck
	public  netip.Addr // of a private address: what an internet gateway translates it to
	private netip.Addr // of a public address: the other way round

	since  time.Duration // when it became so
	before *mapping      // what was so until then, as long as it matters: see lately
}

// live reports whether somebody has the address.
func (m *mapping) live() bool { return m != nil && m.iface != nil }

func newMappingService(r *Region) *MappingService {
	m := &MappingService{region: r, entries: map[mappingKey]*mapping{}, latency: LatencyLookup, prompt: true}
	if r.inside.Latency() == 0 { // as it is in a world whose links take no time
		m.latency = 0
	}
	return m
}

// String returns "mapping".
func (m *MappingService) String() string { return "mapping" }

// find returns the interface that has an address in a VPC, nil if there is none, as the
// service itself knows it.
func (m *MappingService) find(vni uint32, addr netip.Addr) *Interface {
	if e := m.entries[mappingKey{vni, addr}]; e.live() {
		return e.iface
	}
	return nil
}

// add announces that an interface has an address, where the interface is, which groups it
// has, whether it is checked, and the public address. When one of these changes it is called
// again.
func (m *MappingService) add(vni uint32, addr netip.Addr, f *Interface) {
	m.change(mappingKey{vni, addr}, &mapping{
		iface: f, device: f.device, groups: f.groups, check: f.check, public: f.translation(addr).public,
	})
}

// remove announces that nobody has an address any more.
func (m *MappingService) remove(vni uint32, addr netip.Addr) {
	m.change(mappingKey{vni, addr}, &mapping{})
}

// announce tells anew of all addresses of an interface: something of it has changed, or
// where it is.
func (f *Interface) announce() {
	if f.gone || !f.placed() {
		return
	}
	for _, addr := range f.addresses() {
		f.vpc.region.mapping.add(f.vpc.vni, addr, f)
	}
}

func (m *MappingService) change(key mappingKey, to *mapping) {
	now, was := m.region.world.Now(), m.entries[key]
	to.since, to.before = now, was
	was.forget(now)
	m.entries[key] = to
	if m.prompt {
		return
	}
	for _, d := range m.region.inOrder {
		d.cache.expect(key, was, to, now)
	}
}

// unknown says that nobody has an address.
func (k mappingKey) unknown() string {
	return fmt.Sprintf("no interface has %v, vni %d", k.addr, k.vni)
}

// MissPolicy says what a device does that does not know where an address is.
type MissPolicy uint8

// The policies.
const (
	// MissDrop is to drop the packet. Every device is told of everything in advance, so
	// that a miss is an address that nobody has, or whose push is still on its way.
	MissDrop MissPolicy = iota

	// MissAsk is to ask the service, which takes LatencyLookup. The packet waits, and so
	// do those that follow it to the same address. What has been answered is remembered,
	// and kept up to date by pushes. Devices know at first only what is on themselves.
	MissAsk
)

// LatencyLookup is how long a question to the mapping service and its answer take: a
// number of the model, twice the way between two hosts of a zone.
const LatencyLookup = 2 * LatencyZone

// SetMissPolicy sets what all devices of the region do about addresses that they do not
// know. It empties what they remember of answers.
func (m *MappingService) SetMissPolicy(policy MissPolicy) {
	w := made(m, "*MappingService").region.world
	if policy > MissAsk {
		w.TB().Helper()
		w.TB().Fatalf("fabricfake: region %s: MissPolicy is %d", m.region.name, policy)
	}
	w.Do(func(time.Duration) {
		m.misses = policy
		for _, d := range m.region.inOrder {
			clear(d.cache.asked)
		}
	})
}

// SetDelay sets how long it takes until a change of the mappings is known to a
// physical host or an edge that has no time of its own: 0 by default, which is at once. It
// holds for the changes that are made afterwards. A negative time fails the test.
func (m *MappingService) SetDelay(d time.Duration) {
	w := made(m, "*MappingService").region.world
	w.TB().Helper()
	if d < 0 {
		w.TB().Fatalf("fabricfake: region %s: a delay of %v is negative", m.region.name, d)
	}
	w.Do(func(time.Duration) {
		m.delay = d
		m.prompt = m.prompt && d == 0
	})
}

// Fail takes the mapping service down. What hosts and edges know keeps working; changes
// that have not reached them by then stay unknown to them, and questions stay without
// an answer. When the fault is undone the changes arrive whose time has come. Its hits are the
// packets that were sent or refused by knowledge that is outdated, and those whose question
// was not answered.
func (m *MappingService) Fail() *netfake.Fault {
	return made(m, "*MappingService").region.world.NewFault(m, "failure of the mapping service of "+m.region.name,
		func(f *netfake.Fault, _ time.Duration) {
			m.outages = append(m.outages, outage{fault: f})
			m.prompt = false
		},
		func(f *netfake.Fault, now time.Duration) {
			m.outages.end(f)
			for _, d := range m.region.inOrder {
				d.cache.arrive(now)
			}
		})
}

// Repair ends every failure of the mapping service.
func (m *MappingService) Repair() { made(m, "*MappingService").region.world.RepairAt(m) }

// hit counts a packet that has found out that the service is down.
func (m *MappingService) hit(p *netfake.Packet) {
	for _, o := range m.outages {
		o.fault.Hit(p)
	}
}

// groups makes what the host of an interface knows of a VPC the identities that security groups refer to.
type groups struct {
	of  *Interface
	vpc *VPC
}

func (g *groups) groupsAt(addr netip.Addr) []*SecurityGroup {
	if e := g.of.device.cache.told(mappingKey{g.vpc.vni, addr}); e != nil {
		return e.groups
	}
	return nil
}

// The codes of what the fabric itself refuses. There is none of AWS for it.
const (
	codeMappingInvalid netfake.Code = "MAPPING_INVALID"
	codeUnknownAddress netfake.Code = "NO_POSSIBLE_DESTINATION"
	codeSourceCheck    netfake.Code = "ENI_SOURCE_DEST_CHECK_RESTRICTION"
	codeBadState       netfake.Code = "BAD_STATE"
)
