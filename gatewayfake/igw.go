package gatewayfake

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// The explanation codes of internet gateways. Source:
// https://docs.aws.amazon.com/vpc/latest/reachability/explanation-codes.html
const (
	codeNoPublicIP     netfake.Code = "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"
	codeNoPrivateIP    netfake.Code = "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS"
	codeToPrivate      netfake.Code = "IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS"
	codeToShared       netfake.Code = "IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS"
	codeFromPrivate    netfake.Code = "IGW_SOURCE_ADDRESS_NOT_IN_RFC1918_INGRESS"
	codeFromShared     netfake.Code = "IGW_SOURCE_ADDRESS_NOT_IN_RFC6598_INGRESS"
	codeSpoofed        netfake.Code = "GATEWAY_REJECTS_SPOOFED_TRAFFIC"
	codeTooBig         netfake.Code = "MTU_EXCEEDED"
	internetGatewayMTU              = 1500 // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/network_mtu.html
)

// sharedSpace is RFC 6598.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// InternetGateway connects a VPC with the internet. It translates between the private
// address of an interface and the public one that belongs to it, one to one and
// without state; it is no device and has no limit. What ICMP errors quote is translated
// with them. Packets of IPv6 pass as they are, both ways: the internet brings what is for the
// VPC's blocks to the gateway. It counts as a hop, which answers no traceroute.
type InternetGateway struct {
	vpc      *fabricfake.VPC
	name     string
	edge     *fabricfake.Edge
	uplink   *netfake.Uplink
	attached bool

	leaving, entering counterparts
}

// NewInternetGateway makes an internet gateway and attaches it to a VPC. A VPC that has
// one already fails the test with Resource.AlreadyAssociated; a name that is empty or
// that another internet gateway of the VPC has or had, with InvalidParameterValue. A nil VPC panics.
func NewInternetGateway(vpc *fabricfake.VPC, name string) *InternetGateway {
	if vpc == nil {
		panic("gatewayfake: NewInternetGateway of no VPC")
	}
	vpc.World().TB().Helper()
	title := title{vpc, "internet gateway", name}
	title.check()
	vpc.AttachGateway(name)
	title.take()
	g := &InternetGateway{vpc: vpc, name: name, attached: true}
	g.edge = fabricfake.NewPublicEdge(vpc, name, g)
	g.uplink = vpc.World().Internet().Attach(vpc.Name()+" "+name, vpc.Region().Place(), g)
	vpc.SetUplink(g.uplink)
	addresses(vpc.World()).gateways[vpc] = g
	return g
}

// String returns the gateway's name.
func (g *InternetGateway) String() string { return g.name }

// world returns the world that the gateway is in. No gateway, of which there is no test to
// fail, panics.
func (g *InternetGateway) world() *netfake.World {
	if g == nil {
		panic("gatewayfake: a method of a nil *InternetGateway")
	}
	return g.vpc.World()
}

// Attached reports whether the gateway is attached to its VPC.
func (g *InternetGateway) Attached() bool { return g != nil && g.attached }

// NextHop leads to the gateway's edge.
func (g *InternetGateway) NextHop() fabricfake.NextHop {
	return fabricfake.NextHop{Edge: g.edge, MTU: internetGatewayMTU, Path: fabricfake.PathInternetGateway}
}

// Uplink returns the gateway's connection to the internet, to be slowed down, made
// lossy or cut.
func (g *InternetGateway) Uplink() *netfake.Uplink { return g.uplink }

// Associate gives the gateway a route table, in place of the one that it has: what comes from
// the internet goes where the table says, once its destination is a private address, such
// as to a middlebox. See fabricfake.Edge.Associate for the tables that it may be.
func (g *InternetGateway) Associate(t *fabricfake.RouteTable) *InternetGateway {
	g.world().TB().Helper()
	g.edge.Associate(t)
	return g
}

// Disassociate takes the gateway's route table away.
func (g *InternetGateway) Disassociate() {
	g.world().TB().Helper()
	g.edge.Disassociate()
}

// RouteTable returns the gateway's route table, nil for none.
func (g *InternetGateway) RouteTable() *fabricfake.RouteTable { return g.edge.RouteTable() }

// Detach takes the gateway off its VPC: routes to it become blackholes, and what comes
// from the internet is dropped. A VPC with public addresses that are mapped refuses it
// with DependencyViolation, which fails the test. A gateway that is detached stays so.
func (g *InternetGateway) Detach() {
	w := g.world()
	w.TB().Helper()
	mapped, was := 0, false
	w.Do(func(time.Duration) {
		was = g.attached
		if !was {
			return
		}
		if mapped = g.vpc.PublicIPs(); mapped == 0 {
			g.attached = false
		}
	})
	if mapped > 0 {
		w.TB().Fatalf("gatewayfake: DependencyViolation: vpc %s has %d mapped public addresses, so %s cannot be detached", g.vpc.Name(), mapped, g.name)
	}
	if was {
		g.vpc.SetUplink(nil)
		g.vpc.DetachGateway(g.name)
	}
}

// TakesTrains implements netfake.TrainNode: only headers are translated.
func (g *InternetGateway) TakesTrains() bool { return true }

// Leave takes a packet from the VPC to the internet.
func (g *InternetGateway) Leave(p *netfake.Packet, from *fabricfake.Interface) netfake.Next {
	public := g.leaving.find(p)
	if !public.IsValid() {
		var end netfake.Next
		if public, end = g.allowsOut(p); !public.IsValid() {
			return end
		}
	}
	src := p.Flow.Src.Addr()
	switch {
	case p.Len() > internetGatewayMTU && p.Largest() > internetGatewayMTU:
		return g.drop(p, netfake.Egress, fmt.Sprintf("%d bytes exceed the MTU of %d", p.Largest(), internetGatewayMTU), codeTooBig)
	case !p.CountDown():
		return g.expire(p, netfake.Egress)
	case src == public:
		g.untranslated(p, netfake.Egress)
		return p.To(g.uplink)
	}
	p.SetSrc(netip.AddrPortFrom(public, p.Flow.Src.Port()))
	if p.Flow.Proto == netfake.ICMP {
		if about, ok := p.Quoted(); ok { // what it speaks of went to the public address
			p.SetQuotedDst(netip.AddrPortFrom(public, about.Dst.Port()))
		}
	}
	if p.Traced() {
		g.passed(p, netfake.Egress, fmt.Sprintf("source %v → %v", src, public))
	}
	return p.To(g.uplink)
}

// allowsOut asks whether a packet may leave the VPC, and remembers that it may, and under
// which address. One that may not, it drops.
func (g *InternetGateway) allowsOut(p *netfake.Packet) (netip.Addr, netfake.Next) {
	known := g.edge.Knows(p, p.Flow.Src.Addr())
	public, why := g.maySend(known, p.Flow.Src.Addr(), p.Flow.Dst.Addr())
	if !public.IsValid() {
		return public, p.Drop(why)
	}
	g.leaving.put(p, public, known)
	return public, netfake.Next{}
}

// maySend returns the address under which src, of which so much is known, may send to the
// internet, its own over IPv6; the zero Addr if it may not, and then why.
func (g *InternetGateway) maySend(known fabricfake.Knowledge, src, dst netip.Addr) (netip.Addr, netfake.Hop) {
	public := known.Public
	if !src.Is4() && !src.IsPrivate() && known.Interface != nil {
		public = src
	}
	switch {
	case !g.attached:
		return netip.Addr{}, g.hop(netfake.Egress, "the gateway is detached", "BAD_STATE_ATTACHMENT")
	case !public.IsValid():
		hop := g.hop(netfake.Egress, fmt.Sprintf("%v has no public address", src), codeNoPublicIP)
		hop.Hint = cmp.Or(known.Lag, "give the interface an elastic IP, or route through a NAT gateway")
		return netip.Addr{}, hop
	case dst.IsPrivate():
		return netip.Addr{}, g.hop(netfake.Egress, fmt.Sprintf("%v is a private address", dst), codeToPrivate)
	case sharedSpace.Contains(dst):
		return netip.Addr{}, g.hop(netfake.Egress, fmt.Sprintf("%v is a shared address", dst), codeToShared)
	}
	return public, netfake.Hop{}
}

// Step takes a packet from the internet into the VPC.
func (g *InternetGateway) Step(p *netfake.Packet) netfake.Next {
	private := g.entering.find(p)
	if !private.IsValid() {
		var end netfake.Next
		if private, end = g.allowsIn(p); !private.IsValid() {
			return end
		}
	}
	dst := p.Flow.Dst.Addr()
	switch {
	case !p.CountDown():
		return g.expire(p, netfake.Ingress)
	case dst == private:
		g.untranslated(p, netfake.Ingress)
		return g.edge.Enter(p)
	}
	p.SetDst(netip.AddrPortFrom(private, p.Flow.Dst.Port()))
	if p.Flow.Proto == netfake.ICMP {
		if about, ok := p.Quoted(); ok { // what it speaks of came from the private address
			p.SetQuotedSrc(netip.AddrPortFrom(private, about.Src.Port()))
		}
	}
	if p.Traced() {
		g.passed(p, netfake.Ingress, fmt.Sprintf("destination %v → %v", dst, private))
	}
	return g.edge.Enter(p)
}

// allowsIn is allowsOut for a packet from the internet and the address that receives it.
func (g *InternetGateway) allowsIn(p *netfake.Packet) (netip.Addr, netfake.Next) {
	known := g.knows(p, p.Flow.Dst.Addr())
	private, why := g.mayReceive(known, p.Flow.Src.Addr(), p.Flow.Dst.Addr())
	if !private.IsValid() {
		return private, p.Drop(why)
	}
	g.entering.put(p, private, known)
	return private, netfake.Next{}
}

// knows returns what the gateway's edge knows of who receives from the internet as dst.
func (g *InternetGateway) knows(p *netfake.Packet, dst netip.Addr) fabricfake.Knowledge {
	if dst.Is4() {
		return g.edge.KnowsPublic(p, dst)
	}
	return g.edge.Knows(p, dst)
}

// mayReceive returns the private address, or the one of IPv6, that receives from the
// internet as dst, of which so much is known; the zero Addr if none may, and then why.
func (g *InternetGateway) mayReceive(known fabricfake.Knowledge, src, dst netip.Addr) (netip.Addr, netfake.Hop) {
	switch {
	case !g.attached:
		return netip.Addr{}, g.hop(netfake.Ingress, "the gateway is detached", "BAD_STATE_ATTACHMENT")
	case src.IsPrivate():
		return netip.Addr{}, g.hop(netfake.Ingress, fmt.Sprintf("%v is a private address", src), codeFromPrivate)
	case sharedSpace.Contains(src):
		return netip.Addr{}, g.hop(netfake.Ingress, fmt.Sprintf("%v is a shared address", src), codeFromShared)
	case g.vpc.Contains(src):
		return netip.Addr{}, g.hop(netfake.Ingress, fmt.Sprintf("%v is an address of the VPC", src), codeSpoofed)
	case known.Interface == nil:
		hop := g.hop(netfake.Ingress, fmt.Sprintf("%v belongs to no interface", dst), codeNoPrivateIP)
		hop.Hint = known.Lag
		return netip.Addr{}, hop
	}
	return known.Private, netfake.Hop{}
}

// untranslated notes that a packet of IPv6 passes as it is.
func (g *InternetGateway) untranslated(p *netfake.Packet, dir netfake.Direction) {
	if p.Traced() {
		g.passed(p, dir, "IPv6 is not translated")
	}
}

func (g *InternetGateway) passed(p *netfake.Packet, dir netfake.Direction, rule string) {
	p.Passed(g.hop(dir, rule, ""))
}

func (g *InternetGateway) drop(p *netfake.Packet, dir netfake.Direction, rule string, code netfake.Code) netfake.Next {
	return p.Drop(g.hop(dir, rule, code))
}

// expire drops a packet whose TTL is used up. The gateway tells nobody.
func (g *InternetGateway) expire(p *netfake.Packet, dir netfake.Direction) netfake.Next {
	return p.Expire(g.hop(dir, "", ""), netip.Addr{}, nil)
}

// counterparts remembers to what the addresses of packets that may pass are translated,
// until something changes. A pair of addresses has one place, in which the latest stays.
// Of a packet that somebody traces nothing is known.
type counterparts [64]struct {
	src, dst netip.Addr
	changes  uint64 // World.Changes at the time
	addr     netip.Addr
}

// place returns where the pair of addresses of a packet has its place.
func (c *counterparts) place(p *netfake.Packet) int {
	mixed := lowBits(p.Flow.Src.Addr()) ^ lowBits(p.Flow.Dst.Addr())
	return int((mixed ^ mixed>>8<<1) % uint32(len(c))) // as an int of 32 bits it may be negative
}

// lowBits returns the last four bytes of an address.
func lowBits(a netip.Addr) uint32 {
	if a.Is4() {
		b := a.As4()
		return binary.BigEndian.Uint32(b[:])
	}
	b := a.As16()
	return binary.BigEndian.Uint32(b[12:])
}

// find returns the address for p, the zero Addr if it is not known.
func (c *counterparts) find(p *netfake.Packet) netip.Addr {
	at := &c[c.place(p)]
	if at.changes != p.World().Changes() || at.src != p.Flow.Src.Addr() || at.dst != p.Flow.Dst.Addr() || p.Traced() {
		return netip.Addr{}
	}
	return at.addr
}

// put remembers an address, if the edge knows all that there is to know of it.
func (c *counterparts) put(p *netfake.Packet, addr netip.Addr, known fabricfake.Knowledge) {
	if known.Lag != "" {
		return
	}
	at := &c[c.place(p)]
	at.src, at.dst, at.changes, at.addr = p.Flow.Src.Addr(), p.Flow.Dst.Addr(), p.World().Changes(), addr
}

func (g *InternetGateway) hop(dir netfake.Direction, rule string, code netfake.Code) netfake.Hop {
	return netfake.Hop{Place: g.name, By: g, Direction: dir, Rule: rule, Code: code}
}
