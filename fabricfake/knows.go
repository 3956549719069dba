package fabricfake

import (
	"net/netip"

	"github.com/netspec-go/netspec/netfake"
)

// Knowledge is what a device takes for true of an address, whatever the mapping service
// knows better. The zero Knowledge is that nobody has it.
type Knowledge struct {
	// Interface has the address. If nil, nobody does.
	Interface *Interface

	// Private and Public are the two addresses of which one is translated to the other. A
	// zero Addr says that there is none.
	Private, Public netip.Addr

	// Lag says in a trace that the device has yet to be told of a change. It is "" if the
	// device has been told of everything.
	Lag string
}

// Knows returns what the edge knows of a private or an IPv6 address of its VPC, for a packet
// whose way depends on it. It may be called only inside the scheduler.
func (e *Edge) Knows(p *netfake.Packet, addr netip.Addr) Knowledge {
	return e.knows(p, mappingKey{e.vpc.vni, addr})
}

// KnowsPublic is Knows for a public IPv4 address, which is translated to Private. Of these an
// edge is told in advance under MissAsk too: that policy is about where addresses are.
func (e *Edge) KnowsPublic(p *netfake.Packet, addr netip.Addr) Knowledge {
	return e.knows(p, publicKey(e.vpc, addr))
}

// Knows returns what the physical host of the interface knows of an address of its VPC, as
// Edge.Knows does. It is for the room of a gateway that stands behind the interface.
func (f *Interface) Knows(p *netfake.Packet, addr netip.Addr) Knowledge {
	return f.device.knows(p, mappingKey{f.vpc.vni, addr})
}

func (d *device) knows(p *netfake.Packet, key mappingKey) Knowledge {
	if d.cache.missed(key) {
		d.cache.service.hit(p)
	}
	k := Knowledge{Lag: d.cache.lag(key)}
	switch e := d.cache.told(key); {
	case !e.live():
	case e.private.IsValid():
		k.Interface, k.Private, k.Public = e.iface, e.private, key.addr
	default:
		k.Interface, k.Private, k.Public = e.iface, key.addr, e.public
	}
	return k
}
