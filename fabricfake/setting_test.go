package fabricfake

import (
	"fmt"
	"net/netip"
	"time"
)

// setting is how the two of a life talk. The zero setting is over IPv4, by the routes that
// every table has.
type setting struct {
	name   string
	six    bool // over IPv6
	routed bool // through an instance that sends on what is for others
}

var settings = []setting{
	{name: "IPv4"},
	{name: "IPv6", six: true},
	{name: "router", routed: true},
	{name: "router of IPv6", six: true, routed: true},
}

func (s setting) anywhere() CIDR {
	if s.six {
		return AnywhereIPv6
	}
	return Anywhere
}

// block returns the block of subnet i, and for 0 that of the VPC.
func (s setting) block(i int) string {
	switch {
	case s.six && i == 0:
		return "2001:db8:7::/56"
	case s.six:
		return fmt.Sprintf("2001:db8:7:%d::/64", i)
	case i == 0:
		return "10.0.0.0/16"
	}
	return fmt.Sprintf("10.0.%d.0/24", i)
}

func (s setting) addr(i *Instance) netip.Addr {
	if s.six {
		return i.Addr6()
	}
	return i.Addr()
}

// settle gives the hosts a second address each, of which one may move, and puts the router
// between the two, if there is one: then there are so many rules that judgements are remembered.
func (l *life) settle() {
	f := l.hosts[1].Interface()
	if l.six {
		l.floats = f.AssignIPv6("2001:db8:7:2::100")
	} else {
		l.floats = f.AssignPrivateIP("10.0.2.100")
	}
	twin := l.addr(l.hosts[0]).AsSlice()
	twin[len(twin)-1] ^= 16
	l.twin, _ = netip.AddrFromSlice(twin)
	alone := netip.PrefixFrom(l.twin, l.twin.BitLen()).String() // of which the ACL's hits tell
	l.acl.AllowIngress(140, "tcp", alone).AllowEgress(140, "tcp", alone)
	if l.six {
		l.hosts[0].Interface().AssignIPv6(l.twin.String())
	} else {
		l.hosts[0].Interface().AssignPrivateIP(l.twin.String())
	}
	if !l.routed {
		return
	}
	vpc := f.VPC()
	group := vpc.SecurityGroup("router").AllowIngress("all", CIDR(l.block(0))).AllowIngress("tcp", l.anywhere())
	l.groups = append(l.groups, group)
	s := vpc.Subnet("sc", "10.0.3.0/24", "a").AddIPv6("2001:db8:7:3::/64")
	l.router = s.Instance("router", InstanceConfig{Groups: Groups{group}, SourceDestCheck: SourceDestCheckOff, IPv6AddressCount: 1})
	l.router.Forward(forwarder{l.router.Interface()})
	for i, h := range l.hosts {
		h.Interface().Subnet().Route(l.block(2-i), l.router)
		for n := range fewRules {
			perm := fmt.Sprint("udp/", 3000+n)
			l.groups[i].AllowIngress(perm, l.anywhere()).AllowEgress(perm, l.anywhere())
		}
	}
}

// move gives an instance the address that moves.
func (l *life) move(to *Instance) {
	if !l.six {
		to.Interface().MovePrivateIP(l.floats.String())
		return
	}
	from := l.hosts[1]
	if from == to {
		from = l.spare
	}
	from.Interface().Unassign(l.floats)
	to.Interface().AssignIPv6(l.floats.String())
}

// restart has an instance come back on another physical host, soon or after some talk.
func (l *life) restart(i *Instance) {
	l.Toggle("restart "+i.Name(), i.ForceStop, i.Start)
}

// reroute changes what the router lets pass, or what goes through it, if there is one.
func (l *life) reroute(kind, which int) {
	if l.router == nil {
		return
	}
	f, i := l.router.Interface(), which%2
	switch kind {
	case 0:
		table := l.hosts[i].Interface().Subnet().RouteTable()
		l.Toggle(fmt.Sprint("route", i), func() { table.DeleteRoute(l.block(2 - i)) }, func() { table.Route(l.block(2-i), l.router) })
	case 1:
		if i == 0 {
			l.restart(l.router)
		} else {
			l.Toggle("router's rule", func() { l.groups[2].RevokeIngress("all", CIDR(l.block(0))) }, func() { l.groups[2].AllowIngress("all", CIDR(l.block(0))) })
		}
	case 2:
		switch which % 4 {
		case 0:
			l.Toggle("router's check", func() { f.SetSourceDestCheck(SourceDestCheckOn) }, func() { f.SetSourceDestCheck(SourceDestCheckOff) })
		case 1:
			l.Toggle("kernel", func() { l.router.Forward(nil) }, func() { l.router.Forward(forwarder{f}) })
		case 2:
			l.Toggle("router's allowance", func() { l.router.SetConntrackAllowance(2) }, func() { l.router.SetConntrackAllowance(0) })
		case 3:
			l.Toggle("router's tracking", func() { f.SetConnectionTracking(ConnectionTracking{TCPEstablished: time.Minute}) }, func() { f.SetConnectionTracking(ConnectionTracking{}) })
		}
	}
}
