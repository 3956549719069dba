package fabricfake

import (
	"encoding/binary"
	"net/netip"

	"github.com/netspec-go/netspec/netfake"
)

// aliases are under which addresses the services beside instances know those who ask: one for
// each address of an interface, as VPCs may have the same. Nobody else sees them: what a test
// reads of a packet that has one shows the address that it stands for.
type aliases struct {
	given   map[caller]netip.Addr
	callers map[netip.Addr]caller // by alias
}

// caller is an address of an interface that asks.
type caller struct {
	iface *Interface
	addr  netip.Addr
}

// instance returns the instance that asks, nil for nobody or if it has gone meanwhile.
func (c caller) instance() *Instance {
	if c.iface == nil {
		return nil
	}
	return c.iface.instance
}

func newAliases() aliases {
	return aliases{given: map[caller]netip.Addr{}, callers: map[netip.Addr]caller{}}
}

// Where aliases come from: RFC 1112 keeps the first for the future, and the second is beside
// the instances, so that both are nobody's.
var (
	aliasBlock  = netip.MustParsePrefix("240.0.0.0/4")
	aliasBlock6 = netip.MustParseAddr("fd00:ec2:240::")
)

// of returns who a caller is to the services.
func (l *aliases) of(p *netfake.Packet, c caller) netip.Addr {
	if a, ok := l.given[c]; ok {
		return a
	}
	number := uint32(len(l.given) + 1)
	a := nthAddress(aliasBlock, number)
	if !c.addr.Is4() {
		b := aliasBlock6.As16()
		binary.BigEndian.PutUint32(b[12:], number)
		a = netip.AddrFrom16(b)
	}
	l.given[c], l.callers[a] = a, c
	p.Undo(func() { delete(l.given, c); delete(l.callers, a) })
	return a
}

// show returns the address that an alias stands for, and any other as it is.
func (l *aliases) show(addr netip.Addr) netip.Addr {
	if c, ok := l.callers[addr]; ok {
		return c.addr
	}
	return addr
}
