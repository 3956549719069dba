package gatewayfake

import (
	"encoding/binary"

	"github.com/netspec-go/netspec/internal/wire"
	"github.com/netspec-go/netspec/netfake"
)

// natMSS is the largest segment of which a packet fits through a NAT gateway.
const natMSS = NATGatewayMTU - wire.IPv4HeaderLen - wire.TCPHeaderLen

// clampMSS lowers the segment size that a SYN announces to what fits through the gateway,
// so that neither end has to discover it. Source:
// https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-basics.html
func clampMSS(p *netfake.Packet) {
	if p.TCPFlags()&wire.SYN == 0 {
		return
	}
	const optEnd, optNOP, optMSS = 0, 1, 2 // RFC 9293 section 3.2
	head := p.Payload()
	options := head[wire.TCPHeaderLen:max(min(int(head[12]>>4)*4, len(head)), wire.TCPHeaderLen)]
	for len(options) > 0 && options[0] != optEnd {
		if options[0] == optNOP {
			options = options[1:]
			continue
		}
		if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
			return
		}
		if options[0] == optMSS && options[1] == 4 && binary.BigEndian.Uint16(options[2:]) > natMSS {
			binary.BigEndian.PutUint16(options[2:], natMSS)
			p.Seal()
			return
		}
		options = options[options[1]:]
	}
}
