package netfake

import (
	"net/netip"
	"time"
)

// The range of ephemeral ports that a host has to begin with: Linux's
// net.ipv4.ip_local_port_range.
const (
	firstEphemeral = 32768
	lastEphemeral  = 60999
)

// ephemeralPorts is for callers outside the scheduler.
func (h *Host) ephemeralPorts() portRange {
	h.world.lock()
	defer h.world.unlock()
	return h.ephemeral
}

// portRange is the ephemeral ports of a host.
type portRange struct{ first, last uint16 }

func (r portRange) len() uint16 { return r.last - r.first + 1 }

// SetEphemeralPorts sets from which ports the host takes one for a socket that names
// none, as net.ipv4.ip_local_port_range does: a narrow range is soon exhausted. To begin
// with it is 32768 to 60999. Sockets that are open keep theirs. A range without a port,
// or with port 0, fails the test.
func (h *Host) SetEphemeralPorts(first, last uint16) {
	h.world.tb.Helper()
	if first == 0 || first > last {
		h.world.tb.Fatalf("netfake: host %s: ephemeral ports from %d to %d", h.name, first, last)
	}
	h.world.Do(func(time.Duration) {
		h.ephemeral = portRange{first, last}
		clear(h.ports)
	})
}

// portKey says of whose ports towards whom a host remembers the next. Two that are one by
// chance take turns with the same ports.
func portKey(proto Protocol, local netip.Addr, peer netip.AddrPort) uint64 {
	return Flow{proto, netip.AddrPortFrom(local, 0), peer}.Hash()
}

// freePort returns a port that is free for a conversation with peer, 0 if none is.
// Where the search starts depends on the seed, the host and the peer, so that what a
// host does with one peer does not move its ports towards another.
func (h *Host) freePort(proto Protocol, local netip.Addr, peer netip.AddrPort) uint16 {
	span := h.ephemeral.len()
	key := portKey(proto, local, peer)
	next, ok := h.ports[key]
	if !ok {
		next = uint16(mix(mix(h.world.seed, h.key), key) % uint64(span))
	}
	for i := range span {
		port := h.ephemeral.first + uint16((uint32(next)+uint32(i))%uint32(span))
		if !h.portTaken(proto, netip.AddrPortFrom(local, port), peer) {
			h.ports[key] = uint16((uint32(next) + uint32(i) + 1) % uint32(span))
			return port
		}
	}
	return 0
}

func (h *Host) portTaken(proto Protocol, local, peer netip.AddrPort) bool {
	b := binding{at: local, dual: true}
	switch proto {
	case TCP:
		return isTaken(h.listeners, b) || h.connFor(Flow{TCP, peer, local}) != nil || h.keeps(b)
	case UDP:
		return isTaken(h.udp, b)
	}
	return false
}
