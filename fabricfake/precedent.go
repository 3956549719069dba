package fabricfake

import (
	"encoding/binary"

	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// precedents is a cache of the passages that began with a connection: with its first
// packet, or with the answer to that. Connections between the same addresses to the same
// port have the same precedents: a SYN's source port is nothing that a stage looks at, and
// the destination port of its answer is one of many that rules and entries treat alike. A
// precedent holds as long as a passage does, but for the connection, which each has for
// itself.
type precedents struct{ openings, answers [16]*passage }

// opensTCP reports whether a packet is the first of a TCP connection.
func opensTCP(p *netfake.Packet) bool { return p.Flow.Proto == netfake.TCP && opens(p.TCPFlags()) }

// answersTCP reports whether a packet is the answer to the first of a TCP connection.
func answersTCP(p *netfake.Packet) bool {
	return p.Flow.Proto == netfake.TCP && p.TCPFlags()&(flagSYN|flagACK|flagRST) == flagSYN|flagACK
}

// beginsUnseen reports whether a packet is one of the two with which a TCP connection
// begins, and nobody watches it.
func beginsUnseen(p *netfake.Packet) bool {
	return (opensTCP(p) || answersTCP(p)) && !p.Traced() && !p.Probing() && !p.IsFragment()
}

// place returns where the precedent of a packet that begins a connection belongs.
func (c *precedents) place(p *netfake.Packet) **passage {
	src, dst := p.Flow.Src.Addr().As16(), p.Flow.Dst.Addr().As16()
	of, port := &c.openings, p.Flow.Dst.Port()
	if answersTCP(p) {
		of, port = &c.answers, p.Flow.Src.Port()
	}
	return &of[(src[15]^dst[15]<<2^byte(port))%byte(len(of))]
}

// put remembers the passage of a packet that begins a connection.
func (c *precedents) put(p *netfake.Packet, m *passage) {
	place := c.place(p)
	if *place == nil {
		*place = new(passage)
	}
	**place = *m
}

// find returns the precedent of a packet that begins a connection, nil if there is none or
// something has changed.
func (c *precedents) find(p *netfake.Packet) *passage {
	if !beginsUnseen(p) {
		return nil
	}
	m := *c.place(p)
	if m == nil || m.changes != p.World().Changes() {
		return nil
	}
	near, far := p.Flow.Src, p.Flow.Dst
	if opensTCP(p) && m.flow.Dst == far && m.flow.Src.Addr() == near.Addr() ||
		answersTCP(p) && m.flow.Src == near && m.flow.Dst.Addr() == far.Addr() && m.alike.has(far.Port()) {
		return m
	}
	return nil
}

// portSpan is a range of destination ports, both included.
type portSpan struct{ first, last uint16 }

var everyPort = portSpan{0, maxPort}

func (s portSpan) has(port uint16) bool { return s.first <= port && port <= s.last }

// narrow leaves only those ports that a permission treats as it treats one of them.
func (s *portSpan) narrow(r Permission, port int) {
	switch {
	case r.Proto != netfake.TCP:
	case port < r.From:
		s.last = min(s.last, uint16(r.From-1))
	case port > r.To:
		s.first = max(s.first, uint16(r.To+1))
	default:
		s.first, s.last = max(s.first, uint16(r.From)), min(s.last, uint16(r.To))
	}
}

// treatsAlike returns the ports to which answers like p, in a direction, are subject to the
// same rules of the interface's groups, and to the same entries of its subnet's ACL. They
// are all of them for what is no answer.
func (f *Interface) treatsAlike(p *netfake.Packet, dir netfake.Direction) portSpan {
	span, port := everyPort, int(p.Flow.Dst.Port())
	if !answersTCP(p) {
		return span
	}
	for _, g := range f.groups {
		rules := g.side(dir).rules
		for i := range rules {
			span.narrow(rules[i].Permission, port)
		}
	}
	entries := *f.subnet.acl.side(dir)
	for i := range entries {
		span.narrow(entries[i].Permission, port)
	}
	return span
}

// follow has a packet that begins a connection take the decisions of its precedent at
// interface f: they are counted, the connection is tracked if that one was, and the passage
// of the packets to come is returned. It is nil for a packet that has to go through the
// stages all the same: the first of a connection that is tracked already, or may not be
// because of the allowance, and an answer in whose connection the two differ.
func (c *passages) follow(precedent *passage, f *Interface, p *netfake.Packet, dir netfake.Direction) *passage {
	if !precedent.takes(p) {
		return nil
	}
	key, flags, now, tracks := trackKeyOf(p, dir), p.TCPFlags(), p.At(), precedent.tracked != nil
	known := f.tracker.lookup(&key, flags, now)
	switch {
	case opens(flags) && known != nil, !opens(flags) && tracks != (known != nil):
		return nil
	case opens(flags) && !tracks && f.tracker.lingers(&key, now):
		return nil
	case opens(flags) && tracks && f.instance != nil && f.instance.conntrack.most > 0:
		return nil
	}
	m := c.repeat(precedent, p)
	m.opened = f.tracker.opened
	switch {
	case known != nil:
		f.tracker.observe(known, dir, flags, now)
		m.tracked = known
	case tracks:
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

// repeat has a packet that begins a connection go the way of its precedent, where nobody
// tracks connections, and returns the passage of the packets to come.
func (c *passages) repeat(precedent *passage, p *netfake.Packet) *passage {
	m := c.place(p)
	*m = *precedent
	m.flow = p.Flow
	return m
}

// sendLike sends a packet that has a precedent, whose frames differ
// from the precedent's in what they have of the flow.
func (m *passage) sendLike(d *device, p *netfake.Packet) netfake.Next {
	m.frame.Entropy = entropy(p)
	binary.BigEndian.PutUint16(m.header[wire.IPv4HeaderLen:], m.frame.Entropy)
	return m.send(d, p)
}
