package netfake

import (
	"fmt"

	"github.com/netspec-go/netspec/internal/tcp"
	"github.com/netspec-go/netspec/internal/wire"
)

// refuse answers a segment that belongs to nothing.
func (h *Host) refuse(p *Packet, in *wire.TCP, dataLen int) Next {
	rule := fmt.Sprintf("nobody listens on tcp/%d", p.Flow.Dst.Port())
	if in.Flags&wire.SYN == 0 {
		rule = "no connection that the segment belongs to"
	}
	if out, ok := tcp.Reset(in, dataLen); ok {
		rule += ": answered with RST"
		h.send(h.world.tcpPacket(p.Flow.Reverse(), &out, nil, h.number()))
	}
	return h.drop(p, rule, "")
}

// Reset returns the RST that answers a TCP packet which belongs to no connection, in
// the name of the one it was sent to; nil if it deserves none. The RST of a probe answers it
// once World.Send or Answer sends it. It is for gateways, and may be called only inside the
// scheduler.
func (p *Packet) Reset() *Packet {
	in, data, err := wire.ParseTCP(p.Payload())
	if err != nil || p.part.later() {
		return nil
	}
	out, ok := tcp.Reset(&in, len(data))
	if !ok {
		return nil
	}
	answer := p.world.tcpPacket(p.Flow.Reverse(), &out, nil, p.event.Seq)
	p.objectWith(answer, objection{tells: Refused})
	if p.probe == nil {
		p.world.startTrace(answer, p.node.String())
	}
	return answer
}
