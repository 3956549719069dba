package netfake

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// Rows of RFC 6724, section 10.2, and what net makes of the rules that it leaves out: each
// destination with the source from which it would be reached.
func TestAddressSelection(t *testing.T) {
	for _, row := range []struct {
		name string
		in   string // "destination<source", in the order of the answer; no source, no way
		want string
	}{
		{"rule 1, unusable destinations last", "2001:db8:1::1 198.51.100.121<198.51.100.117", "198.51.100.121 2001:db8:1::1"},
		{"rule 1, nobody is usable", "198.51.100.1 2001:db8::1 198.51.100.2", "198.51.100.1 2001:db8::1 198.51.100.2"},
		{"rule 2, matching scope", "2001:db8:1::1<2001:db8:1::2 198.51.100.121<169.254.13.78", "2001:db8:1::1 198.51.100.121"},
		{"rule 2, matching scope of IPv4", "2001:db8:1::1<fe80::1 198.51.100.121<198.51.100.117", "198.51.100.121 2001:db8:1::1"},
		{"rule 5, matching label", "2002:c633:6401::1<2001:db8::2 2001:db8:1::1<2001:db8:1::2", "2001:db8:1::1 2002:c633:6401::1"},
		{"rule 6, higher precedence", "10.1.2.3<10.1.2.4 2001:db8:1::1<2001:db8:1::2", "2001:db8:1::1 10.1.2.3"},
		{"rule 6, a unique local address has little", "fd11::1<fd11::2 10.1.2.3<10.1.2.4", "10.1.2.3 fd11::1"},
		{"rule 6, loopback has most", "2001:db8::1<2001:db8::2 ::1<::1", "::1 2001:db8::1"},
		{"rule 8, smaller scope", "2001:db8:1::1<2001:db8:1::2 fe80::1<fe80::2", "fe80::1 2001:db8:1::1"},
		{"rule 9, longest prefix", "2001:db8:3ffe::1<2001:db8:1::2 2001:db8:1::1<2001:db8:1::2", "2001:db8:1::1 2001:db8:3ffe::1"},
		{"rule 9, the interface's half does not count", "2001:db8::f<2001:db8::1 2001:db8::2<2001:db8::1", "2001:db8::f 2001:db8::2"},
		{"rule 9 is not for IPv4", "203.0.113.1<198.51.100.1 198.51.100.2<198.51.100.1", "203.0.113.1 198.51.100.2"},
		{"rule 10, else as it was", "198.51.100.3<198.51.100.1 198.51.100.2<198.51.100.1", "198.51.100.3 198.51.100.2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var all []candidate
			for _, pair := range strings.Fields(row.in) {
				dst, src, _ := strings.Cut(pair, "<")
				from, _ := netip.ParseAddr(src)
				all = append(all, newCandidate(netip.MustParseAddr(dst), from))
			}
			slices.SortStableFunc(all, candidate.compare)
			var got []string
			for _, c := range all {
				got = append(got, c.addr.String())
			}
			if text := strings.Join(got, " "); text != row.want {
				t.Errorf("got %s, want %s", text, row.want)
			}
		})
	}
}
