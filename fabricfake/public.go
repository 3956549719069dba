package fabricfake

import (
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// AutoAssign says whether instances get a public IPv4 address when they are launched and
// when they are started again.
type AutoAssign uint8

// The settings of a subnet and of an instance.
const (
	AutoAssignDefault AutoAssign = iota // of an instance: its subnet's setting; of a subnet: off
	AutoAssignOn
	AutoAssignOff
)

// AutoAssignPublicIP sets whether instances in the subnet get a public IPv4 address, unless
// they say otherwise. It concerns those that are launched afterwards.
func (s *Subnet) AutoAssignPublicIP(a AutoAssign) *Subnet {
	w := s.World()
	w.TB().Helper()
	s.mustExist()
	if a > AutoAssignOff {
		w.TB().Fatalf("%v (subnet %s)", refuse(codeParameterValue, "AutoAssign is %d", a), s.name)
	}
	w.Do(func(time.Duration) { s.autoPublic = a })
	return s
}

// or returns the setting of an instance in a subnet.
func (a AutoAssign) or(subnet AutoAssign) AutoAssign {
	if a == AutoAssignDefault {
		return subnet
	}
	return a
}

// publicBlock is where public addresses come from: RFC 2544 sets it aside for benchmarks,
// so it is nobody's.
var publicBlock = netip.MustParsePrefix("198.18.0.0/15")

const (
	firstPublic     = 10
	publicAddresses = 1 << 16 // that are ever given out in a world
)

// publicPool counts the public addresses that a world has given out.
type publicPool struct{ given uint32 }

func newPublicPool() *publicPool { return &publicPool{} }

// AllocatePublicIP returns a public address that nobody ever had. It is for the room of the
// gateways and for instances that get one assigned. A world without any left fails the
// test with InsufficientAddressCapacity.
func AllocatePublicIP(w *netfake.World) netip.Addr {
	in(w, "AllocatePublicIP").Helper()
	pool := netfake.Shared(w, newPublicPool)
	var n uint32
	w.Do(func(time.Duration) { n, pool.given = pool.given, pool.given+1 })
	if n >= publicAddresses {
		w.TB().Fatalf("%v", refuse("InsufficientAddressCapacity", "the world has given out %d public addresses", n))
	}
	return nthAddress(publicBlock, firstPublic+n)
}

// publicIP is a public address and the private one that it is translated to.
type publicIP struct {
	private, public netip.Addr
	auto            bool // assigned with the launch, and lost with the next stop
}

// PublicIP returns the public address that belongs to the interface's primary address, or
// the zero Addr.
func (f *Interface) PublicIP() netip.Addr { return f.PublicIPOf(f.addr) }

// PublicIPOf returns the public address that belongs to one of the interface's private
// addresses, or the zero Addr.
func (f *Interface) PublicIPOf(private netip.Addr) (addr netip.Addr) {
	f.vpc.world.Do(func(time.Duration) { addr = f.translation(private).public })
	return addr
}

// Public returns what PublicIP does. It may be called only inside the scheduler.
func (f *Interface) Public() netip.Addr { return f.translation(f.addr).public }

// SetPublicIP is SetPublicIPOf for the interface's primary address.
func (f *Interface) SetPublicIP(addr netip.Addr) {
	f.tb().Helper()
	f.SetPublicIPOf(f.addr, addr)
}

// SetPublicIPOf gives a private IPv4 address of the interface a public one, in the place of
// one that was assigned when the instance was launched; the zero Addr takes it away. It is
// for the room of the gateways. An interface that is deleted fails the test with
// InvalidNetworkInterfaceID.NotFound.
func (f *Interface) SetPublicIPOf(private, public netip.Addr) {
	f.tb().Helper()
	f.edit(func(time.Duration) error {
		f.untranslate(private)
		f.translate(publicIP{private: private, public: public})
		return nil
	})
	f.vpc.announce()
}

// Reassign gives the instance behind the interface a public address as with its launch, if
// it gets one assigned, runs or boots, and has no other interface and no public address. It
// is for the room of the gateways, when an elastic IP has gone.
func (f *Interface) Reassign() {
	f.tb().Helper()
	if i := f.Instance(); i != nil && i.iface == f {
		i.assignPublic()
	}
}

// HasElasticIP reports whether a private address of the interface has a public one that was
// not just assigned when the instance was launched.
func (f *Interface) HasElasticIP(private netip.Addr) (has bool) {
	f.vpc.world.Do(func(time.Duration) {
		t := f.translation(private)
		has = t.public.IsValid() && !t.auto
	})
	return has
}

// PublicOwner returns the interface of the VPC that a public address belongs to, with the
// private address that it stands for; nil if it belongs to none: as the API knows it, and not
// yet every edge, see Edge.KnowsPublic. It may be called only inside the scheduler.
func (v *VPC) PublicOwner(public netip.Addr) (f *Interface, private netip.Addr) {
	if f = v.publics[public]; f == nil {
		return nil, private
	}
	for _, t := range f.publics {
		if t.public == public {
			return f, t.private
		}
	}
	return nil, private
}

// PublicIPs returns how many public addresses belong to interfaces of the VPC. It may be
// called only inside the scheduler.
func (v *VPC) PublicIPs() int { return len(v.publics) }

// translation returns what a private address is translated to, the zero publicIP if to
// nothing.
func (f *Interface) translation(private netip.Addr) publicIP {
	for i := range f.publics {
		if f.publics[i].private == private {
			return f.publics[i]
		}
	}
	return publicIP{}
}

// translate gives the interface a public address; the zero publicIP is none.
func (f *Interface) translate(t publicIP) {
	if !t.public.IsValid() {
		return
	}
	f.publics = append(f.publics, t)
	if f.vpc.publics == nil {
		f.vpc.publics = map[netip.Addr]*Interface{}
	}
	f.vpc.publics[t.public] = f
	f.vpc.region.mapping.change(publicKey(f.vpc, t.public), &mapping{iface: f, private: t.private})
	f.announceOne(t.private)
}

// untranslate takes the public address of a private one away.
func (f *Interface) untranslate(private netip.Addr) {
	public := f.translation(private).public
	if !public.IsValid() {
		return
	}
	f.publics = slices.DeleteFunc(f.publics, func(t publicIP) bool { return t.private == private })
	delete(f.vpc.publics, public)
	f.vpc.region.mapping.change(publicKey(f.vpc, public), &mapping{})
	f.announceOne(private)
}

// announceOne is announce for one address, if the interface has it.
func (f *Interface) announceOne(addr netip.Addr) {
	if f.placed() && f.owns(addr) {
		f.vpc.region.mapping.add(f.vpc.vni, addr, f)
	}
}

// publicKey is under what the mapping service has a public address, which may be one of the
// VPC's own blocks besides: no VPC has a number of more than 24 bits.
func publicKey(v *VPC, public netip.Addr) mappingKey { return mappingKey{v.vni | 1<<24, public} }

// SetUplink tells the VPC where on the internet its public addresses and IPv6 blocks are
// announced: at the uplink of its internet gateway, nil for nowhere. An address stays
// announced when it belongs to nobody any more. It is for the room of the gateways.
func (v *VPC) SetUplink(u *netfake.Uplink) {
	v.tb().Helper()
	if v.uplink != nil {
		for _, addr := range v.announced {
			v.uplink.Withdraw(addr)
		}
		for _, block := range v.announced6 {
			v.uplink.WithdrawPrefix(block)
		}
	}
	v.uplink, v.announced, v.announced6 = u, nil, nil
	v.announce()
}

// Unannounce has the internet no longer bring to the VPC what is for a public address that
// belongs to nobody in it any more. It is for the room of the gateways, when the address comes to
// another VPC.
func (v *VPC) Unannounce(public netip.Addr) {
	v.tb().Helper()
	if i := slices.Index(v.announced, public); i >= 0 {
		v.uplink.Withdraw(public)
		v.announced = slices.Delete(v.announced, i, i+1)
	}
}

// announce has the internet bring what is for the VPC's public addresses and IPv6 blocks to
// its gateway, and what was for a block that has left no longer.
func (v *VPC) announce() {
	v.tb().Helper()
	if v.uplink == nil {
		return
	}
	var addrs []netip.Addr
	var blocks []netip.Prefix
	v.world.Do(func(time.Duration) {
		for addr := range v.publics {
			if !slices.Contains(v.announced, addr) {
				addrs = append(addrs, addr)
			}
		}
		for _, block := range v.cidrs6 {
			if !block.Addr().IsPrivate() {
				blocks = append(blocks, block)
			}
		}
	})
	slices.SortFunc(addrs, netip.Addr.Compare)
	for _, addr := range addrs {
		v.uplink.Announce(addr)
	}
	for _, block := range v.announced6 {
		if !slices.Contains(blocks, block) {
			v.uplink.WithdrawPrefix(block)
		}
	}
	for _, block := range blocks {
		if !slices.Contains(v.announced6, block) {
			v.uplink.AnnouncePrefix(block)
		}
	}
	v.announced, v.announced6 = append(v.announced, addrs...), blocks
}
