package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
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

// Interface is an elastic network interface: addresses in a subnet, with what guards
// them. One that is attached to an instance is on the physical host where that runs.
type Interface struct {
	vpc     *VPC
	subnet  *Subnet
	id      uint64
	name    string
	addr    netip.Addr   // the primary one
	more    []netip.Addr // secondary and IPv6 addresses
	publics []publicIP   // what an internet gateway translates them to
	groups  Groups
	managed bool // by a service: no groups apply
	check   SourceDestCheck
	device  *device                      // nowhere unless its instance has a physical host
	host    atomic.Pointer[PhysicalHost] // of device
	guest   netfake.Node                 // what is behind the interface, nil for nothing
	tracker *tracker
	tracked bool // with all that it speaks to
	out     egress
	sent    passages
	ids     groups
	foreign []*groups                       // of peers, as they were met
	judged  [netfake.Ingress + 1]judgements // by direction
	logs    []*coverage                     // the flow logs that record here
	local   allowance                       // for the services beside the instance

	fragments fragments

	instance   *Instance // that it is attached to, nil for a service's
	nics       map[netip.Addr]*netfake.NIC
	attachment attachment
	gone       bool

	mirrors      []*MirrorSession // of which it is the source, by number
	mirrorTarget int              // of how many sessions
}

// InterfaceConfig shapes an interface that is made by itself. Its zero value has the next
// free address and the VPC's default security group.
type InterfaceConfig struct {
	// PrivateIP is the interface's primary address. If "", the lowest of the subnet that
	// is free.
	PrivateIP string

	// SecondaryIPs are more IPv4 addresses of the subnet.
	SecondaryIPs []string

	// IPv6Addresses are addresses of the subnet's IPv6 block. If there is none, the
	// interface gets IPv6AddressCount of those that are free.
	IPv6Addresses    []string
	IPv6AddressCount int

	// Groups are the interface's security groups. If there is none, the VPC's default
	// group.
	Groups Groups

	// SourceDestCheck is on in the zero value.
	SourceDestCheck SourceDestCheck

	// ConnectionTracking has the real service's timeouts in the zero value.
	ConnectionTracking ConnectionTracking

	// AttachTime is how long it takes to attach the interface to an instance that runs,
	// and to detach it. If 0, no time.
	AttachTime time.Duration

	// OnTermination says what becomes of it when its instance is terminated. If 0, it
	// stays.
	OnTermination OnTermination
}

// Interface makes an interface that is attached to nothing yet: see Interface.Attach. It
// fails the test where Instance does for an address, a group or a name that cannot be; the
// name is for the interface alone in its VPC.
func (s *Subnet) Interface(name string, cfg InterfaceConfig) *Interface {
	w := s.World()
	w.TB().Helper()
	s.mustExist()
	err := checkName("interface", name)
	switch {
	case err != nil:
	case s.vpc.hasInterface(name):
		err = refuse(codeParameterValue, "vpc %s has an interface %s already", s.vpc.name, name)
	case cfg.AttachTime < 0:
		err = refuse(codeParameterValue, "InterfaceConfig.AttachTime is %v", cfg.AttachTime)
	}
	if err != nil {
		w.TB().Fatalf("%v (interface %s in subnet %s)", err, name, s.name)
	}
	if cfg.OnTermination == 0 {
		cfg.OnTermination = KeepOnTermination
	}
	f := s.newInterface(name, cfg, false)
	f.addAddresses(&cfg)
	return f
}

// hasInterface reports whether an interface of the VPC has a name.
func (v *VPC) hasInterface(name string) (found bool) {
	v.world.Do(func(time.Duration) {
		for _, f := range v.region.interfaces {
			found = found || f.vpc == v && f.name == name
		}
	})
	return found
}

// newInterface makes an interface with an address that is free, on no physical host. It
// fails the test for an address or a group that cannot be.
func (s *Subnet) newInterface(name string, cfg InterfaceConfig, managed bool) *Interface {
	w, v := s.vpc.world, s.vpc
	w.TB().Helper()
	if err := s.checkInterface(&cfg); err != nil {
		w.TB().Fatalf("%v (%s in subnet %s)", err, name, s.name)
	}
	var addr netip.Addr
	var err error
	w.Do(func(time.Duration) { addr, err = s.takeAddress(cfg.PrivateIP) })
	if err != nil {
		w.TB().Fatalf("%v (%s in subnet %s)", err, name, s.name)
	}
	f := &Interface{
		vpc: v, subnet: s, id: nextNumber(w), name: name, addr: addr, groups: cfg.groupsOf(v, managed), managed: managed,
		check: cfg.SourceDestCheck, device: nowhere(v.region), tracker: newTracker(cfg.ConnectionTracking),
	}
	f.out, f.ids = egress{f}, groups{f, v}
	f.attachment.init(f, cfg.AttachTime, cfg.OnTermination)
	w.Do(func(now time.Duration) {
		v.region.interfaces[f.id] = f
		v.logInterface(f, now)
	})
	return f
}

// nextNumber returns a number that no interface and no instance has.
func nextNumber(w *netfake.World) uint64 {
	rs := netfake.Shared(w, newRegions)
	rs.ifaces++
	return rs.ifaces
}

// addAddresses gives the interface the addresses besides its primary one.
func (f *Interface) addAddresses(cfg *InterfaceConfig) {
	f.tb().Helper()
	for _, addr := range cfg.SecondaryIPs {
		f.AssignPrivateIP(addr)
	}
	for _, addr := range cfg.IPv6Addresses {
		f.AssignIPv6(addr)
	}
	if len(cfg.IPv6Addresses) == 0 {
		for range cfg.IPv6AddressCount {
			f.AssignIPv6("")
		}
	}
}

func (s *Subnet) checkInterface(cfg *InterfaceConfig) error {
	if err := cfg.ConnectionTracking.check(); err != nil {
		return err
	}
	return s.vpc.checkGroups(cfg.Groups)
}

// groupsOf returns the groups of a new interface.
func (cfg *InterfaceConfig) groupsOf(v *VPC, managed bool) Groups {
	if len(cfg.Groups) == 0 && !managed {
		return Groups{v.DefaultSecurityGroup()}
	}
	return slices.Clone(cfg.Groups)
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

// String returns the interface's name, which is its instance's if it was made with that.
func (f *Interface) String() string { return f.name }

// ID returns the interface's identifier, as the real ones look: "eni-0…".
func (f *Interface) ID() string { return fmt.Sprintf("eni-%017x", f.id) }

// instanceID returns the identifier of the instance that the interface belongs to, "-"
// for an interface of a service or of nobody, as flow records print it.
func (f *Interface) instanceID() string {
	if f.instance == nil {
		return "-"
	}
	return f.instance.ID()
}

// Number returns the interface's number, under which frames name it.
func (f *Interface) Number() uint64 { return f.id }

// Subnet returns the subnet that the interface is in.
func (f *Interface) Subnet() *Subnet { return f.subnet }

// VPC returns the VPC that the interface is in.
func (f *Interface) VPC() *VPC { return f.vpc }

// PrivateIP returns the interface's primary address.
func (f *Interface) PrivateIP() netip.Addr { return f.addr }

// PhysicalHost returns where the interface is, nil if it is attached to nothing or to an
// instance that is stopped: of one host the same pointer at each call, which traces name
// as well. It may be called inside the scheduler too.
func (f *Interface) PhysicalHost() *PhysicalHost { return f.host.Load() }

// SetGroups gives the interface other security groups. A group of another VPC fails the
// test with InvalidGroup.NotFound; no group at all, of which an interface has one at least,
// with InvalidParameterCombination. Sources:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyNetworkInterfaceAttribute.html
// and, for the code, https://github.com/hashicorp/terraform-provider-aws/issues/524
func (f *Interface) SetGroups(gs Groups) {
	f.tb().Helper()
	f.modify(func(time.Duration) error {
		if len(gs) == 0 {
			return refuse(codeParameterMix, "%s is to have no group, and an interface has at least one", f.name)
		}
		if err := f.vpc.checkGroups(gs); err != nil {
			return err
		}
		f.groups = slices.Clone(gs)
		f.announce()
		return nil
	})
}

// SetSourceDestCheck switches the check of addresses on or off.
func (f *Interface) SetSourceDestCheck(check SourceDestCheck) {
	f.tb().Helper()
	f.modify(func(time.Duration) error {
		if check > SourceDestCheckOff {
			return refuse(codeParameterValue, "SourceDestCheck is %d", check)
		}
		f.check = check
		f.announce()
		return nil
	})
}

// SetConnectionTracking gives the interface other idle timeouts. A connection that is
// tracked already has them from its next packet on. A timeout that is out of range fails
// the test with InvalidParameterValue.
func (f *Interface) SetConnectionTracking(c ConnectionTracking) {
	f.tb().Helper()
	f.modify(func(time.Duration) error {
		if err := c.check(); err != nil {
			return err
		}
		f.tracker.timeouts = newTracker(c).timeouts
		return nil
	})
}

// modify changes the interface inside the scheduler, on behalf of its owner: one that a
// service manages fails the test.
func (f *Interface) modify(change func(now time.Duration) error) {
	f.tb().Helper()
	f.edit(func(now time.Duration) error {
		if f.managed {
			return refuse(codeNotPermitted, "%s is managed by a service, which alone can change it", f.name)
		}
		return change(now)
	})
}

// edit changes the interface inside the scheduler. One that is deleted fails the test.
func (f *Interface) edit(change func(now time.Duration) error) {
	w := f.vpc.world
	w.TB().Helper()
	var err error
	w.Do(func(now time.Duration) {
		if err = f.checkAlive(); err == nil {
			err = change(now)
		}
	})
	if err != nil {
		w.TB().Fatalf("%v (%s in subnet %s)", err, f.name, f.subnet.name)
	}
}

// checkAlive refuses what is done with an interface that was deleted.
func (f *Interface) checkAlive() error {
	if f.gone {
		return refuse(codeInterfaceNotFound, "%s is deleted", f.name)
	}
	return nil
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
// with raw sockets could. Bytes that are no IP packet fail the test, as does an interface
// that nothing is behind (IncorrectState).
func (f *Interface) Inject(packet []byte) {
	f.tb().Helper()
	w := f.vpc.world
	var err error
	placed := true
	w.Do(func(time.Duration) {
		if placed = f.placed(); !placed {
			return
		}
		p := w.NewPacket(len(packet), f.id, 0)
		copy(p.Bytes(), packet)
		if err = p.Decode(); err == nil {
			w.Trace(p, f.name)
			w.Send(p, &f.out)
		}
	})
	if !placed {
		w.TB().Fatalf("%v", refuse("IncorrectState", "%s", f.absence()))
	}
	if err != nil {
		w.TB().Fatalf("fabricfake: %s: no IP packet: %v", f.name, err)
	}
}
