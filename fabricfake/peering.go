package fabricfake

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// codeFarAddress is the explanation code for what a peering connection does not carry. Source:
// https://docs.aws.amazon.com/vpc/latest/reachability/explanation-codes.html
const codeFarAddress netfake.Code = "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR"

// codePeeringState is for a block that a VPC may not add as long as it waits to become a peer.
const codePeeringState = "InvalidStateTransition"

// Quotas of peerings. Source:
// https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-connection-quotas.html
const (
	maxPeerings        = 50 // of a VPC, that are active
	maxPeeringRequests = 25 // of an account, that wait to be accepted
)

// PeeringState is what the fabric has to know of how far a peering connection is.
type PeeringState uint8

// The states of a peering. Packets pass in the last one alone.
const (
	PeeringOver    PeeringState = iota // it never came to be, or is no more
	PeeringOffered                     // the accepter has yet to accept
	PeeringOpen
)

// String returns the state in a word.
func (s PeeringState) String() string {
	return [...]string{"over", "offered", "open"}[min(int(s), int(PeeringOpen))]
}

// Peering is what the fabric knows of a VPC peering connection: of two VPCs of a region, each of
// which may address the other. It is no device: the physical host that sends looks up who has the
// destination in the other VPC and sends straight there, and the one that receives believes it as
// long as the two VPCs are peers. All devices know that at once, other than mappings. It is for
// the room of the gateways, whose connections lead to it by NextHop.Peering.
type Peering struct {
	requester, accepter *VPC
	state               PeeringState
	since               time.Duration // when the state began
	lapses              time.Duration // when an offer does
	failed              bool          // for blocks that overlap
	withdrawn           bool          // with the VPC that had offered it
}

// NewPeering makes a peering between two VPCs of one region, over which nothing passes yet. It
// is for the room of the gateways: tests call gatewayfake.NewPeering.
func NewPeering(requester, accepter *VPC) *Peering {
	for _, v := range []*VPC{requester, accepter} {
		v.tb().Helper()
		v.mustExist()
	}
	return &Peering{requester: requester, accepter: accepter}
}

// Offer has the peering be offered until a time, after which it is over. It is for one that is
// new. It may be called only inside the scheduler, and so may Open, for one that is offered, and
// End.
func (p *Peering) Offer(now, until time.Duration) {
	p.state, p.since, p.lapses = PeeringOffered, now, until
	past := func(o *Peering) bool { return o.State(now) == PeeringOver && now-o.since >= FrameLifetime }
	for _, v := range []*VPC{p.requester, p.accepter} {
		v.peerings = append(slices.DeleteFunc(v.peerings, past), p)
	}
}

// Open has packets pass.
func (p *Peering) Open(now time.Duration) { p.state, p.since = PeeringOpen, now }

// End has the VPCs no longer be peers, for ever: what is under way between them is stale.
func (p *Peering) End(now time.Duration) {
	was := p.state
	p.state, p.since = PeeringOver, now
	if was != PeeringOpen {
		p.forgotten()
	}
}

// forgotten takes a peering that never was open off its VPCs.
func (p *Peering) forgotten() {
	for _, v := range []*VPC{p.requester, p.accepter} {
		v.peerings = slices.DeleteFunc(v.peerings, func(o *Peering) bool { return o == p })
	}
}

// State returns the state at a time. It may be called only inside the scheduler.
func (p *Peering) State(now time.Duration) PeeringState {
	if p.state == PeeringOffered && now >= p.lapses {
		return PeeringOver
	}
	return p.state
}

// Peerings returns the VPC's peerings that are not over at a time. It may be called only inside
// the scheduler.
func (v *VPC) Peerings(now time.Duration) (all []*Peering) {
	for _, p := range made(v, "*VPC").peerings {
		if p.State(now) != PeeringOver {
			all = append(all, p)
		}
	}
	return all
}

// Ends returns the two VPCs.
func (p *Peering) Ends() (requester, accepter *VPC) { return p.requester, p.accepter }

// Failed reports whether an offer ended because the accepter added a block that overlaps. It
// may be called only inside the scheduler.
func (p *Peering) Failed() bool { return p.failed }

// Withdrawn reports whether an offer ended because the requester was deleted. It may be called
// only inside the scheduler.
func (p *Peering) Withdrawn() bool { return p.withdrawn }

// Overlap returns a block of each VPC that overlap, if any do: then they cannot be peers. It may
// be called only inside the scheduler.
func (p *Peering) Overlap() (of, other netip.Prefix, found bool) {
	for _, block := range p.requester.allBlocks() {
		if have, overlaps := overlapping(block, p.accepter.allBlocks()); overlaps {
			return block, have, true
		}
	}
	return netip.Prefix{}, netip.Prefix{}, false
}

// other returns the VPC at the other end, nil for one that is at neither.
func (p *Peering) other(v *VPC) *VPC {
	switch v {
	case p.requester:
		return p.accepter
	case p.accepter:
		return p.requester
	}
	return nil
}

// isPeer reports whether two VPCs are peers.
func (v *VPC) isPeer(other *VPC) bool {
	for _, p := range v.peerings {
		if p.state == PeeringOpen && p.other(v) == other {
			return true
		}
	}
	return false
}

// wasPeer reports whether two VPCs that are no longer peers were when a frame that arrives now may
// have been sent.
func (v *VPC) wasPeer(other *VPC, now time.Duration) bool {
	return slices.ContainsFunc(v.peerings, func(p *Peering) bool {
		return p.other(v) == other && p.state == PeeringOver && now-p.since < FrameLifetime
	})
}

// hears reports whether frames for the VPC may come from interfaces of another at all: of a peer,
// or of itself.
func (v *VPC) hears(other *VPC) bool { return other == v || len(v.peerings) > 0 && v.isPeer(other) }

// carries says why a peering does not take a packet from a VPC, "" if it does: it must be from an
// address of that VPC to one of the other. That is what keeps out of reach of the one all that
// the other leads to: its gateways, and its other peers.
func (p *Peering) carries(flow netfake.Flow, from *VPC) (why string) {
	to := p.other(from)
	switch dst, src := flow.Dst.Addr(), flow.Src.Addr(); {
	case !to.Contains(dst):
		return fmt.Sprintf("%v is no address of vpc %s, which the peering leads to", dst, to.name)
	case !from.Contains(src):
		return fmt.Sprintf("%v is no address of vpc %s, which the peering leads from", src, from.name)
	}
	return ""
}

// leadsTo returns the VPC in which the destination of a packet of VPC v is to be looked up.
func (n *NextHop) leadsTo(v *VPC) *VPC {
	if n.Peering == nil {
		return v
	}
	return n.Peering.other(v)
}

// toPeer sends a packet to the interface of a peer that has its destination.
func (f *Interface) toPeer(p *netfake.Packet, m *passage) netfake.Next {
	peering, dst := m.next.Peering, p.Flow.Dst.Addr()
	if why := peering.carries(p.Flow, f.vpc); why != "" {
		return p.Drop(f.hop(m.target, netfake.Egress, why, codeFarAddress))
	}
	if p.Traced() {
		p.Passed(f.hop(m.target, netfake.Egress, fmt.Sprintf("vpc %s → vpc %s", f.vpc.name, peering.other(f.vpc).name), ""))
	}
	return f.toInterface(p, dst, m)
}

// farEnd returns the VPC of which an interface's groups take a destination to be: a peer's, if
// that is where its route leads.
func (f *Interface) farEnd(dst netip.Addr) *VPC {
	if len(f.vpc.peerings) == 0 || f.subnet.contains(dst) {
		return f.vpc
	}
	r := f.subnet.routes().lookup(dst)
	if r == nil || r.State() != Active {
		return f.vpc
	}
	next := r.Target.NextHop()
	return next.leadsTo(f.vpc)
}

// idsOf returns the identities behind the addresses of a VPC, the interface's own or a peer, as
// its physical host knows them.
func (f *Interface) idsOf(v *VPC) *groups {
	if v == f.vpc {
		return &f.ids
	}
	for _, ids := range f.foreign {
		if ids.vpc == v {
			return ids
		}
	}
	ids := &groups{f, v}
	f.foreign = append(f.foreign, ids)
	return ids
}

// checkReference refuses a rule that names a group of a VPC that is no peer.
func (g *SecurityGroup) checkReference(to *SecurityGroup) error {
	if to == nil || to.vpc == g.vpc || g.vpc != nil && g.vpc.isPeer(to.vpc) {
		return nil
	}
	return refuse(codeGroupNotFound, "%v is a group of vpc %s, which is no peer of vpc %s", to, to.vpc, g.vpc)
}

// checkPeers refuses a block that a VPC may not add for the sake of its peerings. Source, which
// gives no codes:
// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
func (v *VPC) checkPeers(block netip.Prefix, now time.Duration) error {
	for _, p := range v.Peerings(now) {
		other := p.other(v)
		have, overlaps := overlapping(block, other.allBlocks())
		switch {
		case p.State(now) == PeeringOffered && v == p.requester:
			return refuse(codePeeringState, "vpc %s has yet to accept a peering, until when no block can be added here", other.name)
		case p.State(now) == PeeringOpen && overlaps:
			return refuse(codeVPCRange, "%v overlaps %v of vpc %s, which is a peer", block, have, other.name)
		}
	}
	return nil
}

// failOffers ends the offers to a VPC that a block it has added makes impossible.
func (v *VPC) failOffers(now time.Duration) {
	for _, p := range v.Peerings(now) {
		if _, _, overlaps := p.Overlap(); overlaps && p.state == PeeringOffered {
			p.failed = true
			p.End(now)
		}
	}
}

// offered reports whether the next hop is a peering that is not accepted yet, which a route may
// have for its target before it is. Source:
// https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-routing.html
func (n *NextHop) offered(now time.Duration) bool {
	return n.Peering != nil && n.Peering.State(now) == PeeringOffered
}
