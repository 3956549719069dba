package netfake_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/netspec-go/netspec/internal/faketb"
	"github.com/netspec-go/netspec/netfake"
)

// The internet brings a packet to who announces its destination: the address itself, else
// the smallest block around it.
func TestAnnouncePrefix(t *testing.T) {
	netfake.Run(t, func(t *testing.T, w *netfake.World) {
		client := w.Internet().Host("client", "2001:db8:1::1")
		large, small, exact := &sink{}, &sink{}, &sink{}
		attach := func(name string, s *sink) *netfake.Uplink { return w.Internet().Attach(name, netfake.Sydney, s) }
		l, s := attach("large", large), attach("small", small)
		l.AnnouncePrefix(netip.MustParsePrefix("2001:db8:f000::1/44")) // host bits are ignored
		s.AnnouncePrefix(netip.MustParsePrefix("2001:db8:f000:100::/56"))
		attach("exact", exact).Announce(netip.MustParseAddr("2001:db8:f000:100::9"))
		probe := func(addr string) {
			client.Probe(netfake.Endpoint{Proto: netfake.UDP, Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 9)})
		}
		probe("2001:db8:f000::1")
		probe("2001:db8:f000:100::1")
		probe("2001:db8:f000:100::9")
		probe("2001:db8:e000::1")
		if large.n != 1 || small.n != 1 || exact.n != 1 {
			t.Errorf("%d, %d and %d packets, want 1 each", large.n, small.n, exact.n)
		}
		l.WithdrawPrefix(netip.MustParsePrefix("2001:db8:f000:100::/56")) // not its own
		s.WithdrawPrefix(netip.MustParsePrefix("2001:db8:f000:100::/56"))
		probe("2001:db8:f000:100::1")
		if large.n != 2 || small.n != 1 {
			t.Errorf("%d and %d packets when the small block has gone", large.n, small.n)
		}
	})
}

// sink counts what comes.
type sink struct{ n int }

func (s *sink) String() string { return "sink" }

func (s *sink) Step(p *netfake.Packet) netfake.Next {
	s.n++
	return p.Drop(netfake.Hop{Place: "sink", By: s})
}

func TestAnnouncePrefixRefusals(t *testing.T) {
	for block, want := range map[string]string{
		"10.0.0.0/8":         "which are not public addresses",
		"fd00::/8":           "which are not public addresses",
		"198.18.0.0/15":      "198.18.0.0/15, which is first's already",
		"2001:db8:f000::/44": "",
	} {
		got := faketb.Fatal(t, func(tb *faketb.TB) {
			w := netfake.New(tb, netfake.Config{})
			first, second := w.Internet().Attach("first", netfake.Sydney, &sink{}), w.Internet().Attach("second", netfake.Sydney, &sink{})
			first.AnnouncePrefix(netip.MustParsePrefix("198.18.0.0/15"))
			second.AnnouncePrefix(netip.MustParsePrefix(block))
		})
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", block, got, want)
		}
	}
}
