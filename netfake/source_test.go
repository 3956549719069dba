package netfake

import (
	"net/netip"
	"testing"
)

// Which of its addresses a host sends from, by where it sends: RFC 6724, section 5.
func TestSourceAddress(t *testing.T) {
	const four, global, other, ula, sixToFour = "203.0.113.10", "2001:db8:1::a", "2001:db8:2::a", "fd00::a", "2002:cb00:710a::a"
	for _, row := range []struct {
		rule string
		has  []string
		to   string
		from string
	}{
		{"of one family there is one", []string{four, global}, "198.51.100.1", four},
		{"of the other too", []string{four, global}, "2001:db8:9::1", global},
		{"none of the family", []string{four}, "2001:db8:9::1", ""},
		{"none of IPv4", []string{global}, "198.51.100.1", ""},
		{"rule 1: the same address", []string{global, other}, other, other},
		{"rule 1: the loopback", []string{four, global}, "::1", "::1"},
		{"rule 6: a matching label, ULA to ULA", []string{global, ula}, "fd00:1::1", ula},
		{"rule 6: a matching label, global to global", []string{ula, global}, "2001:db8:9::1", global},
		{"rule 6 before rule 8: 6to4 has a label of its own", []string{sixToFour, global}, "2003::1", global},
		{"rule 8: the longest matching prefix", []string{global, other}, "2001:db8:2:ffff::1", other},
		{"rule 8: counted no further than the subnet", []string{"2001:db8:1::a", "2001:db8:1::b"}, "2001:db8:1::c", "2001:db8:1::a"},
		{"a tie: the first", []string{global, other}, "2001:4000::1", global},
		{"IPv4: the first, whatever is longer", []string{"203.0.113.10", "198.51.100.10"}, "198.51.100.20", "203.0.113.10"},
	} {
		w := New(t, Config{})
		h := w.NewHost("h", Place{})
		for _, addr := range row.has {
			h.AddNIC(netip.MustParseAddr(addr), 1500, h)
		}
		got, _ := h.sourceFor(netip.MustParseAddr(row.to))
		if got.IsValid() != (row.from != "") || got.IsValid() && got.String() != row.from {
			t.Errorf("%s: from %v to %s by %v, want %q", row.rule, row.has, row.to, got, row.from)
		}
	}
}

// An interface that names a destination's prefix goes first, and its address with it; one
// of the other family is not asked.
func TestSourceByInterface(t *testing.T) {
	w := New(t, Config{})
	h, near := w.NewHost("h", Place{}), w.NewHost("near", Place{})
	h.AddNIC(netip.MustParseAddr("2001:db8:1::a"), 1500, h)
	h.AddNIC(netip.MustParseAddr("192.0.2.1"), 1400, h)
	h.AddNIC(netip.MustParseAddr("fd00::a"), 9000, near, netip.MustParsePrefix("2001:db8:2::/48"))
	for to, want := range map[string]struct {
		from string
		mtu  int
	}{
		"2001:db8:2::1": {"fd00::a", 9000},
		"2001:db8:3::1": {"2001:db8:1::a", 1500},
		"198.51.100.1":  {"192.0.2.1", 1400},
	} {
		if got, mtu := h.sourceFor(netip.MustParseAddr(to)); got.String() != want.from || mtu != want.mtu {
			t.Errorf("to %s from %v with %d, want %v", to, got, mtu, want)
		}
	}
}
