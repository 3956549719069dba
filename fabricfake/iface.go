package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// MTU is the largest packet inside a VPC. Source:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/network_mtu.html
const MTU = 9001

// SourceDestCheck says whether an interface carries only packets that are its own. The
// zero value is the real service's default: it does.
type SourceDestCheck uint8

// The settings of the check.
const (
	SourceDestCheckOn  SourceDestCheck = iota
	SourceDestCheckOff                 // for NAT instances, routers and firewalls
)

// Groups are the security groups of an interface.
type Groups []*SecurityGroup

// Interface is an elastic network interface: an address in a subnet, with what guards
// it, on a physical host.
type Interface struct {
	vpc     *VPC
	subnet  *Subnet
	id      uint64
	name    string
	addr    netip.Addr   // the primary one
	more    []netip.Addr // secondary and IPv6 addresses
	public  netip.Addr   // what an internet gateway translates addr to
	groups  Groups
	managed bool // by a service: no groups apply
	check   SourceDestCheck
	device  *device
	guest   netfake.Node // what is behind the interface
	tracker *tracker
	tracked bool // with all that it speaks to
	out     egress
	sent    passages
	ids     groups
	judged  [netfake.Ingress + 1]judgements // by direction
	logs    []*coverage                     // the flow logs that record here
	local   allowance                       // for the services beside the instance

	instance *Instance // behind it, nil for a service's
	nics     map[netip.Addr]*netfake.NIC
	gone     bool

	mirrors      []*MirrorSession // of which it is the source, by number
	mirrorTarget int              // of how many sessions
}

// interfaceConfig is what instances and appliances tell about their interface.
type interfaceConfig struct {
	addr    string
	groups  Groups
	managed bool
	check   SourceDestCheck
	on      *PhysicalHost
}

// newInterface makes an interface with an address that is free. It fails the test for
// an address, a group or a physical host that cannot be.
func (s *Subnet) newInterface(name string, cfg interfaceConfig, guest netfake.Node) *Interface {
	w, v := s.vpc.world, s.vpc
	w.TB().Helper()
	if cfg.on == nil {
		cfg.on = v.region.newHost("host of "+name, s.zone, nil)
	}
	if err := s.checkInterface(&cfg); err != nil {
		w.TB().Fatalf("%v (%s in subnet %s)", err, name, s.name)
	}
	addr, err := s.takeAddress(cfg.addr)
	if err != nil {
		w.TB().Fatalf("%v (%s in subnet %s)", err, name, s.name)
	}
	rs := netfake.Shared(w, newRegions)
	rs.ifaces++
	f := &Interface{
		vpc: v, subnet: s, id: rs.ifaces, name: name, addr: addr, groups: cfg.groups, managed: cfg.managed,
		check: cfg.check, device: cfg.on.device, guest: guest, tracker: newTracker(ConnectionTracking{}),
	}
	f.out, f.ids = egress{f}, groups{f}
	w.Do(func(now time.Duration) {
		v.region.interfaces[f.id] = f
		v.region.mapping.add(v.vni, addr, f)
		v.logInterface(f, now)
	})
	return f
}

func (s *Subnet) checkInterface(cfg *interfaceConfig) error {
	v := s.vpc
	if cfg.on.region != v.region || cfg.on.zone != s.zone {
		return refuse(codeParameterValue, "host %s is in zone %s of %s, the subnet is not", cfg.on.name, cfg.on.zone, cfg.on.region)
	}
	if cfg.groups = slices.Clone(cfg.groups); len(cfg.groups) == 0 && !cfg.managed {
		cfg.groups = Groups{v.DefaultSecurityGroup()}
	}
	return v.checkGroups(cfg.groups)
}

// checkGroups says whether an interface of the VPC may have the groups.
func (v *VPC) checkGroups(gs Groups) error {
	if most := v.quotas().GroupsPerInterface; len(gs) > most {
		return refuse("SecurityGroupsPerInterfaceLimitExceeded", "%d groups, and %d are allowed", len(gs), most)
	}
	for _, g := range gs {
		if g == nil || !slices.Contains(v.groups, g) {
			return refuse(codeGroupNotFound, "%v is no group of vpc %s", g, v.name)
		}
	}
	return nil
}

func (s *Subnet) takeAddress(text string) (netip.Addr, error) {
	if text == "" {
		return s.free.next()
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return addr, refuse(codeParameterValue, "%q is no IP address", text)
	}
	return addr, s.free.take(addr)
}

// String returns the interface's name, which is its instance's.
func (f *Interface) String() string { return f.name }

// ID returns the interface's identifier, as the real ones look: "eni-0…".
func (f *Interface) ID() string { return fmt.Sprintf("eni-%017x", f.id) }

// instanceID returns the identifier of the instance that the interface belongs to, "-"
// for an interface of a service, as flow records print it.
func (f *Interface) instanceID() string {
	if f.managed {
		return "-"
	}
	return instanceID(f)
}

// Number returns the interface's number, under which frames name it.
func (f *Interface) Number() uint64 { return f.id }

// Subnet returns the subnet that the interface is in.
func (f *Interface) Subnet() *Subnet { return f.subnet }

// VPC returns the VPC that the interface is in.
func (f *Interface) VPC() *VPC { return f.vpc }

// PrivateIP returns the interface's primary address.
func (f *Interface) PrivateIP() netip.Addr { return f.addr }

// PhysicalHost returns where the interface is: the same pointer at each call, which
// traces name as well.
func (f *Interface) PhysicalHost() *PhysicalHost { return f.device.host }

// PublicIP returns the public address that belongs to the interface, or the zero Addr.
func (f *Interface) PublicIP() netip.Addr {
	var addr netip.Addr
	f.vpc.world.Do(func(time.Duration) { addr = f.public })
	return addr
}

// SetPublicIP gives the interface a public address; the zero Addr takes it away. It is
// for the room of the gateways, which also announces it.
func (f *Interface) SetPublicIP(addr netip.Addr) {
	f.vpc.world.Do(func(time.Duration) { f.public = addr })
}

// Public returns what PublicIP does. It may be called only inside the scheduler.
func (f *Interface) Public() netip.Addr { return f.public }

// SetGroups gives the interface other security groups. A group of another VPC fails the
// test with InvalidGroup.NotFound.
func (f *Interface) SetGroups(gs Groups) {
	w := f.vpc.world
	w.TB().Helper()
	if err := f.vpc.checkGroups(gs); err != nil {
		w.TB().Fatalf("%v (%s)", err, f.name)
	}
	w.Do(func(time.Duration) {
		f.groups = slices.Clone(gs)
		f.announce()
	})
}

// Groups returns the interface's security groups.
func (f *Interface) Groups() Groups {
	var gs Groups
	f.vpc.world.Do(func(time.Duration) { gs = slices.Clone(f.groups) })
	return gs
}

// Out returns the node that takes what leaves the interface. A node behind an interface
// sends there.
func (f *Interface) Out() netfake.Node { return &f.out }

// Inject sends an IP packet of the caller's making from the interface, as a program
// with raw sockets could. Bytes that are no IP packet fail the test.
func (f *Interface) Inject(packet []byte) {
	w := f.vpc.world
	w.TB().Helper()
	var err error
	w.Do(func(time.Duration) {
		p := w.NewPacket(len(packet), f.id, 0)
		copy(p.Bytes(), packet)
		if err = p.Decode(); err == nil {
			w.Trace(p, f.name)
			w.Send(p, &f.out)
		}
	})
	if err != nil {
		w.TB().Fatalf("fabricfake: %s: no IP packet: %v", f.name, err)
	}
}
