package fabricfake

import (
	"fmt"
	"net/netip"

	"github.com/netspec-go/netspec/netfake"
)

// sender checks that a frame's packet comes from who it says, as far as the device itself
// knows where everybody is: from an interface of the VPC that is where the frame was sent,
// with an address of its own unless it forwards; or from an edge of the VPC, with an
// address outside of it. It returns the interface, nil for an edge, and why the frame is
// a forgery, "" if it is none.
//
// A device that has yet to be told that somebody has moved takes his frames for forged, and
// those from where he was for honest ones: there is nothing else by which it could tell.
func (d *device) sender(p *netfake.Packet, v *VPC, frame *Frame) (from *Interface, forged string) {
	src := p.Flow.Src.Addr()
	at := d.region.devices[frame.From]
	switch {
	case at == nil:
		return nil, fmt.Sprintf("a frame from %v, where nothing is", frame.From)
	case at.edge != nil:
		if frame.Source != 0 || !at.edge.serves(v) {
			return nil, fmt.Sprintf("a frame of vni %d from the edge %s, which does not serve it", frame.VNI, at.name)
		}
		if v.Contains(src) {
			return nil, fmt.Sprintf("a frame from the edge %s with %v, an address inside the VPC", at.name, src)
		}
		return nil, ""
	}
	f := d.region.interfaces[frame.Source]
	if f == nil || f.vpc != v || !d.finds(p, f, f.addr, at) {
		return nil, fmt.Sprintf("a frame of vni %d from %v in the name of interface %d, which is not there", frame.VNI, frame.From, frame.Source)
	}
	if f.check == SourceDestCheckOn && src != f.addr && !d.finds(p, f, src, at) {
		return nil, fmt.Sprintf("a frame from %v with the source %v, which is not mapped there", frame.From, src)
	}
	return f, ""
}

// finds reports whether, for all that the device knows, an interface has an address, and is
// on another device.
func (d *device) finds(p *netfake.Packet, f *Interface, addr netip.Addr, at *device) bool {
	e, _ := d.cache.lookup(p, mappingKey{f.vpc.vni, addr})
	return e != nil && e.iface == f && e.device == at
}

// senderKeys returns what a device has to know to judge a frame's sender: where the
// interface is that it names, and who has the address that its packet comes from. There
// is none where the sender is an edge, or nobody.
func (d *device) senderKeys(p *netfake.Packet, v *VPC, frame *Frame) (keys [2]mappingKey) {
	at, f := d.region.devices[frame.From], d.region.interfaces[frame.Source]
	if at == nil || at.edge != nil || f == nil || f.vpc != v {
		return keys
	}
	keys[0] = mappingKey{v.vni, f.addr}
	if f.check == SourceDestCheckOn {
		keys[1] = mappingKey{v.vni, p.Flow.Src.Addr()}
	}
	return keys
}

// unknownSender returns what the device has to ask the mapping service before it can judge
// a frame's sender, if anything.
func (d *device) unknownSender(p *netfake.Packet, v *VPC, frame *Frame) (key mappingKey, ask bool) {
	if d.region.mapping.misses != MissAsk {
		return key, false
	}
	for _, key := range d.senderKeys(p, v, frame) {
		if key.addr.IsValid() {
			if _, ask := d.cache.lookup(p, key); ask {
				return key, true
			}
		}
	}
	return key, false
}

// askSender has a packet wait until the device knows what there is to know of its sender.
func (d *device) askSender(p *netfake.Packet, key mappingKey, frame *Frame) netfake.Next {
	late := *frame
	late.Inner = nil
	return d.cache.ask(p, key, func(p *netfake.Packet, e *mapping) netfake.Next {
		if e == nil {
			return d.reject(p, fmt.Sprintf("a frame from %v with the source %v, which is not mapped there", late.From, key.addr), "")
		}
		return d.receive(p, &late)
	})
}

// senderLag says what the device has yet to be told of a frame's sender.
func (d *device) senderLag(p *netfake.Packet, v *VPC, frame *Frame) string {
	for _, key := range d.senderKeys(p, v, frame) {
		if lag := d.cache.lag(key); lag != "" {
			return lag
		}
	}
	return ""
}

// senderLagsBehind says what the sender of a frame has yet to be told of its destination.
func (d *device) senderLagsBehind(p *netfake.Packet, frame *Frame) string {
	at := d.region.devices[frame.From]
	if at == nil {
		return ""
	}
	return at.cache.lag(mappingKey{frame.VNI, p.Flow.Dst.Addr()})
}
