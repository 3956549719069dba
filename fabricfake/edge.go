package fabricfake

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// NextHop is where the fabric takes a packet whose route leads to a target: to an
// interface or an edge. The zero NextHop is the interface that has the destination.
type NextHop struct {
	Interface *Interface
	Edge      *Edge

	// MTU is the largest packet that the target takes. Larger ones are dropped, and
	// the VPC's router tells the sender. If 0, whatever an interface sends.
	MTU int

	// Tracks says that security groups track every connection that is routed there,
	// those that their rules would leave untracked as well.
	Tracks bool

	// Path is what flow records call the way.
	Path TrafficPath

	// Peering says that the destination is to be looked up in the VPC at its other end.
	// The target is neither an interface nor an edge then.
	Peering *Peering
}

// vpc returns the VPC that the next hop is in, nil if it is in every one.
func (n NextHop) vpc() *VPC {
	switch {
	case n.Interface != nil:
		return n.Interface.vpc
	case n.Edge != nil:
		return n.Edge.vpc
	}
	return nil
}

// EdgeNode is what stands behind an edge and decides about the packets that leave a
// VPC through it.
type EdgeNode interface {
	netfake.Component

	// Leave takes a packet of a VPC, out of its frame, which an interface of the VPC
	// has sent through the edge. It runs inside the scheduler, like a Node's Step, and
	// sees trains only if the node has the TakesTrains of netfake.TrainNode.
	Leave(p *netfake.Packet, from *Interface) netfake.Next
}

// Edge is a device between a VPC's fabric and another network: it takes frames on one
// side and plain packets on the other.
type Edge struct {
	*device
	vpc     *VPC
	node    EdgeNode
	public  bool        // it leads to the internet
	table   *RouteTable // for what comes in, nil for none
	entered passages    // of flows that went to the interface that has their destination
}

// NewPublicEdge makes an edge of a VPC to the internet, where NewEdge makes one to another
// network: middleboxes to which its route table leads must have a public address.
func NewPublicEdge(v *VPC, name string, node EdgeNode) *Edge {
	if v != nil {
		v.tb().Helper()
	}
	e := NewEdge(v, name, node)
	e.public = true
	return e
}

// NewEdge makes an edge of a VPC. What leaves the VPC through it goes to node. No node
// fails the test; a nil VPC panics.
func NewEdge(v *VPC, name string, node EdgeNode) *Edge {
	if v == nil {
		panic("fabricfake: NewEdge of no VPC")
	}
	v.tb().Helper()
	v.mustExist()
	if isNil(node) {
		v.tb().Fatalf("%v", refuse(codeParameterValue, "the edge %s has no node", name))
	}
	r := v.region
	r.edges++
	addr := nthAddress(edgeBlock, uint32(r.edges))
	e := &Edge{vpc: v, node: node}
	e.device = r.newDevice(name+" edge", r.zones[0], addr)
	e.device.edge = e
	return e
}

// edgeBlock is where edges have their addresses on the substrate.
var edgeBlock = netip.MustParsePrefix("10.200.0.0/16")

func (e *Edge) serves(v *VPC) bool { return e.vpc == v }

// receive takes a packet out of a frame that came to the edge.
func (e *Edge) receive(p *netfake.Packet, frame *Frame) netfake.Next {
	if frame.VNI != e.vpc.vni {
		return e.reject(p, fmt.Sprintf("a frame of vni %d, which the edge does not serve", frame.VNI), "")
	}
	if key, ask := e.unknownSender(p, e.vpc, frame); ask {
		return e.askSender(p, e.vpc, key, frame)
	}
	sender := e.sender(p, e.vpc, frame)
	switch {
	case sender.why != "":
	case sender.from == nil:
		sender.why = "a frame from another edge"
	case sender.from.vpc != e.vpc: // a peer, whose frames go to interfaces
		sender.why = frame.misnamed()
	}
	if sender.why != "" {
		return e.disbelieve(p, e.vpc, frame, sender)
	}
	if (memorable(p) || beginsUnseen(p)) && !e.missesSender(p, sender.from) {
		e.came.put(p, &passage{from: sender.from, frame: *frame, begins: true, alike: everyPort})
	}
	return e.node.Leave(p, sender.from)
}

// SetMappingDelay sets how long it takes until a change of the mappings is known to this
// edge, whatever holds for the region: see MappingService.SetDelay.
func (e *Edge) SetMappingDelay(d time.Duration) {
	e.tb().Helper()
	e.cache.setDelay(d)
}

// Rejected returns how many frames the edge has taken for forged.
func (e *Edge) Rejected() uint64 { return e.countRejected() }
