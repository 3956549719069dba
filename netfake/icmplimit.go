package netfake

import (
	"net/netip"
	"time"
)

// How many ICMP errors a host sends to one peer: one in a second, and after silence up
// to six at once (Linux's net.ipv4.icmp_ratelimit of 1000 ms and XRLIM_BURST_FACTOR).
const (
	icmpInterval = time.Second
	icmpBurst    = 6
)

// bucket is what a host may still say to a peer.
type bucket struct {
	tokens time.Duration
	at     time.Duration
}

// take reports whether one more error may go at now.
func (b *bucket) take(now time.Duration) bool {
	b.tokens = min(b.tokens+now-b.at, icmpBurst*icmpInterval)
	b.at = now
	if b.tokens < icmpInterval {
		return false
	}
	b.tokens -= icmpInterval
	return true
}

// mayComplain reports whether the host's limit lets one more ICMP error go to a peer. It
// is not asked about packet too big, which Linux does not limit; nor do routers of the
// internet and gateways have limits.
func (h *Host) mayComplain(peer netip.Addr) bool {
	b := h.complaints[peer]
	if b == nil {
		if h.complaints == nil {
			h.complaints = map[netip.Addr]*bucket{}
		}
		b = &bucket{tokens: icmpBurst * icmpInterval, at: h.world.now}
		h.complaints[peer] = b
	}
	return b.take(h.world.now)
}
