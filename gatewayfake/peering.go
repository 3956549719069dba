package gatewayfake

import (
	"fmt"
	"slices"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// PeeringLifetime is how long a request waits to be accepted until it expires. Source:
// https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html
const PeeringLifetime = 7 * 24 * time.Hour

// PeeringStatus is how far a peering connection is.
type PeeringStatus uint8

// The statuses. Traffic passes in one alone, and the last four are for ever. Those that the real
// service goes through in seconds (initiating-request, provisioning, deleting) take no time.
const (
	PeeringPendingAcceptance PeeringStatus = iota
	PeeringActive
	PeeringRejected
	PeeringExpired
	PeeringFailed // blocks of the two VPCs overlap
	PeeringDeleted
)

// String returns the status as the API names it.
func (s PeeringStatus) String() string {
	switch s {
	case PeeringPendingAcceptance:
		return "pending-acceptance"
	case PeeringActive:
		return "active"
	case PeeringRejected:
		return "rejected"
	case PeeringExpired:
		return "expired"
	case PeeringFailed:
		return "failed"
	case PeeringDeleted:
		return "deleted"
	}
	return fmt.Sprintf("PeeringStatus(%d)", uint8(s))
}

// Peering is a VPC peering connection: instances of two VPCs reach one another at their private
// addresses, by routes of both sides, and their security groups may name the other side's groups.
// It is no device and has no limit.
//
// It carries what is from an address of one VPC to an address of the other, and nothing else: not
// to the internet gateway, the NAT gateway or another peer of the VPC at the far end, whatever
// routes say. Answers take the route that the table of their subnet has for them.
type Peering struct {
	requester, accepter *fabricfake.VPC
	name                string
	number              int
	link                *fabricfake.Peering
	status              PeeringStatus // but for what time and others make of it
}

// NewPeering requests a peering connection between two VPCs of a region, which is pending
// acceptance: see Accept. If blocks of the two overlap it has failed, as Status tells. It fails
// the test if the two have one already (VpcPeeringConnectionAlreadyExists), for more requests
// than fabricfake.Quotas has (OutstandingVpcPeeringConnectionLimitExceeded), for VPCs of
// different regions, which is not modelled, and for a name that is empty or that another one of
// either VPC has, unless that is over. Two nil VPCs panic.
func NewPeering(requester, accepter *fabricfake.VPC, name string) *Peering {
	w := worldOf(requester, accepter)
	w.TB().Helper()
	if err := checkEnds(requester, accepter, name); err != nil {
		w.TB().Fatalf("%v (peering %s)", err, name)
	}
	all := addresses(w)
	all.numbers++
	p := &Peering{requester: requester, accepter: accepter, name: name, number: all.numbers, link: fabricfake.NewPeering(requester, accepter)}
	var err error
	w.Do(func(now time.Duration) { err = p.request(now, all) })
	if err != nil {
		w.TB().Fatalf("%v (peering %s)", err, name)
	}
	return p
}

// worldOf returns the world that one of two VPCs is in.
func worldOf(requester, accepter *fabricfake.VPC) *netfake.World {
	for _, v := range []*fabricfake.VPC{requester, accepter} {
		if v != nil {
			return v.World()
		}
	}
	panic("gatewayfake: NewPeering of no VPC")
}

// checkEnds refuses VPCs that cannot be asked to be peers.
func checkEnds(requester, accepter *fabricfake.VPC, name string) error {
	switch {
	case requester == nil || accepter == nil:
		return refuse("InvalidVpcID.NotFound", "a peering has two VPCs, and one of them is nil")
	case name == "":
		return refuse("InvalidParameterValue", "the peering of vpc %s and vpc %s has no name", requester.Name(), accepter.Name())
	case requester == accepter:
		return refuse("InvalidParameterValue", "vpc %s cannot be its own peer", requester.Name())
	case requester.World() != accepter.World():
		return refuse("InvalidVpcID.NotFound", "vpc %s and vpc %s are in different worlds", requester.Name(), accepter.Name())
	case requester.Region() != accepter.Region():
		return fmt.Errorf("gatewayfake: vpc %s is in region %v, vpc %s in %v: peerings between regions are not modelled",
			requester.Name(), requester.Region(), accepter.Name(), accepter.Region())
	}
	return nil
}

// lives reports whether the peering is active, or may become so.
func (p *Peering) lives(now time.Duration) bool {
	s := p.at(now)
	return s == PeeringActive || s == PeeringPendingAcceptance
}

// has reports whether a VPC is at one of the peering's ends.
func (p *Peering) has(v *fabricfake.VPC) bool { return p.requester == v || p.accepter == v }

// request begins a peering that is new.
func (p *Peering) request(now time.Duration, all *pool) error {
	all.peerings = slices.DeleteFunc(all.peerings, func(o *Peering) bool { return !o.lives(now) })
	waiting := 0
	for _, o := range all.peerings {
		switch {
		case o.has(p.requester) && o.has(p.accepter):
			return refuse("VpcPeeringConnectionAlreadyExists", "vpc %s and vpc %s have the peering %s, which is %v", p.requester.Name(), p.accepter.Name(), o, o.at(now))
		case o.name == p.name && (o.has(p.requester) || o.has(p.accepter)):
			return refuse("InvalidParameterValue", "vpc %s and vpc %s have the peering %s already", o.requester.Name(), o.accepter.Name(), o)
		case o.requester.Region() == p.requester.Region() && o.at(now) == PeeringPendingAcceptance:
			waiting++
		}
	}
	if p.status = PeeringFailed; p.overlap() != "" {
		return nil
	}
	if waiting >= p.requester.Region().Granted().PeeringRequests {
		return refuse("OutstandingVpcPeeringConnectionLimitExceeded", "%d requests wait to be accepted, and there may be no more", waiting)
	}
	p.status = PeeringPendingAcceptance
	p.link.Offer(now, now+PeeringLifetime)
	all.peerings = append(all.peerings, p)
	return nil
}

// overlap says which blocks of the two VPCs overlap, "" if none do.
func (p *Peering) overlap() string {
	of, other, found := p.link.Overlap()
	if !found {
		return ""
	}
	return fmt.Sprintf(": %v of vpc %s overlaps %v of vpc %s", of, p.requester.Name(), other, p.accepter.Name())
}

// refuse returns the refusal of an API with its code.
func refuse(code, format string, args ...any) error {
	return fmt.Errorf("gatewayfake: %s: %s", code, fmt.Sprintf(format, args...))
}

// world returns the world that the peering is in. A nil peering panics.
func (p *Peering) world() *netfake.World {
	if p == nil {
		panic("gatewayfake: a method of a nil *Peering")
	}
	return p.requester.World()
}

// Accept makes the peering active. It fails the test in any status but pending acceptance
// (InvalidStateTransition), and if one of the VPCs has as many peers as it may have
// (ActiveVpcPeeringConnectionPerVpcLimitExceeded).
func (p *Peering) Accept() *Peering {
	p.world().TB().Helper()
	p.step("accepted", func(now time.Duration, was PeeringStatus) error {
		if was != PeeringPendingAcceptance {
			return errStep
		}
		if err := p.checkQuota(now); err != nil {
			return err
		}
		p.status = PeeringActive
		p.link.Open(now)
		return nil
	})
	return p
}

// Reject refuses the request, for its accepter. It fails the test in any status but pending
// acceptance (InvalidStateTransition).
func (p *Peering) Reject() {
	p.world().TB().Helper()
	p.step("rejected", func(now time.Duration, was PeeringStatus) error {
		if was != PeeringPendingAcceptance {
			return errStep
		}
		p.end(now, PeeringRejected)
		return nil
	})
}

// Delete ends the peering, for either side, or takes the request back, for its requester: routes
// to it become blackholes, rules that name groups of the other side match nothing any more, and
// the VPCs may have another peering, of the same name too. It fails the test once the peering is
// neither pending acceptance nor active (InvalidStateTransition).
func (p *Peering) Delete() {
	p.world().TB().Helper()
	p.step("deleted", func(now time.Duration, was PeeringStatus) error {
		if was != PeeringPendingAcceptance && was != PeeringActive {
			return errStep
		}
		p.end(now, PeeringDeleted)
		return nil
	})
}

func (p *Peering) end(now time.Duration, s PeeringStatus) {
	p.status = s
	p.link.End(now)
}

// errStep is that a status does not lead to what is asked for.
var errStep = refuse("InvalidStateTransition", "")

// step takes the peering from one status to another inside the scheduler.
func (p *Peering) step(what string, take func(now time.Duration, was PeeringStatus) error) {
	w := p.world()
	w.TB().Helper()
	var was PeeringStatus
	var err error
	w.Do(func(now time.Duration) {
		was = p.at(now)
		err = take(now, was)
	})
	switch {
	case err == errStep && was == PeeringFailed:
		w.TB().Fatalf("%vthe peering %s has failed and cannot be %s%s", err, p.name, what, p.overlap())
	case err == errStep:
		w.TB().Fatalf("%vthe peering %s is %v and cannot be %s", err, p.name, was, what)
	case err != nil:
		w.TB().Fatalf("%v (peering %s)", err, p.name)
	}
}

// checkQuota refuses one more peer than the VPCs may have.
func (p *Peering) checkQuota(now time.Duration) error {
	most := p.requester.Region().Granted().PeeringsPerVPC
	for _, v := range []*fabricfake.VPC{p.requester, p.accepter} {
		n := 0
		for _, o := range v.Peerings(now) {
			if o.State(now) == fabricfake.PeeringOpen {
				n++
			}
		}
		if n >= most {
			return refuse("ActiveVpcPeeringConnectionPerVpcLimitExceeded", "vpc %s has %d peers, and may have no more", v.Name(), n)
		}
	}
	return nil
}

// Status returns how far the peering is. A request that nobody has accepted for PeeringLifetime
// has expired, one has failed if the accepter has added a block since that overlaps, and one whose
// requester was deleted is deleted.
func (p *Peering) Status() (s PeeringStatus) {
	p.world().Do(func(now time.Duration) { s = p.at(now) })
	return s
}

// at returns the status at a time.
func (p *Peering) at(now time.Duration) PeeringStatus {
	switch {
	case p.status != PeeringPendingAcceptance:
	case p.link.Failed():
		return PeeringFailed
	case p.link.Withdrawn():
		return PeeringDeleted
	case p.link.State(now) == fabricfake.PeeringOver:
		return PeeringExpired
	}
	return p.status
}

// String returns the peering's name.
func (p *Peering) String() string { return p.name }

// ID returns the peering's identifier, as the real ones look: "pcx-0…".
func (p *Peering) ID() string { return fmt.Sprintf("pcx-%017x", p.number) }

// Requester returns the VPC that has requested the peering.
func (p *Peering) Requester() *fabricfake.VPC { return p.requester }

// Accepter returns the VPC that the peering was requested of.
func (p *Peering) Accepter() *fabricfake.VPC { return p.accepter }

// Attached reports whether the peering is active. A route may lead to it while it is pending
// acceptance, and is a blackhole until it is active.
func (p *Peering) Attached() bool { return p != nil && p.status == PeeringActive }

// NextHop leads into the VPC at the other end, whichever VPC the route is in.
func (p *Peering) NextHop() fabricfake.NextHop {
	return fabricfake.NextHop{Peering: p.link, Path: fabricfake.PathPeering}
}
