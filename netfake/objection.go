package netfake

import "syscall"

// objection is what a packet that a node makes because of a probe, a RST or an ICMP error,
// tells the caller if it arrives.
type objection struct {
	tells Outcome
	errno syscall.Errno // of Unreachable
}

// objectWith makes out, which a node is about to send because of p, what answers the probe,
// unless somebody has ended p's way before. It does nothing to a packet that is no probe.
func (p *Packet) objectWith(out *Packet, o objection) {
	q := p.probe
	if q == nil {
		return
	}
	if q.back || p.trace == nil || p.trace.Blocker() != nil {
		o.tells = Silence
	}
	out.probe, out.at, out.objection, out.trace = q, p.at, &o, newTrace(out, p.node.String())
}

// hear takes an objection that starts its way at a node: the first that tells anything is
// the answer.
func (q *probe) hear(out *Packet, at Node) {
	if out.objection.tells == Silence || q.answer != nil {
		return
	}
	out.node = at
	q.answer, q.tells, q.errno, q.midway = out, out.objection.tells, out.objection.errno, true
}

// tells says what an ICMP error about the first packet of a conversation means to the caller.
func (e ICMPError) tells(proto Protocol) Outcome {
	switch {
	case e.Kind == PacketTooBig, proto == UDP && !icmpMessages[e.Kind].hard:
		return Silence
	case e.Kind == PortUnreachable && !proto.isICMP():
		return Refused
	}
	return Unreachable
}
