package netfake

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// linkGuard is what a link refuses before a packet enters it.
type linkGuard struct {
	mtu      int      // 0 is no limit
	filters  []*Fault // of DropICMP, in force
	refusals []refusal

	tooBig, fragmented, filtered, refused uint64
}

// refusal is a fault that Refuse made.
type refusal struct {
	*Fault
	kind ICMPKind
}

func (g *linkGuard) idle() bool { return g.mtu == 0 && len(g.filters) == 0 && len(g.refusals) == 0 }

// MTU returns the largest packet that the link carries, 0 if it has no limit.
func (l *Link) MTU() int {
	l.world.lock()
	defer l.world.unlock()
	return l.guard.mtu
}

// minLinkMTU is the smallest MTU of a link: what every IPv4 host takes, RFC 791.
const minLinkMTU = 576

// SetMTU sets the largest packet that the link carries, in bytes with its IP header; 0,
// which a new link has, is no limit, anything else below 576 fails the test. A packet
// that is larger is dropped, and the router in front of the link tells its sender packet
// too big, so that path MTU discovery works; a packet of IPv4 that does not forbid it, the
// router cuts into fragments. On the internet every link has routers. A link of another
// kind drops the packet in silence: it is a black hole.
func (l *Link) SetMTU(bytes int) {
	l.world.tb.Helper()
	if bytes != 0 && bytes < minLinkMTU {
		l.world.tb.Fatalf("netfake: link %s: an MTU of %d bytes, and %d is the least", l.name, bytes, minLinkMTU)
	}
	l.world.Do(func(time.Duration) { l.guard.mtu = bytes })
}

// DropICMP makes the link swallow all ICMP, as a firewall does whose rules know TCP and
// UDP only. Path MTU discovery across it fails, and so does traceroute.
func (l *Link) DropICMP() *Fault {
	f := &Fault{world: l.world, what: "ICMP filter on " + l.name, on: l}
	f.end = func(time.Duration) { l.guard.filters = without(l.guard.filters, f) }
	return f.begin(func(time.Duration) { l.guard.filters = append(l.guard.filters, f) })
}

// Refuse makes the router in front of the link answer every packet with an ICMP error
// instead of carrying it: a partition that says so. Of several, the latest answers. A
// kind other than the unreachable ones and AdminProhibited fails the test.
func (l *Link) Refuse(kind ICMPKind) *Fault {
	l.world.tb.Helper()
	if kind < NetUnreachable || kind > AdminProhibited {
		l.world.tb.Fatalf("netfake: link %s: a router does not refuse with %v", l.name, kind)
	}
	f := &Fault{world: l.world, what: fmt.Sprintf("refusal on %s: %v", l.name, kind), on: l}
	f.end = func(time.Duration) {
		l.guard.refusals = slices.DeleteFunc(l.guard.refusals, func(r refusal) bool { return r.Fault == f })
	}
	return f.begin(func(time.Duration) { l.guard.refusals = append(l.guard.refusals, refusal{f, kind}) })
}

// guarded is Packet.Along for a link whose guard has something to say. Each packet of a
// train is asked about by itself: the last may be small enough.
func (y *Way) guarded(p *Packet, n Node) Next {
	l := y.link
	switch {
	case p.train > 0 && p.probe == nil:
		for i := range p.Segments() {
			q := p.segment(i)
			if q.at = p.at; l.refuses(q) {
				l.world.packets.put(q)
				continue
			}
			y.begin(q, n)
		}
	case l.refuses(p):
	case l.cuts(p):
		l.guard.fragmented++
		for _, q := range p.cut(l.guard.mtu, 0, Hop{Place: l.name, By: l}) {
			y.begin(q, n)
		}
	default:
		return Next{to: n, over: y}
	}
	return Next{fate: wayEnds}
}

// begin has p, which no node has just sent, go over the way to n.
func (y *Way) begin(p *Packet, n Node) {
	w := y.link.world
	if len(y.link.stages) > 0 {
		p.node = p.through(Next{to: n, over: y}).to
		w.ready.push(p)
		return
	}
	if p.node = n; y.crosses(p) {
		w.ready.push(p)
	}
}

// cuts reports whether the router in front of the link cuts a packet into fragments that
// is too large for it.
func (l *Link) cuts(p *Packet) bool {
	if l.guard.mtu == 0 || p.Len() <= l.guard.mtu || p.probe != nil || !p.MayFragment() {
		return false
	}
	_, ok := p.node.(router)
	return ok
}

// refuses reports whether the link's guard ends the way of a packet that is about to
// enter it. A probe goes on.
func (l *Link) refuses(p *Packet) bool {
	g, hop := &l.guard, Hop{Place: l.name, By: l}
	var e ICMPError
	var count *uint64
	var by []*Fault
	switch n := len(g.refusals); {
	case n > 0:
		last := g.refusals[n-1]
		e.Kind, count, by = last.kind, &g.refused, []*Fault{last.Fault}
		hop.Rule = "refused"
	case len(g.filters) > 0 && (p.Flow.Proto == ICMP || p.Flow.Proto == ICMPv6):
		count, by = &g.filtered, g.filters
		hop.Rule = "ICMP is filtered"
	case g.mtu > 0 && p.Len() > g.mtu && !l.cuts(p):
		e, count = ICMPError{PacketTooBig, g.mtu}, &g.tooBig
		hop.Rule, hop.Code = fmt.Sprintf("%d bytes exceed the MTU of %d", p.Len(), g.mtu), "MTU_EXCEEDED"
	default:
		return false
	}
	var from netip.Addr
	var at Node
	if r, ok := p.node.(router); ok {
		from, at = r.speaksFrom(p)
	}
	if p.probe != nil {
		if p.answer(hop.Place, e, from, at) {
			hop.Rule += ": answered with " + e.Kind.String()
		}
		return p.Blocked(hop)
	}
	*count++
	for _, f := range by {
		f.Hit(p)
	}
	p.Reject(hop, e, from, at)
	return true
}
