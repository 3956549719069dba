package gatewayfake

import (
	"net/netip"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// destination is what a port is unique for.
type destination struct {
	proto netfake.Protocol
	addr  netip.AddrPort // of ICMP without a port, which is the identifier there
}

func towards(flow netfake.Flow) destination {
	if flow.Proto == netfake.ICMP {
		return destination{flow.Proto, netip.AddrPortFrom(flow.Dst.Addr(), 0)}
	}
	return destination{flow.Proto, flow.Dst}
}

// allocate gives a new connection a port. Where the search begins depends on the flow
// alone, so that connections do not move one another's ports.
func (n *NATGateway) allocate(p *netfake.Packet) *translation {
	const span = lastNATPort - firstNATPort + 1
	flow := p.Flow
	dst := towards(flow)
	if n.out.n >= n.sweepAt && !p.Probing() {
		n.sweep(p.At(), n.expire)
	}
	if n.inUse[dst] >= NATConnections {
		n.sweep(p.At(), func(t *translation) { n.forget(p, t) })
		if n.inUse[dst] >= NATConnections {
			return nil
		}
	}
	for i := range uint64(span) {
		port := firstNATPort + uint16((p.FlowHash()+i)%span)
		reply := n.reply(flow, port)
		hash := reply.Hash()
		if n.back.find(reply, hash) != nil {
			continue
		}
		t := &translation{
			client: row{flow: flow, hash: p.FlowHash()}, answer: row{flow: reply, hash: hash}, port: port, last: p.At(),
		}
		n.add(t)
		if flow.Proto == netfake.TCP {
			n.count(p, &n.stats.ConnectionAttempts)
		}
		if p.Probing() {
			p.Undo(func() { n.remove(t) })
		}
		return t
	}
	return nil
}

// reply returns the flow of the replies to a client's flow that went out under a port.
func (n *NATGateway) reply(flow netfake.Flow, port uint16) netfake.Flow {
	src := flow.Dst
	if flow.Proto == netfake.ICMP {
		src = netip.AddrPortFrom(src.Addr(), port) // the identifier, in both places
	}
	return netfake.Flow{Proto: flow.Proto, Src: src, Dst: netip.AddrPortFrom(n.iface.PrivateIP(), port)}
}

func (n *NATGateway) add(t *translation) {
	t.client.of, t.answer.of = t, t
	n.out.add(&t.client)
	n.back.add(&t.answer)
	n.inUse[towards(t.client.flow)]++
}

func (n *NATGateway) remove(t *translation) {
	dst := towards(t.client.flow)
	n.out.remove(&t.client)
	n.back.remove(&t.answer)
	if n.inUse[dst]--; n.inUse[dst] == 0 {
		delete(n.inUse, dst)
	}
}

// expire removes a translation that nobody needs any more.
func (n *NATGateway) expire(t *translation) {
	if !t.ended() {
		n.stats.IdleTimeouts++
	}
	n.remove(t)
}

// forget does what expire does on behalf of a packet: a probe takes it back.
func (n *NATGateway) forget(p *netfake.Packet, t *translation) {
	if !p.Probing() {
		n.expire(t)
		return
	}
	n.remove(t)
	p.Undo(func() { n.add(t) })
}

// sweep gives every translation that nobody needs any more to release.
func (n *NATGateway) sweep(now time.Duration, release func(*translation)) {
	n.out.each(func(t *translation) {
		if t.expired(now) {
			release(t)
		}
	})
	n.sweepAt = max(2*n.out.n, smallestSweep)
}
