package fabricfake_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/netspec-go/netspec/fabricfake"
	"github.com/netspec-go/netspec/netfake"
)

// A failure of the mapping service counts each packet that goes by outdated knowledge once, at
// however many devices and about however many addresses that is outdated, and none that has got
// an answer.
func TestMappingFailureCountsPacketsOnce(t *testing.T) {
	const drop, ask = fabricfake.MissDrop, fabricfake.MissAsk
	secondly := func(x *ferry) { x.f.Inject(datagram(second+":1", clientAt+":9", "back")) }
	talks := func(x *ferry) { x.talk(t, clientAt) }
	leaves := func(x *ferry) { x.talk(t, "203.0.113.9") }
	for _, row := range []struct {
		name    string
		policy  fabricfake.MissPolicy
		met     bool           // they have exchanged packets before
		changed []string       // after the service has failed
		send    func(x *ferry) // twice
		hits    uint64
	}{
		{"nothing has changed", drop, false, nil, (*ferry).there, 0},
		{"the receiver has", drop, false, []string{"ferried"}, (*ferry).there, 2},
		{"the sender has", drop, false, []string{"ferried"}, (*ferry).back, 2},
		{"and sends from another of its addresses", drop, false, []string{"ferried"}, secondly, 2},
		{"the sender has, whose datagrams follow one another", drop, false, []string{"ferried"}, talks, 6},
		{"only its first address has", drop, false, []string{"first"}, talks, 6},
		{"only its other address has, from which it sends", drop, false, []string{"second"}, talks, 6},
		{"the sender has, of whom an edge has yet to be told", drop, false, []string{"ferried"}, leaves, 6},
		{"nothing has, and the datagrams leave by an edge", drop, false, nil, leaves, 0},
		{"an address has from which it does not send", drop, false, []string{"second"}, (*ferry).back, 0},
		{"both have", drop, false, []string{"client", "ferried"}, secondly, 2},
		{"others have", drop, false, []string{"home"}, secondly, 0},
		{"both have, and each was asked for before", ask, true, []string{"client", "ferried"}, secondly, 2},
		{"nothing has, and they are asked for in vain", ask, false, nil, secondly, 2},
		{"both have, and are asked for in vain", ask, false, []string{"client", "ferried"}, secondly, 2},
		{"both have, and the answer comes", ask, false, []string{"client", "ferried"}, func(x *ferry) {
			x.back()
			x.w.Sleep(fabricfake.LatencyLookup / 2)
			x.subnet.VPC().Region().Mapping().Repair()
		}, 0},
	} {
		netfake.Run(t, func(t *testing.T, w *netfake.World) {
			x := newFerry(t, w)
			x.subnet.Route("203.0.113.0/24", &throughEdge{fabricfake.NewEdge(x.subnet.VPC(), "edge", swallow{})})
			mapping := x.subnet.VPC().Region().Mapping()
			mapping.SetMissPolicy(row.policy)
			if row.met {
				for range 2 {
					x.there()
					secondly(x)
					w.Sleep(time.Second)
				}
			}
			failure := mapping.Fail()
			for _, who := range row.changed {
				x.announce(who)
			}
			for range 2 {
				row.send(x)
				w.Sleep(time.Second)
			}
			if got := failure.Hits(); got != row.hits {
				t.Errorf("%s: %d hits, want %d", row.name, got, row.hits)
			}
		})
	}
}

// talk sends three datagrams from the interface's second address, of which the last two may take
// what was decided about the first: nothing changes in between, as it does when one is injected.
func (x *ferry) talk(t *testing.T, to string) {
	from, err := x.homes[0].ListenPacket("udp", second+":0")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		from.WriteTo([]byte("back"), &net.UDPAddr{IP: net.ParseIP(to), Port: 9})
		x.w.Sleep(time.Second)
	}
}

// announce changes something of an interface, or of one of the ferried one's addresses, which is
// news to everybody.
func (x *ferry) announce(who string) {
	public := netip.MustParseAddr("203.0.113.25")
	switch who {
	case "first":
		x.f.SetPublicIP(public)
	case "second":
		x.f.SetPublicIPOf(netip.MustParseAddr(second), public)
	default:
		f := map[string]*fabricfake.Interface{"client": x.client.Interface(), "ferried": x.f, "home": x.homes[2].Interface()}[who]
		f.SetGroups(f.Groups())
	}
}
