package fabricfake

import (
	"fmt"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// A frame that was sent in good faith may find the world changed when it arrives: its
// receiver has left, or its sender is somewhere else by now. A device that can tell drops
// such a frame as a stale one, without an alarm. It can in two cases:
//
// Of an interface that was here it knows so itself. As others may have yet to be told that
// it has left, the frame may be of any age; its sender has to be in order.
//
// Of a sender who has moved it is told when he did. What comes from where he was, or as he
// was, may have been under way since before, for as long as a frame may be: FrameLifetime.
//
// It cannot tell whether one who speaks from where it does not know him has just come
// there, which it has yet to be told, or is somebody else: such a frame it takes for forged.

// FrameLifetime is for how long after a change a device reckons with frames that were sent
// before it: a number of the model, far more than any way through the fabric takes unless
// a test delays or holds what is on it.
const FrameLifetime = time.Second

// codeStale is for a frame that was in order when it was sent. There is none of AWS for it.
const codeStale netfake.Code = "MAPPING_STALE"

// lately reports whether something holds for what is known of an address, or held for it
// when a frame that arrives now may have been sent.
func (m *mapping) lately(now time.Duration, holds func(*mapping) bool) bool {
	for ; m != nil; m = m.before {
		if m.live() && holds(m) {
			return true
		}
		if now-m.since >= FrameLifetime {
			return false
		}
	}
	return false
}

// forget drops of the past what no longer matters.
func (m *mapping) forget(now time.Duration) {
	for ; m != nil; m = m.before {
		if now-m.since >= FrameLifetime {
			m.before = nil
		}
	}
}

// wasBelieved reports whether, for all that the device knows, a frame was in order when it
// was sent: an interface was at a device then, and its packet's source its own, unless it
// forwarded.
func (d *device) wasBelieved(p *netfake.Packet, f *Interface, at *device) bool {
	there := func(m *mapping) bool { return m.iface == f && m.device == at }
	src := p.Flow.Src.Addr()
	return d.cache.told(mappingKey{f.vpc.vni, f.addr}).lately(p.At(), func(m *mapping) bool {
		return there(m) && (m.check == SourceDestCheckOff || src == f.addr || d.cache.told(mappingKey{f.vpc.vni, src}).lately(p.At(), there))
	})
}

// receiver returns the interface that a frame is for, which is here or was, nil if there is
// none.
func (d *device) receiver(frame *Frame) *Interface {
	f := d.region.interfaces[frame.Receiver]
	if f == nil || f.device != d {
		f = d.left[frame.Receiver]
	}
	if f == nil || f.vpc.vni != frame.VNI {
		return nil
	}
	return f
}

// stale drops a frame that was in order when it was sent. The device counts it.
func (d *device) stale(p *netfake.Packet, why, hint string) netfake.Next {
	if !p.Probing() {
		d.outrun += uint64(p.Segments())
	}
	return p.Drop(netfake.Hop{Place: d.name, By: d.self(), Direction: netfake.Ingress, Rule: why, Code: codeStale, Hint: hint})
}

// moved says of an interface that a device it has left does not have it any more.
func (d *device) moved(f *Interface) string {
	return fmt.Sprintf("interface %d, %s, is no longer here", f.id, f.name)
}

// Stale returns how many frames the host has dropped since what they were for, or who sent
// them, is not there any more, which they could not know when they were sent.
func (h *PhysicalHost) Stale() uint64 { return h.countStale() }

// Stale returns how many frames the edge has dropped as PhysicalHost.Stale says.
func (e *Edge) Stale() uint64 { return e.countStale() }

func (d *device) countStale() (n uint64) {
	d.region.world.Do(func(time.Duration) { n = d.outrun })
	return n
}
