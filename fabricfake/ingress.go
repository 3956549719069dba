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
// it cannot check, and hands the packet inside to the interface or the edge.
func (r port) Step(p *netfake.Packet) netfake.Next {
	d := r.device
	if d.failed(p) {
		return p.Drop(d.outage(d.name, netfake.NoDirection))
	}
	frame, err := ParseFrame(p.Bytes())
	if frame.From != d.addr {
		d.tap.Record(p)
	}
	if err != nil {
		return d.reject(p, err.Error())
	}
	if frame.To != d.addr {
		return d.reject(p, fmt.Sprintf("a frame for %v", frame.To))
	}
	p.Pull(p.Len() - len(frame.Inner))
	if err = p.Decode(); err != nil {
		return d.reject(p, fmt.Sprintf("the packet in the frame: %v", err))
	}
	if m := d.came.find(p); m != nil && m.frame.same(&frame) && (m.to == nil || m.current(m.to, p.At())) {
		if m.to == nil {
			return d.edge.node.Leave(p, m.from)
		}
		m.take(m.to, p, netfake.Ingress)
		return p.To(m.to.guest)
	}
	if d.edge != nil {
		return d.edge.receive(p, &frame)
	}
	f := d.region.interfaces[frame.Receiver]
	if f == nil || f.device != d || f.vpc.vni != frame.VNI {
		return d.reject(p, fmt.Sprintf("a frame of vni %d for interface %d, which is not here", frame.VNI, frame.Receiver))
	}
	return f.receive(p, &frame)
}

// reject drops a frame that no healthy host sends, and raises an alarm. It is not
// answered.
func (d *device) reject(p *netfake.Packet, why string) netfake.Next {
	p.Alarm(d.self(), why)
	return p.Drop(netfake.Hop{Place: d.name, By: d.self(), Direction: netfake.Ingress, Rule: why, Code: codeMappingInvalid})
}

// receive takes a packet that has come for the interface through its stages.
func (f *Interface) receive(p *netfake.Packet, frame *Frame) netfake.Next {
	m := passage{to: f, frame: *frame, opened: f.tracker.opened}
	sender, why := f.vpc.sender(p, frame)
	if why != "" {
		return f.device.reject(p, why)
	}
	if p.Traced() {
		p.Passed(netfake.Hop{Place: f.device.name, By: f.vpc.region.mapping, Direction: netfake.Ingress,
			Rule: fmt.Sprintf("%v may send as %v", frame.From, p.Flow.Src.Addr())})
	}
	ids := f.vpc.ids
	if sender == nil || !sender.owns(p.Flow.Src.Addr()) {
		ids = nil // somebody in between: the sender's groups are not known
	}
	crossing := sender == nil || sender.subnet != f.subnet
	if crossing && f.subnet.stopped(p, f, netfake.Ingress, &m) || f.stoppedAs(p, ids, &m) {
		f.log(p, netfake.Ingress, FlowReject, PathWithinVPC)
		return netfake.Next{}
	}
	f.log(p, netfake.Ingress, FlowAccept, PathWithinVPC)
	f.mirror(p, netfake.Ingress, false)
	if dst := p.Flow.Dst.Addr(); f.check == SourceDestCheckOn && !f.owns(dst) {
		return p.Drop(f.hop(f, netfake.Ingress, fmt.Sprintf("destination check: %v is not %v", dst, listed(f.addresses())), codeSourceCheck))
	}
	if m.worthKeeping(f, p) {
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

// sender checks that a frame's packet comes from who it says: from an interface of the
// VPC that is where the frame was sent, with an address of its own unless it forwards;
// or from an edge of the VPC, with an address outside of it. It returns the interface,
// nil for an edge, and why the frame is a forgery, "" if it is none.
func (v *VPC) sender(p *netfake.Packet, frame *Frame) (from *Interface, forged string) {
	src := p.Flow.Src.Addr()
	d := v.region.devices[frame.From]
	switch {
	case d == nil:
		return nil, fmt.Sprintf("a frame from %v, where nothing is", frame.From)
	case d.edge != nil:
		if frame.Source != 0 || !d.edge.serves(v) {
			return nil, fmt.Sprintf("a frame of vni %d from the edge %s, which does not serve it", frame.VNI, d.name)
		}
		if v.Contains(src) {
			return nil, fmt.Sprintf("a frame from the edge %s with %v, an address inside the VPC", d.name, src)
		}
		return nil, ""
	}
	f := v.region.interfaces[frame.Source]
	if f == nil || f.vpc != v || f.device != d {
		return nil, fmt.Sprintf("a frame of vni %d from %v in the name of interface %d, which is not there", frame.VNI, frame.From, frame.Source)
	}
	if f.check == SourceDestCheckOn && !f.owns(src) {
		return nil, fmt.Sprintf("a frame from %v with the source %v, which is not mapped there", frame.From, src)
	}
	return f, ""
}
