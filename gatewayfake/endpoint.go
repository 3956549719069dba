package gatewayfake

import (
	"net/netip"

	"github.com/netspec-go/netspec/netfake"
)

// TCP names a TCP port at the public address, for a probe or an assertion.
func (e *ElasticIP) TCP(port uint16) netfake.Endpoint { return e.endpoint(netfake.TCP, port) }

// UDP names a UDP port at the public address.
func (e *ElasticIP) UDP(port uint16) netfake.Endpoint { return e.endpoint(netfake.UDP, port) }

func (e *ElasticIP) endpoint(proto netfake.Protocol, port uint16) netfake.Endpoint {
	return netfake.Endpoint{Proto: proto, Addr: netip.AddrPortFrom(e.addr, port)}
}
