package netfake

import "net/netip"

// isNetwork reports whether a network is a protocol's, "tcp" or "udp", for either family
// or for one.
func isNetwork(network, proto string) bool {
	return network == proto || network == proto+"4" || network == proto+"6"
}

// isOfNetwork reports whether an address is of the family that a network such as "tcp6"
// asks for.
func isOfNetwork(network string, addr netip.Addr) bool {
	switch network[len(network)-1] {
	case '4':
		return addr.Is4()
	case '6':
		return !addr.Is4()
	}
	return true
}

// toHost is where Linux takes what is sent to a wildcard: to the loopback.
func toHost(addr netip.Addr) netip.Addr {
	switch addr {
	case netip.IPv4Unspecified():
		return loopback
	case netip.IPv6Unspecified():
		return netip.IPv6Loopback()
	}
	return addr
}

// isGroup reports whether an address is that of many, to which nobody connects: multicast
// or IPv4's broadcast.
func isGroup(addr netip.Addr) bool {
	return addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// noSuitableAddress is net's word for an address of another family than the network's.
const noSuitableAddress = "no suitable address found"
