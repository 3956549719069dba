package fabricfake

import (
	"fmt"

	"github.com/netspec-go/netspec/netfake"
)

// port is the receiving end of the substrate at a device.
type port struct{ *device }

// TakesTrains implements netfake.TrainNode. What stands behind an edge has a say.
func (r port) TakesTrains() bool {
	if r.edge == nil {
		return r.mirrored == 0
	}
	node, ok := r.edge.node.(interface{ TakesTrains() bool })
	return ok && node.TakesTrains()
}

// Step takes a frame off the wire: it decodes the bytes, believes nothing of them that
// it cannot check, and hands the packet inside to the interface or the edge. What a passage
// has just written, and nobody could change on the way, it need not read.
func (r port) Step(p *netfake.Packet) netfake.Next {
	d := r.device
	if d.failed(p) {
		return p.Drop(d.outage(d.name, netfake.NoDirection))
	}
	if f, ok := p.Told().(*Frame); ok && f.To == d.addr {
		if m := d.remembers(p, f); m != nil {
			d.record(p, f)
			p.Pull(frameHeaderLen)
			return d.hand(p, m)
		}
	}
	var frame Frame
	err := frame.parse(p.Bytes())
	d.record(p, &frame)
	if err != nil {
		return d.reject(p, fmt.Sprintf("fabricfake: %v", err), "")
	}
	if frame.To != d.addr {
		return d.reject(p, fmt.Sprintf("a frame for %v", frame.To), "")
	}
	p.Pull(p.Len() - len(frame.Inner))
	if err = p.Decode(); err != nil {
		return d.reject(p, fmt.Sprintf("the packet in the frame: %v", err), "")
	}
	if p.Len() > MTU && p.Largest() > MTU {
		return d.reject(p, fmt.Sprintf("a packet of %d bytes, which no interface sends", p.Largest()), "")
	}
	if m := d.remembers(p, &frame); m != nil {
		return d.hand(p, m)
	}
	if like := d.came.precedents.find(p); like != nil && like.frame.same(&frame) {
		if like.to == nil {
			return d.edge.node.Leave(p, d.came.repeat(like, p).from)
		}
		if m := d.came.follow(like, like.to, p, netfake.Ingress); m != nil {
			return p.To(m.to.guest)
		}
	}
	return d.receive(p, &frame)
}

// record captures a frame, unless it has not left the device.
func (d *device) record(p *netfake.Packet, frame *Frame) {
	if frame.From != d.addr {
		d.tap.Record(p)
	}
}

// remembers returns the passage of a packet that came in a frame, nil if its way is to be decided.
func (d *device) remembers(p *netfake.Packet, frame *Frame) *passage {
	m := d.came.find(p)
	if m == nil || !m.frame.same(frame) || m.to != nil && !m.current(m.to, p.At()) {
		return nil
	}
	return m
}

// hand hands a packet to where its passage leads.
func (d *device) hand(p *netfake.Packet, m *passage) netfake.Next {
	if m.to == nil {
		return d.edge.node.Leave(p, m.from)
	}
	m.take(m.to, p, netfake.Ingress)
	return p.To(m.to.guest)
}

// receive hands the packet of a frame to the interface or the edge that it is for.
func (d *device) receive(p *netfake.Packet, frame *Frame) netfake.Next {
	if d.edge != nil {
		return d.edge.receive(p, frame)
	}
	f := d.receiver(frame)
	if f == nil {
		return d.reject(p, fmt.Sprintf("a frame of vni %d for interface %d, which is not here", frame.VNI, frame.Receiver), d.senderLagsBehind(p, frame))
	}
	if key, ask := d.unknownSender(p, f.vpc, frame); ask {
		return d.askSender(p, f.vpc, key, frame)
	}
	sender := d.sender(p, f.vpc, frame)
	switch {
	case sender.why != "":
		return d.disbelieve(p, f.vpc, frame, sender)
	case f.device != d:
		return d.stale(p, d.moved(f), d.senderLagsBehind(p, frame))
	}
	return f.receive(p, frame, sender.from)
}

// reject drops a frame that no healthy host sends, unless one of the two has yet to be
// told of a change, which the hint says. The device cannot know that: it counts the frame,
// raises an alarm and does not answer.
func (d *device) reject(p *netfake.Packet, why, hint string) netfake.Next {
	return d.refuse(p, netfake.Ingress, why, hint)
}

// refuse is reject for a frame in a direction.
func (d *device) refuse(p *netfake.Packet, dir netfake.Direction, why, hint string) netfake.Next {
	if !p.Probing() {
		d.rejected += uint64(p.Segments())
	}
	p.Alarm(d.self(), why)
	return p.Drop(netfake.Hop{Place: d.name, By: d.self(), Direction: dir, Rule: why, Code: codeMappingInvalid, Hint: hint})
}

// receive takes a packet that has come for the interface through its stages.
// The sender is nil for an edge.
func (f *Interface) receive(p *netfake.Packet, frame *Frame, sender *Interface) netfake.Next {
	m := passage{to: f, frame: *frame, opened: f.tracker.opened}
	if p.IsFragment() {
		if end, ok := f.fragments.receives(f, p, frame); !ok {
			return end
		}
	}
	if p.Traced() {
		p.Passed(netfake.Hop{Place: f.device.name, By: f.vpc.region.mapping, Direction: netfake.Ingress,
			Rule: fmt.Sprintf("%v may send as %v", frame.From, p.Flow.Src.Addr())})
	}
	var ids *groups
	if sender != nil && f.device.locates(sender, p.Flow.Src.Addr(), f.vpc.region.devices[frame.From]) {
		ids = f.idsOf(sender.vpc) // else somebody is in between: the sender's groups are not known
	}
	crossing := sender == nil || sender.subnet != f.subnet
	if crossing && f.subnet.stopped(p, f, netfake.Ingress, &m) || f.stoppedAs(p, ids, &m) {
		f.log(p, netfake.Ingress, FlowReject, PathWithinVPC)
		return netfake.Next{}
	}
	f.log(p, netfake.Ingress, FlowAccept, PathWithinVPC)
	f.mirror(p, netfake.Ingress, false)
	if dst := p.Flow.Dst.Addr(); f.check == SourceDestCheckOn && !f.owns(dst) {
		hop := f.hop(f, netfake.Ingress, fmt.Sprintf("destination check: %v is not %v", dst, listed(f.addresses())), codeSourceCheck)
		hop.Hint = f.device.senderLagsBehind(p, frame)
		return p.Drop(hop)
	}
	m.partial = m.partial || f.device.missesSender(p, sender)
	if m.worthKeeping(f, p) {
		m.alike = f.treatsAlike(p, netfake.Ingress)
		f.device.came.put(p, &m)
	}
	return p.To(f.guest)
}

// stoppedAs is stopped on the receiving side; a nil ids must not become an interface
// that holds nil.
func (f *Interface) stoppedAs(p *netfake.Packet, ids *groups, m *passage) bool {
	if ids == nil {
		return f.stopped(p, netfake.Ingress, nil, m)
	}
	return f.stopped(p, netfake.Ingress, ids, m)
}
