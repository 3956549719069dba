package netfake

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"

	"github.com/netspec-go/netspec/internal/wire"
)

// Endpoint is a port of a host, or an address and port that belong to none.
type Endpoint struct {
	Proto Protocol
	Addr  netip.AddrPort
	Host  *Host // nil if the endpoint is only an address
}

// String returns "db 10.0.2.9:5432 tcp".
func (e Endpoint) String() string {
	s := fmt.Sprintf("%v %v", e.Addr, e.Proto)
	if e.Host != nil {
		s = e.Host.name + " " + s
	}
	return s
}

// at is the endpoint with the same port at another address.
func (e Endpoint) at(addr netip.Addr) Endpoint {
	e.Addr = netip.AddrPortFrom(addr, e.Addr.Port())
	return e
}

// plain is the endpoint as packets name it: an IPv4 address is one, a wildcard is the
// loopback, and ICMP is of the address's family.
func (e Endpoint) plain() Endpoint {
	e = e.at(toHost(e.Addr.Addr().Unmap()))
	if e.Proto.isICMP() {
		e.Proto = icmpFor(e.Addr.Addr()).proto
	}
	return e
}

// Outcome is what the one who asked would see.
type Outcome uint8

// The outcomes of a probe.
const (
	Silence  Outcome = iota // nothing comes back
	Answered                // somebody listens, and the answer arrives
	Refused                 // the port is closed, or somebody on the way says so, and the refusal arrives

	// Unreachable: a router or a middlebox says by an ICMP error that the way ends there, and
	// the error arrives and is one that the caller is told of: as Linux has it, any for TCP,
	// which then ends the dial, and for a ping, and for UDP the hard ones.
	Unreachable
)

// String returns the outcome in a word.
func (o Outcome) String() string {
	switch o {
	case Answered:
		return "answered"
	case Refused:
		return "refused"
	case Unreachable:
		return "unreachable"
	}
	return "silence"
}

// Reach is what a probe found out.
type Reach struct {
	To      Endpoint
	Outcome Outcome
	Err     error  // what the caller is told: a syscall.Errno if Refused or Unreachable, else nil
	Forward *Trace // the way there
	Return  *Trace // the way of the answer, of whoever answers first; nil if nobody would answer
}

// Blocker returns the hop that decided against the conversation: the first drop on the
// way there, else on the way back, or nil.
func (r *Reach) Blocker() *Hop {
	if r.Forward == nil {
		return nil
	}
	if b := r.Forward.Blocker(); b != nil || r.Return == nil {
		return b
	}
	return r.Return.Blocker()
}

// String explains the outcome: the verdict, the hops of the way there and back, what
// else would have blocked, and the rule that came nearest to letting it through.
func (r *Reach) String() string {
	if r.Forward == nil {
		return "nothing was probed\n"
	}
	var b strings.Builder
	decided := r.Forward.Blocker()
	switch {
	case decided != nil || r.Return == nil || r.Return.Blocker() == nil:
		fmt.Fprintf(&b, "%s\n%s", r.Forward.Headline(), r.Forward.HopLines())
	default:
		decided = r.Return.Blocker()
		fmt.Fprintf(&b, "%s, and the answer is lost:\n%s", r.Forward.Headline(), r.Forward.HopLines())
		fmt.Fprintf(&b, "%s\n%s", r.Return.Headline(), r.Return.HopLines())
	}
	if decided != nil {
		writeNote(&b, "nearest rule: ", decided.Near)
		writeNote(&b, "hint: ", decided.Hint)
		r.writeOthers(&b, decided)
	}
	return b.String()
}

func writeNote(b *strings.Builder, what, text string) {
	if text != "" {
		fmt.Fprintf(b, "  %s%s\n", what, text)
	}
}

// writeOthers tells what would have blocked as well.
func (r *Reach) writeOthers(b *strings.Builder, decided *Hop) {
	for _, way := range []struct {
		name  string
		trace *Trace
	}{{"on the way there", r.Forward}, {"on the way back", r.Return}} {
		if way.trace == nil {
			continue
		}
		for i := range way.trace.Hops {
			h := &way.trace.Hops[i]
			if h.Verdict != Drop || h == decided {
				continue
			}
			stage := strings.TrimSpace(fmt.Sprintf("%s %v", h.what(), h.Direction))
			fmt.Fprintf(b, "  %s, %s would also drop %v/%d (%s)\n", way.name, stage, h.Flow.Proto, h.Flow.Dst.Port(), h.Rule)
		}
	}
}

// probe is a question to the network. It moves packets through the same nodes as live
// traffic, outside of time and by itself, goes on after filters that refuse it, and
// takes back every change of state that it caused.
type probe struct {
	world  *World
	queue  []*Packet // packets that nodes have set going
	undo   []func()
	answer *Packet       // what the host that was reached would say, or somebody on the way
	tells  Outcome       // what the answer means
	errno  syscall.Errno // and what the caller is told of it
	midway bool          // it is of somebody before the way's end
	back   bool          // the answer is on its way
}

// maxSteps ends the way of a packet that goes round in circles: at more nodes than any
// packet sees whose TTL of 64 is counted down.
const maxSteps = 256

const roundInCircles = "the packet goes round in circles"

// Probe asks what would become of a conversation from h to an endpoint: for TCP a
// connection, for UDP a datagram, for ICMP an echo. It takes no time, sends nothing
// and leaves no trace in the world; the same nodes decide that would decide about the
// real packets. The way goes on after a filter that blocks, to find all that do.
func (h *Host) Probe(to Endpoint) *Reach {
	w := h.world
	w.lock()
	defer w.unlock()
	to = to.plain()
	r := &Reach{To: to}
	q := &probe{world: w}
	defer q.takeBack()
	p := h.probePacket(to, q)
	name := ""
	if to.Host != nil {
		name = to.Host.name
	}
	r.Forward = h.runProbe(p, q, name)
	if answer := q.answer; answer != nil {
		q.answer, q.back = nil, true
		answer.probe = q
		if answer.trace == nil {
			answer.trace = newTrace(answer, r.Forward.To)
		}
		r.Return = answer.trace
		if answer.from != nil {
			answer.from.probeLeaves(answer)
		}
		w.runProbe(answer)
		if q.arrives(r) {
			r.Outcome = q.tells
		}
	}
	switch {
	case r.Outcome == Refused:
		r.Err = syscall.ECONNREFUSED
	case r.Outcome == Unreachable:
		r.Err = q.errno
	}
	return r
}

// arrives reports whether the answer comes of the first who would have blocked, or of who was
// reached, and comes back.
func (q *probe) arrives(r *Reach) bool {
	switch {
	case r.Return.Blocker() != nil:
		return false
	case q.midway || r.Forward.Blocker() == nil:
		return true
	}
	return q.tells == Refused && len(r.Forward.Blockers()) == 1
}

// runProbe has the host send p on behalf of q, to a host that may have a name, and returns
// the trace.
func (h *Host) runProbe(p *Packet, q *probe, to string) *Trace {
	t := newTrace(p, h.name)
	t.To = to
	p.probe, p.trace, p.node = q, t, h.outlet(p)
	if h.down() {
		p.drop(Hop{Place: h.name, By: h, Rule: h.whyDown(), Code: "BAD_STATE"})
		return t
	}
	h.probeLeaves(p)
	h.world.runProbe(p)
	return t
}

// takeBack undoes what the probe has changed, also that of a world which a Step has ended.
func (q *probe) takeBack() {
	q.world.held(func() {
		for i := len(q.undo) - 1; i >= 0; i-- {
			q.undo[i]()
		}
	})
}

// probeLeaves says what would keep a probe from leaving the host.
func (h *Host) probeLeaves(p *Packet) {
	p.from = h
	if len(h.pauses) > 0 {
		p.Blocked(Hop{Place: h.name, By: h.pauses[0], Rule: "the host is paused", Code: "BAD_STATE"})
	}
	if p.node != Node(h) {
		h.world.interfere(p, nil)
	}
}

// probePacket builds the first packet of a conversation, from the port, or with the
// identifier, that the next live one would have. A host without a way to the destination sends it to itself.
func (h *Host) probePacket(to Endpoint, q *probe) *Packet {
	addr, mtu := h.sourceFor(to.Addr.Addr())
	if !addr.IsValid() {
		addr = unspecified(to.Addr.Addr())
	}
	if to.Proto.isICMP() {
		id, _ := h.nextEcho(addr, to.Addr.Addr())
		return h.echoPacket(addr, to.Addr.Addr(), wire.ICMP{Type: icmpFor(addr).echoRequest, ID: id, Seq: 1}, nil, 0)
	}
	key := portKey(to.Proto, addr, to.Addr)
	before, known := h.ports[key]
	q.undo = append(q.undo, func() {
		if h.ports[key] = before; !known {
			delete(h.ports, key)
		}
	})
	src := netip.AddrPortFrom(addr, h.freePort(to.Proto, addr, to.Addr))
	flow := Flow{to.Proto, src, to.Addr}
	if to.Proto == UDP {
		return h.udpPacket(flow, nil, 0)
	}
	syn := wire.TCP{Flags: wire.SYN, Window: 65535, MSS: uint16(max(mtu-ipHeaderLen(addr)-wire.TCPHeaderLen, 0))}
	return h.world.tcpPacket(flow, &syn, nil, 0)
}

// runProbe moves p to its end, and ends the world if a Step on its way does not return.
func (w *World) runProbe(p *Packet) {
	w.held(func() { w.moveProbe(p) })
}

// moveProbe moves p to its end. Packets that nodes send on its behalf, as when an edge
// puts it into another network, go on in its place.
func (w *World) moveProbe(p *Packet) {
	q := p.probe
	for range maxSteps {
		next := p.node.Step(p)
		if next.fate == pastStage || next.over != nil && next.over.link.stages != nil {
			next = p.through(next)
		}
		if next.to == nil {
			if len(q.queue) == 0 {
				if next.fate == undecided {
					p.drop(Hop{Place: p.node.String(), By: p.node, Rule: "no decision was taken"})
				}
				return
			}
			p, q.queue = q.queue[0], q.queue[1:]
			continue
		}
		p.node = next.to
		if next.over != nil {
			takes, what := next.over.enter(p)
			if what == lost {
				return
			}
			p.at += takes
		}
	}
	p.drop(p.loopHop())
}

// answerProbe takes a probe that has come to the host, or its answer that has come
// home.
func (h *Host) answerProbe(p *Packet) Next {
	q := p.probe
	if p.trace != nil {
		p.trace.To = h.name
	}
	if q.back || p.TCPFlags()&(wire.ACK|wire.RST) != 0 {
		return h.deliver(p, "answer")
	}
	answer, tells, rule := h.wouldAnswer(p)
	if q.answer == nil && answer != nil {
		answer.at, answer.node, answer.from = p.at, h.outlet(answer), h
		q.answer, q.tells = answer, tells
	}
	if tells == Refused {
		return h.drop(p, rule, "")
	}
	return h.deliver(p, rule)
}

// wouldAnswer says what the host's own stack would answer to a packet, what that means
// to the one who asked, and why.
func (h *Host) wouldAnswer(p *Packet) (*Packet, Outcome, string) {
	back, port := p.Flow.Reverse(), p.Flow.Dst.Port()
	switch p.Flow.Proto {
	case TCP:
		in, _, err := wire.ParseTCP(p.Payload())
		switch {
		case err != nil:
			return nil, Silence, err.Error()
		case h.listenerFor(p.Flow.Dst) == nil:
			out := wire.TCP{Flags: wire.RST | wire.ACK, Ack: in.Seq + 1}
			return h.world.tcpPacket(back, &out, nil, 0), Refused, fmt.Sprintf("nobody listens on tcp/%d", port)
		}
		out := wire.TCP{Flags: wire.SYN | wire.ACK, Ack: in.Seq + 1, Window: 65535, MSS: in.MSS}
		return h.world.tcpPacket(back, &out, nil, 0), Answered, fmt.Sprintf("listens on tcp/%d", port)
	case UDP:
		if h.udpFor(p.Flow) == nil {
			return p.icmpError(ICMPError{Kind: PortUnreachable}, p.Flow.Dst.Addr()), Refused, fmt.Sprintf("nobody listens on udp/%d", port)
		}
		return h.udpPacket(back, nil, 0), Answered, fmt.Sprintf("socket on udp/%d", port)
	case ICMP, ICMPv6:
		family := icmpFor(p.Flow.Dst.Addr())
		if typ, _ := p.ICMPType(); typ == family.echoRequest {
			echo := wire.ICMP{Type: family.echoReply, ID: p.Flow.Src.Port(), Seq: 1}
			return h.echoPacket(back.Src.Addr(), back.Dst.Addr(), echo, nil, 0), Answered, "echo"
		}
	}
	return nil, Silence, "host"
}

func newTrace(p *Packet, from string) *Trace {
	return &Trace{
		Flow: p.Flow, Sent: p.at, Summary: p.Summary(), From: from, Data: p.DataLen(),
		key: p.event.Key, seq: p.event.Seq,
	}
}
