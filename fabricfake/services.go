package fabricfake

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// Where the services beside an instance answer. Sources:
// https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html,
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/set-time.html and
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
var (
	resolverAddress  = netip.MustParseAddr("169.254.169.253")
	resolverAddress6 = netip.MustParseAddr("fd00:ec2::253")
	timeAddress      = netip.MustParseAddr("169.254.169.123")
	timeAddress6     = netip.MustParseAddr("fd00:ec2::123")
	metadataAddress  = netip.MustParseAddr("169.254.169.254")
	metadataAddress6 = netip.MustParseAddr("fd00:ec2::254")
)

// besideBlocks are the addresses beside every instance. Of the first, a route of the
// subnet's own may lead to those that unroutable does not keep.
var besideBlocks = blocks("169.254.0.0/16", "fd00:ec2::/32", "fe80::/10")

// isBeside reports whether an address is beside the instances of the VPC, so that security
// groups, ACLs, routes and flow logs do not apply to it.
func (v *VPC) isBeside(dst netip.Addr) bool {
	if dst.Is4() {
		return besideBlocks[0].Contains(dst) || dst == v.resolver.addr
	}
	return besideBlocks[1].Contains(dst) || besideBlocks[2].Contains(dst)
}

// leadsAway reports whether a route of the subnet names an address beside its instances.
func (s *Subnet) leadsAway(dst netip.Addr) bool {
	r := s.routes().lookup(dst)
	return r != nil && besideBlocks[0].Contains(r.Destination.Addr()) && r.Destination.Bits() >= besideBlocks[0].Bits()
}

// The codes of what the services refuse. AWS has none for it.
const (
	codeNoService netfake.Code = "NO_POSSIBLE_DESTINATION"
	codeAllowance netfake.Code = "LINKLOCAL_ALLOWANCE_EXCEEDED"
)

// consult takes a packet of the interface to a service beside it.
func (f *Interface) consult(p *netfake.Packet, dst netip.Addr) netfake.Next {
	s := f.vpc.region.local
	hop := f.hop(s, netfake.Egress, "", "")
	to, what := f.service(dst)
	switch src := p.Flow.Src.Addr(); {
	case to == nil:
		hop.Rule, hop.Code = what, codeNoService
		return p.Drop(hop)
	case !f.owns(src):
		if !f.hadOfLate(src, p.At()) {
			p.Alarm(f, fmt.Sprintf("asks %v as %v, which is not its address", dst, src))
		}
		hop.Rule, hop.Code = fmt.Sprintf("%v is not %v", src, listed(f.addresses())), codeSourceCheck
		return p.Drop(hop)
	case !p.Probing() && !f.local.admit(p.At(), p.Segments()):
		hop.Rule, hop.Code = fmt.Sprintf("more than %d packets in a second", LinkLocalAllowance), codeAllowance
		return p.Drop(hop)
	}
	if p.Traced() {
		hop.Rule = what
		p.Passed(hop)
	}
	if to == f.vpc.resolver.host {
		f.mirror(p, netfake.Egress, true)
		f.vpc.resolver.note(p, f)
	} else {
		p.SetSrc(netip.AddrPortFrom(s.aliases.of(p, caller{f, p.Flow.Src.Addr()}), p.Flow.Src.Port()))
	}
	return p.Over(f.vpc.region.inside, to)
}

// service returns who answers at an address beside the interface, and what that is; nil,
// and why, if nobody does.
func (f *Interface) service(dst netip.Addr) (*netfake.Host, string) {
	v := f.vpc
	s := v.region.local
	switch dst {
	case v.resolver.addr, resolverAddress, resolverAddress6:
		switch {
		case v.resolver.host == nil:
			return nil, "the VPC has no resolver"
		case v.dns.supportOff:
			return nil, "enableDnsSupport is off"
		}
		return v.resolver.host, fmt.Sprintf("%v is the resolver", dst)
	case timeAddress, timeAddress6:
		return s.host, fmt.Sprintf("%v is the Amazon Time Sync Service", dst)
	case metadataAddress, metadataAddress6:
		switch {
		case f.instance == nil:
			return nil, "the interface belongs to no instance"
		case !dst.Is4() && f.instance.about.options.HTTPProtocolIPv6 == MetadataIPv6Disabled:
			return nil, "the instance's HttpProtocolIpv6 is disabled"
		}
		return s.host, fmt.Sprintf("%v is the instance metadata service", dst)
	}
	return nil, fmt.Sprintf("no service has %v", dst)
}

// localServices are what answers beside every instance of a region: one host, which
// starts with the region's first instance. It tells those who ask apart by their aliases.
type localServices struct {
	region  *Region
	host    *netfake.Host
	aliases *aliases
}

// String returns "link-local services".
func (s *localServices) String() string { return "link-local services" }

// start starts the services, once.
func (s *localServices) start() {
	if s.host != nil {
		return
	}
	w := s.region.world
	h := w.NewHost("link-local services of "+s.region.name, s.region.place)
	for _, addr := range []netip.Addr{metadataAddress, metadataAddress6, timeAddress, timeAddress6} {
		h.AddNIC(addr, MTU, s)
	}
	w.Do(func(time.Duration) { s.host = h })
	s.serveTime(timeAddress)
	s.serveTime(timeAddress6)
	s.serveMetadata()
}

// Step takes an answer of the services to the interface that asked.
func (s *localServices) Step(p *netfake.Packet) netfake.Next {
	c, ok := s.aliases.callers[p.Flow.Dst.Addr()]
	if !ok {
		return s.nobody(p)
	}
	p.SetDst(netip.AddrPortFrom(c.addr, p.Flow.Dst.Port()))
	if about, ok := p.Quoted(); ok {
		p.SetQuotedSrc(netip.AddrPortFrom(c.addr, about.Src.Port()))
	}
	return p.Over(s.region.inside, &answer{s, c, false})
}

// nobody drops an answer to one who is not there.
func (s *localServices) nobody(p *netfake.Packet) netfake.Next {
	return p.Drop(netfake.Hop{Place: s.region.name, By: s, Code: codeUnknownAddress, Rule: "who asked has gone"})
}

// answer is where an answer comes to who has asked. It needs no mapping, whatever has become
// of those: the caller's host knows by itself where it was asked.
type answer struct {
	*localServices
	caller
	mirrored bool
}

// TakesTrains implements netfake.TrainNode. Only a mirror session copies packets.
func (a *answer) TakesTrains() bool { return len(a.iface.mirrors) == 0 }

// Step takes the answer to the guest.
func (a *answer) Step(p *netfake.Packet) netfake.Next {
	f := a.iface
	switch {
	case !f.owns(a.addr) || !f.placed():
		return a.nobody(p)
	case f.device.failed(p):
		return p.Drop(f.device.outage(f.name, netfake.Ingress))
	}
	if a.mirrored {
		f.mirror(p, netfake.Ingress, true)
	}
	return p.To(f.guest)
}

// LinkLocalAllowance is how many packets in a second an interface may send to the services
// beside it, all together. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html
const LinkLocalAllowance = allowanceRate

// allowanceRate is how many packets an allowance has for a second.
const allowanceRate = 1024

// allowance counts what an interface sends of a kind. Its zero value is a full one.
type allowance struct {
	used     int64         // at the time, in packets times nanoseconds: it sinks by 1,024 each
	at       time.Duration // of the last packet
	exceeded uint64
}

// admit reports whether n more packets may go at now.
func (a *allowance) admit(now time.Duration, n int) bool {
	const full = int64(allowanceRate) * int64(time.Second)
	if gone := now - a.at; gone >= time.Second {
		a.used = 0
	} else {
		a.used = max(a.used-int64(gone)*allowanceRate, 0)
	}
	a.at = now
	if a.used+int64(n)*int64(time.Second) > full {
		a.exceeded += uint64(n)
		return false
	}
	a.used += int64(n) * int64(time.Second)
	return true
}

// LinkLocalAllowanceExceeded returns how many packets of the interface to the services
// beside it were dropped since there were more than LinkLocalAllowance in a second: what
// ethtool calls linklocal_allowance_exceeded. Up to that many pass at once. AWS says of
// allowances in general that what is above them is queued and then dropped, of this one alone
// that it is dropped, and of a queue no length: here nothing waits. Source:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-network-performance-ena.html
func (f *Interface) LinkLocalAllowanceExceeded() (n uint64) {
	f.vpc.world.Do(func(time.Duration) { n = f.local.exceeded })
	return n
}

// vpcResolver is a VPC's name server.
type vpcResolver struct {
	host *netfake.Host // nil for none
	addr netip.Addr    // the block's base plus two
	nics map[netip.Prefix]*netfake.NIC

	asked map[netip.Addr]*Interface // who was the last to ask from an address
}

// note notes that an interface has asked: the answer goes back to where it is.
func (r *vpcResolver) note(p *netfake.Packet, f *Interface) {
	addr := p.Flow.Src.Addr()
	before, known := r.asked[addr]
	if before == f {
		return
	}
	put(&r.asked, addr, f)
	p.Undo(func() { restore(&r.asked, addr, before, known) })
}

// AttachResolver makes a host the VPC's resolver, at the primary block's base plus two, at
// 169.254.169.253 and at fd00:ec2::253, for whichever instance of the VPC asks. Instances
// that are launched afterwards ask it for names. Security groups, ACLs and route tables do
// not apply to it. A host that answers by UDP listens at each of these addresses by itself,
// so that answers come from where was asked. No host fails the test.
func (v *VPC) AttachResolver(h *netfake.Host) {
	v.tb().Helper()
	v.mustExist()
	if h == nil {
		v.tb().Fatalf("%v", refuse(codeParameterValue, "vpc %s: there is no host that could be its resolver", v.name))
	}
	addr := nthAddress(v.cidrs[0], 2)
	back := &resolverReply{v}
	for _, at := range []netip.Addr{resolverAddress, resolverAddress6} {
		h.AddNIC(at, MTU, back, netip.PrefixFrom(at, at.BitLen()))
	}
	v.world.Do(func(time.Duration) {
		v.resolver = vpcResolver{host: h, addr: addr, nics: map[netip.Prefix]*netfake.NIC{}}
	})
	for _, block := range v.CIDRs() {
		v.resolver.serve(v, block)
	}
}

// ResolverAddrs returns where the VPC's resolver answers: the primary block's base plus
// two, 169.254.169.253 and fd00:ec2::253.
func (v *VPC) ResolverAddrs() []netip.Addr {
	return []netip.Addr{nthAddress(v.cidrs[0], 2), resolverAddress, resolverAddress6}
}

// serve has the resolver's answers find to a block of the VPC.
func (r *vpcResolver) serve(v *VPC, block netip.Prefix) {
	if r.host == nil {
		return
	}
	at := r.addr
	if !block.Addr().Is4() {
		at = resolverAddress6
	}
	nic := r.host.AddNIC(at, MTU, &resolverReply{v}, block)
	v.world.Do(func(time.Duration) { r.nics[block] = nic })
}

// forget takes back serve. It is called inside the scheduler.
func (r *vpcResolver) forget(block netip.Prefix) {
	if nic := r.nics[block]; nic != nil {
		nic.Remove()
		delete(r.nics, block)
	}
}

// resolverReply takes what a VPC's resolver answers back to the instances.
type resolverReply struct{ vpc *VPC }

// String returns "link-local services".
func (s *resolverReply) String() string { return s.vpc.region.local.String() }

// Step sends the answer to the interface that asked.
func (s *resolverReply) Step(p *netfake.Packet) netfake.Next {
	r, addr := s.vpc.region, p.Flow.Dst.Addr()
	f := s.vpc.resolver.asked[addr]
	if f == nil {
		return r.local.nobody(p)
	}
	return p.Over(r.inside, &answer{r.local, caller{f, addr}, true})
}
