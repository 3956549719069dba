package fabricfake

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// Wire returns the link between the host and the substrate, over which every frame goes
// that the host sends to another device or gets from one, and takes no time unless a test
// says otherwise. Forth is the way out. Whoever owns it does with a netfake.Node what he
// likes: Insert one, and its Step sees frames one by one, which ParseFrame reads from
// Packet.Bytes; it may let them go on (Onward), or late (OnwardAfter), drop them, write to
// their bytes, or repeat them. What two instances of the host say to each other does not
// leave it. Frames of one's own go to Inject.
//
// Nothing on a wire is encrypted, other than on that of the real service: who alters what
// is inside of a frame, and its checksums, is not found out. Who alters the frame itself
// is, as far as the receiving host can check; and the switch at the end of the wire lets
// nothing out that claims to be from another host (as BCP 38 asks of networks), without
// which hosts could not trust an outer address.
func (h *PhysicalHost) Wire() *netfake.Link {
	h.tb().Helper()
	w := h.region.world
	if h.wire == nil {
		l := w.NewLink("wire of "+h.name+" in "+h.region.name, 0)
		w.Do(func(time.Duration) { h.wire = l })
	}
	return h.wire
}

// transmit puts a frame for an address on the wire.
func (d *device) transmit(p *netfake.Packet, to netip.Addr, w way) netfake.Next {
	switch {
	case w.peer == nil:
		return p.Drop(netfake.Hop{Place: d.name, By: d.self(), Rule: fmt.Sprintf("nothing on the substrate has %v", to)})
	case w.peer == d:
		return p.Along(w.along, port{d})
	}
	d.tap.Record(p)
	if d.wire != nil {
		return p.Along(d.wire.Forth(), wireEnd{d, w})
	}
	return w.cross(p)
}

// cross takes a frame over the substrate to the device, or to its wire if somebody owns
// that.
func (w *way) cross(p *netfake.Packet) netfake.Next {
	if w.peer.wire != nil {
		return p.Along(w.along, wirePlug{w.peer})
	}
	return p.Along(w.along, port{w.peer})
}

// straight reports whether a frame comes to the device at once, with nobody between.
func (w *way) straight() bool { return w.peer != nil && w.peer.wire == nil && w.along.Clear() }

// wireEnd is where a device's own wire ends and the substrate begins.
type wireEnd struct {
	*device
	way way
}

// TakesTrains implements netfake.TrainNode.
func (wireEnd) TakesTrains() bool { return true }

// Step takes a frame over the substrate, if it is not from somebody else.
func (e wireEnd) Step(p *netfake.Packet) netfake.Next {
	if src := outerSource(p); src != e.addr {
		whose := "which is another's address"
		if e.region.devices[src] == nil {
			whose = "where nothing is"
		}
		return e.refuse(p, netfake.Egress, fmt.Sprintf("a frame from %v, %s", src, whose), "")
	}
	return e.way.cross(p)
}

// outerSource returns the source address in the header of a frame.
func outerSource(p *netfake.Packet) netip.Addr {
	return netip.AddrFrom4([4]byte(p.Bytes()[12:16]))
}

// wirePlug is where the substrate ends and a device's own wire begins.
type wirePlug struct{ *device }

// TakesTrains implements netfake.TrainNode.
func (wirePlug) TakesTrains() bool { return true }

// Step takes the frame over the wire to the device.
func (g wirePlug) Step(p *netfake.Packet) netfake.Next {
	return p.Along(g.wire.Back(), arrival(g))
}

// arrival is where what has come over a wire comes to the device: not from itself, as what a
// host says to itself does not leave it.
type arrival struct{ *device }

// TakesTrains implements netfake.TrainNode.
func (a arrival) TakesTrains() bool { return port(a).TakesTrains() }

// Step takes the frame to the port.
func (a arrival) Step(p *netfake.Packet) netfake.Next {
	if outerSource(p) == a.addr {
		return a.reject(p, fmt.Sprintf("a frame from %v, which is its own address, over the wire", a.addr), "")
	}
	return port(a).Step(p)
}

// Inject puts bytes on the host's wire, at its far end, as somebody could who owns it. Where
// they go is what their outer header says. Bytes that have none fail the test, and so do more
// than the 65,535 that IPv4 can carry. What is longer than GENEVE and a packet of MTU is put
// there and rejected by who receives it.
func (h *PhysicalHost) Inject(frame []byte) {
	h.tb().Helper()
	h.inject(frame)
}

// Inject puts bytes on the edge's wire, as PhysicalHost.Inject does.
func (e *Edge) Inject(frame []byte) {
	e.tb().Helper()
	e.inject(frame)
}

func (d *device) inject(frame []byte) {
	w := d.region.world
	w.TB().Helper()
	var err error
	w.Do(func(time.Duration) {
		p := w.NewPacket(len(frame), uint64(len(frame)), 0)
		copy(p.Bytes(), frame)
		switch err = p.Decode(); {
		case len(frame) > maxFrameLen:
			err = fmt.Errorf("%d bytes, and IPv4 carries %d at most", len(frame), maxFrameLen)
		case err == nil && !p.Flow.Dst.Addr().Is4():
			err = errNotGeneve
		}
		if err == nil {
			w.Trace(p, d.name+" wire")
			w.Send(p, &injector{d, p.Flow.Dst.Addr()})
		}
	})
	if err != nil {
		w.TB().Fatalf("fabricfake: %s: the frame has no outer header that a wire could carry: %v", d.name, err)
	}
}

// injector sends what it is given as it is.
type injector struct {
	*device
	to netip.Addr
}

// Step puts the frame on the substrate, where a capture at the device sees it.
func (i *injector) Step(p *netfake.Packet) netfake.Next {
	w := i.wayTo(i.to)
	switch {
	case w.peer == nil:
		return i.transmit(p, i.to, w)
	case w.peer != i.device:
		i.tap.Record(p)
	case outerSource(p) == i.addr:
		return arrival{i.device}.Step(p)
	}
	return wireEnd{i.device, w}.Step(p)
}
