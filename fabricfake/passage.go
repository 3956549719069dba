package fabricfake

import (
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// passage remembers what the stages of a device have decided about the packets of a flow:
// on the way out, or on the way in. As with the cards of the real hosts, the first packets
// of a flow go through all stages, and those that follow take the decisions that are
// remembered.
//
// Nothing shows it. A passage holds as long as nothing has changed that a stage looks at:
// the rules, entries, routes and addresses, which change in World.Do and with a timer, and
// the connections that are tracked. It counts hits and notes the connection's packets as
// the stages do. A packet that may open a connection goes through the stages, which
// remember what comes of those that follow it, unless it has a precedent; and so does the
// answer. One that somebody traces or that probes goes through them, and a fragment.
type passage struct {
	flow    netfake.Flow
	changes uint64 // World.Changes at the time; 0 is an empty passage
	opened  uint64 // what the tracker had opened by then
	partial bool   // not all stages were asked, so that it is of no use to others

	tracked *connection // to which the packets belong, nil if to none
	rule    *Rule       // else, that let them through; nil where no groups apply
	opening *Rule       // that let the first one through, nil for none
	begins  bool        // the first one was judged, if anybody judges, and not let through for its connection
	entry   *ACLEntry   // that let them through, nil if they do not cross the subnet's border
	alike   portSpan    // the ports to which answers are treated alike
	target  Target      // of the route that they took, nil if they took none
	next    NextHop     // where it led

	from, to *Interface // who sent, and who is to receive; nil for an edge
	frame    Frame      // without what is in it
	header   header     // of its bytes, on the way out
	way      way        // on the way out
}

// passages is a cache of them: a flow has one place, in which the latest flow stays.
type passages struct {
	of         [64]*passage
	precedents precedents
}

// memorable reports whether passages are for packets like p.
func memorable(p *netfake.Packet) bool {
	switch p.Flow.Proto {
	case netfake.TCP:
		return p.TCPFlags()&flagSYN == 0 && !p.Traced() && !p.Probing() && !p.IsFragment()
	case netfake.UDP:
		return !p.Traced() && !p.Probing() && !p.IsFragment()
	}
	return false
}

// worthKeeping reports whether what interface f has decided about p is to be remembered:
// nothing is where each packet is logged or mirrored, nor of one that neither opens a TCP
// connection nor has data, after which there may be none like it.
func (m *passage) worthKeeping(f *Interface, p *netfake.Packet) bool {
	switch {
	case m.partial || !m.complete(f) || len(f.logs)+len(f.mirrors) > 0:
		return false
	case beginsUnseen(p):
		return true
	}
	return memorable(p) && p.DataLen() > 0
}

// complete reports whether the passage says all of connections: no other one has been
// opened meanwhile than the one to which the packets belong.
func (m *passage) complete(f *Interface) bool {
	return m.tracked != nil || m.opened == f.tracker.opened
}

// find returns the passage of p's flow, nil if there is none or something has changed.
func (c *passages) find(p *netfake.Packet) *passage {
	m := c.of[p.FlowHash()%uint64(len(c.of))]
	if m == nil || m.changes != p.World().Changes() || m.flow != p.Flow || !memorable(p) {
		return nil
	}
	return m
}

// put remembers a passage of p's flow.
func (c *passages) put(p *netfake.Packet, m *passage) {
	place := c.place(p)
	*place = *m
	place.flow, place.changes, place.frame.Inner = p.Flow, p.World().Changes(), nil
	if m.begins && opensTCP(p) || answersTCP(p) {
		c.precedents.put(p, place)
	}
}

// place returns where the passage of p's flow belongs.
func (c *passages) place(p *netfake.Packet) *passage {
	place := &c.of[p.FlowHash()%uint64(len(c.of))]
	if *place == nil {
		*place = new(passage)
	}
	return *place
}

// sendFirst sends the first packet of a passage, and has c remember the passage for those
// that follow.
func (m *passage) sendFirst(d *device, p *netfake.Packet, c *passages) netfake.Next {
	m.frame.putBefore(p)
	m.header = header(p.Bytes())
	c.put(p, m)
	return d.transmit(p, m.frame.To, m.way)
}

// send puts the frame's headers in front of p and transmits it.
func (m *passage) send(d *device, p *netfake.Packet) netfake.Next {
	inner := p.Len()
	p.Push(frameHeaderLen)
	m.header.put(p.Bytes(), inner)
	next := d.transmit(p, m.frame.To, m.way)
	if d.wire == nil && m.way.straight() {
		p.Tell(&m.frame)
	}
	return next
}

// same reports whether two frames are alike but for what is in them.
func (f *Frame) same(o *Frame) bool {
	return f.From == o.From && f.To == o.To && f.VNI == o.VNI && f.Source == o.Source && f.Receiver == o.Receiver
}

// current reports whether what the passage says of connections is still so: of the interface
// f, whose stages decided.
func (m *passage) current(f *Interface, now time.Duration) bool {
	return m.complete(f) && (m.tracked == nil || !m.tracked.expired(now))
}

// takes reports whether a packet is small enough for the way.
func (m *passage) takes(p *netfake.Packet) bool {
	limit := MTU
	if m.next.MTU != 0 {
		limit = min(limit, m.next.MTU)
	}
	return p.Len() <= limit || p.Largest() <= limit
}

// take does what the stages of interface f do about a packet besides deciding.
func (m *passage) take(f *Interface, p *netfake.Packet, dir netfake.Direction) {
	if m.tracked != nil {
		f.tracker.observe(m.tracked, dir, p.TCPFlags(), p.At())
	}
	if m.rule != nil {
		m.rule.Hits += uint64(p.Segments())
	}
	if m.entry != nil {
		m.entry.Hits += uint64(p.Segments())
	}
}
