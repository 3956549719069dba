package dnsfake

import (
	"slices"
	"testing"
	"time"

	"github.com/netspec-go/netspec/netfake"
)

// A host asks for A and AAAA at once, and the resolver searches for both at once: IPv6
// goes first where the client has it, and two runs send the same packets.
func TestDualStackName(t *testing.T) { netfake.CheckDeterministic(t, 9, testDualStackName) }

func testDualStackName(t *testing.T, w *netfake.World) {
	sys := New(w)
	zone := sys.HostedZone("example.com")
	sys.Register("example.com", zone)
	zone.A("www.example.com", time.Minute, addr("203.0.113.10"))
	zone.AAAA("www.example.com", time.Minute, addr("2001:db8:1::10"))
	zone.A("four.example.com", time.Minute, addr("203.0.113.10"))
	r := sys.Resolver(netfake.Melbourne, "isp", "203.0.113.53")
	both := w.Internet().HostAt(netfake.Melbourne, "both", "198.51.100.20", "2001:db8:2::20")
	four := w.Internet().HostAt(netfake.Melbourne, "four", "198.51.100.21")
	for _, row := range []struct {
		from *netfake.Host
		name string
		want []string
	}{
		{both, "www.example.com", []string{"2001:db8:1::10", "203.0.113.10"}},
		{four, "www.example.com", []string{"203.0.113.10", "2001:db8:1::10"}},
		{both, "four.example.com", []string{"203.0.113.10"}},
	} {
		row.from.SetResolvers(r.Addr())
		if got, err := row.from.LookupHost(t.Context(), row.name); err != nil || !slices.Equal(got, row.want) {
			t.Errorf("%v finds %s at %v, %v; want %v", row.from, row.name, got, err, row.want)
		}
	}
	if got := r.Stats(); got.Queries != 6 || got.Hits != 2 {
		t.Errorf("the resolver was asked %d questions and knew %d, want 6 and 2", got.Queries, got.Hits)
	}
}
