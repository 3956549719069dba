package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// InstanceConfig shapes an instance. Its zero value is an instance with the next free
// address and the VPC's default security group, which runs at once.
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

	// PublicIP says whether the instance gets a public IPv4 address of its own each time
	// when it is launched or started. If 0, what its subnet says.
	PublicIP AutoAssign

	// Groups are the security groups of its interface. If there is none, the VPC's
	// default group.
	Groups Groups

	// Interface is one of the subnet that is there already and attached to nothing, to be the
	// instance's primary one. It has addresses, groups and all else of its own, which the
	// fields for them must not name; it gets no public address assigned, and stays when the
	// instance is terminated, unless it was made to go. If nil, an interface is made, with
	// the instance's name.
	Interface *Interface

	// On is the physical host that it runs on. If nil, one of its own, and another each
	// time when it is started.
	On *PhysicalHost

	// Placement is the placement group that it is in. Its zero value is none. The host of On
	// must suit it.
	Placement Placement

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

	// ConnectionTracking of its interface has the real service's timeouts in the zero
	// value.
	ConnectionTracking ConnectionTracking

	// OnTermination says what becomes of its interface when it is terminated. If 0, it is
	// deleted if it was made with the instance; another has its own setting, and cannot be
	// told here to go.
	OnTermination OnTermination

	// MaxInterfaces is how many interfaces it may have. If 0, DefaultMaxInterfaces.
	MaxInterfaces int

	// BootTime is how long it takes to boot. If 0, no time. Until it has booted it
	// answers nothing and has no sockets: opening one fails with net.ErrClosed. After a
	// crash there is no such time.
	BootTime time.Duration

	// ShutdownTime is how long its operating system takes to shut down. If 0, it is
	// DefaultShutdownTime.
	ShutdownTime time.Duration

	// OnBoot runs each time when the instance has booted, after a crash too: it is where
	// its programs open their sockets. If nil, nothing does. It runs in a goroutine of its own, or if
	// BootTime is 0 and it is launched or started, before that returns.
	OnBoot func(*Instance)
}

// Instance is a machine in a subnet. It is a host: what a netfake.Host can do, it can.
type Instance struct {
	*netfake.Host
	cfg    InstanceConfig
	number uint64
	iface  *Interface                   // the primary one
	ifaces []*Interface                 // that are attached, as they came
	spent  []int                        // device indices that are not given again while it runs
	lost   map[netip.Addr]time.Duration // addresses that it had, and when it lost them
	about  aboutInstance                // what the instance metadata service knows
	dhcp   DHCPOptions                  // of the VPC when it was launched

	conntrack conntrackAllowance

	kernel netfake.Node // of a test's, that packets come to first; nil for none

	state   InstanceState
	on      *PhysicalHost // nil while it has none
	timer   *netfake.Timer
	next    func(now time.Duration) // when timer goes off
	boots   int                     // how often it has begun to boot
	hasRun  bool
	changed chan struct{} // closed when the state changes
}

// Instance launches an instance. A name that is taken in the world fails the test, as
// does an address that is taken (InvalidIPAddress.InUse), reserved or outside the
// subnet (InvalidParameterValue), a subnet without a free address
// (InsufficientFreeAddressesInSubnet), a group of another VPC (InvalidGroup.NotFound) or a
// placement group that is in another zone (InvalidPlacementGroup.InUse) or has no room
// (InsufficientInstanceCapacity). An interface that is there already fails it if it is
// attached (InvalidNetworkInterface.InUse), in another subnet, or the configuration says what
// is the interface's own (InvalidParameterCombination).
func (s *Subnet) Instance(name string, cfg InstanceConfig) *Instance {
	w := s.World()
	w.TB().Helper()
	s.mustExist()
	err := checkMetadata(&cfg)
	if err == nil {
		err = s.checkInstance(&cfg)
	}
	if err != nil {
		w.TB().Fatalf("%v (%s in subnet %s)", err, name, s.name)
	}
	s.vpc.region.local.start()
	i := &Instance{Host: w.NewHost(name, s.vpc.region.place), cfg: cfg, dhcp: s.vpc.dhcp, changed: make(chan struct{})}
	i.about = aboutInstance{cfg.Metadata, cfg.UserData, cfg.InstanceProfile, w.Now()}
	shape := cfg.interfaceConfig()
	if i.iface = cfg.Interface; i.iface == nil {
		i.iface = s.newInterface(name, shape, false)
		i.number = i.iface.id
	} else {
		i.number = nextNumber(w)
	}
	if cfg.OnBoot != nil {
		i.OnRestart(func() { cfg.OnBoot(i) })
	}
	i.timer = w.NewTimer("instance "+name, func(now time.Duration) { i.next(now) })
	on, err := i.home()
	if err != nil {
		w.TB().Fatalf("%v (%s in subnet %s)", err, name, s.name)
	}
	w.Do(func(time.Duration) {
		i.joinGroup()
		if cfg.OnTermination == KeepOnTermination {
			i.iface.attachment.ends = KeepOnTermination
		}
	})
	i.launch(on)
	if cfg.Interface == nil {
		i.iface.addAddresses(&shape)
	}
	i.configure()
	i.runPrograms()
	return i
}

// checkInstance refuses a configuration that cannot be, and puts defaults in the place of
// zeros.
func (s *Subnet) checkInstance(cfg *InstanceConfig) error {
	r := s.vpc.region
	switch {
	case cfg.On != nil && (cfg.On.region != r || cfg.On.zone != s.zone):
		return refuse(codeParameterValue, "host %s is in zone %s of %s, the subnet is not", cfg.On.name, cfg.On.zone, cfg.On.region)
	case cfg.BootTime < 0 || cfg.ShutdownTime < 0:
		return refuse(codeParameterValue, "BootTime %v, ShutdownTime %v", cfg.BootTime, cfg.ShutdownTime)
	case cfg.PublicIP > AutoAssignOff:
		return refuse(codeParameterValue, "PublicIP is %d", cfg.PublicIP)
	case cfg.MaxInterfaces < 0:
		return refuse(codeParameterValue, "MaxInterfaces %d", cfg.MaxInterfaces)
	}
	var err error
	s.vpc.world.Do(func(time.Duration) {
		if err = cfg.Placement.admit(s, cfg.On); err == nil {
			err = cfg.checkPrimary(s)
		}
	})
	if err != nil {
		return err
	}
	if cfg.MaxInterfaces == 0 {
		cfg.MaxInterfaces = DefaultMaxInterfaces
	}
	if cfg.ShutdownTime == 0 {
		cfg.ShutdownTime = DefaultShutdownTime
	}
	if cfg.PublicIP = cfg.PublicIP.or(s.autoPublic); cfg.Interface != nil {
		cfg.PublicIP = AutoAssignOff
	}
	return nil
}

// interfaceConfig is what the instance's configuration says of its primary interface.
func (cfg *InstanceConfig) interfaceConfig() InterfaceConfig {
	ends := cfg.OnTermination
	if ends == OnTerminationDefault {
		ends = DeleteOnTermination
	}
	return InterfaceConfig{
		PrivateIP: cfg.PrivateIP, SecondaryIPs: cfg.SecondaryIPs, IPv6Addresses: cfg.IPv6Addresses, IPv6AddressCount: cfg.IPv6AddressCount,
		Groups: cfg.Groups, SourceDestCheck: cfg.SourceDestCheck, ConnectionTracking: cfg.ConnectionTracking, OnTermination: ends,
	}
}

// ID returns the instance's identifier, as the real ones look: "i-0…".
func (i *Instance) ID() string { return fmt.Sprintf("i-%017x", i.number) }

// World returns the world that the instance is in.
func (i *Instance) World() *netfake.World { return made(i, "*Instance").Host.World() }

// Interface returns the instance's primary interface.
func (i *Instance) Interface() *Interface { return i.iface }

// Interfaces returns the interfaces that are attached to the instance, the primary one
// first, then in the order in which they were attached.
func (i *Instance) Interfaces() (all []*Interface) {
	i.World().Do(func(time.Duration) { all = slices.Clone(i.ifaces) })
	return all
}

// Appliance puts a node of another room into the subnet, behind an interface that a
// service manages: no security group applies to it, and it carries packets that are
// not its own. What the interface receives goes to guest; what guest sends to the
// interface's Out leaves it. No guest fails the test.
func (s *Subnet) Appliance(name string, guest netfake.Node) *Interface {
	s.tb().Helper()
	s.mustExist()
	if isNil(guest) {
		s.tb().Fatalf("%v", refuse(codeParameterValue, "the appliance %s has no guest", name))
	}
	f := s.newInterface(name, InterfaceConfig{SourceDestCheck: SourceDestCheckOff}, true)
	h := s.vpc.region.newHost("host of "+name, s.zone, nil)
	f.guest = guest
	s.vpc.world.Do(func(time.Duration) { f.place(h.device) })
	return f
}

// Withdraw deletes an interface that Appliance made, for the service that it belongs to: its
// address is free, and what still comes to it is dropped. It is for the rooms of services.
// Another interface fails the test with OperationNotPermitted, one that is deleted with
// InvalidNetworkInterfaceID.NotFound.
func (f *Interface) Withdraw() {
	f.tb().Helper()
	f.edit(func(now time.Duration) error {
		if !f.managed {
			return refuse(codeNotPermitted, "%s is no interface of a service", f.name)
		}
		f.remove(now)
		return nil
	})
}
