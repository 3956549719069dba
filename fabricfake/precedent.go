package fabricfake

import (
	"encoding/binary"

	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// precedents is a cache of the passages that began with a connection. Connections between
// the same addresses to the same port have the same precedent: a SYN's source port is
// nothing that a stage looks at. A precedent holds as long as a passage does, but for the
// connection, which each has for itself.
type precedents [16]*passage

// opensTCP reports whether a packet is the first of a TCP connection.
func opensTCP(p *netfake.Packet) bool { return p.Flow.Proto == netfake.TCP && opens(p.TCPFlags()) }

// opensUnseen is opensTCP for a packet that nobody watches.
func opensUnseen(p *netfake.Packet) bool {
	return opensTCP(p) && !p.Traced() && !p.Probing() && !p.IsFragment()
}

// place returns where the precedent of a flow belongs.
func (c *precedents) place(f *netfake.Flow) **passage {
	src, dst := f.Src.Addr().As16(), f.Dst.Addr().As16()
	return &c[(src[15]^dst[15]<<2^byte(f.Dst.Port()))%byte(len(c))]
}

// put remembers the passage of a connection that has been opened.
func (c *precedents) put(m *passage) {
	place := c.place(&m.flow)
	if *place == nil {
		*place = new(passage)
	}
	**place = *m
}

// find returns the precedent of a packet that opens a connection, nil if there is none or
// something has changed.
func (c *precedents) find(p *netfake.Packet) *passage {
	if !opensUnseen(p) {
		return nil
	}
	m := *c.place(&p.Flow)
	switch {
	case m == nil, m.changes != p.World().Changes():
		return nil
	case m.flow.Dst != p.Flow.Dst, m.flow.Src.Addr() != p.Flow.Src.Addr():
		return nil
	}
	return m
}

// follow has a packet that opens a connection take the decisions of its precedent at
// interface f: they are counted, the connection is tracked if that one was, and the passage
// of the packets to come is returned. It is nil for a packet that has to go through the
// stages all the same: a connection that is tracked already has its say, and so has the
// allowance of those that may be.
func (c *passages) follow(precedent *passage, f *Interface, p *netfake.Packet, dir netfake.Direction) *passage {
	key, now, tracks := trackKeyOf(p, dir), p.At(), precedent.tracked != nil
	switch {
	case !precedent.takes(p), !precedent.leads():
		return nil
	case tracks && f.instance != nil && f.instance.conntrack.most > 0:
		return nil
	case f.tracker.lookup(&key, p.TCPFlags(), now) != nil:
		return nil
	}
	m := c.repeat(precedent, p)
	m.opened = f.tracker.opened
	if tracks {
		m.tracked = f.tracker.insert(&key, now)
	}
	if m.opening != nil {
		m.opening.Hits += uint64(p.Segments())
	}
	if m.entry != nil {
		m.entry.Hits += uint64(p.Segments())
	}
	return m
}

// repeat has a packet that opens a connection go the way of its precedent, where nobody
// tracks connections, and returns the passage of the packets to come.
func (c *passages) repeat(precedent *passage, p *netfake.Packet) *passage {
	m := c.place(p)
	*m = *precedent
	m.flow = p.Flow
	return m
}

// sendLike sends the first packet of a connection that has a precedent, whose frames differ
// from the precedent's in what they have of the flow.
func (m *passage) sendLike(d *device, p *netfake.Packet) netfake.Next {
	m.frame.Entropy = entropy(p)
	binary.BigEndian.PutUint16(m.header[wire.IPv4HeaderLen:], m.frame.Entropy)
	return m.send(d, p)
}
