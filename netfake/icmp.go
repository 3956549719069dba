package netfake

import (
	"fmt"
	"net/netip"

	"github.com/netspec-go/netspec/internal/wire"
)

// receiveICMP answers echoes, and tells sockets and those who ping what has come
// about them.
func (h *Host) receiveICMP(p *Packet) Next {
	head, body, err := wire.ParseICMP(p.Payload())
	if err != nil {
		return h.drop(p, err.Error(), "")
	}
	family := icmpFor(p.Flow.Dst.Addr())
	rule := ""
	if p.Traced() {
		rule = fmt.Sprintf("%v type %d code %d", p.Flow.Proto, head.Type, head.Code)
	}
	switch head.Type {
	case family.echoRequest:
		reply := wire.ICMP{Type: family.echoReply, ID: head.ID, Seq: head.Seq}
		peer := p.Flow.Src.Addr()
		_, mtu := h.sourceFor(peer)
		answer := h.echoPacket(p.Flow.Dst.Addr(), peer, reply, body, h.number())
		answer.letCut() // as Linux's
		h.sendCut(answer, h.limitMTU(peer, mtu))
	case family.echoReply:
		if e := h.echoes[echoID{p.Flow.Src.Addr(), head.ID}]; e != nil {
			e.answered = true
			e.by.stop() // at once, lest the world's timer is set to it
			h.world.wake(&h.changed)
		}
	default:
		h.receiveError(p, &head, body)
	}
	return h.deliver(p, rule)
}

// echoPacket builds an ICMP message of the addresses' family.
func (h *Host) echoPacket(src, dst netip.Addr, head wire.ICMP, body []byte, seq uint64) *Packet {
	f := Flow{icmpFor(dst).proto, netip.AddrPortFrom(src, head.ID), netip.AddrPortFrom(dst, head.ID)}
	p := h.world.ipPacket(f, wire.ICMPHeaderLen+len(body), seq)
	l4 := p.Payload()
	head.Put(l4)
	copy(l4[wire.ICMPHeaderLen:], body)
	putChecksum(l4[2:], p)
	return p
}
