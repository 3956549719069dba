package gatewayfake

import (
	"fmt"
	"net/netip"

	"github.com/netspec-go/netspec/netfake"
)

// An ICMP error is no connection of its own: it belongs to the one whose packet it quotes,
// is translated as that was, and so is the quote, so that its receiver recognizes what it
// sent (RFC 3022 section 4.3, RFC 5508 section 4). It keeps no translation alive.

// translateError takes an ICMP error on, either way.
func (n *NATGateway) translateError(p *netfake.Packet, about netfake.Flow, inward bool) netfake.Next {
	if inward {
		return n.errorInward(p, about)
	}
	return n.errorOutward(p, about)
}

// errorInward takes an ICMP error from outside to the client whose packet it quotes.
func (n *NATGateway) errorInward(p *netfake.Packet, about netfake.Flow) netfake.Next {
	t := n.back.find(about.Reverse(), about.Reverse().Hash())
	if t == nil || t.expired(p.At()) {
		return n.drop(p, fmt.Sprintf("no connection of a client that %v speaks of", p.Flow.Src.Addr()), codeUnsolicited)
	}
	if !p.CountDown() {
		return n.timeExceeded(p)
	}
	before := p.Flow.Dst
	p.SetQuotedSrc(t.client.flow.Src)
	p.SetDst(netip.AddrPortFrom(t.client.flow.Src.Addr(), 0))
	n.passed(p, netfake.Ingress, fmt.Sprintf("error about %v: destination %v → %v", t.client.flow, before.Addr(), p.Flow.Dst.Addr()))
	return p.To(n.iface.Out())
}

// errorOutward takes a client's ICMP error about a reply to who sent that.
func (n *NATGateway) errorOutward(p *netfake.Packet, about netfake.Flow) netfake.Next {
	t := n.out.find(about.Reverse(), about.Reverse().Hash())
	if t == nil || t.expired(p.At()) || t.client.flow.Src.Addr() != p.Flow.Src.Addr() {
		return n.drop(p, fmt.Sprintf("no connection that %v speaks of", p.Flow.Src.Addr()), codeUnsolicited)
	}
	if !p.CountDown() {
		return n.timeExceeded(p)
	}
	before := p.Flow.Src
	p.SetQuotedDst(netip.AddrPortFrom(n.iface.PrivateIP(), t.port))
	p.SetSrc(netip.AddrPortFrom(n.iface.PrivateIP(), 0))
	n.passed(p, netfake.Egress, fmt.Sprintf("error about %v: source %v → %v", about, before.Addr(), p.Flow.Src.Addr()))
	return p.To(n.iface.Out())
}

func (n *NATGateway) passed(p *netfake.Packet, dir netfake.Direction, rule string) {
	if p.Traced() {
		p.Passed(netfake.Hop{Place: n.name, By: n, Direction: dir, Rule: rule})
	}
}

// timeExceeded drops a packet whose TTL is used up. The gateway is a hop of a traceroute:
// it answers from its private address.
func (n *NATGateway) timeExceeded(p *netfake.Packet) netfake.Next {
	n.count(p, &n.stats.PacketsDropped)
	return p.Expire(netfake.Hop{Place: n.name, By: n}, n.iface.PrivateIP(), n.iface.Out())
}
