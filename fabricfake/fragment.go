package fabricfake

import (
	"fmt"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// What AWS does with fragments at security groups, network ACLs and in flow logs it does not
// say. Here later fragments, which have no ports, are judged and recorded at each interface
// as if they had those of their datagram's first, as stateful filters do it; one that comes
// before the first waits for it: see netfake.Fragments. Two limits are known: that of an
// interface, below, and what NAT gateways forward.

// FragmentAllowance is how many fragments in a second an instance may send through an
// interface. Source:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-network-performance-ena.html
const FragmentAllowance = allowanceRate

// codeFragments is for what is over the allowance. AWS has no code for it.
const codeFragments netfake.Code = "FRAGMENT_ALLOWANCE_EXCEEDED"

// fragments is what an interface knows of fragments.
type fragments struct {
	passing netfake.Fragments // in both directions
	sent    allowance
}

// sends reports whether a fragment that leaves the interface can be judged and is within the
// allowance, and what becomes of it if not.
func (s *fragments) sends(e *egress, p *netfake.Packet) (netfake.Next, bool) {
	f := e.Interface
	if end, ok := s.passing.Admit(p, f.hop(f, netfake.Egress, "", ""), e); !ok {
		return end, false
	}
	if f.managed || p.Probing() || s.sent.admit(p.At(), 1) {
		return netfake.Next{}, true
	}
	rule := fmt.Sprintf("more than %d fragments in a second", FragmentAllowance)
	return p.Drop(f.hop(f, netfake.Egress, rule, codeFragments)), false
}

// FragmentAllowanceExceeded returns how many fragments that the interface's instance sent
// were dropped since there were more than FragmentAllowance in a second. Up to that many
// pass at once.
func (f *Interface) FragmentAllowanceExceeded() (n uint64) {
	made(f, "*Interface").vpc.world.Do(func(time.Duration) { n = f.fragments.sent.exceeded })
	return n
}

// receives reports whether a fragment that has come for the interface can be judged.
func (s *fragments) receives(f *Interface, p *netfake.Packet, frame *Frame) (netfake.Next, bool) {
	late := &lateArrival{f.device, *frame}
	late.frame.Inner = nil
	return s.passing.Admit(p, f.hop(f, netfake.Ingress, "", ""), late)
}

// lateArrival is where a fragment goes on that has come in a frame before the first of its
// datagram.
type lateArrival struct {
	*device
	frame Frame
}

// Step has the device take the frame again.
func (l *lateArrival) Step(p *netfake.Packet) netfake.Next {
	if l.failed(p) {
		return p.Drop(l.outage(l.name, netfake.NoDirection))
	}
	return l.receive(p, &l.frame)
}

// routed is where the fragments of a packet go on that the VPC's router has cut: where the
// packet was to go, since all else has been decided about it.
type routed struct {
	*Interface
	passage passage
}

// Step forwards a fragment.
func (r *routed) Step(p *netfake.Packet) netfake.Next {
	m := r.passage
	return r.forward(p, &m)
}
