package fabricfake

import (
	"fmt"

	"github.com/netspec-go/netspec/netfake"
)

// InstanceConfig shapes an instance. Its zero value is an instance with the next free
// address and the VPC's default security group.
type InstanceConfig struct {
	// PrivateIP is the instance's address. If "", the lowest of the subnet that is
	// free.
	PrivateIP string

	// SecondaryIPs are more IPv4 addresses of the subnet.
	SecondaryIPs []string

	// IPv6Addresses are addresses of the subnet's IPv6 block. If there is none, the
	// instance gets IPv6AddressCount of those that are free.
	IPv6Addresses    []string
	IPv6AddressCount int

	// Groups are the security groups of its interface. If there is none, the VPC's
	// default group.
	Groups Groups

	// On is the physical host that it runs on. If nil, one of its own.
	On *PhysicalHost

	// SourceDestCheck is on in the zero value.
	SourceDestCheck SourceDestCheck

	// Metadata says how the instance asks about itself. Its zero value is IMDSv2 alone,
	// for the instance itself.
	Metadata MetadataOptions

	// UserData is what the instance metadata service gives under user-data. If "", there
	// is none. It has 16 KiB at most.
	UserData string

	// InstanceProfile names the role whose credentials the instance metadata service
	// gives. If "", there are none.
	InstanceProfile string
}

// Instance is a machine in a subnet. It is a host: what a netfake.Host can do, it can.
type Instance struct {
	*netfake.Host
	iface     *Interface
	about     aboutInstance // what the instance metadata service knows
	dhcp      DHCPOptions   // of the VPC when it was launched
	conntrack conntrackAllowance
}

// Instance launches an instance. A name that is taken in the world fails the test, as
// does an address that is taken (InvalidIPAddress.InUse), reserved or outside the
// subnet (InvalidParameterValue), a subnet without a free address
// (InsufficientFreeAddressesInSubnet) or a group of another VPC (InvalidGroup.NotFound).
func (s *Subnet) Instance(name string, cfg InstanceConfig) *Instance {
	w := s.vpc.world
	w.TB().Helper()
	if err := checkMetadata(&cfg); err != nil {
		w.TB().Fatalf("%v (%s in subnet %s)", err, name, s.name)
	}
	s.vpc.region.local.start()
	h := w.NewHost(name, s.vpc.region.place)
	f := s.newInterface(name, interfaceConfig{
		addr: cfg.PrivateIP, groups: cfg.Groups, on: cfg.On, check: cfg.SourceDestCheck,
	}, h)
	i := &Instance{Host: h, iface: f, dhcp: s.vpc.dhcp}
	i.about = aboutInstance{cfg.Metadata, cfg.UserData, cfg.InstanceProfile, w.Now()}
	f.instance = i
	f.plug(f.addr)
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
	i.configure()
	return i
}

// ID returns the instance's identifier, as the real ones look: "i-0…".
func (i *Instance) ID() string { return instanceID(i.iface) }

// instanceID is made of the number of an instance's first interface.
func instanceID(first *Interface) string { return fmt.Sprintf("i-%017x", first.id) }

// Interface returns the instance's network interface.
func (i *Instance) Interface() *Interface { return i.iface }

// Appliance puts a node of another room into the subnet, behind an interface that a
// service manages: no security group applies to it, and it carries packets that are
// not its own. What the interface receives goes to guest; what guest sends to the
// interface's Out leaves it. No guest fails the test.
func (s *Subnet) Appliance(name string, guest netfake.Node) *Interface {
	s.vpc.world.TB().Helper()
	if guest == nil {
		s.vpc.world.TB().Fatalf("%v", refuse(codeParameterValue, "the appliance %s has no guest", name))
	}
	return s.newInterface(name, interfaceConfig{managed: true, check: SourceDestCheckOff}, guest)
}
