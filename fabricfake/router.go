package fabricfake

import (
	"fmt"
	"net/netip"

	"github.com/netspec-go/netspec/netfake"
)

// The VPC's router does not count the TTL down: a traceroute inside a VPC has one hop. But
// it is the router that cuts a packet which is too big for what its route leads to, or tells
// the instance if that may not be, as tracepath shows in
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/network_mtu.html

// RouterAddr returns the address of the VPC's router in the subnet: the block's first
// behind the network's own.
func (s *Subnet) RouterAddr() netip.Addr { return s.block.Addr().Next() }

// routerAddr6 is where the VPC's router is over IPv6, in every subnet. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
var routerAddr6 = netip.MustParseAddr("fe80:ec2::1")

// RouterAddr6 returns the address of the VPC's router over IPv6.
func (s *Subnet) RouterAddr6() netip.Addr { return routerAddr6 }

const codeTooBig netfake.Code = "MTU_EXCEEDED"

// fits reports whether a packet may take the route that a passage has found, whose target
// has an MTU, and what becomes of it if not: it is cut if it does not forbid that.
func (f *Interface) fits(p *netfake.Packet, m *passage) (netfake.Next, bool) {
	mtu := m.next.MTU
	if mtu == 0 || p.Largest() <= mtu {
		return netfake.Next{}, true
	}
	if p.MayFragment() && !p.Probing() {
		return p.Cut(mtu, f.hop(m.target, netfake.Egress, "", ""), &routed{f, *m}), false
	}
	rule := fmt.Sprintf("%d bytes exceed the MTU of %d", p.Largest(), mtu)
	hop := f.hop(m.target, netfake.Egress, rule, codeTooBig)
	e := netfake.ICMPError{Kind: netfake.PacketTooBig, MTU: mtu}
	from := f.subnet.RouterAddr()
	if !p.Flow.Src.Addr().Is4() {
		from = routerAddr6
	}
	return p.Reject(hop, e, from, routerVoice{f}), false
}

// routerVoice is where what the VPC's router has to say to an interface starts. It comes
// in like any packet from outside of the subnet: the network ACL must let it in, and the
// security groups do if they track what it is about.
type routerVoice struct{ *Interface }

// Step takes the router's packet to the guest.
func (v routerVoice) Step(p *netfake.Packet) netfake.Next {
	f := v.Interface
	m := passage{to: f, opened: f.tracker.opened}
	if f.subnet.stopped(p, f, netfake.Ingress, &m) || f.stopped(p, netfake.Ingress, nil, &m) {
		f.log(p, netfake.Ingress, FlowReject, PathWithinVPC)
		return netfake.Next{}
	}
	f.log(p, netfake.Ingress, FlowAccept, PathWithinVPC)
	f.mirror(p, netfake.Ingress, false)
	return p.To(f.guest)
}
