package gatewayfake

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// Numbers of NAT gateways. Sources:
// https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-basics.html and
// https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html
const (
	// NATIdleTimeout is after how much silence a NAT gateway forgets a connection.
	NATIdleTimeout = 350 * time.Second

	// NATConnections is how many connections a NAT gateway has at one time to one
	// destination: address, port and protocol.
	NATConnections = 55000

	// NATGatewayMTU is the largest packet that a NAT gateway takes. It lowers the segment
	// sizes that TCP announces to what fits.
	NATGatewayMTU = 8500

	// A TCP connection that has ended is forgotten sooner. AWS documents no number;
	// these are the ones of Linux's nf_conntrack.
	natClosed = 120 * time.Second // after FINs both ways
	natReset  = 10 * time.Second  // after a RST

	// smallestSweep is how many translations there are before it is worth looking for
	// those that nobody needs.
	smallestSweep = 1024

	firstNATPort = 1024
	lastNATPort  = 65535
)

// The explanation codes of NAT gateways. The first is Reachability Analyzer's, the
// others have no counterpart there.
const (
	codeSourceOutside netfake.Code = "NGW_REQUIRES_SOURCE_IN_VPC"
	codeNoPort        netfake.Code = "PORT_EXHAUSTED"
	codeIdle          netfake.Code = "IDLE_EXPIRED"
	codeUnsolicited   netfake.Code = "NO_POSSIBLE_DESTINATION"
	codeProtocol      netfake.Code = "PROTOCOL_RESTRICTION"
	codeLoop          netfake.Code = "ROUTING_LOOP"
)

// NATGateway lets private instances open connections to the outside: it sends their
// packets on under its own address, with a port of its own for each connection, and
// knows to whom the replies belong. Nobody outside can open a connection through it.
// It has no security group; the ACL and the routes of its own subnet apply to both of
// its sides.
type NATGateway struct {
	vpc   *fabricfake.VPC
	name  string
	iface *fabricfake.Interface
	eip   *ElasticIP

	out     table // by the client's flow
	back    table // by the flow of the replies
	inUse   map[destination]int
	late    netfake.Fragments
	sweepAt int // the number of translations at which they are swept next
	stats   NATStats
	deleted bool
}

// NATStats counts what a NAT gateway did, under the names of its metrics.
type NATStats struct {
	ActiveConnections   int    // translations that are remembered
	ConnectionAttempts  uint64 // of TCP
	IdleTimeouts        uint64 // translations that were forgotten for silence
	ErrorPortAllocation uint64 // connections for which there was no port
	PacketsDropped      uint64
}

// NewNATGateway makes a public NAT gateway in a subnet, which should route to an
// internet gateway. An elastic IP that is taken or nil fails the test, as do a VPC
// without an internet gateway (Gateway.NotAttached), a name that is empty or that
// another NAT gateway of the VPC has, and more in a zone than fabricfake.Quotas has
// (NatGatewayLimitExceeded).
func NewNATGateway(subnet *fabricfake.Subnet, name string, eip *ElasticIP) *NATGateway {
	switch {
	case subnet == nil && eip == nil:
		panic("gatewayfake: NewNATGateway of no subnet")
	case subnet == nil:
		tb := eip.vpc.World().TB()
		tb.Helper()
		tb.Fatalf("gatewayfake: InvalidSubnetID.NotFound: the NAT gateway %s has no subnet", name)
	case eip == nil:
		tb := subnet.World().TB()
		tb.Helper()
		tb.Fatalf("gatewayfake: InvalidAllocationID.NotFound: %s is a public NAT gateway, which needs an elastic IP", name)
	}
	subnet.World().TB().Helper()
	title := title{subnet.VPC(), "NAT gateway", name}
	title.check()
	zone := natZone{subnet.VPC().Region(), subnet.Zone()}
	zone.check()
	n := &NATGateway{
		vpc: subnet.VPC(), name: name, eip: eip, inUse: map[destination]int{},
	}
	n.iface = subnet.Appliance(name, n)
	eip.Associate(n.iface)
	eip.nat = n
	title.take()
	addresses(zone.region.World()).nats[zone]++
	return n
}

// natZone is a zone, in which there are so many NAT gateways at the most.
type natZone struct {
	region *fabricfake.Region
	zone   string
}

// check fails the test if there is no room for one more.
func (z natZone) check() {
	w := z.region.World()
	w.TB().Helper()
	if n := addresses(w).nats[z]; n >= z.region.Quotas().NATGatewaysPerZone {
		w.TB().Fatalf("gatewayfake: NatGatewayLimitExceeded: zone %s of region %v has %d NAT gateways, and may have no more", z.zone, z.region, n)
	}
}

// String returns the gateway's name.
func (n *NATGateway) String() string { return n.name }

// world returns the world that the gateway is in. No gateway, of which there is no test to
// fail, panics.
func (n *NATGateway) world() *netfake.World {
	if n == nil {
		panic("gatewayfake: a method of a nil *NATGateway")
	}
	return n.vpc.World()
}

// Attached reports whether the gateway exists: it does until it is deleted.
func (n *NATGateway) Attached() bool { return n != nil && !n.deleted }

// NextHop leads to the gateway's interface. Connections through it are always tracked.
// Source:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html
func (n *NATGateway) NextHop() fabricfake.NextHop {
	return fabricfake.NextHop{Interface: n.iface, MTU: NATGatewayMTU, Tracks: true}
}

// Interface returns the gateway's interface in its subnet.
func (n *NATGateway) Interface() *fabricfake.Interface { return n.iface }

// PublicIP returns the address under which the outside sees the gateway's clients.
func (n *NATGateway) PublicIP() netip.Addr { return n.eip.addr }

// Stats returns what the gateway did so far.
func (n *NATGateway) Stats() NATStats {
	var s NATStats
	n.world().Do(func(now time.Duration) {
		n.sweep(now, n.expire)
		s = n.stats
		s.ActiveConnections = n.out.n
	})
	return s
}

// Delete deletes the gateway: its connections are dropped, routes to it become
// blackholes, and its interface is deleted, so that its private address and its name are
// free. The elastic IP stays allocated. AWS does not say how long the real one is deleting:
// here it takes no time. A gateway that is deleted stays so.
func (n *NATGateway) Delete() {
	n.world().TB().Helper()
	was := false
	n.vpc.World().Do(func(time.Duration) {
		was = n.deleted
		n.deleted = true
		n.out, n.back = table{}, table{}
		clear(n.inUse)
	})
	if was {
		return // somebody else may have the address and the name by now
	}
	n.eip.free()
	n.iface.Withdraw()
	title{n.vpc, "NAT gateway", n.name}.free()
	addresses(n.vpc.World()).nats[natZone{n.vpc.Region(), n.iface.Subnet().Zone()}]--
}

// TakesTrains implements netfake.TrainNode: only headers are translated.
func (n *NATGateway) TakesTrains() bool { return true }

// Step takes a packet that has come to the gateway's interface: from a client, or a
// reply from outside.
func (n *NATGateway) Step(p *netfake.Packet) netfake.Next {
	switch {
	case n.deleted:
		return n.drop(p, "the gateway is deleted", "BAD_STATE")
	case p.Flow.Proto != netfake.TCP && p.Flow.Proto != netfake.UDP && p.Flow.Proto != netfake.ICMP:
		return n.drop(p, fmt.Sprintf("%v is not translated", p.Flow.Proto), codeProtocol)
	}
	if p.IsFragment() {
		if p.Flow.Proto != netfake.UDP {
			return n.drop(p, fmt.Sprintf("fragments of %v are not forwarded", p.Flow.Proto), codeProtocol)
		}
		if end, ok := n.late.Admit(p, netfake.Hop{Place: n.name, By: n}, n); !ok {
			return end
		}
	}
	inward := p.Flow.Dst.Addr() == n.iface.PrivateIP()
	if p.Flow.Proto == netfake.ICMP {
		if about, isError := p.Quoted(); isError {
			return n.translateError(p, about, inward)
		}
	}
	if inward {
		return n.inward(p)
	}
	return n.outward(p)
}

// outward sends a client's packet on under the gateway's address.
func (n *NATGateway) outward(p *netfake.Packet) netfake.Next {
	t, changes := n.out.find(p.Flow, p.FlowHash()), p.World().Changes()
	if t == nil || t.sender != changes || p.Traced() {
		known := n.iface.Knows(p, p.Flow.Src.Addr())
		if known.Lag != "" {
			changes = 0 // to be asked of each packet
		}
		switch known.Interface {
		case nil:
			return n.drop(p, fmt.Sprintf("%v is no interface of vpc %s", p.Flow.Src.Addr(), n.vpc.Name()), codeSourceOutside)
		case n.iface:
			return n.drop(p, "the route in the gateway's own subnet leads back to it", codeLoop)
		}
	}
	opens := p.TCPFlags()&(wire.SYN|wire.ACK|wire.RST) == wire.SYN
	if t != nil && t.expired(p.At()) {
		n.forget(p, t)
		t = nil
	}
	switch {
	case t == nil && p.SegmentSize() > 0:
		return p.Apart() // each is answered
	case !p.CountDown():
		return n.timeExceeded(p)
	}
	if t == nil {
		if p.Flow.Proto == netfake.TCP && !opens {
			return n.reset(p)
		}
		if t = n.allocate(p); t == nil {
			n.count(p, &n.stats.ErrorPortAllocation)
			return n.drop(p, fmt.Sprintf("no port is left towards %v %v", p.Flow.Dst, p.Flow.Proto), codeNoPort)
		}
	}
	if opens && t.ended() {
		n.reopen(p, t)
	}
	n.touch(p, t, netfake.Egress)
	t.sender = changes
	before := p.Flow.Src
	p.SetSrc(netip.AddrPortFrom(n.iface.PrivateIP(), t.port))
	clampMSS(p)
	if p.Traced() {
		n.passed(p, netfake.Egress, fmt.Sprintf("source %v → %v", before, p.Flow.Src))
	}
	return p.To(n.iface.Out())
}

// inward takes a reply back to the client.
func (n *NATGateway) inward(p *netfake.Packet) netfake.Next {
	t := n.back.find(p.Flow, p.FlowHash())
	if t == nil || t.expired(p.At()) {
		return n.drop(p, fmt.Sprintf("no connection of a client that %v would answer", p.Flow.Src), codeUnsolicited)
	}
	if !p.CountDown() {
		return n.timeExceeded(p)
	}
	n.touch(p, t, netfake.Ingress)
	before := p.Flow.Dst
	p.SetDst(t.client.flow.Src)
	clampMSS(p)
	if p.Traced() {
		n.passed(p, netfake.Ingress, fmt.Sprintf("destination %v → %v", before, p.Flow.Dst))
	}
	return p.To(n.iface.Out())
}

// reopen begins a connection anew whose client uses the port of one that has ended: the
// port towards the outside stays as well.
func (n *NATGateway) reopen(p *netfake.Packet, t *translation) {
	if p.Probing() {
		before := *t
		p.Undo(func() { *t = before })
	}
	t.fins, t.reset = 0, false
	n.count(p, &n.stats.ConnectionAttempts)
}

// touch notes that a packet passed, and whether it ends the connection.
func (n *NATGateway) touch(p *netfake.Packet, t *translation, dir netfake.Direction) {
	if p.Probing() {
		before := *t
		p.Undo(func() { *t = before })
	}
	t.last = p.At()
	flags := p.TCPFlags()
	t.reset = t.reset || flags&wire.RST != 0
	if flags&wire.FIN != 0 {
		t.fins |= 1 << dir
	}
}

// reset answers a client's segment of a connection that the gateway does not know,
// because it was idle for too long, or because it came to the client by another way: with a RST
// in the name of the other end.
func (n *NATGateway) reset(p *netfake.Packet) netfake.Next {
	why, code := "no such connection: it is unknown, or was idle for 350 s", codeIdle
	if p.TCPFlags()&wire.SYN != 0 {
		why, code = "the answer to a connection that did not come through the gateway", codeUnsolicited
	}
	answer := p.Reset()
	if answer == nil {
		return n.drop(p, why, code)
	}
	n.vpc.World().Send(answer, n.iface.Out())
	return n.drop(p, why+"; answered with RST", code)
}

func (n *NATGateway) count(p *netfake.Packet, counter *uint64) {
	if !p.Probing() {
		*counter += uint64(p.Segments())
	}
}

func (n *NATGateway) drop(p *netfake.Packet, rule string, code netfake.Code) netfake.Next {
	n.count(p, &n.stats.PacketsDropped)
	dir := netfake.Egress
	if p.Flow.Dst.Addr() == n.iface.PrivateIP() {
		dir = netfake.Ingress
	}
	return p.Drop(netfake.Hop{Place: n.name, By: n, Direction: dir, Rule: rule, Code: code})
}
