package netfake

import (
	"context"
	"net"
	"net/netip"
	"slices"
)

// isUDP reports whether a network that peers has accepted is one of datagrams.
func isUDP(network string) bool { return network[:3] == "udp" }

// peers returns what an address stands for, in the order in which it is to be tried: at
// least one. The peer of ":80" has no address, for reach to fill in.
func (d *Dialer) peers(ctx context.Context, network, address string) ([]netip.AddrPort, error) {
	lookup, known := ipNetwork(network)
	switch {
	case !known:
		return nil, net.UnknownNetworkError(network)
	case address == "":
		return nil, errMissingAddress
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := parsePort(network, service)
	if err != nil {
		return nil, err
	}
	addrs := []netip.Addr{{}}
	if host != "" {
		if addrs, err = d.Host.lookupIP(ctx, lookup, host, d.Lookup); err != nil {
			return nil, err
		}
	}
	if len(addrs) == 1 && addrs[0] == netip.IPv6Unspecified() && lookup == "ip" {
		addrs = append(addrs, netip.IPv4Unspecified())
	}
	peers := make([]netip.AddrPort, len(addrs))
	for i, addr := range addrs {
		peers[i] = netip.AddrPortFrom(addr, port)
	}
	return d.fromLocal(network, peers)
}

// literal returns the address and port that a dial names, as most do: one to which there
// is nothing to look up and nothing to choose.
func (d *Dialer) literal(network, address string) (peer netip.AddrPort, ok bool) {
	if network != "tcp" || !isWildcard(d.LocalAddr.Addr()) {
		return netip.AddrPort{}, false
	}
	peer, err := netip.ParseAddrPort(address)
	if err != nil || isWildcard(peer.Addr()) {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port()), true
}

// ipNetwork returns the network for LookupNetIP that belongs to one for dialling.
func ipNetwork(network string) (lookup string, known bool) {
	switch network {
	case "tcp", "udp":
		return "ip", true
	case "tcp4", "udp4":
		return "ip4", true
	case "tcp6", "udp6":
		return "ip6", true
	}
	return "", false
}

// fromLocal leaves the peers that are of the local address's family.
func (d *Dialer) fromLocal(network string, peers []netip.AddrPort) ([]netip.AddrPort, error) {
	local := d.LocalAddr.Addr().Unmap()
	if isWildcard(local) {
		return peers, nil
	}
	peers = slices.DeleteFunc(peers, func(peer netip.AddrPort) bool {
		return !isWildcard(peer.Addr()) && peer.Addr().Is4() != local.Is4()
	})
	if len(peers) == 0 {
		return nil, unsuitable(netAddr(network, d.LocalAddr).String())
	}
	return peers, nil
}

// unsuitable says that no address is of the family that is wanted.
func unsuitable(of string) error {
	return &net.AddrError{Err: noSuitableAddress, Addr: of}
}

func isWildcard(addr netip.Addr) bool { return !addr.IsValid() || addr.IsUnspecified() }

// reach returns where a peer is really to be reached: a wildcard is the host itself, as
// with Linux.
func reach(network string, peer netip.AddrPort) netip.AddrPort {
	switch {
	case !isWildcard(peer.Addr()):
		return peer
	case peer.Addr() == netip.IPv6Unspecified(), network[3:] == "6":
		return netip.AddrPortFrom(netip.IPv6Loopback(), peer.Port())
	}
	return netip.AddrPortFrom(loopback, peer.Port())
}

// netAddr returns an address as net shows it.
func netAddr(network string, addr netip.AddrPort) net.Addr {
	if isUDP(network) {
		return net.UDPAddrFromAddrPort(addr)
	}
	return net.TCPAddrFromAddrPort(addr)
}

// byFamily divides addresses into those of the first one's family and the others.
func byFamily(peers []netip.AddrPort) (primaries, fallbacks []netip.AddrPort) {
	is4 := peers[0].Addr().Is4()
	for _, peer := range peers {
		if peer.Addr().Is4() == is4 {
			primaries = append(primaries, peer)
		} else {
			fallbacks = append(fallbacks, peer)
		}
	}
	return primaries, fallbacks
}
