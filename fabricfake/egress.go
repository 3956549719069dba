package fabricfake

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// egress is the sending side of an interface: what the physical host does with a packet
// before it puts it on the wire.
type egress struct{ *Interface }

// TakesTrains implements netfake.TrainNode: every stage decides by headers. Only a mirror
// session copies packets.
func (e *egress) TakesTrains() bool { return len(e.mirrors) == 0 }

// Step takes a packet that leaves the interface through its stages.
func (e *egress) Step(p *netfake.Packet) netfake.Next {
	f := e.Interface
	if !f.placed() || f.device.failed(p) {
		return f.unable(p)
	}
	if p.IsFragment() {
		if end, ok := f.fragments.sends(e, p); !ok {
			return end
		}
	}
	if m := f.sent.find(p); m != nil && m.current(f, p.At()) && m.takes(p) {
		m.take(f, p, netfake.Egress)
		return m.send(f.device, p)
	}
	if like := f.sent.precedents.find(p); like != nil {
		if m := f.sent.follow(like, f, p, netfake.Egress); m != nil {
			return m.sendLike(f.device, p)
		}
	}
	return f.send(p)
}

// unable drops a packet that cannot leave the interface, whatever it is.
func (f *Interface) unable(p *netfake.Packet) netfake.Next {
	if !f.placed() {
		return p.Drop(f.hop(f, netfake.Egress, f.absence(), codeBadState))
	}
	return p.Drop(f.device.outage(f.name, netfake.Egress))
}

// send takes a packet through the stages.
func (f *Interface) send(p *netfake.Packet) netfake.Next {
	m := passage{from: f, opened: f.tracker.opened}
	if f.check == SourceDestCheckOn && !f.owns(p.Flow.Src.Addr()) {
		return f.spoofed(p)
	}
	if p.Len() > MTU && p.Largest() > MTU {
		return p.Drop(f.hop(f, netfake.Egress, fmt.Sprintf("%d bytes exceed the MTU of %d", p.Largest(), MTU), codeTooBig))
	}
	dst := p.Flow.Dst.Addr()
	if f.vpc.isBeside(dst) && !f.subnet.leadsAway(dst) {
		return f.consult(p, dst)
	}
	within := f.subnet.contains(dst)
	if f.stopped(p, netfake.Egress, f.idsOf(f.farEnd(dst)), &m) || !within && f.subnet.stopped(p, f, netfake.Egress, &m) {
		f.log(p, netfake.Egress, FlowReject, f.path(dst, within))
		return netfake.Next{}
	}
	f.log(p, netfake.Egress, FlowAccept, f.path(dst, within))
	f.mirror(p, netfake.Egress, false)
	if within {
		return f.toInterface(p, dst, &m)
	}
	return f.route(p, &m)
}

// lostFor is how long what was open at an address may still send from it when its instance has
// lost it: until Linux gives a TCP connection up that nobody answers, with the 15 retransmissions
// of tcp_retries2. Source: https://www.kernel.org/doc/html/latest/networking/ip-sysctl.html
const lostFor = 924800 * time.Millisecond

// spoofed drops a packet with a source that is not the interface's. Of an address that its
// instance has lost of late that is no wonder: what was open at it may still send.
func (f *Interface) spoofed(p *netfake.Packet) netfake.Next {
	src, since := p.Flow.Src.Addr(), ""
	if f.hadOfLate(src, p.At()) {
		since = " any more"
	} else {
		p.Alarm(f, fmt.Sprintf("sends as %v, which is not its address", src))
	}
	return p.Drop(f.hop(f, netfake.Egress, fmt.Sprintf("source check: %v is not %v%s", src, listed(f.addresses()), since), codeSourceCheck))
}

// hadOfLate reports whether the instance behind the interface has lost an address less than
// lostFor ago.
func (f *Interface) hadOfLate(addr netip.Addr, now time.Duration) bool {
	if f.instance == nil {
		return false
	}
	at, had := f.instance.lost[addr]
	return had && now-at < lostFor
}

// hop begins a hop at the interface.
func (f *Interface) hop(by netfake.Component, dir netfake.Direction, rule string, code netfake.Code) netfake.Hop {
	return netfake.Hop{Place: f.name, By: by, Direction: dir, Rule: rule, Code: code}
}

// stopped puts a packet through the interface's security groups and reports whether
// its way ends there. A packet of a tracked connection passes whatever the rules say.
// What is decided is noted in m.
func (f *Interface) stopped(p *netfake.Packet, dir netfake.Direction, ids identities, m *passage) bool {
	if f.managed {
		m.begins = true
		return false
	}
	flags, now, key := p.TCPFlags(), p.At(), trackKeyOf(p, dir)
	if c := f.tracker.lookup(&key, flags, now); c != nil {
		if p.Probing() {
			p.Undo(c.save())
		}
		f.tracker.observe(c, dir, flags, now)
		m.tracked = c
		if p.Traced() {
			p.Passed(f.hop(f.firstGroup(), dir, "tracked connection", ""))
		}
		return false
	}
	if f.speaksOfTracked(p, dir) {
		if p.Traced() {
			p.Passed(f.hop(f.firstGroup(), dir, "ICMP error about a tracked connection", ""))
		}
		return false
	}
	d := f.judge(p, dir, p.Flow, ids)
	d.tracked = d.allowed && f.tracks(p, &d, ids)
	switch {
	case !d.allowed:
		if p.Blocked(f.refusal(p, &d, ids)) {
			return true
		}
	case d.tracked && !admits(p.Flow, flags):
		hop := f.hop(d.group, dir, "no tracked connection that the segment belongs to", codeGroupMismatch)
		if p.Blocked(hop) {
			return true
		}
	case p.Traced():
		p.Passed(f.hop(d.group, dir, d.describe(), ""))
	}
	m.rule, m.opening, m.begins = d.rule, d.rule, true
	if admits(p.Flow, flags) {
		if d.allowed && d.tracked && f.exceeds(p, &key) {
			return true
		}
		if m.tracked = f.open(p, &d, &key); m.tracked != nil {
			m.rule = nil // those that follow pass whatever the rules say
		} else if f.tracker.lingers(&key, now) {
			m.partial = true
		}
	} else if !p.Probing() {
		d.count(p.Segments())
	}
	return false
}

// tracks reports whether the connection of a packet that the rules allow is to be tracked,
// one for which there is none.
func (f *Interface) tracks(p *netfake.Packet, d *decision, ids identities) bool {
	opens := p.Flow.Proto == netfake.TCP && opens(p.TCPFlags())
	switch {
	case d.tracked && opens:
		return true
	case f.tracksAll(peerOf(d.dir, p.Flow)):
		return true
	}
	return d.tracked && !opens && !f.answersUntracked(p, d.dir, ids)
}

// tracksAll reports whether all connections with an address are tracked, whatever the rules:
// for where the way to it leads, or for the interface that has it.
func (f *Interface) tracksAll(peer netip.Addr) bool {
	if !f.subnet.contains(peer) {
		r := f.subnet.routes().lookup(peer)
		if r != nil && r.State() == Active && r.Target.NextHop().Tracks {
			return true
		}
	}
	other := f.device.cache.told(mappingKey{f.farEnd(peer).vni, peer})
	return other.live() && other.iface.tracked
}

// TrackConnections has security groups track every connection with the interface, those
// that their rules would leave untracked as well. It is for the rooms of network load
// balancers, interface endpoints and functions, whose interfaces are like that. Source:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-connection-tracking.html
func (f *Interface) TrackConnections() {
	f.tb().Helper()
	f.edit(func(time.Duration) error {
		f.tracked = true
		return nil
	})
}

// path returns what flow records call the way to an address.
func (f *Interface) path(dst netip.Addr, within bool) TrafficPath {
	if len(f.logs) == 0 || within {
		return PathWithinVPC
	}
	r := f.subnet.routes().lookup(dst)
	if r == nil {
		return PathWithinVPC
	}
	return r.Target.NextHop().Path
}

// answersUntracked reports whether a packet belongs to a connection that was opened in
// the other direction and is not tracked, because rules let everything through both
// ways: then it is judged by the rules of its own direction alone.
func (f *Interface) answersUntracked(p *netfake.Packet, dir netfake.Direction, ids identities) bool {
	d := f.judge(p, opposite(dir), p.Flow.Reverse(), ids)
	return d.allowed && !d.tracked
}

// speaksOfTracked reports whether a packet is an ICMP error about a connection that the
// interface tracks.
func (f *Interface) speaksOfTracked(p *netfake.Packet, dir netfake.Direction) bool {
	if !isICMP(p.Flow.Proto) {
		return false
	}
	about, ok := p.Quoted()
	if !ok {
		return false
	}
	if isICMP(about.Proto) {
		return f.tracker.relatedEcho(dir, about, p.At())
	}
	return f.tracker.related(dir, about, p.At()) != nil
}

// open starts to track the connection that an allowed packet begins, and returns it: nil
// if it goes untracked, or for a probe. A probe that was refused goes on as if it had been
// allowed, and its answer is tracked.
func (f *Interface) open(p *netfake.Packet, d *decision, k *trackKey) *connection {
	if !p.Probing() {
		d.count(p.Segments())
		if d.tracked {
			return f.tracker.insert(k, p.At())
		}
		return nil
	}
	if d.tracked || !d.allowed {
		p.Undo(f.tracker.try(k, p.At()))
	}
	return nil
}

// refusal explains why no rule let a packet through.
func (f *Interface) refusal(p *netfake.Packet, d *decision, ids identities) netfake.Hop {
	var by netfake.Component = f
	if d.group != nil {
		by = d.group
	}
	hop := f.hop(by, d.dir, d.blame(f.groups), d.code)
	hop.Others = d.others(f.groups)
	typ, code := p.ICMPType()
	hop.Near = nearestRule(f.groups, d.dir, p.Flow, typ, code, ids)
	return hop
}

// firstGroup stands for all the groups of an interface where none in particular
// decided.
func (f *Interface) firstGroup() netfake.Component {
	if len(f.groups) == 0 {
		return f
	}
	return f.groups[0]
}

// stopped puts a packet that crosses the subnet's border at interface f through the
// ACL and reports whether its way ends there.
func (s *Subnet) stopped(p *netfake.Packet, f *Interface, dir netfake.Direction, m *passage) bool {
	typ, code := p.ICMPType()
	d := s.acl.check(dir, p.Flow, typ, code)
	if !p.Probing() {
		d.count(p.Segments())
	}
	m.entry = d.entry
	if d.allowed {
		if p.Traced() {
			p.Passed(f.hop(s.acl, dir, d.describe(), ""))
		}
		return false
	}
	hop := f.hop(s.acl, dir, d.describe(), d.code())
	hop.Near = s.acl.nearest(dir, p.Flow, typ, code)
	return p.Blocked(hop)
}

// route sends a packet where the subnet's table says.
func (f *Interface) route(p *netfake.Packet, m *passage) netfake.Next {
	table, dst := f.subnet.routes(), p.Flow.Dst.Addr()
	r := table.lookup(dst)
	if r == nil {
		return p.Drop(f.hop(table, netfake.NoDirection, fmt.Sprintf("no route to %v", dst), codeNoRoute))
	}
	if r.State() != Active {
		return p.Drop(f.hop(table, netfake.NoDirection, r.describe(), r.code()))
	}
	if p.Traced() {
		p.Passed(f.hop(table, netfake.NoDirection, r.describe(), ""))
	}
	next := r.Target.NextHop()
	m.target, m.next = r.Target, next
	if end, ok := f.fits(p, m); !ok {
		return end
	}
	return f.forward(p, m)
}

// forward sends a packet to the next hop that a route has led to.
func (f *Interface) forward(p *netfake.Packet, m *passage) netfake.Next {
	next, dst := m.next, p.Flow.Dst.Addr()
	switch {
	case next.Interface != nil:
		return f.toInterface(p, next.Interface.addr, m)
	case next.Edge != nil:
		return f.encapsulate(p, next.Edge.addr, 0, m)
	case next.Peering != nil:
		return f.toPeer(p, m)
	}
	return f.toInterface(p, dst, m)
}

// toInterface sends a packet to the interface that has an address: of the VPC, or of the peer
// that the route leads to.
func (f *Interface) toInterface(p *netfake.Packet, dst netip.Addr, m *passage) netfake.Next {
	key, cache := mappingKey{m.next.leadsTo(f.vpc).vni, dst}, &f.device.cache
	to, ask := cache.lookup(p, key)
	if ask {
		target, next := m.target, m.next
		return cache.ask(p, key, func(p *netfake.Packet, to *mapping) netfake.Next {
			return f.toMapped(p, key, to, &passage{target: target, next: next, partial: true})
		})
	}
	return f.toMapped(p, key, to, m)
}

// toMapped sends a packet where an address is. What the service would know better while it
// is down is not remembered, for its failure to count every packet.
func (f *Interface) toMapped(p *netfake.Packet, key mappingKey, to *mapping, m *passage) netfake.Next {
	service, cache := f.vpc.region.mapping, &f.device.cache
	if to == nil {
		why, code := m.next.leadsTo(f.vpc).unmapped(key.addr)
		hop := f.hop(service, netfake.NoDirection, why, code)
		if via := m.next.Interface; via != nil && !via.placed() {
			hop.By, hop.Rule = m.target, via.absence()
		}
		hop.Hint = cache.lag(key)
		return p.Drop(hop)
	}
	if p.Traced() && m.next.Interface == nil {
		p.Passed(f.hop(service, netfake.NoDirection, cache.describe(key, to), ""))
	}
	m.partial = m.partial || cache.missed(key)
	return f.encapsulate(p, to.device.addr, to.iface.id, m)
}

// encapsulate puts a packet into a frame and that on the wire, and remembers how it came
// to this.
func (f *Interface) encapsulate(p *netfake.Packet, to netip.Addr, receiver uint64, m *passage) netfake.Next {
	m.frame = Frame{From: f.device.addr, To: to, Entropy: entropy(p), VNI: m.next.leadsTo(f.vpc).vni, Source: f.id, Receiver: receiver}
	m.way = f.device.wayTo(to)
	if m.worthKeeping(f, p) {
		m.alike = f.treatsAlike(p, netfake.Egress)
		return m.sendFirst(f.device, p, &f.sent)
	}
	return f.device.send(p, &m.frame, m.way)
}

// send puts the frame's headers in front of p and transmits it.
func (d *device) send(p *netfake.Packet, frame *Frame, w way) netfake.Next {
	frame.putBefore(p)
	return d.transmit(p, frame.To, w)
}

// entropy is the UDP source port of a packet's frames, a number made of its flow, from the
// range that RFC 8926 recommends (section 3.3).
func entropy(p *netfake.Packet) uint16 { return 0xc000 | uint16(p.FlowHash()) }
