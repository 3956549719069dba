package fabricfake

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// maxInterfaceAddresses is how many addresses of a family an interface has, of the largest
// instance types. Source: the pages of
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/AvailableIpPerENI.html
const maxInterfaceAddresses = 50

// AssignPrivateIP gives the interface one more IPv4 address of its subnet, or if addr is
// "" the lowest that is free, and returns it. The instance behind it has the address at
// once, as if its operating system had been told. An address that is taken fails the test
// with InvalidIPAddress.InUse: see MovePrivateIP.
func (f *Interface) AssignPrivateIP(addr string) netip.Addr {
	f.tb().Helper()
	return f.assign(32, func(time.Duration) (netip.Addr, error) { return f.subnet.takeAddress(addr) })
}

// AssignIPv6 gives the interface an IPv6 address of its subnet, or if addr is "" the next
// one that is free, and returns it.
func (f *Interface) AssignIPv6(addr string) netip.Addr {
	f.tb().Helper()
	return f.assign(128, func(time.Duration) (netip.Addr, error) { return f.subnet.takeIPv6(addr) })
}

// MovePrivateIP takes a secondary IPv4 address from the interface of the subnet that has
// it, as AssignPrivateIpAddresses does with AllowReassignment: packets to it come here from
// then on, and an elastic IP that belongs to it comes with it. Connections of the one who
// had it get no answer any more. An address of an interface that a service manages fails the
// test with OperationNotPermitted, unless it is for another one of a service.
func (f *Interface) MovePrivateIP(addr string) netip.Addr {
	f.tb().Helper()
	return f.assign(32, func(now time.Duration) (netip.Addr, error) {
		ip, err := netip.ParseAddr(addr)
		if err != nil {
			return ip, refuse(codeParameterValue, "%q is no IP address", addr)
		}
		from := f.vpc.holder(ip)
		switch {
		case from == nil || from.subnet != f.subnet:
			return ip, refuse(codeParameterValue, "no interface of the subnet %s has %v", f.subnet.name, ip)
		case from.managed && !f.managed:
			return ip, refuse(codeNotPermitted, "%v is an address of %s, which a service manages", ip, from.name)
		case !ip.Is4() || !slices.Contains(from.more, ip):
			return ip, refuse(codeParameterValue, "%v is no secondary IPv4 address of %s", ip, from.name)
		}
		public := from.translation(ip)
		from.drop(ip, now)
		f.translate(public)
		return ip, nil
	})
}

// assign adds an address of so many bits that take gets from the subnet.
func (f *Interface) assign(bits int, take func(now time.Duration) (netip.Addr, error)) (addr netip.Addr) {
	f.tb().Helper()
	f.edit(func(now time.Duration) (err error) {
		if f.countAddresses(bits) >= maxInterfaceAddresses {
			return refuse("PrivateIpAddressLimitExceeded", "%s has %d addresses of a family, and no room for another", f.name, maxInterfaceAddresses)
		}
		if addr, err = take(now); err != nil {
			return err
		}
		f.more = append(f.more, addr)
		if f.placed() {
			f.vpc.region.mapping.add(f.vpc.vni, addr, f)
		}
		f.plug(addr)
		return nil
	})
	return addr
}

// Unassign takes a secondary or an IPv6 address off the interface, and gives it back to
// the subnet. An elastic IP that belongs to it belongs to nobody then. The primary address
// cannot be taken off.
func (f *Interface) Unassign(addr netip.Addr) {
	f.tb().Helper()
	f.edit(func(now time.Duration) error {
		if !slices.Contains(f.more, addr) {
			return refuse(codeParameterValue, "%v is no secondary address of %s", addr, f.name)
		}
		f.drop(addr, now)
		f.subnet.release(addr)
		return nil
	})
}

// drop takes an address off the interface inside the scheduler.
func (f *Interface) drop(addr netip.Addr, now time.Duration) {
	f.more = slices.DeleteFunc(f.more, func(a netip.Addr) bool { return a == addr })
	if f.placed() {
		f.vpc.region.mapping.remove(f.vpc.vni, addr)
	}
	f.untranslate(addr)
	f.unplug(addr, now)
}

// plug gives an address of the interface to the instance behind it, inside the scheduler.
func (f *Interface) plug(addr netip.Addr) {
	if f.instance == nil || f.guest == nil {
		return
	}
	if f.nics == nil {
		f.nics = map[netip.Addr]*netfake.NIC{}
	}
	f.nics[addr] = f.instance.Plug(addr, MTU, &f.out)
}

// unplug takes it away again.
func (f *Interface) unplug(addr netip.Addr, now time.Duration) {
	if nic := f.nics[addr]; nic != nil {
		nic.Remove()
		delete(f.nics, addr)
		put(&f.instance.lost, addr, now)
	}
}

// holder returns the interface of the VPC that has an address, wherever it is; nil if none
// has. It may be called only inside the scheduler.
func (v *VPC) holder(addr netip.Addr) *Interface {
	for _, f := range v.region.interfaces {
		if f.vpc == v && f.owns(addr) {
			return f
		}
	}
	return nil
}

// Addresses returns the interface's private addresses: the primary one first, then the
// others in the order in which they were assigned.
func (f *Interface) Addresses() (all []netip.Addr) {
	f.vpc.world.Do(func(time.Duration) { all = f.addresses() })
	return all
}

func (f *Interface) addresses() []netip.Addr { return append([]netip.Addr{f.addr}, f.more...) }

// IPv6 returns the interface's first IPv6 address, or the zero Addr.
func (f *Interface) IPv6() (addr netip.Addr) {
	for _, a := range f.Addresses() {
		if !a.Is4() {
			return a
		}
	}
	return netip.Addr{}
}

func (f *Interface) countAddresses(bits int) (n int) {
	for _, a := range f.addresses() {
		if a.BitLen() == bits {
			n++
		}
	}
	return n
}

// listed prints addresses as a refusal names them: "10.0.0.5", "10.0.0.5 or 10.0.0.9".
func listed(addrs []netip.Addr) string {
	words := make([]string, len(addrs))
	for i, a := range addrs {
		words[i] = a.String()
	}
	return strings.Join(words, " or ")
}

// owns reports whether an address is the interface's own.
func (f *Interface) owns(addr netip.Addr) bool {
	return addr == f.addr || len(f.more) > 0 && slices.Contains(f.more, addr)
}

// takeIPv6 takes an address of the subnet's IPv6 block.
func (s *Subnet) takeIPv6(text string) (addr netip.Addr, err error) {
	if text != "" {
		if addr, err = netip.ParseAddr(text); err != nil || addr.Is4() {
			return addr, refuse(codeParameterValue, "%q is no IPv6 address", text)
		}
	}
	if s.free6 == nil {
		return addr, refuse(codeParameterValue, "the subnet has no IPv6 block")
	}
	return s.free6.take(addr)
}

// release gives an address back.
func (s *Subnet) release(addr netip.Addr) {
	if addr.Is4() {
		s.free.release(addr)
		return
	}
	s.free6.release(addr)
}
