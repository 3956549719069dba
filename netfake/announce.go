package netfake

import (
	"net/netip"
	"slices"
	"time"
)

// announcement is a block of addresses that an uplink announces.
type announcement struct {
	block netip.Prefix
	by    *Uplink
}

// AnnouncePrefix makes the internet bring packets for all addresses of a block to the
// uplink, except those that are announced by themselves or in a smaller block. A block that
// is announced already fails the test, as do private addresses.
func (u *Uplink) AnnouncePrefix(block netip.Prefix) {
	w := u.net.world
	w.tb.Helper()
	block = block.Masked()
	if !block.IsValid() || isPrivate(block.Addr()) {
		w.tb.Fatalf("netfake: %s announces %v, which are not public addresses", u.name, block)
	}
	var other *Uplink
	w.Do(func(time.Duration) {
		n := u.net
		if i := n.announced(block); i >= 0 {
			other = n.in[i].by
			return
		}
		n.in = append(n.in, announcement{block, u})
		slices.SortStableFunc(n.in, func(a, b announcement) int { return b.block.Bits() - a.block.Bits() })
	})
	if other != nil {
		w.tb.Fatalf("netfake: %s announces %v, which is %s's already", u.name, block, other.name)
	}
}

// WithdrawPrefix takes an AnnouncePrefix back.
func (u *Uplink) WithdrawPrefix(block netip.Prefix) {
	u.net.world.Do(func(time.Duration) {
		if i := u.net.announced(block.Masked()); i >= 0 && u.net.in[i].by == u {
			u.net.in = slices.Delete(u.net.in, i, i+1)
		}
	})
}

// announced returns the place of a block among those that are announced, -1 for none.
func (n *Internet) announced(block netip.Prefix) int {
	return slices.IndexFunc(n.in, func(a announcement) bool { return a.block == block })
}

// find returns who announces an address, nil if nobody does.
func (n *Internet) find(dst netip.Addr) *Uplink {
	if u := n.at[dst]; u != nil {
		return u
	}
	for _, a := range n.in {
		if a.block.Contains(dst) {
			return a.by
		}
	}
	return nil
}
