package fabricfake

import (
	"fmt"
	"net/netip"

	"github.com/netspec-go/netspec/netfake"
)

// provenance is what a device makes of who sent a frame.
type provenance struct {
	from *Interface // nil for an edge
	why  string     // why the frame is not believed, "" if it is
	late bool       // it would have been believed when it was sent
}

// sender checks that a frame's packet comes from who it says, as far as the device itself
// knows where everybody is: from an interface of the VPC, or of a peer, that is where the frame
// was sent, with an address of its own unless it forwards; or from an edge of the VPC, with an
// address outside of it.
func (d *device) sender(p *netfake.Packet, v *VPC, frame *Frame) provenance {
	at := d.region.devices[frame.From]
	switch {
	case at == nil:
		return provenance{why: fmt.Sprintf("a frame from %v, where nothing is", frame.From)}
	case at.edge != nil:
		return provenance{why: at.edge.outside(p, v, frame)}
	}
	f := d.region.numbered(frame.Source)
	if f == nil || !v.hears(f.vpc) {
		late := f != nil && v.wasPeer(f.vpc, p.At()) && d.wasBelieved(p, f, at)
		return provenance{why: frame.misnamed(), late: late}
	}
	src := p.Flow.Src.Addr()
	e := d.finds(p, f, f.addr, at)
	switch {
	case e == nil:
		return provenance{why: frame.misnamed(), late: d.wasBelieved(p, f, at)}
	case f.vpc != v && !(f.vpc.Contains(src) && v.Contains(p.Flow.Dst.Addr())):
		return provenance{why: frame.astray(p.Flow)}
	case e.check == SourceDestCheckOn && src != f.addr && d.finds(p, f, src, at) == nil:
		return provenance{why: frame.misplaced(src), late: d.wasBelieved(p, f, at)}
	}
	return provenance{from: f}
}

// outside says why a frame cannot be from the edge, "" if it can.
func (e *Edge) outside(p *netfake.Packet, v *VPC, frame *Frame) string {
	switch src := p.Flow.Src.Addr(); {
	case frame.Source != 0 || !e.serves(v):
		return fmt.Sprintf("a frame of vni %d from the edge %s, which does not serve it", frame.VNI, e.name)
	case v.Contains(src):
		return fmt.Sprintf("a frame from the edge %s with %v, an address inside the VPC", e.name, src)
	case !src.IsGlobalUnicast() || v.isBeside(src):
		return fmt.Sprintf("a frame from the edge %s with %v, which nobody outside has", e.name, src)
	}
	return ""
}

// misnamed says that a frame is in the name of an interface that is not where it is from.
func (f *Frame) misnamed() string {
	return fmt.Sprintf("a frame of vni %d from %v in the name of interface %d, which is not there", f.VNI, f.From, f.Source)
}

// astray says that a frame from a peer has a packet that a peering does not carry.
func (f *Frame) astray(flow netfake.Flow) string {
	return fmt.Sprintf("a frame of vni %d from %v in the name of interface %d, of a peer, from %v to %v, which are not of the two VPCs", f.VNI, f.From, f.Source, flow.Src.Addr(), flow.Dst.Addr())
}

// misplaced says that the source of a frame's packet is not where the frame is from.
func (f *Frame) misplaced(src netip.Addr) string {
	return fmt.Sprintf("a frame from %v with the source %v, which is not mapped there", f.From, src)
}

// disbelieve drops a frame whose sender is not believed: as a forgery, unless it may have
// been in order when it was sent.
func (d *device) disbelieve(p *netfake.Packet, v *VPC, frame *Frame, sender provenance) netfake.Next {
	if sender.late {
		return d.stale(p, sender.why+" any more", "")
	}
	return d.reject(p, sender.why, d.senderLag(p, v, frame))
}

// finds returns what the device knows of an address if, for all that it knows, an interface
// has it and is on another device, else nil.
func (d *device) finds(p *netfake.Packet, f *Interface, addr netip.Addr, at *device) *mapping {
	e, _ := d.cache.lookup(p, mappingKey{f.vpc.vni, addr})
	if e == nil || e.iface != f || e.device != at {
		return nil
	}
	return e
}

// locates reports whether, for all that the device has been told, an interface has an address
// on another device. It is no look-up: nobody is asked, and no failure is hit.
func (d *device) locates(f *Interface, addr netip.Addr, at *device) bool {
	e := d.cache.told(mappingKey{f.vpc.vni, addr})
	return e.live() && e.iface == f && e.device == at
}

// missesSender reports whether the failure of the mapping service keeps from the device what
// has become of a packet's sender: then each packet is to meet it.
func (d *device) missesSender(p *netfake.Packet, f *Interface) bool {
	return f != nil && (d.cache.missed(mappingKey{f.vpc.vni, f.addr}) || d.cache.missed(mappingKey{f.vpc.vni, p.Flow.Src.Addr()}))
}

// senderKeys returns what a device has to know to judge a frame's sender: where the
// interface is that it names, and who has the address that its packet comes from. There
// is none where the sender is an edge, or nobody.
func (d *device) senderKeys(p *netfake.Packet, v *VPC, frame *Frame) (keys [2]mappingKey) {
	at, f := d.region.devices[frame.From], d.region.numbered(frame.Source)
	if at == nil || at.edge != nil || f == nil || !v.hears(f.vpc) {
		return keys
	}
	keys[0] = mappingKey{f.vpc.vni, f.addr}
	if e := d.cache.told(keys[0]); !e.live() || e.check == SourceDestCheckOn {
		keys[1] = mappingKey{f.vpc.vni, p.Flow.Src.Addr()}
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
func (d *device) askSender(p *netfake.Packet, v *VPC, key mappingKey, frame *Frame) netfake.Next {
	late := *frame
	late.Inner = nil
	return d.cache.ask(p, key, func(p *netfake.Packet, e *mapping) netfake.Next {
		if e == nil {
			at, f := d.region.devices[late.From], d.region.numbered(late.Source)
			why := late.misplaced(key.addr)
			if key.addr == f.addr {
				why = late.misnamed()
			}
			return d.disbelieve(p, v, &late, provenance{why: why, late: d.wasBelieved(p, f, at)})
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
